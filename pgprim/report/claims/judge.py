"""The paper's claims, each as one effect with an interval and a rule that was written down before looking (Sec. 5).

An effect is a number per agent, given as one array per kind of agent (task and algorithm), and is averaged over the kinds.
Intervals are between agents. The rules stand in the parameter file, under `claims`: an effect is to be `above` or `below` a
bound. A claim is reproduced where the whole interval is on its side of the bound, not reproduced where the whole
interval is on the other, and inconclusive otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import xarray as xr

from pgprim.core.intervals import Interval
from pgprim.core.stratified import stratified_mean
from pgprim.types.errors import UserError

Strata = list[np.ndarray]
Verdict = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True)
class Claim:
    """What the paper says, and how it is measured here.

    Attributes:
        statement: The claim in our words.
        source: Where the paper makes it.
        effect: What is measured.
        units: Its unit.
        reads: The results it is computed from, by the name of their folder or file.
        figure: The figure that shows it.
        strata: (results, parameters) ↦ the effect of each agent, one array per kind of agent.
    """

    statement: str
    source: str
    effect: str
    units: str
    reads: str
    figure: str
    strata: Callable[[xr.Dataset, Mapping[str, Any]], Strata]


def judge(
    claims: Mapping[str, Claim], results: Mapping[str, xr.Dataset], params: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """A row per claim, by its name: the statement, the measured effect, the rule and the verdict, as plain values.

    Args:
        claims: By name.
        results: Datasets by what claims read.
        params: The parameter file.

    Raises:
        UserError: A claim has no rule, or a rule no claim.
    """
    level, rules = params["claims"]["level"], params["claims"]["rules"]
    if unknown := sorted(set(rules) ^ set(claims)):
        raise UserError(
            f"params.yaml: claims.rules must have exactly the claims {', '.join(sorted(claims))}; "
            f"look at {unknown[0]}"
        )
    rows = {}
    for name, claim in claims.items():
        strata = claim.strata(results[claim.reads], params)
        effect = stratified_mean(strata, level)
        rows[name] = {
            "statement": claim.statement,
            "source": claim.source,
            "effect": claim.effect,
            "units": claim.units,
            **{key: _plain(value) for key, value in effect._asdict().items()},
            "level": level,
            "set": params["claims"]["set"],
            "agents": int(sum(np.isfinite(values).sum() for values in strata)),
            "rule": rules[name],
            "verdict": verdict(effect, rules[name]),
            "figure": claim.figure,
        }
    return rows


def verdict(effect: Interval, rule: Mapping[str, float]) -> Verdict:
    """Where the interval lies: on the claimed side of the bound, on the other, or on both.

    Args:
        effect: The effect and its interval.
        rule: One of `above` and `below` with the bound.
    """
    ((side, bound),) = rule.items()
    least, most = (effect.low, effect.high) if side == "above" else (-effect.high, -effect.low)
    bound = bound if side == "above" else -bound
    if least > bound:
        return "reproduced"
    return "not reproduced" if most < bound else "inconclusive"


def _plain(value: float) -> float | None:
    """JSON has no NaN; four digits are more than any interval here is good for."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def kinds(values: xr.DataArray) -> Strata:
    """One array of agents per task and algorithm, from values over (task, algo, seed)."""
    return [
        values.sel(task=task, algo=algo).values.astype(float)
        for task, algo in product(values.task.values, values.algo.values)
    ]


def difference(values: xr.DataArray, dim: str, more: str, less: str) -> Strata:
    """As `kinds`, with a mean that is the mean difference between two labels of `task` or `algo`; empty without both."""
    if not {more, less} <= set(values[dim].values):
        return []
    return kinds(2 * values.sel({dim: [more]})) + kinds(-2 * values.sel({dim: [less]}))
