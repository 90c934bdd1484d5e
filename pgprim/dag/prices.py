"""What running stages may cost, for people who must decide whether to wait."""

import re
from collections import Counter
from collections.abc import Iterable

from pgprim.dag.pipeline import Stage
from pgprim.types.errors import UserError


def price(stages: Iterable[Stage]) -> str:
    """The sum of what the stages take at the measured rates, as the end of a sentence; empty if there are no rates."""
    try:
        hours = _hours(list(stages))
    except (UserError, ImportError, KeyError, OSError):
        return ""
    if hours >= 0.05:
        return f", at most about {hours:.1f} core-hours"
    minutes = max(1, round(60 * hours))
    return f", at most about {minutes} core-minute{'s' * (minutes > 1)}"


def _hours(stages: list[Stage]) -> float:
    from pgprim.stages.cost import RATES, costs
    from pgprim.types.params import load, read

    params, rates = load(), read(RATES)
    jobs = Counter(_kind(stage) for stage in stages)
    seconds = 0.0
    for kind, task, algo in jobs:
        if task:
            one = params | {"tasks": [task], "algos": [algo], "probed": [algo]}
            known = {cost.kind: cost for cost in costs(one, rates)}
            seconds += jobs[kind, task, algo] * known[kind].seconds / known[kind].jobs
        else:
            seconds += jobs[kind, task, algo] * rates["start"].get("plot", 0)
    return seconds / 3600


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
