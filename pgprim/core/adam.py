"""Adam (Kingma & Ba 2015) as a pure function on stacked flat parameters."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.types.checkpoint import AdamState

BETA1, BETA2 = 0.9, 0.999


def adam_init(params: Float[Tensor, "agent param"]) -> AdamState:
    """The state before the first update."""
    return AdamState(torch.zeros_like(params), torch.zeros_like(params), 0)


def adam_update_(
    params: Float[Tensor, "agent param"],
    state: AdamState,
    grad: Float[Tensor, "agent param"],
    lr: float,
    eps: float,
) -> AdamState:
    """One descent step. Writes into `params` and the state's arrays, which the caller owns, and returns the state.

    Args:
        params: Parameters, changed in place.
        state: Moments, changed in place.
        grad: Gradient of the loss.
        lr: Learning rate.
        eps: Added to the root of the second moment (after bias correction, as in the paper).
    """
    count = state.count + 1
    state.m.lerp_(grad, 1 - BETA1)
    state.v.mul_(BETA2).addcmul_(grad, grad, value=1 - BETA2)
    root = torch.from_numpy(np.sqrt(state.v.numpy()))  # torch's sqrt is not the same on every processor
    root.div_((1 - BETA2**count) ** 0.5).add_(eps)
    params.addcdiv_(state.m, root, value=-lr / (1 - BETA1**count))
    return AdamState(state.m, state.v, count)
