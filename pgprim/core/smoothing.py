"""Gaussian-process smoothing of a measured surface whose noise is known (Rasmussen & Williams 2006, Ch. 2, 5).

Values are y_i = m + f(x_i) + ε_i with ε_i ~ N(0, se_i²) and f a process with Matérn-5/2 covariance, deviation s and a
length scale for each axis; m has a flat prior. s and the length scales have the greatest marginal likelihood on fixed
grids, so that the result does not depend on a start or on a stopping rule. A smoothed surface is for the eye: no claim is
judged on it alone.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

LENGTHS = 2.0 ** np.arange(-4, 5)
"""Length scales that are tried, in extents of the plane along the axis: from a sixteenth to so long that it is linear."""

DEVIATIONS = np.append(0.0, 2.0 ** np.arange(-6, 3.5, 0.5))
"""Deviations of f that are tried, in deviations of the values: from 0, a flat surface, to 8."""

NOISE_FLOOR = 1e-6
"""Least standard error, in deviations of the values: beyond it, matrices are singular in double precision."""

PRIOR_FREEDOM = 4
"""Degrees of freedom that the typical episode's variance counts for in a point's own (`moderated_se`).

As many as a point of five episodes has: with fewer the surface's variance decides, with more the point's.
"""


class Smoothed(NamedTuple):
    """A smoothed surface.

    Attributes:
        mean: Posterior mean of m + f at each point.
        se: Its posterior standard deviation.
        length_scale: Along each axis, in the unit of the coordinates.
        deviation: s, in the unit of the values.
    """

    mean: Float[np.ndarray, " point"]
    se: Float[np.ndarray, " point"]
    length_scale: Float[np.ndarray, " axis"]
    deviation: float


def moderated_se(
    se: Float[np.ndarray, " point"], num: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """Standard errors of means of few values, with each point's variance drawn towards that of all points.

    The standard error of two or three values is often near 0 by chance, and a smoother would trust such points blindly.
    The moderated variance is (d₀ s₀² + d_i s_i²)/(d₀ + d_i), with s_i² the variance of a point's values, d_i = n_i − 1, s₀²
    the mean of all s_i² weighted by d_i, and d₀ = `PRIOR_FREEDOM` (Smyth 2004, with d₀ fixed).

    Args:
        se: Standard error of each point's mean; NaN with a single value.
        num: Number of values behind each.

    Returns:
        The moderated ones; NaN where `num` is 0.
    """
    freedom = np.maximum(num - 1, 0.0)
    own = np.where(freedom > 0, np.square(se) * num, 0.0)
    typical = (freedom * own).sum() / freedom.sum()
    variance = (PRIOR_FREEDOM * typical + freedom * own) / (PRIOR_FREEDOM + freedom)
    return np.sqrt(variance / np.where(num > 0, num, np.nan))


def smooth(
    points: Float[np.ndarray, "point axis"],
    values: Float[np.ndarray, " point"],
    se: Float[np.ndarray, " point"],
) -> Smoothed:
    """The surface behind noisy values, at all points, also those without a value.

    Args:
        points: Coordinates, at least two different ones along each axis.
        values: Measured values; points where value or standard error is not finite are only predicted.
        se: Their standard errors, taken as known (`moderated_se`).
    """
    measured = np.isfinite(values) & np.isfinite(se)
    spread = values[measured].std()
    if measured.sum() < 2 or not spread > 0:
        flat = np.full(len(points), values[measured].mean() if measured.any() else np.nan)
        error = np.square(se[measured] ** -1).sum() ** -0.5 if (se[measured] > 0).any() else np.nan
        return Smoothed(flat, np.full(len(points), error), np.full(points.shape[1], np.nan), 0.0)
    noise = np.maximum(se[measured], NOISE_FLOOR * spread)
    extent = np.ptp(points, axis=0)
    best = max(
        (
            _fit(points[measured], values[measured], noise, extent * scales, spread)
            for scales in np.stack(np.meshgrid(*[LENGTHS] * points.shape[1]), -1).reshape(-1, points.shape[1])
        ),
        key=lambda fit: fit[0],
    )
    _, deviation, length = best
    mean, se = _predict(points[measured], values[measured], noise, length, deviation, points)
    return Smoothed(mean, se, length, deviation)


def matern(
    one: Float[np.ndarray, "point axis"],
    other: Float[np.ndarray, "other axis"],
    length: Float[np.ndarray, " axis"],
) -> Float[np.ndarray, "point other"]:
    """Matérn-5/2 correlation (1 + r + r²/3) e^(−r), r = √5 · distance in length scales."""
    r = np.sqrt(5) * cdist(one / length, other / length)
    return (1 + r + np.square(r) / 3) * np.exp(-r)


def log_marginal_likelihood(
    points: Float[np.ndarray, "point axis"],
    values: Float[np.ndarray, " point"],
    se: Float[np.ndarray, " point"],
    length: Float[np.ndarray, " axis"],
    deviations: Float[np.ndarray, " deviation"],
) -> Float[np.ndarray, " deviation"]:
    """Log density of the values with m integrated over a flat prior, but for a constant, for several s at once.

    With whitened values the covariance is s²K + I; one decomposition of K serves all s.
    """
    eigenvalues, ones, whitened = _whiten(points, values, se, length)
    weight = 1 / (np.square(deviations)[:, None] * eigenvalues + 1)
    precision = (weight * np.square(ones)).sum(1)
    mean = (weight * ones * whitened).sum(1) / precision
    misfit = (weight * np.square(whitened - mean[:, None] * ones)).sum(1)
    return -0.5 * (misfit - np.log(weight).sum(1) + np.log(precision))


def _whiten(points, values, se, length):
    """Eigenvalues of the whitened correlation, and 1 and the values in its eigenvectors' basis."""
    eigenvalues, vectors = np.linalg.eigh(matern(points, points, length) / np.outer(se, se))
    return np.maximum(eigenvalues, 0.0), vectors.T @ (1 / se), vectors.T @ (values / se)


def _fit(points, values, se, length, spread):
    """Greatest log marginal likelihood over s with its s, and the length scales."""
    deviations = DEVIATIONS * spread
    likelihood = log_marginal_likelihood(points, values, se, length, deviations)
    best = int(likelihood.argmax())
    return float(likelihood[best]), float(deviations[best]), length


def _predict(points, values, se, length, deviation, at):
    """Posterior mean and deviation of m + f."""
    covariance = deviation**2 * matern(points, points, length) + np.diag(np.square(se))
    factor = np.linalg.cholesky(covariance)
    cross, ones, scaled = (
        np.linalg.solve(factor, right)
        for right in (deviation**2 * matern(points, at, length), np.ones(len(points)), values)
    )
    precision = ones @ ones
    mean = ones @ scaled / precision
    lacking = 1 - ones @ cross
    variance = deviation**2 - np.square(cross).sum(0) + np.square(lacking) / precision
    return mean + cross.T @ (scaled - mean * ones), np.sqrt(np.maximum(variance, 0.0))
