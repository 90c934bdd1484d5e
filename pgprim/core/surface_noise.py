"""Noise of a measured reward surface (Figs. 5-7, 13-20): its variance, and its share of the surface's variance.

With A and B the means of the two halves of a point's episodes, T = (A + B)/2 is the measured surface, and D = (A −
B)/2 has the same noise but none of the shape. Errors that all points share, as with common random numbers, do not
change either variance.
"""

import numpy as np
from jaxtyping import Float

from pgprim.core.intervals import UNKNOWN, Interval, jackknife_positive

FEWEST_POINTS = 4
"""Fewer points than these give no interval: a variance without one of three has a single degree of freedom."""


def noise_share(halves: Float[np.ndarray, "point 2"], level: float) -> Interval:
    """Share of a surface's variance over its points that is measurement noise, Var D / Var T.

    1 means that the shape of the surface is all noise; the estimate may exceed 1. The interval is a jackknife over
    the points, on a log scale.

    Args:
        halves: A and B of each point; points without them are left out.
        level: Nominal coverage.
    """
    gap, both = _gap_and_mean(halves)
    if len(gap) < FEWEST_POINTS or not both.var() > 0:
        return UNKNOWN
    value = gap.var(ddof=1) / both.var(ddof=1)
    return jackknife_positive(value, _var_leave_one_out(gap) / _var_leave_one_out(both), level)


def noise_variance(halves: Float[np.ndarray, "point 2"], level: float) -> Interval:
    """Variance of the independent noise of a surface's points, Var D, in squared units of the reward.

    Args:
        halves: A and B of each point; points without them are left out.
        level: Nominal coverage.
    """
    gap, _ = _gap_and_mean(halves)
    if len(gap) < FEWEST_POINTS:
        return UNKNOWN
    return jackknife_positive(gap.var(ddof=1), _var_leave_one_out(gap), level)


def _gap_and_mean(
    halves: Float[np.ndarray, "point 2"],
) -> tuple[Float[np.ndarray, " measured"], Float[np.ndarray, " measured"]]:
    """D and T of the points that were measured."""
    measured = halves[np.isfinite(halves).all(1)]
    return (measured[:, 0] - measured[:, 1]) / 2, measured.sum(1) / 2


def _var_leave_one_out(values: Float[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
    """Unbiased variance without each of the values in turn."""
    n, centred = len(values), values - values.mean()
    squares = np.square(centred)
    return (squares.sum() - squares * n / (n - 1)) / (n - 2)
