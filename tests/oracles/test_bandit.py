"""The gradient probe on a Gaussian bandit, where gradient, noise and noise scale are known exactly.

With reward r(a) = −|a − target|² and a = μ(s) + σz, the gradient is E[Jᵀ·2(target − μ)] for the mean network and −2σ²
for log σ. Everything is polynomial in z, so that Gauss-Hermite quadrature gives the estimator's noise without error, for
the very networks of the agent.
"""

import itertools

import numpy as np
import pytest
import torch

from pgprim.core.mlp import forward, policy_net, value_net
from tests.oracles.environments import CONTEXTS, TARGETS
from tests.oracles.pipeline import (
    estimate_at,
    gradients_of,
    make_agent,
    mean_advantage_gradients,
    slope_of_error,
    union_of,
    write_params,
)

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HIDDEN = (16, 16)
BUDGETS = [50, 200, 800, 3200]
JOINED = [6400, 12800]
STREAMS = 20


class _Oracle:
    """What theory says about one agent.

    Attributes:
        grad: ∇θ of the expected reward.
        adv_std: Standard deviation of A = r − V(s).
        grad_norm: Limit of the batch-normalised estimate, grad / adv_std.
        trace: tr Σ, with estimates' covariance Σ/N in the limit.
        spread: √(2 tr Σ²) / tr Σ, the relative deviation of one estimate's squared error from its mean.
    """

    def __init__(self, theta, phi, policy, value):
        theta = theta.double().requires_grad_()
        parts = policy.split(theta)
        obs = torch.from_numpy(CONTEXTS)[None]
        mu = forward(policy, parts, obs)[0]
        sigma = parts[-1].exp()[0].detach().numpy()
        jacobian = np.stack(
            [[torch.autograd.grad(m, theta, retain_graph=True)[0][0].numpy() for m in row] for row in mu]
        )
        mu, val = mu.detach().numpy(), forward(value, value.split(phi.double()), obs)[0, :, 0].numpy()

        nodes, weights = np.polynomial.hermite_e.hermegauss(9)
        weights = weights / weights.sum()
        scores, advs, shares = [], [], []
        for context, j, k in itertools.product(range(3), range(9), range(9)):
            z = nodes[[j, k]]
            score = (z / sigma) @ jacobian[context]
            score[-2:] = z**2 - 1
            scores.append(score)
            advs.append(-np.square(mu[context] + sigma * z - TARGETS[context]).sum() - val[context])
            shares.append(weights[j] * weights[k] / 3)
        scores, advs, shares = np.array(scores), np.array(advs), np.array(shares)
        centred = advs - shares @ advs
        self.adv_std = np.sqrt(shares @ centred**2)
        by_quadrature = (shares * advs) @ scores

        pull = 2 * (TARGETS - mu)
        self.grad = np.einsum("ka,kap->p", pull, jacobian) / 3
        self.grad[-2:] = -2 * sigma**2
        np.testing.assert_allclose(by_quadrature, self.grad, atol=1e-10)

        self.grad_norm = self.grad / self.adv_std
        # To first order in 1/N: the noise of the mean, and that of dividing by the sample's own deviation.
        scaled = centred / self.adv_std
        influence = scores * scaled[:, None] - self.grad_norm * (0.5 + 0.5 * scaled[:, None] ** 2)
        covariance = (influence * shares[:, None]).T @ influence
        self.trace = np.trace(covariance)
        self.spread = np.sqrt(2 * np.square(covariance).sum()) / self.trace


@pytest.fixture(scope="module")
def bandit(tmp_path_factory):
    """The probe's results and what they must be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("bandit"))
        params = write_params(
            "bandit", "tests.oracles.environments:GaussianBandit-v0", BUDGETS, STREAMS, hidden=list(HIDDEN)
        )
        policy, value = policy_net(2, 2, HIDDEN), value_net(2, HIDDEN)
        rng = torch.Generator().manual_seed(0)
        theta = 0.5 * torch.randn(1, policy.num_params, generator=rng)
        theta[:, -2:] = torch.tensor([-0.3, 0.2])
        phi = 0.5 * torch.randn(1, value.num_params, generator=rng)
        make_agent(params, "bandit", theta, phi, 2, 2)
        return *estimate_at(BUDGETS, JOINED), _Oracle(theta, phi, policy, value)


def _gradients(sums):
    return np.stack([gradients_of(some) for some in sums])


def _cosines(vectors, oracle):
    return vectors @ oracle.grad / np.linalg.norm(vectors, axis=-1) / np.linalg.norm(oracle.grad)


def _squared_errors(sums, oracle):
    return np.square(_gradients(sums) - oracle.grad_norm).sum(-1)


def test_the_error_is_what_theory_says_at_every_budget(bandit):
    sums, _, oracle = bandit
    for budget, errors in zip(BUDGETS, _squared_errors(sums, oracle), strict=True):
        ratio = budget * errors.mean() / oracle.trace
        bias = 5 / budget  # terms of higher order in 1/N
        assert abs(ratio - 1) < 3 * oracle.spread / STREAMS**0.5 + bias


def test_the_error_falls_as_the_root_of_the_sample(bandit):
    sums, _, oracle = bandit
    slope, error = slope_of_error(np.array(BUDGETS), _squared_errors(sums, oracle))
    assert error < 0.1
    assert abs(slope + 0.5) < 3 * error


def test_the_cosine_to_the_analytic_gradient_goes_to_one(bandit):
    sums, _, oracle = bandit
    cosines = _cosines(_gradients(sums), oracle)
    scale = oracle.trace / np.square(oracle.grad_norm).sum()
    assert (np.diff(cosines.mean(1)) > 0).all()
    assert cosines[-1].mean() > 0.98
    # Noise along the gradient does not turn it, so the cosine is no lower than the noise scale says.
    assert (cosines.mean(1)[1:] > np.sqrt(1 / (1 + scale / np.array(BUDGETS[1:]))) - 0.01).all()


def test_the_truth_is_the_analytic_gradient(bandit):
    """Within the error that its number of pairs leaves."""
    sums, numbers, oracle = bandit
    truth = union_of(sums[-1])
    assert np.linalg.norm(truth - oracle.grad_norm) < 2 * np.sqrt(oracle.trace / float(numbers.truth_pairs))


def test_without_division_by_the_deviation_the_estimate_is_unbiased(bandit):
    sums, _, oracle = bandit
    last = mean_advantage_gradients(sums[-1]) * BUDGETS[-1] / (BUDGETS[-1] - 1)
    z = (last.mean(0) - oracle.grad) / (last.std(0, ddof=1) / STREAMS**0.5)
    assert np.abs(np.median(z)) < 1 and np.mean(np.abs(z) > 4) < 0.02


def test_the_noise_scale_is_the_known_one(bandit):
    _, numbers, oracle = bandit
    scale = oracle.trace / np.square(oracle.grad_norm).sum()
    for budget in [*BUDGETS[1:], *JOINED[:1]]:
        here = numbers.sel(budget=budget)
        assert here.noise_scale_ci.sel(bound="low") < scale < here.noise_scale_ci.sel(bound="high")
        assert here.noise_scale_ci.sel(bound="high") < 3 * here.noise_scale_ci.sel(bound="low")
    assert (
        numbers.truth_noise_scale_ci.sel(bound="low") < scale < numbers.truth_noise_scale_ci.sel(bound="high")
    )
    assert numbers.mean_episode_length == 1
    np.testing.assert_allclose(numbers.noise_scale_episodes, numbers.noise_scale)


def test_the_corrected_cosine_is_that_to_the_analytic_gradient(bandit):
    sums, numbers, oracle = bandit
    cosines = _cosines(_gradients(sums), oracle).mean(1)
    np.testing.assert_allclose(numbers.truth_cosine_corrected.sel(budget=BUDGETS), cosines, atol=0.02)


def test_joined_streams_give_the_estimates_of_larger_budgets(bandit):
    """The cosine of estimates from N pairs is N / (N + B) in expectation, whether the pairs are of one stream or of four."""
    _, numbers, oracle = bandit
    scale = oracle.trace / np.square(oracle.grad_norm).sum()
    assert numbers.num_trials.sel(budget=JOINED).values.tolist() == [10, 5]
    for budget in JOINED:
        here = numbers.sel(budget=budget)
        low, high = here.cosine_ci.values
        assert high - low < 0.02 and low - 0.01 < budget / (budget + scale) < high + 0.01
        assert here.cosine > numbers.cosine.sel(budget=BUDGETS[-1])
        assert here.truth_cosine_corrected > 0.99
