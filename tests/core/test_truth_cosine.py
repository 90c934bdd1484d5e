"""Cosines to a fixed truth: coverage, and the check that c² ≤ ρ."""

import numpy as np
import pytest

from pgprim.core.cosines import cosines, gram
from pgprim.core.truth_cosine import cosine_excess, truth_cosine
from tests.core.gradients import DIM, LEVEL, THREE_ERRORS, all_cosines, coverage, synthetic_gradients


@pytest.mark.parametrize("cosine", [0.0, 0.05, 0.3, 0.9])
def test_cosine_to_a_fixed_vector_covers_95_percent(cosine):
    signal, draws = synthetic_gradients(cosine)
    truth = signal if cosine > 0 else np.eye(DIM)[0]
    to_truth = draws @ truth / (np.linalg.norm(draws, axis=-1) * np.linalg.norm(truth))
    covered = coverage([truth_cosine(values, LEVEL) for values in to_truth], to_truth.mean())
    assert abs(covered - LEVEL) <= THREE_ERRORS


@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.9])
def test_squared_cosine_to_truth_does_not_exceed_the_pairwise_cosine(cosine):
    """ρ − c² is 0 for the true direction, so that the interval rejects it in one tail only: 2.5 % of the time."""
    signal, draws = synthetic_gradients(cosine)
    truth = signal if cosine > 0 else np.eye(DIM)[0]
    to_truth = draws @ truth / (np.linalg.norm(draws, axis=-1) * np.linalg.norm(truth))
    checks = [cosine_excess(m, c, LEVEL) for m, c in zip(all_cosines(draws), to_truth, strict=True)]
    assert np.mean([high < 0 for _, _, high in checks]) <= 0.025 + THREE_ERRORS


def test_a_direction_that_is_not_the_gradients_leaves_an_excess():
    signal, draws = synthetic_gradients(0.5)
    rotated = signal + np.linalg.norm(signal) * np.eye(DIM)[0]
    to_truth = draws @ rotated / (np.linalg.norm(draws, axis=-1) * np.linalg.norm(rotated))
    checks = [cosine_excess(m, c, LEVEL) for m, c in zip(all_cosines(draws), to_truth, strict=True)]
    assert np.mean([low > 0 for _, low, _ in checks]) > 0.9


def test_a_truth_that_shares_samples_with_the_trials_is_caught():
    _, draws = synthetic_gradients(0.02, repeats=100)
    caught = []
    for trials in draws:
        truth = trials.mean(0)
        to_truth = trials @ truth / (np.linalg.norm(trials, axis=1) * np.linalg.norm(truth))
        caught.append(cosine_excess(cosines(gram(trials)), to_truth, LEVEL).high < 0)
    assert np.mean(caught) > 0.9
