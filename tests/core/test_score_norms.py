"""Squared norms of single scores against automatic differentiation."""

import numpy as np
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net
from pgprim.core.score_norms import squared_score_norms


def test_it_is_the_squared_norm_of_each_pairs_gradient():
    rng, net = np.random.default_rng(0), policy_net(4, 2, (7, 5))
    theta = torch.from_numpy(0.5 * rng.standard_normal((1, net.num_params))).requires_grad_()
    obs, act = (torch.from_numpy(rng.standard_normal((3, 6, size))) for size in (4, 2))
    ours = squared_score_norms(theta.detach(), net, obs, act)
    for stream, pair in np.ndindex(3, 6):
        parts = net.split(theta)
        mu = forward(parts, obs[stream, pair][None, None], 3)
        logp = log_prob(mu, parts[-1], act[stream, pair][None, None]).sum()
        score = torch.autograd.grad(logp, theta)[0]
        assert abs(ours[stream, pair] / score.square().sum() - 1) < 1e-12
