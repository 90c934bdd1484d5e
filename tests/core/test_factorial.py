"""Effects of a design whose effects are known, intervals that cover, and choices that do not flatter themselves."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_ind

from pgprim.core.factorial import best_choice, contrast, contrasts

ON = np.array(list(product([False, True], repeat=4)))


def cell_means(main: dict, pairs: dict, base: float = 100.0) -> np.ndarray:
    """Means of the cells when switching k on adds main[k], and both of a pair together pairs[j, k] more."""
    return np.array(
        [
            base
            + sum(gain for k, gain in main.items() if cell[k])
            + sum(gain for (j, k), gain in pairs.items() if cell[j] and cell[k])
            for cell in ON
        ]
    )


def test_known_effects_are_recovered():
    """An effect averages over the other switches, so half of what a pair adds counts in each; the pair has half of it."""
    means = cell_means({0: 10.0, 2: -4.0}, {(0, 1): 6.0})
    ours = {
        effect: contrast(c, [np.array([mean, mean]) for mean in means], 0.95).value
        for effect, c in contrasts(ON).items()
    }
    right = {(0,): 13.0, (1,): 3.0, (2,): -4.0, (0, 1): 3.0}
    assert len(ours) == 10
    for effect, value in ours.items():
        assert value == pytest.approx(right.get(effect, 0.0), abs=1e-12)


def test_contrasts_are_those_of_a_regression():
    """Least squares on columns of ±1 gives half of each effect."""
    values = np.random.default_rng(0).standard_normal(16)
    effects = contrasts(ON)
    signs = np.where(ON, 1.0, -1.0)
    columns = np.stack([np.ones(16), *(signs[:, list(effect)].prod(1) for effect in effects)], axis=1)
    slopes = np.linalg.lstsq(columns, values, rcond=None)[0][1:]
    for slope, coefficients in zip(slopes, effects.values(), strict=True):
        assert coefficients @ values == pytest.approx(2 * slope)


def test_two_cells_are_welch_s_test():
    rng = np.random.default_rng(1)
    off, on = rng.normal(0, 1, 5), rng.normal(1, 4, 3)
    (coefficients,) = contrasts(np.array([[False], [True]])).values()
    ours = contrast(coefficients, [off, on], 0.9)
    peer = ttest_ind(on, off, equal_var=False).confidence_interval(0.9)
    assert (ours.low, ours.high) == pytest.approx((peer.low, peer.high))


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_intervals_cover(repeats):
    """Cells vary up to ten times more than others; three standard errors of a coverage counted 2000 times are 1.5 %."""
    rng = np.random.default_rng(2)
    means, spread = cell_means({0: 10.0}, {}), np.geomspace(1, 10, 16)
    coefficients = contrasts(ON)[(0,)]
    covered = 0
    for _ in range(2000):
        values = means[:, None] + spread[:, None] * rng.standard_normal((16, repeats))
        ours = contrast(coefficients, list(values), 0.95)
        covered += ours.low <= 10.0 <= ours.high
    assert 0.935 < covered / 2000 < 0.985


def test_few_repeats_have_open_ends_or_no_value():
    coefficients = contrasts(np.array([[False], [True]]))[(0,)]
    one = contrast(coefficients, [np.array([1.0]), np.array([3.0, 5.0])], 0.95)
    assert one.value == 3.0 and np.isnan([one.low, one.high]).all()
    assert np.isnan(contrast(coefficients, [np.array([]), np.array([3.0])], 0.95)).all()


def test_a_design_that_is_not_whole_is_refused():
    with pytest.raises(ValueError, match="15 cells are not the 16 of 4 switches"):
        contrasts(ON[1:])
    with pytest.raises(ValueError, match="16 cells"):
        contrasts(np.repeat(ON[:8], 2, axis=0))


def test_the_best_choice_is_made_by_the_repeats_that_choose():
    values = np.zeros((2, 3, 4))
    values[0, 1, :2] = 5.0  # best where it counts
    values[0, 2, 2:] = 9.0
    values[1, 2, 0] = 1.0
    chooses = np.array([True, True, False, False])
    np.testing.assert_array_equal(best_choice(values, chooses), [1, 2])
    values[0, 1, 0] = np.nan
    np.testing.assert_array_equal(best_choice(values - 1, chooses), [0, 2])


def test_reporting_on_other_repeats_does_not_flatter():
    """Choices that all earn 0: the best one earns more than 0 where it was chosen, and 0 on average elsewhere."""
    rng = np.random.default_rng(3)
    values, chooses = rng.standard_normal((5000, 5, 4)), np.array([True, True, False, False])
    best = best_choice(values, chooses)
    chosen = values[np.arange(5000), best]
    assert chosen[:, chooses].mean() > 0.7
    assert abs(chosen[:, ~chooses].mean()) < 3 / np.sqrt(10_000)
