"""Gaussian-process smoothing of a measured surface whose noise is known (Rasmussen & Williams 2006, Ch. 2, 5).

Values are y_i = m + f(x_i) + ε_i with ε_i ~ N(0, se_i²) and f a process with Matérn-5/2 covariance, deviation s and a
length scale for each axis; m has a flat prior. s and the length scales are averaged over fixed grids by their
marginal likelihood: the result depends on no starting point and no stopping rule, and its standard errors include the
uncertainty of s and the length scales (with only the best s and length scales, nominal 95 % intervals cover .82). A
smoothed surface is for the eye: no claim is judged on it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

LENGTHS = 2.0 ** np.arange(-4, 5)
"""Length scales that are tried, in extents of the plane along the axis: from a sixteenth to so long that it is linear."""

DEVIATIONS = np.append(0.0, 2.0 ** np.arange(-6, 3.5, 0.5))
"""Deviations of f that are tried, in deviations of the values: from 0, a flat surface, to 8."""

NOISE_FLOOR = 1e-4
"""Least standard error, in deviations of the values: nobody sees it, and decompositions stay well within double precision."""

PRIOR_FREEDOM = 4
"""Degrees of freedom that the typical episode's variance counts for in a point's own (`moderated_se`).

As many as a point of five episodes has: with fewer the surface's variance decides, with more the point's.
"""


class Smoothed(NamedTuple):
    """A smoothed surface.

    Attributes:
        mean: Posterior mean of m + f at each point.
        se: Its posterior standard deviation.
        length_scale: Geometric mean of the length scales along each axis, in the unit of the coordinates.
        deviation: Root mean square of s, in the unit of the values.
    """

    mean: Float[np.ndarray, " point"]
    se: Float[np.ndarray, " point"]
    length_scale: Float[np.ndarray, " axis"]
    deviation: float


class Posterior(NamedTuple):
    """The process given the values.

    Attributes:
        log_likelihood: Log marginal likelihood of each s but for a constant.
        mean: Posterior mean of m + f.
        variance: Its posterior variance.
    """

    log_likelihood: Float[np.ndarray, " deviation"]
    mean: Float[np.ndarray, "deviation point"]
    variance: Float[np.ndarray, "deviation point"]


def moderated_se(
    se: Float[np.ndarray, " point"], num: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """Standard errors of means of few values, with each point's variance shrunk towards that of all points.

    The standard error of two or three values is often near 0 by chance, and a smoother would give such points too
    much weight. The moderated variance is (d₀ s₀² + d_i s_i²)/(d₀ + d_i), with s_i² the variance of a point's values,
    d_i = n_i − 1, s₀² the mean of all s_i² weighted by d_i, and d₀ = `PRIOR_FREEDOM` (Smyth 2004, with d₀ fixed).

    Args:
        se: Standard error of each point's mean; NaN with a single value.
        num: Number of values of each.

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
    """The surface without noise, estimated at all points, including those without a value.

    Args:
        points: Coordinates, at least two different ones along each axis.
        values: Measured values; points where value or standard error is not finite are only predicted.
        se: Their standard errors, taken as known (`moderated_se`).
    """
    measured = np.isfinite(values) & np.isfinite(se)
    x, y, num_axes = points[measured], values[measured], points.shape[1]
    unknown = np.full(num_axes, np.nan)
    if not len(y) or not np.ptp(y) > 0:
        flat = np.full(len(points), y[0] if len(y) else np.nan)
        error = np.square(se[measured]).mean() ** 0.5 / len(y) ** 0.5 if len(y) else np.nan
        return Smoothed(flat, np.full(len(points), error), unknown, 0.0)
    noise, deviations = np.maximum(se[measured], NOISE_FLOOR * y.std()), DEVIATIONS * y.std()
    grid = np.stack(np.meshgrid(*[LENGTHS] * num_axes, indexing="ij"), -1).reshape(-1, num_axes)
    lengths = grid * np.ptp(points, axis=0)
    fits = [posterior(x, y, noise, length, deviations, points) for length in lengths]
    likelihood = np.stack([fit.log_likelihood for fit in fits])
    weight = np.exp(likelihood - likelihood.max())
    weight /= weight.sum()
    mean = np.einsum("ls,lsp->p", weight, np.stack([fit.mean for fit in fits]))
    square = np.einsum(
        "ls,lsp->p", weight, np.stack([fit.variance + np.square(fit.mean - mean) for fit in fits])
    )
    return Smoothed(
        mean,
        np.sqrt(square),
        np.exp(weight.sum(1) @ np.log(lengths)),
        float(np.sqrt(weight.sum(0) @ np.square(deviations))),
    )


def posterior(
    points: Float[np.ndarray, "point axis"],
    values: Float[np.ndarray, " point"],
    se: Float[np.ndarray, " point"],
    length: Float[np.ndarray, " axis"],
    deviations: Float[np.ndarray, " deviation"],
    at: Float[np.ndarray, "other axis"],
) -> Posterior:
    """The process given the values, for one choice of length scales and several deviations s at once.

    Divided by their standard errors the values have covariance s²K + I; one decomposition of K serves all s.

    Args:
        points: Where values were measured.
        values: The values.
        se: Their standard errors.
        length: Length scales.
        deviations: s.
        at: Where to predict.
    """
    eigenvalues, vectors = np.linalg.eigh(matern(points, points, length) / np.outer(se, se))
    ones, scaled = vectors.T @ (1 / se), vectors.T @ (values / se)
    cross = matern(at, points, length) @ (vectors / se[:, None])
    square = np.square(deviations)[:, None]
    weight = 1 / (square * np.maximum(eigenvalues, 0.0) + 1)
    precision = (weight * np.square(ones)).sum(1, keepdims=True)
    constant = (weight * ones * scaled).sum(1, keepdims=True) / precision
    residual = scaled - constant * ones
    likelihood = np.log(weight).sum(1) - np.log(precision[:, 0]) - (weight * np.square(residual)).sum(1)
    mean = constant + square * (weight * residual) @ cross.T
    lacking = 1 - square * (weight * ones) @ cross.T
    variance = square - square**2 * (weight @ np.square(cross).T) + np.square(lacking) / precision
    return Posterior(likelihood / 2, mean, np.maximum(variance, 0.0))


def matern(
    one: Float[np.ndarray, "point axis"],
    other: Float[np.ndarray, "other axis"],
    length: Float[np.ndarray, " axis"],
) -> Float[np.ndarray, "point other"]:
    """Matérn-5/2 correlation (1 + r + r²/3) e^(−r), r = √5 · distance in length scales."""
    r = np.sqrt(5) * cdist(one / length, other / length)
    return (1 + r + np.square(r) / 3) * np.exp(-r)
