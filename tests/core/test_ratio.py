"""Ratios of means: worked numbers, and coverage where the denominator is noisy."""

import numpy as np
import pytest

from pgprim.core.intervals import t_interval
from pgprim.core.ratio import ratio_of_means

LEVEL = 0.95


def test_the_ends_are_where_the_difference_is_just_told_from_zero():
    rng = np.random.default_rng(0)
    a, b = 3 + 0.5 * rng.standard_normal(8), 2 + 0.3 * rng.standard_normal(8)
    value, low, high = ratio_of_means([a], [b], LEVEL)
    assert value == pytest.approx(a.mean() / b.mean())
    assert t_interval(a - low * b, LEVEL).low == pytest.approx(0, abs=1e-9)
    assert t_interval(a - high * b, LEVEL).high == pytest.approx(0, abs=1e-9)


def test_a_denominator_that_may_be_zero_bounds_nothing():
    value, low, high = ratio_of_means([np.array([1.0, 2.0, 3.0])], [np.array([-1.0, 2.0, 0.1])], LEVEL)
    assert value == pytest.approx(2 / (1.1 / 3)) and (low, high) == (-np.inf, np.inf)


def test_a_ratio_that_cannot_be_negative_is_bounded_from_below_where_the_numerator_is_clear():
    """The lower end is where the difference is just told from zero; beyond it the denominator's noise hides all."""
    a, b = np.array([3.0, 3.2, 2.9, 3.1]), np.array([0.1, -0.3, 0.4, 0.0])
    assert ratio_of_means([a], [b], LEVEL)[1:] == (-np.inf, np.inf)
    _, low, high = ratio_of_means([a], [b], LEVEL, least=0.0)
    assert high == np.inf and low > 0
    # Near the value's degrees of freedom, which are those of all ratios where there is one kind of agents.
    assert t_interval(a - low * b, LEVEL).low == pytest.approx(0, abs=1e-9)
    assert t_interval(a - 2 * low * b, LEVEL).low < 0 < t_interval(a - 0.5 * low * b, LEVEL).low
    noisy = np.array([3.0, -2.0, 1.0, -1.0])
    assert ratio_of_means([noisy], [b], LEVEL, least=0.0)[1:] == (-np.inf, np.inf)


def test_equal_ratios_have_no_spread_and_lone_agents_no_ends():
    b = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(ratio_of_means([2 * b, 2 * b], [b, b], LEVEL), 2.0)
    assert np.isnan(ratio_of_means([b[:1]], [b[:1]], LEVEL)[1:]).all()
    assert np.isnan(ratio_of_means([np.array([np.nan])], [b[:1]], LEVEL)).all()


@pytest.mark.parametrize("least", [-np.inf, 0.0])
@pytest.mark.parametrize("spread", [0.1, 0.5, 1.5])
def test_coverage_holds_however_noisy_the_denominator(spread, least):
    """Two kinds of agents, five of each, whose numerator and denominator share some of their noise."""
    rng, covered = np.random.default_rng(1), []
    for _ in range(1000):
        shared, own, other = spread * rng.standard_normal((3, 2, 5))
        tops, bottoms = (
            np.array([[3.0], [1.0]]) + shared + own,
            np.array([[1.0], [2.0]]) + shared + 0.5 * other,
        )
        _, low, high = ratio_of_means(list(tops), list(bottoms), LEVEL, least)
        covered.append(low <= 4 / 3 <= high)
    assert 0.935 <= np.mean(covered) <= 0.98
