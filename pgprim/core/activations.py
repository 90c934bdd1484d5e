"""Activations of hidden layers and their derivatives, as torch defines them."""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtr
from torch import Tensor
from torch.nn import functional

LEAK = 0.01
"""Slope of leaky_relu below 0."""

BY_INPUT = ("silu", "gelu")
"""Activations whose derivative does not follow from their value, because they are not monotone."""


def activate(name: str, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The activation, element by element. Without autograd, tanh is numpy's, which takes half the time."""
    if name == "tanh" and not (torch.is_grad_enabled() and x.requires_grad):
        return torch.from_numpy(np.tanh(x.detach().numpy()))
    return _ACTIVATIONS[name](x)


def slope(name: str, value: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The derivative from the activation's value, for all but `BY_INPUT`."""
    match name:
        case "tanh":
            return 1 - value.square()
        case "relu":
            return (value > 0).to(value.dtype)
        case "leaky_relu":
            return (value > 0).to(value.dtype) * (1 - LEAK) + LEAK
        case "elu":
            return value.clamp(max=0) + 1
        case _:
            raise ValueError(f"the derivative of {name} does not follow from its value")


def slope_at(name: str, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The derivative from the activation's input, for `BY_INPUT`."""
    if name == "silu":
        gate = x.sigmoid()
        return gate * (1 + x * (1 - gate))
    density = (-0.5 * x.square()).exp() / math.sqrt(2 * math.pi)
    return torch.from_numpy(ndtr(x.numpy())) + x * density


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": functional.relu,
    "elu": functional.elu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "leaky_relu": lambda x: functional.leaky_relu(x, LEAK),
}
