"""Interquartile means: worked numbers, and the coverage that the bootstrap reaches."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from pgprim.core.interquartile_mean import interquartile_mean

LEVEL, REPEATS = 0.95, 400


def test_the_middle_half_counts():
    rng = np.random.default_rng(0)
    strata = [np.array([100.0, 1.0, 2.0, np.nan]), np.array([3.0, 4.0, -50.0, 0.0, 5.0])]
    value, low, high = interquartile_mean(strata, LEVEL, rng)
    assert value == (1 + 2 + 3 + 4) / 4
    assert -50 <= low < value < high <= 100


def test_a_lone_run_leaves_the_ends_open():
    rng = np.random.default_rng(0)
    value, low, high = interquartile_mean([np.array([2.0]), np.array([3.0, 4.0])], LEVEL, rng)
    assert value == 3 and np.isnan([low, high]).all()
    assert np.isnan(interquartile_mean([np.array([np.nan])], LEVEL, rng)).all()


def test_equal_runs_have_no_spread():
    assert interquartile_mean([np.full(5, 2.0)], LEVEL, np.random.default_rng(0)) == (2.0, 2.0, 2.0)


KINDS = {
    "normal": lambda rng, num: rng.standard_normal(num),
    "heavy": lambda rng, num: rng.standard_t(3, num),
    "skew": lambda rng, num: rng.exponential(size=num),
    "failures": lambda rng, num: np.where(rng.random(num) < 0.1, -8, rng.standard_normal(num)),
}


@pytest.mark.parametrize(
    ("num_strata", "num", "least"),
    [(1, 10, 0.94), (3, 10, 0.935), (1, 24, 0.93), (3, 3, 0.915), (1, 3, 0.62)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_as_often_as_documented(kind, num_strata, num, least):
    """No interval within the scores of three runs of one task can do better: they all lie on one side one time in four."""
    rng = np.random.default_rng([num, num_strata])
    sample = KINDS[kind]
    target = trim_mean(np.stack([sample(rng, num_strata * num) for _ in range(20_000)]), 0.25, axis=1).mean()
    intervals = [
        interquartile_mean([sample(rng, num) for _ in range(num_strata)], LEVEL, rng, 400)
        for _ in range(REPEATS)
    ]
    covered = np.mean([low <= target <= high for _, low, high in intervals])
    assert covered > least - 3 * np.sqrt(least * (1 - least) / REPEATS)
    assert num < 10 or covered < 0.99
