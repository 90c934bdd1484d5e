"""Actions of frozen or training policies at the pace of the simulator.

numpy in single precision: for a handful of observations its calls cost a third of torch's.
"""

from collections.abc import Callable
from math import ceil

import numpy as np
import torch
from jaxtyping import Float32

from pgprim.core.mlp import policy_net

Actor = Callable[
    [Float32[np.ndarray, "stream obs"], Float32[np.ndarray, "stream act"]], Float32[np.ndarray, "stream act"]
]


def make_actor(
    theta: Float32[np.ndarray, "policy param"],
    num_obs: int,
    num_act: int,
    hidden: tuple[int, ...],
    num_streams: int,
    rows: int,
) -> Actor:
    """A function that acts for streams of several policies, the same number of streams for each.

    Streams are in the order of their policies. A policy's streams go through its network in products of `rows` rows, the
    last one filled up with rows that nobody reads: the last bits of a product depend on its shape, and a stream must not
    depend on how many others there are.

    Args:
        theta: Parameters of each policy.
        num_obs: Length of an observation.
        num_act: Length of an action.
        hidden: Units per hidden layer.
        num_streams: Streams of all policies together.
        rows: Rows per matrix product.

    Returns:
        (normalised observations, standard normal noise) ↦ μ(s) + σ·noise.
    """
    *layers, log_sigma = (
        part.numpy() for part in policy_net(num_obs, num_act, hidden).split(torch.from_numpy(theta))
    )
    weights, biases = [w[:, None] for w in layers[0::2]], [b[:, None, None] for b in layers[1::2]]
    sigma = np.exp(log_sigma)[:, None]
    num_policies, each = len(theta), num_streams // len(theta)
    shape = (num_policies, ceil(each / rows), rows)
    units = [np.zeros((*shape, width), np.float32) for width in (num_obs, *hidden, num_act)]
    padded = units[0].reshape(num_policies, -1, num_obs)

    def act(obs, noise):
        padded[:, :each] = obs.reshape(num_policies, each, num_obs)
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            out = np.matmul(units[layer], weight, out=units[layer + 1])
            out += bias
            if layer < len(hidden):
                np.tanh(out, out=out)
        mu = out.reshape(num_policies, -1, num_act)[:, :each]
        drawn = noise.reshape(num_policies, each, num_act) * sigma
        drawn += mu
        return drawn.reshape(num_streams, num_act)

    return act
