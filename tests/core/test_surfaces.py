"""Numbers of surfaces: known shares of noise, coverage of intervals, scipy's own tests."""

import numpy as np
import pytest
from scipy import stats

from pgprim.core.seeding import generator
from pgprim.core.surfaces import (
    flatness,
    noise_share,
    noise_variance,
    rank_correlation,
    rank_correlation_of_sample,
    rank_correlation_of_surface,
)

LEVEL = 0.95
POINTS = 49
REPEATS = 600
THREE_ERRORS = 3 * np.sqrt(LEVEL * (1 - LEVEL) / REPEATS)


def _surface(noise, rng, num=10, signal=1.0):
    """Rewards of episodes, `[point, episode]`: a tilted plane whose mean of `num` episodes has this share of noise."""
    tilt = np.linspace(-1, 1, POINTS)
    tilt *= signal / tilt.std(ddof=1)
    deviation = np.sqrt(num * noise / (1 - noise)) if noise < 1 else 1.0
    return tilt * (noise < 1), tilt[:, None] * (noise < 1) + deviation * rng.standard_normal((POINTS, num))


def _halves(episodes):
    return np.stack([episodes[:, 0::2].mean(1), episodes[:, 1::2].mean(1)], 1)


@pytest.mark.parametrize("noise", [0.05, 0.5, 0.9])
def test_the_share_of_noise_is_the_known_one_and_its_interval_covers_it(noise):
    rng = np.random.default_rng(int(100 * noise))
    found = np.array([noise_share(_halves(_surface(noise, rng)[1]), LEVEL) for _ in range(REPEATS)])
    assert abs(found[:, 0].mean() / noise - 1) < 0.06
    covered = np.mean((found[:, 1] <= noise) & (noise <= found[:, 2]))
    assert covered > LEVEL - 0.03 - THREE_ERRORS


def test_a_surface_of_noise_alone_has_a_share_of_one():
    rng = np.random.default_rng(0)
    found = np.array([noise_share(_halves(_surface(1, rng)[1]), LEVEL) for _ in range(REPEATS)])
    assert abs(np.median(found[:, 0]) - 1) < 0.05
    assert np.mean((found[:, 1] <= 1) & (found[:, 2] >= 1)) > LEVEL - 0.03 - THREE_ERRORS


def test_what_all_points_share_is_no_noise_of_the_surface():
    """With common random numbers the whole surface moves: nothing that tells its points apart."""
    rng = np.random.default_rng(0)
    halves = _halves(_surface(0.5, rng)[1])
    moved = halves + np.array([3.0, -8.0])
    np.testing.assert_allclose(noise_share(moved, LEVEL), noise_share(halves, LEVEL))
    np.testing.assert_allclose(noise_variance(moved, LEVEL), noise_variance(halves, LEVEL))


def test_points_that_were_not_measured_do_not_count():
    rng = np.random.default_rng(0)
    halves = _halves(_surface(0.5, rng)[1])
    with_holes = np.insert(halves, 3, [np.nan, 1.0], axis=0)
    assert noise_share(with_holes, LEVEL) == noise_share(halves, LEVEL)
    assert np.isnan(noise_share(halves[:3], LEVEL)).all()
    assert np.isnan(noise_share(np.ones((9, 2)), LEVEL)).all()


def _of_points(episodes):
    num = np.full(len(episodes), float(episodes.shape[1]))
    return episodes.mean(1), episodes.std(1, ddof=1) / np.sqrt(num), num


def test_flatness_is_welch_s_test():
    rng = np.random.default_rng(0)
    episodes = rng.standard_normal((5, 8)) * np.arange(1, 6)[:, None] + np.arange(5)[:, None]
    expected = stats.f_oneway(*episodes, equal_var=False)
    np.testing.assert_allclose(flatness(*_of_points(episodes)), expected, rtol=1e-10)


def test_a_flat_surface_is_rarely_taken_for_another_and_a_tilted_one_never():
    rng = np.random.default_rng(0)
    flat = [flatness(*_of_points(_surface(1, rng)[1])).p for _ in range(REPEATS)]
    assert abs(np.mean(np.array(flat) < 0.05) - 0.05) < 0.015 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)
    assert max(flatness(*_of_points(_surface(0.2, rng)[1])).p for _ in range(20)) < 1e-6


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
        _, low, high = rank_correlation_of_sample(x, pearson * x + np.sqrt(1 - pearson**2) * noise, LEVEL)
        covered += low <= target <= high
    assert abs(covered / REPEATS - LEVEL) < 0.02 + THREE_ERRORS


def test_the_interval_over_a_surface_covers_what_measuring_again_gives():
    rng = np.random.default_rng(0)
    surrogate = np.sin(np.arange(POINTS)) + np.linspace(-1, 1, POINTS)
    reward = np.linspace(-1, 1, POINTS)
    se = np.full(POINTS, 0.3)
    measured = reward + se * rng.standard_normal((400, POINTS))
    target = np.mean([rank_correlation(surrogate, row) for row in measured])
    found = [
        rank_correlation_of_surface(surrogate, row, se, LEVEL, generator("test", k), 100)
        for k, row in enumerate(measured)
    ]
    covered = np.mean([low <= target <= high for _, low, high in found])
    assert abs(covered - LEVEL) < 0.03 + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 400)
    assert found[0].value == rank_correlation(surrogate, measured[0])
