"""Experience, as the stepping loop returns it, the store saves it and probes read it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from pgprim.types.errors import UserError


@dataclass(frozen=True)
class Finals:
    """Observations after truncated pairs and after the last pair of each stream, which are in no pair.

    Bootstraps need them; a terminated episode needs none. Sorted by stream, then time.

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
        obs: Observations as the networks see them: normalised in double precision, then cast to single.
        act: Actions as the policy drew them, not clipped.
        rew: Raw rewards.
        terminated: The task ended the episode with this pair.
        truncated: A time limit ended the episode with this pair.
        finals: Observations after truncated pairs, and after the last pair of the run.
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


def require_limit(
    env_id: str,
    limit: int | None,
    truncated: Bool[np.ndarray, "stream t"],
    lengths: Int[np.ndarray, "stream t"],
    stream: int = 0,
    t: int = 0,
) -> None:
    """Check that the known time limit alone truncates episodes.

    A return is complete if it has room before the time limit, so results on complete returns need to know it.

    Args:
        env_id: The environment, for the message.
        limit: Pairs after which the time limit ends an episode; None where no limit is known.
        truncated: Which pairs end a truncated episode.
        lengths: Pairs of the same episode up to each pair, itself included.
        stream: Number of the first row's stream.
        t: Time of the first column.

    Raises:
        UserError: An episode is truncated otherwise, for example by the environment's own `step`.
    """
    other = truncated if limit is None else truncated & (lengths != limit)
    if other.any():
        column, row = np.argwhere(other.T)[0]  # the first in time
        known = "no time limit is known" if limit is None else f"the time limit is {limit}"
        raise UserError(
            f"environment '{env_id}', stream {stream + row}, step {t + column}: the environment truncates an episode after "
            f"{lengths[row, column]} steps, but {known}; complete returns need a time limit of Gymnasium's TimeLimit, "
            "such as max_episode_steps in kwargs"
        )
