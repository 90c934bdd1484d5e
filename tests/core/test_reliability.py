"""Reliability of a truth, and cosines corrected by it."""

import numpy as np
import pytest

from pgprim.core.cosines import gram
from pgprim.core.reliability import correct_for_noisy_truth, reliability
from tests.core.gradients import LEVEL, coverage, synthetic_gradients


@pytest.mark.parametrize("cosine", [0.05, 0.2, 0.6])
def test_reliability_is_the_share_of_signal_in_the_mean(cosine):
    streams = 40
    _, draws = synthetic_gradients(cosine, trials=streams, repeats=400)
    truth = 1 / (1 + (1 / cosine - 1) / streams)
    estimates = [reliability(gram(vectors), LEVEL) for vectors in draws]
    assert np.median([value for value, _, _ in estimates]) == pytest.approx(truth, rel=0.02)
    assert coverage(estimates, truth) >= LEVEL - 3 * np.sqrt(LEVEL * (1 - LEVEL) / 400)


def test_correction_for_a_noisy_truth_recovers_the_cosine():
    """Trials against the mean of 20 noisy streams: attenuated as such, right once corrected."""
    signal, trials = synthetic_gradients(0.3, seed=1)
    _, streams = synthetic_gradients(0.1, trials=20, seed=2)
    direction = np.linalg.norm(signal)
    right = (trials @ signal / (np.linalg.norm(trials, axis=-1) * direction)).mean()
    streams = streams - streams.mean((0, 1)) + signal  # the same signal behind both
    raw, corrected = [], []
    for own, other in zip(trials, streams, strict=True):
        truth = other.mean(0)
        cosine = (own @ truth / (np.linalg.norm(own, axis=-1) * np.linalg.norm(truth))).mean()
        raw.append(cosine)
        corrected.append(correct_for_noisy_truth(cosine, reliability(gram(other), LEVEL).value))
    assert np.mean(raw) < 0.9 * right
    assert np.mean(corrected) == pytest.approx(right, rel=0.01)
    assert np.isnan(correct_for_noisy_truth(0.2, -0.1))
