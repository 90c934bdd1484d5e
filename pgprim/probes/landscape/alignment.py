"""How far surrogate and true reward agree around checkpoints, and how much of the latter is noise, as numbers."""

import numpy as np
import xarray as xr

from pgprim.core.correlation import column_rank_correlation, spearman
from pgprim.core.intervals import Interval
from pgprim.core.seeding import generator
from pgprim.core.surface_noise import noise_share
from pgprim.core.welch import welch_anova
from pgprim.plotting.choose import choose
from pgprim.store.labelled import label

KINDS = ("few", "many", "steps")
"""What points lie on: the planes of a step by few and by many pairs, and the ends of independent steps."""


DESCRIBED = {
    "correlation": ("rank correlation of surrogate and reward", "1"),
    "noise_share": ("share of the reward's variance over the points that is noise", "1"),
    "flat_p": ("p value of the hypothesis that all points have one reward", "1"),
    "ceiling": ("√(1 − share of noise), about the highest correlation that the noise lets through", "1"),
    "correlation_budget": ("pairs per point behind the rank correlation", "pairs"),
    "kind": ("points", "1"),
    "budget": ("state-action pairs per point", "pairs"),
}
"""Long names and units."""


def align(ds: xr.Dataset | None, level: float) -> xr.Dataset:
    """Rank correlations of surrogate and reward, and shares of noise, of every checkpoint and kind of points.

    Args:
        ds: All landscapes that are to be looked at.
        level: Nominal coverage of the intervals.

    Returns:
        Over (task, algo, seed, iteration, kind): `correlation` at the largest budget with its interval, the largest that
        the noise lets through as `ceiling`, and over (..., budget) `noise_share` with its interval and `flat_p`.

    Raises:
        UserError: If `ds` does not hold landscapes.
    """
    names = ["surrogate", "reward", "reward_se", "reward_half", "num_trajectories"]
    chosen = choose(ds, names)
    has_steps = "steps_surrogate" in ds
    if has_steps:
        steps = [f"steps_{name}" for name in names]
        chosen = choose(ds, [*names, *steps])
    dims = ("task", "algo", "seed", "iteration")
    grid = [chosen[dim].values for dim in dims]
    kinds = list(KINDS)
    budgets = chosen.budget.values
    size = tuple(map(len, grid))
    correlation = np.full((*size, len(kinds), 3), np.nan)
    share = np.full((*size, len(kinds), len(budgets), 3), np.nan)
    flat = np.full((*size, len(kinds), len(budgets)), np.nan)
    measured, ceiling = np.full((2, *size, len(kinds)), np.nan)
    for place in np.ndindex(size):
        one = chosen.isel(dict(zip(dims, place, strict=True)))
        name = [str(values[index]) for values, index in zip(grid, place, strict=True)]
        for k, kind in enumerate(kinds):
            points = _points_of(one, kind, has_steps)
            if points is None:
                continue
            for b, budget in enumerate(budgets):
                some = points.sel(budget=budget)
                share[place][k, b] = noise_share(some.reward_half.transpose("point", "half").values, level)
                flat[place][k, b] = welch_anova(
                    some.reward.values, some.reward_se.values, some.num_trajectories.values
                ).p
            measured[place][k] = max(budgets_of(points.reward))
            best = points.sel(budget=measured[place][k])
            if kind == "steps":
                found = spearman(best.surrogate.values, best.reward.values, level)
            else:
                rng = generator("rank correlation", *name, kind)
                found = column_rank_correlation(
                    *(best[name].values[None] for name in ("surrogate", "reward", "reward_se")), level, rng
                )
            correlation[place][k] = found
            reliable = 1 - share[place][k, budgets == measured[place][k], 0]
            ceiling[place][k] = np.sqrt(np.clip(reliable, 0, 1)).item()
    over = (*dims, "kind")
    variables = {
        "correlation": (over, Interval(*np.moveaxis(correlation, -1, 0))),
        "noise_share": ((*over, "budget"), Interval(*np.moveaxis(share, -1, 0))),
        "flat_p": ((*over, "budget"), flat),
        "ceiling": (over, ceiling),
        "correlation_budget": (over, measured),
    }
    coords = {dim: chosen[dim].values for dim in (*dims, "budget")} | {"kind": kinds}
    return label(variables, DESCRIBED, coords, {"level": level})


def _points_of(one: xr.Dataset, kind: str, has_steps: bool) -> xr.Dataset | None:
    """Surrogate and reward of the points of one kind, if they were measured."""
    if kind == "steps":
        if not has_steps:
            return None
        names = [name for name in one.data_vars if str(name).startswith("steps_")]
        points = (
            one[names].rename({name: str(name).removeprefix("steps_") for name in names}).rename(step="point")
        )
    elif kind in one.kind:
        names = [name for name in one.data_vars if not str(name).startswith("steps_")]
        points = one[names].sel(kind=kind).stack(point=("alpha", "beta"))
    else:
        return None
    return points if np.isfinite(points.reward).any() else None


def budgets_of(reward: xr.DataArray) -> list[int]:
    """The budgets that one landscape or set of steps has."""
    known = np.isfinite(reward).any([dim for dim in reward.dims if dim != "budget"])
    return reward.budget.values[known.values].tolist()
