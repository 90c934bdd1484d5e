"""Updates between two snapshots of one agent, in the form of re-run iterations, without training again.

An agent that was trained elsewhere has checkpoints, but not the pairs of its updates. An update is given by the agent
before and after it, and is evaluated on fresh pairs of the policy before it. If there is no checkpoint after an
update, the agent's own algorithm can make the update here, from its optimiser state.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import pairwise

import numpy as np

from pgprim.experience.rerun import (
    Pairs,
    Update,
    held_out_pairs,
    join_updates,
    sigma_divergence,
    update_between,
)
from pgprim.experience.rollout import Purpose
from pgprim.experience.train import train_iteration
from pgprim.rl.algorithms import make_settings
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState, Checkpoint
from pgprim.types.environment import Environment

PARTS = ("held_out",)
"""The update's own pairs are unknown, so there is only the held-out part."""

GROUP = 10
"""Updates whose pairs are sampled in parallel. No result depends on it."""


def given_updates(checkpoints: Sequence[Checkpoint]) -> list[tuple[Checkpoint, AgentState]]:
    """The updates of a series: each checkpoint that has a successor, and the agent after its update.

    Args:
        checkpoints: Of one agent, by rising iteration.
    """
    return [
        (before, after.state)
        for before, after in pairwise(checkpoints)
        if after.iteration == before.iteration + 1
    ]


def next_update(checkpoint: Checkpoint) -> tuple[AgentState, dict[str, float]]:
    """The agent after its next update, made by its own algorithm from fresh pairs.

    It has the random numbers of training, so it is the same update as in `probes.floors`.

    Args:
        checkpoint: The agent before it.

    Returns:
        The agent after it, and the update's records (`experience.train.RECORDS`) on its own pairs.
    """
    purpose = ("train", checkpoint.task, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    settings = make_settings(checkpoint.settings)
    new, records = train_iteration(
        checkpoint.environment, checkpoint.state, settings, [purpose], checkpoint.iteration
    )
    return new, {name: float(values[0]) for name, values in records.items()}


def series_updates(checkpoints: Sequence[Checkpoint]) -> list[tuple[Checkpoint, AgentState]]:
    """The updates of a series; if it has none, the next update of each checkpoint, made here.

    Args:
        checkpoints: Of one agent, by rising iteration.
    """
    return given_updates(checkpoints) or [(one, next_update(one)[0]) for one in checkpoints]


def fresh_purpose(checkpoint: Checkpoint, batch: int = 0) -> Purpose:
    """Purpose of the random numbers of an update's fresh pairs; the first batch is the re-runs' held-out stream."""
    own = ("rerun", checkpoint.task, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    return own if batch == 0 else (*own, "batch", batch)


def look_at_updates(
    environment: Environment,
    updates: Sequence[tuple[AgentState, AgentState]],
    settings: Settings,
    purposes: Sequence[Purpose],
    num_pairs: int,
    num_act: int,
    advance: Callable[[int], object] = lambda num_pairs: None,
) -> dict[str, np.ndarray]:
    """Evaluate the networks before and after some updates on fresh pairs of the policies before them.

    Args:
        environment: The task.
        updates: Each agent before and after its update, as stacks of one; the normalisers are those after it.
        settings: Shared by all agents.
        purposes: Purpose of each stream's random numbers.
        num_pairs: Pairs of each stream.
        num_act: Length of an action.
        advance: Called with the number of new pairs, for the progress bar.

    Returns:
        The variables of `store.reruns`: every field of `Pairs`, `[update, part, t]`, and `kl_of_sigma`, `[update]`.
    """
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, len(updates), GROUP):
        some = slice(start, start + GROUP)
        joined = join_updates([update_between(old, new, settings) for old, new in updates[some]])
        parts.append(_look(environment, joined, settings, purposes[some], num_pairs, num_act, advance))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _look(
    environment: Environment,
    update: Update,
    settings: Settings,
    purposes: Sequence[Purpose],
    num_pairs: int,
    num_act: int,
    advance: Callable[[int], object],
) -> dict[str, np.ndarray]:
    blocks = []
    for pairs in held_out_pairs(environment, update, settings, purposes, num_pairs):
        blocks.append(pairs)
        advance(pairs.rew.size)
    arrays = {
        field.name: np.concatenate([getattr(pairs, field.name) for pairs in blocks], axis=1)[:, None]
        for field in fields(Pairs)
    }
    return arrays | {"kl_of_sigma": sigma_divergence(update, settings, num_act)}
