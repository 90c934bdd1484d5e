"""How states of a stream might have gone on: independent continuations of one and the same simulator state.

Two returns from one state have the same mean V^π(s) and independent noise, which is what it takes to tell an error of a
value network from the noise of what it is compared to. On Gymnasium, whose simulators, other than EnvPool's, can be put
into a given state.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv

from pgprim.core.seeding import derive_seed, generator
from pgprim.experience.frozen import make_finals, make_frozen_actor
from pgprim.rl.algorithms import make_settings
from pgprim.rl.limits import time_limit
from pgprim.rl.normalise import std
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.rollouts import Block

SHARED = frozenset(("model", "data", "mujoco_renderer", "observation_space", "action_space", "spec"))
"""What two MuJoCo environments of one task need not copy from each other: `data` is copied by MuJoCo itself."""


@dataclass(frozen=True)
class Fork:
    """One state of a stream and its continuations.

    Attributes:
        t: Time in the stream.
        elapsed: Pairs of the same episode before it.
        branches: Continuations, one per row, that begin at this state and know no time limit. A branch that ended
            repeats `terminated` for the rest of its row, where everything else is zero. `finals` holds the observations
            behind those that go on.
    """

    t: int
    elapsed: int
    branches: Block


def fork_stream(
    checkpoint: Checkpoint, positions: Sequence[int], num_branches: int, num_pairs: int
) -> Iterator[Fork]:
    """Run the frozen policy of a checkpoint in one stream, and at some of its states continue it several times.

    The stream is an unbroken sequence of episodes with the task's time limit. A branch has the state of the stream's
    simulator, whose random numbers, where it draws any, and the policy's noise are the branch's own. So it does not
    depend on how many others there are, nor on the other positions.

    Args:
        checkpoint: The agent.
        positions: Times in the stream, ascending.
        num_branches: Continuations of each of these states.
        num_pairs: Pairs of each continuation, fewer if the task ends the episode.

    Yields:
        The states in the order of time.
    """
    settings, moments = make_settings(checkpoint.settings), checkpoint.state.obs_moments
    purpose = ("floor", checkpoint.env_id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    num_act = checkpoint.num_act
    policy = (checkpoint.state.theta.numpy(), moments.mean, std(moments), settings.obs_clip, settings.hidden)
    act_of = make_frozen_actor(*policy, num_act, 1)
    act_of_branches = make_frozen_actor(*policy, num_act, num_branches)
    limit = time_limit(checkpoint.env_id)
    noise = generator(*purpose, "noise")
    with closing(_make(checkpoint.env_id)) as env:
        copies = [_make(checkpoint.env_id) for _ in range(num_branches)]
        for copied in copies:
            copied.reset(seed=0)
        obs, _ = env.reset(seed=derive_seed(*purpose, "env"))
        elapsed, wanted = 0, set(positions)
        for t in range(max(positions) + 1):
            if t in wanted:
                for branch, copied in enumerate(copies):
                    copy_state(env, copied)
                    copied.unwrapped.np_random = generator(*purpose, "branch env", t, branch)
                noises = [generator(*purpose, "branch noise", t, branch) for branch in range(num_branches)]
                yield Fork(
                    t, elapsed, _continue(copies, _flat(obs), act_of_branches, noises, num_pairs, num_act)
                )
            act = act_of(_flat(obs)[None], noise.standard_normal((1, num_act), dtype=np.float32))
            obs, _, terminated, truncated, _ = env.step(_shaped(env, act[0]))
            elapsed += 1
            if terminated or truncated or elapsed == limit:
                obs, _ = env.reset()
                elapsed = 0
        for copied in copies:
            copied.close()


def copy_state(source: gymnasium.Env, target: gymnasium.Env) -> None:
    """Put an environment into the state of another of the same task: both go on bit for bit alike.

    MuJoCo's whole data are copied, not only positions and velocities: rewards and observations are made of quantities of
    the last step, and its solver starts from the last solution. Everything else that the environment and its wrappers
    remember is copied as Python objects. (`copy.deepcopy` of a MuJoCo environment would not do: it makes a new one.)

    Args:
        source: Left as it is.
        target: Its state is overwritten.
    """
    while isinstance(source, gymnasium.Wrapper):
        _copy_attributes(source, target, {"env"})
        source, target = source.env, target.env
    if isinstance(source, MujocoEnv):
        _copy_attributes(source, target, SHARED)
        mujoco.mj_copyData(target.data, target.model, source.data)
    else:
        _copy_attributes(source, target, set())


def _copy_attributes(source: gymnasium.Env, target: gymnasium.Env, but: set[str] | frozenset[str]) -> None:
    vars(target).update({name: deepcopy(value) for name, value in vars(source).items() if name not in but})


def _continue(copies, obs, act_of, noises, num_pairs, num_act) -> Block:
    """Step the copies, all in the state that shows `obs`, until each has made all its pairs or its episode ended."""
    shape = (len(copies), num_pairs)
    kept_obs = np.zeros((*shape, len(obs)), np.float32)
    act = np.zeros((*shape, num_act), np.float32)
    rew, terminated = np.zeros(shape), np.zeros(shape, bool)
    noise = np.stack([rng.standard_normal((num_pairs, num_act), dtype=np.float32) for rng in noises], 1)
    seen = np.tile(obs, (len(copies), 1))
    going_on = list(range(len(copies)))
    for t in range(num_pairs):
        chosen = act_of(seen, noise[t])
        for branch in list(going_on):
            env = copies[branch]
            kept_obs[branch, t], act[branch, t] = seen[branch], chosen[branch]
            raw, rew[branch, t], ended, _, _ = env.step(_shaped(env, chosen[branch]))
            seen[branch] = _flat(raw)
            if ended:
                terminated[branch, t:] = True
                going_on.remove(branch)
        if not going_on:
            break
    ends = [(branch, num_pairs - 1, seen[branch].copy()) for branch in going_on]
    finals = make_finals(ends, len(obs))
    return Block(0, kept_obs, act, rew, terminated, np.zeros_like(terminated), finals)


def _make(env_id: str) -> gymnasium.Env:
    """The environment without its time limit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*out of date", category=DeprecationWarning)
        return gymnasium.make(env_id, max_episode_steps=-1, disable_env_checker=True)


def _flat(obs: np.ndarray) -> np.ndarray:
    return np.ravel(obs).astype(np.float32)


def _shaped(env: gymnasium.Env, act: np.ndarray) -> np.ndarray:
    return act.astype(np.float64).reshape(env.action_space.shape)
