"""Mean pairwise cosines: worked numbers, coverage, and the bootstraps that are traps."""

import numpy as np
import pytest
from scipy import stats

from pgprim.core.cosines import cosines, gram
from pgprim.core.pair_mean import pair_mean, pair_mean_leave_one_out
from pgprim.core.pairwise_cosine import pairwise_cosine
from tests.core.gradients import (
    LEVEL,
    THREE_ERRORS,
    TRIALS,
    all_cosines,
    coverage,
    expected_mean_cosine,
    synthetic_gradients,
)


def test_cosines_by_hand():
    products = gram(np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0], [-3.0, -4.0]]))
    expected = [[1, 0.96, np.nan, -1], [0.96, 1, np.nan, -0.96], [np.nan] * 4, [-1, -0.96, np.nan, 1]]
    np.testing.assert_allclose(cosines(products), expected, atol=1e-15)


def test_pair_mean_counts_every_pair_once():
    kernel = np.array([[9.0, 1, 2], [1, 9, 6], [2, 6, 9]])
    assert pair_mean(kernel) == pytest.approx(3)
    np.testing.assert_allclose(pair_mean_leave_one_out(kernel), [6, 2, 1])


def test_leaving_out_is_what_it_says():
    rng = np.random.default_rng(0)
    kernel = gram(rng.standard_normal((6, 4)))
    direct = [pair_mean(np.delete(np.delete(kernel, i, 0), i, 1)) for i in range(6)]
    np.testing.assert_allclose(pair_mean_leave_one_out(kernel), direct)


def test_identical_trials_agree_perfectly():
    matrix = cosines(gram(np.tile([1.0, 2.0], (5, 1))))
    value, low, high = pairwise_cosine(matrix, LEVEL)
    assert value == pytest.approx(1) and low == pytest.approx(1) and low <= value <= high


def test_intervals_of_cosines_stay_cosines():
    for cosine in (0.0, 0.5, 0.99):
        _, draws = synthetic_gradients(cosine, repeats=50, trials=4)
        for matrix in all_cosines(draws):
            value, low, high = pairwise_cosine(matrix, LEVEL)
            assert -1 <= low <= value <= high <= 1


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("cosine", [0.5, 0.9, 0.97])
def test_mean_cosine_covers_95_percent_where_there_is_signal(cosine, decay):
    _, draws = synthetic_gradients(cosine, decay=decay)
    covered = coverage([pairwise_cosine(m, LEVEL) for m in all_cosines(draws)], expected_mean_cosine(draws))
    assert abs(covered - LEVEL) <= THREE_ERRORS


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("cosine", [0.0, 0.05, 0.2])
def test_mean_cosine_is_on_the_safe_side_where_there_is_little(cosine, decay):
    _, draws = synthetic_gradients(cosine, decay=decay)
    intervals = [pairwise_cosine(m, LEVEL) for m in all_cosines(draws)]
    target = expected_mean_cosine(draws)
    assert coverage(intervals, target) >= LEVEL - THREE_ERRORS
    # Safe, but not idle: a true standard error's interval is at most √2 shorter (Efron & Stein).
    width = np.mean([high - low for _, low, high in intervals])
    exact = 2 * stats.t.ppf(0.975, TRIALS - 1) * np.std([value for value, _, _ in intervals])
    assert width < 1.05 * np.sqrt(2) * exact * np.sqrt(TRIALS / (TRIALS - 2))


@pytest.mark.parametrize(("cosine", "at_most"), [(0.05, 0.90), (0.2, 0.80), (0.5, 0.70), (0.9, 0.70)])
def test_a_bootstrap_over_pairs_covers_too_rarely(cosine, at_most):
    """The trap: the 45 cosines are dependent, and resampling them as if they were not gives far too short intervals."""
    _, draws = synthetic_gradients(cosine)
    rng = np.random.default_rng(1)
    upper = np.triu_indices(TRIALS, 1)
    intervals = []
    for matrix in all_cosines(draws):
        pairs = matrix[upper]
        means = rng.choice(pairs, (300, len(pairs))).mean(1)
        intervals.append((pairs.mean(), *np.quantile(means, [0.025, 0.975])))
    assert coverage(intervals, expected_mean_cosine(draws)) < at_most


def test_a_bootstrap_that_keeps_self_pairs_is_worse():
    """A trial drawn twice agrees with itself: the interval shifts up and covers next to nothing."""
    _, draws = synthetic_gradients(0.2)
    rng = np.random.default_rng(2)
    intervals = []
    for matrix in all_cosines(draws[:300]):
        picks = rng.integers(TRIALS, size=(300, TRIALS))
        means = [pair_mean(matrix[np.ix_(pick, pick)]) for pick in picks]
        intervals.append((0.0, *np.quantile(means, [0.025, 0.975])))
    assert coverage(intervals, expected_mean_cosine(draws)) < 0.5
