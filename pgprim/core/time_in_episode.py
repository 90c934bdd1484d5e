"""Selection of pairs with complete returns, by their time in the episode alone.

A time limit or the end of the stream cuts returns off. Leaving out only the pairs whose return was cut, and keeping
pairs at the same time whose episode ended in a fall, would favour falls: a selection by outcome. So a pair is left
out by its time in the episode and in the stream, whether or not its own return was cut.
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
    """Pairs of the same episode before each pair; streams start with an episode.

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
    """Whether at least `length` pairs, from each pair on, fit before the time limit and the end of the stream.

    Args:
        elapsed: Pairs of the same episode before each pair.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
        length: Pairs, such as `tail_length`.
    """
    room = elapsed.shape[1] - np.arange(elapsed.shape[1])
    return np.broadcast_to(room >= length, elapsed.shape) & (limit is None or limit - elapsed >= length)
