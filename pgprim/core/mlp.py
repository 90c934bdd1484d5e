"""Multi-layer perceptrons whose parameters are one flat vector.

Several networks of one shape are computed at once, along a leading `agent` axis of parameters and inputs. An agent's
result does not depend on the other agents in the stack, and the output at one input does not depend on the other inputs.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.activations import BY_INPUT, activate, slope, slope_at

TILE = 8
"""Rows of a product within which OpenBLAS treats all alike (12 of 16 are summed in another order than the rest)."""


@dataclass(frozen=True)
class MLP:
    """The shape of a network and where its parameters lie in the flat vector.

    Attributes:
        sizes: Units per layer, inputs first, e.g. (11, 64, 64, 3).
        extra: Names and lengths of parameters after the layers', such as ("log_sigma", 3).
        prefix: Name of the network in parameter names.
        activation: Of the hidden layers (`core.activations`).
    """

    sizes: tuple[int, ...]
    extra: tuple[tuple[str, int], ...] = ()
    prefix: str = "net"
    activation: str = "tanh"

    @property
    def layout(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the parameters in the order of the flat vector; weights are [in, out]."""
        named: list[tuple[str, tuple[int, ...]]] = []
        for layer, (num_in, num_out) in enumerate(pairwise(self.sizes)):
            named += [
                (f"{self.prefix}.{layer}.weight", (num_in, num_out)),
                (f"{self.prefix}.{layer}.bias", (num_out,)),
            ]
        return named + [(name, (length,)) for name, length in self.extra]

    @property
    def num_layers(self) -> int:
        """Number of affine layers."""
        return len(self.sizes) - 1

    @property
    def num_params(self) -> int:
        """Length of the flat vector."""
        return sum(prod(shape) for _, shape in self.layout)

    def split(self, flat: Float[Tensor, "agent param"]) -> list[Float[Tensor, "agent ..."]]:
        """The parameters of the layout as views of the flat vectors, each with the leading agent axis."""
        lengths = [prod(shape) for _, shape in self.layout]
        parts = torch.split(flat, lengths, dim=-1)
        return [part.view(-1, *shape) for part, (_, shape) in zip(parts, self.layout, strict=True)]

    def join(self, parts: list[Float[Tensor, "agent ..."]]) -> Float[Tensor, "agent param"]:
        """The inverse of `split`."""
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def log_sigma(self, parts: list[Float[Tensor, "agent ..."]]) -> Float[Tensor, "agent act"]:
        """A policy's log σ, whether its parameters are log σ or σ."""
        return parts[-1] if self.extra[0][0] == "log_sigma" else parts[-1].log()

    def log_sigma_slope(self, parts: list[Float[Tensor, "agent ..."]]) -> Float[Tensor, "agent act"]:
        """Derivative of a policy's log σ with respect to the parameters that hold it: 1 or 1/σ."""
        return torch.ones_like(parts[-1]) if self.extra[0][0] == "log_sigma" else 1 / parts[-1]


def policy_net(
    num_obs: int, num_act: int, hidden: tuple[int, ...], activation: str = "tanh", sigma: str = "log"
) -> MLP:
    """The Gaussian policy's mean network, with log σ or σ as further parameters (Sec. 2: σ is part of θ)."""
    name = "log_sigma" if sigma == "log" else "sigma"
    return MLP((num_obs, *hidden, num_act), ((name, num_act),), "policy", activation)


def value_net(num_obs: int, hidden: tuple[int, ...], activation: str = "tanh") -> MLP:
    """The value network V_φ, separate from the policy."""
    return MLP((num_obs, *hidden, 1), (), "value", activation)


def activations(
    net: MLP, parts: list[Float[Tensor, "agent ..."]], inputs: Float[Tensor, "agent pair input"]
) -> list[Float[Tensor, "agent pair _"]]:
    """Inputs of each layer, and last the output: the activation between layers, none at the end.

    Args:
        net: The network's shape.
        parts: Parameters as `MLP.split` gives them.
        inputs: One batch for each network.
    """
    acts = [inputs]
    for layer in range(net.num_layers):
        affine = _affine(parts, acts[-1], layer)
        acts.append(activate(net.activation, affine) if layer < net.num_layers - 1 else affine)
    return acts


def forward(
    net: MLP, parts: list[Float[Tensor, "agent ..."]], inputs: Float[Tensor, "agent pair input"]
) -> Float[Tensor, "agent pair output"]:
    """The network's output; see `activations`."""
    return activations(net, parts, inputs)[-1]


def signals(
    net: MLP,
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    cotangent: Float[Tensor, "agent pair output"],
) -> list[Float[Tensor, "agent pair _"]]:
    """Backpropagation per pair: the derivative of Σ cotangent·output with respect to each layer's affine output.

    The gradient with respect to a layer's weight is Σ over pairs of (what it reads) ⊗ (its signal), to its bias Σ
    signal.

    Args:
        net: The network's shape.
        parts: Parameters as `MLP.split` gives them.
        acts: From `activations`.
        cotangent: Derivative of a scalar with respect to each output.
    """
    backwards = [cotangent]
    for layer in range(net.num_layers - 1, 0, -1):
        back = product_by_rows(backwards[-1], parts[2 * layer].transpose(1, 2))
        backwards.append(back.mul_(_slope(net, parts, acts, layer)))
    return backwards[::-1]


def backward(
    net: MLP,
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    cotangent: Float[Tensor, "agent pair output"],
) -> list[Float[Tensor, "agent ..."]]:
    """Gradient of Σ cotangent·output with respect to each parameter of the layers, summed over pairs."""
    grads = []
    for act, signal in zip(acts, signals(net, parts, acts, cotangent), strict=False):
        grads += [product(act.transpose(1, 2), signal), signal.sum(1)]
    return grads


def tangent(
    net: MLP,
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    direction: list[Float[Tensor, "agent ..."]],
) -> Float[Tensor, "agent pair output"]:
    """Directional derivative of the output as the parameters move along `direction`, which is laid out like `parts`."""
    moved = None
    for layer in range(net.num_layers):
        along = _affine(direction, acts[layer], layer)
        if moved is not None:
            along += product_by_rows(moved, parts[2 * layer])
        moved = along * _slope(net, parts, acts, layer + 1) if layer < net.num_layers - 1 else along
    return moved


def product(
    left: Float[Tensor, "*batch row inner"], right: Float[Tensor, "*batch inner column"]
) -> Float[Tensor, "*batch row column"]:
    """Matrix products, one per network; numpy's, unless autograd is needed.

    numpy computes each product separately, so that none depends on the other networks, and takes a third of torch's
    time.
    """
    if _is_differentiated(left, right):
        return left @ right
    return torch.from_numpy(np.matmul(left.detach().numpy(), right.detach().numpy()))


def product_by_rows(
    rows: Float[Tensor, "batch row inner"], right: Float[Tensor, "batch inner column"]
) -> Float[Tensor, "batch row column"]:
    """Matrix products in which a row's bits depend only on that row, not on its place or on the number of rows.

    In a product of many rows they depend on both, since a BLAS works on blocks of rows and sums some of them in another
    order. In products of `TILE` rows they do not; the last product is padded to `TILE` rows.
    """
    if _is_differentiated(rows, right):
        return rows @ right
    left, num_rows = rows.detach().numpy(), rows.shape[1]
    if missing := -num_rows % TILE:
        left = np.concatenate([left, np.zeros_like(left[:, :1]).repeat(missing, 1)], axis=1)
    tiles = left.reshape(len(left), -1, TILE, left.shape[2])
    out = np.matmul(tiles, right.detach().numpy()[:, None])
    return torch.from_numpy(out.reshape(len(out), -1, out.shape[3])[:, :num_rows])


def _is_differentiated(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _affine(
    parts: list[Float[Tensor, "agent ..."]], inputs: Float[Tensor, "agent pair _"], layer: int
) -> Float[Tensor, "agent pair _"]:
    return product_by_rows(inputs, parts[2 * layer]).add_(parts[2 * layer + 1].unsqueeze(1))


def _slope(
    net: MLP,
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    layer: int,
) -> Float[Tensor, "agent pair _"]:
    """Derivative of the activation in front of a layer."""
    if net.activation in BY_INPUT:
        return slope_at(net.activation, _affine(parts, acts[layer - 1], layer - 1))
    return slope(net.activation, acts[layer])
