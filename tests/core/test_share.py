"""Shares: scipy's exact intervals, least coverage for every true share, and profiles."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from pgprim.core.share import performance_profile, share

LEVEL = 0.95


@pytest.mark.parametrize(("count", "total"), [(0, 7), (3, 7), (7, 7), (499, 1000)])
def test_the_interval_is_scipys(count, total):
    peer = binomtest(count, total).proportion_ci(LEVEL, method="exact")
    np.testing.assert_allclose(share(count, total, LEVEL), [count / total, peer.low, peer.high], atol=1e-12)


def test_of_no_cases_nothing_is_known():
    value, low, high = share(0, 0, LEVEL)
    assert np.isnan(value) and (low, high) == (0, 1)


@pytest.mark.parametrize("total", [1, 3, 10, 50])
def test_coverage_is_at_least_nominal_whatever_the_share(total):
    ends = np.array([share(count, total, LEVEL)[1:] for count in range(total + 1)])
    for true in np.linspace(0.01, 0.99, 99):
        covered = (ends[:, 0] <= true) & (true <= ends[:, 1])
        assert binom.pmf(np.arange(total + 1), total, true)[covered].sum() >= LEVEL


def test_a_profile_falls_from_one_to_zero():
    scores = np.array([3.0, 1.0, 2.0, np.nan])
    profile = performance_profile(scores, np.array([0.0, 1.0, 2.5, 3.0]), LEVEL)
    np.testing.assert_array_equal(profile[:, 0], [0.75, 0.5, 0.25, 0.0])
    assert (np.diff(profile, axis=0) <= 0).all() and profile.min() >= 0 and profile.max() <= 1


def test_profiles_over_tasks_err_on_the_safe_side():
    """Ten runs of each of three tasks of very different success."""
    rng, shares = np.random.default_rng(0), np.repeat([0.1, 0.5, 0.95], 10)
    profiles = [
        performance_profile((rng.random(30) < shares) * 1.0, np.array([0.5]), LEVEL)[0] for _ in range(1000)
    ]
    covered = np.mean([low <= shares.mean() <= high for _, low, high in profiles])
    assert covered > LEVEL
