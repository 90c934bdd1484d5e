"""The one stepping loop: many policies in many streams, their normalisers frozen or running.

Training, sampling, landscapes, held-out pairs and forks all use it. A stream does not depend on the other streams and
policies that run in parallel, nor on the length of the blocks.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from jaxtyping import Bool, Float32, Float64

from pgprim.core.mlp import TILE
from pgprim.core.seeding import derive_seed, generator
from pgprim.rl.acting import make_actor
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_policy
from pgprim.rl.normalise import Normaliser, RunningNormaliser, normalise_rew_running
from pgprim.rl.streams import Streams, make_streams
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState, Checkpoint
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Finals, Rollout, require_limit

Purpose = tuple[str | int, ...]


@dataclass(frozen=True)
class Policies:
    """Policies that act in parallel, and their observation normalisers.

    Attributes:
        theta: Parameters of each.
        settings: The networks' shapes, of all of them.
        normaliser: Of their observations; one agent for all policies, or one for each.
        rows: Rows per matrix product: `core.mlp.TILE`, so that the last bits depend neither on the number of streams
            nor on a stream's place, or 1 for policies that always have exactly one stream.
    """

    theta: Float32[np.ndarray, "policy param"]
    settings: Settings
    normaliser: Normaliser
    rows: int = TILE


def frozen_policies(
    checkpoint: Checkpoint, theta: Float32[np.ndarray, "policy param"] | None = None
) -> Policies:
    """The policy of a checkpoint with its normaliser frozen, for any number of streams.

    Args:
        checkpoint: The agent.
        theta: Parameters of other policies with the same normaliser, one stream each, instead of the checkpoint's.
    """
    settings = make_settings(checkpoint.settings)
    normaliser = Normaliser.of(checkpoint.state.obs_moments, settings)
    if theta is None:
        return Policies(checkpoint.state.theta.numpy(), settings, normaliser)
    return Policies(theta, settings, normaliser, rows=1)


def run_policies(
    environment: Environment,
    policies: Policies,
    purposes: Sequence[Purpose],
    num_pairs: int,
    block: int,
    is_exact: bool = False,
) -> Iterator[Rollout]:
    """Run policies for `num_pairs` pairs in every stream, each stream from a reset.

    Args:
        environment: The task.
        policies: Who acts.
        purposes: Purpose of each stream's random numbers, the streams of the first policy first; their number is a
            multiple of the number of policies. Streams with the same purpose have common random numbers.
        num_pairs: Pairs per stream.
        block: Pairs per stream and block; the last block may be shorter.
        is_exact: See `step_streams`.

    Yields:
        Blocks in order of time.

    Raises:
        UserError: The environment cannot be made, fails, or gives or gets NaN or infinity; or its spaces do not fit the
            policies.
        ValueError: The number of streams is not a multiple of the number of policies.
    """
    seeds = [derive_seed(*purpose, "env") for purpose in purposes]
    noises = [generator(*purpose, "noise") for purpose in purposes]
    edges = [*range(block, num_pairs, block), num_pairs]
    with closing(make_streams(environment, seeds)) as streams:
        yield from step_streams(
            environment, streams, streams.reset(), policies, noises, edges, is_exact=is_exact
        )


def sample_streams(
    checkpoint: Checkpoint, purpose: Purpose, num_streams: int, num_pairs: int, block: int, first: int = 0
) -> Iterator[Rollout]:
    """Run the frozen policy of a checkpoint in streams that are seeded by `purpose` and their number.

    Args:
        checkpoint: The agent.
        purpose: Purpose of their random numbers.
        num_streams: Streams.
        num_pairs: Pairs per stream.
        block: Pairs per stream and block; the last block may be shorter.
        first: Number of the first stream.
    """
    purposes = [(*purpose, stream) for stream in range(first, first + num_streams)]
    return run_policies(checkpoint.environment, frozen_policies(checkpoint), purposes, num_pairs, block)


def sample_pool(checkpoint: Checkpoint, streams: slice, num_pairs: int, block: int) -> Iterator[Rollout]:
    """Run the frozen policy of a checkpoint in streams of its pool (`types.sample`).

    Args:
        checkpoint: The agent.
        streams: Which streams, by their numbers in the pool.
        num_pairs: Pairs per stream.
        block: Pairs per stream and block.
    """
    purpose = ("sample", checkpoint.environment.id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    num_streams = streams.stop - streams.start
    return sample_streams(checkpoint, purpose, num_streams, num_pairs, block, streams.start)


def collect(
    environment: Environment,
    state: AgentState,
    settings: Settings,
    purposes: Sequence[Purpose],
    num_pairs: int | None = None,
    is_exact: bool = False,
) -> tuple[Rollout, AgentState]:
    """Run every agent of a stack for the T pairs of an iteration, with running normalisers.

    An agent has `settings.envs` streams. Each iteration seeds them again from the agent's own purpose, so its
    experience depends only on its own state: not on the other agents of the stack, nor on earlier samples.

    Args:
        environment: The task.
        state: The agents.
        settings: T, normalisation.
        purposes: Purpose of each agent's random numbers, iteration included.
        num_pairs: Pairs per stream, by default T / `settings.envs`; the number does not change the pairs in common.
        is_exact: See `step_streams`.

    Returns:
        The streams in order of their agents, and the agents with updated moments of observations and rewards.
    """
    normaliser = RunningNormaliser(state.obs_moments, settings)
    policies = Policies(state.theta.numpy(), settings, normaliser, rows=1)
    num_pairs = settings.pairs // settings.envs if num_pairs is None else num_pairs
    if settings.envs > 1:
        purposes = [(*purpose, "stream", env) for purpose in purposes for env in range(settings.envs)]
    (rollout,) = run_policies(environment, policies, purposes, num_pairs, num_pairs, is_exact)
    _, rew_moments = normalise_rew_running(rollout.rew, rollout.ended, state.rew_moments, settings)
    return rollout, replace(state, obs_moments=normaliser.moments, rew_moments=rew_moments)


def step_streams(
    environment: Environment,
    streams: Streams,
    raw: Float64[np.ndarray, "stream obs"],
    policies: Policies,
    noises: Sequence[np.random.Generator],
    edges: Iterable[int],
    is_single_episode: bool = False,
    is_exact: bool = False,
) -> Iterator[Rollout]:
    """Step streams from their current state; they may be saved between two blocks.

    Args:
        environment: The task, for messages.
        streams: The streams, not closed here.
        raw: Their current observations.
        policies: Who acts.
        noises: Source of each stream's noise.
        edges: Times, ascending, at which blocks end.
        is_single_episode: Whether a stream stops at the first termination. The rest of its row repeats `terminated`,
            and everything else is zero.
        is_exact: Whether only the known time limit may truncate an episode.

    Yields:
        Blocks in the order of time.
    """
    num_streams, num_obs, num_act = streams.num_streams, streams.num_obs, streams.num_act
    if num_streams % len(policies.theta) or len(noises) != num_streams:
        raise ValueError(f"{num_streams} streams and {len(noises)} noises for {len(policies.theta)} policies")
    if num_obs != policies.normaliser.mean.shape[1]:
        raise UserError(
            f"environment '{environment.id}' has {num_obs} observations, but the policy was trained with "
            f"{policies.normaliser.mean.shape[1]}"
        )
    net = make_policy(policies.settings, num_obs, num_act)
    if net.num_params != policies.theta.shape[1]:
        raise UserError(
            f"environment '{environment.id}' has {num_act} actions, so that a policy has {net.num_params} parameters, but this "
            f"one has {policies.theta.shape[1]}"
        )
    normaliser = policies.normaliser
    act_of = make_actor(net, policies.theta, num_streams, policies.rows)
    elapsed = np.zeros(num_streams, int)
    going, is_all_going = np.ones(num_streams, bool), True
    start, edges = 0, list(edges)
    for edge in edges:
        length = edge - start
        noise = np.stack([rng.standard_normal((length, num_act), dtype=np.float32) for rng in noises], 1)
        obs = np.zeros((num_streams, length, num_obs), np.float32)
        act = np.zeros((num_streams, length, num_act), np.float32)
        rew = np.zeros((num_streams, length))
        terminated, truncated = np.zeros((2, num_streams, length), bool)
        finals = []
        for t in range(length):
            _check(environment, start + t, "observation", raw, going)
            normaliser.push(raw)
            seen = normaliser(raw)
            drawn = act_of(seen, noise[t])
            _check(environment, start + t, "action", drawn, going)
            step = streams.step(drawn, None if is_all_going else going)
            _check(environment, start + t, "reward", step.rew, going)
            if is_all_going:
                obs[:, t], act[:, t], rew[:, t] = seen, drawn, step.rew
                terminated[:, t], truncated[:, t] = step.terminated, step.truncated
            else:
                obs[going, t], act[going, t], rew[going, t] = seen[going], drawn[going], step.rew[going]
                terminated[:, t] = step.terminated | ~going
            if is_single_episode and np.count_nonzero(step.terminated):
                going, is_all_going = going & ~step.terminated, False
            is_shown = going if start + t == edges[-1] - 1 else step.truncated
            if np.count_nonzero(is_shown):
                _check(environment, start + t, "observation", step.next_obs, is_shown)
                shown = normaliser(step.next_obs)
                finals += [(int(stream), start + t, shown[stream]) for stream in np.flatnonzero(is_shown)]
            if is_exact:
                elapsed += 1
                flags, lengths = step.truncated[:, None], elapsed[:, None]
                require_limit(environment.id, streams.time_limit, flags, lengths, t=start + t)
                elapsed[step.terminated | step.truncated] = 0
            raw = step.obs
        yield Rollout(start, obs, act, rew, terminated, truncated, _make_finals(finals, num_obs))
        start = edge


def _check(
    environment: Environment,
    t: int,
    quantity: str,
    values: Float64[np.ndarray, "stream ..."] | Float32[np.ndarray, "stream ..."],
    going: Bool[np.ndarray, " stream"],
) -> None:
    """Refuse NaN and infinity in all experience, for every environment and purpose."""
    if isfinite(
        np.vdot(values, values)
    ):  # the fastest check without a warning; a sum that overflows is examined below
        return
    bad = going & ~np.isfinite(values).reshape(len(values), -1).all(1)
    if bad.any():
        stream = int(np.argmax(bad))
        number = np.ravel(values[stream])
        number = number[~np.isfinite(number)][0]
        blamed = "the policy gives" if quantity == "action" else "the environment gives"
        raise UserError(
            f"environment '{environment.id}', stream {stream}, step {t}: {blamed} the {quantity} {number}, but every "
            f"{quantity} must be finite"
        )


def _make_finals(ends: list[tuple[int, int, np.ndarray]], num_obs: int) -> Finals:
    """Final observations in order, from the stream, time and observation of each."""
    ends = sorted(ends, key=lambda end: end[:2])
    stream, t = (np.array([end[k] for end in ends], np.int32) for k in (0, 1))
    return Finals(stream, t, np.array([end[2] for end in ends], np.float32).reshape(-1, num_obs))
