"""The gradient noise scale (McCandlish et al. 2018): the number of pairs at which signal and noise of an estimate are equal."""

import numpy as np
from jaxtyping import Float, Real

from pgprim.core.intervals import UNKNOWN, Interval, jackknife_cosine
from pgprim.core.pair_mean import pair_mean, pair_mean_leave_one_out


def noise_scale(products: Float[np.ndarray, "trial trial"], budget: int, level: float) -> Interval:
    """The gradient noise scale B = tr Σ / |G|², with Σ the covariance per pair, in pairs.

    Estimates on N pairs have E|g|² = |G|² + tr Σ / N, so B = N (1/q − 1) with q = |G|² / E|g|². Numerator and
    denominator of q are each unbiased; the interval is q's jackknife interval, transformed. Without any signal B = ∞;
    an upper end of ∞ means that the data do not exclude this.

    Args:
        products: Gram matrix of the trials.
        budget: N, pairs in each trial.
        level: Nominal coverage.
    """
    n, squares = len(products), np.diagonal(products)
    if not squares.sum() > 0:
        return UNKNOWN
    share = pair_mean(products) / squares.mean()
    left_out = pair_mean_leave_one_out(products) / ((squares.sum() - squares) / (n - 1))
    value, low, high = (_scale_from_share(q, budget) for q in jackknife_cosine(share, left_out, level))
    return Interval(value, high, low)


def expected_cosine(budget: Real[np.ndarray, " budget"], scale: float) -> Float[np.ndarray, " budget"]:
    """N / (N + B): predicted pairwise cosine at N pairs; its square root is the cosine to the truth."""
    budget = np.asarray(budget, dtype=np.float64)
    return budget / (budget + scale)


def _scale_from_share(share: float, budget: int) -> float:
    return float(budget * (1 / share - 1)) if share > 0 else np.inf
