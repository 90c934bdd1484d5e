"""Intervals: worked numbers, ranges, and the coverage that a t interval really has."""

import numpy as np
from scipy import stats

from pgprim.core.intervals import jackknife, t_interval

LEVEL = 0.95


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.random.default_rng(1).standard_normal(8)
    left_out = (values.sum() - values) / 7
    _, low, high = jackknife(values.mean(), left_out, LEVEL)
    expected = stats.t.interval(LEVEL, 7, values.mean(), stats.sem(values))
    np.testing.assert_allclose((low, high), expected)
    np.testing.assert_allclose(t_interval(values, LEVEL)[1:], expected)


def test_between_agents_needs_two():
    value, low, high = t_interval(np.array([0.3]), LEVEL)
    assert value == 0.3 and np.isnan(low) and np.isnan(high)
