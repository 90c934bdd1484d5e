"""Floors and noise-free errors of value networks on the linear-quadratic regulator, where V^π is known.

The policy does nothing but explore, a = σz, so that V^π(x) = −xᵀPx − c with P = Q + γAᵀPA and
c = (σ²(R + γBᵀPB) + γw² tr P)/(1 − γ). The network under test says the same everywhere. What V^π itself would show at the
states that were continued is found by simulating the linear system anew, thousands of times from each.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov

from pgprim.core.adam import adam_init
from pgprim.core.mlp import policy_net, value_net
from pgprim.core.time_in_episode import tail_length
from pgprim.core.value_errors import perfect_errors, relative_errors, squared_relative_errors
from pgprim.experience.fork import fork_stream
from pgprim.probes.floors.measure import estimate, look
from pgprim.rl.algorithms import make_settings
from pgprim.rl.normalise import make_moments
from pgprim.types.checkpoint import AgentState, Checkpoint
from pgprim.types.environment import Environment
from tests.oracles.environments import ACTION_COST, CONTROL, DRIFT_STD, DYNAMICS, HORIZON, STATE_COST
from tests.rl.examples import TRPO

GAMMA, LAM, SIGMA = 0.7, 0.9, 0.6
SAID, NOW = -1.0, -1.3
"""V everywhere, before and after the update."""
NUM_PAIRS, BEYOND, STATES, BRANCHES = 110, 40, 55, 8
COST = solve_discrete_lyapunov(np.sqrt(GAMMA) * DYNAMICS.T, STATE_COST)
CURVATURE = ACTION_COST + GAMMA * CONTROL.T @ COST @ CONTROL
CONSTANT = (SIGMA**2 * CURVATURE.item() + GAMMA * DRIFT_STD**2 * np.trace(COST)) / (1 - GAMMA)


AFTER = torch.zeros(1, value_net(2, (4,)).num_params)
AFTER[:, -1] = NOW


def value_of(x):
    return -np.einsum("...i,ij,...j->...", x, COST, x) - CONSTANT


def make_checkpoint(seed):
    settings = TRPO | {"gamma": GAMMA, "lam": LAM, "pairs": NUM_PAIRS, "hidden": [4]}
    theta = torch.zeros(1, policy_net(2, 1, (4,)).num_params)
    theta[:, -1] = np.log(SIGMA)
    phi = torch.zeros(1, value_net(2, (4,)).num_params)
    phi[:, -1] = SAID
    moments = [make_moments(1, 2), make_moments(1, 1)]
    state = AgentState(theta, phi, adam_init(theta), adam_init(phi), *moments)
    name = "tests.oracles.environments:Regulator-v0"
    return Checkpoint("regulator", Environment(name), "trpo", seed, 0, 2, 1, settings, state)


def simulate(x, count, num_pairs, rng):
    """Rewards of independent continuations: [continuation, t]."""
    x, rewards = np.tile(x, (count, 1)), []
    for _ in range(num_pairs):
        act = SIGMA * rng.standard_normal((count, 1))
        rewards.append(
            -np.einsum("ni,ij,nj->n", x, STATE_COST, x) - np.einsum("ni,ij,nj->n", act, ACTION_COST, act)
        )
        x = x @ DYNAMICS.T + act @ CONTROL.T + DRIFT_STD * rng.standard_normal((count, 2))
    return np.stack(rewards, 1)


def targets_by_hand(rew, t, elapsed):
    """What each target and definition compares V to, for V_old = SAID everywhere; the exact return where it is kept."""
    to_limit, to_cut = HORIZON - elapsed, NUM_PAIRS - t
    discounts = GAMMA ** np.arange(BEYOND)
    delta = rew + GAMMA * SAID - SAID
    soft = (GAMMA * LAM) ** np.arange(BEYOND)
    cut = min(to_limit, to_cut)
    published = delta.copy()
    if to_limit <= to_cut:
        published[:, to_limit - 1] -= GAMMA * SAID  # taken for a termination
    near, none = to_limit < tail_length(GAMMA), np.full(len(rew), np.nan)
    as_text = [SAID + published[:, :cut] @ soft[:cut], rew[:, :cut] @ discounts[:cut]]
    as_code = [none if to_limit == 1 else target for target in as_text]
    exact = [
        SAID + delta[:, :to_limit] @ soft[:to_limit],
        none if near else rew[:, :to_limit] @ discounts[:to_limit],
    ]
    return list(zip(as_text, as_code, exact, strict=True))


@pytest.fixture(scope="module")
def measured():
    """Forks of three agents' streams."""
    positions = list(range(1, NUM_PAIRS, NUM_PAIRS // STATES))
    return [
        (checkpoint, list(fork_stream(checkpoint, positions, BRANCHES, BEYOND)))
        for checkpoint in map(make_checkpoint, range(3))
    ]


def test_returns_of_branches_have_the_value_for_their_mean(measured):
    for checkpoint, forks in measured:
        settings = make_settings(checkpoint.settings)
        found = np.stack([look(checkpoint, AFTER, fork, HORIZON, settings).complete for fork in forks])
        right = value_of(np.stack([fork.branches.obs[0, 0] for fork in forks]).astype(float))
        errors = found.mean(1) - right
        assert abs(errors.mean()) < 4 * errors.std() / len(forks) ** 0.5
        z = errors / (found.std(1, ddof=1) / BRANCHES**0.5)
        assert np.mean(np.abs(z) > 3.5) < 0.05  # t with 7 degrees of freedom leaves 1 %


def test_the_squared_error_is_free_of_noise(measured):
    for checkpoint, forks in measured:
        ds = estimate(checkpoint, AFTER, forks, HORIZON).squeeze()
        right = value_of(np.stack([fork.branches.obs[0, 0] for fork in forks]).astype(float))
        assert ds.squared_noise > 0.1
        # The states are the same on both sides: only the returns' noise is left between them.
        error = np.sqrt(4 * ds.squared_error * ds.squared_noise / BRANCHES / len(forks)).item()
        assert abs(ds.squared_error.item() - np.square(NOW - right).mean()) < 4 * error
        assert abs(ds.squared_value.item() - np.square(right).mean()) < 4 * np.sqrt(
            4 * np.square(right).mean() * ds.squared_noise.item() / BRANCHES / len(forks)
        )


def error_of(place):
    """The relative error of a target and definition."""
    return squared_relative_errors if place == (0, 1) else relative_errors


PLACES = list(np.ndindex(2, 3))


def test_floors_are_what_the_true_value_shows(measured):
    rng = np.random.default_rng(0)
    differences, floors = [], []
    for checkpoint, forks in measured:
        right, total = [], []
        for fork in forks:
            x = fork.branches.obs[0, 0].astype(float)
            rew = simulate(x, 500, BEYOND, rng)
            targets = np.array(targets_by_hand(rew, fork.t, fork.elapsed))
            val = np.full(len(rew), value_of(x))
            right.append([error_of(place)(val, targets[place]).mean() for place in PLACES])
            total.append([np.abs(val - targets).mean(-1).ravel(), np.abs(targets).mean(-1).ravel()])
        right = np.array(right)
        settings = make_settings(checkpoint.settings)
        views = [look(checkpoint, AFTER, fork, HORIZON, settings) for fork in forks]
        found = np.array(
            [
                [
                    perfect_errors(view.complete, view.targets[place], error_of(place)).mean()
                    for place in PLACES
                ]
                for view in views
            ]
        )
        np.testing.assert_array_equal(np.isnan(found), np.isnan(right))
        assert 0.2 < np.isnan(found[:, 5]).mean() < 0.8 and 0 < np.isnan(found[:, 1]).mean() < 0.1
        differences.append(found - right)
        floors.append(right)
        ds = estimate(checkpoint, AFTER, forks, HORIZON).squeeze()
        np.testing.assert_allclose(ds.floor.values.ravel(), np.nanmean(found, axis=0), rtol=1e-9)
        sums = np.nansum(total, axis=0)
        off = np.abs(ds.floor_total.values.ravel() - sums[0] / sums[1])
        assert (off < 3 * ds.floor_total_se.values.ravel()).all()
        assert (ds.floor_total_se.values.ravel() < 0.15 * sums[0] / sums[1]).all()
    differences, floors = np.concatenate(differences), np.concatenate(floors)
    count = np.isfinite(differences).sum(0)
    error = np.nanstd(differences, axis=0) / np.sqrt(count)
    mean = np.nanmean(floors, axis=0)
    assert (np.abs(np.nanmean(differences, axis=0)) < 4 * error + 0.01 * mean).all()
    assert (error < np.array([0.12, 0.2, 0.12, 0.12, 0.12, 0.12]) * mean).all()


def test_the_error_beside_a_floor_is_of_the_same_pairs(measured):
    """V after the update says the same everywhere: its errors are those of a constant against the floor's targets."""
    checkpoint, forks = measured[0]
    settings = make_settings(checkpoint.settings)
    ds = estimate(checkpoint, AFTER, forks, HORIZON).squeeze()
    targets = np.stack([look(checkpoint, AFTER, fork, HORIZON, settings).targets for fork in forks], 2)
    for place in PLACES:
        of = targets[place][np.isfinite(targets[place])]
        right = error_of(place)(np.full_like(of, NOW), of).mean()
        np.testing.assert_allclose(ds.error.values[place], right, rtol=1e-6)
        np.testing.assert_allclose(
            ds.error_total.values[place], np.abs(NOW - of).sum() / np.abs(of).sum(), rtol=1e-6
        )


def test_targets_are_made_with_the_value_before_the_update(measured):
    checkpoint, forks = measured[0]
    settings = make_settings(checkpoint.settings)
    view = look(checkpoint, AFTER, forks[0], HORIZON, settings)
    assert (view.val, view.val_old) == (pytest.approx(NOW), SAID)
    phi = checkpoint.state.phi.clone()
    phi[:, -1] = 2.0
    other = look(
        replace(checkpoint, state=replace(checkpoint.state, phi=phi)), AFTER, forks[0], HORIZON, settings
    )
    assert (other.val, other.val_old) == (view.val, 2.0)
    assert (other.targets[0] != view.targets[0]).all()
    np.testing.assert_array_equal(other.targets[1], view.targets[1])
