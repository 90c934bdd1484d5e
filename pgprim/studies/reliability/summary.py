"""Statistics of the figure `reliability`: repeated runs, step sizes, perturbed tasks, and predictors of returns.

All intervals are between agents. Tasks and algorithms are strata, not random draws.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float

from pgprim.core.correlation import spearman
from pgprim.core.final_return import final_return
from pgprim.core.interquartile_mean import interquartile_mean
from pgprim.core.interval_arrays import intervals_over, mean_intervals
from pgprim.core.intervals import Interval
from pgprim.core.seeding import generator
from pgprim.core.share import performance_profile
from pgprim.core.welch import welch_interval
from pgprim.core.within_kinds import pooled_spearman, relative_difference
from pgprim.plotting.published import PUBLISHED_RETURN, Published, published_returns
from pgprim.store.labelled import label, stack_values
from pgprim.store.records import LABELS
from pgprim.studies.reliability.seeds import DESCRIBED as OF_SEEDS
from pgprim.studies.reliability.seeds import PRIMITIVES

THRESHOLDS = 101
"""Points of a performance profile."""

KIND = ("task", "algo")

DESCRIBED = {
    **OF_SEEDS,
    "return_iqm": ("interquartile mean of the final return over seeds", "reward"),
    "difference": ("mean difference of two seeds' final returns over their mean", "1"),
    "profile": ("share of seeds whose final return is above the threshold", "1"),
    "profile_at": ("final return", "reward"),
    "score": ("final return over the highest published one of the task", "1"),
    "score_iqm": ("interquartile mean of the score over seeds and tasks", "1"),
    "score_profile": ("share of seeds and tasks whose score is above the threshold", "1"),
    "score_profile_at": ("final return / published", "1"),
    "published": PUBLISHED_RETURN,
    "threshold": ("number of a threshold of a performance profile", "1"),
    "tuned_return": ("final return with another step size", "reward"),
    "tuned_iqm": ("interquartile mean of the final return over seeds", "reward"),
    "tuned_change": ("mean final return less that with the task's own step size", "reward"),
    "tuned_difference": ("mean difference of two seeds' final returns over their mean", "1"),
    "multiple": LABELS["multiple"],
    "correlation": ("rank correlation of a primitive with the final return over seeds", "1"),
    "pooled": ("rank correlation of a primitive with the final return within all kinds of agents", "1"),
    "num_seeds": ("seeds of which both are known", "1"),
    "primitive": ("what was measured of the agents", "1"),
}
"""Long name and unit."""


def repeated_runs(ds: xr.Dataset, published: Published, level: float) -> xr.Dataset:
    """Distributions, performance profiles and interquartile means of trained agents' final returns.

    A score is a return over the highest published one of its task, so that tasks share a scale; it is NaN if no
    return is published. The bootstrap of interquartile means resamples seeds within tasks; intervals of profiles are
    exact at each threshold.

    Args:
        ds: `seed_return`, over task, algorithm and seed.
        published: `plot.published`.
        level: Nominal coverage.
    """
    returns = ds.seed_return.transpose(*KIND, "seed")
    tasks, algos = returns.task.values.tolist(), returns.algo.values.tolist()
    best = np.array([max(published.get(task, {}).values(), default=np.nan) for task in tasks])
    scores = returns.values / best[:, None, None]
    at, score_at = np.stack([thresholds(one) for one in returns.values]), thresholds(scores)
    profiles = [[_profile(one, at[k], level) for one in row] for k, row in enumerate(returns.values)]
    rng, strata = generator("reliability", "runs"), scores.swapaxes(0, 1)
    numbers = {
        "seed_return": ((*KIND, "seed"), returns.values),
        "return_iqm": (
            KIND,
            intervals_over(returns.values, lambda one: interquartile_mean([one], level, rng)),
        ),
        "difference": (KIND, intervals_over(returns.values, lambda one: relative_difference(one, level))),
        "profile": ((*KIND, "threshold"), stack_values(profiles)),
        "profile_at": (("task", "threshold"), at),
        "score": ((*KIND, "seed"), scores),
        "score_iqm": (("algo",), stack_values([interquartile_mean(list(one), level, rng) for one in strata])),
        "score_profile": (
            ("algo", "threshold"),
            stack_values([_profile(one, score_at, level) for one in strata]),
        ),
        "score_profile_at": (("threshold",), score_at),
        "published": (KIND, published_returns(published, tasks, algos)),
    }
    coords = {"task": tasks, "algo": algos, "seed": returns.seed.values, "threshold": range(THRESHOLDS)}
    return label(numbers, DESCRIBED, coords, {"level": level})


def step_sizes(ds: xr.Dataset, share: float, level: float) -> xr.Dataset:
    """Final returns against the step size.

    Args:
        ds: `return_mean` and `diverged`, of the study's runs.
        share: Share of the iterations whose mean return is the final return.
        level: Nominal coverage.
    """
    dims = (*KIND, "multiple")
    ds = ds.transpose(*dims, "seed", "iteration")
    finals = final_return(ds.return_mean.values, ds.diverged.values == 1, share)
    rng, own = generator("reliability", "steps"), ds.multiple.values.tolist().index(1)
    pairs = np.stack(np.broadcast_arrays(finals, finals[:, :, own, None]), -2)
    numbers = {
        "tuned_return": ((*dims, "seed"), finals),
        "tuned_iqm": (dims, intervals_over(finals, lambda one: interquartile_mean([one], level, rng))),
        "tuned_change": (
            dims,
            intervals_over(pairs, lambda both: welch_interval(*map(finite, both), level), axes=2),
        ),
        "tuned_difference": (dims, intervals_over(finals, lambda one: relative_difference(one, level))),
    }
    coords = {name: ds[name].values for name in (*dims, "seed")}
    return label(numbers, DESCRIBED, coords, {"level": level})


def perturbed_tasks(ds: xr.Dataset, level: float) -> xr.Dataset:
    """Return in perturbed tasks relative to the unperturbed task: of each agent, and the mean over seeds.

    Args:
        ds: `scaled_retained` and `noisy_retained`, of one checkpoint of each agent.
        level: Nominal coverage.
    """
    numbers, coords, described = {}, {}, {}
    for kind in ("scaled", "noisy"):
        array = ds[f"{kind}_retained"].transpose(*KIND, ..., "seed")
        dims = array.dims[:-1]
        numbers[f"{kind}_retained"] = (array.dims, array.values)
        numbers[f"{kind}_mean"] = (dims, mean_intervals(array.values, level))
        words = "share of its return that an agent keeps in a perturbed task"
        described |= {f"{kind}_retained": (words, "1"), f"{kind}_mean": (f"{words}, mean over seeds", "1")}
        coords |= {name: array[name].values for name in array.dims}
        described |= {name: (array[name].attrs["long_name"], "1") for name in dims[2:]}
    return label(numbers, described, coords, {"level": level})


def relations(ds: xr.Dataset, level: float) -> xr.Dataset:
    """Rank correlations of primitives with final returns over the seeds of each kind, and pooled within kinds.

    Args:
        ds: What `seeds.relate_seeds` gives.
        level: Nominal coverage.
    """
    ds = ds.transpose(*KIND, "seed")
    both = [np.stack([ds[name].values, ds.seed_return.values], -2) for name in PRIMITIVES]
    kinds = [one.reshape(-1, 2, ds.seed.size).swapaxes(0, 1) for one in both]
    numbers = {
        "correlation": (
            ("primitive", *KIND),
            intervals_over(np.stack(both), lambda one: spearman(*one, level), axes=2),
        ),
        "pooled": (
            ("primitive",),
            stack_values([pooled_spearman(*map(list, one), level) for one in kinds]),
        ),
        "num_seeds": (("primitive", *KIND), np.isfinite(both).all(-2).sum(-1)),
        **{name: ((*KIND, "seed"), ds[name].values) for name in PRIMITIVES},
    }
    coords = {"primitive": list(PRIMITIVES.values())} | {name: ds[name].values for name in (*KIND, "seed")}
    return label(numbers, DESCRIBED, coords, {"level": level})


def finite(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, " finite"]:
    """The values that are numbers, in one row."""
    return values[np.isfinite(values)]


def thresholds(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, " threshold"]:
    """Equally spaced thresholds from 0, or the least value if that is negative, to just above the largest value."""
    numbers = finite(values)
    if not numbers.size:
        return np.full(THRESHOLDS, np.nan)
    return np.linspace(min(0.0, numbers.min()), numbers.max() + 0.02 * np.abs(numbers).max(), THRESHOLDS)


def _profile(scores: Float[np.ndarray, "..."], at: Float[np.ndarray, " threshold"], level: float) -> Interval:
    numbers = finite(scores)
    if not numbers.size:
        return Interval(*np.full((3, THRESHOLDS), np.nan))
    return Interval(*performance_profile(numbers, at, level).T)
