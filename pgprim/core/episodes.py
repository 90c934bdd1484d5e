"""A policy's expected return from the complete episodes of one stream."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Episodes(NamedTuple):
    """Complete episodes of one stream of pairs, in order; the stream starts with a reset.

    Attributes:
        stop: Pairs of the stream up to and including each episode's last.
        ret: Undiscounted return of each.
    """

    stop: Int[np.ndarray, " episode"]
    ret: Float[np.ndarray, " episode"]


class ReturnEstimate(NamedTuple):
    """A mean return with its uncertainty.

    Attributes:
        mean: Mean return; NaN without an episode.
        se: Its standard error; NaN with fewer than two. With two to six episodes, mean ± 2 se covers only .65-.87:
            use `core.intervals.t_interval` of the returns instead.
        num: Number of episodes.
        halves: Means of the episodes with odd and with even number; NaN without one.
    """

    mean: float
    se: float
    num: int
    halves: tuple[float, float]


def complete_episodes(rew: Float[np.ndarray, " t"], ended: Bool[np.ndarray, " t"]) -> Episodes:
    """Episodes that ended within a stream; the one that the stream's end cuts is left out.

    Args:
        rew: Raw rewards.
        ended: Whether an episode ended with the pair, by termination or time limit.
    """
    stop = np.flatnonzero(ended) + 1
    if not stop.size:
        return Episodes(stop, np.zeros(0))
    return Episodes(stop, np.add.reduceat(rew[: stop[-1]], np.concatenate([[0], stop[:-1]])))


def within(episodes: Episodes, num_pairs: int) -> Float[np.ndarray, " episode"]:
    """Returns of the episodes that are complete within the first `num_pairs` pairs of the stream."""
    return episodes.ret[episodes.stop <= num_pairs]


def estimate_return(ret: Float[np.ndarray, " episode"]) -> ReturnEstimate:
    """Mean return of the complete episodes of *one* stream, with its standard error.

    For one stream of M pairs this mean is unbiased if no episode can be longer than M. The event that a stream has
    exactly n complete episodes depends on their lengths, but not on their order. So, given n, each of them is
    distributed like the first, and the expected mean return is E[return of the first | it is no longer than M]. The
    same holds for the first k of them, for any k. It does not hold for the pooled episodes of several streams:
    streams with short episodes then get more weight. Hence a landscape has one stream per point, however many pairs.

    Args:
        ret: Returns in the order of the stream.
    """
    num = len(ret)
    halves = tuple(float(half.mean()) if half.size else np.nan for half in (ret[0::2], ret[1::2]))
    mean = float(ret.mean()) if num else np.nan
    se = float(ret.std(ddof=1) / np.sqrt(num)) if num > 1 else np.nan
    return ReturnEstimate(mean, se, num, halves)
