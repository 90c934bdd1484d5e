"""How much of a measured surface is noise, and how well two surfaces agree (Figs. 5-7, 13-20 as numbers)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import f as fisher
from scipy.stats import norm, rankdata

from pgprim.core.statistics import LARGEST_COSINE, Interval, jackknife

FEWEST_POINTS = 4
"""Fewer points than these give no interval."""


class Flatness(NamedTuple):
    """A test of the hypothesis that all points of a surface have the same expected reward.

    Attributes:
        statistic: Welch's F; about 1 where the surface is flat.
        p: Probability of a statistic at least as large if it is.
    """

    statistic: float
    p: float


def noise_share(halves: Float[np.ndarray, "point 2"], level: float) -> Interval:
    """Share of a surface's variance over its points that is noise of its measurement.

    With A and B the means of either half of a point's episodes, T = (A + B)/2 is the surface that is drawn and
    D = (A − B)/2 has its noise but nothing of its shape, so the share is Var D / Var T over the points. What all points
    have in common, as with common random numbers, moves neither. 1 says that the surface's shape is all noise; the
    estimate may exceed it. The interval, by a jackknife over the points on the scale of the logarithm, says how surely
    the share is known from so many.

    Args:
        halves: A and B of each point; points without them are left out.
        level: Nominal coverage.
    """
    known = halves[np.isfinite(halves).all(1)]
    if len(known) < FEWEST_POINTS:
        return Interval(np.nan, np.nan, np.nan)
    both, gap = known.sum(1) / 2, (known[:, 0] - known[:, 1]) / 2
    if not both.var() > 0:
        return Interval(np.nan, np.nan, np.nan)
    value = gap.var(ddof=1) / both.var(ddof=1)
    left_out = _var_leave_one_out(gap) / _var_leave_one_out(both)
    if not left_out.min() > 0:
        return Interval(float(value), np.nan, np.nan)
    _, low, high = np.exp(jackknife(np.log(value), np.log(left_out), level))
    return Interval(float(value), float(low), float(high))


def noise_variance(halves: Float[np.ndarray, "point 2"], level: float) -> Interval:
    """Variance of the noise that tells a surface's points apart, Var D of `noise_share`, in squared units of the reward."""
    known = halves[np.isfinite(halves).all(1)]
    if len(known) < FEWEST_POINTS:
        return Interval(np.nan, np.nan, np.nan)
    gap = (known[:, 0] - known[:, 1]) / 2
    return jackknife(gap.var(ddof=1), _var_leave_one_out(gap), level)


def flatness(
    mean: Float[np.ndarray, " point"], se: Float[np.ndarray, " point"], num: Float[np.ndarray, " point"]
) -> Flatness:
    """Welch's analysis of variance: can the rewards of a surface's points be told apart at all (Welch 1951)?

    Args:
        mean: Mean reward of each point; points without a positive standard error are left out.
        se: Its standard error.
        num: Number of episodes it is the mean of.
    """
    known = np.isfinite(mean) & (se > 0)
    points = int(known.sum())
    if points < 2:
        return Flatness(np.nan, np.nan)
    mean, weight, freedom = mean[known], se[known] ** -2.0, num[known] - 1
    share = weight / weight.sum()
    excess = (weight * np.square(mean - share @ mean)).sum() / (points - 1)
    spread = (np.square(1 - share) / freedom).sum() / (points**2 - 1)
    statistic = excess / (1 + 2 * (points - 2) * spread)
    return Flatness(float(statistic), float(fisher.sf(statistic, points - 1, 1 / (3 * spread))))


def rank_correlation(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"]) -> float:
    """Spearman's ρ over the points where both are known; NaN where either is constant."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def rank_correlation_of_sample(
    x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"], level: float
) -> Interval:
    """Spearman's ρ of independent pairs (x, y), with the interval of Bonett and Wright (2000).

    On the scale of artanh, with standard error √((1 + ρ²/2)/(n − 3)): what other pairs of the same kind would change.

    Args:
        x: One quantity of each pair.
        y: The other.
        level: Nominal coverage.
    """
    value, num = rank_correlation(x, y), int((np.isfinite(x) & np.isfinite(y)).sum())
    if num < FEWEST_POINTS or np.isnan(value):
        return Interval(value, np.nan, np.nan)
    return _around(value, np.sqrt((1 + value**2 / 2) / (num - 3)), level)


def rank_correlation_of_surface(
    x: Float[np.ndarray, " point"],
    y: Float[np.ndarray, " point"],
    se: Float[np.ndarray, " point"],
    level: float,
    rng: np.random.Generator,
    num_resamples: int = 500,
) -> Interval:
    """Spearman's ρ over a surface's fixed points, with an interval for the noise of y: what measuring it again would change.

    By a parametric bootstrap: how ρ varies when each y gets once more a normal error of its standard error. Noise draws ρ
    towards 0, and the interval is around the ρ of this much noise, not around that of none.

    Args:
        x: A quantity without noise at each point.
        y: A measured one.
        se: Its standard error; points without one are left out.
        level: Nominal coverage.
        rng: Source of the errors.
        num_resamples: How many times.
    """
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(se)
    x, y, se = x[known], y[known], se[known]
    value = rank_correlation(x, y)
    if len(x) < FEWEST_POINTS or np.isnan(value):
        return Interval(value, np.nan, np.nan)
    ranks = rankdata(y + se * rng.standard_normal((num_resamples, len(y))), axis=1)
    centred, fixed = ranks - ranks.mean(1, keepdims=True), rankdata(x) - (len(x) + 1) / 2
    again = centred @ fixed / np.sqrt(np.square(centred).sum(1) * np.square(fixed).sum())
    return _around(value, np.arctanh(np.clip(again, -LARGEST_COSINE, LARGEST_COSINE)).std(ddof=1), level)


def _around(value: float, spread: float, level: float) -> Interval:
    """A normal interval on the scale of artanh."""
    centre = np.arctanh(np.clip(value, -LARGEST_COSINE, LARGEST_COSINE))
    half = norm.ppf(0.5 + level / 2) * spread
    return Interval(value, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def _var_leave_one_out(values: Float[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
    """Unbiased variance without each of the values in turn."""
    n, centred = len(values), values - values.mean()
    squares = np.square(centred)
    return (squares.sum() - squares * n / (n - 1)) / (n - 2)
