"""Which returns of a stream are known well enough to be fitted."""

import numpy as np
from jaxtyping import Bool, Int


def pairs_to_end(ended: Bool[np.ndarray, "stream t"]) -> Int[np.ndarray, "stream t"]:
    """Pairs from t, itself included, to the last one of its episode, or of the stream if that comes first."""
    num_pairs = ended.shape[1]
    last = np.where(ended, np.arange(num_pairs), num_pairs - 1)
    return np.flip(np.minimum.accumulate(np.flip(last, 1), axis=1), 1) - np.arange(num_pairs) + 1


def is_settled(
    terminated: Bool[np.ndarray, "stream t"], truncated: Bool[np.ndarray, "stream t"], beyond: int
) -> Bool[np.ndarray, "stream t"]:
    """Whether the return from t hardly depends on what its end is thought to be worth.

    True where the episode comes to a terminal state within the stream, and where at least `beyond` pairs lie between t
    and the time limit or the end of the stream, so that the value assumed there counts no more than γ^beyond.

    Args:
        terminated: Whether the episode ended at t in a terminal state.
        truncated: Whether it ended at t for any other reason.
        beyond: Pairs, t itself included.
    """
    left = pairs_to_end(terminated | truncated)
    last = np.arange(terminated.shape[1]) + left - 1
    return np.take_along_axis(terminated, last, axis=1) | (left >= beyond)
