"""Correlations with intervals on Fisher's scale, which stay within −1 ... 1."""

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, rankdata

from pgprim.core.intervals import UNKNOWN, Interval, fisher_interval, stretch

FEWEST_POINTS = 4
"""Fisher's z has variance 1/(n − 3): fewer points give no interval."""


def spearman(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"], level: float) -> Interval:
    """Spearman's ρ of independent pairs (x, y), with the interval of Bonett and Wright (2000).

    The interval is on Fisher's scale, with standard error √((1 + ρ²/2)/(n − 3)). It covers the sampling of pairs.

    Args:
        x: One quantity of each pair; pairs that are not finite are left out.
        y: The other.
        level: Nominal coverage.
    """
    x, y = _finite(x, y)
    value = rank_correlation(x, y)
    se = np.sqrt((1 + value**2 / 2) / (len(x) - 3)) if len(x) >= FEWEST_POINTS else np.nan
    return fisher_interval(value, norm.ppf(0.5 + level / 2) * se)


def rank_correlation(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"]) -> float:
    """Spearman's ρ over the points where both are finite; NaN where either is constant."""
    x, y = _finite(x, y)
    return _correlate(rankdata(x), rankdata(y))


def column_rank_correlation(
    x: Float[np.ndarray, "column point"],
    y: Float[np.ndarray, "column point"],
    se: Float[np.ndarray, "column point"],
    level: float,
    rng: np.random.Generator,
    num_resamples: int = 500,
) -> Interval:
    """Mean over columns of Spearman's ρ within each, with an interval for the noise of y.

    Over a plane θ + α·step + β·u the random direction u explains most of the variance, so a correlation over the
    whole plane mostly measures u. Within columns of equal β it measures the step. To correlate over a whole surface,
    pass it as one column.

    The interval covers the measurement noise of the same points, not other planes; planes of other agents show that
    variation. It is a parametric bootstrap: y is shrunk towards its column's mean until its variance is that of a
    surface without noise, and then gets new normal errors with its standard errors. Noise biases ρ towards 0; the
    interval is for the ρ at this noise, not for the ρ without noise.

    Args:
        x: A quantity without noise at each point, such as the surrogate.
        y: A measured one, such as the reward.
        se: Its standard error; points without one are left out, as are columns in which x or y is constant.
        level: Nominal coverage.
        rng: Generator of the errors.
        num_resamples: Number of bootstrap resamples.

    Returns:
        The mean; NaN without any column, NaN ends if a column has fewer than `FEWEST_POINTS` points.
    """
    columns = [_finite(*column) for column in zip(x, y, se, strict=True)]
    columns = [column for column in columns if not np.isnan(rank_correlation(*column[:2]))]
    if not columns:
        return UNKNOWN
    value = float(np.mean([rank_correlation(some_x, some_y) for some_x, some_y, _ in columns]))
    if min(len(some_y) for _, some_y, _ in columns) < FEWEST_POINTS:
        return Interval(value, np.nan, np.nan)
    noise = np.mean([np.square(some_se).mean() for _, _, some_se in columns])
    shrunk = np.sqrt(max(0.0, 1 - noise / np.mean([some_y.var(ddof=1) for _, some_y, _ in columns])))
    total = np.zeros(num_resamples)
    for some_x, some_y, some_se in columns:
        centre = some_y.mean() + shrunk * (some_y - some_y.mean())
        errors = some_se * rng.standard_normal((num_resamples, len(some_y)))
        total += _rank_correlations(some_x, centre + errors)
    # Fisher's z of a perfect order is infinite: it counts as halfway to the order with one pair of neighbours swapped.
    fewest = min(len(some_y) for _, some_y, _ in columns)
    most = 1 - 6 / (fewest * (fewest**2 - 1) * len(columns))
    spread = stretch(np.clip(total / len(columns), -most, most)).std(ddof=1)
    centre = float(np.clip(value, -most, most))
    low, high = fisher_interval(centre, norm.ppf(0.5 + level / 2) * spread)[1:]
    return Interval(value, min(low, value), max(high, value))


def _finite(*columns: Float[np.ndarray, " point"]) -> list[Float[np.ndarray, " measured"]]:
    measured = np.isfinite(columns).all(0)
    return [column[measured] for column in columns]


def _correlate(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"]) -> float:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def _rank_correlations(
    x: Float[np.ndarray, " point"], y: Float[np.ndarray, "resample point"]
) -> Float[np.ndarray, " resample"]:
    """Spearman's ρ of x with each row of y."""
    ranks, fixed = rankdata(y, axis=1), rankdata(x)
    ranks, fixed = ranks - ranks.mean(1, keepdims=True), fixed - fixed.mean()
    return ranks @ fixed / np.sqrt(np.square(ranks).sum(1) * np.square(fixed).sum())
