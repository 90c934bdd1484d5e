"""Continuations of a stream: the stream is the sampler's kind of stream, a copied simulator goes on as its original."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from pgprim.experience.frozen import run_frozen
from pgprim.rl.envs import make_envs

from pgprim.core.seeding import derive_seed, generator
from pgprim.experience.fork import copy_state, fork_stream
from pgprim.rl.algorithms import make_settings
from pgprim.rl.initialise import make_agent
from pgprim.rl.normalise import std
from pgprim.types.checkpoint import Checkpoint, Moments
from tests.rl.examples import PPO

REGULATOR = "tests.oracles.environments:Regulator-v0"
PURPOSE = ("ppo", 7, 3)


def make_checkpoint(env_id: str) -> Checkpoint:
    envs = make_envs(env_id, [0])
    num_obs, num_act = envs.obs_dim, envs.act_dim
    envs.close()
    state = make_agent(make_settings(PPO), num_obs, num_act, "test")
    rng = np.random.default_rng(0)
    theta = state.theta + 0.1 * torch.from_numpy(rng.standard_normal(state.theta.shape)).float()
    moments = Moments(100, 0.1 * rng.standard_normal((1, num_obs)), rng.uniform(50, 200, (1, num_obs)))
    state = replace(state, theta=theta, obs_moments=moments)
    return Checkpoint("task", env_id, *PURPOSE, num_obs, num_act, PPO, state)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Humanoid-v5", "Walker2d-v4", REGULATOR])
def test_a_copy_goes_on_bit_for_bit(env_id):
    """From a state with contacts and a history, into an environment that has a history of its own."""
    with pytest.warns() if env_id.endswith("v4") else pytest.MonkeyPatch.context():
        one, two = (gymnasium.make(env_id, disable_env_checker=True) for _ in range(2))
    rng = np.random.default_rng(1)
    acts = rng.uniform(-0.4, 0.4, (60, *one.action_space.shape))
    one.reset(seed=0), two.reset(seed=5)
    for act in acts[:12]:
        one.step(act)
    for act in acts[12:17]:
        two.step(act)
    copy_state(one, two)
    moved = []
    for act in acts[17:]:
        right, found = one.step(act), two.step(act)
        np.testing.assert_array_equal(found[0], right[0])
        assert found[1:4] == right[1:4]
        moved.append(right[0])
        if right[2] or right[3]:
            right, found = one.reset()[0], two.reset()[0]
            np.testing.assert_array_equal(found, right)
    assert np.ptp(moved, axis=0).max() > 0.1


@pytest.mark.parametrize("env_id", ["Hopper-v5", REGULATOR])
def test_the_stream_is_that_of_the_frozen_policy(env_id, monkeypatch):
    """Falls and time limits as `run_frozen` has them, whatever is done at the positions."""
    gymnasium.make(env_id).close()  # imports the module that registers it
    monkeypatch.setattr("pgprim.rl.envs.ENVPOOL_IDS", frozenset())  # whose resets draw other numbers
    monkeypatch.setattr(gymnasium.spec(env_id.rpartition(":")[2]), "max_episode_steps", 15)
    checkpoint = make_checkpoint(env_id)
    name, moments = ("floor", env_id, *PURPOSE), checkpoint.state.obs_moments
    (right,) = run_frozen(
        env_id,
        checkpoint.state.theta.numpy(),
        moments.mean,
        std(moments),
        PPO["obs_clip"],
        (64, 64),
        [derive_seed(*name, "env")],
        [generator(*name, "noise")],
        120,
        120,
    )
    assert right.truncated.any() and (right.terminated.any() or env_id == REGULATOR)
    positions = [0, 3, 14, 15, 40, 119]
    forks = list(fork_stream(checkpoint, positions, 2, 4))
    assert [fork.t for fork in forks] == positions
    starts = [0, *(np.flatnonzero((right.terminated | right.truncated)[0]) + 1)]
    for fork in forks:
        assert fork.elapsed == fork.t - max(start for start in starts if start <= fork.t)
        for branch in range(2):
            np.testing.assert_array_equal(fork.branches.obs[branch, 0], right.obs[0, fork.t])


def test_branches_do_not_depend_on_each_other():
    checkpoint = make_checkpoint("Hopper-v5")
    many = list(fork_stream(checkpoint, [2, 9, 30], 4, 50))
    few = list(fork_stream(checkpoint, [9], 2, 30))
    for name in ("obs", "act", "rew", "terminated"):
        np.testing.assert_array_equal(
            getattr(few[0].branches, name), getattr(many[1].branches, name)[:2, :30], err_msg=name
        )
    acts = many[0].branches.act[:, 0]
    assert len(np.unique(acts[:, 0])) == 4


@pytest.mark.parametrize("env_id", ["Hopper-v5", REGULATOR])
def test_branches_are_the_policys_and_know_no_time_limit(env_id, monkeypatch):
    gymnasium.make(env_id).close()
    monkeypatch.setattr(gymnasium.spec(env_id.rpartition(":")[2]), "max_episode_steps", 10)
    (fork,) = fork_stream(make_checkpoint(env_id), [0], 3, 200)
    found = fork.branches
    assert not found.truncated.any()
    if env_id == REGULATOR:
        assert not found.terminated.any() and (np.abs(found.rew) > 0).all()
        np.testing.assert_array_equal(found.finals.stream, [0, 1, 2])
        # The disturbances are each branch's own, too.
        assert np.abs(found.obs[0, 1:3] - found.obs[1, 1:3]).min() > 0
        return
    assert found.terminated[:, -1].all() and len(found.finals.stream) == 0
    assert (~found.terminated).sum(1).max() > 10
    for branch in range(3):
        length = int(np.argmax(found.terminated[branch])) + 1
        assert found.terminated[branch, length - 1 :].all()
        assert not found.rew[branch, length:].any() and found.rew[branch, :length].all()
