"""Experience of a frozen policy in many independent streams, each an unbroken sequence of episodes."""

from collections.abc import Iterator
from contextlib import closing
from math import ceil

import numpy as np

from pgprim.core.seeding import derive_seed, generator
from pgprim.rl.acting import make_actor
from pgprim.rl.algorithms import make_settings
from pgprim.rl.envs import make_envs
from pgprim.rl.normalise import normalise_obs, std
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Block, Finals

GROUP = 16
"""Rows per matrix product, always: the last bits of a product depend on its shape, and a stream must not depend on
the number of streams."""


def sample_streams(
    checkpoint: Checkpoint, num_streams: int, num_pairs: int, block: int, num_threads: int = 1
) -> Iterator[Block]:
    """Run the policy of a checkpoint, with its normalisers frozen, for `num_pairs` pairs in each stream.

    A stream starts from a reset and has its own environment and its own noise, seeded by its number: it does not
    depend on how many other streams there are, on the length of the blocks, or on the number of threads. The policy
    sees the observation in the single precision in which it is handed on, so that π(a|s) can be computed again exactly.

    Args:
        checkpoint: The agent.
        num_streams: Streams, stepped side by side.
        num_pairs: Pairs per stream.
        block: Pairs per stream and block; the last block may be shorter.
        num_threads: Threads that simulate.

    Yields:
        Blocks in the order of time.

    Raises:
        UserError: The environment cannot be made, or its spaces are not those of the checkpoint.
    """
    settings = make_settings(checkpoint.settings)
    purpose = ("sample", checkpoint.env_id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    seeds = [derive_seed(*purpose, "env", stream) for stream in range(num_streams)]
    noises = [generator(*purpose, "noise", stream) for stream in range(num_streams)]
    num_obs, num_act = checkpoint.num_obs, checkpoint.num_act
    act_of = make_actor(checkpoint.state.theta.numpy(), num_obs, num_act, settings.hidden)
    mean, scale = checkpoint.state.obs_moments.mean, std(checkpoint.state.obs_moments)
    num_groups = ceil(num_streams / GROUP)
    seen = np.zeros((num_groups, GROUP, num_obs), np.float32)

    with closing(make_envs(checkpoint.env_id, seeds, num_threads)) as envs:
        if (envs.obs_dim, envs.act_dim) != (num_obs, num_act):
            raise UserError(
                f"env id '{checkpoint.env_id}' has {envs.obs_dim} observations and {envs.act_dim} actions, but the "
                f"checkpoint was trained with {num_obs} and {num_act}"
            )
        raw = envs.reset()
        for start in range(0, num_pairs, block):
            length = min(block, num_pairs - start)
            noise = np.zeros((length, num_groups * GROUP, num_act), np.float32)
            for stream, noise_of in enumerate(noises):
                noise[:, stream] = noise_of.standard_normal((length, num_act), dtype=np.float32)
            noise = noise.reshape(length, num_groups, GROUP, num_act)
            obs = np.empty((num_streams, length, num_obs), np.float32)
            act = np.empty((num_streams, length, num_act), np.float32)
            rew = np.empty((num_streams, length))
            terminated, truncated = np.empty((2, num_streams, length), bool)
            ends: list[tuple[int, int, np.ndarray]] = []
            for t in range(length):
                obs[:, t] = raw
                seen.reshape(-1, num_obs)[:num_streams] = normalise_obs(
                    obs[:, t], mean, scale, settings.obs_clip
                )
                act[:, t] = act_of(seen, noise[t]).reshape(-1, num_act)[:num_streams]
                step = envs.step(act[:, t].astype(np.float64))
                rew[:, t], terminated[:, t], truncated[:, t] = step.rew, step.terminated, step.truncated
                raw = step.obs
                kept = step.truncated | (start + t == num_pairs - 1)
                if kept.any():
                    ends += [
                        (int(stream), start + t, step.next_obs[stream]) for stream in np.flatnonzero(kept)
                    ]
            yield Block(start, obs, act, rew, terminated, truncated, _make_finals(ends, num_obs))


def _make_finals(ends: list[tuple[int, int, np.ndarray]], num_obs: int) -> Finals:
    ends = sorted(ends, key=lambda end: end[:2])
    return Finals(
        np.array([stream for stream, _, _ in ends], np.int32),
        np.array([t for _, t, _ in ends], np.int32),
        np.array([obs for _, _, obs in ends], np.float32).reshape(-1, num_obs),
    )
