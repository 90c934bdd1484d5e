"""The stepping loop: streams that depend on nothing but themselves, actions of the policy, ends kept as they are."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from pgprim.core.mlp import TILE, forward, policy_net
from pgprim.core.seeding import derive_seed, generator
from pgprim.experience.rollout import Policies, collect, frozen_policies, run_policies, sample_streams
from pgprim.rl.initialise import make_agent
from pgprim.rl.normalise import Normaliser
from pgprim.rl.streams import make_streams
from pgprim.types.checkpoint import Checkpoint, Moments
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Finals, Rollout
from tests.rl import examples
from tests.rl.examples import HOPPER, PPO, new_agents, settings

CLIP, LIMIT, PAIRS = 1.5, 18, 120
NAMES = ("obs", "act", "rew", "terminated", "truncated")
STRANGE = "tests.rl.strange:Strange-v0"


@pytest.fixture
def short_episodes(monkeypatch):
    """So that falls and time limits both occur."""
    monkeypatch.setattr(gymnasium.spec("Hopper-v5"), "max_episode_steps", LIMIT)


def make_policies(environment: Environment, num_policies: int, rows: int = TILE) -> Policies:
    """Policies with a will of their own, and normalisers that have seen something."""
    streams, rng = make_streams(environment, [0]), np.random.default_rng(0)
    shape = streams.num_obs, streams.num_act
    theta = np.concatenate([make_agent(settings(), *shape, "test", k).theta for k in range(num_policies)])
    theta = theta + 0.3 * rng.standard_normal(theta.shape).astype(np.float32)
    moments = (num_policies, streams.num_obs)
    normaliser = Normaliser(rng.standard_normal(moments), rng.uniform(0.7, 1.5, moments), CLIP)
    return Policies(theta, settings(), normaliser, rows)


def some(policies: Policies, chosen: list[int]) -> Policies:
    normaliser = policies.normaliser
    own = Normaliser(normaliser.mean[chosen], normaliser.scale[chosen], CLIP)
    return replace(policies, theta=policies.theta[chosen], normaliser=own)


def run(environment, policies, purposes, num_pairs, block=32) -> Rollout:
    """All blocks as one."""
    blocks = list(run_policies(environment, policies, purposes, num_pairs, block))
    assert [part.start for part in blocks] == list(range(0, num_pairs, block))
    arrays = {name: np.concatenate([getattr(part, name) for part in blocks], axis=1) for name in NAMES}
    finals = [
        np.concatenate([getattr(part.finals, name) for part in blocks]) for name in ("stream", "t", "obs")
    ]
    order = np.lexsort((finals[1], finals[0]))
    return Rollout(0, **arrays, finals=Finals(*(part[order] for part in finals)))


def assert_same(one: Rollout, two: Rollout, streams: list[int] | slice = slice(None)) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name)[streams], err_msg=name)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Humanoid-v5", "Pendulum-v1"])
def test_a_stream_is_the_same_alone_and_among_others(env_id):
    environment = Environment(env_id)
    policies = make_policies(environment, 5)
    names = [("test", agent, stream) for agent in range(5) for stream in range(3)]
    together = run(environment, policies, names, 80)
    assert_same(run(environment, some(policies, [3]), [("test", 3, 0)], 80), together, [9])
    few = run(environment, some(policies, [4, 1]), [names[k] for k in (12, 13, 3, 4)], 80)
    assert_same(few, together, [12, 13, 3, 4])
    many = run(environment, some(policies, [2]), [*names[6:9], *(("more", k) for k in range(32))], 80)
    assert_same(some_rows(many, 3), together, [6, 7, 8])
    assert np.abs(together.obs[0] - together.obs[3]).max() > 0.01


def some_rows(rollout: Rollout, num: int) -> Rollout:
    return replace(rollout, **{name: getattr(rollout, name)[:num] for name in NAMES})


def test_policies_of_one_stream_each_do_not_depend_on_each_other():
    policies = make_policies(HOPPER, 9, rows=1)
    names = [("test", k) for k in range(9)]
    together = run(HOPPER, policies, names, 80)
    for k in (0, 4, 8):
        assert_same(run(HOPPER, some(policies, [k]), names[k : k + 1], 80), together, [k])


def test_blocks_and_the_length_of_the_run_do_not_matter(short_episodes):
    policies = make_policies(HOPPER, 3)
    names = [("test", agent, stream) for agent in range(3) for stream in range(2)]
    one, two = run(HOPPER, policies, names, 100), run(HOPPER, policies, names, 100, block=41)
    assert_same(one, two)
    for name in ("stream", "t", "obs"):
        np.testing.assert_array_equal(getattr(one.finals, name), getattr(two.finals, name))
    longer = run(HOPPER, policies, names, 130)
    np.testing.assert_array_equal(longer.obs[:, :100], one.obs)
    np.testing.assert_array_equal(np.flatnonzero(one.finals.t == 99).shape, (6,))


def test_rollouts_are_what_environment_and_policy_do(short_episodes):
    """One stream at a time: the environment replays the drawn actions, which torch computes again in double precision."""
    policies, num_pairs = make_policies(HOPPER, 2), 200
    normaliser, net = policies.normaliser, policy_net(11, 3, (64, 64))
    names = [("test", agent, stream) for agent in range(2) for stream in range(17)]
    rollout = run(HOPPER, policies, names, num_pairs)
    assert rollout.terminated.sum() > 4 and rollout.truncated.sum() > 4
    finals = []
    for stream, name in enumerate(names):
        agent = stream // 17

        def normalised(raw, agent=agent):
            return np.clip((raw - normaliser.mean[agent]) / normaliser.scale[agent], -CLIP, CLIP)

        streams = make_streams(HOPPER, [derive_seed(*name, "env")])
        raw = streams.reset()[0].copy()
        for t in range(num_pairs):
            np.testing.assert_array_equal(rollout.obs[stream, t], normalised(raw).astype(np.float32))
            step = streams.step(rollout.act[stream, t][None])
            assert rollout.rew[stream, t] == step.rew[0]
            assert rollout.terminated[stream, t] == step.terminated[0]
            assert rollout.truncated[stream, t] == step.truncated[0]
            if step.truncated[0] or t == num_pairs - 1:
                finals.append((stream, t, normalised(step.next_obs[0])))
            raw = step.obs[0].copy()
        parts = net.split(torch.from_numpy(policies.theta[[agent]].astype(np.float64)))
        mu = forward(net, parts, torch.from_numpy(rollout.obs[[stream]].astype(np.float64)))[0].numpy()
        noise = generator(*name, "noise").standard_normal((num_pairs, 3), dtype=np.float32)
        act = mu + parts[-1][0].exp().numpy() * noise
        np.testing.assert_allclose(rollout.act[stream], act, rtol=0, atol=2e-5)
    assert (np.abs(rollout.obs) == CLIP).mean() > 0.01
    np.testing.assert_array_equal(rollout.finals.stream, [stream for stream, _, _ in finals])
    np.testing.assert_array_equal(rollout.finals.t, [t for _, t, _ in finals])
    np.testing.assert_array_equal(rollout.finals.obs, np.array([obs for _, _, obs in finals], np.float32))


def test_the_sampler_is_the_checkpoints_frozen_policy():
    rng = np.random.default_rng(0)
    state = make_agent(settings(), 11, 3, "test", 0)
    moments = Moments(101, rng.standard_normal((1, 11)), 100 * rng.uniform(0.5, 2.0, (1, 11)))
    checkpoint = Checkpoint("hopper", HOPPER, "ppo", 7, 3, 11, 3, PPO, replace(state, obs_moments=moments))
    policies = frozen_policies(checkpoint)
    np.testing.assert_array_equal(policies.normaliser.mean, moments.mean)
    np.testing.assert_allclose(policies.normaliser.scale, np.sqrt(moments.m2 / 100))
    (sampled,) = sample_streams(checkpoint, ("any",), 3, 40, 40)
    assert_same(sampled, run(HOPPER, policies, [("any", k) for k in range(3)], 40, 40))


def test_wrong_shapes_are_refused():
    policies = make_policies(HOPPER, 2)
    with pytest.raises(ValueError, match="3 streams and 3 noises for 2 policies"):
        run(HOPPER, policies, [("a", k) for k in range(3)], 1)
    with pytest.raises(UserError, match=r"Walker2d-v5.*17 observations.*11"):
        run(Environment("Walker2d-v5"), policies, [("a", k) for k in range(2)], 1)
    with pytest.raises(UserError, match=r"Skinny-v0.*2 actions"):
        run(Environment("tests.rl.strange:Skinny-v0"), policies, [("a", k) for k in range(2)], 1)


# --- numbers that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "quantity"), [("rew", "reward nan"), ("obs", "observation inf")])
@pytest.mark.parametrize("purpose", ["frozen", "training"])
def test_a_number_that_is_not_finite_stops_with_environment_stream_step_and_quantity(
    where, quantity, purpose
):
    environment = Environment(STRANGE, {"nan_at": 37, "nan_in": where})
    step = 37 if where == "rew" else 38  # an observation is the next step's
    with pytest.raises(
        UserError, match=rf"{STRANGE}', stream 0, step {step}: the environment gives the {quantity}"
    ):
        if purpose == "frozen":
            run(environment, make_policies(environment, 1), [("a", 0), ("a", 1)], 60)
        else:
            chosen = settings(pairs=60)
            state, purposes = new_agents(environment, chosen, [0, 1])
            collect(environment, state, chosen, purposes)


def test_the_last_observation_is_looked_at_too():
    environment = Environment(STRANGE, {"nan_at": 19, "nan_in": "obs"})
    with pytest.raises(UserError, match="stream 0, step 19: the environment gives the observation"):
        run(environment, make_policies(environment, 1), [("a", 0), ("a", 1)], 20, 20)


def test_an_action_that_is_no_number_is_the_policys():
    policies = make_policies(HOPPER, 2)
    policies.theta[1, 0] = np.nan
    with pytest.raises(UserError, match="Hopper-v5', stream 1, step 0: the policy gives the action nan"):
        run(HOPPER, policies, [("a", 0), ("a", 1)], 5)


# --- training -------------------------------------------------------------------------------------------------------


def gather(chosen, seeds=(0, 1, 2), iterations=2):
    """Experience of consecutive iterations by agents that do not learn, and the agents after it."""
    state, purposes = new_agents(HOPPER, chosen, list(seeds))
    rounds = []
    for iteration in range(iterations):
        rollout, state = collect(HOPPER, state, chosen, [(*p, iteration) for p in purposes])
        rounds.append(rollout)
    return rounds, state


@pytest.mark.parametrize("obs_clip", [None, 1.0])
def test_normalisers_run_along_in_training(short_episodes, obs_clip):
    """Over two iterations: statistics by numpy over all observations so far, the present one included."""
    chosen = settings(pairs=PAIRS, obs_clip=obs_clip)
    rounds, after = gather(chosen)
    purposes = new_agents(HOPPER, chosen, [0, 1, 2])[1]
    for agent in range(3):
        seen = []

        def normalised(obs, seen=seen):
            past = np.array(seen)
            scale = past.std(0, ddof=1) if len(past) > 1 else np.ones(11)
            scaled = (obs - past.mean(0)) / scale
            return scaled if obs_clip is None else scaled.clip(-obs_clip, obs_clip)

        for iteration, rollout in enumerate(rounds):
            streams = make_streams(HOPPER, [derive_seed(*purposes[agent], iteration, "env")])
            obs, own = streams.reset()[0].copy(), rollout.finals.stream == agent
            finals = dict(zip(rollout.finals.t[own], rollout.finals.obs[own], strict=True))
            for t in range(PAIRS):
                seen.append(obs)
                np.testing.assert_allclose(rollout.obs[agent, t], normalised(obs), rtol=1e-5, atol=1e-5)
                step = streams.step(rollout.act[agent, t][None])
                assert rollout.rew[agent, t] == step.rew[0]
                assert (t in finals) == (step.truncated[0] or t == PAIRS - 1)
                if t in finals:
                    right = normalised(step.next_obs[0])
                    np.testing.assert_allclose(finals[t], right, rtol=1e-5, atol=1e-5)
                obs = step.obs[0].copy()
        np.testing.assert_allclose(after.obs_moments.mean[agent], np.mean(seen, 0), rtol=1e-9, atol=1e-12)
    assert after.obs_moments.count == 2 * PAIRS
    for name in ("terminated", "truncated"):
        assert all(getattr(rollout, name).any(1).all() for rollout in rounds), name
    if obs_clip:
        assert 0.01 < (np.abs(rounds[1].obs) == obs_clip).mean() < 0.9


def test_an_agents_experience_depends_on_no_other(short_episodes):
    chosen = settings(pairs=PAIRS)
    whole, state = gather(chosen)
    for pick in examples.stacks():
        rounds, own = gather(chosen, range(3)[pick])
        for mine, right in zip(rounds, whole, strict=True):
            assert_same(mine, right, pick)
        for index, agent in enumerate(range(3)[pick]):
            examples.assert_same_agent(own.agent(index), state.agent(agent))


def test_more_pairs_begin_with_the_iterations_own():
    chosen = settings(pairs=50)
    state, purposes = new_agents(HOPPER, chosen, [0, 1])
    few, more = (collect(HOPPER, state, chosen, purposes, num)[0] for num in (None, 80))
    for name in NAMES:
        np.testing.assert_array_equal(getattr(more, name)[:, :50], getattr(few, name))


def test_agents_and_iterations_have_streams_of_their_own():
    one, two = gather(settings(pairs=20))[0]
    assert not np.array_equal(one.act, two.act) and not np.array_equal(one.rew[0], one.rew[1])
    assert not np.array_equal(one.act[0], one.act[1])


def test_collecting_leaves_the_agents_as_they_were():
    chosen = settings(pairs=20)
    state, purposes = new_agents(HOPPER, chosen, [0, 1])
    before = {name: np.copy(value) for name, value in examples.arrays(state).items()}
    _, after = collect(HOPPER, state, chosen, purposes)
    for name, value in examples.arrays(state).items():
        np.testing.assert_array_equal(value, before[name])
    moved = {
        name for name, value in examples.arrays(after).items() if not np.array_equal(value, before[name])
    }
    assert moved == {
        f"{kind}.{part}" for kind in ("obs_moments", "rew_moments") for part in ("count", "mean", "m2")
    }


def test_actions_are_stored_as_drawn():
    """Beyond the bounds, where the environment sees them clipped."""
    policies = make_policies(HOPPER, 1)
    policies.theta[:, -3:] = np.log(3.0)
    assert (np.abs(run(HOPPER, policies, [("a", 0)], 50).act) > 1).mean() > 0.5
