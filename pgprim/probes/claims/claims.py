"""The claims themselves: statements of the paper, and the effects by which they are judged."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from pgprim.probes.claims.judge import Claim, Strata, difference, kinds


def trained(ds: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
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
    enough = ds.sel(budget=ds.budget >= 2 * params["plot"]["regime"])
    if not enough.budget.size:
        return []
    return kinds(trained(enough.isel(budget=0)).truth_cosine_corrected.mean("iteration"))


def _value_error(ds: xr.Dataset, target: str, definition: str = "as_published") -> xr.DataArray:
    return ds.mre.sel(part="held_out", target=target, definition=definition)


def _gae_error(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    return kinds(trained(_value_error(ds, "gae")).mean("iteration"))


def _returns_error(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    return kinds(trained(_value_error(ds, "returns")).mean("iteration"))


def _returns_error_exact(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    return kinds(trained(_value_error(ds, "returns", "exact")).mean("iteration"))


def _returns_against_gae(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    ratio = _value_error(ds, "returns") / _value_error(ds, "gae")
    return kinds(np.log2(trained(ratio)).mean("iteration"))


def _baseline_gain(which: str) -> Callable[[xr.Dataset, Mapping[str, Any]], Strata]:
    """Mean gain in agreement at the largest budget."""

    def gain(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
        return kinds(trained(ds.cosine_difference.sel(difference=which).isel(budget=-1)).mean("iteration"))

    return gain


def _baseline_gain_at_regime(ds: xr.Dataset, params: Mapping[str, Any]) -> Strata:
    gain = at_regime(ds, params).cosine_difference.sel(difference="true-value")
    return kinds(trained(gain).mean("iteration"))


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
    "value_fits_its_targets": Claim(
        "Value networks fit the targets they are trained on, on fresh pairs too",
        "Sec. 2.2, Figs. 3, 12",
        "mean relative error to V_old + A_GAE on fresh pairs, as published",
        "1",
        "value",
        "fig3",
        _gae_error,
    ),
    "value_misses_returns": Claim(
        "Value networks are far off the returns, by about half",
        "Sec. 2.2, Figs. 3, 12",
        "mean relative error to returns on fresh pairs, as published",
        "1",
        "value",
        "fig3",
        _returns_error,
    ),
    "value_misses_exact_returns": Claim(
        "The same where returns are not cut and time limits are left out (our definition)",
        "Sec. 2.2, Figs. 3, 12",
        "mean relative error to returns on fresh pairs, exact",
        "1",
        "value",
        "fig3",
        _returns_error_exact,
    ),
    "value_misses_returns_by_far_more": Claim(
        "They are off the returns by far more than off their targets",
        "Sec. 2.2, Figs. 3, 12",
        "log₂ of the ratio of the two errors on fresh pairs, as published",
        "1",
        "value",
        "fig3",
        _returns_against_gae,
    ),
    "value_helps_agreement": Claim(
        "The agent's value network makes gradient estimates agree more than no baseline",
        "Sec. 2.2, Fig. 4",
        "gain in mean pairwise cosine at the largest budget",
        "1",
        "baselines",
        "fig4",
        _baseline_gain("value-zero"),
    ),
    "true_value_helps_more": Claim(
        "The true value function makes them agree more than the agent's",
        "Sec. 2.2, Fig. 4",
        "gain in mean pairwise cosine at the largest budget",
        "1",
        "baselines",
        "fig4",
        _baseline_gain("true-value"),
    ),
    "true_value_helps_little_at_2k": Claim(
        "With the pairs that training uses, the true value function would help little",
        "Sec. 2.2, Fig. 4",
        "gain in mean pairwise cosine at 2K pairs",
        "1",
        "baselines",
        "fig4",
        _baseline_gain_at_regime,
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
