"""Many frozen policies side by side: each stream is what its policy alone would make of it."""

import gymnasium
import numpy as np
import pytest
import torch
from pgprim.experience.frozen import run_frozen
from pgprim.experience.sampling import sample_streams
from pgprim.rl.envs import make_envs

from pgprim.core.mlp import forward, policy_net
from pgprim.core.seeding import derive_seed, generator
from pgprim.rl.initialise import make_agent
from pgprim.types.checkpoint import Checkpoint, Moments
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Block, Finals
from tests.rl.examples import PPO, settings

CLIP = 1.5


def make_policies(env_id: str, num_agents: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, means and scales of policies with a will of their own."""
    envs = make_envs(env_id, [0])
    rng = np.random.default_rng(0)
    states = [make_agent(settings(), envs.obs_dim, envs.act_dim, "test", k) for k in range(num_agents)]
    theta = np.concatenate([state.theta.numpy() for state in states])
    theta = theta + 0.3 * rng.standard_normal(theta.shape).astype(np.float32)
    shape = (num_agents, envs.obs_dim)
    return theta, rng.standard_normal(shape), rng.uniform(0.7, 1.5, shape)


def seeds_of(names: list[tuple]) -> tuple[list[int], list[np.random.Generator]]:
    return [derive_seed("env", *name) for name in names], [generator("noise", *name) for name in names]


def run(env_id, policies, names, num_pairs, block=32, num_threads=1) -> Block:
    """All blocks as one."""
    theta, mean, scale = policies
    blocks = list(
        run_frozen(
            env_id, theta, mean, scale, CLIP, (64, 64), *seeds_of(names), num_pairs, block, num_threads
        )
    )
    assert [part.start for part in blocks] == list(range(0, num_pairs, block))
    return join(blocks)


def join(blocks: list[Block]) -> Block:
    names = ("obs", "act", "rew", "terminated", "truncated")
    arrays = {name: np.concatenate([getattr(part, name) for part in blocks], axis=1) for name in names}
    finals = [
        np.concatenate([getattr(part.finals, name) for part in blocks]) for name in ("stream", "t", "obs")
    ]
    order = np.lexsort((finals[1], finals[0]))
    return Block(0, **arrays, finals=Finals(*(part[order] for part in finals)))


def assert_same(one: Block, two: Block, streams: list[int] | slice = slice(None)) -> None:
    for name in ("obs", "act", "rew", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name)[streams], err_msg=name)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Humanoid-v5", "Pendulum-v1"])
def test_a_stream_is_the_same_alone_and_among_others(env_id):
    policies = make_policies(env_id, 5)
    names = [(agent, stream) for agent in range(5) for stream in range(3)]
    together = run(env_id, policies, names, 80)
    alone = run(env_id, [part[3:4] for part in policies], [(3, 0)], 80)
    assert_same(alone, together, [9])
    few = run(env_id, [part[[4, 1]] for part in policies], [names[k] for k in (12, 13, 3, 4)], 80)
    assert_same(few, together, [12, 13, 3, 4])
    assert np.abs(together.obs[0] - together.obs[3]).max() > 0.01


def test_block_and_threads_do_not_matter():
    policies = make_policies("Hopper-v5", 3)
    names = [(agent, stream) for agent in range(3) for stream in range(2)]
    one = run("Hopper-v5", policies, names, 100)
    two = run("Hopper-v5", policies, names, 100, block=41, num_threads=2)
    assert_same(one, two)
    for name in ("stream", "t", "obs"):
        np.testing.assert_array_equal(getattr(one.finals, name), getattr(two.finals, name))


@pytest.mark.parametrize("num_streams", [3, 18])
def test_with_the_samplers_seeds_and_noises_it_is_the_sampler(num_streams, monkeypatch):
    """The limit is short, so that falls and truncations both occur."""
    monkeypatch.setattr(gymnasium.spec("Hopper-v5"), "max_episode_steps", 18)
    theta, mean, scale = make_policies("Hopper-v5", 1)
    values = PPO | {"obs_clip": CLIP}
    state = make_agent(settings(), 11, 3, "test", 0)
    moments = Moments(101, mean, np.square(scale) * 100)
    state = type(state)(**(vars(state) | {"theta": torch.from_numpy(theta), "obs_moments": moments}))
    checkpoint = Checkpoint("hopper", "Hopper-v5", "ppo", 7, 3, 11, 3, values, state)
    purpose = ("sample", "Hopper-v5", "ppo", 7, 3)
    right = join(list(sample_streams(checkpoint, num_streams, 60, 32)))
    found = join(
        list(
            run_frozen(
                "Hopper-v5",
                theta,
                mean,
                np.sqrt(moments.m2 / 100),
                CLIP,
                (64, 64),
                [derive_seed(*purpose, "env", stream) for stream in range(num_streams)],
                [generator(*purpose, "noise", stream) for stream in range(num_streams)],
                60,
                32,
            )
        )
    )
    assert_same(found, right)
    assert right.terminated.any() and right.truncated.any()
    for name in ("stream", "t", "obs"):
        np.testing.assert_array_equal(getattr(found.finals, name), getattr(right.finals, name))


def test_every_policy_has_its_own_parameters_and_normalisers():
    policies = make_policies("Hopper-v5", 3)
    names = [(agent, stream) for agent in range(3) for stream in range(17)]
    found = run("Hopper-v5", policies, names, 20)
    net = policy_net(11, 3, (64, 64))
    for agent, (theta, mean, scale) in enumerate(zip(*policies, strict=True)):
        here = slice(17 * agent, 17 * (agent + 1))
        seen = np.clip((found.obs[here] - mean) / scale, -CLIP, CLIP).reshape(1, -1, 11)
        parts = net.split(torch.from_numpy(theta.astype(np.float64))[None])
        mu = forward(parts, torch.from_numpy(seen), 3).numpy().reshape(17, 20, 3)
        noise = np.stack(
            [generator("noise", agent, k).standard_normal((20, 3), dtype=np.float32) for k in range(17)]
        )
        np.testing.assert_allclose(found.act[here], mu + parts[-1].exp().numpy() * noise, rtol=0, atol=2e-5)


def test_wrong_shapes_are_refused():
    policies = make_policies("Hopper-v5", 2)
    with pytest.raises(ValueError, match="3 seeds and 3 noises for 2 policies"):
        run("Hopper-v5", policies, [(0,), (1,), (2,)], 1)
    with pytest.raises(UserError, match=r"Walker2d-v5.*17 observations.*11"):
        run("Walker2d-v5", policies, [(0,), (1,)], 1)
