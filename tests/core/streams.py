"""Synthetic pools of streams: sums as gradient estimates need them, with a signal and noise that are chosen."""

import numpy as np

from pgprim.core.pool import Batches

DIM = 60
LENGTH, PREFIX = 1000.0, 125.0
"""Pairs of a stream, and of the prefix that is the trial."""

KINDS = {"normal": 1.0, "heavy": 3.0, "bad": 0.9 + 0.1 * 100}
"""Kinds of streams, and the expected square of what multiplies a stream's noise.

`heavy` streams are Student's t with three degrees of freedom; of `bad` ones every tenth is ten times as noisy.
"""

MEAN_ADV = 0.5


def draw(rng, kind, num_streams, signal_to_noise):
    """Batches and sums [Σ s·A, Σ s] of prefixes and whole streams; E x of a whole stream is the first unit vector.

    `signal_to_noise` is |E x|² / E|x − E x|² of a whole normal stream. Advantages are 0.5 on average, so that what they
    are centred by matters: without it Σ s would drown the signal.
    """
    scale = {
        "normal": lambda: np.ones(num_streams),
        "heavy": lambda: 1 / np.sqrt(rng.chisquare(3, num_streams) / 3),
        "bad": lambda: np.where(rng.random(num_streams) < 0.1, 10.0, 1.0),
    }[kind]()
    parts = np.array([PREFIX, LENGTH - PREFIX]) / LENGTH
    deviation = np.sqrt(parts / (signal_to_noise * DIM))[:, None, None] * scale[:, None]
    centred = parts[:, None, None] * np.eye(DIM)[0] + deviation * rng.standard_normal((2, num_streams, DIM))
    score = np.sqrt(parts)[:, None, None] * rng.standard_normal((2, num_streams, DIM))
    num_pairs = np.full((2, num_streams), LENGTH) * parts[:, None]
    adv = num_pairs * MEAN_ADV + 0.1 * np.sqrt(num_pairs) * rng.standard_normal(num_pairs.shape)
    sums = np.stack([centred + MEAN_ADV * score, score], axis=2).cumsum(0)
    num_pairs, adv = num_pairs.cumsum(0), adv.cumsum(0)
    prefix, whole = (Batches(n, a, n * (1 + MEAN_ADV**2)) for n, a in zip(num_pairs, adv, strict=True))
    return prefix, whole, sums[0], sums[1]


def directions(sums):
    """Unit vectors of the centred sums."""
    vectors = sums[:, 0] - MEAN_ADV * sums[:, 1]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
