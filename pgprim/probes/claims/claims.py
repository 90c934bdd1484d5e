"""The claims themselves: statements of the paper, and the effects by which they are judged."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from pgprim.probes.claims.judge import Claim, Strata, difference, kinds


def trained(ds: xr.Dataset) -> xr.Dataset:
    """The checkpoints of agents that have learned."""
    return ds.sel(iteration=ds.iteration > 0)


def at_regime(ds: xr.Dataset, params: Mapping[str, Any]) -> xr.Dataset:
    """The budget nearest to what training uses per iteration."""
    return ds.sel(budget=params["plot"]["regime"], method="nearest")


def _agreement(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    return kinds(trained(at_regime(ds, params)).cosine.mean("iteration"))


def _agreement_lost(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    cosine = at_regime(ds, params).cosine
    return kinds(cosine.isel(iteration=-1) - cosine.isel(iteration=0))


def _agreement_of_tasks(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    return difference(at_regime(ds, params).cosine.mean("iteration"), "task", "humanoid", "hopper")


def _near_truth(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    budget = 2 * params["plot"]["regime"]
    return kinds(trained(ds.sel(budget=budget, method="bfill")).truth_cosine_corrected.mean("iteration"))


def _keeps_delta(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    trpo = ds.sel(algo=ds.algo == "trpo", part="train")
    return kinds((trpo.kl_mean <= trpo.delta * (1 + 1e-4)).mean("iteration"))


def _kl_on_fresh_pairs(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    trpo = ds.sel(algo=ds.algo == "trpo", part="held_out")
    return kinds((trpo.kl_mean / trpo.delta).mean("iteration"))


def _breaks_eps(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    ppo = ds.sel(algo=ds.algo == "ppo", part="train")
    return kinds((ppo.ratio_max > ppo.ratio_bound).mean("iteration"))


CLAIMS = {
    "agreement_is_poor": Claim(
        "With the pairs that training uses per iteration, gradient estimates of trained agents hardly agree",
        "Sec. 2.1, Fig. 1",
        "mean pairwise cosine at 2K pairs, checkpoints after 0",
        "1",
        "gradient",
        "fig1",
        _agreement,
    ),
    "agreement_falls_with_training": Claim(
        "Estimates agree less the longer an agent has been trained",
        "Sec. 2.1, Fig. 1",
        "mean pairwise cosine at 2K pairs, last checkpoint less first",
        "1",
        "gradient",
        "fig1",
        _agreement_lost,
    ),
    "agreement_falls_with_task": Claim(
        "Estimates agree less on harder tasks",
        "Sec. 2.1, Figs. 1 and 9",
        "mean pairwise cosine at 2K pairs, Humanoid less Hopper",
        "1",
        "gradient",
        "fig9",
        _agreement_of_tasks,
    ),
    "truth_needs_more_pairs": Claim(
        "To come near the true gradient takes several times more pairs than training uses",
        "Sec. 2.1, Fig. 2",
        "cosine to the true gradient, corrected for the truth's noise, at the first budget from twice 2K pairs up",
        "1",
        "gradient",
        "fig2",
        _near_truth,
    ),
    "trpo_keeps_delta": Claim(
        "TRPO keeps its bound on the mean KL divergence",
        "Sec. 2.4 and the first version",
        "share of iterations with mean KL ≤ δ on the update's own pairs",
        "1",
        "trust_region",
        "trust_region",
        _keeps_delta,
    ),
    "trpo_keeps_delta_on_fresh_pairs": Claim(
        "TRPO keeps its bound on pairs it has not seen, too",
        "first version",
        "mean KL on fresh pairs over δ",
        "1",
        "trust_region",
        "trust_region",
        _kl_on_fresh_pairs,
    ),
    "ppo_breaks_eps": Claim(
        "PPO's clipping does not keep ratios below 1 + ε",
        "Sec. 2.4 and the first version",
        "share of iterations with a ratio above 1 + ε on the update's own pairs",
        "1",
        "trust_region",
        "trust_region",
        _breaks_eps,
    ),
}
"""By name; the rule of each stands in the parameter file."""
