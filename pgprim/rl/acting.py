"""Actions of policies, as fast as the simulator needs them.

In numpy and single precision: with few observations its calls take a third of torch's time.
"""

from collections.abc import Callable
from math import ceil

import numpy as np
import torch
from jaxtyping import Float32

from pgprim.core.activations import activate
from pgprim.core.mlp import MLP

Actor = Callable[
    [Float32[np.ndarray, "stream obs"], Float32[np.ndarray, "stream act"]], Float32[np.ndarray, "stream act"]
]


def make_actor(net: MLP, theta: Float32[np.ndarray, "policy param"], num_streams: int, rows: int) -> Actor:
    """A function that computes actions for streams of several policies, with equally many streams each.

    Streams are in order of their policies. A policy's streams pass its network in matrix products of `rows` rows, the
    last one padded: the last bits of a product depend on its shape, and a stream must not depend on the number of
    streams.

    Args:
        net: Shape of the policies.
        theta: Parameters of each policy.
        num_streams: Streams of all policies together.
        rows: Rows per matrix product.

    Returns:
        (normalised observations, standard normal noise) ↦ μ(s) + σ·noise.
    """
    parts = net.split(torch.from_numpy(theta))
    layers = [part.numpy() for part in parts[:-1]]
    weights, biases = [w[:, None] for w in layers[0::2]], [b[:, None, None] for b in layers[1::2]]
    sigma = np.exp(net.log_sigma(parts).numpy())[:, None]
    num_obs, num_act = net.sizes[0], net.sizes[-1]
    num_policies, each = len(theta), num_streams // len(theta)
    shape = (num_policies, ceil(each / rows), rows)
    units = [np.zeros((*shape, width), np.float32) for width in net.sizes]
    padded = units[0].reshape(num_policies, -1, num_obs)

    def act(obs, noise):
        padded[:, :each] = obs.reshape(num_policies, each, num_obs)
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            out = np.matmul(units[layer], weight, out=units[layer + 1])
            out += bias
            if layer == net.num_layers - 1:
                break
            if net.activation == "tanh":
                np.tanh(out, out=out)
            else:
                out[:] = activate(net.activation, torch.from_numpy(out)).numpy()
        mu = out.reshape(num_policies, -1, num_act)[:, :each]
        drawn = noise.reshape(num_policies, each, num_act) * sigma
        drawn += mu
        return drawn.reshape(num_streams, num_act)

    return act
