"""Bias and variance of several kinds of gradient estimates made from the same streams."""

import numpy as np
from jaxtyping import Float

from pgprim.core.cosines import gram
from pgprim.core.intervals import UNKNOWN, Interval, jackknife, jackknife_cosine, jackknife_positive
from pgprim.core.pair_mean import pair_mean, pair_mean_leave_one_out


def bias_variance(
    grads: Float[np.ndarray, "kind stream param"], unbiased: int, level: float
) -> dict[str, list[Interval]]:
    """Squared bias, variance and squared error of each kind of estimate, relative to the unbiased kind's tr Σ₁.

    With G = E g₁ of the unbiased kind, E|g − G|² = |E g − G|² + tr Σ. Both terms are estimated without bias. The
    squared bias is the mean inner product of g − g₁ from two different streams, whose noise is independent; it may be
    negative by chance. The variance is the mean squared norm minus the mean inner product of different streams.

    Args:
        grads: One estimate per kind and stream, at least three independent streams.
        unbiased: Which kind is unbiased.
        level: Nominal coverage of the intervals, within the agent.

    Returns:
        By name, an interval per kind: `bias` |E g − G|², `variance` tr Σ and `error`, their sum, all over tr Σ₁; and
        `alignment`, ⟨E g, G⟩ / √(E|g|² |G|²), the cosine of an estimate to G, which does not depend on its scale. It
        has NaN ends if there is no signal left without one of the streams, and is NaN if there is no signal at all.
    """
    truth = grads[unbiased].astype(np.float64)
    signal, noise = _signal(gram(truth)), _noise(gram(truth))
    rows: dict[str, list[Interval]] = {"bias": [], "variance": [], "error": [], "alignment": []}
    for kind in grads:
        own, cross = gram(kind), kind.astype(np.float64) @ truth.T
        bias, variance = _signal(gram(kind - grads[unbiased])) / noise, _noise(own) / noise
        with np.errstate(invalid="ignore"):  # no signal by chance: no direction either
            alignment = _signal((cross + cross.T) / 2) / np.sqrt(_squared_norm(own) * signal)
        rows["bias"].append(jackknife(bias[0], bias[1:], level))
        rows["variance"].append(jackknife_positive(variance[0], variance[1:], level))
        rows["error"].append(jackknife(bias[0] + variance[0], bias[1:] + variance[1:], level))
        rows["alignment"].append(_alignment(np.clip(alignment, -1, 1), level))
    return rows


def signal_to_noise(grads: Float[np.ndarray, "stream param"], level: float) -> Interval:
    """|G|² / tr Σ of one kind of estimate: the error of the estimate 0, in the units of `bias_variance`.

    Unbiased, so it may be negative by chance.
    """
    products = gram(grads)
    values = _signal(products) / _noise(products)
    return jackknife(values[0], values[1:], level)


def noise_ratio(
    grads: Float[np.ndarray, "stream param"], reference: Float[np.ndarray, "stream param"], level: float
) -> Interval:
    """Tr Σ of one kind of estimate divided by that of another from the same streams; NaN if the other never varies."""
    noise = _noise(gram(reference))
    values = _noise(gram(grads)) / np.where(noise > 0, noise, np.nan)
    if np.isnan(values[0]):
        return UNKNOWN
    return jackknife_positive(float(values[0]), values[1:], level)


def _alignment(values: Float[np.ndarray, " which"], level: float) -> Interval:
    if np.isnan(values[0]):
        return UNKNOWN
    return jackknife_cosine(float(values[0]), values[1:], level)


def _signal(products: Float[np.ndarray, "stream stream"]) -> Float[np.ndarray, " which"]:
    """Mean inner product of two different streams: of all streams, then without each stream in turn."""
    return np.append(pair_mean(products), pair_mean_leave_one_out(products))


def _squared_norm(products: Float[np.ndarray, "stream stream"]) -> Float[np.ndarray, " which"]:
    """Mean squared norm: of all streams, then without each stream in turn."""
    squares = np.diagonal(products)
    return np.append(squares.mean(), (squares.sum() - squares) / (len(squares) - 1))


def _noise(products: Float[np.ndarray, "stream stream"]) -> Float[np.ndarray, " which"]:
    """Tr Cov: of all streams, then without each stream in turn."""
    return _squared_norm(products) - _signal(products)
