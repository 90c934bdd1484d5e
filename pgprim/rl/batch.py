"""A batch of state-action pairs as the updates see it, and its minibatches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pgprim.types.agent import Settings


@dataclass(frozen=True)
class Batch:
    """One iteration's pairs for a stack of agents; several environments of an agent are concatenated.

    Attributes:
        obs: Normalised observations.
        act: Actions.
        adv: Advantages A, not normalised; fixed before either network is updated.
        target: Value targets V_old + A (Eq. 4).
        val_old: V_old(s).
        weight: 1 for pairs that count in the value loss, else 0; None if all count.
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
    """Join batches of equally many pairs along the agents, the agents of the first batch first."""
    columns = {
        name: [getattr(part, name) for part in parts]
        for name, value in vars(parts[0]).items()
        if value is not None
    }
    return Batch(**{name: torch.cat(column) for name, column in columns.items()})


def group_streams(batch: Batch, each: int) -> Batch:
    """Group every `each` consecutive streams as one agent; its pairs are concatenated stream by stream."""
    columns = {name: value for name, value in vars(batch).items() if value is not None}
    return Batch(
        **{
            name: value.reshape(-1, each * value.shape[1], *value.shape[2:])
            for name, value in columns.items()
        }
    )


def as_one_agent(batch: Batch, agents: slice = slice(None)) -> Batch:
    """Concatenate all pairs of some agents of a batch as one agent."""
    some = Batch(**{name: value[agents] for name, value in vars(batch).items() if value is not None})
    return group_streams(some, len(some.act))


def minibatch_edges(num_pairs: int, settings: Settings) -> list[int]:
    """First and last index of each minibatch among shuffled pairs.

    With a given size, the last minibatch has the remainder. With a given number, sizes differ by at most one, and
    none is empty.
    """
    if settings.minibatch_size is not None:
        return [*range(0, num_pairs, settings.minibatch_size), num_pairs]
    count = min(settings.minibatches, num_pairs)
    return [round(k * num_pairs / count) for k in range(count + 1)]


def minibatches(
    obs: Float[Tensor, "agent pair obs"],
    columns: Float[Tensor, "agent pair column"],
    settings: Settings,
    num_epochs: int,
    rngs: list[np.random.Generator],
) -> Iterator[tuple[int, Float[Tensor, "agent some obs"], Float[Tensor, "agent some column"]]]:
    """The minibatches of all epochs, every epoch in a new random order of each agent's own generator.

    Args:
        obs: Observations.
        columns: Further numbers of each pair.
        settings: Size or number of the minibatches.
        num_epochs: Passes over the pairs.
        rngs: One generator per agent.

    Yields:
        The epoch, the minibatch's observations (overwritten by the next minibatch), and its columns.
    """
    num_agents, num_pairs, num_obs = obs.shape
    edges = minibatch_edges(num_pairs, settings)
    rows = obs.reshape(-1, num_obs).numpy()
    most = max(stop - start for start, stop in pairwise(edges))
    # Gathered minibatch by minibatch, so that they are still in the processor's cache when they are used.
    space = torch.empty(num_agents * most, num_obs, dtype=obs.dtype).numpy()
    for epoch in range(num_epochs):
        order = shuffles(rngs, num_pairs)
        shuffled = columns.reshape(-1, columns.shape[2])[torch.from_numpy(order)]
        for start, stop in pairwise(edges):
            some = space[: num_agents * (stop - start)].reshape(num_agents, stop - start, num_obs)
            np.take(rows, order[:, start:stop], axis=0, out=some, mode="clip")
            yield epoch, torch.from_numpy(some), shuffled[:, start:stop]


def shuffles(rngs: list[np.random.Generator], num_pairs: int) -> Int64[np.ndarray, "agent pair"]:
    """One random order of the pairs per agent, each from the agent's own generator, as rows of all agents' pairs."""
    return np.stack([k * num_pairs + rng.permutation(num_pairs) for k, rng in enumerate(rngs)])
