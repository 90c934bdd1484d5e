"""Iterations done again: the very training, to the bit, and fresh pairs that are the frozen policy's."""

from contextlib import nullcontext
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from pgprim.core.gaussian import kl_of_sigma
from pgprim.core.mlp import activations, forward, policy_net, tangent
from pgprim.core.returns import gae
from pgprim.experience.rerun import (
    _look,
    check_records,
    held_out_pairs,
    join_updates,
    rerun_iteration,
    sigma_divergence,
)
from pgprim.experience.rollout import Policies, collect, run_policies
from pgprim.experience.seen import make_batch, see_agents, see_iteration
from pgprim.experience.train import train, update_records
from pgprim.rl.normalise import Normaliser
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from tests.rl.examples import HOPPER, assert_same_agent, new_agents, settings

SHORT = {"pairs": 128, "minibatches": 4, "value_epochs": 2}
ALGOS = {"ppo": SHORT | {"policy_epochs": 2}, "trpo": SHORT}
BEYOND = 40


@pytest.fixture(autouse=True)
def _short_episodes(monkeypatch):
    """Falls, time limits and cuts all occur."""
    monkeypatch.setattr(gymnasium.spec("Hopper-v5"), "max_episode_steps", 25)


def states_of(algo, num_iterations=3):
    """The training's agents before every iteration and at the end, its settings and purposes."""
    chosen = settings(algo, **ALGOS[algo])
    state, purposes = new_agents(HOPPER, chosen, [0, 1])
    states = [state] + [s for s, _ in train(HOPPER, state, chosen, purposes, range(num_iterations))]
    return states, chosen, purposes


@pytest.mark.parametrize("algo", ALGOS)
def test_a_rerun_iteration_is_the_training_iteration(algo):
    states, chosen, purposes = states_of(algo)
    for iteration in (0, 2):
        new, _, update, _ = rerun_iteration(HOPPER, states[iteration], chosen, purposes, iteration, BEYOND)
        assert_same_agent(new, states[iteration + 1])
        assert torch.equal(update.theta_old, states[iteration].theta)
        assert torch.equal(update.phi_new, states[iteration + 1].phi)


def test_training_is_the_same_with_reruns_in_between():
    """A re-run reads a state and leaves it, and what training goes on to make of it, as it is."""
    right, chosen, purposes = states_of("ppo")
    state = right[0]
    for iteration in range(3):
        rerun_iteration(HOPPER, state, chosen, purposes, iteration, BEYOND)
        ((state, _),) = train(HOPPER, state, chosen, purposes, range(iteration, iteration + 1))
        assert_same_agent(state, right[iteration + 1])


@pytest.mark.parametrize("algo", ALGOS)
def test_the_first_pairs_are_the_training_batch(algo):
    """To the bit, whatever follows them; so what is recorded of the update can be had from them."""
    states, chosen, purposes = states_of(algo)
    _, _, update, pairs = rerun_iteration(HOPPER, states[2], chosen, purposes, 2, BEYOND)
    rollout, _ = collect(HOPPER, states[2], chosen, [(*p, 2) for p in purposes])
    seen = see_iteration(rollout, states[2], chosen)
    num_pairs = chosen.pairs
    assert pairs.rew.shape == (2, num_pairs + BEYOND)
    for name in ("rew", "rew_norm", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(pairs, name)[:, :num_pairs], getattr(seen, name))
    assert pairs.terminated[:, :num_pairs].any() and pairs.truncated[:, :num_pairs].any()
    batch = make_batch(seen, chosen)
    np.testing.assert_allclose(pairs.val_old[:, :num_pairs], batch.val_old, atol=1e-6)
    own = slice(0, num_pairs - 1)
    adv = gae(
        pairs.rew_norm[:, own],
        pairs.val_old[:, own].astype(float),
        pairs.next_val_old[:, own].astype(float),
        pairs.terminated[:, own],
        pairs.truncated[:, own],
        chosen.gamma,
        chosen.lam,
    )
    ended = (pairs.terminated | pairs.truncated)[:, own]
    last = num_pairs - 1 - np.argmax(ended[:, ::-1], axis=1)
    for agent in range(2):  # up to the last end of an episode: there the cut is elsewhere
        here = slice(0, last[agent])
        np.testing.assert_allclose(adv[agent, here], batch.adv[agent, here], atol=2e-5)
    blank = new_agents(HOPPER, chosen, [0, 1])[0]
    before = replace(blank, theta=update.theta_old, phi=update.phi_old)
    after = replace(blank, theta=update.theta_new, phi=update.phi_new)
    records = update_records(before, after, batch, chosen)
    divergence = pairs.kl_of_mean + sigma_divergence(update, chosen, 3)[:, None]
    np.testing.assert_allclose(divergence[:, :num_pairs].mean(1), records["kl_mean"], rtol=1e-4)
    np.testing.assert_allclose(divergence[:, :num_pairs].max(1), records["kl_max"], rtol=1e-4)
    rho = np.exp(pairs.log_prob_new - pairs.log_prob_old)[:, :num_pairs]
    np.testing.assert_allclose(rho.max(1), records["ratio_max"], rtol=1e-4)


def held_out(update, chosen, purposes, num_pairs=300):
    stretches = list(held_out_pairs(HOPPER, update, chosen, purposes, num_pairs))
    return {
        name: np.concatenate([getattr(pairs, name) for pairs in stretches], axis=1)
        for name in vars(stretches[0])
    }


def test_held_out_pairs_do_not_depend_on_which_updates_are_looked_at_together():
    """Agents of different iterations, whose normalisers have seen different numbers of observations."""
    states, chosen, purposes = states_of("ppo")
    updates = [rerun_iteration(HOPPER, states[k], chosen, purposes, k, BEYOND)[2] for k in (0, 2)]
    names = [("rerun", k, agent) for k in (0, 2) for agent in range(2)]
    together = held_out(join_updates(updates), chosen, names)
    alone = held_out(updates[1], chosen, names[2:])
    for name, array in alone.items():
        np.testing.assert_array_equal(array, together[name][2:], err_msg=name)
    assert np.abs(together["rew"][0] - together["rew"][2]).max() > 0


def test_held_out_pairs_are_the_old_policys_and_its_values_chain():
    states, chosen, purposes = states_of("ppo")
    _, _, update, _ = rerun_iteration(HOPPER, states[2], chosen, purposes, 2, BEYOND)
    found = held_out(update, chosen, [("rerun", agent) for agent in range(2)])
    ended = found["terminated"] | found["truncated"]
    assert found["terminated"].any() and found["truncated"].any()
    going_on = ~ended[:, :-1]
    np.testing.assert_array_equal(found["next_val_old"][:, :-1][going_on], found["val_old"][:, 1:][going_on])
    np.testing.assert_array_equal(np.isnan(found["next_val_old"]), found["terminated"])
    # The noise that made the actions is standard normal, so log π_old has a known mean and spread.
    z = -2 * (found["log_prob_old"] + update.theta_old[:, -3:].sum(1).numpy()[:, None]) - 3 * np.log(
        2 * np.pi
    )
    count = z.size
    assert abs(z.mean() - 3) < 4 * np.sqrt(6 / count)
    bound = chosen.rew_clip
    right = np.clip(found["rew"] / update.rew_scale[:, None], -bound, bound)
    np.testing.assert_array_equal(found["rew_norm"], right)


def test_divergence_is_its_two_parts():
    """Against torch.distributions, on networks of one's own."""
    states, chosen, purposes = states_of("trpo")
    _, _, update, _ = rerun_iteration(HOPPER, states[1], chosen, purposes, 1, BEYOND)
    update = replace(
        update,
        theta_new=update.theta_new
        + 0.1 * torch.randn(update.theta_new.shape, generator=torch.Generator().manual_seed(0)),
    )
    net = policy_net(11, 3, chosen.hidden)
    obs = torch.randn(2, 7, 11, generator=torch.Generator().manual_seed(1))
    old, new = net.split(update.theta_old), net.split(update.theta_new)
    means = [forward(net, parts, obs) for parts in (old, new)]
    right = kl_divergence(
        *(
            Independent(Normal(mu, parts[-1].exp()[:, None].expand_as(mu)), 1)
            for mu, parts in zip(means, (old, new), strict=True)
        )
    )
    by_mean = 0.5 * (((means[0] - means[1]) / new[-1].exp()[:, None]) ** 2).sum(-1)
    np.testing.assert_allclose(
        by_mean.numpy() + sigma_divergence(update, chosen, 3)[:, None],
        right.numpy(),
        rtol=1e-4,
        atol=1e-6,
    )
    np.testing.assert_array_equal(sigma_divergence(update, chosen, 3), kl_of_sigma(old[-1], new[-1]).numpy())


def test_the_divergence_of_the_smallest_step_is_its_square():
    """KL(π_θ ‖ π_(θ+δ)) is ½ |Jδ/σ|² + |δ_σ|² for the mean's derivative J, down to one unit in the last place of each weight."""
    states, chosen, purposes = states_of("trpo")
    _, _, update, _ = rerun_iteration(HOPPER, states[1], chosen, purposes, 1, BEYOND)
    normaliser = Normaliser(update.obs_mean, update.obs_scale, chosen.obs_clip)
    policies = Policies(update.theta_old.numpy(), chosen, normaliser, rows=1)
    rollouts = list(run_policies(HOPPER, policies, [("rerun", k) for k in range(2)], 64, 64))
    (seen,) = see_agents(update.phi_old, update.rew_scale, rollouts, chosen)
    net, old = policy_net(11, 3, chosen.hidden), update.theta_old
    moved = replace(update, theta_new=torch.nextafter(old, torch.full_like(old, torch.inf)))
    pairs, of_sigma = _look(moved, chosen, seen), sigma_divergence(moved, chosen, 3)
    parts, step = net.split(old.double()), net.split(moved.theta_new.double() - old.double())
    change = tangent(net, parts, activations(net, parts, torch.from_numpy(seen.obs).double()), step)
    right = 0.5 * (change * (-parts[-1])[:, None].exp()).square().sum(-1).numpy()
    assert 0 < right.max() < 1e-10 and pairs.kl_of_mean.dtype == np.float64
    np.testing.assert_allclose(pairs.kl_of_mean, right, rtol=1e-3, atol=1e-3 * right.mean())
    np.testing.assert_allclose(of_sigma, step[-1].square().sum(1), rtol=1e-3)
    stayed = _look(replace(update, theta_new=old), chosen, seen)
    assert (stayed.kl_of_mean == 0).all() and (stayed.log_prob_old == stayed.log_prob_new).all()


def test_random_numbers_that_no_seed_sets_are_noticed():
    """An environment that draws from numpy's own generator, and the same environment with a generator of its own."""
    told = r"iteration 0 of seed 0 on 'tests\.rl\.strange:Strange-v0' gives .*self\.np_random"
    for is_global in (False, True):
        environment = Environment("tests.rl.strange:Strange-v0", {"is_global": is_global})
        chosen = settings("ppo", **ALGOS["ppo"])
        state, purposes = new_agents(environment, chosen, [0, 1])
        ((_, recorded),) = train(environment, state, chosen, purposes, range(1))
        _, again, _, _ = rerun_iteration(environment, state, chosen, purposes, 0, BEYOND)
        with pytest.raises(UserError, match=told) if is_global else nullcontext():
            check_records(environment, 0, [0, 1], again, recorded)


def test_a_rerun_that_is_not_the_training_is_refused():
    states, chosen, purposes = states_of("ppo")
    _, records, _, _ = rerun_iteration(HOPPER, states[1], chosen, purposes, 1, BEYOND)
    check_records(HOPPER, 1, [3, 5], records, records)
    other = records | {"step_norm": records["step_norm"] + np.array([0, 1e-12])}
    with pytest.raises(UserError, match="iteration 1 of seed 5 on 'Hopper-v5' gives step_norm"):
        check_records(HOPPER, 1, [3, 5], records, other)
