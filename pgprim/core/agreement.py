"""Agreement of a few independent vectors with each other and with a "true" vector from other samples.

This module is for estimates that are not sums over pairs, such as update steps; gradients have `core.pool`.
"""

import numpy as np
from jaxtyping import Float

from pgprim.core.cosines import cosines, gram
from pgprim.core.intervals import Interval
from pgprim.core.pairwise_cosine import pairwise_cosine
from pgprim.core.reliability import correct_for_noisy_truth
from pgprim.core.truth_cosine import cosine_excess, truth_cosine


def agreement(
    vectors: Float[np.ndarray, "trial param"],
    truth: Float[np.ndarray, " param"],
    truth_reliability: float,
    level: float,
) -> dict[str, Interval | float | Float[np.ndarray, "..."]]:
    """Cosines, norms and intervals of one budget's trials.

    Args:
        vectors: Update steps or gradient estimates, at least three.
        truth: The same from a large sample that shares no pair with the trials.
        truth_reliability: Share of signal in the truth's squared norm, or NaN if unknown.
        level: Nominal coverage of the intervals, within the agent.

    Returns:
        By name: `pairwise_cosine [trial, trial]`; `cosine`, their mean; `truth_cosine_trial [trial]`; `truth_cosine`,
        their mean, and its value corrected for the truth's noise; `cosine_excess`, which must not be below zero by more
        than chance; `norm [trial]`.
    """
    together = gram(np.vstack([vectors, truth]))
    matrix = cosines(together)
    between, to_truth = matrix[:-1, :-1], matrix[:-1, -1]
    mean = truth_cosine(to_truth, level)
    return {
        "pairwise_cosine": between,
        "cosine": pairwise_cosine(between, level),
        "truth_cosine_trial": to_truth,
        "truth_cosine": mean,
        "truth_cosine_corrected": correct_for_noisy_truth(mean.value, truth_reliability),
        "cosine_excess": cosine_excess(between, to_truth, level),
        "norm": np.sqrt(np.diagonal(together)[:-1]),
    }
