"""Means of groups with different variances: their difference (Welch 1947), and whether any differ (Welch 1951)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import f as fisher
from scipy.stats import t as student

from pgprim.core.intervals import Interval


class Omnibus(NamedTuple):
    """A test of the hypothesis that all groups have the same mean.

    Attributes:
        statistic: Welch's F; about 1 under the hypothesis.
        p: Probability of a statistic at least as large under the hypothesis.
    """

    statistic: float
    p: float


def welch_anova(
    mean: Float[np.ndarray, " group"], se: Float[np.ndarray, " group"], num: Float[np.ndarray, " group"]
) -> Omnibus:
    """Welch's test from each group's mean and standard error; groups may have different variances.

    Two uses: whether a surface is flat (groups are its points, values their episodes' returns), and whether
    implementation choices matter (groups are the cells of the design, values their runs' final returns).

    Args:
        mean: Mean of each group; groups without a positive standard error are left out.
        se: Its standard error.
        num: Number of values it is the mean of.
    """
    measured = np.isfinite(mean) & (se > 0)
    groups = int(measured.sum())
    if groups < 2:
        return Omnibus(np.nan, np.nan)
    mean, weight, freedom = mean[measured], se[measured] ** -2.0, num[measured] - 1
    share = weight / weight.sum()
    excess = (weight * np.square(mean - share @ mean)).sum() / (groups - 1)
    spread = (np.square(1 - share) / freedom).sum() / (groups**2 - 1)
    statistic = excess / (1 + 2 * (groups - 2) * spread)
    return Omnibus(float(statistic), float(fisher.sf(statistic, groups - 1, 1 / (3 * spread))))


def welch_interval(
    one: Float[np.ndarray, " value"], other: Float[np.ndarray, " other_value"], level: float
) -> Interval:
    """Mean of one group minus that of another, with Student's interval at Satterthwaite's degrees of freedom.

    Args:
        one: Independent values.
        other: Independent values, of any other variance.
        level: Nominal coverage.

    Returns:
        The difference; NaN ends where a group has fewer than two values or neither varies.
    """
    if not (len(one) and len(other)):
        return Interval(np.nan, np.nan, np.nan)
    value = float(one.mean() - other.mean())
    if min(len(one), len(other)) < 2:
        return Interval(value, np.nan, np.nan)
    squares = np.array([group.var(ddof=1) / len(group) for group in (one, other)])
    if not squares.any():
        return Interval(value, np.nan, np.nan)
    freedom = squares.sum() ** 2 / (np.square(squares) / [len(one) - 1, len(other) - 1]).sum()
    half = float(student.ppf(0.5 + level / 2, freedom) * np.sqrt(squares.sum()))
    return Interval(value, value - half, value + half)
