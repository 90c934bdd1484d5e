"""A batch of state-action pairs as the updates see it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One iteration's pairs for a stack of agents.

    Attributes:
        obs: Normalised observations.
        act: Actions.
        adv: Advantages A, not normalised; fixed before either network is updated.
        target: Value targets V_old + A (Eq. 4).
        val_old: V_old(s).
        weight: 1 for pairs that count in the value loss, else 0; None where all do.
    """

    obs: Float[Tensor, "agent pair obs"]
    act: Float[Tensor, "agent pair act"]
    adv: Float[Tensor, "agent pair"]
    target: Float[Tensor, "agent pair"]
    val_old: Float[Tensor, "agent pair"]
    weight: Float[Tensor, "agent pair"] | None = None

    @property
    def num_pairs(self) -> int:
        """Pairs per agent."""
        return self.act.shape[1]


def minibatch_edges(num_pairs: int, num_minibatches: int) -> list[int]:
    """Where minibatches begin and end among `num_pairs` shuffled pairs: sizes differ by at most one, none is empty."""
    count = min(num_minibatches, num_pairs)
    return [round(k * num_pairs / count) for k in range(count + 1)]


def shuffles(rngs: list[np.random.Generator], num_pairs: int) -> Tensor:
    """One random order of the pairs per agent, each from the agent's own generator: [agent, pair]."""
    return torch.from_numpy(np.stack([rng.permutation(num_pairs) for rng in rngs]))


def shuffled(values: Tensor, order: Tensor) -> Tensor:
    """`values` [agent, pair, ...] with each agent's pairs in the order [agent, pair]."""
    rows = order + torch.arange(len(order))[:, None] * order.shape[1]
    return values.reshape(-1, *values.shape[2:])[rows.view(-1)].view(*order.shape, *values.shape[2:])
