"""Intervals: worked numbers, ranges, and the coverage that a t interval really has."""

import numpy as np
import pytest
from scipy import stats

from pgprim.core.intervals import (
    Interval,
    clip,
    jackknife,
    jackknife_cosine,
    jackknife_positive,
    t_interval,
)

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


def test_no_values_have_no_mean():
    assert np.isnan(t_interval(np.array([]), LEVEL)).all()


@pytest.mark.parametrize(
    ("kind", "reached"),
    [("normal", 0.95), ("t3", 0.965), ("exponential", 0.89), ("bad", 0.965), ("failures", 0.84)],
)
def test_t_intervals_of_five_values_cover_as_often_as_documented(kind, reached):
    """Symmetric tails are on the safe side, skew ones are not: a tenth of the runs that fail is rarely seen in five."""
    rng, shape = np.random.default_rng(0), (4000, 5)
    values = {
        "normal": lambda: rng.standard_normal(shape),
        "t3": lambda: rng.standard_t(3, shape),
        "exponential": lambda: rng.exponential(size=shape) - 1,
        "bad": lambda: rng.standard_normal(shape) * np.where(rng.random(shape) < 0.1, 10, 1),
        "failures": lambda: np.where(rng.random(shape) < 0.1, -7.2, 0.8 + rng.standard_normal(shape)),
    }[kind]()
    covered = np.mean([low <= 0 <= high for _, low, high in (t_interval(row, LEVEL) for row in values)])
    assert covered == pytest.approx(reached, abs=0.015)


def test_intervals_are_on_the_scale_that_has_no_ends():
    """To first order in the spread all scales agree; far from it, only those without ends stay in range."""
    left_out = 0.5 + 1e-6 * np.arange(-3.0, 4)
    plain = jackknife(0.5, left_out, LEVEL)
    np.testing.assert_allclose(jackknife_cosine(0.5, left_out, LEVEL), plain, atol=1e-9)
    np.testing.assert_allclose(jackknife_positive(0.5, left_out, LEVEL), plain, atol=1e-9)
    wide = np.array([0.9, 0.2, 0.9, 0.9])
    assert jackknife(0.8, wide, LEVEL).high > 1 and jackknife(0.8, wide, LEVEL).low < 0
    assert -1 < jackknife_cosine(0.8, wide, LEVEL).low < 0.8 < jackknife_cosine(0.8, wide, LEVEL).high < 1
    assert 0 < jackknife_positive(0.8, wide, LEVEL).low < 0.8
    assert np.isnan(jackknife_positive(0.8, wide - 0.3, LEVEL)[1:]).all()


def test_clipping_keeps_unknown_ends():
    assert clip(Interval(0.5, -0.5, 1.5), 0, 1) == (0.5, 0.0, 1.0)
    assert np.isnan(clip(Interval(0.5, np.nan, 1.5), 0, 1).low)
