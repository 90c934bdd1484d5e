"""Reliability of a large-sample estimate (its share of signal), and the correction of cosines for its noise."""

import numpy as np
from jaxtyping import Float

from pgprim.core.intervals import UNKNOWN, Interval, jackknife_cosine
from pgprim.core.pair_mean import pair_mean, pair_mean_leave_one_out


def reliability(products: Float[np.ndarray, "stream stream"], level: float) -> Interval:
    """Share of signal in the squared norm of the mean of independent vectors: |G|² / |mean x|².

    It approximates the cosine between two independent means of this many streams.

    Args:
        products: Gram matrix of the streams' own vectors, whose mean is the estimate in question.
        level: Nominal coverage.
    """
    n = len(products)
    total, rows = products.sum(), products.sum(1)
    if n < 3 or not total > 0:
        return UNKNOWN
    share = pair_mean(products) / (total / n**2)
    # A mean over n−1 streams has a lower reliability: Spearman-Brown's formula converts it to n streams.
    left_out = pair_mean_leave_one_out(products) / ((total - 2 * rows + np.diagonal(products)) / (n - 1) ** 2)
    return jackknife_cosine(share, n * left_out / (n - 1 + left_out), level)


def split_half_reliability(cosine: float) -> float:
    """Reliability of a whole from the cosine c of its halves, 2c/(1 + c) (Spearman 1910; Brown 1910).

    Exact if the whole is the mean of its halves. NaN if the halves do not agree at all.
    """
    return float(2 * cosine / (1 + cosine)) if cosine > 0 else np.nan


def correct_for_noisy_truth(cosine: float, truth_reliability: float) -> float:
    """Cosine to the true direction from that to a noisy estimate T of it: c·|T|/|G| = c/√reliability (Spearman 1904).

    E⟨g, T⟩ = ⟨E g, G⟩ for independent g and T, so only T's norm needs a correction. NaN without signal; clipped to
    ±1, which chance may exceed.
    """
    return float(np.clip(cosine / np.sqrt(truth_reliability), -1, 1)) if truth_reliability > 0 else np.nan
