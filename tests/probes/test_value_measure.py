"""Value prediction errors from replays: worked cases through the probe itself."""

import json

import numpy as np
import pytest

from pgprim.core.value_errors import tail_length
from pgprim.probes.value.measure import ESTIMATES, measure
from pgprim.store.inputs import Inputs
from pgprim.store.reruns import reruns_dataset

GAMMA, LAM, NUM_PAIRS, BEYOND, LIMIT = 0.99, 0.95, 2048, 500, 1000


def run(rerun, params):
    return measure(Inputs(rerun=rerun), params).numbers


def make_replay(rew=3.0, said=None, offset=0.0, limit=LIMIT):
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
        **{name: np.zeros(shape, np.float32) for name in ("log_prob_old", "log_prob_new", "kl_of_mean")},
        "kl_of_sigma": np.zeros(shape[:2], np.float32),
    }
    settings = {"pairs": NUM_PAIRS, "gamma": GAMMA, "lam": LAM}
    attrs = {"settings": json.dumps(settings), "time_limit": limit}
    return reruns_dataset(arrays, "hopper", "ppo", [3, 5], [0, 10], attrs)


def test_a_perfect_network_is_off_only_as_published():
    ds = run(make_replay(), {})
    assert ds.mre.dims == ("task", "algo", "seed", "iteration", "part", "target", "definition")
    assert (ds.seed.values.tolist(), ds.iteration.values.tolist()) == ([3, 5], [0, 10])
    left = np.concatenate([np.arange(1, 1001), np.arange(1, 1001), np.arange(1, 49)])
    published = (GAMMA**left / (1 - GAMMA**left)).mean()
    found = ds.mre.sel(target="returns")
    np.testing.assert_allclose(found.sel(definition="as_published"), published, rtol=1e-5)
    assert (found.sel(definition="exact") < 0.004).all()
    np.testing.assert_allclose(ds.mre.sel(target="gae", definition="exact"), 0, atol=1e-6)
    assert (ds.mre.sel(target="gae", definition="as_published") > 0.01).all()
    assert set(ds.data_vars) == set(ESTIMATES)


def test_an_error_of_a_tenth_is_a_tenth_exactly():
    """Of the second seed only; medians as well as means."""
    ds = run(make_replay(offset=0.1), {})
    for name in ESTIMATES:
        exact = ds[name].sel(definition="exact", target="gae").squeeze()
        np.testing.assert_allclose(exact.sel(seed=5), 0.1, rtol=1e-4)
        np.testing.assert_allclose(exact.sel(seed=3), 0, atol=1e-6)


def test_without_a_time_limit_no_state_is_left_out():
    ds = run(make_replay(limit=None), {}).squeeze()
    left = NUM_PAIRS + BEYOND - np.arange(NUM_PAIRS)
    right = (GAMMA**left / (1 - GAMMA**left)).mean()
    np.testing.assert_allclose(ds.mre.sel(target="returns", definition="exact"), right, rtol=1e-3)


def test_where_every_state_is_near_its_time_limit_there_is_no_exact_error():
    short = tail_length(GAMMA) - 1
    ds = run(make_replay(limit=short), {})
    assert np.isnan(ds.mre.sel(target="returns", definition="exact")).all()
    assert np.isfinite(ds.mre.sel(target="returns", definition="as_published")).all()


@pytest.mark.parametrize("name", ESTIMATES)
def test_variables_are_described(name):
    ds = run(make_replay(), {})
    assert (ds[name].attrs["long_name"], ds[name].attrs["units"]) == ESTIMATES[name]
