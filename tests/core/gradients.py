"""Synthetic gradients whose agreement is chosen, and how often intervals cover."""

import numpy as np

from pgprim.core.cosines import cosines, gram

LEVEL = 0.95
REPEATS = 1000
TRIALS = 10
DIM = 300
THREE_ERRORS = 3 * np.sqrt(LEVEL * (1 - LEVEL) / REPEATS)


def synthetic_gradients(cosine, *, repeats=REPEATS, trials=TRIALS, decay=0.0, seed=0):
    """Trials whose pairwise cosine is about `cosine`: a signal of norm 1 and noise of trace 1/cosine − 1.

    `decay` makes the noise's eigenvalues fall as k^(−decay). Without signal the noise has trace 1.
    """
    rng = np.random.default_rng([seed, int(1000 * cosine), trials])
    spectrum = np.arange(1, DIM + 1.0) ** -decay
    spectrum /= spectrum.sum()
    signal = rng.standard_normal(DIM) * np.sqrt(spectrum)
    signal *= (cosine > 0) / np.linalg.norm(signal)
    trace = 1 / cosine - 1 if cosine > 0 else 1.0
    return signal, signal + rng.standard_normal((repeats, trials, DIM)) * np.sqrt(spectrum * trace)


def expected_mean_cosine(draws):
    """The expectation of the mean pairwise cosine, from all pairs of all repeats at once."""
    unit = (draws / np.linalg.norm(draws, axis=-1, keepdims=True)).reshape(-1, DIM)
    total = unit.sum(0)
    return (total @ total - len(unit)) / (len(unit) * (len(unit) - 1))


def coverage(intervals, target):
    return np.mean([low <= target <= high for _, low, high in intervals])


def all_cosines(draws):
    return [cosines(gram(trials)) for trials in draws]
