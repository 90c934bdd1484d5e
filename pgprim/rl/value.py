"""The value network and its fit (Eq. 4), the same for all algorithms."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.learner import Learner, clip_gradients
from pgprim.core.mlp import MLP, forward
from pgprim.core.surrogate import value_loss_weight
from pgprim.rl.batch import Batch, minibatches
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AdamState


def values(
    net: MLP, phi: Float[Tensor, "agent param"], obs: Float[Tensor, "agent pair obs"]
) -> Float[Tensor, "agent pair"]:
    """V_φ(s) at normalised observations."""
    return forward(net, net.split(phi), obs)[..., 0]


def fit_value(
    net: MLP,
    phi: Float[Tensor, "agent param"],
    adam: AdamState,
    batch: Batch,
    settings: Settings,
    lr: float,
    rngs: list[np.random.Generator],
) -> tuple[Float[Tensor, "agent param"], AdamState]:
    """Minibatch Adam over the batch, `value_epochs` times.

    Args:
        net: Shape of the network.
        phi: Its parameters, left as they are.
        adam: Optimiser, left as it is.
        batch: Pairs.
        settings: Passes, minibatches, clipping, Adam's ε.
        lr: Learning rate.
        rngs: One generator per agent, for the order of its pairs.

    Returns:
        New parameters and new optimiser.
    """
    learner = Learner(net, phi, adam, settings.adam_eps)
    columns = value_columns(batch)
    for _, obs, some in minibatches(batch.obs, columns, settings, settings.value_epochs, rngs):
        value_gradient(learner, obs, some, settings)
        if settings.max_grad_norm is not None:
            clip_gradients([learner], settings.max_grad_norm)
        learner.step(lr)
    return learner.params, learner.adam


def value_columns(batch: Batch) -> Float[Tensor, "agent pair 3"]:
    """The columns that `value_gradient` reads: target, V_old, weight."""
    weight = torch.ones_like(batch.target) if batch.weight is None else batch.weight
    return torch.stack([batch.target, batch.val_old, weight], dim=-1)


def value_gradient(
    learner: Learner,
    obs: Float[Tensor, "agent pair obs"],
    columns: Float[Tensor, "agent pair 3"],
    settings: Settings,
) -> None:
    """Store in the learner the gradient of a minibatch's value loss, times its coefficient."""
    target, val_old, weight = columns.unbind(-1)
    slope = value_loss_weight(
        learner.forward(obs)[..., 0], val_old, target, settings.value_clip, settings.value_clip_max
    )
    share = weight * (settings.value_coef / weight.sum(-1, keepdim=True).clamp(min=1))
    learner.backward((slope * share).unsqueeze(-1))
