"""Intervals at each place of an array, against scipy's and against the statistic at each place by itself."""

import numpy as np
from scipy import stats

from pgprim.core.correlation import spearman
from pgprim.core.interval_arrays import intervals_over, mean_intervals

LEVEL = 0.9


def test_mean_intervals_are_scipys_of_the_finite_values_of_each_row():
    rows = np.random.default_rng(0).normal(3.0, 2.0, (2, 3, 6))
    rows[0, 1, 2], rows[1, 2, 4:] = np.nan, np.inf
    value, low, high = mean_intervals(rows, LEVEL)
    for place in np.ndindex(2, 3):
        row = rows[place][np.isfinite(rows[place])]
        ends = stats.t.interval(LEVEL, len(row) - 1, row.mean(), stats.sem(row))
        np.testing.assert_allclose([value[place], low[place], high[place]], [row.mean(), *ends])


def test_one_value_has_a_mean_without_ends_and_none_has_neither():
    value, low, high = mean_intervals(np.array([[np.nan, 4.0], [np.nan, np.nan]]), LEVEL)
    np.testing.assert_array_equal(value, [4, np.nan])
    assert np.isnan([low, high]).all()


def test_a_statistic_of_two_axes_stands_at_each_place_of_the_others():
    pairs = np.random.default_rng(1).normal(size=(2, 4, 2, 8))
    correlations = intervals_over(pairs, lambda both: spearman(*both, LEVEL), axes=2)
    for place in np.ndindex(2, 4):
        assert tuple(end[place] for end in correlations) == spearman(*pairs[place], LEVEL)
        np.testing.assert_allclose(correlations.value[place], stats.spearmanr(*pairs[place]).statistic)
