"""V*, the best baseline, bias over λ and the floor, where all of them are known in closed form.

On the bandit by Gauss-Hermite quadrature, for the very networks of the agent; on the regulator, whose value function the
agent's V is, by what exactness implies.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from pgprim.commands import probe, sample
from pgprim.core.mlp import forward, policy_net, value_net
from pgprim.core.score_norms import squared_score_norms
from pgprim.probes.fit.regression import predict
from pgprim.store.datasets import load_dataset
from pgprim.store.fits import load_fit
from pgprim.store.rollouts import open_rollouts
from tests.oracles.environments import CONTEXTS, TARGETS
from tests.oracles.pipeline import make_agent, write_params
from tests.oracles.test_regulator import HIDDEN, _policy_parameters, _value_of, _value_parameters

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRIALS, TRUTH = 10, 20


def _measure(folder, task, env_id, num_pairs, chosen, theta, phi, num_act):
    """The stages' results in a folder: the fit and the numbers of the figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        params = write_params(
            task, env_id, [num_pairs // 2, num_pairs], TRIALS + TRUTH, TRIALS, hidden=list(HIDDEN)
        )
        params["baselines"] |= chosen | {"beyond": 1}
        params["fit"] |= {"beyond": 1, "epochs": 12, "batch": 256, "lr": 1e-2}
        with Path("params.yaml").open("w") as file:
            YAML(typ="safe", pure=True).dump(params, file)
        make_agent(params, task, theta, phi, 2, num_act)
        sample.main(argparse.Namespace(checkpoint="agent.safetensors", out="rollouts.zarr"))
        common = {"checkpoint": "agent.safetensors", "rollouts": "rollouts.zarr", "rerun": None, "case": ""}
        names = {"result": None, "vectors": None, "out": "fit.safetensors"}
        probe.main(argparse.Namespace(probe="fit", **common, **names))
        names = {"result": [("fit", "fit.safetensors")], "vectors": "vectors.zarr", "out": "numbers.nc"}
        probe.main(argparse.Namespace(probe="baselines", **common, **names))
        return load_fit("fit.safetensors"), load_dataset("numbers.nc").squeeze(drop=True)


class _Bandit:
    """Quadrature over contexts and actions.

    Attributes:
        ret: E[R] of each context.
        best: E[‖s‖²R] / E[‖s‖²] of each context.
        spread: Root of the mean variance of R within a context.
    """

    def __init__(self, theta):
        policy = policy_net(2, 2, HIDDEN)
        parts = policy.split(theta)
        mu = forward(policy, parts, torch.from_numpy(CONTEXTS).float()[None])[0].double().numpy()
        sigma = parts[-1].exp()[0].double().numpy()
        nodes, weights = np.polynomial.hermite_e.hermegauss(9)
        z = np.array(list(itertools.product(nodes, nodes)))
        self.share = np.outer(weights, weights).ravel() / weights.sum() ** 2 / 3
        act = mu[:, None] + sigma * z
        self.reward = -np.square(act - TARGETS[:, None]).sum(-1)
        obs = np.broadcast_to(CONTEXTS[:, None], (*act.shape[:2], 2)).copy()
        to_torch = [torch.from_numpy(array).double() for array in (obs, act)]
        self.weight = squared_score_norms(theta.double(), policy, *to_torch).numpy()
        self.ret = 3 * self.reward @ self.share
        self.spread = np.sqrt((np.square(self.reward - self.ret[:, None]) @ self.share).sum())
        self.best = ((self.weight * self.reward) @ self.share) / (self.weight @ self.share)

    def variance(self, baseline, is_centred=True):
        """E‖s‖²(e − mean e)²."""
        error = self.reward - np.asarray(baseline)[..., None]
        if is_centred:
            error = error - (error @ self.share).sum()
        return (self.weight * error**2 @ self.share).sum()


@pytest.fixture(scope="module")
def bandit(tmp_path_factory):
    rng = torch.Generator().manual_seed(0)
    policy, value = policy_net(2, 2, HIDDEN), value_net(2, HIDDEN)
    theta = 0.5 * torch.randn(1, policy.num_params, generator=rng)
    theta[:, -2:] = torch.tensor([-0.3, 0.2])
    phi = 0.5 * torch.randn(1, value.num_params, generator=rng)
    val = forward(value, value.split(phi), torch.from_numpy(CONTEXTS).float()[None])[0, :, 0].double().numpy()
    chosen = {"lambdas": [0.0, 1.0], "pairs": 1000}
    env_id = "tests.oracles.environments:GaussianBandit-v0"
    folder = tmp_path_factory.mktemp("bandit")
    return *_measure(folder, "bandit", env_id, 1000, chosen, theta, phi, 2), _Bandit(theta), val


def test_both_fits_are_the_conditional_means(bandit):
    found, numbers, oracle, _ = bandit
    at_contexts = predict(
        value_net(2, HIDDEN), torch.cat([found.true, found.optimal]), torch.from_numpy(CONTEXTS).float()
    ).numpy()
    spread = oracle.spread
    np.testing.assert_allclose(at_contexts[0], oracle.ret, atol=0.15 * spread)
    np.testing.assert_allclose(at_contexts[1], oracle.best, atol=0.25 * spread)
    assert np.abs(oracle.best - oracle.ret).max() > 0.3 * spread, "else the two could not be told apart"
    assert numbers.fit_left_out == 0


def test_the_variance_per_pair_and_the_shares_are_the_known_ones(bandit):
    _, numbers, oracle, val = bandit
    none, least = oracle.variance(np.zeros(3)), oracle.variance(oracle.best, is_centred=False)
    for name, baseline in (("value", val), ("true", oracle.ret)):
        variance, here = oracle.variance(baseline), numbers.sel(subtracted=name)
        width = float(here.pair_variance_ci.sel(bound="high") - here.pair_variance_ci.sel(bound="low"))
        assert abs(here.pair_variance - variance / none) < width
        share = (none - variance) / (none - least)
        assert abs(here.gain_share - share) < float(
            here.gain_share_ci.sel(bound="high") - here.gain_share_ci.sel(bound="low")
        )
    assert abs(numbers.pair_variance.sel(subtracted="optimal") - least / none) < 0.05
    assert numbers.gain_share.sel(subtracted="true") > numbers.gain_share.sel(subtracted="value")


def test_pairs_are_independent_here_so_whole_estimates_vary_as_single_pairs_do(bandit):
    _, numbers, *_ = bandit
    for name in ("value", "true"):
        here = numbers.sel(subtracted=name)
        half = float(here.return_variance_ci.sel(bound="high") - here.return_variance) + 0.02
        assert abs(here.return_variance - here.pair_variance) < half


@pytest.fixture(scope="module")
def regulator(tmp_path_factory):
    chosen = {"lambdas": [0.0, 0.9, 1.0], "pairs": 1000}
    env_id = "tests.oracles.environments:Regulator-v0"
    folder = tmp_path_factory.mktemp("regulator")
    parameters = _policy_parameters(), _value_parameters()
    return folder, *_measure(folder, "regulator", env_id, 1000, chosen, *parameters, 1)


def test_the_fit_comes_near_the_known_value_function(regulator):
    folder, found, numbers = regulator
    x = next(iter(open_rollouts(folder / "rollouts.zarr").blocks(slice(0, 4)))).obs.reshape(-1, 2)
    known = _value_of(x.astype(np.float64))
    fitted = predict(value_net(2, HIDDEN), found.true, torch.from_numpy(x))[0].numpy()
    assert np.sqrt(np.square(fitted - known).mean()) < 0.5 * known.std()
    assert np.corrcoef(fitted, known)[0, 1] > 0.85
    # The agent's V is exact: what it leaves is noise, which no fit can explain.
    assert 0.98 < numbers.fit_error / numbers.fit_value_error < 1.1


def test_an_exact_value_function_has_no_bias_at_any_lambda(regulator):
    *_, numbers = regulator
    low, high = numbers.lam_bias_ci.transpose("bound", ...) - numbers.lam_bias
    wider = 2.58 / 1.96  # from 95 % to 99 %, for there are several λ
    assert (numbers.lam_bias + wider * low <= 0).all() and (numbers.lam_bias + wider * high >= 0).all()
    assert (np.diff(numbers.lam_variance) > 0).all()
    assert numbers.lam_variance[-1] == 1


def test_a_baseline_makes_estimates_agree_more_and_the_fitted_one_as_much_as_the_known(regulator):
    *_, numbers = regulator
    gaps = numbers.cosine_difference.isel(budget=-1)
    assert gaps.sel(difference="value-zero") > 0 and gaps.sel(difference="true-zero") > 0
    assert abs(gaps.sel(difference="true-value")) < 0.1
    assert (numbers.pair_variance_ci.sel(bound="high").sel(subtracted=["value", "true"]) < 1).all()
