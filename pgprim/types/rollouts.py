"""A stretch of experience of many streams, as the sampler makes it, the store keeps it and estimators read it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int


@dataclass(frozen=True)
class Finals:
    """Observations that no later pair holds: after every truncated step, and after the last step of each stream.

    They are what a bootstrap needs; a terminated episode needs none. Sorted by stream, then time.

    Attributes:
        stream: Row of the block.
        t: Time in the stream of the step whose action led to the observation.
        obs: The observation, raw.
    """

    stream: Int[np.ndarray, " end"]
    t: Int[np.ndarray, " end"]
    obs: Float32[np.ndarray, "end obs"]


@dataclass(frozen=True)
class Block:
    """Consecutive pairs of several streams, row by row in the order of the streams, never of completion.

    Attributes:
        start: Time in the streams of the first column.
        obs: Observations, raw.
        act: Actions as the policy drew them, before the environment bounds them.
        rew: Rewards, raw.
        terminated: The task ended the episode with this step.
        truncated: A time limit ended the episode with this step.
        finals: Final observations of the steps in this block.
    """

    start: int
    obs: Float32[np.ndarray, "stream t obs"]
    act: Float32[np.ndarray, "stream t act"]
    rew: Float64[np.ndarray, "stream t"]
    terminated: Bool[np.ndarray, "stream t"]
    truncated: Bool[np.ndarray, "stream t"]
    finals: Finals
