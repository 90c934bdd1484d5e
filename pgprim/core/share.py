"""Shares of independent cases, with exact intervals."""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import beta

from pgprim.core.intervals import Interval


def share(count: int, total: int, level: float) -> Interval:
    """Share of cases with Clopper and Pearson's interval, whose coverage is at least nominal for every true share.

    Args:
        count: Cases that are counted.
        total: All cases, independent of each other.
        level: Least coverage.
    """
    if total == 0:
        return Interval(np.nan, 0.0, 1.0)
    low = beta.ppf(0.5 - level / 2, count, total - count + 1) if count > 0 else 0.0
    high = beta.ppf(0.5 + level / 2, count + 1, total - count) if count < total else 1.0
    return Interval(count / total, float(low), float(high))


def performance_profile(
    scores: Float[np.ndarray, " run"], thresholds: Float[np.ndarray, " threshold"], level: float
) -> Float[np.ndarray, "threshold 3"]:
    """Share of runs that score above each threshold (Agarwal et al. 2021), with pointwise exact intervals.

    Runs of several tasks may be pooled, with equally many of each: the number above a threshold then varies less than
    a binomial number of the same mean (Hoeffding 1956), so the interval is conservative. The usual bootstrap has
    width 0 at thresholds where all runs are above or all below.

    Args:
        scores: Of independent runs; NaN counts as above no threshold.
        thresholds: In the unit of the scores.
        level: Nominal coverage at each threshold.

    Returns:
        Value, low and high at each threshold.
    """
    counts: Int[np.ndarray, " threshold"] = (scores > thresholds[:, None]).sum(1)
    return np.array([share(int(count), len(scores), level) for count in counts])
