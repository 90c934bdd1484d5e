"""Fitting the value network (Eq. 4), the same for all algorithms."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.adam import adam_update_
from pgprim.core.mlp import MLP, activations, backward, forward
from pgprim.core.surrogate import value_loss, value_loss_weight
from pgprim.rl.batch import Batch, minibatch_edges, shuffled, shuffles
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AdamState


def values(
    net: MLP, phi: Float[Tensor, "agent param"], obs: Float[Tensor, "agent pair obs"]
) -> Float[Tensor, "agent pair"]:
    """V_φ(s) at normalised observations."""
    return forward(net.split(phi), obs, len(net.sizes) - 1)[..., 0]


def fit_value(
    net: MLP,
    phi: Float[Tensor, "agent param"],
    adam: AdamState,
    batch: Batch,
    settings: Settings,
    lr: float,
    rngs: list[np.random.Generator],
) -> tuple[Float[Tensor, "agent param"], AdamState, Float[Tensor, " agent"]]:
    """Ten passes of minibatch Adam over the batch.

    Args:
        net: Shape of the network.
        phi: Its parameters, left as they are.
        adam: Optimiser, left as it is.
        batch: Pairs.
        settings: Passes, minibatches, clipping, Adam's ε.
        lr: Learning rate.
        rngs: One generator per agent, for the order of its pairs.

    Returns:
        New parameters, new optimiser, and the loss over the whole batch after the fit.
    """
    phi, adam = phi.clone(), AdamState(adam.m.clone(), adam.v.clone(), adam.count)
    num_layers = len(net.sizes) - 1
    parts = net.split(phi)
    weight = torch.ones_like(batch.target) if batch.weight is None else batch.weight
    scalars = torch.stack([batch.target, batch.val_old, weight], dim=-1)
    edges = minibatch_edges(batch.num_pairs, settings.minibatches)
    for _ in range(settings.value_epochs):
        order = shuffles(rngs, batch.num_pairs)
        obs, columns = shuffled(batch.obs, order), shuffled(scalars, order)
        for start, stop in pairwise(edges):
            target, val_old, share = columns[:, start:stop].unbind(-1)
            acts = activations(parts, obs[:, start:stop], num_layers)
            slope = value_loss_weight(acts[-1][..., 0], val_old, target, settings.value_clip) * share
            slope = slope / share.sum(-1, keepdim=True).clamp(min=1)
            adam = adam_update_(
                phi, adam, net.join(backward(parts, acts, slope.unsqueeze(-1))), lr, settings.adam_eps
            )
    loss = value_loss(
        values(net, phi, batch.obs), batch.val_old, batch.target, batch.weight, settings.value_clip
    )
    return phi, adam, loss
