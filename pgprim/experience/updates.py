"""Updates between two snapshots of one agent, in the form of re-run iterations, without training again.

An agent that was trained elsewhere has checkpoints, but not the pairs of its updates. An update is given by the agent
before and after it, and is evaluated on fresh pairs of the policy before it. If there is no checkpoint after an
update, the agent's own algorithm can make the update here, from its optimiser state.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import pairwise

import numpy as np

from pgprim.experience.rerun import Pairs, held_out_pairs, join_updates, sigma_divergence, update_between
from pgprim.experience.rollout import Purpose
from pgprim.experience.train import train_iteration
from pgprim.rl.algorithms import make_settings
from pgprim.types.checkpoint import AgentState, Checkpoint

GROUP = 10
"""Batches that are sampled in parallel. No result depends on it."""


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


def fresh_purpose(checkpoint: Checkpoint, batch: int) -> Purpose:
    """Purpose of the random numbers of an update's fresh pairs; the first batch is the re-runs' held-out stream."""
    own = ("rerun", checkpoint.task, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    return own if batch == 0 else (*own, "batch", batch)


def look_at_updates(
    updates: Sequence[tuple[Checkpoint, AgentState]],
    beyond: int,
    batches: int = 1,
    advance: Callable[[int], object] = lambda num_pairs: None,
) -> dict[str, np.ndarray]:
    """Evaluate the networks before and after some updates on fresh pairs of the policies before them.

    Args:
        updates: An agent's checkpoint before each update, and the agent after it, whose normalisers are used.
        beyond: Pairs of each stream past the cut.
        batches: Fresh batches of each update.
        advance: Called with the number of new pairs, for the progress bar.

    Returns:
        The variables of `store.reruns`: every field of `Pairs`, `[row, part, t]`, and `kl_of_sigma`, `[row]`, with a
        row per batch of each update.
    """
    first = updates[0][0]
    settings = make_settings(first.settings)
    rows = [(before, after, batch) for before, after in updates for batch in range(batches)]
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, len(rows), GROUP):
        some = rows[start : start + GROUP]
        update = join_updates([update_between(before.state, after, settings) for before, after, _ in some])
        purposes = [fresh_purpose(before, batch) for before, _, batch in some]
        blocks = []
        for pairs in held_out_pairs(first.environment, update, settings, purposes, settings.pairs + beyond):
            blocks.append(pairs)
            advance(pairs.rew.size)
        arrays = {
            field.name: np.concatenate([getattr(pairs, field.name) for pairs in blocks], axis=1)[:, None]
            for field in fields(Pairs)
        }
        parts.append(arrays | {"kl_of_sigma": sigma_divergence(update, settings, first.num_act)})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
