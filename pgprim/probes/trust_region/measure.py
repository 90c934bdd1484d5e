"""Size of each policy update: closed-form KL divergence and the ratios of Eq. 18.

Measured on the update's own pairs, on which the algorithm's bounds hold, and on held-out pairs of the same policy.
The numbers of pairs are equal, because a maximum grows with the sample.
"""

import json

import numpy as np
import xarray as xr

from pgprim.core.episodes import complete_episodes
from pgprim.experience.train import CLIP_RANGE
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import label

ESTIMATES = {
    "return_mean": ("mean episode return", "reward"),
    "kl_mean": ("mean KL(old ‖ new) over states", "nat"),
    "kl_max": ("largest KL(old ‖ new) of a state", "nat"),
    "kl_of_mean": ("part of the mean KL that μ makes", "nat"),
    "kl_of_sigma": ("part of the mean KL that σ makes", "nat"),
    "ratio_max": ("largest ratio ρ", "1"),
    "ratio_q99": ("99 % quantile of the ratio ρ", "1"),
    "ratio_q50": ("median of the ratio ρ", "1"),
    "ratio_q01": ("1 % quantile of the ratio ρ", "1"),
    "clip_fraction": (f"share of pairs with |ρ − 1| > {CLIP_RANGE}", "1"),
    "delta": ("TRPO's bound δ on the mean KL", "nat"),
    "ratio_bound": ("PPO's bound 1 + ε on the ratio", "1"),
}
"""Long name and unit. A bound is not a number where an algorithm has none."""


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: one number per agent, iteration and part (the update's own pairs, or held-out ones).

    Args:
        inputs: Re-run iterations of training; the first T pairs of each stream are used.
        params: Empty.
    """
    rerun = inputs.rerun
    settings = json.loads(rerun.attrs["settings"])
    pairs = rerun.isel(t=slice(0, settings["pairs"]))
    dims = ("seed", "iteration", "part")
    kl_of_mean = pairs.kl_of_mean.transpose(*dims, "t").values
    kl_of_sigma = pairs.kl_of_sigma.transpose(*dims[:2]).values[..., None]
    with np.errstate(over="ignore"):  # the largest ratio of a diverged policy is infinite
        ratio = np.exp((pairs.log_prob_new - pairs.log_prob_old).transpose(*dims, "t").values)
    numbers = {
        "return_mean": _mean_returns(pairs.transpose(*dims, "t", ...)),
        "kl_mean": kl_of_mean.mean(-1) + kl_of_sigma,
        "kl_max": kl_of_mean.max(-1) + kl_of_sigma,
        "kl_of_mean": kl_of_mean.mean(-1),
        "kl_of_sigma": np.broadcast_to(kl_of_sigma, kl_of_mean.shape[:3]),
        "ratio_max": ratio.max(-1),
        **{f"ratio_q{100 * share:02.0f}": np.quantile(ratio, share, axis=-1) for share in (0.99, 0.5, 0.01)},
        "clip_fraction": (np.abs(ratio - 1) > CLIP_RANGE).mean(-1),
    }
    variables = {name: (dims, values) for name, values in numbers.items()}
    eps = settings.get("eps")
    bounds = {"delta": settings.get("delta"), "ratio_bound": None if eps is None else 1 + eps}
    variables |= {name: ((), np.nan if bound is None else bound) for name, bound in bounds.items()}
    coords = {name: rerun[name].values for name in dims}
    where = {name: rerun.attrs[name] for name in ("task", "algo")}
    return Measured(label(variables, ESTIMATES, coords, where=where))


def _mean_returns(pairs: xr.Dataset) -> np.ndarray:
    """Mean undiscounted return of the episodes that ended within each stream, NaN where none did."""
    rew, ended = pairs.rew.values, (pairs.terminated | pairs.truncated).values.astype(bool)
    means = np.full(rew.shape[:3], np.nan)
    for place in np.ndindex(means.shape):
        ret = complete_episodes(rew[place], ended[place]).ret
        if ret.size:
            means[place] = ret.mean()
    return means
