"""Value prediction errors from re-run iterations: worked cases through the probe itself."""

import json

import numpy as np
import pytest

from pgprim.core.time_in_episode import tail_length
from pgprim.probes.value.measure import ESTIMATES, measure
from pgprim.store.inputs import Inputs
from pgprim.store.reruns import reruns_dataset

GAMMA, LAM, NUM_PAIRS, BEYOND, LIMIT = 0.99, 0.95, 2048, 500, 1000


def run(rerun):
    return measure(Inputs(rerun=rerun), {}).numbers


def make_rerun(rew=3.0, offset=0.0, limit=LIMIT, clip=None):
    """Two seeds, two iterations, both parts: constant rewards and time limits; V_old perfect, V off by `offset` of it."""
    shape = (2, 2, 2, NUM_PAIRS + BEYOND)
    perfect = np.full(shape, rew / (1 - GAMMA), np.float32)
    truncated = np.zeros(shape, bool)
    if limit is not None:
        truncated[..., limit - 1 :: limit] = True
    arrays = {
        "rew": np.full(shape, rew),
        "rew_norm": np.full(shape, rew),
        "terminated": np.zeros(shape, bool),
        "truncated": truncated,
        "val_old": perfect,
        "next_val_old": perfect,
        "val_new": perfect * (1 + np.arange(2)[:, None, None, None] * offset).astype(np.float32),
        **{name: np.zeros(shape) for name in ("log_prob_old", "log_prob_new", "kl_of_mean")},
        "kl_of_sigma": np.zeros(shape[:2]),
    }
    settings = {"pairs": NUM_PAIRS, "gamma": GAMMA, "lam": LAM, "value_clip": clip}
    attrs = {"settings": json.dumps(settings), "time_limit": limit}
    return reruns_dataset(arrays, "hopper", "ppo", [3, 5], [0, 10], attrs)


def test_a_perfect_network_is_off_only_where_sums_are_cut():
    ds = run(make_rerun())
    assert ds.mre.dims == ("task", "algo", "seed", "iteration", "part", "target", "definition")
    assert (ds.seed.values.tolist(), ds.iteration.values.tolist()) == ([3, 5], [0, 10])
    left = np.concatenate([np.arange(1, 1001), np.arange(1, 1001), np.arange(1, 49)])
    published = (GAMMA**left / (1 - GAMMA**left)).mean()
    of_returns = ds.mre.sel(target="returns")
    np.testing.assert_allclose(of_returns.sel(definition="as_text"), published, rtol=1e-5)
    # Of the last pairs only that which the batch's end cuts ends no episode.
    inner = np.concatenate([np.arange(2, 1001), np.arange(2, 1001), np.arange(1, 49)])
    masked = (GAMMA**inner / (1 - GAMMA**inner)).mean()
    np.testing.assert_allclose(of_returns.sel(definition="as_code"), masked, rtol=1e-5)
    total = (GAMMA**left).sum() / (1 - GAMMA**left).sum()
    np.testing.assert_allclose(ds.total_re.sel(target="returns", definition="as_text"), total, rtol=1e-5)
    assert (of_returns.sel(definition="exact") < 0.004).all()
    np.testing.assert_allclose(ds.mre.sel(target="gae", definition="exact"), 0, atol=1e-6)
    assert (ds.mre.sel(target="gae", definition="as_text") > 0.01).all()
    assert set(ds.data_vars) == set(ESTIMATES)


def test_an_error_of_a_tenth_is_a_tenth_exactly():
    """Of the second seed only; medians as well as means."""
    ds = run(make_rerun(offset=0.1))
    for name in ESTIMATES:
        exact = ds[name].sel(definition="exact", target="gae").squeeze()
        np.testing.assert_allclose(exact.sel(seed=5), 0.1, rtol=1e-4)
        np.testing.assert_allclose(exact.sel(seed=3), 0, atol=1e-6)


@pytest.mark.parametrize("clip", [None, 0.2])
def test_as_code_squares_and_counts_what_a_clipping_agent_counts(clip):
    """Without ends of episodes the target is V_old = 300: (0.1 · 300)²/300, or of the value clipped to 0.2 around V_old.

    V moved away from its target, so the plain square is the larger one, with and without clipping.
    """
    ds = run(make_rerun(offset=0.1, limit=None, clip=clip)).sel(target="gae", seed=5)
    np.testing.assert_allclose(ds.mre.sel(definition="as_code"), 3.0, rtol=1e-3)
    np.testing.assert_allclose(ds.mre.sel(definition="as_text"), 0.1, rtol=1e-3)
    np.testing.assert_allclose(ds.total_re.sel(definition="as_code"), 0.1, rtol=1e-3)


def test_without_a_time_limit_no_state_is_left_out():
    ds = run(make_rerun(limit=None)).squeeze()
    left = NUM_PAIRS + BEYOND - np.arange(NUM_PAIRS)
    right = (GAMMA**left / (1 - GAMMA**left)).mean()
    np.testing.assert_allclose(ds.mre.sel(target="returns", definition="exact"), right, rtol=1e-3)


def test_where_every_state_is_near_its_time_limit_there_is_no_exact_error():
    short = tail_length(GAMMA) - 1
    ds = run(make_rerun(limit=short))
    assert np.isnan(ds.mre.sel(target="returns", definition="exact")).all()
    assert np.isfinite(ds.mre.sel(target="returns", definition="as_text")).all()


@pytest.mark.parametrize("name", ESTIMATES)
def test_variables_are_described(name):
    ds = run(make_rerun())
    assert (ds[name].attrs["long_name"], ds[name].attrs["units"]) == ESTIMATES[name]
