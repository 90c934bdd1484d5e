"""Experience for training: what the environment and the policy really did, and what the updates make of it."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from pgprim.experience.collect import Experience, collect, make_batch
from pgprim.rl.envs import make_envs

from pgprim.core.mlp import forward, policy_net
from pgprim.core.seeding import derive_seed, generator
from tests.rl import examples
from tests.rl.examples import new_agents, settings

LIMIT, PAIRS = 18, 120


@pytest.fixture
def short_episodes(monkeypatch):
    """So that falls and time limits both occur."""
    monkeypatch.setattr(gymnasium.spec("Hopper-v5"), "max_episode_steps", LIMIT)


def gather(chosen, seeds=(0, 1, 2), iterations=2):
    """Experience of consecutive iterations by agents that do not learn, and the agents after it."""
    state, purposes = new_agents("Hopper-v5", chosen, list(seeds))
    rounds = []
    for iteration in range(iterations):
        experience, state = collect("Hopper-v5", state, chosen, [(*p, iteration) for p in purposes])
        rounds.append(experience)
    return rounds, state


@pytest.mark.parametrize("obs_clip", [None, 1.0])
def test_experience_replayed_step_by_step(short_episodes, obs_clip):
    """Over two iterations: statistics by numpy over all observations so far, actions by torch in double precision."""
    chosen = settings(pairs=PAIRS, obs_clip=obs_clip, rew_norm=False, rew_clip=None)
    rounds, after = gather(chosen)
    policy = policy_net(11, 3, chosen.hidden)
    state, purposes = new_agents("Hopper-v5", chosen, [0, 1, 2])
    parts = policy.split(state.theta.double())
    for agent in range(3):
        own = [part[agent : agent + 1] for part in parts]
        seen = []

        def normalised(obs, seen=seen):
            past = np.array(seen)
            var = past.var(0, ddof=1) if len(past) > 1 else np.ones(11)
            scaled = (obs - past.mean(0)) / np.sqrt(np.where(var > 1e-8, var, 1))
            return scaled if obs_clip is None else scaled.clip(-obs_clip, obs_clip)

        for iteration, experience in enumerate(rounds):
            purpose = (*purposes[agent], iteration)
            envs = make_envs("Hopper-v5", [derive_seed(*purpose, "env")])
            noise = generator(*purpose, "act").standard_normal((PAIRS, 3), dtype=np.float32)
            obs = envs.reset()[0]
            for t in range(PAIRS):
                seen.append(obs)
                inputs = normalised(obs)
                np.testing.assert_allclose(experience.obs[agent, t], inputs, rtol=1e-5, atol=1e-5)
                mu = forward(own, torch.from_numpy(inputs)[None, None], 3)[0, 0].numpy()
                act = mu + own[-1][0].exp().numpy() * noise[t]
                np.testing.assert_allclose(experience.act[agent, t], act, rtol=0, atol=2e-5)
                step = envs.step(experience.act[agent, t][None].astype(np.float64))
                assert experience.rew[agent, t] == experience.rew_norm[agent, t] == step.rew[0]
                assert experience.terminated[agent, t] == step.terminated[0]
                assert experience.truncated[agent, t] == step.truncated[0]
                last = step.terminated[0] or step.truncated[0] or t == PAIRS - 1
                beyond = normalised(step.next_obs[0]) if last else np.zeros(11)
                np.testing.assert_allclose(experience.next_obs[agent, t], beyond, rtol=1e-5, atol=1e-5)
                obs = step.obs[0]
            envs.close()
        np.testing.assert_allclose(after.obs_moments.mean[agent], np.mean(seen, 0), rtol=1e-9, atol=1e-12)
    assert after.obs_moments.count == 2 * PAIRS
    for name in ("terminated", "truncated"):
        assert all(getattr(experience, name).any(1).all() for experience in rounds), name
    if obs_clip:
        assert 0.01 < (np.abs(rounds[1].obs) == obs_clip).mean() < 0.9


def test_an_agents_experience_depends_on_no_other(short_episodes):
    chosen = settings(pairs=PAIRS)
    whole, state = gather(chosen)
    for pick in examples.stacks():
        rounds, own = gather(chosen, range(3)[pick])
        for found, right in zip(rounds, whole, strict=True):
            for name, array in vars(found).items():
                np.testing.assert_array_equal(array, getattr(right, name)[pick], err_msg=name)
        for index, agent in enumerate(range(3)[pick]):
            examples.assert_same_agent(own.agent(index), state.agent(agent))


def test_agents_and_iterations_have_streams_of_their_own():
    one, two = gather(settings(pairs=20, rew_norm=False))[0]
    assert not np.array_equal(one.act, two.act) and not np.array_equal(one.rew[0], one.rew[1])
    assert not np.array_equal(one.act[0], one.act[1])


def test_collecting_leaves_the_agents_as_they_were():
    chosen = settings(pairs=20)
    state, purposes = new_agents("Hopper-v5", chosen, [0, 1])
    before = {name: np.copy(value) for name, value in examples.arrays(state).items()}
    _, after = collect("Hopper-v5", state, chosen, purposes)
    for name, value in examples.arrays(state).items():
        np.testing.assert_array_equal(value, before[name])
    moved = {
        name for name, value in examples.arrays(after).items() if not np.array_equal(value, before[name])
    }
    assert moved == {
        f"{kind}.{part}" for kind in ("obs_moments", "rew_moments") for part in ("count", "mean", "m2")
    }


# --- what the updates make of it: V(s) = s, all rewards 1, γ = λ = ½ ---------------------------------------------------

IDENTITY = torch.tensor([[1.0, 0.0]])


def batch_of(semantics, terminated=(0, 0, 0, 1, 0), truncated=(0, 1, 0, 0, 0)):
    """States 1 … 5; behind the second and the last step an observation that no pair holds, 10 and 20."""
    experience = Experience(
        obs=np.arange(1, 6, dtype=np.float32)[None, :, None],
        next_obs=np.array([0, 10, 0, 99, 20], np.float32)[None, :, None],
        act=np.zeros((1, 5, 1), np.float32),
        rew=np.full((1, 5), np.nan),
        rew_norm=np.ones((1, 5)),
        terminated=np.array([terminated], bool),
        truncated=np.array([truncated], bool),
    )
    return make_batch(experience, IDENTITY, settings(hidden=[], gamma=0.5, lam=0.5, semantics=semantics))


def row(*numbers):
    return torch.tensor([numbers])


def test_exact_semantics_by_hand():
    """A time limit after the second step, a fall after the fourth, the cut after the last."""
    batch = batch_of("exact")
    delta = (1 + 2 / 2 - 1, 1 + 10 / 2 - 2, 1 + 4 / 2 - 3, 1 - 4, 1 + 20 / 2 - 5)
    right = row(delta[0] + delta[1] / 4, delta[1], delta[2] + delta[3] / 4, delta[3], delta[4])
    assert torch.equal(batch.adv, right)
    assert torch.equal(batch.val_old, row(1.0, 2.0, 3.0, 4.0, 5.0))
    assert torch.equal(batch.target, batch.val_old + right)
    assert batch.weight is None


def test_paper_semantics_differ_exactly_as_documented():
    """The time limit loses γ·V(10), the cut is worth V(5) instead of V(20), and ended pairs do not count in V's loss."""
    exact, paper = batch_of("exact"), batch_of("paper")
    assert torch.equal(exact.adv - paper.adv, row(5 / 4, 5.0, 0.0, 0.0, (20 - 5) / 2))
    assert torch.equal(exact.target - paper.target, exact.adv - paper.adv)
    assert torch.equal(paper.weight, row(1.0, 0.0, 1.0, 0.0, 1.0))
    for name in ("obs", "act", "val_old"):
        assert torch.equal(getattr(exact, name), getattr(paper, name))


@pytest.mark.parametrize("semantics", ["exact", "paper"])
def test_a_batch_that_ends_with_a_fall_is_the_same_either_way(semantics):
    batch = batch_of(semantics, terminated=(0, 1, 0, 0, 1), truncated=(0, 0, 0, 0, 0))
    delta = (1 + 2 / 2 - 1, 1 - 2, 1 + 4 / 2 - 3, 1 + 5 / 2 - 4, 1 - 5)
    right = (
        delta[0] + delta[1] / 4,
        delta[1],
        delta[2] + delta[3] / 4 + delta[4] / 16,
        delta[3] + delta[4] / 4,
        delta[4],
    )
    assert torch.equal(batch.adv, row(*right))


def test_a_fall_on_the_very_step_of_the_time_limit_is_worth_nothing():
    both = batch_of("exact", terminated=(0, 1, 0, 1, 0))
    assert torch.equal(both.adv, batch_of("exact", (0, 1, 0, 1, 0), (0, 0, 0, 0, 0)).adv)


def test_rewards_are_the_normalised_ones_and_values_of_each_agents_own_network():
    rounds, state = gather(settings(pairs=PAIRS), iterations=1)
    chosen = settings(pairs=PAIRS)
    whole = make_batch(rounds[0], state.phi, chosen)
    for pick in examples.stacks():
        alone = Experience(**{name: array[pick].copy() for name, array in vars(rounds[0]).items()})
        found = make_batch(alone, state.phi[pick].clone(), chosen)
        for name in ("obs", "act", "adv", "target", "val_old"):
            assert torch.equal(getattr(found, name), getattr(whole, name)[pick]), name
    doubled = replace(rounds[0], rew_norm=2 * rounds[0].rew_norm)
    assert not torch.equal(make_batch(doubled, state.phi, chosen).adv, whole.adv)
    other = replace(rounds[0], rew=np.full_like(rounds[0].rew, np.nan))
    assert torch.equal(make_batch(other, state.phi, chosen).adv, whole.adv)
