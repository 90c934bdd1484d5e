"""Which returns are complete enough to be fitted or compared, by the time in the episode alone.

A return that a time limit or the end of the stream cuts misses what would have followed. Leaving out the pairs whose
return was cut, and keeping those of the same age whose episode ended in a fall, would favour falls: selection by outcome.
So a pair is left out by its time in the episode and in the stream, whatever became of it.
"""

from math import ceil, log

import numpy as np
from jaxtyping import Bool, Int

TAIL = 0.01
"""Share of a constant reward's value that a sum of rewards may miss."""


def tail_length(gamma: float) -> int:
    """Pairs after which at most `TAIL` of a constant reward's value is missing: the least n with γⁿ ≤ `TAIL`."""
    return ceil(log(TAIL) / log(gamma)) if gamma > 0 else 1


def elapsed_steps(ended: Bool[np.ndarray, "stream t"]) -> Int[np.ndarray, "stream t"]:
    """Pairs of the same episode before each pair, of streams that start with an episode.

    Args:
        ended: Whether the episode ended with the pair, by termination or time limit.
    """
    times = np.arange(ended.shape[1])
    starts = np.zeros(ended.shape, int)
    starts[:, 1:] = np.where(ended[:, :-1], times[1:], 0)
    return times - np.maximum.accumulate(starts, axis=1)


def has_room(
    elapsed: Int[np.ndarray, "stream t"], limit: int | None, length: int
) -> Bool[np.ndarray, "stream t"]:
    """Whether the time limit and the end of the stream leave room for `length` pairs from each pair on, itself included.

    Args:
        elapsed: Pairs of the same episode before each pair.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
        length: Pairs, such as `tail_length`.
    """
    room = elapsed.shape[1] - np.arange(elapsed.shape[1])
    return np.broadcast_to(room >= length, elapsed.shape) & (limit is None or limit - elapsed >= length)
