"""Noise of surfaces: known shares of it, and coverage of intervals."""

import numpy as np
import pytest

from pgprim.core.surface_noise import noise_share, noise_variance

LEVEL = 0.95
POINTS = 49
REPEATS = 600
THREE_ERRORS = 3 * np.sqrt(LEVEL * (1 - LEVEL) / REPEATS)


def _surface(noise, rng, num=10, signal=1.0):
    """Rewards of episodes, `[point, episode]`: a tilted plane whose mean of `num` episodes has this share of noise."""
    tilt = np.linspace(-1, 1, POINTS)
    tilt *= signal / tilt.std(ddof=1)
    deviation = np.sqrt(num * noise / (1 - noise)) if noise < 1 else 1.0
    return tilt * (noise < 1), tilt[:, None] * (noise < 1) + deviation * rng.standard_normal((POINTS, num))


def _halves(episodes):
    return np.stack([episodes[:, 0::2].mean(1), episodes[:, 1::2].mean(1)], 1)


@pytest.mark.parametrize("noise", [0.05, 0.5, 0.9])
def test_the_share_of_noise_is_the_known_one_and_its_interval_covers_it(noise):
    rng = np.random.default_rng(int(100 * noise))
    ours = np.array([noise_share(_halves(_surface(noise, rng)[1]), LEVEL) for _ in range(REPEATS)])
    assert abs(ours[:, 0].mean() / noise - 1) < 0.06
    covered = np.mean((ours[:, 1] <= noise) & (noise <= ours[:, 2]))
    assert covered > LEVEL - 0.03 - THREE_ERRORS


def test_a_surface_of_noise_alone_has_a_share_of_one():
    rng = np.random.default_rng(0)
    ours = np.array([noise_share(_halves(_surface(1, rng)[1]), LEVEL) for _ in range(REPEATS)])
    assert abs(np.median(ours[:, 0]) - 1) < 0.05
    assert np.mean((ours[:, 1] <= 1) & (ours[:, 2] >= 1)) > LEVEL - 0.03 - THREE_ERRORS


def test_what_all_points_share_is_no_noise_of_the_surface():
    """With common random numbers the whole surface moves: nothing that tells its points apart."""
    rng = np.random.default_rng(0)
    halves = _halves(_surface(0.5, rng)[1])
    moved = halves + np.array([3.0, -8.0])
    np.testing.assert_allclose(noise_share(moved, LEVEL), noise_share(halves, LEVEL))
    np.testing.assert_allclose(noise_variance(moved, LEVEL), noise_variance(halves, LEVEL))


def test_points_that_were_not_measured_do_not_count():
    rng = np.random.default_rng(0)
    halves = _halves(_surface(0.5, rng)[1])
    with_holes = np.insert(halves, 3, [np.nan, 1.0], axis=0)
    assert noise_share(with_holes, LEVEL) == noise_share(halves, LEVEL)
    assert np.isnan(noise_share(halves[:3], LEVEL)).all()
    assert np.isnan(noise_share(np.ones((9, 2)), LEVEL)).all()
