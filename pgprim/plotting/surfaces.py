"""The true reward over a plane of parameters: at each point, smoothed, and how much of it is noise."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from pgprim.core.intervals import Interval
from pgprim.core.smoothing import moderated_se, smooth
from pgprim.core.surface_noise import noise_share


class Surface(NamedTuple):
    """The reward of one plane for one number of pairs or trajectories.

    Attributes:
        reward: Mean return at each point.
        se: Its standard error.
        num: Complete trajectories at each point.
        smoothed: The mean return, smoothed by a Gaussian process; NaN if no point has two trajectories.
        noise_share: Share of the variance over the surface that is noise.
    """

    reward: Float[np.ndarray, "alpha beta"]
    se: Float[np.ndarray, "alpha beta"]
    num: Float[np.ndarray, "alpha beta"]
    smoothed: Float[np.ndarray, "alpha beta"]
    noise_share: Interval


def reward_surface(ds: xr.Dataset, level: float, prefix: str = "") -> Surface:
    """The reward over one plane.

    Args:
        ds: One plane for one number of pairs, or of trajectories.
        level: Nominal coverage of the share of noise.
        prefix: Of the variables: `first_` for those of the first trajectories.
    """
    reward, se, num = (
        ds[f"{prefix}{name}"].transpose("alpha", "beta").values
        for name in ("reward", "reward_se", "num_trajectories")
    )
    smoothed = np.full_like(reward, np.nan)
    if (num > 1).any():
        axes = np.meshgrid(ds.alpha.values, ds.beta.values, indexing="ij")
        points = np.stack([axis.ravel() for axis in axes], axis=1)
        error = moderated_se(se.ravel(), np.nan_to_num(num.ravel()))
        smoothed = smooth(points, reward.ravel(), error).mean.reshape(reward.shape)
    halves = ds[f"{prefix}reward_half"].transpose("alpha", "beta", "half").values.reshape(-1, 2)
    return Surface(reward, se, num, smoothed, noise_share(halves, level))
