"""Statistics within kinds of runs: worked numbers, scipy's own, and coverage."""

import numpy as np
import pytest
from scipy import stats

from pgprim.core.within_kinds import pooled_spearman, relative_difference

LEVEL, REPEATS = 0.95, 400
THREE_ERRORS = 3 * np.sqrt(LEVEL * (1 - LEVEL) / REPEATS)


def test_of_one_kind_it_is_spearman_s():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (2, 40)).astype(float)  # with ties
    value, low, high = pooled_spearman([x], [y], LEVEL)
    assert value == pytest.approx(stats.spearmanr(x, y).statistic)
    reach = stats.norm.ppf(0.975) * np.sqrt((1 + value**2 / 2) / 37)
    np.testing.assert_allclose([low, high], np.tanh(np.arctanh(value) + np.array([-reach, reach])))


def test_differences_between_kinds_play_no_role():
    """Within each kind the quantities fall together, whatever their levels: one in three pairs turned round."""
    x, y = [np.array([1.0, 2, 3]), np.array([11.0, 12, 13])], [np.array([5.0, 6, 7]), np.array([1.0, 3, 2])]
    assert pooled_spearman(x, y, LEVEL).value == pytest.approx((1 + 0.5) / 2)
    assert np.isnan(pooled_spearman(x[:1], y[:1], LEVEL)[1:]).all()
    x += [np.ones(3), np.array([np.nan, 1.0])]  # constant, or of a single run: says nothing
    y += [np.array([1.0, 2, 3]), np.array([1.0, 2.0])]
    assert pooled_spearman(x, y, LEVEL).value == pytest.approx(0.75)
    assert np.isnan(pooled_spearman(x[2:], y[2:], LEVEL)).all()


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.8])
@pytest.mark.parametrize("kinds", [[3] * 6, [10] * 6, [3, 3, 10, 24]], ids=str)
def test_intervals_cover_what_is_expected_of_as_many_runs(kinds, correlation):
    rng = np.random.default_rng([int(10 * abs(correlation)), len(kinds), sum(kinds)])
    found = []
    for _ in range(REPEATS):
        x = [rng.standard_normal(num) for num in kinds]
        y = [
            level + correlation * one + np.sqrt(1 - correlation**2) * rng.standard_normal(len(one))
            for level, one in enumerate(x)
        ]
        found.append(pooled_spearman(x, y, LEVEL))
    values, low, high = np.array(found).T
    covered = np.mean((low <= values.mean()) & (values.mean() <= high))
    assert covered > (0.85 if correlation == -0.8 and max(kinds) == 3 else 0.93) - THREE_ERRORS


def test_the_relative_difference_of_two_runs():
    assert relative_difference(np.array([2.0, 4.0]), LEVEL).value == pytest.approx(2 / 3)
    three = relative_difference(np.array([1.0, 2.0, np.nan, 6.0]), LEVEL)
    assert three.value == pytest.approx((1 + 5 + 4) / 3 / 3)
    assert 0 < three.low < three.value < three.high
    assert np.isnan(relative_difference(np.array([-1.0, -2.0, -3.0]), LEVEL)).all()
    assert np.isnan(relative_difference(np.array([1.0]), LEVEL)).all()


KINDS = {
    "normal": lambda rng, num: rng.normal(10, 2, num),
    "uniform": lambda rng, num: rng.uniform(5, 15, num),
    "skew": lambda rng, num: 5 + rng.gamma(2.0, 2.0, num),
}


@pytest.mark.parametrize(("kind", "least"), [("normal", 0.93), ("uniform", 0.93), ("skew", 0.87)])
def test_the_relative_difference_covers(kind, least):
    rng = np.random.default_rng(1)
    one, other = KINDS[kind](rng, 200_000), KINDS[kind](rng, 200_000)
    target = np.abs(one - other).mean() / one.mean()
    found = np.array([relative_difference(KINDS[kind](rng, 10), LEVEL) for _ in range(REPEATS)])
    covered = np.mean((found[:, 1] <= target) & (target <= found[:, 2]))
    assert covered > least - 3 * np.sqrt(least * (1 - least) / REPEATS)
