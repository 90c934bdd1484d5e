"""Landscapes where the true reward of every point is known in closed form: a Gaussian bandit and a linear regulator.

The bandit's reward is polynomial in the noise, so it is known for any parameters, the plane of a real step and a random
direction included; the regulator's is known for linear policies, over episodes of many steps.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from pgprim.core.episodes import complete_episodes, estimate_return
from pgprim.core.mlp import forward, policy_net, value_net
from pgprim.probes.landscape import measure as landscape
from pgprim.probes.landscape.points import plane, run_points
from pgprim.store.datasets import load_dataset
from tests.commands.measuring import measure
from tests.oracles.environments import (
    ACTION_COST,
    CONTEXTS,
    CONTROL,
    DRIFT_STD,
    DYNAMICS,
    HORIZON,
    START_MEAN,
    START_STD,
    STATE_COST,
    TARGETS,
)
from tests.oracles.pipeline import make_agent, write_params

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HIDDEN = (8, 8)
BUDGETS = [40, 1600]
POINTS = 5


def _params(task, env_id, **train):
    params = write_params(task, env_id, [50, 100], 8, hidden=list(HIDDEN), **train)
    params["landscape"] |= {
        "plane": {"extent": [0.0, 3.0], "points": POINTS, "random_norm": 2.0},
        "few": {"budgets": BUDGETS, "trajectories": [30], "closer": []},
        "many": {"pairs": 4096, "budgets": BUDGETS[:1]},
    }
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    return params


@pytest.fixture(scope="module")
def bandit(tmp_path_factory):
    """The stage's landscape, and the reward in closed form at the same points."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("bandit"))
        params = _params("bandit", "tests.oracles.environments:GaussianBandit-v0", pairs=512)
        net = policy_net(2, 2, HIDDEN)
        rng = torch.Generator().manual_seed(0)
        theta = 0.5 * torch.randn(1, net.num_params, generator=rng)
        phi = torch.zeros(1, value_net(2, HIDDEN).num_params)
        make_agent(params, "bandit", theta, phi, 2, 2)
        points = []

        def keep(*arguments):
            points.append(plane(*arguments))
            return points[-1]

        patch.setattr(landscape, "plane", keep)
        measure("landscape", "few.nc", case="few", checkpoint="agent.safetensors")
        ds = load_dataset("few.nc").squeeze(drop=True)
    parts = net.split(points[0].double())
    obs = torch.from_numpy(CONTEXTS).expand(len(points[0]), -1, -1)
    miss = (forward(net, parts, obs) - torch.from_numpy(TARGETS)).square().sum(-1).mean(1)
    noise = (2 * parts[-1]).exp().sum(1)
    return ds, -(miss + noise).view(POINTS, POINTS).numpy()


def test_the_bandit_s_landscape_is_the_true_one_within_its_standard_errors(bandit):
    ds, truth = bandit
    z = (ds.reward.values - truth[..., None]) / ds.reward_se.values
    assert (np.abs(z[..., 1]) < 2).mean() > 0.8
    assert np.abs(z[..., 1]).max() < 4.5
    assert abs(z[..., 1].mean()) < 4 / POINTS
    # A step's ends differ by more than that: the surface has a shape to be right about.
    assert np.ptp(truth) > 20 * ds.reward_se.isel(budget=1).max()


def test_the_bandit_s_error_falls_as_the_root_of_the_pairs(bandit):
    ds, truth = bandit
    error = (ds.reward.values - truth[..., None]) / ds.reward_se.values[
        ..., 1:
    ]  # points are differently noisy
    error = np.sqrt(np.square(error).mean((0, 1)))
    slope = np.log(error[1] / error[0]) / np.log(BUDGETS[1] / BUDGETS[0])
    assert abs(slope + 0.5) < 3 * np.sqrt(1 / POINTS**2) / np.log(BUDGETS[1] / BUDGETS[0])


def test_t_intervals_of_the_bandit_s_reward_cover_it(bandit):
    """50 intervals of nominal 95 %; rewards are skew, so that 40 episodes cover a little less."""
    ds, truth = bandit
    low, high = (ds.reward_ci.sel(bound=bound).values for bound in ("low", "high"))
    assert ((low < truth[..., None]) & (truth[..., None] < high)).mean() > 0.85


def test_every_pair_of_the_bandit_is_an_episode(bandit):
    ds, _ = bandit
    assert (ds.num_trajectories == ds.budget).all()
    assert (ds.first_num_trajectories == 30).all()
    assert ds.surrogate[0, 0] == 0
    assert ds.batch_pairs == 512 and ds.random_norm == pytest.approx(2)


SMALL = 0.02
EPISODES = 100


def _linear_policy(gain, sigma):
    """A network that computes Kx in the linear part of its units, and its σ."""
    net = policy_net(2, 1, HIDDEN)
    theta = torch.zeros(1, net.num_params)
    w1, _, w2, _, w3, _, log_sigma = net.split(theta)
    w1[0, :, :2] = SMALL * torch.eye(2)
    w2[0, :2, :2] = torch.eye(2)
    w3[0, :2, 0] = torch.from_numpy(np.asarray(gain) / SMALL)
    log_sigma.fill_(np.log(sigma))
    return theta


def _expected_return(gain, sigma):
    """E Σ r over an episode, from the mean and covariance of the state at each step."""
    gain = np.asarray(gain)[None]
    closed = DYNAMICS + CONTROL @ gain
    mean, cov, total = START_MEAN, START_STD**2 * np.eye(2), 0.0
    for _ in range(HORIZON):
        second = cov + np.outer(mean, mean)
        total -= np.trace(STATE_COST @ second)
        total -= np.trace(ACTION_COST @ (gain @ second @ gain.T + sigma**2))
        mean = closed @ mean
        cov = closed @ cov @ closed.T + sigma**2 * CONTROL @ CONTROL.T + DRIFT_STD**2 * np.eye(2)
    return total


@pytest.fixture(scope="module")
def regulator(tmp_path_factory):
    """Episodes at nine linear policies, with random numbers of their own and with common ones, and the closed form."""
    gains = [(-0.2 + 0.1 * k, 0.1) for k in range(3)]
    policies = [(gain, sigma) for gain in gains for sigma in (0.4, 0.5, 0.6)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("regulator"))
        params = _params("regulator", "tests.oracles.environments:Regulator-v0")
        phi = torch.zeros(1, value_net(2, HIDDEN).num_params)
        checkpoint = make_agent(params, "regulator", _linear_policy(*policies[0]), phi, 2, 1)
    theta = torch.cat([_linear_policy(*policy) for policy in policies]).numpy()

    def measure(purposes):
        blocks = list(run_points(checkpoint, theta, purposes, EPISODES * HORIZON + 7))
        rew, ended = (np.concatenate([getattr(b, name) for b in blocks], axis=1) for name in ("rew", "ended"))
        return np.stack([complete_episodes(*one).ret for one in zip(rew, ended, strict=True)])

    own = measure([("test", "own", k) for k in range(len(policies))])
    common = measure([("test", "common")] * len(policies))
    return own, common, np.array([_expected_return(*policy) for policy in policies])


def _z(returns, truth):
    found = [estimate_return(ret) for ret in returns]
    return np.array(
        [(estimate.mean - true) / estimate.se for estimate, true in zip(found, truth, strict=True)]
    )


def test_the_regulator_s_landscape_is_the_true_one_within_its_standard_errors(regulator):
    own, _, truth = regulator
    assert own.shape == (9, EPISODES)
    z = _z(own, truth)
    assert np.abs(z).max() < 4 and abs(z.mean()) < 3.5 / 3
    assert np.ptp(truth) > 4 * max(estimate_return(ret).se for ret in own)


def test_common_random_numbers_save_variance_between_points(regulator):
    """And leave every point's own estimate right: all are off to one side together."""
    own, common, truth = regulator
    apart, together = (np.var(returns - truth[:, None], axis=0, ddof=1).mean() for returns in (own, common))
    assert together < 0.5 * apart
    assert np.abs(_z(common, truth)).max() < 4
