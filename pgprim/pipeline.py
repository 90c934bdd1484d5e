"""The pipeline's hooks: what `dvcsnake`, which runs the stages of dvc.yaml, must know about pgprim.

`[tool.dvcsnake]` in pyproject.toml names them. Jobs import this module, so it imports the rest when it is needed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dvcsnake import errors
from dvcsnake.hooks import Hooks
from dvcsnake.pipeline import Stage

from pgprim.types.errors import UserError


def check() -> None:
    """Check `params.yaml`.

    Raises:
        errors.UserError: One sentence about the first thing that is wrong.
    """
    from pgprim.types.params import load

    try:
        load()
    except UserError as error:
        raise errors.UserError(str(error)) from None


def seconds(stages: Sequence[Stage]) -> list[float | None]:
    """CPU time of one core that each stage takes at the measured rates, None where no rate was measured [s]."""
    from pgprim.commands.cost import RATES, costs
    from pgprim.types.params import load, read

    params, rates = load(), read(RATES)

    def per_job(task: str, algo: str) -> dict[tuple[str, str, str], float]:
        probed = [algo] if algo in params["probed"] else []
        one = params | {"tasks": [task], "algos": [algo], "probed": probed}
        return {(cost.kind, task, algo): cost.seconds / cost.jobs for cost in costs(one, rates) if cost.jobs}

    return _look_up([_kind(stage) for stage in stages], per_job, rates["start"])


def extra_digests(params: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Digest files beyond one per module of the package; none so far."""
    return {}


def _look_up(
    kinds: list[tuple[str, str, str]], per_job: Callable[[str, str], dict], starts: Mapping[str, float]
) -> list[float | None]:
    times: dict[tuple[str, str, str], float] = {}
    for kind, task, algo in dict.fromkeys(kinds):
        if task and (kind, task, algo) not in times:
            try:
                times |= per_job(task, algo)
            except (UserError, KeyError):  # nothing was measured for this task
                continue
    return [times.get(kind) if kind[1] else float(starts.get("plot", 0)) for kind in kinds]


def _kind(stage: Stage) -> tuple[str, str, str]:
    """What a stage's cost depends on: its kind (the probe for estimates), task and algorithm."""
    parts = stage.outs[0].path.split("/")
    if stage.group in ("ablation", "regime"):
        return stage.group, parts[3], "ppo"
    if stage.group in ("semantics", "semantics_training"):
        return f"semantics_{parts[2]}", parts[3], parts[4]
    if match := re.fullmatch(
        r"train|checkpoint|sample|fit|estimate|baselines|landscape|replay|assess|floor", stage.group
    ):
        is_probe = parts[1] == "estimates"
        kind, start = (parts[2], 3) if is_probe else (match.group(), 2)
        return kind, parts[start], parts[start + 1]
    return stage.group, "", ""


HOOKS = Hooks(
    package="pgprim",
    code="data/code",
    targets=("figures/*", "data/metrics/*", "data/claims*"),
    captions="workflow/report/figures.rst",
    check=check,
    seconds=seconds,
    extra_digests=extra_digests,
)
