"""Intervals of a statistic at each place of an array, as an interval whose value and ends are arrays."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from pgprim.core.intervals import Interval, t_interval


def intervals_over(
    values: Float[np.ndarray, "..."], statistic: Callable[[np.ndarray], Interval], axes: int = 1
) -> Interval:
    """Apply a statistic over the last axes, at each index of the others.

    Args:
        values: Numbers; the last axes are, for example, seeds.
        statistic: From an array over the last axes to a value with its interval.
        axes: Number of the last axes that the statistic takes.

    Returns:
        Value and ends as arrays over the remaining axes.
    """
    shape = values.shape[:-axes]
    rows = np.array([statistic(values[place]) for place in np.ndindex(shape)], np.float64)
    return Interval(*(rows[:, end].reshape(shape) for end in range(3)))


def mean_intervals(values: Float[np.ndarray, "*place repeat"], level: float) -> Interval:
    """Means over the last axis with Student's t intervals (`t_interval`), of the values that are finite.

    Args:
        values: Independent repeats along the last axis, such as seeds; NaN where there is none.
        level: Nominal coverage.
    """
    return intervals_over(values, lambda repeats: t_interval(repeats[np.isfinite(repeats)], level))
