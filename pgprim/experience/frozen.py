"""Experience of many different frozen policies at once, side by side in one vector environment.

`sampling.sample_streams` runs one checkpoint in many streams; here every few streams have a policy and normalisers of
their own, such as the points of a landscape or the snapshots of a training run.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from math import ceil

import numpy as np
from jaxtyping import Float

from pgprim.experience.sampling import GROUP
from pgprim.rl.acting import make_actor
from pgprim.rl.envs import make_envs
from pgprim.rl.normalise import normalise_obs
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Block, Finals

FrozenActor = Callable[
    [Float[np.ndarray, "stream obs"], Float[np.ndarray, "stream act"]], Float[np.ndarray, "stream act"]
]


def make_frozen_actor(
    theta: Float[np.ndarray, "agent param"],
    mean: Float[np.ndarray, "agent obs"],
    scale: Float[np.ndarray, "agent obs"],
    obs_clip: float | None,
    hidden: tuple[int, ...],
    num_act: int,
    num_streams: int,
) -> FrozenActor:
    """A function that acts for streams of several frozen policies, the same number of streams for each.

    Streams are in the order of their policies: the first `num_streams`/agents are those of the first. Each policy's
    streams go through its network in groups of `sampling.GROUP` rows, some of them empty, because the last bits of a
    product depend on its shape, and a stream must not depend on what runs beside it.

    Args:
        theta: Parameters of each policy, single precision.
        mean: Of each policy's observations, frozen.
        scale: Their standard deviation.
        obs_clip: Bound on the normalised observation.
        hidden: Units per hidden layer.
        num_act: Length of an action.
        num_streams: Streams of all policies together.

    Returns:
        (raw observations in single precision, standard normal noise) ↦ μ(s) + σ·noise.
    """
    num_agents, num_obs = mean.shape
    each = num_streams // num_agents
    num_groups = ceil(each / GROUP)
    act_of = make_actor(theta, num_obs, num_act, hidden)
    seen = np.zeros((num_groups, num_agents, GROUP, num_obs), np.float32)
    drawn = np.zeros((num_groups, num_agents, GROUP, num_act), np.float32)
    pieces = [slice(k * GROUP, min((k + 1) * GROUP, each)) for k in range(num_groups)]

    def act(obs, noise):
        obs = obs.reshape(num_agents, each, num_obs)
        noise = noise.reshape(num_agents, each, num_act)
        found = np.empty((num_agents, each, num_act), np.float32)
        scaled = normalise_obs(obs, mean[:, None], scale[:, None], obs_clip)
        for k, piece in enumerate(pieces):
            rows = slice(0, piece.stop - piece.start)
            seen[k, :, rows], drawn[k, :, rows] = scaled[:, piece], noise[:, piece]
        chosen = act_of(seen, drawn)
        for k, piece in enumerate(pieces):
            found[:, piece] = chosen[k, :, : piece.stop - piece.start]
        return found.reshape(num_streams, num_act)

    return act


def run_frozen(
    env_id: str,
    theta: Float[np.ndarray, "agent param"],
    mean: Float[np.ndarray, "agent obs"],
    scale: Float[np.ndarray, "agent obs"],
    obs_clip: float | None,
    hidden: tuple[int, ...],
    env_seeds: Sequence[int],
    noises: Sequence[np.random.Generator],
    num_pairs: int,
    block: int,
    num_threads: int = 1,
) -> Iterator[Block]:
    """Run many frozen policies, the same number of streams for each, for `num_pairs` pairs in every stream.

    A stream starts from a reset and has its own environment and noise. It does not depend on which other policies and
    how many other streams run beside it, on the length of the blocks, or on the number of threads; with the seeds and
    noises of `sampling.sample_streams` it is the same to the bit.

    Args:
        env_id: Gymnasium's id.
        theta: Parameters of each policy, single precision.
        mean: Of each policy's observations, frozen.
        scale: Their standard deviation.
        obs_clip: Bound on the normalised observation.
        hidden: Units per hidden layer.
        env_seeds: One per stream, the streams of the first policy first; their number is a multiple of the policies'.
        noises: Source of each stream's noise.
        num_pairs: Pairs per stream.
        block: Pairs per stream and block; the last block may be shorter.
        num_threads: Threads that simulate.

    Yields:
        Blocks in the order of time.

    Raises:
        UserError: The environment cannot be made, or its observations are not those of the policies.
        ValueError: The streams cannot be shared out among the policies.
    """
    num_streams, num_agents = len(env_seeds), len(theta)
    if num_streams % num_agents or len(noises) != num_streams:
        raise ValueError(f"{num_streams} seeds and {len(noises)} noises for {num_agents} policies")
    with closing(make_envs(env_id, env_seeds, num_threads)) as envs:
        num_obs, num_act = envs.obs_dim, envs.act_dim
        if num_obs != mean.shape[1]:
            raise UserError(f"env id '{env_id}' has {num_obs} observations, but the policies {mean.shape[1]}")
        act_of = make_frozen_actor(theta, mean, scale, obs_clip, hidden, num_act, num_streams)
        raw = envs.reset()
        for start in range(0, num_pairs, block):
            length = min(block, num_pairs - start)
            noise = np.stack([rng.standard_normal((length, num_act), dtype=np.float32) for rng in noises], 1)
            obs = np.empty((num_streams, length, num_obs), np.float32)
            act = np.empty((num_streams, length, num_act), np.float32)
            rew = np.empty((num_streams, length))
            terminated, truncated = np.empty((2, num_streams, length), bool)
            finals = []
            for t in range(length):
                obs[:, t] = raw
                act[:, t] = act_of(obs[:, t], noise[t])
                step = envs.step(act[:, t].astype(np.float64))
                rew[:, t], terminated[:, t], truncated[:, t] = step.rew, step.terminated, step.truncated
                raw = step.obs
                streams = np.flatnonzero(step.truncated | (start + t == num_pairs - 1))
                finals += [(int(stream), start + t, step.next_obs[stream]) for stream in streams]
            yield Block(start, obs, act, rew, terminated, truncated, make_finals(finals, num_obs))


def make_finals(ends: list[tuple[int, int, np.ndarray]], num_obs: int) -> Finals:
    """Final observations in their order, from stream, time and raw observation of each."""
    ends = sorted(ends, key=lambda end: end[:2])
    stream, t = (np.array([end[k] for end in ends], np.int32) for k in (0, 1))
    obs = np.array([end[2] for end in ends], np.float32).reshape(-1, num_obs)
    return Finals(stream, t, obs)
