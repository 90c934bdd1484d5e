"""Welch's analysis of variance against scipy's, and how often it errs."""

import numpy as np
from scipy import stats

from pgprim.core.welch import welch_anova, welch_interval

POINTS = 49
REPEATS = 600


def _surface(noise, rng, num=10, signal=1.0):
    """Rewards of episodes, `[point, episode]`: a tilted plane whose mean of `num` episodes has this share of noise."""
    tilt = np.linspace(-1, 1, POINTS)
    tilt *= signal / tilt.std(ddof=1)
    deviation = np.sqrt(num * noise / (1 - noise)) if noise < 1 else 1.0
    return tilt * (noise < 1), tilt[:, None] * (noise < 1) + deviation * rng.standard_normal((POINTS, num))


def _of_points(episodes):
    num = np.full(len(episodes), float(episodes.shape[1]))
    return episodes.mean(1), episodes.std(1, ddof=1) / np.sqrt(num), num


def test_flatness_is_welch_s_test():
    rng = np.random.default_rng(0)
    episodes = rng.standard_normal((5, 8)) * np.arange(1, 6)[:, None] + np.arange(5)[:, None]
    expected = stats.f_oneway(*episodes, equal_var=False)
    np.testing.assert_allclose(welch_anova(*_of_points(episodes)), expected, rtol=1e-10)


def test_a_flat_surface_is_rarely_taken_for_another_and_a_tilted_one_never():
    rng = np.random.default_rng(0)
    flat = [welch_anova(*_of_points(_surface(1, rng)[1])).p for _ in range(REPEATS)]
    assert abs(np.mean(np.array(flat) < 0.05) - 0.05) < 0.015 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)
    assert max(welch_anova(*_of_points(_surface(0.2, rng)[1])).p for _ in range(20)) < 1e-6


def test_the_interval_of_a_difference_is_scipy_s():
    rng = np.random.default_rng(7)
    one, other = 3 + rng.standard_normal(5), 10 * rng.standard_normal(12)
    right = stats.ttest_ind(one, other, equal_var=False)
    found = welch_interval(one, other, 0.9)
    np.testing.assert_allclose(found.value, one.mean() - other.mean())
    np.testing.assert_allclose(found[1:], right.confidence_interval(0.9))


def test_a_difference_of_too_few_values_has_no_interval():
    assert np.isnan(welch_interval(np.zeros(0), np.ones(3), 0.95)).all()
    value, low, high = welch_interval(np.array([2.0]), np.ones(3), 0.95)
    assert value == 1 and np.isnan([low, high]).all()
