"""Statistics of the agreement of surrogate and true reward around checkpoints, and of the noise of the reward."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import t as student

from pgprim.core.correlation import column_rank_correlation, spearman
from pgprim.core.finite import finite_mean
from pgprim.core.intervals import UNKNOWN
from pgprim.core.seeding import generator
from pgprim.core.surface_noise import noise_share
from pgprim.core.welch import welch_anova
from pgprim.plotting.choose import budgets_of, choose
from pgprim.store.labelled import AGENT, label, stack
from pgprim.types.levels import LEVEL

KINDS = ("few", "many", "slice_few", "slice_many", "steps")
"""What points lie on: planes of a step by few and by many pairs, slices along these steps, ends of independent steps."""

NAMES = ("surrogate", "reward", "reward_se", "reward_half", "num_trajectories")
"""Variables of a landscape that this looks at."""

FRESH = {
    "slice_fresh_unclipped": "fresh",
    "slice_fresh_unclipped_ci": "fresh_ci",
    "slice_fresh_batch": "fresh_batch",
}
"""Variables of a slice that the agreement on fresh batches looks at, and their names here."""

DESCRIBED = {
    "correlation": (
        "rank correlation of surrogate and reward along the step: over a plane the mean of columns of equal β",
        "1",
    ),
    "fresh_correlation": (
        "rank correlation of reward and unclipped surrogate on fresh batches along the step",
        "1",
    ),
    "plane_correlation": ("rank correlation of surrogate and reward over the whole plane", "1"),
    "ceiling": (
        "√(1 − share of noise along the step), about the highest correlation that noise lets through",
        "1",
    ),
    "fresh_ceiling": (
        "the same for the surrogate on fresh batches, times √(1 − share of noise in that surrogate)",
        "1",
    ),
    "plane_ceiling": ("√(1 − share of noise over the whole plane)", "1"),
    "noise_share": ("share of the reward's variance over all points that is noise", "1"),
    "step_noise_share": ("share of the reward's variance along the step that is noise", "1"),
    "flat_p": ("p value of the hypothesis that all points have one reward", "1"),
    "correlation_budget": ("pairs per point behind the rank correlations", "pairs"),
    "kind": ("points", "1"),
    "budget": ("state-action pairs per point", "pairs"),
}
"""Long names and units."""


def align(ds: xr.Dataset | None, level: float) -> xr.Dataset:
    """Rank correlations of surrogate and reward, and shares of noise, of every checkpoint and kind of points.

    The random direction explains most of a plane's variance, so a correlation over the whole plane mostly measures
    that direction. Within columns of equal β, and along slices, it measures the step.

    Args:
        ds: All landscapes.
        level: Nominal coverage of the intervals.

    Returns:
        The variables of `DESCRIBED` over (task, algo, seed, iteration, kind), shares of noise and `flat_p` over
        budget, too. Correlations are at the largest budget.

    Raises:
        UserError: If `ds` does not hold landscapes.
    """
    prefixes = [prefix for prefix in ("steps_", "slice_") if ds is not None and f"{prefix}reward" in ds]
    fresh = ["slice_fresh_unclipped", "slice_fresh_batch"] if "slice_" in prefixes else []
    chosen = choose(ds, [*NAMES, *(prefix + name for prefix in prefixes for name in NAMES), *fresh])
    budgets = chosen.budget.values
    size = tuple(chosen.sizes[dim] for dim in AGENT)
    rows = []
    for place in np.ndindex(size):
        one = chosen.isel(dict(zip(AGENT, place, strict=True)))
        name = [str(one[dim].values) for dim in AGENT]
        rows += [_agreement(_points_of(one, kind), budgets, (*name, kind), level) for kind in KINDS]
    over = (*AGENT, "kind")
    dims = dict.fromkeys(("noise_share", "step_noise_share", "flat_p"), (*over, "budget"))
    variables = {}
    for name, values in stack(rows).items():
        shape = (*size, len(KINDS), *([len(budgets)] if name in dims else []))
        is_interval = isinstance(values, tuple)
        array = (
            type(values)(*(end.reshape(shape) for end in values)) if is_interval else values.reshape(shape)
        )
        variables[name] = (dims.get(name, over), array)
    coords = {dim: chosen[dim].values for dim in (*AGENT, "budget")} | {"kind": list(KINDS)}
    return label(variables, DESCRIBED, coords, {"level": level})


def _agreement(
    points: xr.Dataset | None, budgets: np.ndarray, name: tuple[str, ...], level: float
) -> dict[str, Any]:
    """The numbers of one set of points, in columns along the step."""
    numbers = dict.fromkeys(("correlation", "fresh_correlation", "plane_correlation"), UNKNOWN)
    ceilings = ("ceiling", "fresh_ceiling", "plane_ceiling")
    numbers |= dict.fromkeys((*ceilings, "correlation_budget"), np.nan)
    along_all, along_step = [UNKNOWN] * len(budgets), [UNKNOWN] * len(budgets)
    by_budget = {
        "noise_share": along_all,
        "step_noise_share": along_step,
        "flat_p": np.full(len(budgets), np.nan),
    }
    if points is None:
        return numbers | by_budget
    measured = budgets_of(points.reward)
    for budget in measured:
        place, one = budgets.tolist().index(budget), points.sel(budget=budget)
        along_all[place] = noise_share(_halves(one).reshape(-1, 2), level)
        along_step[place] = noise_share(_within_columns(one), level)
        values = (one[name].values.ravel() for name in ("reward", "reward_se", "num_trajectories"))
        by_budget["flat_p"][place] = welch_anova(*values).p
    best = points.sel(budget=measured[-1])
    x, y, se = (best[name].values for name in ("surrogate", "reward", "reward_se"))
    if name[-1] == "steps":
        numbers["correlation"] = spearman(x[0], y[0], level)
    else:
        rng = generator("rank correlation", *name)
        numbers["correlation"] = column_rank_correlation(x, y, se, level, rng)
    if name[-1] in ("few", "many"):
        rng = generator("rank correlation over the plane", *name)
        whole = (values.reshape(1, -1) for values in (x, y, se))
        numbers["plane_correlation"] = column_rank_correlation(*whole, level, rng)
        numbers["plane_ceiling"] = _ceiling(_halves(best).reshape(-1, 2))
    numbers["ceiling"] = _ceiling(_within_columns(best))
    if "fresh" in best:
        rng = generator("rank correlation on fresh batches", *name)
        numbers["fresh_correlation"] = column_rank_correlation(best.fresh.values, y, se, level, rng)
        numbers["fresh_ceiling"] = numbers["ceiling"] * np.sqrt(1 - surrogate_noise(best))
    numbers["correlation_budget"] = float(measured[-1])
    return numbers | by_budget


def surrogate_noise(points: xr.Dataset) -> float:
    """Share of noise in the variance along a slice of the surrogate on fresh batches, at most 1.

    The surrogate is 0 at the checkpoint in every batch, and a batch that gains more at one point gains more at all. So its
    errors at all points are taken to have one sign: their variance along the slice is that of the standard errors.
    """
    values, num = points.fresh.values.ravel(), points.fresh_batch.notnull().sum("batch").values.ravel()
    width = (points.fresh_ci.sel(bound="high") - points.fresh_ci.sel(bound="low")).values.ravel()
    se = width / (2 * student.ppf((1 + LEVEL) / 2, num - 1))
    return float(min(1.0, se.var() / values.var())) if values.var() > 0 else 1.0


def _halves(points: xr.Dataset) -> Float[np.ndarray, "column point 2"]:
    return points.reward_half.transpose("column", "point", "half").values


def _within_columns(points: xr.Dataset) -> Float[np.ndarray, "all_points 2"]:
    """Half means of the reward minus those of their column."""
    halves = _halves(points)
    return (halves - finite_mean(halves, axis=1)[:, None]).reshape(-1, 2)


def _ceiling(halves: Float[np.ndarray, "point 2"]) -> float:
    return float(np.sqrt(np.clip(1 - noise_share(halves, 0.5).value, 0, 1)))


def _points_of(one: xr.Dataset, kind: str) -> xr.Dataset | None:
    """Surrogate and reward of the points of one kind in columns along the step, if they were measured."""
    prefix = "steps_" if kind == "steps" else "slice_" if kind.startswith("slice_") else ""
    if f"{prefix}reward" not in one:
        return None
    names = {prefix + name: name for name in NAMES} | (FRESH if prefix == "slice_" else {})
    points = one[list(names)].rename(names)
    if kind != "steps":
        plane = kind.removeprefix("slice_")
        if plane not in one.kind:
            return None
        points = points.sel(kind=plane)
    if not np.isfinite(points.reward).any():
        return None
    if prefix == "":
        points = points.rename(alpha="point", beta="column")
    else:
        points = points.rename({"step": "point"} if kind == "steps" else {"along": "point"}).expand_dims(
            "column"
        )
    return points.transpose("column", "point", ...)
