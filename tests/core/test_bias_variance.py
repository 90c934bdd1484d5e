"""Bias and variance against estimates whose bias, noise and signal are chosen."""

import numpy as np
import pytest

from pgprim.core.bias_variance import bias_variance, noise_ratio, signal_to_noise

DIM, STREAMS = 100, 12
RNG = np.random.default_rng(0)
SIGNAL = RNG.standard_normal(DIM)
SIGNAL *= 3 / np.linalg.norm(SIGNAL)
BIAS = RNG.standard_normal(DIM)
BIAS *= 2 / np.linalg.norm(BIAS)
NOISE = np.array([1.0, 0.6])
"""Deviations per coordinate of an unbiased kind and of a biased one: tr Σ = 100 and 36."""


def _kinds(rng, streams=STREAMS):
    shared = rng.standard_normal((streams, DIM))
    return np.stack([SIGNAL + shared, SIGNAL + BIAS + NOISE[1] * shared])


def test_an_unbiased_kind_has_no_bias_and_its_own_variance():
    ours = bias_variance(_kinds(np.random.default_rng(1)), 0, 0.95)
    assert ours["bias"][0] == (0.0, 0.0, 0.0)
    assert ours["variance"][0] == (1.0, 1.0, 1.0)


def test_each_number_is_unbiased_and_covered_as_often_as_it_says():
    truth = {
        "bias": 4 / DIM,
        "variance": 0.36,
        "error": 0.36 + 4 / DIM,
        "alignment": SIGNAL @ (SIGNAL + BIAS) / (3 * np.sqrt(np.square(SIGNAL + BIAS).sum() + 0.36 * DIM)),
    }
    rng = np.random.default_rng(2)
    values, covered = {name: [] for name in truth}, dict.fromkeys(truth, 0)
    repeats = 60
    for _ in range(repeats):
        ours = bias_variance(_kinds(rng), 0, 0.95)
        for name, expected in truth.items():
            value, low, high = ours[name][1]
            values[name].append(value)
            covered[name] += low <= expected <= high
    for name, expected in truth.items():
        mean, error = np.mean(values[name]), np.std(values[name]) / repeats**0.5
        assert abs(mean - expected) < 4 * error + 0.02 * expected, name
        assert covered[name] / repeats >= 0.88, name


def test_signal_to_noise_and_ratio_of_noises():
    kinds = _kinds(np.random.default_rng(3), 300)
    value, low, high = signal_to_noise(kinds[0], 0.99)
    assert low < 9 / DIM < high
    assert noise_ratio(kinds[1], kinds[0], 0.95).value == pytest.approx(0.36, rel=0.02)
    assert value == pytest.approx(9 / DIM, rel=0.1)


def test_estimates_that_never_vary_have_no_ratio():
    """Returns that are all alike make estimates that are all alike, and nothing can be said relative to them."""
    rng = np.random.default_rng(2)
    assert np.isnan(noise_ratio(rng.standard_normal((6, 5)), np.zeros((6, 5)), 0.95)).all()
