"""Errors of value networks: what a perfect one shows under each definition, in closed form."""

import numpy as np
import pytest
import torch

from pgprim.core.returns import gae
from pgprim.core.surrogate import value_loss
from pgprim.core.time_in_episode import elapsed_steps, tail_length
from pgprim.core.value_errors import (
    gae_targets_cut,
    gae_targets_rolled,
    pair_products,
    perfect_errors,
    relative_errors,
    returns_cut,
    returns_rolled,
    squared_relative_errors,
    summarise_errors,
    without_last_pairs,
)

GAMMA, LAM = 0.99, 0.95
LIMIT, NUM_PAIRS, BEYOND = 1000, 2048, 500


def two_episodes():
    """Constant reward 3, no falls: time limits after 1000 and 2000 pairs, the batch ends 48 pairs later."""
    shape = (1, NUM_PAIRS + BEYOND)
    truncated = np.zeros(shape, bool)
    truncated[0, [999, 1999]] = True
    return np.full(shape, 3.0), np.zeros(shape, bool), truncated


def test_a_perfect_value_shows_large_errors_as_text_and_none_exactly():
    """The trap: V = r/(1 − γ) against (1 − γⁿ) of it, n pairs before a cut, is off by γⁿ/(1 − γⁿ)."""
    rew, terminated, truncated = two_episodes()
    val = np.full(rew.shape, 3.0 / (1 - GAMMA))
    cut = returns_cut(rew, terminated, truncated, NUM_PAIRS, GAMMA)
    ours = relative_errors(val[:, :NUM_PAIRS], cut).mean()
    left = np.concatenate([np.arange(1, 1001), np.arange(1, 1001), np.arange(1, 49)])
    np.testing.assert_allclose(ours, (GAMMA**left / (1 - GAMMA**left)).mean(), rtol=1e-10)
    assert 0.5 < ours < 0.8
    rolled = returns_rolled(rew, terminated, truncated, elapsed_steps(truncated), LIMIT, NUM_PAIRS, GAMMA)
    errors = relative_errors(val[:, :NUM_PAIRS], rolled)
    np.testing.assert_array_equal(np.isnan(errors[0]), np.isnan(rolled[0]))
    assert np.isnan(errors).sum() == 2 * (tail_length(GAMMA) - 1)
    assert 0 < np.nanmax(errors) < 0.0102 and np.nanmean(errors) < 0.004


def test_advantages_of_a_perfect_value_err_only_at_the_published_ends():
    rew, terminated, truncated = two_episodes()
    val = np.full(rew.shape, 3.0 / (1 - GAMMA))
    exact = gae_targets_rolled(rew, val, val, terminated, truncated, NUM_PAIRS, GAMMA, LAM)
    np.testing.assert_allclose(relative_errors(val[:, :NUM_PAIRS], exact), 0, atol=1e-10)
    published = gae_targets_cut(rew, val, terminated, truncated, NUM_PAIRS, GAMMA, LAM)
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
        lambda n: gae_targets_cut(
            rew[:, :n], val[:, :n], terminated[:, :n], truncated[:, :n], 40, GAMMA, LAM
        ),
        lambda n: returns_cut(rew[:, :n], terminated[:, :n], truncated[:, :n], 40, GAMMA),
    ):
        np.testing.assert_array_equal(call(40), call(60))


def test_exact_targets_are_those_of_the_longer_stream():
    rng = np.random.default_rng(1)
    rew, val, next_val = rng.standard_normal((3, 2, 60))
    terminated, truncated = rng.random((2, 2, 60)) < 0.05
    adv = gae(rew, val, next_val, terminated, truncated, GAMMA, LAM)
    targets = gae_targets_rolled(rew, val, next_val, terminated, truncated, 40, GAMMA, LAM)
    np.testing.assert_allclose(targets, (val + adv)[:, :40])
    by_hand = np.zeros((2, 61))
    for t in range(59, -1, -1):
        by_hand[:, t] = rew[:, t] + GAMMA * by_hand[:, t + 1] * ~(terminated | truncated)[:, t]
    elapsed = elapsed_steps(terminated | truncated)
    returns = returns_rolled(rew, terminated, truncated, elapsed, None, 40, GAMMA)
    np.testing.assert_allclose(returns, by_hand[:, :40])


def test_states_are_left_out_by_their_time_whether_or_not_they_fall():
    """γ = 0.5 has a tail of 7 pairs: of an episode of at most 10 the first four states are kept."""
    assert tail_length(0.5) == 7
    rew = np.ones((1, 30))
    terminated, truncated = np.zeros((2, 1, 30), bool)
    truncated[0, 9] = terminated[0, 17] = True
    elapsed = elapsed_steps(terminated | truncated)
    np.testing.assert_array_equal(elapsed[0], [*range(10), *range(8), *range(12)])
    returns = returns_rolled(rew, terminated, truncated, elapsed, 10, 20, 0.5)
    assert np.flatnonzero(np.isfinite(returns[0])).tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 18, 19]


def test_a_target_of_nothing_has_no_relative_error():
    ours = relative_errors(np.array([1.0, 1.0, 3.0]), np.array([0.0, np.nan, -2.0]))
    np.testing.assert_array_equal(ours, [np.nan, np.nan, 2.5])


def test_as_code_leaves_out_last_pairs_and_squares():
    """An episode of three pairs, then one that the batch cuts: its last pair ends no episode and counts."""
    val, target = np.array([[1.0, 2, 3, 4, 5]]), np.array([[2.0, -4, 0.001, 2, 1]])
    ended = np.array([[False, False, True, False, False]])
    left = without_last_pairs(target, ended)
    np.testing.assert_array_equal(np.isnan(left), ended)
    np.testing.assert_allclose(relative_errors(val, left), [[1 / 2, 6 / 4, np.nan, 2 / 2, 4 / 1]])
    squared = squared_relative_errors(val, left)
    np.testing.assert_allclose(squared, [[1 / 2, 36 / 4, np.nan, 4 / 2, 16 / 1]])
    summary = summarise_errors(val, left, squared)
    np.testing.assert_allclose(summary, [[27.5 / 4], [(2 + 9) / 2], [(1 + 6 + 2 + 4) / (2 + 4 + 2 + 1)]])


def test_a_clipping_agent_counts_the_larger_square():
    """As its loss does (Eq. 4): clipped to 0.2 around V_old, V is further from a target that it had reached."""
    val, old, target = np.array([3.0, 1.1, 0.0]), np.array([1.0, 1.0, 5.0]), np.array([3.0, 2.0, 4.0])
    errors = squared_relative_errors(val, target, old, 0.2)
    np.testing.assert_allclose(errors, [1.8**2 / 3, 0.9**2 / 2, 4.0**2 / 4])
    batch = (torch.from_numpy(value)[:, None] for value in (val, old, target))
    np.testing.assert_allclose(errors * np.abs(target), value_loss(*batch, clip=0.2).numpy())


def test_one_target_near_zero_rules_the_mean_alone():
    val, target = np.full((1, 100), 110.0), np.full((1, 100), 100.0)
    target[0, 7] = 0.01
    mean, median, total = summarise_errors(val, target, relative_errors(val, target))
    assert mean > 100 and median == pytest.approx(0.1) and total == pytest.approx(0.1, rel=0.15)


def test_pairs_without_a_target_have_no_errors():
    val, target = np.ones((2, 3)), np.array([[np.nan] * 3, [0.0, 2.0, np.nan]])
    mean, median, total = summarise_errors(val, target, relative_errors(val, target))
    np.testing.assert_array_equal([mean, median, total], [[np.nan, 0.5], [np.nan, 0.5], [np.nan, 1.0]])


@pytest.mark.parametrize(("num_branches", "bias"), [(3, 0.035), (5, 0.0114), (8, 0.005)])
def test_the_perfect_error_of_normal_returns(num_branches, bias):
    """E|V − R|/|R| is σ√(2/π)/μ to first order in σ/μ; with V estimated it is what the extrapolation leaves."""
    rng = np.random.default_rng(2)
    returns = 1000 + rng.standard_normal((1500, num_branches))
    ours = 1000 * np.array([perfect_errors(val, val).mean() for val in returns]) / np.sqrt(2 / np.pi)
    assert abs(ours.mean() - 1 - bias) < 4 * ours.std() / 1500**0.5
    assert ours.std() / 1500**0.5 < 0.03


def test_the_perfect_error_where_targets_are_cut():
    """Targets of half the value, whatever the returns' noise: V^π is off by one target exactly."""
    rng = np.random.default_rng(3)
    returns = 10 + rng.standard_normal((1000, 5))
    ours = np.array([perfect_errors(val, np.full(5, 5.0)).mean() for val in returns])
    assert abs(ours.mean() - 1) < 4 * ours.std() / 1000**0.5
    assert np.isnan(perfect_errors(returns[0], np.full(5, np.nan))).all()


def test_a_continuation_that_is_left_out_still_tells_the_value():
    returns, target = np.array([10.0, 12.0, 9.0, 11.0]), np.array([5.0, np.nan, 5.0, 5.0])
    errors = perfect_errors(returns, target)
    np.testing.assert_array_equal(np.isnan(errors), np.isnan(target))
    np.testing.assert_array_equal(errors[[0, 2, 3]], perfect_errors(returns, np.full(4, 5.0))[[0, 2, 3]])


def test_products_of_different_branches_are_free_of_noise():
    rng = np.random.default_rng(4)
    values = np.array([2.0, 0.0, -1.0])[:, None] + 3 * rng.standard_normal((20000, 3, 4))
    ours = np.stack([pair_products(of) for of in values])
    error = ours.std(0) / 20000**0.5
    assert (np.abs(ours.mean(0) - [4, 0, 1]) < 4 * error).all()
    right = [[1 * 2, 1 * 3, 2 * 3]]
    np.testing.assert_allclose(pair_products(np.array([[1.0, 2.0, 3.0]])), np.mean(right))


def test_the_perfect_squared_error_is_the_returns_variance():
    """E (V^π − R)²/|R| with R constant in the denominator is σ²/μ to first order, without the bias of an absolute error."""
    rng = np.random.default_rng(5)
    returns = 1000 + 10 * rng.standard_normal((4000, 3))
    errors = np.array([perfect_errors(val, val, squared_relative_errors).mean() for val in returns])
    assert abs(errors.mean() - 0.1) < 4 * errors.std() / 4000**0.5
    assert errors.std() / 4000**0.5 < 0.004
