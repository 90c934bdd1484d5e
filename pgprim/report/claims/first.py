"""The first edition's claims and rules, kept so that the effect of changing the rules is visible.

Each claim averages its effect over all tasks and algorithms, so that one task can dominate the mean; the second
edition judges tasks separately. These claims use the second edition's data and the first edition's bounds.
"""

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from pgprim.plotting.choose import trained
from pgprim.report.claims.claim import (
    SLACK,
    Claim,
    Evidence,
    Params,
    Results,
    Strata,
    at_budget,
    common_budget,
    mean_evidence,
    probed,
    strata_of,
)

CLEAR = 0.5
"""Smallest ceiling (the highest correlation that noise allows) at which a rank correlation is used."""


def _agreement(ds: xr.Dataset, params: Params) -> Strata:
    return _kinds(trained(at_budget(ds, params)).cosine.mean("iteration"))


def _agreement_lost(ds: xr.Dataset, params: Params) -> Strata:
    cosine = at_budget(ds, params).cosine
    return _kinds(cosine.isel(iteration=-1) - cosine.isel(iteration=0))


def _agreement_of_tasks(ds: xr.Dataset, params: Params) -> Strata:
    return _difference(at_budget(ds, params).cosine.mean("iteration"), "humanoid", "hopper")


def _near_truth(ds: xr.Dataset, params: Params) -> Strata:
    enough = ds.sel(budget=ds.budget >= 2 * params["plot"]["budget"])
    if not enough.budget.size:
        return []
    return _kinds(trained(enough.isel(budget=0)).truth_cosine_corrected.mean("iteration"))


def _errors(ds: xr.Dataset, params: Params, definition: str = "as_text") -> xr.DataArray:
    """Value errors of the algorithms that the paper shows, on fresh pairs."""
    return trained(probed(ds, params).mre.sel(part="held_out", definition=definition))


def _gae_error(ds: xr.Dataset, params: Params) -> Strata:
    return _kinds(_errors(ds, params).sel(target="gae").mean("iteration"))


def _returns_error(ds: xr.Dataset, params: Params) -> Strata:
    return _kinds(_errors(ds, params).sel(target="returns").mean("iteration"))


def _returns_error_exact(ds: xr.Dataset, params: Params) -> Strata:
    return _kinds(_errors(ds, params, "exact").sel(target="returns").mean("iteration"))


def _returns_against_gae(ds: xr.Dataset, params: Params) -> Strata:
    errors = _errors(ds, params)
    return _kinds(np.log2(errors.sel(target="returns") / errors.sel(target="gae")).mean("iteration"))


def _baseline_gain(which: str) -> Callable[[xr.Dataset, Params], Strata]:
    """Mean gain in agreement at the largest budget."""

    def gain(ds: xr.Dataset, params: Params) -> Strata:
        return _kinds(trained(ds.cosine_difference.sel(difference=which).isel(budget=-1)).mean("iteration"))

    return gain


def _baseline_gain_at_budget(ds: xr.Dataset, params: Params) -> Strata:
    gain = at_budget(ds, params).cosine_difference.sel(difference="true-value")
    return _kinds(trained(gain).mean("iteration"))


def _keeps_delta(ds: xr.Dataset, params: Params) -> Strata:
    trpo = ds.sel(algo=ds.algo == "trpo", part="train")
    return _kinds((trpo.kl_mean <= trpo.delta * (1 + SLACK)).mean("iteration"))


def _kl_on_fresh_pairs(ds: xr.Dataset, params: Params) -> Strata:
    trpo = ds.sel(algo=ds.algo == "trpo", part="held_out")
    return _kinds((trpo.kl_mean / trpo.delta).mean("iteration"))


def _breaks_eps(ds: xr.Dataset, params: Params) -> Strata:
    ppo = ds.sel(algo=ds.algo == "ppo", part="train")
    return _kinds((ppo.ratio_max > ppo.ratio_bound).mean("iteration"))


def _ppo_m_beyond_delta(ds: xr.Dataset, params: Params) -> Strata:
    """PPO-M has no δ of its own: TRPO's δ of the task is used."""
    if not {"ppo_m", "trpo"} <= set(ds.algo.values):
        return []
    ppo_m, delta = ds.sel(algo=["ppo_m"], part="train"), ds.delta.sel(algo="trpo", drop=True)
    return _kinds((ppo_m.kl_mean > delta).where(delta.notnull()).mean("iteration"))


def _ppo_m_kl_growth(ds: xr.Dataset, params: Params) -> Strata:
    kl = ds.kl_mean.sel(algo=ds.algo == "ppo_m", part="train")
    quarter = max(1, kl.iteration.size // 4)
    first, last = kl.isel(iteration=slice(quarter)), kl.isel(iteration=slice(-quarter, None))
    return _kinds(np.log2(last.mean("iteration") / first.mean("iteration")))


def _over_kinds(values: xr.DataArray) -> Strata:
    """One number per task and algorithm as one array, so that intervals are between kinds of agents.

    Landscapes have one agent of each kind, so there is no spread over seeds.
    """
    return [values.mean([dim for dim in values.dims if dim not in ("task", "algo")]).values.ravel()]


def _noise_at_budget(ds: xr.Dataset, params: Params) -> Strata:
    return _over_kinds(trained(at_budget(ds, params).noise_share.sel(kind="few")))


def _noise_at_most(ds: xr.Dataset, params: Params) -> Strata:
    measured = ds.noise_share.sel(kind="few").dropna("budget", how="all")
    return _over_kinds(trained(measured.sel(budget=common_budget(measured)))) if measured.budget.size else []


def _correlation(
    kind: str, algos: tuple[str, ...], is_trained: bool
) -> Callable[[xr.Dataset, Params], Strata]:
    """Rank correlation of surrogate and reward, corrected for noise, where the noise is small enough."""

    def correlation(ds: xr.Dataset, params: Params) -> Strata:
        planes = ds.sel(kind=kind, algo=ds.algo.isin(algos), iteration=(ds.iteration > 0) == is_trained)
        corrected = (
            (planes.plane_correlation / planes.plane_ceiling).clip(-1, 1).where(planes.plane_ceiling >= CLEAR)
        )
        return _over_kinds(corrected)

    return correlation


def _all_choices(ds: xr.Dataset, params: Params) -> Strata:
    """Final return with all switches on minus that with all off, of each seed that did not choose learning rates."""
    num, reported = ds.switch.size, ~ds.seed.isin(params["ablation"]["choose"])
    on, off = (
        ds.final_return.sel(cell=digit * num).sel(rate=ds.best_rate.sel(cell=digit * num)) for digit in "10"
    )
    return list((on - off).sel(seed=reported).transpose("task", "seed").values)


def _kinds(values: xr.DataArray) -> Strata:
    """One array of agents per task and algorithm, from values over (task, algo, seed)."""
    return [agents for task in values.task.values for agents in strata_of(values, task)]


def _difference(values: xr.DataArray, more: str, less: str) -> Strata:
    """As `_kinds`, with the difference between two tasks as mean; empty without both."""
    if not {more, less} <= set(values.task.values):
        return []
    return _kinds(2 * values.sel(task=[more])) + _kinds(-2 * values.sel(task=[less]))


def _first(
    statement: str,
    source: str,
    effect: str,
    reads: str,
    figure: str,
    strata: Callable[[xr.Dataset, Params], Strata],
    units: str = "1",
) -> Claim:
    """A claim with one row: the mean over kinds of agents."""

    def evidence(results: Results, params: Params, level: float) -> Iterator[Evidence]:
        yield mean_evidence("", "", strata(results[reads], params), level)

    return Claim(statement, source, effect, (reads,), {"": figure}, evidence, units)


GRADIENTS = {
    "agreement_is_poor": _first(
        "With the pairs that training uses per iteration, gradient estimates of trained agents hardly agree",
        "Sec. 2.1, Fig. 1",
        "mean pairwise cosine at 2K pairs, checkpoints after 0",
        "gradient",
        "fig1",
        _agreement,
    ),
    "agreement_falls_with_training": _first(
        "Estimates agree less the longer an agent has been trained",
        "Sec. 2.1, Fig. 1",
        "mean pairwise cosine at 2K pairs, last checkpoint minus first",
        "gradient",
        "fig1",
        _agreement_lost,
    ),
    "agreement_falls_with_task": _first(
        "Estimates agree less on harder tasks",
        "Sec. 2.1, Figs. 1 and 9",
        "mean pairwise cosine at 2K pairs, Humanoid minus Hopper",
        "gradient",
        "fig9",
        _agreement_of_tasks,
    ),
    "truth_needs_more_pairs": _first(
        "An estimate near the true gradient takes several times more pairs than training uses",
        "Sec. 2.1, Fig. 2",
        "cosine to the true gradient, corrected for the truth's noise, at the smallest budget of at least twice 2K pairs",
        "gradient",
        "fig2",
        _near_truth,
    ),
}

VALUES = {
    "value_fits_its_targets": _first(
        "Value networks fit their training targets, also on fresh pairs",
        "Sec. 2.2, Figs. 3, 12",
        "mean relative error against V_old + A_GAE on fresh pairs, by the paper's formula",
        "value",
        "fig3",
        _gae_error,
    ),
    "value_misses_returns": _first(
        "Value networks have a relative error of about one half against returns",
        "Sec. 2.2, Figs. 3, 12",
        "mean relative error against returns on fresh pairs, by the paper's formula",
        "value",
        "fig3",
        _returns_error,
    ),
    "value_misses_exact_returns": _first(
        "Value networks have a large error also against uncut returns without time limits (our definition)",
        "Sec. 2.2, Figs. 3, 12",
        "mean relative error against uncut returns on fresh pairs",
        "value",
        "fig3",
        _returns_error_exact,
    ),
    "value_misses_returns_by_far_more": _first(
        "Value networks have a much larger error against returns than against their targets",
        "Sec. 2.2, Figs. 3, 12",
        "log₂ of the ratio of the two errors on fresh pairs, by the paper's formula",
        "value",
        "fig3",
        _returns_against_gae,
    ),
    "value_helps_agreement": _first(
        "Gradient estimates agree more with the agent's value network as baseline than without a baseline",
        "Sec. 2.2, Fig. 4",
        "gain in mean pairwise cosine at the largest budget",
        "baselines",
        "fig4",
        _baseline_gain("value-zero"),
    ),
    "true_value_helps_more": _first(
        "Gradient estimates agree more with the true value function as baseline than with the agent's",
        "Sec. 2.2, Fig. 4",
        "gain in mean pairwise cosine at the largest budget",
        "baselines",
        "fig4",
        _baseline_gain("true-value"),
    ),
    "true_value_helps_little_at_2k": _first(
        "With the pairs that training uses, the true value function would increase agreement only a little",
        "Sec. 2.2, Fig. 4",
        "gain in mean pairwise cosine at 2K pairs",
        "baselines",
        "fig4",
        _baseline_gain_at_budget,
    ),
}

TRUST_REGIONS = {
    "trpo_keeps_delta": _first(
        "TRPO keeps its bound on the mean KL divergence",
        "Sec. 2.4 and the first version",
        "share of iterations with mean KL ≤ δ on the update's own pairs",
        "trust_region",
        "trust_region",
        _keeps_delta,
    ),
    "trpo_keeps_delta_on_fresh_pairs": _first(
        "TRPO keeps its bound also on fresh pairs",
        "first version",
        "mean KL on fresh pairs over δ",
        "trust_region",
        "trust_region",
        _kl_on_fresh_pairs,
    ),
    "ppo_breaks_eps": _first(
        "PPO's clipping does not keep ratios below 1 + ε",
        "Sec. 2.4 and the first version",
        "share of iterations with a ratio above 1 + ε on the update's own pairs",
        "trust_region",
        "trust_region",
        _breaks_eps,
    ),
    "ppo_m_breaks_delta": _first(
        "PPO's clipping alone (PPO-M) does not keep TRPO's bound on the mean KL divergence",
        "Sec. 2.4 and the first version",
        "share of iterations with mean KL above the task's δ on the update's own pairs, PPO-M",
        "trust_region",
        "trust_region",
        _ppo_m_beyond_delta,
    ),
    "ppo_m_kl_grows": _first(
        "The mean KL divergence of PPO-M's updates grows during training",
        "first version and the talk",
        "log₂ of PPO-M's mean KL in the last quarter of the iterations over that in the first",
        "trust_region",
        "trust_region",
        _ppo_m_kl_growth,
    ),
}

LANDSCAPES = {
    "reward_is_noise_at_2k": _first(
        "With the pairs that training uses, measured rewards do not separate good from bad steps",
        "Sec. 2.3, Figs. 5, 19, 20",
        "share of noise in the reward's variance over the plane at 2K pairs per point, checkpoints after 0",
        "alignment",
        "alignment",
        _noise_at_budget,
    ),
    "reward_is_clear_with_more": _first(
        "With many times more pairs than training uses, measured rewards separate good from bad steps",
        "Sec. 2.3, Figs. 5, 19, 20",
        "share of noise in the reward's variance over the plane at the most pairs per point, checkpoints after 0",
        "alignment",
        "alignment",
        _noise_at_most,
    ),
    "surrogate_aligns_at_first": _first(
        "Surrogate and reward agree around untrained agents",
        "Sec. 2.3, Figs. 13-18",
        "rank correlation over the plane of a step from 2K pairs, corrected for the reward's noise, checkpoint 0",
        "alignment",
        "alignment",
        _correlation("few", ("ppo", "trpo"), is_trained=False),
    ),
    "surrogate_misaligns_later": _first(
        "Surrogate and reward do not agree around trained agents",
        "Sec. 2.3, Figs. 6, 7, 13-18",
        "rank correlation over the plane of a step from 2K pairs, corrected for the reward's noise, checkpoints after 0",
        "alignment",
        "alignment",
        _correlation("few", ("ppo", "trpo"), is_trained=True),
    ),
    "trpo_aligns_with_many_pairs": _first(
        "TRPO's surrogate agrees with the reward for steps made from many pairs",
        "Sec. 2.3, Figs. 6, 14, 16, 18",
        "rank correlation over the plane of a step from many pairs, corrected for the reward's noise, checkpoints after 0",
        "alignment",
        "alignment",
        _correlation("many", ("trpo",), is_trained=True),
    ),
    "ppo_misaligns_with_many_pairs": _first(
        "PPO's surrogate does not agree with the reward, even for steps made from many pairs",
        "Sec. 2.3, Figs. 7, 13, 15, 17",
        "rank correlation over the plane of a step from many pairs, corrected for the reward's noise, checkpoints after 0",
        "alignment",
        "alignment",
        _correlation("many", ("ppo",), is_trained=True),
    ),
}

TRAINING = {
    "choices_matter": _first(
        "PPO's implementation choices matter for its return",
        "first version",
        "final return with reward normalisation, orthogonal weights, annealing and value clipping minus without, "
        "each at its best learning rate",
        "ablation",
        "ablation",
        _all_choices,
        units="reward",
    ),
}

FIRST_CLAIMS = {
    "gradients": GRADIENTS,
    "values": VALUES,
    "landscapes": LANDSCAPES,
    "trust_regions": TRUST_REGIONS,
    "training": TRAINING,
}
"""By section, then by name; the rule of each stands in the parameter file under `claims.first_rules`."""
