"""Claims on trust regions (the talk, and the paper's first version)."""

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from pgprim.report.claims.claim import (
    SLACK,
    Claim,
    Evidence,
    Params,
    Results,
    per_agent_kind,
    share_of_agents,
)

NEARLY_ALL = 0.95
"""Share of iterations in which an agent must keep a bound, for claims that it keeps it."""

MOSTLY = 0.5
"""Share of iterations in which an agent must break a bound, for claims that it breaks it."""

FIGURE = {"": "trust_region"}


def _train(results: Results) -> xr.Dataset:
    return results["trust_region"].sel(part="train")


def share_of_iterations(condition: xr.DataArray, measured: xr.DataArray) -> xr.DataArray:
    """Share of all iterations in which a condition on a measured quantity holds; NaN where there is no agent.

    Iterations that a run did not survive count as such in which it does not hold.

    Args:
        condition: Over `iteration` and any others.
        measured: The quantity, NaN in iterations without one.
    """
    return condition.mean("iteration").where(measured.notnull().any("iteration"))


def _holds(condition: xr.DataArray, measured: xr.DataArray, least: float) -> xr.DataArray:
    """Whether a condition holds in at least a share of the iterations; NaN where there is no agent."""
    share = share_of_iterations(condition, measured)
    return (share >= least).where(share.notnull())


def _delta(ds: xr.Dataset) -> xr.DataArray:
    """The δ that TRPO has on each task."""
    return ds.delta.sel(algo="trpo", drop=True)


def _keeps_delta(only: tuple[str, ...]) -> Callable[[Results, Params, float], Iterator[Evidence]]:
    """Share of agents that keep TRPO's δ; without TRPO there is no δ to keep."""

    def keeps(results: Results, params: Params, level: float) -> Iterator[Evidence]:
        ds = _train(results)
        if "trpo" not in ds.algo.values:
            return iter(())
        part = ds.sel(algo=ds.algo.isin(only))
        return share_of_agents(
            _holds(part.kl_mean <= _delta(ds) * (1 + SLACK), part.kl_mean, NEARLY_ALL), level
        )

    return keeps


def _breaks_eps(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    ds = _train(results)
    bound = ds.ratio_bound.max("algo")  # 1 + ε is the same for PPO and PPO-M, and is also used for TRPO
    return share_of_agents(_holds(ds.ratio_max > bound, ds.ratio_max, MOSTLY), level)


def _kl_growth(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    ds = _train(results)
    kl = ds.kl_mean.sel(algo=ds.algo == "ppo_m")
    quarter = max(1, kl.iteration.size // 4)
    first, last = kl.isel(iteration=slice(quarter)), kl.isel(iteration=slice(-quarter, None))
    return per_agent_kind(np.log2(last.median("iteration") / first.median("iteration")), level)


def _kl_peak(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    ds = _train(results)
    kl = ds.kl_mean.sel(algo=ds.algo == "ppo")
    third = max(1, kl.iteration.size // 3)
    first, last = kl.isel(iteration=slice(third)), kl.isel(iteration=slice(-third, None))
    middle = kl.isel(iteration=slice(third, max(third + 1, kl.iteration.size - third)))
    outer = xr.ufuncs.maximum(first.median("iteration"), last.median("iteration"))
    return per_agent_kind(np.log2(middle.median("iteration") / outer), level)


CLAIMS = {
    "trpo_keeps_delta": Claim(
        "TRPO keeps its bound on the mean KL divergence (its line search sees to that on these pairs)",
        "Sec. 2.4 and the first version",
        f"share of agents whose mean KL is at most δ on the update's own pairs in {NEARLY_ALL:.0%} of the iterations",
        ("trust_region",),
        FIGURE,
        _keeps_delta(("trpo",)),
    ),
    "ppo_keeps_delta": Claim(
        "PPO and PPO-M keep TRPO's bound on the mean KL divergence, though nothing enforces it",
        "Implementation Matters, Fig. 3",
        f"share of agents whose mean KL is at most TRPO's δ on the update's own pairs in {NEARLY_ALL:.0%} of the iterations",
        ("trust_region",),
        FIGURE,
        _keeps_delta(("ppo", "ppo_m")),
    ),
    "ratios_break_eps": Claim(
        "Every algorithm's largest ratio exceeds 1 + ε, even PPO's, whose clipping is meant to prevent it",
        "Sec. 2.4; Implementation Matters, Fig. 3",
        f"share of agents with a ratio above 1 + ε on the update's own pairs in {MOSTLY:.0%} of the iterations",
        ("trust_region",),
        FIGURE,
        _breaks_eps,
    ),
    "ppo_m_kl_grows": Claim(
        "The mean KL divergence of PPO-M's updates grows during training",
        "first version and the talk",
        "log₂ of the median of the mean KL over the last quarter of the iterations, divided by that over the first",
        ("trust_region",),
        FIGURE,
        _kl_growth,
    ),
    "ppo_kl_peaks": Claim(
        "The mean KL divergence of PPO's updates peaks halfway through training and falls",
        "Implementation Matters, Fig. 3",
        "log₂ of the median of the mean KL over the middle third of the iterations, divided by the larger of those over the outer thirds",
        ("trust_region",),
        FIGURE,
        _kl_peak,
    ),
}
"""By name; the rule of each stands in the parameter file."""
