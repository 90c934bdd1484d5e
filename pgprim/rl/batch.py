"""A batch of state-action pairs as the updates see it."""

from collections.abc import Sequence
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


def join_agents(parts: Sequence[Batch]) -> Batch:
    """Batches of as many pairs side by side, the agents of the first one first."""
    columns = {
        name: [getattr(part, name) for part in parts]
        for name, value in vars(parts[0]).items()
        if value is not None
    }
    return Batch(**{name: torch.cat(column) for name, column in columns.items()})


def as_one_agent(batch: Batch, agents: slice = slice(None)) -> Batch:
    """All pairs of some agents of a batch as those of one."""
    columns = {name: value for name, value in vars(batch).items() if value is not None}
    return Batch(**{name: value[agents].flatten(0, 1).unsqueeze(0) for name, value in columns.items()})


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
