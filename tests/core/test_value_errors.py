"""Errors of value networks: what a perfect one shows under each definition, in closed form."""

import numpy as np
import pytest

from pgprim.core.returns import gae
from pgprim.core.value_errors import (
    elapsed_steps,
    gae_targets_as_published,
    gae_targets_exact,
    known_mean,
    known_median,
    pair_products,
    perfect_error,
    relative_errors,
    returns_as_published,
    returns_exact,
    tail_length,
)

GAMMA, LAM = 0.99, 0.95
LIMIT, NUM_PAIRS, BEYOND = 1000, 2048, 500


def two_episodes():
    """Constant reward 3, no falls: time limits after 1000 and 2000 pairs, the batch ends 48 pairs later."""
    shape = (1, NUM_PAIRS + BEYOND)
    truncated = np.zeros(shape, bool)
    truncated[0, [999, 1999]] = True
    return np.full(shape, 3.0), np.zeros(shape, bool), truncated


def test_a_perfect_value_shows_large_errors_as_published_and_none_exactly():
    """The trap: V = r/(1 − γ) against (1 − γⁿ) of it, n pairs before a cut, is off by γⁿ/(1 − γⁿ)."""
    rew, terminated, truncated = two_episodes()
    val = np.full(rew.shape, 3.0 / (1 - GAMMA))
    cut = returns_as_published(rew, terminated, truncated, NUM_PAIRS, GAMMA)
    found = relative_errors(val[:, :NUM_PAIRS], cut).mean()
    left = np.concatenate([np.arange(1, 1001), np.arange(1, 1001), np.arange(1, 49)])
    np.testing.assert_allclose(found, (GAMMA**left / (1 - GAMMA**left)).mean(), rtol=1e-10)
    assert 0.5 < found < 0.8
    rolled = returns_exact(rew, terminated, truncated, elapsed_steps(truncated), LIMIT, NUM_PAIRS, GAMMA)
    errors = relative_errors(val[:, :NUM_PAIRS], rolled)
    np.testing.assert_array_equal(np.isnan(errors[0]), np.isnan(rolled[0]))
    assert np.isnan(errors).sum() == 2 * (tail_length(GAMMA) - 1)
    assert 0 < np.nanmax(errors) < 0.0102 and np.nanmean(errors) < 0.004


def test_advantages_of_a_perfect_value_err_only_at_the_published_ends():
    rew, terminated, truncated = two_episodes()
    val = np.full(rew.shape, 3.0 / (1 - GAMMA))
    exact = gae_targets_exact(rew, val, val, terminated, truncated, NUM_PAIRS, GAMMA, LAM)
    np.testing.assert_allclose(relative_errors(val[:, :NUM_PAIRS], exact), 0, atol=1e-10)
    published = gae_targets_as_published(rew, val, terminated, truncated, NUM_PAIRS, GAMMA, LAM)
    # γV is missing behind the time limit, (γλ)^(n−1) of it n pairs before; the cut's own value is V's.
    left = np.concatenate([np.arange(1000, 0, -1), np.arange(1000, 0, -1)])
    missing = GAMMA * (GAMMA * LAM) ** (left - 1)
    np.testing.assert_allclose(published[0, :2000], val[0, :2000] * (1 - missing), rtol=1e-9)
    np.testing.assert_allclose(published[0, 2000:], val[0, 2000:NUM_PAIRS], rtol=1e-9)


def test_published_targets_look_at_nothing_past_the_batch():
    rng = np.random.default_rng(0)
    rew, val = rng.standard_normal((2, 3, 60))
    terminated, truncated = rng.random((2, 3, 60)) < 0.05
    for call in (
        lambda n: gae_targets_as_published(
            rew[:, :n], val[:, :n], terminated[:, :n], truncated[:, :n], 40, GAMMA, LAM
        ),
        lambda n: returns_as_published(rew[:, :n], terminated[:, :n], truncated[:, :n], 40, GAMMA),
    ):
        np.testing.assert_array_equal(call(40), call(60))


def test_exact_targets_are_those_of_the_longer_stream():
    rng = np.random.default_rng(1)
    rew, val, next_val = rng.standard_normal((3, 2, 60))
    terminated, truncated = rng.random((2, 2, 60)) < 0.05
    adv = gae(rew, val, next_val, terminated, truncated, GAMMA, LAM)
    targets = gae_targets_exact(rew, val, next_val, terminated, truncated, 40, GAMMA, LAM)
    np.testing.assert_allclose(targets, (val + adv)[:, :40])
    by_hand = np.zeros((2, 61))
    for t in range(59, -1, -1):
        by_hand[:, t] = rew[:, t] + GAMMA * by_hand[:, t + 1] * ~(terminated | truncated)[:, t]
    elapsed = elapsed_steps(terminated | truncated)
    returns = returns_exact(rew, terminated, truncated, elapsed, None, 40, GAMMA)
    np.testing.assert_allclose(returns, by_hand[:, :40])


def test_states_are_left_out_by_their_time_whether_or_not_they_fall():
    """γ = 0.5 has a tail of 7 pairs: of an episode of at most 10 the first four states are kept."""
    assert tail_length(0.5) == 7
    rew = np.ones((1, 30))
    terminated, truncated = np.zeros((2, 1, 30), bool)
    truncated[0, 9] = terminated[0, 17] = True
    elapsed = elapsed_steps(terminated | truncated)
    np.testing.assert_array_equal(elapsed[0], [*range(10), *range(8), *range(12)])
    returns = returns_exact(rew, terminated, truncated, elapsed, 10, 20, 0.5)
    assert np.flatnonzero(np.isfinite(returns[0])).tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 18, 19]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99, 0.999])
def test_the_tail_is_the_least_that_leaves_one_percent(gamma):
    length = tail_length(gamma)
    assert gamma**length <= 0.01 and (length == 1 or gamma ** (length - 1) > 0.01)


def test_a_target_of_nothing_has_no_relative_error():
    found = relative_errors(np.array([1.0, 1.0, 3.0]), np.array([0.0, np.nan, -2.0]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, 2.5])


def test_means_and_medians_are_of_what_is_known():
    values = np.array([[1.0, np.nan, 5.0, 3.0], [np.nan] * 4, [2.0, 2.0, 8.0, np.inf]])
    np.testing.assert_array_equal(known_mean(values, axis=1), [3, np.nan, 4])
    np.testing.assert_array_equal(known_median(values, axis=1), [3, np.nan, 2])
    np.testing.assert_array_equal(known_mean(values[:, 2:]), [6.5, 3])


@pytest.mark.parametrize(("num_branches", "bias"), [(3, 0.035), (5, 0.0114), (8, 0.005)])
def test_the_perfect_error_of_normal_returns(num_branches, bias):
    """E|V − R|/|R| is σ√(2/π)/μ to first order in σ/μ; with V estimated it is what the extrapolation leaves."""
    rng = np.random.default_rng(2)
    returns = 1000 + rng.standard_normal((1500, num_branches))
    found = 1000 * np.array([perfect_error(val, val) for val in returns]) / np.sqrt(2 / np.pi)
    assert abs(found.mean() - 1 - bias) < 4 * found.std() / 1500**0.5
    assert found.std() / 1500**0.5 < 0.03


def test_the_perfect_error_where_targets_are_cut():
    """Targets of half the value, whatever the returns' noise: V^π is off by one target exactly."""
    rng = np.random.default_rng(3)
    returns = 10 + rng.standard_normal((1000, 5))
    found = np.array([perfect_error(val, np.full(5, 5.0)) for val in returns])
    assert abs(found.mean() - 1) < 4 * found.std() / 1000**0.5
    assert np.isnan(perfect_error(returns[0], np.full(5, np.nan)))


def test_products_of_different_branches_are_free_of_noise():
    rng = np.random.default_rng(4)
    values = np.array([2.0, 0.0, -1.0])[:, None] + 3 * rng.standard_normal((20000, 3, 4))
    found = np.stack([pair_products(of) for of in values])
    error = found.std(0) / 20000**0.5
    assert (np.abs(found.mean(0) - [4, 0, 1]) < 4 * error).all()
    right = [[1 * 2, 1 * 3, 2 * 3]]
    np.testing.assert_allclose(pair_products(np.array([[1.0, 2.0, 3.0]])), np.mean(right))
