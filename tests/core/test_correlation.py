"""Correlations: scipy's own, columns against planes, and coverage."""

import numpy as np
import pytest
from scipy import stats

from pgprim.core.correlation import (
    column_rank_correlation,
    rank_correlation,
    spearman,
)
from pgprim.core.seeding import generator

LEVEL = 0.95
POINTS = 49
REPEATS = 600
THREE_ERRORS = 3 * np.sqrt(LEVEL * (1 - LEVEL) / REPEATS)


def test_the_rank_correlation_is_spearman_s():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (2, 40)).astype(float)  # with ties
    assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert np.isnan(rank_correlation(x, np.ones(40)))
    assert rank_correlation(np.append(x, np.nan), np.append(y, 9.0)) == rank_correlation(x, y)


@pytest.mark.parametrize("pearson", [0.0, 0.6, 0.9])
def test_the_interval_over_independent_steps_covers(pearson):
    """Of normal pairs Spearman's ρ is 6/π·arcsin(r/2)."""
    rng = np.random.default_rng(int(10 * pearson))
    target = 6 / np.pi * np.arcsin(pearson / 2)
    covered = 0
    for _ in range(REPEATS):
        x, noise = rng.standard_normal((2, 50))
        _, low, high = spearman(x, pearson * x + np.sqrt(1 - pearson**2) * noise, LEVEL)
        covered += low <= target <= high
    assert abs(covered / REPEATS - LEVEL) < 0.02 + THREE_ERRORS


def test_the_interval_over_a_surface_covers_what_measuring_again_gives():
    """A surface of 49 points, and the mean over seven columns of seven points each."""
    rng = np.random.default_rng(0)
    surrogate = np.sin(np.arange(POINTS)) + np.linspace(-1, 1, POINTS)
    reward = np.linspace(-1, 1, POINTS)
    measured = reward + 0.3 * rng.standard_normal((400, POINTS))
    for shape in ((1, POINTS), (7, 7)):
        x, se = surrogate.reshape(shape), np.full(shape, 0.3)
        surfaces = [row.reshape(shape) for row in measured]
        values = [np.mean([rank_correlation(*pair) for pair in zip(x, y, strict=True)]) for y in surfaces]
        intervals = [
            column_rank_correlation(x, y, se, LEVEL, generator("test", k), 100)
            for k, y in enumerate(surfaces)
        ]
        covered = np.mean([low <= np.mean(values) <= high for _, low, high in intervals])
        assert abs(covered - LEVEL) < 0.03 + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 400)
        np.testing.assert_allclose([value for value, _, _ in intervals], values)


def test_columns_hide_nothing_of_the_step_behind_the_random_direction():
    """Reward and surrogate agree on β and disagree on α: correlated over the plane, opposed within columns."""
    beta, alpha = np.meshgrid(np.arange(5.0), np.linspace(0, 0.5, 6), indexing="ij")
    surrogate, reward, se = -beta + alpha, -beta - alpha, np.full(beta.shape, 1e-6)
    whole = column_rank_correlation(
        surrogate.reshape(1, -1), reward.reshape(1, -1), se.reshape(1, -1), LEVEL, generator("test")
    )
    assert whole.low > 0.9
    assert column_rank_correlation(surrogate, reward, se, LEVEL, generator("test")).value == pytest.approx(-1)


def test_an_almost_perfect_order_has_a_narrow_interval():
    """Resamples in perfect order have no finite place on Fisher's scale, and must not stretch the interval to −1 ... 1."""
    x = np.arange(7.0)[None]
    y = -x + np.array([0.0, 0, 0, 0, 0, -1.2, 0])
    value, low, high = column_rank_correlation(x, y, np.full_like(y, 0.3), LEVEL, generator("test"))
    assert value == pytest.approx(-1, abs=0.05)
    assert -1 <= low <= value <= high < -0.6


def test_columns_without_a_rank_are_left_out():
    x = np.array([[1.0, 2, 3, 4], [1, 1, 1, 1], [np.nan, 1, 2, np.nan]])
    y, se = np.array([[1.0, 2, 4, 3], [1, 2, 3, 4], [1, 2, 1, 2]]), np.full((3, 4), 0.1)
    value, low, high = column_rank_correlation(x, y, se, LEVEL, generator("test"))
    assert value == pytest.approx((0.8 - 1) / 2)
    assert np.isnan([low, high]).all()  # two points say nothing of their noise
    value, low, high = column_rank_correlation(x[:2], y[:2], se[:2], LEVEL, generator("test"))
    assert value == pytest.approx(0.8) and -1 <= low <= value <= high <= 1
    assert np.isnan(column_rank_correlation(x[1:2], y[1:2], se[1:2], LEVEL, generator("test"))).all()


def _pairs(rng, kind, correlation=0.6, num=50):
    """Elliptical pairs: normal, Student's t with three degrees of freedom, or every tenth pair ten times as far out."""
    scale = {
        "normal": np.ones(num),
        "t3": 1 / np.sqrt(rng.chisquare(3, num) / 3),
        "bad": np.where(rng.random(num) < 0.1, 10.0, 1.0),
    }[kind]
    x, noise = scale * rng.standard_normal((2, num))
    return x, correlation * x + np.sqrt(1 - correlation**2) * noise


@pytest.mark.parametrize(("kind", "reached"), [("normal", 0.96), ("t3", 0.91), ("bad", 0.94)])
def test_heavy_tails_hardly_spoil_the_interval(kind, reached):
    rng = np.random.default_rng(2)
    draws = [_pairs(rng, kind) for _ in range(REPEATS)]
    target = rank_correlation(*_pairs(rng, kind, num=200_000))
    covered = np.mean([low <= target <= high for _, low, high in (spearman(x, y, LEVEL) for x, y in draws)])
    np.testing.assert_allclose(covered, reached, atol=0.05)


def test_intervals_of_correlations_stay_correlations():
    x = np.arange(5.0)
    assert spearman(x, 2 * x, LEVEL).value == pytest.approx(1)
    assert np.abs(spearman(x, -x, LEVEL)).max() <= 1
