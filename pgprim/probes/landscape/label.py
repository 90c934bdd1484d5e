"""Landscapes of one checkpoint as labelled datasets: planes, slices along the step, and ends of independent steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from pgprim.core.intervals import Interval
from pgprim.store.labelled import agent_of, label
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.levels import LEVEL

Rewards = Mapping[str, np.ndarray | Interval]

REWARDS = {
    "reward": ("mean return of the complete episodes (interval: Student's t over episodes)", "reward"),
    "reward_se": ("standard error of the mean return", "reward"),
    "num_trajectories": ("complete episodes", "episodes"),
    "reward_half": ("mean return of every other complete episode", "reward"),
}
"""Measured at a point for each number of pairs; with `first_` before the name, for each number of first trajectories."""

NORMS = {
    "step_norm": ("Euclidean norm of the update step", "1"),
    "random_norm": ("Euclidean norm of the random direction", "1"),
    "batch_pairs": ("state-action pairs of the update step", "pairs"),
}

SLICE = {
    "slice_surrogate": ("surrogate on the step's own batch, less that at the checkpoint", "1"),
    "slice_fresh": (
        "mean surrogate on fresh batches of the same size, less that at the checkpoint (interval: Student's t over batches)",
        "1",
    ),
    "slice_fresh_unclipped": (
        "mean unclipped surrogate (Eq. 14) on the same batches, less that at the checkpoint (interval: Student's t over "
        "batches)",
        "1",
    ),
    "slice_fresh_batch": ("surrogate on each fresh batch, less that at the checkpoint", "1"),
    "promised": (
        "surrogate of the whole step on its own batch (interval: Student's t over blocks of consecutive pairs)",
        "1",
    ),
    "promised_fresh": (
        "surrogate of the whole step on fresh batches (interval: Student's t over batches)",
        "1",
    ),
    "promised_fresh_unclipped": (
        "unclipped surrogate (Eq. 14) of the whole step on fresh batches (interval: Student's t over batches)",
        "1",
    ),
    "kept": (
        "true reward after the whole step less that before it (interval: Welch's, over episodes)",
        "reward",
    ),
}
"""Of a slice; `promised` and `kept` are at α = 1."""

DESCRIBED = {
    **REWARDS,
    **{f"{prefix}_{name}": REWARDS[name] for prefix in ("first", "steps", "slice") for name in REWARDS},
    **{name: NORMS[name.removeprefix("slice_")] for name in (*NORMS, "slice_step_norm", "slice_batch_pairs")},
    **SLICE,
    "surrogate": ("surrogate, less that at the checkpoint", "1"),
    "steps_surrogate": ("surrogate of the step on its own batch", "1"),
    "steps_norm": NORMS["step_norm"],
    "kind": ("pairs of the update step: few or many", "1"),
    "alpha": ("multiples of the update step", "1"),
    "beta": ("multiples of the random direction", "1"),
    "along": ("multiples of the update step", "1"),
    "batch": ("fresh batch", "1"),
    "budget": ("state-action pairs per point", "pairs"),
    "trajectories": ("trajectories per point, fewer where fewer are complete", "episodes"),
    "half": ("which half of the episodes, by turns", "1"),
    "step": ("independent update step", "1"),
}


def plane_dataset(
    checkpoint: Checkpoint,
    kind: str,
    axis: Float[np.ndarray, " axis"],
    surrogate: Float[np.ndarray, "axis axis"],
    rewards: Mapping[str, Rewards],
    sizes: Mapping[str, list[int]],
    norms: Mapping[str, float],
) -> xr.Dataset:
    """One landscape.

    Args:
        checkpoint: The agent at its origin.
        kind: `few` or `many`, after the number of pairs of its step.
        axis: Values of α and of β.
        surrogate: Over α and β.
        rewards: For `budget` and `trajectories` each variable of `REWARDS`, `[alpha, beta, size]`.
        sizes: For `budget` and `trajectories` the sizes; none of the latter leaves its variables out.
        norms: `NORMS`.
    """
    dims = ("alpha", "beta")
    variables = {"surrogate": (dims, surrogate), **{name: ((), value) for name, value in norms.items()}}
    for size, prefix in (("budget", ""), ("trajectories", "first_")):
        if sizes[size]:
            variables |= _rewards(rewards[size], prefix, (*dims, size))
    coords = {"alpha": axis, "beta": axis, **sizes, "half": [0, 1]}
    return label(variables, DESCRIBED, coords, {"level": LEVEL}, agent_of(checkpoint) | {"kind": kind})


def slice_dataset(
    checkpoint: Checkpoint,
    kind: str,
    along: Float[np.ndarray, " point"],
    numbers: Mapping[str, Any],
    rewards: Rewards,
    budgets: list[int],
) -> xr.Dataset:
    """One slice.

    Args:
        checkpoint: The agent at its origin.
        kind: `few` or `many`, after the number of pairs of its step.
        along: Values of α.
        numbers: `SLICE`, and `NORMS` of the step with `slice_` before the name.
        rewards: Each variable of `REWARDS`, `[point, budget]`.
        budgets: Pairs per point.
    """
    dims = dict.fromkeys(("slice_surrogate", "slice_fresh", "slice_fresh_unclipped"), ("along",))
    dims |= {"slice_fresh_batch": ("along", "batch"), "kept": ("budget",)}
    variables = {name: (dims.get(name, ()), value) for name, value in numbers.items()}
    variables |= _rewards(rewards, "slice_", ("along", "budget"))
    num_batches = numbers["slice_fresh_batch"].shape[1]
    coords = {"along": along, "batch": range(num_batches), "budget": budgets, "half": [0, 1]}
    return label(variables, DESCRIBED, coords, {"level": LEVEL}, agent_of(checkpoint) | {"kind": kind})


def steps_dataset(
    checkpoint: Checkpoint,
    surrogate: Float[np.ndarray, " step"],
    norms: Float[np.ndarray, " step"],
    rewards: Rewards,
    budgets: list[int],
) -> xr.Dataset:
    """Independent update steps of one checkpoint.

    Args:
        checkpoint: The agent before the steps.
        surrogate: Of each step on its own batch.
        norms: Euclidean norm of each.
        rewards: Each variable of `REWARDS` where the step ends, `[step, budget]`.
        budgets: Pairs per step.
    """
    variables = {"steps_surrogate": (("step",), surrogate), "steps_norm": (("step",), norms)}
    variables |= _rewards(rewards, "steps_", ("step", "budget"))
    coords = {"step": range(len(norms)), "budget": budgets, "half": [0, 1]}
    return label(variables, DESCRIBED, coords, {"level": LEVEL}, agent_of(checkpoint))


def _rewards(
    rewards: Rewards, prefix: str, dims: tuple[str, ...]
) -> dict[str, tuple[tuple[str, ...], np.ndarray | Interval]]:
    return {
        f"{prefix}{name}": ((*dims, "half") if name == "reward_half" else dims, rewards[name])
        for name in REWARDS
    }
