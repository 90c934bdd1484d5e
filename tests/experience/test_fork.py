"""Continuations of a stream: the stream is the sampler's kind of stream, its branches the policy's and independent."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from pgprim.experience.fork import fork_stream
from pgprim.experience.rollout import frozen_policies, run_policies
from pgprim.rl.algorithms import make_settings
from pgprim.rl.initialise import make_agent
from pgprim.rl.streams import make_streams
from pgprim.types.checkpoint import Checkpoint, Moments
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from tests.rl.examples import PPO

REGULATOR = "tests.oracles.environments:Regulator-v0"
PURPOSE = ("ppo", 7, 3)


def make_checkpoint(env_id: str) -> Checkpoint:
    streams = make_streams(Environment(env_id), [0])
    num_obs, num_act = streams.num_obs, streams.num_act
    streams.close()
    state = make_agent(make_settings(PPO), num_obs, num_act, "test")
    rng = np.random.default_rng(0)
    theta = state.theta + 0.1 * torch.from_numpy(rng.standard_normal(state.theta.shape)).float()
    moments = Moments(100, 0.1 * rng.standard_normal((1, num_obs)), rng.uniform(50, 200, (1, num_obs)))
    state = replace(state, theta=theta, obs_moments=moments)
    return Checkpoint("task", Environment(env_id), *PURPOSE, num_obs, num_act, PPO, state)


@pytest.mark.parametrize("env_id", ["Hopper-v5", REGULATOR])
def test_the_stream_is_that_of_the_frozen_policy(env_id, monkeypatch):
    """Falls and time limits as the stepping loop has them, whatever is done at the positions."""
    gymnasium.make(env_id).close()  # imports the module that registers it
    monkeypatch.setattr(gymnasium.spec(env_id.rpartition(":")[2]), "max_episode_steps", 15)
    checkpoint = make_checkpoint(env_id)
    policies = frozen_policies(
        checkpoint, checkpoint.state.theta.numpy()
    )  # one stream, so one row to a product
    (right,) = run_policies(checkpoint.environment, policies, [("floor", env_id, *PURPOSE)], 120, 120)
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


def test_a_time_limit_that_nobody_knows_of_is_refused():
    """An episode that its own step truncates, where exact returns would take the time limit for unknown or another."""
    checkpoint = make_checkpoint("tests.rl.strange:Strange-v0")
    strange = Environment("tests.rl.strange:Strange-v0", {"truncates_at": 6})
    with pytest.raises(
        UserError, match=r"Strange-v0', stream 0, step 5: .*after 6 steps, but no time limit is known"
    ):
        list(fork_stream(replace(checkpoint, environment=strange), [0, 3, 20], 2, 5))
