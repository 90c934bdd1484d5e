"""The policy update of PPO and PPO-M (Eq. 17)."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.adam import adam_update_
from pgprim.core.gaussian import log_prob, log_prob_grad
from pgprim.core.mlp import MLP, activations, backward, forward
from pgprim.core.surrogate import clipped_surrogate_weight, normalise_advantage, ratio
from pgprim.rl.batch import Batch, minibatch_edges, shuffled, shuffles
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AdamState


def ppo_update(
    net: MLP,
    theta: Float[Tensor, "agent param"],
    adam: AdamState,
    batch: Batch,
    settings: Settings,
    lr: float,
    rngs: list[np.random.Generator],
) -> tuple[Float[Tensor, "agent param"], AdamState]:
    """Ten passes of minibatch Adam on the clipped surrogate, advantages normalised in each minibatch.

    Args:
        net: Shape of the policy.
        theta: Its parameters, left as they are.
        adam: Optimiser, left as it is.
        batch: Pairs; the minibatches are as many for every batch size.
        settings: Passes, minibatches, ε, Adam's ε.
        lr: Learning rate.
        rngs: One generator per agent, for the order of its pairs.

    Returns:
        New parameters and new optimiser.
    """
    theta_old = theta
    theta, adam = theta.clone(), AdamState(adam.m.clone(), adam.v.clone(), adam.count)
    num_layers = len(net.sizes) - 1
    parts, parts_old = net.split(theta), net.split(theta_old)
    logp_old = log_prob(forward(parts_old, batch.obs, num_layers), parts_old[-1], batch.act)
    others = torch.cat([batch.act, batch.adv.unsqueeze(-1), logp_old.unsqueeze(-1)], dim=-1)
    edges = minibatch_edges(batch.num_pairs, settings.minibatches)
    for _ in range(settings.policy_epochs):
        order = shuffles(rngs, batch.num_pairs)
        obs, columns = shuffled(batch.obs, order), shuffled(others, order)
        for start, stop in pairwise(edges):
            piece = columns[:, start:stop]
            act, adv = piece[..., :-2], normalise_advantage(piece[..., -2])
            acts = activations(parts, obs[:, start:stop], num_layers)
            rho = ratio(log_prob(acts[-1], parts[-1], act), piece[..., -1])
            slope = -clipped_surrogate_weight(rho, adv, settings.eps).unsqueeze(-1) / (stop - start)
            by_mu, by_log_sigma = log_prob_grad(acts[-1], parts[-1], act)
            grad = [*backward(parts, acts, slope * by_mu), (slope * by_log_sigma).sum(1)]
            adam = adam_update_(theta, adam, net.join(grad), lr, settings.adam_eps)
    return theta, adam
