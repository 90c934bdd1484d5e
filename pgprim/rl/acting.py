"""Actions of frozen or training policies at the pace of the simulator.

numpy in single precision: for a handful of observations its calls cost a third of torch's.
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
    """A function that acts for streams of several policies, the same number of streams for each.

    Streams are in the order of their policies. A policy's streams go through its network in products of `rows` rows, the
    last one filled up with rows that nobody reads: the last bits of a product depend on its shape, and a stream must not
    depend on how many others there are.

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
