"""Running statistics: against numpy's on all values at once, and the vectorised pass against one step after the other."""

import numpy as np
import pytest

from pgprim.rl.normalise import (
    Normaliser,
    RunningNormaliser,
    bounded,
    make_moments,
    normalise_obs,
    normalise_rew_running,
    push,
    rew_scale,
    std,
)
from pgprim.types.checkpoint import Moments
from tests.rl.examples import settings


def pushed(values: np.ndarray) -> Moments:
    """Moments after all of `values` [t, agent, dim]."""
    moments = make_moments(*values.shape[1:])
    for value in values:
        moments = push(moments, value[:, None])
    return moments


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_push_is_numpys_mean_and_variance(offset):
    """Also where the mean is a million deviations away, which a sum of squares would not survive."""
    values = offset + np.random.default_rng(0).standard_normal((500, 2, 3)) * [0.1, 1.0, 30.0]
    moments = pushed(values)
    assert moments.count == 500
    np.testing.assert_allclose(moments.mean, values.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.m2, 500 * values.var(0), rtol=1e-7)
    np.testing.assert_allclose(std(moments), values.std(0, ddof=1), rtol=1e-7)


def test_push_leaves_the_old_moments():
    before = pushed(np.ones((3, 1, 2)))
    push(before, np.full((1, 1, 2), 5.0))
    assert before.count == 3 and (before.mean == 1).all() and not before.m2.any()


def test_nothing_seen_or_nothing_varied_means_division_by_one():
    """A coordinate that has varied by rounding alone is only centred, and its neighbour is not touched by that."""
    assert (std(make_moments(2, 3)) == 1).all()
    assert (std(pushed(np.full((1, 1, 2), 7.0))) == 1).all()
    values = np.random.default_rng(1).standard_normal((50, 1, 3)) * [0, 4e-16, 1e-12] + 4
    scale = std(pushed(values))[0]
    assert (scale[:2] == 1).all() and scale[2] == pytest.approx(values[:, 0, 2].std(ddof=1), rel=1e-2)


@pytest.mark.parametrize("unit", [1e-5, 1.0, 1e7])
@pytest.mark.parametrize("is_running", [True, False])
def test_the_policy_sees_the_same_whatever_the_unit(unit, is_running):
    """Observations in units of 1e-5, too, have deviation 1, in training and frozen alike."""
    values = np.random.default_rng(6).standard_normal((300, 1, 2))
    seen = [look(values * scale, is_running) for scale in (unit, 1.0)]
    np.testing.assert_allclose(*seen, rtol=2e-5, atol=2e-5)
    assert abs(seen[0][100:].std() - 1) < 0.1


@pytest.mark.parametrize("is_running", [True, False])
def test_a_large_offset_costs_no_digits(is_running):
    """1e7 ± 1 in single precision has no digit behind the point: so it is centred before it is cast."""
    values = np.random.default_rng(7).standard_normal((300, 1, 2))
    offset, plain = look(1e7 + values, is_running), look(values, is_running)
    np.testing.assert_allclose(offset[50:], plain[50:], atol=1e-6)
    assert len(np.unique(offset[:, 0])) > 290


def look(values: np.ndarray, is_running: bool) -> np.ndarray:
    """Observations one after the other as the policy sees them, after all have been seen or along the way."""
    if not is_running:
        normaliser = Normaliser.of(pushed(values), settings(obs_clip=None))
        return np.concatenate([normaliser(raw) for raw in values])
    normaliser, rows = RunningNormaliser(make_moments(1, 2), settings(obs_clip=None)), []
    for raw in values:
        normaliser.push(raw)
        rows.append(normaliser(raw))
    return np.concatenate(rows)


def test_observations_by_hand():
    obs, mean, scale = np.array([[1.0, 7.0, -50.0]]), np.array([0.0, 1.0, 0.0]), np.array([1.0, 2.0, 2.0])
    np.testing.assert_array_equal(normalise_obs(obs, mean, scale, None), [[1, 3, -25]])
    np.testing.assert_array_equal(normalise_obs(obs, mean, scale, 2.5), [[1, 2.5, -2.5]])
    np.testing.assert_array_equal(obs, [[1, 7, -50]])


def test_normalised_observations_have_mean_0_and_deviation_1():
    values = 5 + 3 * np.random.default_rng(2).standard_normal((400, 2, 4))
    moments = pushed(values)
    found = normalise_obs(values, moments.mean, std(moments), None).astype(float)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-7)
    np.testing.assert_allclose(found.std(0, ddof=1), 1, rtol=1e-6)


@pytest.mark.parametrize("rew_norm", [True, False])
@pytest.mark.parametrize("rew_clip", [None, 0.6])
def test_frozen_rewards_by_hand(rew_norm, rew_clip):
    moments = Moments(5, np.array([[9.0], [9.0]]), np.array([[16.0], [64.0]]))  # deviations 2 and 4
    chosen = settings(rew_norm=rew_norm, rew_clip=rew_clip)
    found = bounded(np.array([1.0, -2.0, 0.0]) / rew_scale(moments, chosen)[1], chosen)
    right = np.array([1.0, -2.0, 0.0]) / (4 if rew_norm else 1)
    np.testing.assert_array_equal(found, right if rew_clip is None else right.clip(-0.6, 0.6))


def step_by_step(rew, ended, moments, chosen):
    """The released code's filter as a plain loop: push the discounted sum, divide by the deviation so far, clip."""
    scaled = np.zeros_like(rew)
    running = np.zeros((len(rew), 1))
    for t in range(rew.shape[1]):
        running = chosen.gamma * running + rew[:, t, None]
        moments = push(moments, running[:, None])
        scaled[:, t] = rew[:, t] / std(moments)[:, 0]
        running[ended[:, t]] = 0
    return scaled if chosen.rew_clip is None else scaled.clip(-chosen.rew_clip, chosen.rew_clip), moments


@pytest.mark.parametrize("rew_clip", [None, 0.1])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_running_rewards_equal_a_loop_over_steps(offset, rew_clip):
    """Over several iterations, from nothing seen, with episodes that end."""
    chosen = settings(rew_norm=True, rew_clip=rew_clip)
    rng = np.random.default_rng(3)
    found = right = make_moments(3, 1)
    for _ in range(4):
        rew, ended = offset + rng.standard_normal((3, 200)), rng.random((3, 200)) < 0.05
        scaled, found = normalise_rew_running(rew, ended, found, chosen)
        expected, right = step_by_step(rew, ended, right, chosen)
        np.testing.assert_allclose(scaled, expected, rtol=1e-10, atol=1e-12)
        assert found.count == right.count
        np.testing.assert_allclose(found.mean, right.mean, rtol=1e-10)
        np.testing.assert_allclose(found.m2, right.m2, rtol=1e-10)
    if rew_clip:
        assert 0 < (np.abs(scaled) == rew_clip).mean() < 1


def test_running_rewards_by_hand():
    """γ = ½ and an end after the second step: the sums are 2, 4 and 6, their deviations so far none, √2 and 2."""
    rew, ended = np.array([[2.0, 3.0, 6.0]]), np.array([[False, True, False]])
    chosen = settings(rew_norm=True, rew_clip=None, gamma=0.5)
    scaled, moments = normalise_rew_running(rew, ended, make_moments(1, 1), chosen)
    np.testing.assert_allclose(scaled, [[2, 3 / 2**0.5, 6 / 2]])
    assert (
        moments.count == 3
        and moments.mean.item() == pytest.approx(4)
        and moments.m2.item() == pytest.approx(8)
    )


@pytest.mark.parametrize("rew", [3.0, 0.1, -1e-6])
def test_constant_rewards_of_single_steps_are_left_alone(rew):
    scaled, _ = normalise_rew_running(
        np.full((1, 60), rew),
        np.ones((1, 60), bool),
        make_moments(1, 1),
        settings(rew_norm=True, rew_clip=None),
    )
    assert (scaled == rew).all()


@pytest.mark.parametrize("rew_clip", [None, 0.5])
def test_without_normalisation_rewards_are_at_most_clipped_and_nothing_is_counted(rew_clip):
    rew = np.random.default_rng(4).standard_normal((2, 30))
    moments = make_moments(2, 1)
    scaled, after = normalise_rew_running(
        rew, np.zeros((2, 30), bool), moments, settings(rew_norm=False, rew_clip=rew_clip)
    )
    np.testing.assert_array_equal(scaled, rew if rew_clip is None else rew.clip(-0.5, 0.5))
    assert after is moments


def test_agents_are_normalised_apart():
    chosen, rng = settings(rew_norm=True), np.random.default_rng(5)
    rew, ended = rng.standard_normal((3, 100)), rng.random((3, 100)) < 0.1
    whole, moments = normalise_rew_running(rew, ended, make_moments(3, 1), chosen)
    for agent in range(3):
        pick = slice(agent, agent + 1)
        alone, own = normalise_rew_running(rew[pick], ended[pick], make_moments(1, 1), chosen)
        np.testing.assert_array_equal(alone, whole[pick])
        np.testing.assert_array_equal(own.m2, moments.m2[pick])


@pytest.mark.parametrize(
    ("changes", "divisor"),
    [
        ({"obs_eps": 0.5}, lambda var: np.sqrt(var + 0.5)),  # stable-baselines3
        ({"obs_eps": 0.5, "obs_eps_of": "std"}, lambda var: np.sqrt(var) + 0.5),  # rsl_rl
        ({"obs_norm": False}, np.ones_like),
    ],
)
def test_other_libraries_normalisers(changes, divisor):
    values = 3 + np.random.default_rng(8).standard_normal((50, 1, 2))
    normaliser = Normaliser.of(pushed(values), settings(obs_clip=1.5, **changes))
    mean = 0 if changes.get("obs_norm") is False else values.mean(0)
    right = (values[:, 0] - mean) / divisor(values.var(0, ddof=1))
    np.testing.assert_allclose(normaliser(values[:, 0]), right.clip(-1.5, 1.5), rtol=1e-5, atol=1e-6)
