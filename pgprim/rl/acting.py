"""Actions of frozen or training policies at the pace of the simulator.

numpy in single precision: for a handful of observations its calls cost a third of torch's.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float

from pgprim.core.mlp import policy_net

Actor = Callable[
    [Float[np.ndarray, "agent env obs"], Float[np.ndarray, "agent env act"]],
    Float[np.ndarray, "agent env act"],
]


def make_actor(
    theta: Float[np.ndarray, "agent param"], num_obs: int, num_act: int, hidden: tuple[int, ...]
) -> Actor:
    """A function that acts for a stack of policies.

    Args:
        theta: One parameter vector per agent, single precision.
        num_obs: Length of an observation.
        num_act: Length of an action.
        hidden: Units per hidden layer.

    Returns:
        (normalised observations, standard normal noise) ↦ μ(s) + σ·noise, each agent with its own environments.
    """
    parts = [part.numpy() for part in policy_net(num_obs, num_act, hidden).split(torch.from_numpy(theta))]
    *layers, log_sigma = parts
    weights, biases = layers[0::2], [bias[:, None] for bias in layers[1::2]]
    sigma = np.exp(log_sigma)[:, None]

    def act(obs, noise):
        hidden = obs
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            hidden = np.matmul(hidden, weight)
            hidden += bias
            np.tanh(hidden, out=hidden)
        mu = np.matmul(hidden, weights[-1])
        mu += biases[-1]
        mu += sigma * noise
        return mu

    return act
