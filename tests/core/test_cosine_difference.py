"""Differences of mean pairwise cosines: worked numbers, what pairing is for, and coverage."""

import numpy as np
import pytest

from pgprim.core.cosines import cosines, gram
from pgprim.core.pairwise_cosine import cosine_difference, pairwise_cosine

DIM = 300


def _kinds(rng, trials, noise, signal):
    """Two kinds of estimates from the same streams: a common signal, a stream's own noise, and some of each kind's own."""
    shared = noise * rng.standard_normal((trials, DIM))
    return [signal + shared + share * rng.standard_normal((trials, DIM)) for share in (0.5, 1.5)]


def _matrices(kinds):
    return [cosines(gram(vectors)) for vectors in kinds]


def test_worked_numbers():
    one, other = np.ones((3, 3)), np.eye(3)
    other[0, 1] = other[1, 0] = 0.5
    other[0, 2] = other[2, 0] = 0.2
    value, low, high = cosine_difference(one, other, 0.95)
    assert value == pytest.approx(1 - 0.7 / 3)
    # Without trial 0, 1 and 2 the differences are 1, 0.8 and 0.5; t(2) has 0.975 of its mass below 4.3027.
    left_out = np.array([1.0, 0.8, 0.5])
    half = 4.302652729 * np.sqrt(2 / 3 * np.square(left_out - left_out.mean()).sum())
    assert value + half > 2  # no difference of cosines is larger
    assert (low, high) == pytest.approx((value - half, 2))


def test_a_kind_does_not_differ_from_itself():
    matrix = _matrices(_kinds(np.random.default_rng(0), 6, 1.0, 0.3))[0]
    assert cosine_difference(matrix, matrix, 0.95) == (0.0, 0.0, 0.0)


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(1)
    one, other = _matrices(_kinds(rng, 10, 3.0, rng.standard_normal(DIM)))
    _, low, high = cosine_difference(one, other, 0.95)
    apart = [pairwise_cosine(matrix, 0.95) for matrix in (one, other)]
    assert high - low < 0.7 * np.hypot(*(interval.high - interval.low for interval in apart))


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_the_interval_covers_the_true_difference_as_often_as_it_says(noise):
    """The truth is the same statistic of very many trials."""
    rng = np.random.default_rng(2)
    signal = rng.standard_normal(DIM)
    one, other = _matrices(_kinds(rng, 1500, noise, signal))
    truth = cosine_difference(one, other, 0.95).value
    covered = 0
    for _ in range(400):
        _, low, high = cosine_difference(*_matrices(_kinds(rng, 10, noise, signal)), 0.95)
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.995  # where there is little signal the jackknife is on the safe side
