"""Updates between two snapshots of one agent, as re-run iterations have them, without training again.

Who trained the agent elsewhere has its checkpoints but not the pairs of its updates. An update is given by the agent before
and after it; how it moved policy and values shows on fresh pairs of the policy before it. Where no checkpoint after an
update is there, the update can be made here by the agent's own algorithm, from its optimiser state.
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
"""The update's own pairs are not known, so the held-out part is the only one."""

GROUP = 10
"""Updates whose pairs are sampled side by side. No result depends on it."""


def given_updates(checkpoints: Sequence[Checkpoint]) -> list[tuple[Checkpoint, AgentState]]:
    """The updates that a series holds: each checkpoint whose successor is there, and the agent after its update.

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

    The random numbers are those of training, so that it is the update that `probes.floors` makes, too.

    Args:
        checkpoint: The agent before it.

    Returns:
        The agent after it, and what `experience.train.RECORDS` says of it, on the update's own pairs.
    """
    purpose = ("train", checkpoint.task, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    settings = make_settings(checkpoint.settings)
    new, records = train_iteration(
        checkpoint.environment, checkpoint.state, settings, [purpose], checkpoint.iteration
    )
    return new, {name: float(values[0]) for name, values in records.items()}


def series_updates(checkpoints: Sequence[Checkpoint]) -> list[tuple[Checkpoint, AgentState]]:
    """The updates that a series holds, or where it holds none, the next update of each checkpoint, made here.

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
    """Fresh pairs of the policies before some updates, as the networks before and after see them.

    Args:
        environment: The task.
        updates: Each agent before and after its update, stacks of one; the latter's normalisers are those it saw.
        settings: Shared by all agents.
        purposes: What each stream's random numbers are for.
        num_pairs: Pairs of each stream.
        num_act: Length of an action.
        advance: Told of pairs as they come.

    Returns:
        What `store.reruns` stores: every field of `Pairs`, `[update, part, t]`, and `kl_of_sigma`, `[update]`.
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
