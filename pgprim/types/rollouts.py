"""Experience as the stepping loop makes it, the store keeps it and every probe reads it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int


@dataclass(frozen=True)
class Finals:
    """Observations that no later pair holds: behind every truncated pair, and behind the last pair of each stream.

    They are what a bootstrap needs; a terminated episode needs none. Sorted by stream, then time.

    Attributes:
        stream: Row of the rollout.
        t: Time in the stream of the pair whose action led to the observation.
        obs: The observation, normalised like those of the pairs.
    """

    stream: Int[np.ndarray, " end"]
    t: Int[np.ndarray, " end"]
    obs: Float32[np.ndarray, "end obs"]


@dataclass(frozen=True)
class Rollout:
    """Consecutive pairs of several streams, row by row in the order of the streams.

    Attributes:
        start: Time in the streams of the first column.
        obs: Observations as the networks see them: normalised, centred in double precision before the cast.
        act: Actions as the policy drew them, not clipped.
        rew: Raw rewards.
        terminated: The task ended the episode with this pair.
        truncated: A time limit ended the episode with this pair.
        finals: Observations behind truncated pairs, and behind the last pair of the run.
    """

    start: int
    obs: Float32[np.ndarray, "stream t obs"]
    act: Float32[np.ndarray, "stream t act"]
    rew: Float64[np.ndarray, "stream t"]
    terminated: Bool[np.ndarray, "stream t"]
    truncated: Bool[np.ndarray, "stream t"]
    finals: Finals

    @property
    def ended(self) -> Bool[np.ndarray, "stream t"]:
        """Whether the episode ended with the pair."""
        return self.terminated | self.truncated
