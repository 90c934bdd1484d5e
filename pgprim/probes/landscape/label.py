"""Landscapes of one checkpoint as labelled datasets: surrogate and true reward over a plane, and at the ends of steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from pgprim.store.labelled import agent_of, label
from pgprim.types.checkpoint import Checkpoint

REWARDS = {
    "reward": ("mean return of the complete episodes", "reward"),
    "reward_se": ("standard error of the mean return", "reward"),
    "num_trajectories": ("complete episodes", "episodes"),
    "reward_half": ("mean return of every other complete episode", "reward"),
}
"""What is measured at a point for each number of pairs; with `first_` before the name, for each number of first trajectories."""

NORMS = {
    "step_norm": ("Euclidean norm of the update step", "1"),
    "random_norm": ("Euclidean norm of the random direction", "1"),
    "batch_pairs": ("state-action pairs of the update step", "pairs"),
}

DESCRIBED = {
    **REWARDS,
    **{f"first_{name}": described for name, described in REWARDS.items()},
    **{f"steps_{name}": described for name, described in REWARDS.items()},
    **NORMS,
    "surrogate": ("surrogate, less that at the checkpoint", "1"),
    "steps_surrogate": ("surrogate of the step on its own batch", "1"),
    "steps_norm": NORMS["step_norm"],
    "kind": ("pairs of the update step: few or many", "1"),
    "alpha": ("multiples of the update step", "1"),
    "beta": ("multiples of the random direction", "1"),
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
    rewards: Mapping[str, Mapping[str, np.ndarray]],
    sizes: Mapping[str, list[int]],
    norms: Mapping[str, float],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """One landscape.

    Args:
        checkpoint: Around which agent.
        kind: `few` or `many`, by how many pairs its step is.
        axis: Values of α and of β.
        surrogate: Over α and β.
        rewards: For `budget` and `trajectories` each variable of `REWARDS`, `[alpha, beta, size]`.
        sizes: For `budget` and `trajectories` the sizes; none of the latter leaves its variables out.
        norms: `NORMS`.
        attrs: What the landscape was made from.
    """
    dims = ("alpha", "beta")
    variables = {"surrogate": (dims, surrogate), **{name: ((), value) for name, value in norms.items()}}
    for size, prefix in (("budget", ""), ("trajectories", "first_")):
        if sizes[size]:
            variables |= _rewards(rewards[size], prefix, (*dims, size))
    coords = {"alpha": axis, "beta": axis, **sizes, "half": [0, 1]}
    return label(variables, DESCRIBED, coords, attrs, agent_of(checkpoint) | {"kind": kind})


def steps_dataset(
    checkpoint: Checkpoint,
    surrogate: Float[np.ndarray, " step"],
    norms: Float[np.ndarray, " step"],
    rewards: Mapping[str, np.ndarray],
    budgets: list[int],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Independent update steps of one checkpoint.

    Args:
        checkpoint: From which agent.
        surrogate: Of each step on its own batch.
        norms: Euclidean norm of each.
        rewards: Each variable of `REWARDS` where the step ends, `[step, budget]`.
        budgets: Pairs per step.
        attrs: What the steps were made from.
    """
    variables = {"steps_surrogate": (("step",), surrogate), "steps_norm": (("step",), norms)}
    variables |= _rewards(rewards, "steps_", ("step", "budget"))
    coords = {"step": range(len(norms)), "budget": budgets, "half": [0, 1]}
    return label(variables, DESCRIBED, coords, attrs, agent_of(checkpoint))


def _rewards(
    rewards: Mapping[str, np.ndarray], prefix: str, dims: tuple[str, ...]
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    return {
        f"{prefix}{name}": ((*dims, "half") if name == "reward_half" else dims, rewards[name])
        for name in REWARDS
    }
