"""Means over kinds of agents: worked numbers, the case of one kind, and coverage."""

import numpy as np
import pytest
from scipy import stats

from pgprim.core.intervals import t_interval
from pgprim.core.stratified import stratified_mean


def test_one_kind_of_agents_has_the_t_interval_over_them():
    values = np.array([1.0, 4.0, 2.0, 7.0])
    np.testing.assert_allclose(stratified_mean([values], 0.9), t_interval(values, 0.9))


def test_two_kinds_agree_with_welchs_interval_for_a_difference():
    a, b = np.array([1.0, 4.0, 2.0]), np.array([10.0, 30.0, 11.0, 12.0])
    ours = stratified_mean([a, -b], 0.95)
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(ours, np.array([a.mean() - b.mean(), welch.low, welch.high]) / 2)


def test_every_kind_counts_alike_however_many_agents_it_has():
    assert stratified_mean([np.array([0.0, 0.0]), np.full(9, 1.0)], 0.95).value == 0.5


def test_agents_without_a_value_are_left_out_and_a_lone_one_leaves_the_ends_open():
    value, low, high = stratified_mean(
        [np.array([1.0, np.nan]), np.array([3.0, 5.0]), np.array([np.nan])], 0.95
    )
    assert value == 2.5
    assert np.isnan(low) and np.isnan(high)


@pytest.mark.parametrize("spread", [(1.0, 1.0, 1.0), (1.0, 3.0, 0.3), (1.0, 0.0, 0.0)])
def test_the_interval_covers_the_mean_of_the_kinds_as_often_as_it_says(spread):
    rng, truth = np.random.default_rng(0), np.array([0.0, 5.0, -2.0])
    covered = 0
    for _ in range(2000):
        strata = [mean + scale * rng.standard_normal(3) for mean, scale in zip(truth, spread, strict=True)]
        _, low, high = stratified_mean(strata, 0.95)
        covered += low <= truth.mean() <= high
    assert 0.935 <= covered / 2000 <= 0.985  # Welch's degrees of freedom err on the safe side
