"""The mean of a symmetric kernel over all pairs of independent trials, a U-statistic of order two."""

import numpy as np
from jaxtyping import Float


def pair_mean(kernel: Float[np.ndarray, "trial trial"]) -> float:
    """Mean of h_ij over i ≠ j: unbiased for E h of two independent trials."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def pair_mean_leave_one_out(kernel: Float[np.ndarray, "trial trial"]) -> Float[np.ndarray, " trial"]:
    """`pair_mean` without each trial in turn; needs at least three trials."""
    n = len(kernel)
    rows = kernel.sum(1) - np.diagonal(kernel)
    return (rows.sum() - 2 * rows) / ((n - 1) * (n - 2))
