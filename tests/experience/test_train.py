"""Training: the same bits in every stack and after every interruption, a known optimum found, and divergence told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from pgprim.core.mlp import MLP, forward, policy_net, value_net
from pgprim.experience.rollout import collect
from pgprim.experience.seen import make_batch, see_iteration
from pgprim.experience.train import (
    RECORDS,
    episode_records,
    train,
    train_iteration,
    update_records,
)
from pgprim.rl.rates import learning_rate
from pgprim.rl.value import values
from pgprim.store.checkpoints import load_checkpoint, save_checkpoint
from pgprim.types.checkpoint import Checkpoint, Moments, stack_agents
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Finals, Rollout
from tests.rl import examples, regulator
from tests.rl.examples import HOPPER, assert_same_agent, new_agents, settings

SHORT = {"pairs": 256, "minibatches": 4, "value_epochs": 2}
ALGOS = {
    "ppo": SHORT | {"policy_epochs": 2},
    "ppo clipping values": SHORT | {"policy_epochs": 2, "value_clip": 0.2},
    "ppo_m": SHORT | {"policy_epochs": 2},
    "trpo": SHORT,
}


def chosen_for(algo, **changes):
    return settings(algo.split()[0], **ALGOS[algo] | changes)


def run(env_id, chosen, seeds, iterations, state=None):
    """The agents after the iterations, and the records, one row per iteration."""
    fresh, purposes = new_agents(env_id, chosen, list(seeds))
    state = fresh if state is None else state
    rows = []
    for new, records in train(env_id, state, chosen, purposes, iterations):
        state = new
        rows.append(records)
    return state, {name: np.stack([row[name] for row in rows]) for name in RECORDS}


# --- bits -------------------------------------------------------------------------------------------------------------


def assert_stack_does_not_matter(env_id, chosen, num_iterations):
    whole, records = run(env_id, chosen, range(3), range(num_iterations))
    for pick in examples.stacks():
        found, own = run(env_id, chosen, range(3)[pick], range(num_iterations))
        for index, agent in enumerate(range(3)[pick]):
            assert_same_agent(found.agent(index), whole.agent(agent))
        for name in RECORDS:
            np.testing.assert_array_equal(own[name], records[name][:, pick], err_msg=name)


@pytest.mark.parametrize("algo", ALGOS)
def test_stacks_of_one_two_and_three_give_the_same_bits(algo, monkeypatch):
    """With episodes that fall, that meet their time limit, and that are cut."""
    monkeypatch.setattr(gymnasium.spec("Hopper-v5"), "max_episode_steps", 30)
    assert_stack_does_not_matter(HOPPER, chosen_for(algo), 2)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["Hopper-v5", "Walker2d-v5", "Humanoid-v5"])
@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_stacks_give_the_same_bits_at_full_size(algo, env_id):
    assert_stack_does_not_matter(Environment(env_id), settings(algo), 1)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_a_checkpoint_continues_bit_for_bit(algo, tmp_path):
    chosen = chosen_for(algo)
    right, _ = run(HOPPER, chosen, [0, 1], range(3))
    state, _ = run(HOPPER, chosen, [0, 1], range(1))
    for index in range(2):
        values = examples.ALGOS[algo] | ALGOS[algo]
        of = Checkpoint("hopper", HOPPER, algo, index, 1, 11, 3, values, state.agent(index))
        save_checkpoint(tmp_path / str(index), of)
    loaded = stack_agents([load_checkpoint(tmp_path / str(index)).state for index in range(2)])
    purposes = new_agents(HOPPER, chosen, [0, 1])[1]
    for iteration in (1, 2):
        loaded, _ = train_iteration(HOPPER, loaded, chosen, [(*p, iteration) for p in purposes], iteration)
    assert_same_agent(loaded, right)


def test_longer_training_begins_like_shorter_training():
    chosen = chosen_for("ppo")
    whole, records = run(HOPPER, chosen, [0], range(3))
    start, first = run(HOPPER, chosen, [0], range(2))
    rest, last = run(HOPPER, chosen, [0], range(2, 3), start)
    assert_same_agent(rest, whole)
    for name in RECORDS:
        np.testing.assert_array_equal(np.concatenate([first[name], last[name]]), records[name])


# --- what an iteration does -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_each_network_is_fitted_to_the_batch_as_it_was_before_both(algo):
    """Advantages are fixed first: the value network's learning rate does not reach the policy, nor the policy's it."""
    chosen = chosen_for(algo)
    one, _ = run(HOPPER, chosen, [0], range(1))
    two, _ = run(HOPPER, replace(chosen, value_lr=1e-2), [0], range(1))
    assert torch.equal(one.theta, two.theta) and not torch.equal(one.phi, two.phi)
    changes = {"policy_lr": 1e-2} if algo == "ppo" else {"delta": 1e-3}
    two, _ = run(HOPPER, replace(chosen, **changes), [0], range(1))
    assert torch.equal(one.phi, two.phi) and not torch.equal(one.theta, two.theta)


def test_annealed_learning_rates_fall_linearly_to_zero_and_stay_there():
    chosen = settings("ppo", anneal_over=10)
    assert [learning_rate(2.0, k, chosen) for k in (0, 5, 9, 10, 25)] == pytest.approx([2, 1, 0.2, 0, 0])
    assert learning_rate(2.0, 25, replace(chosen, anneal=False)) == 2


def test_an_agent_that_is_annealed_no_longer_moves():
    chosen = chosen_for("ppo", anneal_over=5)
    state, records = run(HOPPER, chosen, [0], range(5, 6))
    fresh, _ = new_agents(HOPPER, chosen, [0])
    assert torch.equal(state.theta, fresh.theta) and torch.equal(state.phi, fresh.phi)
    for name in ("policy_lr", "value_lr", "step_norm", "kl_mean", "kl_max", "clip_fraction"):
        assert records[name] == 0, name
    assert records["ratio_max"] == 1


def test_episode_records_by_hand():
    """Agent 0: episodes 1 + 2 + 3 and 4, then a cut; agent 1: none ends."""
    rew = np.array([[1.0, 2, 3, 4, 5], [1, 1, 1, 1, 1]])
    ends = np.array([[[0, 0, 1, 0, 0], [0] * 5], [[0, 0, 0, 1, 0], [0] * 5]], bool)
    blank = np.zeros((2, 5, 1), np.float32)
    none = Finals(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 1), np.float32))
    found = episode_records(Rollout(0, blank, blank, rew, *ends, none), 1)
    right = {
        "return_mean": (5, np.nan),
        "return_std": (1, np.nan),
        "length_mean": (2, np.nan),
        "num_episodes": (2, 0),
    }
    assert found.keys() == right.keys()
    for name, numbers in right.items():
        np.testing.assert_array_equal(found[name], numbers, err_msg=name)


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_records_are_what_they_say(algo):
    """All of an iteration's records, computed again from its batch with numpy and torch.distributions."""
    chosen = chosen_for(algo, **({"policy_lr": 3e-3} if algo == "ppo" else {}))
    state, purposes = new_agents(HOPPER, chosen, [0, 1])
    purposes = [(*p, 3) for p in purposes]
    new, records = train_iteration(HOPPER, state, chosen, purposes, 3)
    rollout, _ = collect(HOPPER, state, chosen, purposes)
    batch = make_batch(see_iteration(rollout, state, chosen), chosen)

    def policy(theta):
        *layers, log_sigma = policy_net(11, 3, (64, 64)).split(theta)
        return Independent(
            Normal(forward(MLP((11, 64, 64, 3)), layers, batch.obs), log_sigma.exp()[:, None]), 1
        )

    old, now = policy(state.theta), policy(new.theta)
    kl = kl_divergence(old, now).numpy()
    rho = (now.log_prob(batch.act) - old.log_prob(batch.act)).exp().numpy()
    adv = (batch.adv - batch.adv.mean(1, keepdim=True)).numpy() / batch.adv.std(1, keepdim=True).numpy()
    gain = np.minimum(rho * adv, rho.clip(0.8, 1.2) * adv) if algo == "ppo" else rho * adv
    val = values(value_net(11, (64, 64)), new.phi, batch.obs)
    target, residual = batch.target.numpy(), (batch.target - batch.val_old).numpy()
    rates = (4.5e-4 if algo == "trpo" else 3e-3, 2e-4)
    right = episode_records(rollout, 1) | {
        "surrogate": gain.mean(1),
        "value_loss": np.square(val.numpy() - target).mean(1),
        "explained_variance": 1 - residual.var(1) / target.var(1),
        "kl_mean": kl.mean(1),
        "kl_max": kl.max(1),
        "kl_of_sigma": kl_divergence(
            *(Normal(0, p.stddev[:, 0]) for p in (old.base_dist, now.base_dist))
        ).sum(1),
        "ratio_max": rho.max(1),
        "ratio_q99": np.quantile(rho, 0.99, axis=1),
        "clip_fraction": (np.abs(rho - 1) > 0.2).mean(1),
        "step_norm": np.linalg.norm(new.theta - state.theta, axis=1),
        "policy_lr": np.full(2, rates[0] * (1 - 3 / 500) if algo == "ppo" else np.nan),
        "value_lr": np.full(2, rates[1] * (1 - 3 / 500) if algo == "ppo" else rates[1]),
        "sigma_mean": np.ones(2),
    }
    assert right.keys() == records.keys() == RECORDS.keys()
    for name, numbers in right.items():
        assert records[name].dtype == np.float64
        np.testing.assert_allclose(records[name], numbers, rtol=2e-3, atol=2e-6, err_msg=name)


def test_an_update_that_stays_is_recorded_as_none():
    chosen = settings("ppo", pairs=64)
    state, purposes = new_agents(HOPPER, chosen, [0])
    rollout, _ = collect(HOPPER, state, chosen, purposes)
    batch = make_batch(see_iteration(rollout, state, chosen), chosen)
    found = update_records(state, state, batch, chosen)
    right = {"ratio_max": 1, "ratio_q99": 1, "sigma_mean": 1}
    right |= {name: found[name] for name in ("value_loss", "explained_variance")}
    for name, number in found.items():
        assert number == pytest.approx(right.get(name, 0), abs=1e-6), name


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algo", "changes"),
    [
        ("ppo", {"policy_lr": 3e-3, "value_lr": 3e-3, "anneal_over": 20, "policy_epochs": 5}),
        ("ppo_m", {"policy_lr": 3e-3, "value_lr": 3e-3, "policy_epochs": 5}),
        ("trpo", {"delta": 0.1, "value_lr": 3e-3}),
    ],
)
def test_a_known_optimum_is_found(algo, changes):
    """An untrained agent loses about 40 per episode, the best one with σ = 1 loses 8, and one without noise nothing."""
    chosen = settings(algo, pairs=512, minibatches=8, value_epochs=5, **changes)
    with regulator.registered() as env_id:
        state, records = run(env_id, chosen, [0], range(15))
    returns = records["return_mean"][:, 0]
    assert returns[0] < -20 and returns[-3:].mean() > -4
    net = policy_net(1, 1, (64, 64))
    parts = net.split(state.theta)
    x = np.linspace(-0.8, 0.8, 9)
    spread = np.sqrt(state.obs_moments.m2 / (state.obs_moments.count - 1))
    seen = torch.from_numpy((x - state.obs_moments.mean[0]) / spread[0])[None, :, None].float()
    mu = forward(net, parts, seen)[0, :, 0].numpy()
    np.testing.assert_allclose(mu, -x, atol=0.25)
    assert parts[-1].exp().item() < 0.8


def test_trpo_keeps_its_bound_in_every_iteration():
    chosen = chosen_for("trpo", delta=0.02)
    state, records = run(HOPPER, chosen, [0, 1], range(6))
    assert (records["kl_mean"] <= 0.02 * (1 + 1e-6)).all() and (records["kl_mean"] > 0.002).all()
    assert (records["kl_max"] > records["kl_mean"]).all() and (records["surrogate"] > 0).all()
    assert not state.policy_adam.count.any() and not state.policy_adam.v.any()


@pytest.mark.parametrize("env_id", ["Hopper-v4", "Walker2d-v4", "Humanoid-v4", "Pendulum-v1"])
@pytest.mark.parametrize("algo", ["ppo", "ppo_m", "trpo"])
def test_training_runs_on_other_tasks(algo, env_id):
    chosen = settings(algo, pairs=240, minibatches=5, value_epochs=1)
    state, records = run(Environment(env_id), chosen, [0, 1], range(2))
    for name, array in examples.arrays(state).items():
        assert np.isfinite(array).all(), name
    for name, numbers in records.items():
        assert np.isfinite(numbers).all() or (name == "policy_lr" and algo == "trpo"), name
    assert (records["step_norm"] > 0).all() and (records["num_episodes"] > 0).all()


# --- tasks that say little, or shout ----------------------------------------------------------------------------------


class Paying(gymnasium.Env):
    """A walk that no action changes, and a reward that is always the same; episodes never end."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, rew: float) -> None:
        self.rew = rew

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.standard_normal(2), {}

    def step(self, action):
        return self.np_random.standard_normal(2), self.rew, False, False, {}


@pytest.mark.parametrize("rew", [0.0, 1.0, -1e4])
@pytest.mark.parametrize("algo", ["ppo", "ppo_m", "trpo"])
def test_rewards_that_never_change_train_on_with_finite_numbers(algo, rew):
    """A sparse reward that is never met, or a constant one, in an episode without end."""
    env_id = "pgprim-test/Paying-v0"
    gymnasium.register(env_id, Paying, kwargs={"rew": rew})
    try:
        chosen = settings(algo, pairs=128, minibatches=4, value_epochs=2)
        state, records = run(Environment(env_id), chosen, [0, 1], range(4))
    finally:
        del gymnasium.registry[env_id]
    for name, array in examples.arrays(state).items():
        assert np.isfinite(array).all(), name
    empty = ("return_mean", "return_std", "length_mean", *(["policy_lr"] if algo == "trpo" else []))
    for name, numbers in records.items():
        assert np.isnan(numbers).all() if name in empty else np.isfinite(numbers).all(), name
    assert not records["num_episodes"].any()


@contextmanager
def pendulum_paid_in(scale: float) -> Iterator[Environment]:
    """Pendulum with its rewards in another unit."""
    env_id = "pgprim-test/Scaled-v0"
    gymnasium.register(
        env_id,
        lambda **kwargs: gymnasium.wrappers.TransformReward(
            gymnasium.make("Pendulum-v1", **kwargs), lambda rew: scale * rew
        ),
        max_episode_steps=60,
    )
    try:
        yield Environment(env_id)
    finally:
        del gymnasium.registry[env_id]


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**14])
def test_with_normalised_rewards_agents_are_the_same_whatever_the_unit(scale):
    """To the bit: a power of two scales rewards, their sums and deviations without rounding.

    From the second reward of a training on, since the first has no deviation to be divided by.
    """
    chosen = settings("ppo", pairs=240, minibatches=5, value_epochs=2, policy_epochs=2)
    with pendulum_paid_in(1.0) as environment:
        begun, _ = run(environment, chosen, [0], range(1))
        plain, plain_records = run(environment, chosen, [0], range(1, 3), begun)
    seen = begun.rew_moments
    scaled = Moments(seen.count, scale * seen.mean, scale**2 * seen.m2)
    with pendulum_paid_in(scale) as environment:
        state, records = run(environment, chosen, [0], range(1, 3), replace(begun, rew_moments=scaled))
    for name, array in examples.arrays(plain).items():
        units = {"rew_moments.mean": scale, "rew_moments.m2": scale**2}.get(name, 1.0)
        np.testing.assert_array_equal(examples.arrays(state)[name], units * array, err_msg=name)
    for name, numbers in plain_records.items():
        units = scale if name in ("return_mean", "return_std") else 1.0
        np.testing.assert_allclose(records[name], units * numbers, rtol=1e-12, err_msg=name)
    assert (records["step_norm"] > 0).all()


@pytest.mark.parametrize("scale", [2.0**-2, 2.0**14])
@pytest.mark.parametrize("algo", ["ppo_m", "trpo"])
def test_where_v_is_zero_the_policy_s_step_is_the_same_whatever_the_unit(algo, scale):
    """Without normalised rewards, too, because advantages are (Eq. 15); V, which is in the rewards' unit, is not."""
    chosen = settings(algo, pairs=240, minibatches=5, value_epochs=1)
    after = []
    for unit in (1.0, scale):
        with pendulum_paid_in(unit) as environment:
            state, purposes = new_agents(environment, chosen, [0])
            state = replace(state, phi=torch.zeros_like(state.phi))
            after += [new for new, _ in train(environment, state, chosen, purposes, range(1))]
    assert torch.equal(after[1].theta, after[0].theta) and not torch.equal(after[0].theta, state.theta)
    assert not torch.equal(after[1].phi, after[0].phi)


@pytest.mark.parametrize("scale", [1e-6, 1e4, 1e8])
@pytest.mark.parametrize("algo", ["ppo_m", "trpo"])
def test_the_unit_of_the_rewards_is_no_divergence(algo, scale):
    """Whether a reward is counted in cents or in millions."""
    with pendulum_paid_in(scale) as environment:
        _, records = run(environment, settings(algo, pairs=240, minibatches=5, value_epochs=1), [0], range(3))
    for name, numbers in records.items():
        assert np.isfinite(numbers).all() or (name == "policy_lr" and algo == "trpo"), name
    assert (records["step_norm"] > 0).all()


# --- divergence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algo", "changes", "quantity"),
    [("ppo", {"value_lr": 1e30}, "value_loss"), ("ppo", {"policy_lr": 1e30}, "surrogate"), ("trpo", {"value_lr": 1e30}, "value_loss")],
)  # fmt: skip
def test_exploding_losses_stop_with_iteration_and_quantity(algo, changes, quantity):
    with pytest.raises(
        UserError, match=rf"test/Hopper-v5/4 diverged: {quantity} is (nan|inf) in iteration 7"
    ) as error:
        run(HOPPER, chosen_for(algo, **changes), [4], range(7, 9))
    assert "\n" not in str(error.value) and "learning rate" in str(error.value)


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_a_reward_that_is_not_a_number_stops_in_its_iteration(algo):
    chosen = chosen_for(algo, pairs=64)
    done = []
    with regulator.registered(steps_to_live=150) as env_id:
        state, purposes = new_agents(env_id, chosen, [0])
        with pytest.raises(UserError, match=r"pgprim-test/Regulator-v0', stream 0, step 22: .* reward nan"):
            for _, records in train(env_id, state, chosen, purposes, range(5)):
                done.append(records)
    assert len(done) == 2 and all(np.isfinite(records["value_loss"]).all() for records in done)


def test_the_agent_that_diverged_is_named():
    chosen = chosen_for("ppo", pairs=64)
    state, purposes = new_agents(HOPPER, chosen, [0, 5, 9])
    state.phi[1] = float("nan")
    with pytest.raises(
        UserError, match="training test/Hopper-v5/5 diverged: value_loss is nan in iteration 0"
    ):
        next(train(HOPPER, state, chosen, purposes, range(1)))
