"""Multi-layer perceptrons with tanh units whose parameters are one flat vector.

Several networks of one shape are computed at once: a leading `agent` axis on parameters and inputs. An agent's result
does not depend on which others are in the stack.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class MLP:
    """The shape of a network and where its parameters lie in the flat vector.

    Attributes:
        sizes: Units per layer, inputs first, e.g. (11, 64, 64, 3).
        extra: Names and lengths of parameters behind the layers', such as ("log_sigma", 3).
        prefix: Name of the network in parameter names.
    """

    sizes: tuple[int, ...]
    extra: tuple[tuple[str, int], ...] = ()
    prefix: str = "net"

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


def policy_net(num_obs: int, num_act: int, hidden: tuple[int, ...]) -> MLP:
    """The Gaussian policy's mean network with log σ behind it (Sec. 2: σ is part of θ)."""
    return MLP((num_obs, *hidden, num_act), (("log_sigma", num_act),), "policy")


def value_net(num_obs: int, hidden: tuple[int, ...]) -> MLP:
    """The value network V_φ, separate from the policy."""
    return MLP((num_obs, *hidden, 1), (), "value")


def activations(
    parts: list[Float[Tensor, "agent ..."]], inputs: Float[Tensor, "agent pair input"], num_layers: int
) -> list[Float[Tensor, "agent pair _"]]:
    """What each layer reads, and last the output: tanh between layers, none at the end.

    Args:
        parts: Parameters as `MLP.split` gives them.
        inputs: One batch for each network.
        num_layers: Number of affine layers; parameters behind theirs are not used.
    """
    found = [inputs]
    for layer in range(num_layers):
        weight, bias = parts[2 * layer], parts[2 * layer + 1]
        if (
            weight.shape[-1] == 1
        ):  # a matrix-vector product would round differently in stacks of one and of many
            hidden = (found[-1] * weight.transpose(1, 2)).sum(-1, keepdim=True) + bias.unsqueeze(1)
        else:
            hidden = torch.baddbmm(bias.unsqueeze(1), found[-1], weight)
        found.append(torch.tanh(hidden) if layer < num_layers - 1 else hidden)
    return found


def forward(
    parts: list[Float[Tensor, "agent ..."]], inputs: Float[Tensor, "agent pair input"], num_layers: int
) -> Float[Tensor, "agent pair output"]:
    """The network's output; see `activations`."""
    return activations(parts, inputs, num_layers)[-1]


def signals(
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    cotangent: Float[Tensor, "agent pair output"],
) -> list[Float[Tensor, "agent pair _"]]:
    """Backpropagation per pair: the derivative of Σ cotangent·output with respect to each layer's affine output.

    The gradient with respect to a layer's weight is Σ over pairs of (what it reads) ⊗ (its signal), to its bias Σ signal.

    Args:
        parts: Parameters as `MLP.split` gives them.
        acts: From `activations`.
        cotangent: Derivative of a scalar with respect to each output.
    """
    found = [cotangent]
    for layer in range(len(acts) - 2, 0, -1):
        back = torch.bmm(found[0], parts[2 * layer].transpose(1, 2))
        found.insert(0, back * (1 - acts[layer].square()))
    return found


def backward(
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    cotangent: Float[Tensor, "agent pair output"],
) -> list[Float[Tensor, "agent ..."]]:
    """Gradient of Σ cotangent·output with respect to the layers' parameters, summed over pairs; one array per parameter."""
    grads = []
    for act, signal in zip(acts, signals(parts, acts, cotangent), strict=False):
        grads += [torch.bmm(act.transpose(1, 2), signal), signal.sum(1)]
    return grads


def tangent(
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    direction: list[Float[Tensor, "agent ..."]],
) -> Float[Tensor, "agent pair output"]:
    """Directional derivative of the output as the parameters move along `direction`, which is laid out like `parts`."""
    moved = None
    num_layers = len(acts) - 1
    for layer in range(num_layers):
        along = torch.baddbmm(direction[2 * layer + 1].unsqueeze(1), acts[layer], direction[2 * layer])
        if moved is not None:
            along = torch.baddbmm(along, moved, parts[2 * layer])
        moved = along * (1 - acts[layer + 1].square()) if layer < num_layers - 1 else along
    return moved
