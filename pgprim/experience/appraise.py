"""What a frozen agent makes of stored experience: normalised observations and rewards, and values."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_value
from pgprim.rl.normalise import normalise_obs, normalise_rew, std
from pgprim.rl.value import values
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.rollouts import Block

ROWS = 4096
"""Pairs evaluated at once: few enough for the processor's cache, enough for the overhead not to matter."""


@dataclass(frozen=True)
class Appraisal:
    """A block of experience as the agent of a checkpoint sees it, its normalisers frozen.

    With `semantics: paper` a time limit counts as termination, and `next_val` keeps its meaning: what the released
    code takes for the value behind a cut, V of the last observation itself, is left to who cuts.

    Attributes:
        start: Time in the streams of the first column.
        obs: Normalised observations.
        act: Actions.
        rew: Rewards as the value network sees them.
        val: V(s).
        next_val: V of the true next observation; NaN after terminated pairs, and after the last pair if unknown.
        terminated: The episode ended, and what follows is worth nothing.
        truncated: The episode ended, and what follows is worth `next_val`.
    """

    start: int
    obs: Float32[Tensor, "stream t obs"]
    act: Float32[Tensor, "stream t act"]
    rew: Float64[np.ndarray, "stream t"]
    val: Float64[np.ndarray, "stream t"]
    next_val: Float64[np.ndarray, "stream t"]
    terminated: Bool[np.ndarray, "stream t"]
    truncated: Bool[np.ndarray, "stream t"]

    @property
    def ended(self) -> Bool[np.ndarray, "stream t"]:
        """Whether the episode ended with the pair."""
        return self.terminated | self.truncated


def appraise(checkpoint: Checkpoint, blocks: Iterable[Block]) -> Iterator[Appraisal]:
    """The blocks of some streams, each handed on once the first values of the next are known.

    Args:
        checkpoint: The agent.
        blocks: Consecutive blocks of the same streams, with the observations behind truncated pairs in `finals`. The
            last pairs' next values are known if `finals` has their observations, too.

    Raises:
        ValueError: The observation behind a truncated pair is missing.
    """
    held: Appraisal | None = None
    for block in blocks:
        found = _appraise_block(checkpoint, block)
        if held is not None:
            unknown = ~held.ended[:, -1]
            held.next_val[unknown, -1] = found.val[unknown, 0]
            yield held
        held = found
    if held is not None:
        yield held


def _appraise_block(checkpoint: Checkpoint, block: Block) -> Appraisal:
    settings = make_settings(checkpoint.settings)
    moments = checkpoint.state.obs_moments
    mean, scale = moments.mean[0], std(moments)[0]

    def seen(raw: Float32[np.ndarray, "pair obs"]) -> Float32[np.ndarray, "pair obs"]:
        return normalise_obs(raw, mean, scale, settings.obs_clip).astype(np.float32)

    net = make_value(settings, checkpoint.num_obs)

    def value(obs: Float32[np.ndarray, "pair obs"]) -> Float32[np.ndarray, " pair"]:
        return values(net, checkpoint.state.phi, torch.from_numpy(obs)[None])[0].numpy()

    num_streams, num_pairs = block.rew.shape
    flat = block.obs.reshape(-1, checkpoint.num_obs)
    obs, val = np.empty_like(flat), np.empty(len(flat))
    for start in range(0, len(flat), ROWS):
        rows = slice(start, start + ROWS)
        obs[rows] = seen(flat[rows])
        val[rows] = value(obs[rows])
    obs, val = obs.reshape(block.obs.shape), val.reshape(num_streams, num_pairs)

    ended = block.terminated | block.truncated
    next_val = np.full((num_streams, num_pairs), np.nan)
    next_val[:, :-1] = np.where(ended[:, :-1], np.nan, val[:, 1:])
    if len(block.finals.t):
        next_val[block.finals.stream, block.finals.t - block.start] = value(seen(block.finals.obs))
    if np.isnan(next_val[block.truncated & ~block.terminated]).any():
        raise ValueError("the observation behind a truncated pair is missing")
    terminated, truncated = block.terminated, block.truncated
    if settings.semantics == "paper":
        terminated, truncated = ended, np.zeros_like(ended)
    return Appraisal(
        block.start,
        torch.from_numpy(obs),
        torch.from_numpy(block.act),
        normalise_rew(block.rew, checkpoint.state.rew_moments, settings),
        val,
        next_val,
        terminated,
        truncated,
    )
