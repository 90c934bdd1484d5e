"""`import pgprim` on plain arrays: other libraries' numbers, closed forms, and the promise that it changes nothing."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.buffers import RolloutBuffer
from torch.distributions import Independent, Normal, kl_divergence

import pgprim
from pgprim import library
from pgprim.core import gaussian

ROOT = Path(__file__).parents[1]

DOCTESTS = """
import doctest, sys
import pgprim
import pgprim.library
done = [doctest.testmod(module) for module in (pgprim, pgprim.library)]
print(sum(one.attempted for one in done))
sys.exit(sum(one.failed for one in done))
"""


def python(code: str, **environment: str) -> str:
    """What a program prints that knows of pgprim's source and has nothing else in its environment."""
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# what it is


def test_the_examples_of_all_functions_hold():
    assert int(python(DOCTESTS)) > 25


@pytest.mark.parametrize("name", pgprim.__all__)
def test_a_name_says_what_it_means(name):
    thing = getattr(pgprim, name)
    assert thing is getattr(library, name)
    text = inspect.getdoc(thing)
    if inspect.isfunction(thing):
        assert "Examples:" in text and ">>>" in text
        for argument in inspect.signature(thing).parameters:
            assert re.search(rf"^    {argument}: ", text, re.MULTILINE), argument
    elif name != "Interval":
        assert all(f"{field}: " in text for field in thing._fields)


def test_editors_and_star_imports_see_the_same_names():
    stub = (ROOT / "pgprim/__init__.pyi").read_text()
    for pattern in (r"^    (\w+),$", r'^    "(\w+)",$'):
        assert re.findall(pattern, stub, re.MULTILINE) == pgprim.__all__ == library.__all__
    assert set(pgprim.__all__) <= set(dir(pgprim))
    space: dict = {}
    exec("from pgprim import *", space)
    assert set(pgprim.__all__) <= set(space)
    with pytest.raises(AttributeError, match="no attribute 'gea'"):
        _ = pgprim.gea


def test_importing_pgprim_loads_nothing_and_changes_nothing():
    code = """
import os, sys, threading
import torch
before = dict(os.environ), torch.get_num_threads(), torch.get_rng_state().tolist(), list(sys.path), list(sys.meta_path)
import pgprim
assert not {"numpy", "scipy"} & (set(sys.modules) - had)
pgprim.gradient_agreement([[1, 1, 0], [1, 0, 1], [1, 0, 0]], pairs=12)
pgprim.trust_region([0.0], [0.1], kl=pgprim.gaussian_kl([[0.0]], [0.0], [[1.0]], [0.0]))
pgprim.noise_share([[0, 1], [1, 2], [2, 3], [4, 3]])
after = dict(os.environ), torch.get_num_threads(), torch.get_rng_state().tolist(), list(sys.path), list(sys.meta_path)
assert before == after and "pgprim.kernels" not in sys.modules and threading.active_count() == 1
"""
    python(code.replace("import pgprim\n", "had = set(sys.modules)\nimport pgprim\n", 1), OMP_NUM_THREADS="2")


def test_it_loads_numpy_and_scipy_and_nothing_of_the_pipeline():
    code = """
import sys
before = {name.split(".")[0] for name in sys.modules}    # what a start of Python loads, in any program
import pgprim
for name in pgprim.__all__:
    getattr(pgprim, name)
print(*sorted({name.split(".")[0] for name in sys.modules} - before))
print(*sorted(name for name in sys.modules if name.startswith("pgprim.")))
"""
    others, own = python(code).splitlines()
    assert {"numpy", "scipy"} <= set(others.split())
    pipeline = "torch gymnasium mujoco xarray zarr matplotlib safetensors jsonschema yaml ruamel dvc snakemake dvcsnake"
    assert not set(others.split()) & set(pipeline.split())
    assert all(name.split(".")[1] in ("core", "library") for name in own.split())


# gradients


def draws(num_trials: int, cosine: float, seed: int, dims: int = 500) -> np.ndarray:
    """Estimates of a gradient of norm 1 whose noise makes their expected cosine about this."""
    rng = np.random.default_rng(seed)
    signal = np.zeros(dims)
    signal[0] = 1
    return signal + np.sqrt((1 / cosine - 1) / dims) * rng.standard_normal((num_trials, dims))


def test_the_noise_scale_is_that_of_the_generator_and_predicts_the_cosine():
    pairs, cosine = 256, 0.2
    scale = pairs * (1 / cosine - 1)
    found = [pgprim.gradient_agreement(draws(20, cosine, seed), pairs=pairs) for seed in range(100)]
    covered = np.mean([one.noise_scale.low <= scale <= one.noise_scale.high for one in found])
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)
    measured = np.array([one.cosine.value for one in found])
    predicted = pgprim.expected_cosine(pairs, scale)
    assert abs(measured.mean() - predicted) < 3 * measured.std() / 10 + 0.005
    # At so many pairs the same gradient is as good as `pairs_for_cosine` says.
    more = round(pgprim.pairs_for_cosine(0.6, scale))
    better = float(pgprim.expected_cosine(more, scale))
    assert better == pytest.approx(0.6, rel=1e-3)
    again = [
        pgprim.gradient_agreement(draws(20, better, seed), pairs=more).cosine.value for seed in range(50)
    ]
    assert np.mean(again) == pytest.approx(0.6, abs=0.01)


def test_cosines_are_those_of_numpy():
    vectors = draws(5, 0.3, 1, dims=7)
    found = pgprim.gradient_agreement(list(map(torch.tensor, vectors)), pairs=10)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [unit[i] @ unit[j] for i in range(5) for j in range(i)]
    assert found.cosine.value == pytest.approx(np.mean(pairs))
    np.testing.assert_allclose(found.pairwise, unit @ unit.T, atol=1e-12)
    np.testing.assert_allclose(found.norm, np.linalg.norm(vectors, axis=1))
    assert np.isnan([*found.truth_cosine, *found.cosine_excess]).all()


def test_a_truth_that_holds_the_estimates_shows_itself():
    """ρ − c² is not below 0 for a truth from other samples, and far below it for the mean of the estimates themselves."""
    vectors, others = draws(20, 0.05, 2), draws(200, 0.05, 3)
    apart = pgprim.gradient_agreement(vectors, pairs=10, truth=others.mean(0))
    assert apart.cosine_excess.high > 0
    assert apart.truth_cosine.low < np.sqrt(0.05) * np.sqrt(10 / 11) < apart.truth_cosine.high
    shared = pgprim.gradient_agreement(vectors, pairs=10, truth=vectors.mean(0))
    assert shared.cosine_excess.high < 0


@given(st.floats(0.01, 100), st.integers(0, 1000))
def test_agreement_does_not_ask_for_the_gradients_unit(factor, seed):
    vectors = draws(4, 0.4, seed, dims=5)
    one, other = (pgprim.gradient_agreement(factor**k * vectors, pairs=8) for k in (0, 1))
    np.testing.assert_allclose(one.cosine, other.cosine, rtol=1e-9)
    np.testing.assert_allclose(one.noise_scale, other.noise_scale, rtol=1e-6)


# returns and advantages


def test_advantages_are_those_of_stable_baselines3_on_episodes_that_end_in_both_ways():
    """Its buffer knows no truncation: its collecting loop adds γ V(final observation) to the reward of one."""
    rng = np.random.default_rng(4)
    num_steps, num_envs, gamma, lam = 50, 3, 0.97, 0.9
    rew, val, behind = rng.standard_normal((3, num_envs, num_steps)).astype(np.float32)
    terminated, truncated = rng.random((2, num_envs, num_steps)) < 0.1
    ended = terminated | truncated
    buffer = RolloutBuffer(num_steps, Box(-1, 1, (1,)), Box(-1, 1, (1,)), "cpu", lam, gamma, num_envs)
    for t in range(num_steps):
        bootstrapped = rew[:, t] + gamma * np.where(truncated[:, t] & ~terminated[:, t], behind[:, t], 0)
        starts = np.ones(num_envs) if t == 0 else ended[:, t - 1]
        zeros = np.zeros((num_envs, 1), np.float32)
        buffer.add(zeros, zeros, bootstrapped, starts, torch.tensor(val[:, t]), torch.zeros(num_envs))
    buffer.compute_returns_and_advantage(torch.tensor(behind[:, -1]), ended[:, -1])
    next_val = pgprim.next_values(val, behind, ended)
    adv = pgprim.gae(rew, val, next_val, terminated, truncated, gamma=gamma, lam=lam)
    np.testing.assert_allclose(adv, buffer.advantages.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(adv + val, buffer.returns.T, rtol=1e-4, atol=1e-5)


def test_returns_are_advantages_without_discounting_of_errors_plus_the_value():
    rng = np.random.default_rng(5)
    rew, val, behind = rng.standard_normal((3, 2, 4, 30))
    terminated, truncated = rng.random((2, 2, 4, 30)) < 0.1
    next_val = pgprim.next_values(val, behind, terminated | truncated)
    adv = pgprim.gae(rew, val, next_val, terminated, truncated, gamma=0.9, lam=1.0)
    ret = pgprim.returns_to_go(rew, next_val, terminated, truncated, gamma=0.9)
    assert adv.shape == ret.shape == (2, 4, 30)
    np.testing.assert_allclose(adv + val, ret, atol=1e-12)


def test_one_stream_is_like_many():
    rng = np.random.default_rng(6)
    rew, val, next_val = rng.standard_normal((3, 2, 20))
    flags = rng.random((2, 2, 20)) < 0.2
    whole = pgprim.gae(rew, val, next_val, *flags, gamma=0.9, lam=0.8)
    for k in range(2):
        alone = pgprim.gae(rew[k], val[k], next_val[k], flags[0, k], flags[1, k], gamma=0.9, lam=0.8)
        np.testing.assert_array_equal(alone, whole[k])


def test_a_perfect_value_network_looks_wrong_only_where_returns_were_cut():
    """Reward 1 a step for ever, V = 1/(1 − γ), time limits after 1000 steps and 2048 pairs."""
    gamma, num_pairs = 0.99, 2048
    rew, val, never = np.ones(num_pairs), np.full(num_pairs, 1 / (1 - gamma)), np.zeros(num_pairs, bool)
    limit = np.arange(num_pairs) % 1000 == 999
    cut = pgprim.returns_to_go(rew, np.zeros(num_pairs), never, limit, gamma=gamma)
    assert pgprim.value_errors(val, cut).mean > 0.5
    complete = pgprim.complete_returns(rew, never, limit, gamma=gamma, time_limit=1000)
    assert np.isfinite(complete).sum() == 2 * (1000 - 458)
    errors = pgprim.value_errors(val, complete)
    assert 0 < errors.median < errors.mean < errors.total * 1.5 < 0.01
    right = pgprim.returns_to_go(rew, val, never, limit, gamma=gamma)
    np.testing.assert_allclose(right, val)
    np.testing.assert_allclose(pgprim.gae(rew, val, val, never, limit, gamma=gamma, lam=0.95), 0, atol=1e-10)


def test_falls_do_not_decide_which_returns_count():
    gamma, never = 0.5, np.zeros(40, bool)
    falls = never.copy()
    falls[[3, 20]] = True
    counted = np.isfinite(pgprim.complete_returns(np.ones(40), falls, never, gamma=gamma, time_limit=15))
    ages = np.concatenate([np.arange(4), np.arange(17), np.arange(19)])
    # γ⁷ < 0.01: seven pairs must fit before the limit and the end. (The second episode outlives it: a fall is not asked for.)
    np.testing.assert_array_equal(counted, (15 - ages >= 7) & (40 - np.arange(40) >= 7))


def test_value_errors_by_hand():
    target = np.array([[1.0, -2.0, 0.0], [np.nan, 4.0, 8.0]])
    val = np.array([[2.0, -2.0, 5.0], [np.nan, 3.0, 4.0]])
    errors = pgprim.value_errors(val, target)
    assert errors.mean == pytest.approx(np.mean([1, 0, 0.25, 0.5]))  # a target of 0 has no relative error
    assert errors.median == pytest.approx(0.375)
    assert errors.total == pytest.approx((1 + 0 + 5 + 1 + 4) / 15)
    assert np.isnan(pgprim.value_errors([1.0], [np.nan])).all()


# trust regions


@pytest.mark.parametrize("size", [1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("shape", [(3,), (7, 3), (2, 7, 3)])
def test_the_divergence_is_that_of_torch_and_of_the_study(size, shape):
    rng = np.random.default_rng(7)
    mu_old, log_sigma_old = rng.standard_normal(shape), rng.standard_normal(3) / 3
    mu, log_sigma = mu_old + size * rng.standard_normal(shape), log_sigma_old + size * rng.standard_normal(3)
    found = pgprim.gaussian_kl(mu_old, log_sigma_old, mu, log_sigma)
    old, new = (
        Independent(Normal(torch.tensor(m), torch.tensor(np.broadcast_to(s, shape).copy()).exp()), 1)
        for m, s in ((mu_old, log_sigma_old), (mu, log_sigma))
    )
    # torch's own formula cancels where the update is small.
    np.testing.assert_allclose(found, kl_divergence(old, new).numpy(), rtol=1e-6, atol=1e-14)
    flat = [torch.tensor(one.reshape(1, -1, 3)) for one in (mu_old, mu)]
    logs = [torch.tensor(one[None]) for one in (log_sigma_old, log_sigma)]
    ours = gaussian.kl(flat[0], logs[0], flat[1], logs[1])
    np.testing.assert_allclose(found.reshape(-1), ours[0].numpy(), rtol=1e-12)
    by_state = pgprim.gaussian_kl(
        mu_old, np.broadcast_to(log_sigma_old, shape), mu, np.broadcast_to(log_sigma, shape)
    )
    np.testing.assert_array_equal(found, by_state)


def test_no_update_is_no_divergence_and_a_policy_that_ran_away_an_infinite_one():
    mu = np.ones((4, 2))
    assert (pgprim.gaussian_kl(mu, [0.1, 0.2], mu, [0.1, 0.2]) == 0).all()
    assert np.isinf(pgprim.gaussian_kl(mu, [500.0, 0], mu, [0.0, 0])).all()
    moved = pgprim.trust_region([0.0, 0.0], [1000.0, 0.0])
    assert moved.ratio_max == np.inf and moved.clip_fraction == 0.5 and moved.approx_kl == np.inf


def test_ratios_by_another_way_and_the_divergence_from_actions():
    rng = np.random.default_rng(8)
    old, new = Normal(0.0, 1.0), Normal(0.2, 1.1)
    act = torch.tensor(rng.standard_normal(200_000))
    logp_old, logp = (policy.log_prob(act).numpy() for policy in (old, new))
    exact = kl_divergence(old, new).item()
    moved = pgprim.trust_region(logp_old, logp, kl=[exact, 3 * exact], eps=0.1)
    ratio = new.log_prob(act).exp().numpy() / old.log_prob(act).exp().numpy()
    assert moved.ratio_max == pytest.approx(ratio.max())
    assert (moved.ratio_q01, moved.ratio_q50, moved.ratio_q99) == pytest.approx(
        tuple(np.percentile(ratio, [1, 50, 99]))
    )
    assert moved.clip_fraction == pytest.approx(((ratio < 0.9) | (ratio > 1.1)).mean())
    assert (moved.kl_mean, moved.kl_max) == pytest.approx((2 * exact, 3 * exact))
    error = (ratio - 1 - np.log(ratio)).std() / np.sqrt(len(ratio))
    assert abs(moved.approx_kl - exact) < 3 * error
    assert np.isnan(pgprim.trust_region(logp_old, logp).kl_mean)


# surfaces


def test_the_share_of_noise_is_that_of_the_generator():
    """Shape of variance 4, halves of noise 2 each: T has 4 + 1, D has 1."""
    rng = np.random.default_rng(9)
    found = []
    for _ in range(200):
        shape = 2 * rng.standard_normal(60)
        found.append(pgprim.noise_share(shape[:, None] + np.sqrt(2) * rng.standard_normal((60, 2))))
    shares = np.array([one.value for one in found])
    assert abs(shares.mean() - 0.2) < 3 * shares.std() / np.sqrt(200) + 0.01
    covered = np.mean([one.low <= 0.2 <= one.high for one in found])
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)


def test_what_all_points_have_in_common_is_no_shape():
    halves = np.random.default_rng(10).standard_normal((20, 2))
    common = halves + np.array([100.0, -30.0])
    np.testing.assert_allclose(pgprim.noise_share(common), pgprim.noise_share(halves), rtol=1e-9)
    np.testing.assert_allclose(pgprim.noise_variance(common), pgprim.noise_variance(halves), rtol=1e-9)
    assert np.isnan(pgprim.noise_share(halves[:3])).all()


# mistakes


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pgprim.gradient_agreement(np.ones((2, 5)), pairs=1), "at least 3 trials"),
        (lambda: pgprim.gradient_agreement(np.ones(5), pairs=1), r"shape \(5,\)"),
        (lambda: pgprim.gradient_agreement(np.full((3, 5), np.nan), pairs=1), "gradients has numbers"),
        (lambda: pgprim.gradient_agreement(np.ones((3, 5)), pairs=0), "pairs is 0"),
        (lambda: pgprim.gradient_agreement(np.ones((3, 5)), pairs=1, truth=np.ones(4)), r"truth has shape \(4,\)"),
        (lambda: pgprim.gradient_agreement(np.ones((3, 5)), pairs=1, level=95.0), "level is 95"),
        (lambda: pgprim.pairs_for_cosine(1.5, 10.0), "cosine is 1.5"),
        (lambda: pgprim.next_values([1, 2], [1], [0, 0]), r"behind has shape \(1,\)"),
        (lambda: pgprim.gae([1], [1, 2], [1], [0], [0], gamma=1.0, lam=1.0), r"val has shape \(2,\)"),
        (lambda: pgprim.gae([], [], [], [], [], gamma=1.0, lam=1.0), "not empty"),
        (lambda: pgprim.returns_to_go(*np.ones((4, 1))[:, 0], gamma=1.0), "time along the last axis"),
        (lambda: pgprim.complete_returns([1], [0], [0], gamma=1.0, time_limit=None), "gamma is 1.0"),
        (lambda: pgprim.value_errors([1], [1, 2]), "must be alike"),
        (lambda: pgprim.value_errors([np.inf], [1]), "not finite"),
        (lambda: pgprim.gaussian_kl([[1, 2]], [0], [[1, 2]], [0, 0]), r"log_sigma_old has shape \(1,\)"),
        (lambda: pgprim.gaussian_kl([1, 2], [0, 0], [[1, 2]], [0, 0]), "mu_old has shape"),
        (lambda: pgprim.trust_region([0], [0, 1]), "must be alike"),
        (lambda: pgprim.trust_region([0], [0], kl=[]), "no states"),
        (lambda: pgprim.trust_region([0], [np.nan]), "logp has numbers"),
        (lambda: pgprim.noise_share([1, 2, 3]), r"\[point, 2\]"),
        (lambda: pgprim.noise_variance([[1, 2]], level=0.0), "level is 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(call, says):
    with pytest.raises(ValueError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
