"""Correlations with intervals on Fisher's scale, which never leave −1 ... 1."""

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, rankdata

from pgprim.core.intervals import Interval, stretch

FEWEST_POINTS = 4
"""Fisher's z has variance 1/(n − 3): fewer points give no interval."""


def pearson(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"], level: float) -> Interval:
    """Pearson's r of independent pairs (x, y) with Fisher's interval, artanh r ± z/√(n − 3).

    Nominal for normal pairs; heavy tails lower its coverage, where `spearman` keeps its own.

    Args:
        x: One quantity of each pair; pairs that are not finite are left out.
        y: The other.
        level: Nominal coverage.
    """
    x, y = _finite(x, y)
    value = _correlate(x, y)
    return _around(value, 1 / np.sqrt(len(x) - 3) if len(x) >= FEWEST_POINTS else np.nan, level)


def spearman(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"], level: float) -> Interval:
    """Spearman's ρ of independent pairs (x, y), with the interval of Bonett and Wright (2000).

    On Fisher's scale, with standard error √((1 + ρ²/2)/(n − 3)): what other pairs of the same kind would change.

    Args:
        x: One quantity of each pair; pairs that are not finite are left out.
        y: The other.
        level: Nominal coverage.
    """
    x, y = _finite(x, y)
    value = rank_correlation(x, y)
    se = np.sqrt((1 + value**2 / 2) / (len(x) - 3)) if len(x) >= FEWEST_POINTS else np.nan
    return _around(value, se, level)


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

    Over a plane θ + α·step + β·u the random direction u explains most of the variance, so that a correlation over the
    whole plane is a statement on u. Within columns of equal β it is one on the step. A whole surface is one column.

    The interval says what measuring the same points again would change, not what another plane would: that is told by
    planes of other agents. It is a parametric bootstrap: how the mean varies when each y gets once more a normal error of
    its standard error. Noise draws ρ towards 0, and the interval is around the ρ of this much noise, not of none.

    Args:
        x: A quantity without noise at each point, such as the surrogate.
        y: A measured one, such as the reward.
        se: Its standard error; points without one are left out, as are columns in which x or y is constant.
        level: Nominal coverage.
        rng: Source of the errors.
        num_resamples: How many times.

    Returns:
        The mean; NaN without any column, NaN ends if a column has fewer than `FEWEST_POINTS` points.
    """
    values, again = [], []
    for column in zip(x, y, se, strict=True):
        some_x, some_y, some_se = _finite(*column)
        value = rank_correlation(some_x, some_y)
        errors = rng.standard_normal((num_resamples, len(some_y)))
        if np.isnan(value):
            continue
        values.append(value)
        enough = len(some_y) >= FEWEST_POINTS
        again.append(_rank_correlations(some_x, some_y + some_se * errors) if enough else np.nan)
    if not values:
        return Interval(np.nan, np.nan, np.nan)
    spread = stretch(np.mean(np.broadcast_arrays(*again, np.zeros(num_resamples))[:-1], axis=0)).std(ddof=1)
    return _around(float(np.mean(values)), float(spread), level)


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


def _around(value: float, se: float, level: float) -> Interval:
    """Normal interval on Fisher's scale."""
    centre, half = stretch(value), norm.ppf(0.5 + level / 2) * se
    return Interval(value, float(np.tanh(centre - half)), float(np.tanh(centre + half)))
