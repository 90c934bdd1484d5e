"""Smoothing: scipy's densities, the limits of no and of all noise, what it gains, and how often its errors cover."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pgprim.core.smoothing import matern, moderated_se, posterior, smooth

PLANE = np.stack(np.meshgrid(np.linspace(0, 3, 7), np.linspace(0, 3, 7), indexing="ij"), -1).reshape(-1, 2)


def _surface(points):
    """Falls off along the second axis, a bump along the first."""
    return 300 * np.exp(-np.square(points[:, 1] / 1.5)) + 60 * np.sin(points[:, 0])


LENGTH, DEVIATIONS, WIDE = np.array([1.0, 2.0]), np.array([0.0, 0.5, 3.0]), 1e2
"""Fixed choices; a prior of deviation 100 for m stands for the flat one."""


def _joint(points, deviation):
    return deviation**2 * matern(points, points, LENGTH) + WIDE**2


def test_the_marginal_likelihood_is_scipys():
    rng = np.random.default_rng(0)
    se, values = rng.uniform(0.5, 2, 49), rng.standard_normal(49)
    ours = posterior(PLANE, values, se, LENGTH, DEVIATIONS, PLANE).log_likelihood
    right = [
        multivariate_normal.logpdf(values, cov=_joint(PLANE, s) + np.diag(se**2), allow_singular=True)
        for s in DEVIATIONS
    ]
    np.testing.assert_allclose(np.diff(ours), np.diff(right), rtol=1e-4)


def test_the_posterior_is_the_conditional_normal():
    rng = np.random.default_rng(1)
    se, values, some = rng.uniform(0.5, 2, 49), 2 * rng.standard_normal(49), np.arange(49) % 5 > 0
    ours = posterior(PLANE[some], values[some], se[some], LENGTH, DEVIATIONS, PLANE)
    for s, mean, variance in zip(DEVIATIONS, ours.mean, ours.variance, strict=True):
        joint = _joint(PLANE, s)
        gain = joint[:, some] @ np.linalg.inv(joint[np.ix_(some, some)] + np.diag(se[some] ** 2))
        np.testing.assert_allclose(mean, gain @ values[some], atol=1e-4)
        np.testing.assert_allclose(variance, np.diag(joint - gain @ joint[some]), rtol=1e-3)


def test_points_without_a_value_are_predicted():
    values, se = _surface(PLANE), np.full(49, 1.0)
    values[24] = np.nan
    result = smooth(PLANE, values, se)
    assert abs(result.mean[24] - _surface(PLANE)[24]) < 3 * result.se[24] < 60


def test_a_surface_without_noise_is_left_as_it_is():
    result = smooth(PLANE, _surface(PLANE), np.zeros(49))
    np.testing.assert_allclose(result.mean, _surface(PLANE), atol=0.01)


def test_noise_alone_becomes_nearly_flat():
    rng = np.random.default_rng(2)
    gains = []
    for _ in range(20):
        values = 5 + rng.standard_normal(49)
        gains.append(np.std(smooth(PLANE, values, np.ones(49)).mean) / values.std())
    assert np.median(gains) < 0.3


def test_scale_and_units_do_not_matter():
    rng = np.random.default_rng(3)
    values, se = _surface(PLANE) + 30 * rng.standard_normal(49), np.full(49, 30.0)
    one, other = smooth(PLANE, values, se), smooth(100 * PLANE, 7 + 1e-3 * values, 1e-3 * se)
    np.testing.assert_allclose(other.mean, 7 + 1e-3 * one.mean, rtol=1e-6)
    np.testing.assert_allclose(other.length_scale, 100 * one.length_scale, rtol=1e-6)


def test_equal_values_and_single_ones_are_flat():
    assert (smooth(PLANE, np.full(49, 2.0), np.ones(49)).mean == 2).all()
    result = smooth(PLANE, np.where(np.arange(49) == 3, 1.0, np.nan), np.ones(49))
    assert (result.mean == 1).all() and (result.se == 1).all()
    assert np.isnan(smooth(PLANE, np.full(49, np.nan), np.ones(49)).mean).all()


def test_smoothing_cuts_the_error_and_its_deviations_cover():
    rng = np.random.default_rng(4)
    ratios, inside = [], []
    for _ in range(40):
        num = rng.integers(3, 9, 49)
        episodes = [_surface(PLANE[k : k + 1]) + 120 * rng.standard_normal(n) for k, n in enumerate(num)]
        values = np.array([some.mean() for some in episodes])
        se = moderated_se(np.array([some.std(ddof=1) for some in episodes]) / np.sqrt(num), num.astype(float))
        result, truth = smooth(PLANE, values, se), _surface(PLANE)
        ratios.append(np.square(result.mean - truth).mean() / np.square(values - truth).mean())
        inside.append(np.mean(np.abs(result.mean - truth) < 1.96 * result.se))
    assert np.mean(ratios) < 0.4
    assert 0.9 < np.mean(inside) < 0.98


def test_moderated_errors_of_few_values_are_drawn_to_the_typical_one():
    """Two values that are equal by chance, and points of many values that are hardly moved."""
    num = np.array([2.0, 2.0, 1000.0, 1.0, 0.0])
    se = np.array([0.0, 5.0, 1.0, np.nan, np.nan])
    typical = (0 + 25 * 2 + 999 * 1000) / (1 + 1 + 999)
    right = np.sqrt(
        np.array(
            [4 * typical / 5 / 2, (4 * typical + 50) / 5 / 2, (4 * typical + 999_000) / 1003 / 1000, typical]
        )
    )
    np.testing.assert_allclose(moderated_se(se, num), [*right, np.nan])


@pytest.mark.parametrize("num", [2.0, 3.0, 6.0])
def test_moderated_errors_cover_where_plain_ones_do_not(num):
    """Normal ±2 se: the plain errors of two values cover .70, of six .90; moderated ones .93 and more."""
    rng = np.random.default_rng(5)
    episodes = rng.standard_normal((200, 49, int(num)))
    plain = episodes.std(2, ddof=1) / np.sqrt(num)
    moderated = np.stack([moderated_se(row, np.full(49, num)) for row in plain])
    covered = [np.mean(np.abs(episodes.mean(2)) < 2 * se) for se in (plain, moderated)]
    assert covered[1] > 0.93 and covered[0] < 0.91
