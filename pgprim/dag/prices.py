"""What running stages may cost, for people who must decide whether to wait."""

import re
from collections.abc import Iterable

from pgprim.dag.pipeline import Stage
from pgprim.types.errors import UserError


def price(stages: Iterable[Stage]) -> str:
    """The sum of what the stages take at the measured rates, as the end of a sentence; empty if there are no rates."""
    try:
        hours = sum(seconds(list(stages))) / 3600
    except (UserError, ImportError, KeyError, OSError):
        return ""
    if hours >= 0.05:
        return f", at most about {hours:.1f} core-hours"
    minutes = max(1, round(60 * hours))
    return f", at most about {minutes} core-minute{'s' * (minutes > 1)}"


def seconds(stages: Iterable[Stage]) -> list[float]:
    """CPU time of one core that each stage takes at the measured rates, with the parameters of `params.yaml`.

    Raises:
        UserError: The rate of one of them was not measured.
    """
    from pgprim.commands.cost import RATES, costs
    from pgprim.types.params import load, read

    params, rates = load(), read(RATES)
    known: dict[tuple[str, str, str], float] = {}
    found = []
    for kind in map(_kind, stages):
        _, task, algo = kind
        if kind not in known and task:
            probed = [algo] if algo in params["probed"] else []
            one = params | {"tasks": [task], "algos": [algo], "probed": probed}
            known |= {
                (cost.kind, task, algo): cost.seconds / cost.jobs for cost in costs(one, rates) if cost.jobs
            }
        found.append(known[kind] if task else float(rates["start"].get("plot", 0)))
    return found


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
