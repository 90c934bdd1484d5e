"""Trust regions: numbers of one update against torch.distributions, and what is drawn."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from torch.distributions import Independent, Normal, kl_divergence

from pgprim.core.gaussian import kl_of_mean, kl_of_sigma, log_prob
from pgprim.plotting.combine import combine
from pgprim.probes.trust_region.measure import ESTIMATES, measure
from pgprim.probes.trust_region.plot import PAGES, plot, select
from pgprim.store.inputs import Inputs
from pgprim.store.reruns import reruns_dataset
from tests.plotting import drawn

PAIRS, BEYOND, ACTS = 50, 10, 3


def run(rerun: xr.Dataset) -> xr.Dataset:
    return measure(Inputs(rerun=rerun), {}).numbers


def policies(seed: int, moved: float) -> tuple[torch.Tensor, ...]:
    """Means and log σ before and after an update, and actions, for one stream."""
    rng = torch.Generator().manual_seed(seed)
    mu = torch.randn(1, PAIRS + BEYOND, ACTS, generator=rng)
    log_sigma = 0.1 * torch.randn(1, ACTS, generator=rng)
    mu_new = mu + moved * torch.randn(mu.shape, generator=rng)
    log_sigma_new = log_sigma + moved * torch.randn(log_sigma.shape, generator=rng)
    act = mu + log_sigma.exp()[:, None] * torch.randn(mu.shape, generator=rng)
    return mu, log_sigma, mu_new, log_sigma_new, act


def reruns(task: str = "hopper", algo: str = "trpo", seeds=(0, 1), iterations=(0, 10), moved=0.1, **settings):
    """A store's content for policies that moved by known amounts."""
    shape = (len(seeds), len(iterations), 2, PAIRS + BEYOND)
    names = (
        "rew",
        "rew_norm",
        "val_old",
        "next_val_old",
        "val_new",
        "log_prob_old",
        "log_prob_new",
        "kl_of_mean",
    )
    arrays = {name: np.zeros(shape) for name in names}
    arrays |= {name: np.zeros(shape, bool) for name in ("terminated", "truncated")}
    arrays["kl_of_sigma"] = np.zeros(shape[:2])
    arrays["rew"] = np.ones(shape)
    arrays["terminated"][..., 19::20] = True
    for s, seed in enumerate(seeds):
        for i, iteration in enumerate(iterations):
            for part in (0, 1):
                mu, log_sigma, mu_new, log_sigma_new, act = policies(
                    100 * seed + iteration, moved * (1 + part)
                )
                place = (s, i, part)
                arrays["log_prob_old"][place] = log_prob(mu, log_sigma, act)[0]
                arrays["log_prob_new"][place] = log_prob(mu_new, log_sigma_new, act)[0]
                arrays["kl_of_mean"][place] = kl_of_mean(mu, mu_new, log_sigma_new)[0]
                if part == 0:
                    arrays["kl_of_sigma"][s, i] = kl_of_sigma(log_sigma, log_sigma_new)[0]
    attrs = {"settings": json.dumps({"pairs": PAIRS} | settings)}
    return reruns_dataset(arrays, task, algo, list(seeds), list(iterations), attrs)


def test_divergences_and_ratios_are_torchs():
    found = run(reruns(delta=0.04)).sel(task="hopper", algo="trpo", seed=1, iteration=10, part="train")
    mu, log_sigma, mu_new, log_sigma_new, act = (
        x[0, :PAIRS] if x.ndim == 3 else x[0] for x in policies(110, 0.1)
    )
    old = Independent(Normal(mu, log_sigma.exp()), 1)
    new = Independent(Normal(mu_new, log_sigma_new.exp()), 1)
    divergence, ratio = kl_divergence(old, new), (new.log_prob(act) - old.log_prob(act)).exp()
    np.testing.assert_allclose(found.kl_mean, divergence.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.kl_max, divergence.max(), rtol=1e-5)
    np.testing.assert_allclose(found.ratio_max, ratio.max(), rtol=1e-5)
    np.testing.assert_allclose(found.ratio_q99, torch.quantile(ratio, 0.99), rtol=1e-5)
    np.testing.assert_allclose(found.ratio_q50, torch.quantile(ratio, 0.5), rtol=1e-5)
    np.testing.assert_allclose(found.ratio_q01, torch.quantile(ratio, 0.01), rtol=1e-5)
    np.testing.assert_allclose(found.clip_fraction, ((ratio - 1).abs() > 0.2).double().mean())


def test_the_parts_of_the_divergence_add_up_and_no_policy_that_stays_has_any():
    moved, stayed = run(reruns()), run(reruns(moved=0.0))
    np.testing.assert_allclose(moved.kl_of_mean + moved.kl_of_sigma, moved.kl_mean, rtol=1e-12)
    assert (moved.kl_max >= moved.kl_mean).all() and (moved.kl_mean > 0).all()
    for name in ("kl_mean", "kl_max", "clip_fraction"):
        np.testing.assert_array_equal(stayed[name], 0)
    np.testing.assert_array_equal(stayed.ratio_max, 1)


def test_only_the_first_pairs_count_however_far_a_stream_goes_on():
    rerun = reruns()
    spoilt = rerun.copy(deep=True)
    spoilt.kl_of_mean[..., PAIRS:] = 1e6
    spoilt.log_prob_new[..., PAIRS:] = 1e3
    xr.testing.assert_identical(run(rerun), run(spoilt))


def test_returns_are_those_of_episodes_that_ended_in_time():
    rerun = reruns()
    rerun.rew[..., 20:40] = 3.0
    rerun.rew[..., 40:] = 1e6  # an episode that is cut
    np.testing.assert_array_equal(run(rerun).return_mean, (20 + 60) / 2)
    rerun.terminated[:] = False
    assert run(rerun).return_mean.isnull().all()


def test_each_algorithm_has_its_own_bound_and_every_number_a_name_and_a_unit():
    trpo, ppo = run(reruns(delta=0.04)), run(reruns(algo="ppo", eps=0.2, delta=None))
    assert trpo.delta.item() == 0.04 and np.isnan(trpo.ratio_bound.item())
    assert ppo.ratio_bound.item() == pytest.approx(1.2) and np.isnan(ppo.delta.item())
    assert set(trpo.data_vars) == set(ESTIMATES)
    for variable in trpo.data_vars.values():
        assert variable.attrs["long_name"] and variable.attrs["units"]


@pytest.fixture(scope="module")
def dataset():
    parts = {}
    for task in ("hopper", "walker2d"):
        for algo, settings in (("ppo", {"eps": 0.2}), ("trpo", {"delta": 0.04})):
            moved = reruns(task, algo, iterations=(0, 10, 20), moved=0.05, **settings)
            parts[f"{task} {algo}"] = run(moved)
    return select("trust_region", combine(parts), {})


def test_a_row_per_quantity_with_median_range_and_bound_as_in_the_dataset(dataset):
    for page, rows in zip(plot(dataset), PAGES, strict=True):
        panels = np.array(page.axes).reshape(len(rows), 2)
        for name, line in zip(rows, panels, strict=True):
            for panel, task in zip(line, dataset.task.values, strict=True):
                for algo in ("ppo", "trpo"):
                    one = dataset.sel(task=task, algo=algo)
                    for part in ("train", "held_out"):
                        (points,) = drawn.lines(panel, f"{algo} {part}")
                        np.testing.assert_array_equal(points[:, 1], one[name].sel(part=part).median("seed"))
                    low, high = drawn.band(panel, f"{algo} band")
                    np.testing.assert_array_equal(low, one[name].sel(part="held_out").min("seed"))
                    np.testing.assert_array_equal(high, one[name].sel(part="held_out").max("seed"))
    first = plot(dataset)[0].axes
    (delta,) = drawn.lines(first[2], "trpo bound")
    (bound,) = drawn.lines(first[4], "ppo bound")
    assert delta[0, 1] == 0.04 and bound[0, 1] == pytest.approx(1.2)
    assert "δ" in [text.get_text() for text in first[2].texts]
    assert "1 + ε" in [text.get_text() for text in first[4].texts]
    assert not drawn.lines(first[2], "ppo bound") and not drawn.lines(first[0], "trpo bound")


def test_nothing_on_a_page_covers_anything_else(dataset):
    for page in plot(dataset):
        assert drawn.overlaps(page) == drawn.small_texts(page) == []


def test_one_wild_ratio_does_not_flatten_the_others(dataset):
    wild = dataset.copy(deep=True)
    wild.ratio_max_range.loc[{"bound": "high", "iteration": 10}] = 1e6
    for panel, task in zip(plot(wild)[0].axes[4:], wild.task.values, strict=True):
        median = float(wild.ratio_max_median.sel(task=task).max())
        assert median < panel.get_ylim()[1] <= 10 * median
