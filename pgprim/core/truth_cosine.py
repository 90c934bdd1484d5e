"""Cosine of independent estimates to one fixed "true" vector from other samples (Figs. 2, 10), within an agent.

For a pool of streams whose truth leaves each trial out, see `core.pool`.
"""

import numpy as np
from jaxtyping import Float

from pgprim.core.intervals import Interval, jackknife, jackknife_cosine
from pgprim.core.pair_mean import pair_mean, pair_mean_leave_one_out


def truth_cosine(to_truth: Float[np.ndarray, " trial"], level: float) -> Interval:
    """Mean cosine to a fixed vector with its jackknife interval over trials.

    Args:
        to_truth: Cosine of each trial to the truth.
        level: Nominal coverage.
    """
    values = np.asarray(to_truth, dtype=np.float64)
    return jackknife_cosine(values.mean(), (values.sum() - values) / (len(values) - 1), level)


def cosine_excess(
    matrix: Float[np.ndarray, "trial trial"], to_truth: Float[np.ndarray, " trial"], level: float
) -> Interval:
    """ρ − c²: mean pairwise cosine minus the squared mean cosine to a fixed vector that is independent of the trials.

    With u_i the trials' unit vectors and v that of the truth, ρ − c² = |E u|² − ⟨E u, v⟩² = |(I − v vᵀ) E u|² ≥ 0,
    for any number of dimensions, and whether or not v is the true direction. The unbiased estimate is the mean of
    ⟨u_i, u_j⟩ − ⟨u_i, v⟩⟨u_j, v⟩ over pairs; the estimate itself may be negative by chance. An interval that lies
    wholly below zero means an error: the truth shares samples with the trials, or the cosines are wrong.

    Args:
        matrix: Cosines between trials.
        to_truth: Cosine of each trial to the truth.
        level: Nominal coverage.
    """
    kernel = matrix - np.outer(to_truth, to_truth)
    return jackknife(pair_mean(kernel), pair_mean_leave_one_out(kernel), level)
