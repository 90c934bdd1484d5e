"""How far a few independent vectors agree with each other and with a "true" one: the numbers of Figs. 1, 2, 9 and 10."""

import numpy as np
from jaxtyping import Float

from pgprim.core.statistics import (
    Interval,
    correct_for_noisy_truth,
    cosine_excess,
    cosines,
    gram,
    mean_cosine,
    noise_scale,
    trial_mean,
)

Numbers = dict[str, Interval | float | Float[np.ndarray, "..."]]


def agreement(
    vectors: Float[np.ndarray, "trial param"],
    truth: Float[np.ndarray, " param"],
    truth_reliability: float,
    level: float,
) -> Numbers:
    """Cosines, norms and intervals of one budget's trials.

    Args:
        vectors: Gradient estimates or update steps, at least three.
        truth: The same from a large sample that shares no pair with the trials.
        truth_reliability: Share of signal in the truth's squared norm, or NaN if unknown.
        level: Nominal coverage of the intervals, within the agent.

    Returns:
        By name: `pairwise_cosine [trial, trial]`; `cosine`; `truth_cosine_trial [trial]`; `truth_cosine` and its value
        corrected for the truth's noise; `cosine_excess`, which must not be below zero by more than chance; `norm [trial]`.
    """
    together = gram(np.vstack([vectors, truth]))
    matrix = cosines(together)
    between, to_truth = matrix[:-1, :-1], matrix[:-1, -1]
    mean = trial_mean(to_truth, level)
    return {
        "pairwise_cosine": between,
        "cosine": mean_cosine(between, level),
        "truth_cosine_trial": to_truth,
        "truth_cosine": mean,
        "truth_cosine_corrected": correct_for_noisy_truth(mean.value, truth_reliability),
        "cosine_excess": cosine_excess(between, to_truth, level),
        "norm": np.sqrt(np.diagonal(together)[:-1]),
    }


def noise(
    vectors: Float[np.ndarray, "trial param"], budget: int, episode_length: float, level: float
) -> Numbers:
    """The gradient noise scale of one budget's trials, in pairs and in trajectories.

    Args:
        vectors: Gradient estimates, at least three.
        budget: Pairs in each.
        episode_length: Mean length of a trajectory.
        level: Nominal coverage of the interval, within the agent.
    """
    scale = noise_scale(gram(vectors), budget, level)
    return {"noise_scale": scale, "noise_scale_episodes": scale.value / episode_length}
