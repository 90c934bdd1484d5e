"""A claim: a statement of the paper, an effect per task or kind of agents that tests it, and a verdict.

Each row of a claim is one task, or one task and algorithm if the paper names an algorithm. A row's effect is a mean
over its agents with an interval between agents; several algorithms in a row are strata, not random draws. A row is
reproduced if its whole interval lies on the claimed side of the rule's bound, not reproduced if the whole interval
lies on the other side, and inconclusive otherwise. The rows of a claim are counted, never averaged, so that no task
dominates.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from pgprim.core.intervals import Interval, clip
from pgprim.core.ratio import ratio_of_means
from pgprim.core.share import share
from pgprim.core.stratified import stratified_mean
from pgprim.plotting.labels import algo_label, task_label
from pgprim.types.errors import UserError

Results = Mapping[str, xr.Dataset]
Params = Mapping[str, Any]
Strata = list[np.ndarray]
Verdict = Literal["reproduced", "not reproduced", "inconclusive", "mixed"]

CORRELATION, EXPECTED_COSINE, SHARE = (-1, 1), (0, 1), (0, 1)
"""Ranges of bounded quantities; intervals are clipped to them. Independent estimates have no negative expected cosine."""

SLACK = 1e-4
"""Relative excess of a KL divergence over δ that counts as rounding of the backtracked step."""


class Evidence(NamedTuple):
    """The effect of one row.

    Attributes:
        task: The task, or "" for all.
        algo: The algorithm, or "" for all that were probed.
        effect: Value and interval between agents.
        agents: Number of agents.
        ceiling: The part of the effect that noise leaves, mean over agents, where noise lowers the effect.
        true_value: The effect that V^π itself would have; NaN where that is not asked.
    """

    task: str
    algo: str
    effect: Interval
    agents: int
    ceiling: float = 1.0
    true_value: float = np.nan


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, and how it is measured here.

    Attributes:
        statement: The claim, paraphrased.
        source: Where the paper makes it.
        effect: The measured effect.
        reads: Its input results, by the name of their folder or file.
        figures: The figure that shows it, by task; "" is the entry of all other tasks.
        evidence: (results, parameters, level) ↦ its rows.
        units: Unit of the effect.
    """

    statement: str
    source: str
    effect: str
    reads: tuple[str, ...]
    figures: Mapping[str, str]
    evidence: Callable[[Results, Params, float], Iterator[Evidence]]
    units: str = "1"


def judge(
    claims: Mapping[str, Claim], results: Results, params: Params, block: str = "rules"
) -> dict[str, dict[str, Any]]:
    """All claims with their rows and verdicts, as plain values by name.

    Args:
        claims: By name.
        results: Datasets by the names in `Claim.reads`.
        params: The parameter file.
        block: Key of the rules under `claims`.

    Raises:
        UserError: A claim has no rule.
    """
    level, rules = params["claims"]["level"], params["claims"][block]
    if missing := sorted(set(claims) - set(rules)):
        raise UserError(f"params.yaml: claims.{block} has no rule for the claim {missing[0]}")
    judged = {}
    for name, claim in claims.items():
        rows = [
            {
                "task": task,
                "algo": algo,
                **{key: _plain(end) for key, end in effect._asdict().items()},
                "agents": agents,
                **({} if ceiling == 1 else {"ceiling": _plain(ceiling)}),
                **({} if np.isnan(true_value) else {"true_value": _plain(true_value)}),
                "verdict": verdict(effect, rules[name], ceiling),
                "figure": claim.figures.get(task, claim.figures.get("", "")),
            }
            for task, algo, effect, agents, ceiling, true_value in claim.evidence(results, params, level)
        ]
        judged[name] = {
            "statement": claim.statement,
            "source": claim.source,
            "effect": claim.effect,
            "units": claim.units,
            "rule": rules[name],
            "first_rule": block != "rules",
            "level": level,
            "set": params["claims"]["set"],
            "verdict": combined([row["verdict"] for row in rows]),
            "summary": summary(rows),
            "rows": rows,
        }
    return judged


def verdict(effect: Interval, rule: Mapping[str, float], ceiling: float = 1.0) -> Verdict:
    """Verdict from the interval: on the claimed side of the bound, on the other side, or on both.

    Noise makes a correlation low. So an effect is below the bound only if noise leaves enough of it to reach the bound,
    and if it is below the bound even after division by what noise leaves.

    Args:
        effect: The effect and its interval.
        rule: One of `above` and `below` with the bound.
        ceiling: `Evidence.ceiling`; without a number no effect is below a bound.
    """
    ((side, bound),) = rule.items()
    is_above = effect.low > bound
    is_below = effect.high < bound * ceiling and (ceiling == 1 or ceiling >= bound)
    if is_above or is_below:
        return "reproduced" if is_above == (side == "above") else "not reproduced"
    return "inconclusive"


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that all rows share, `mixed` where they differ, `inconclusive` without rows."""
    different = set(verdicts)
    return different.pop() if len(different) == 1 else "mixed" if different else "inconclusive"


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows by verdict: "reproduced on 2 of 3 tasks (Hopper, Walker2d); inconclusive: Humanoid"."""
    if not rows:
        return "not measured"
    by_algo = any(row["algo"] for row in rows)
    unit = "tasks and algorithms" if by_algo else "tasks"
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row["verdict"], []).append(row_label(row))
    if len(names) == 1:
        ((only, where),) = names.items()
        every = "both" if len(rows) == 2 else f"all {len(rows)}"
        return f"{only} on {every} {unit}" if len(rows) > 1 else f"{only} ({where[0]})"
    good = names.pop("reproduced", [])
    parts = [f"reproduced on {len(good)} of {len(rows)} {unit}" + (f" ({', '.join(good)})" if good else "")]
    return "; ".join([*parts, *(f"{one}: {', '.join(where)}" for one, where in names.items())])


def row_label(row: Mapping[str, Any]) -> str:
    """Task and algorithm of a row: "Hopper PPO", "Hopper", or "all"."""
    words = (task_label(row["task"]) if row["task"] else "", algo_label(row["algo"]) if row["algo"] else "")
    return " ".join(filter(None, words)) or "all"


def strata_of(values: xr.DataArray, task: str) -> Strata:
    """The agents of a task, one array per algorithm, from values over (task, algo, seed)."""
    return [values.sel(task=task, algo=algo).values.astype(float) for algo in values.algo.values]


def mean_evidence(
    task: str, algo: str, strata: Strata, level: float, bounds: tuple[int, int] | None = None
) -> Evidence:
    """A row whose effect is the mean over strata of the mean over their agents.

    Args:
        task: The task, or "" for all.
        algo: The algorithm, or "" for all.
        strata: The agents' values, NaN without such an agent.
        level: Nominal coverage.
        bounds: Range of the effect.
    """
    effect = stratified_mean(strata, level)
    agents = int(sum(np.isfinite(values).sum() for values in strata))
    return Evidence(task, algo, clip(effect, *bounds) if bounds else effect, agents)


def per_task(values: xr.DataArray, level: float, bounds: tuple[int, int] | None = None) -> Iterator[Evidence]:
    """A row per task: the mean over algorithms of the mean over their agents.

    Args:
        values: The effect over (task, algo, seed); NaN without such an agent.
        level: Nominal coverage.
        bounds: Range of the effect.
    """
    for task in values.task.values:
        yield mean_evidence(str(task), "", strata_of(values, task), level, bounds)


def per_task_ratio(numerator: xr.DataArray, denominator: xr.DataArray, level: float) -> Iterator[Evidence]:
    """A row per task: log₂ of the ratio of two means that are never negative, such as mean pairwise cosines.

    A noisy denominator does not bias the ratio. Where the denominator may be 0, the interval has no upper end, and where
    it is estimated at 0 or below, so has the value.

    Args:
        numerator: A quantity over (task, algo, seed); NaN where there is no such agent.
        denominator: Another of the same agents.
        level: Nominal coverage.
    """
    for task in numerator.task.values:
        tops, bottoms = (strata_of(values, task) for values in (numerator, denominator))
        ratio = ratio_of_means(tops, bottoms, level, least=0.0)
        if ratio.value < 0 < ratio.low:
            ratio = ratio._replace(value=np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = Interval(*(float(np.log2(max(end, 0.0))) for end in ratio))
        agents = sum(int((np.isfinite(a) & np.isfinite(b)).sum()) for a, b in zip(tops, bottoms, strict=True))
        yield Evidence(str(task), "", effect, agents)


def per_agent_kind(
    values: xr.DataArray, level: float, bounds: tuple[int, int] | None = None
) -> Iterator[Evidence]:
    """A row per task and algorithm: the mean over its agents; arguments as in `per_task`."""
    for task in values.task.values:
        for algo in values.algo.values:
            one = values.sel(task=task, algo=algo).values.astype(float)
            if np.isfinite(one).any():
                yield mean_evidence(str(task), str(algo), [one], level, bounds)


def share_of_agents(holds: xr.DataArray, level: float) -> Iterator[Evidence]:
    """A row per task and algorithm: the share of agents with a property, with Clopper and Pearson's interval.

    Args:
        holds: 1 for agents with the property, 0 for others, NaN without such an agent, over (task, algo, seed).
        level: Least coverage.
    """
    for task in holds.task.values:
        for algo in holds.algo.values:
            one = holds.sel(task=task, algo=algo).values
            one = one[np.isfinite(one)]
            if one.size:
                yield Evidence(str(task), str(algo), share(int(one.sum()), one.size, level), one.size)


def probed(ds: xr.Dataset, params: Params) -> xr.Dataset:
    """The algorithms whose checkpoints are probed, those that the paper shows."""
    return ds.sel(algo=ds.algo.isin(params["probed"]))


def at_budget(ds: xr.Dataset | xr.DataArray, params: Params) -> xr.Dataset | xr.DataArray:
    """The budget nearest to what training uses per iteration."""
    return ds.sel(budget=params["plot"]["budget"], method="nearest")


def common_budget(array: xr.DataArray) -> int:
    """The largest budget at which everything has a value that has one at any budget.

    Raises:
        ValueError: There is no such budget.
    """
    known = array.notnull()
    everywhere = (known | ~known.any("budget")).all([dim for dim in array.dims if dim != "budget"])
    budgets = array.budget[everywhere & known.any([dim for dim in array.dims if dim != "budget"])]
    if not budgets.size:
        raise ValueError("no number of pairs is common to all agents")
    return int(budgets[-1])


def _plain(value: float) -> float | None:
    """Plain numbers for JSON, which has no NaN, rounded to four significant digits."""
    return float(f"{value:.4g}") if np.isfinite(value) else None
