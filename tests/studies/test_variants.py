"""Training that goes on without those that explode, and the agreement of a batch's halves."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net
from pgprim.core.surrogate import normalise_advantage, ratio, surrogate
from pgprim.experience.rollout import collect
from pgprim.experience.seen import make_batch, see_iteration
from pgprim.experience.train import train
from pgprim.studies.variants import COSTS, control_costs, half_cosine, halves, train_while_sound
from pgprim.types.checkpoint import stack_agents
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from tests.rl.examples import ALGOS, new_agents, settings
from tests.rl.regulator import registered

SMALL = {"pairs": 60, "minibatches": 3, "value_epochs": 2, "policy_epochs": 2, "hidden": [8, 8]}


@pytest.fixture
def task():
    with registered() as environment:
        yield environment


def trained(task, state, chosen, purposes, iterations=3, agreement_at=()):
    """Who is sound after each iteration, and the records of each."""
    steps = list(train_while_sound(task, state, chosen, purposes, iterations, agreement_at))
    return [sound.tolist() for sound, _ in steps], [records for _, records in steps]


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_agents_that_are_sound_are_trained_as_ever(task, algo):
    small = {name: value for name, value in SMALL.items() if name in ALGOS[algo]}
    chosen = settings(algo, **small)
    state, purposes = new_agents(task, chosen, [0, 1])
    sound, records = trained(task, state, chosen, purposes, agreement_at=(1,))
    assert sound == [[True, True]] * 3
    for mine, (_, right) in zip(records, train(task, state, chosen, purposes, range(3)), strict=True):
        for name in right:
            np.testing.assert_array_equal(mine[name], right[name])
    assert [np.isfinite(one["half_cosine"]).tolist() for one in records] == [
        [False] * 2,
        [True] * 2,
        [False] * 2,
    ]


def test_who_explodes_is_left_out_and_the_others_do_not_notice(task):
    chosen = settings("ppo", **SMALL)
    state, purposes = new_agents(task, chosen, [0, 1, 2])
    wild = replace(state, phi=state.phi * torch.tensor([1.0, 1e30, 1.0])[:, None])
    sound, records = trained(task, wild, chosen, purposes)
    assert sound == [[True, False, True]] * 3
    assert not np.isfinite(records[0]["value_loss"][1])  # its last records say how it ended
    others = stack_agents([state.agent(0), state.agent(2)])
    _, right = trained(task, others, chosen, [purposes[0], purposes[2]])
    for iteration, (mine, alone) in enumerate(zip(records, right, strict=True)):
        for name in alone:
            np.testing.assert_array_equal(mine[name][[0, 2]], alone[name])
            assert iteration == 0 or np.isnan(mine[name][1])


def test_training_ends_when_nobody_is_left(task):
    chosen = settings("ppo", **SMALL)
    state, purposes = new_agents(task, chosen, [0, 1])
    sound, _ = trained(task, replace(state, phi=1e30 * state.phi), chosen, purposes)
    assert sound == [[False, False]]


@pytest.mark.parametrize("semantics", ["exact", "paper"])
def test_halves_are_batches_of_their_own(task, semantics):
    """The first is what an iteration of half the size sees; normalisers move on between a cut and the pair behind it."""
    chosen = settings("ppo", semantics=semantics, **SMALL)
    state, purposes = new_agents(task, chosen, [0, 1])
    whole, shorter = (
        see_iteration(collect(task, state, chosen, purposes, num_pairs)[0], state, chosen)
        for num_pairs in (60, 30)
    )
    first, second = halves(whole)
    mine, right = (make_batch(part, chosen) for part in (first, shorter))
    assert torch.equal(mine.obs, right.obs) and torch.equal(mine.act, right.act)
    tolerance = {"atol": 0.0, "rtol": 0.0} if semantics == "paper" else {"atol": 0.02, "rtol": 0.02}
    torch.testing.assert_close(mine.adv, right.adv, **tolerance)
    late = make_batch(whole, chosen)
    torch.testing.assert_close(make_batch(second, chosen).adv, late.adv[:, 30:])


def test_the_cosine_is_that_of_the_surrogate_s_gradients(task):
    chosen = settings("ppo", **SMALL)
    state, purposes = new_agents(task, chosen, [0, 1])
    rollout, _ = collect(task, state, chosen, purposes)
    net = policy_net(1, 1, chosen.hidden)
    grads = []
    for half in halves(see_iteration(rollout, state, chosen)):
        batch = make_batch(half, chosen)
        theta = state.theta.double().requires_grad_()
        parts = net.split(theta)
        logp = log_prob(forward(net, parts, batch.obs.double()), parts[-1], batch.act.double())
        gain = surrogate(ratio(logp, logp.detach()), normalise_advantage(batch.adv.double()))
        grads.append(torch.autograd.grad(gain.sum(), theta)[0])
    right = torch.nn.functional.cosine_similarity(*grads, dim=1)
    np.testing.assert_allclose(half_cosine(task, state, chosen, purposes), right.numpy(), atol=1e-4)


def charged(env_id: str, actions: np.ndarray) -> float:
    """Mean of what Gymnasium itself charges for actions, as its `info` says."""
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    costs = []
    for act in actions:
        _, _, terminated, truncated, info = env.step(act)
        costs.append(-info["reward_ctrl" if "reward_ctrl" in info else "reward_quadctrl"])
        if terminated or truncated:
            env.reset()
    env.close()
    return float(np.mean(costs))


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
@pytest.mark.parametrize("clip_actions", [True, False])
@pytest.mark.parametrize("env_id", ["Humanoid-v4", "Humanoid-v5", "HalfCheetah-v5"])
def test_costs_are_what_gymnasium_charges_for_actions_as_drawn_and_for_clipped_ones(env_id, clip_actions):
    environment = Environment(env_id, clip_actions=clip_actions)
    chosen = settings("ppo", **SMALL)
    state, purposes = new_agents(environment, chosen, [0, 1])
    found = control_costs(environment, state, chosen, purposes)
    rollout, _ = collect(environment, state, chosen, purposes)
    space = gymnasium.make(env_id).action_space
    assert (np.abs(rollout.act) > space.high).any()
    for agent in (0, 1):
        act = rollout.act[agent]
        assert found["control_cost"][agent] == pytest.approx(charged(env_id, act), rel=1e-6)
        right = charged(env_id, act.clip(space.low, space.high))
        assert found["control_cost_clipped"][agent] == pytest.approx(right, rel=1e-6)


def test_costs_are_recorded_where_they_are_asked_for_and_change_nothing():
    environment = Environment("HalfCheetah-v5")
    chosen = settings("ppo", envs=2, **SMALL)
    state, purposes = new_agents(environment, chosen, [0, 1])
    plain, costly = (
        [records for _, records in train_while_sound(environment, state, chosen, purposes, 3, costs_at=at)]
        for at in ((), (0, 2))
    )
    for without, given in zip(plain, costly, strict=True):
        for name in set(given) - set(COSTS):
            np.testing.assert_array_equal(without[name], given[name])
    known = [np.isfinite(records["control_cost"]).tolist() for records in costly]
    assert known == [[True] * 2, [False] * 2, [True] * 2]


def test_a_task_without_a_control_cost_is_refused(task):
    chosen = settings("ppo", **SMALL)
    state, purposes = new_agents(task, chosen, [0])
    with pytest.raises(UserError, match=r"Regulator-v0' has no weight of a control cost"):
        control_costs(task, state, chosen, purposes)
