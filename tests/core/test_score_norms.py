"""Squared norms of single scores against automatic differentiation."""

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net
from pgprim.core.score_norms import squared_score_norms


@pytest.mark.parametrize("sigma", ["log", "linear"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "elu", "silu", "gelu", "leaky_relu"])
def test_it_is_the_squared_norm_of_each_pairs_gradient(activation, sigma):
    rng, net = np.random.default_rng(0), policy_net(4, 2, (7, 5), activation, sigma)
    theta = torch.from_numpy(0.5 * rng.standard_normal((1, net.num_params)))
    theta[:, -2:] = theta[:, -2:].abs()
    theta.requires_grad_()
    obs, act = (torch.from_numpy(rng.standard_normal((3, 6, size))) for size in (4, 2))
    ours = squared_score_norms(theta.detach(), net, obs, act)
    for stream, pair in np.ndindex(3, 6):
        parts = net.split(theta)
        mu = forward(net, parts, obs[stream, pair][None, None])
        logp = log_prob(mu, net.log_sigma(parts), act[stream, pair][None, None]).sum()
        score = torch.autograd.grad(logp, theta)[0]
        assert abs(ours[stream, pair] / score.square().sum() - 1) < 1e-12
