"""Score sums against automatic differentiation and against what scores are known to do."""

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net
from pgprim.core.scores import score_sums


def _draw(streams, pairs, num_obs=5, num_act=2, hidden=(7, 6), seed=0, **kind):
    rng = torch.Generator().manual_seed(seed)
    net = policy_net(num_obs, num_act, hidden, **kind)

    def normal(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    theta = 0.5 * normal(1, net.num_params)
    if kind.get("sigma") == "linear":
        theta[:, -num_act:] = theta[:, -num_act:].exp()
    return (
        net,
        theta,
        normal(streams, pairs, num_obs),
        normal(streams, pairs, num_act),
    )


def _brute_force(theta, net, obs, act, weights):
    """One gradient of Σ_t w_t log π per stream and weighting, by automatic differentiation."""
    theta = theta.clone().requires_grad_()
    parts = net.split(theta)
    sums = []
    for stream in range(obs.shape[0]):
        mu = forward(net, parts, obs[stream][None])
        logp = log_prob(mu, net.log_sigma(parts), act[stream][None])[0]
        rows = [
            torch.autograd.grad(logp @ column, theta, retain_graph=True)[0] for column in weights[stream].T
        ]
        sums.append(torch.cat(rows))
    return torch.stack(sums)


ACTIVATIONS = ("tanh", "relu", "elu", "silu", "gelu", "leaky_relu")


@pytest.mark.parametrize(
    "kind",
    [{"hidden": (4,)}, {"hidden": ()}, {"sigma": "linear"}, *({"activation": name} for name in ACTIVATIONS)],
)
def test_equals_autograd(kind):
    net, theta, obs, act = _draw(streams=3, pairs=20, **kind)
    weights = torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sums = score_sums(theta, net, obs, act, weights)
    assert sums.shape == (3, 4, net.num_params)
    torch.testing.assert_close(sums, _brute_force(theta, net, obs, act, weights), rtol=1e-10, atol=1e-10)


def test_worked_number():
    """One affine layer, one pair: with μ = s w + b and z = (a − μ)/σ, the score is (s z/σ, z/σ, z² − 1)."""
    net = policy_net(1, 1, ())
    theta = torch.tensor([[2.0, 1.0, np.log(0.5)]], dtype=torch.float64)
    obs, act = (
        torch.full((1, 1, 1), 3.0, dtype=torch.float64),
        torch.full((1, 1, 1), 8.5, dtype=torch.float64),
    )
    sums = score_sums(theta, net, obs, act, torch.ones(1, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(
        sums[0, 0], torch.tensor([18.0, 6.0, 8.0], dtype=torch.float64)
    )  # μ = 7, z = 3


def test_splitting_the_pairs_changes_nothing():
    net, theta, obs, act = _draw(streams=2, pairs=30)
    weights = torch.rand(2, 30, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = score_sums(theta, net, obs, act, weights)
    parts = sum(
        score_sums(theta, net, obs[:, cut], act[:, cut], weights[:, cut])
        for cut in (slice(0, 11), slice(11, 30))
    )
    torch.testing.assert_close(whole, parts)


def test_score_has_mean_zero_and_fisher_variance():
    """E s = 0 under the policy's own actions, and the score of log σ has variance 2 (within four standard errors)."""
    net, theta, obs, _ = _draw(streams=1, pairs=200_000)
    parts = net.split(theta)
    noise = torch.randn(obs.shape[:2] + (2,), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    act = forward(net, parts, obs) + parts[-1].exp() * noise
    blocks = obs.shape[1] // 1000

    def fold(array):
        return array.view(blocks, 1000, -1)

    ones = torch.ones(blocks, 1000, 1, dtype=torch.float64)
    means = score_sums(theta, net, fold(obs), fold(act), ones)[:, 0] / 1000
    z = means.mean(0) / (means.std(0) / blocks**0.5)
    assert z.abs().max() < 4.5  # the largest of about a hundred
    fisher = 1000 * means[:, -2:].square().mean(0)
    assert ((fisher - 2).abs() < 4 * 2 * (2 / blocks) ** 0.5).all()


def test_single_precision_is_enough():
    net, theta, obs, act = _draw(streams=2, pairs=2048)
    weights = torch.randn(2, 2048, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    exact = score_sums(theta, net, obs, act, weights)
    rough = score_sums(theta.float(), net, obs.float(), act.float(), weights.float()).double()
    assert ((rough - exact).norm(dim=-1) / exact.norm(dim=-1)).max() < 1e-5
