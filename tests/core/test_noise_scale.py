"""The gradient noise scale: worked numbers, bias, what it predicts, and coverage."""

import numpy as np
import pytest

from pgprim.core.cosines import gram
from pgprim.core.noise_scale import expected_cosine, noise_scale
from tests.core.gradients import LEVEL, THREE_ERRORS, coverage, expected_mean_cosine, synthetic_gradients


def test_signal_and_noise_by_hand():
    products = gram(np.array([[1.0, 1, 0], [1, 0, 1], [1, 0, 0]]))
    assert noise_scale(products, 12, LEVEL).value == pytest.approx(8)


def test_identical_trials_have_no_noise():
    assert noise_scale(gram(np.tile([1.0, 2.0], (5, 1))), 10, LEVEL).value == pytest.approx(0, abs=1e-9)


def test_no_signal_is_an_infinite_noise_scale():
    products = gram(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
    value, low, high = noise_scale(products, 100, LEVEL)
    assert value == np.inf and high == np.inf and low > 0
    assert np.isnan(noise_scale(np.zeros((4, 4)), 100, LEVEL)).all()


def test_noise_scale_predicts_the_cosine():
    """The mean pairwise cosine of N-pair estimates is N/(N + B), the cosine to the truth its root."""
    signal, draws = synthetic_gradients(0.3)
    budget, scale = 200, 200 * (1 / 0.3 - 1)
    expected = expected_cosine(np.array([budget]), scale)[0]
    assert expected == pytest.approx(0.3)
    assert expected_mean_cosine(draws) == pytest.approx(expected, abs=0.01)
    to_truth = (draws @ signal / np.linalg.norm(draws, axis=-1)).mean()
    assert to_truth == pytest.approx(np.sqrt(expected), abs=0.01)


@pytest.mark.parametrize(("cosine", "nominal"), [(0.05, False), (0.2, False), (0.6, True), (0.95, True)])
def test_noise_scale_covers(cosine, nominal):
    _, draws = synthetic_gradients(cosine)
    scale = 64 * (1 / cosine - 1)
    covered = coverage([noise_scale(gram(trials), 64, LEVEL) for trials in draws], scale)
    assert covered >= LEVEL - THREE_ERRORS
    assert covered <= LEVEL + THREE_ERRORS or not nominal
