"""Landscapes of one checkpoint as labelled datasets: surrogate and true reward over a plane, and at the ends of steps."""

import numpy as np
import xarray as xr
from jaxtyping import Float

from pgprim.store.estimates import COORDS, LABELS
from pgprim.types.checkpoint import Checkpoint

REWARDS = {
    "reward": ("mean return of the complete episodes", "reward"),
    "reward_se": ("standard error of the mean return", "reward"),
    "num_trajectories": ("complete episodes", "episodes"),
    "reward_half": ("mean return of every other complete episode", "reward"),
}
"""What is measured at a point for each number of pairs; with `first_` before the name, for each number of first trajectories."""

SCALARS = {
    "step_norm": ("Euclidean norm of the update step", "1"),
    "random_norm": ("Euclidean norm of the random direction", "1"),
    "batch_pairs": ("state-action pairs of the update step", "pairs"),
}

AXES = {
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
    rewards: dict[str, dict[str, np.ndarray]],
    sizes: dict[str, list[int]],
    scalars: dict[str, float],
    attrs: dict[str, str],
) -> xr.Dataset:
    """One landscape.

    Args:
        checkpoint: Around which agent.
        kind: `few` or `many`, by how many pairs its step is.
        axis: Values of α and of β.
        surrogate: Over α and β.
        rewards: For `budget` and `trajectories` each variable of `REWARDS`, `[alpha, beta, size]`.
        sizes: For `budget` and `trajectories` the sizes; none of the latter leaves its variables out.
        scalars: `SCALARS`.
        attrs: What the landscape was made from.
    """
    dims = ("batch", "alpha", "beta")
    variables = {"surrogate": (dims, surrogate[None], ("surrogate, less that at the checkpoint", "1"))}
    for size, prefix in (("budget", ""), ("trajectories", "first_")):
        if sizes[size]:
            for name, described in REWARDS.items():
                tail = (size, "half") if name == "reward_half" else (size,)
                variables[prefix + name] = ((*dims, *tail), rewards[size][name][None], described)
    for name, value in scalars.items():
        variables[name] = (("batch",), [value], SCALARS[name])
    coords = {"batch": [kind], "alpha": axis, "beta": axis, **sizes, "half": [0, 1]}
    return _label(checkpoint, variables, coords, attrs)


def steps_dataset(
    checkpoint: Checkpoint,
    surrogate: Float[np.ndarray, " step"],
    norms: Float[np.ndarray, " step"],
    rewards: dict[str, np.ndarray],
    budgets: list[int],
    attrs: dict[str, str],
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
    variables = {
        "steps_surrogate": (("step",), surrogate, ("surrogate of the step on its own batch", "1")),
        "steps_norm": (("step",), norms, SCALARS["step_norm"]),
    }
    for name, described in REWARDS.items():
        dims = ("step", "budget", "half") if name == "reward_half" else ("step", "budget")
        variables[f"steps_{name}"] = (dims, rewards[name], described)
    coords = {"step": np.arange(len(norms)), "budget": budgets, "half": [0, 1]}
    return _label(checkpoint, variables, coords, attrs)


def _label(
    checkpoint: Checkpoint,
    variables: dict[str, tuple[tuple[str, ...], object, tuple[str, str]]],
    coords: dict[str, object],
    attrs: dict[str, str],
) -> xr.Dataset:
    data = {
        name: (
            (*LABELS, *dims),
            np.asarray(values)[(None,) * len(LABELS)],
            {"long_name": long_name, "units": units},
        )
        for name, (dims, values, (long_name, units)) in variables.items()
    }
    used = {dim for dims, _, _ in variables.values() for dim in dims}
    named = {name: [getattr(checkpoint, name)] for name in LABELS}
    named |= {name: values for name, values in coords.items() if name in used}
    ds = xr.Dataset(data, {name: (name, list(values)) for name, values in named.items()}, attrs)
    for name in named:
        if name in AXES:
            ds[name].attrs = dict(zip(("long_name", "units"), AXES[name], strict=True))
        else:
            ds[name].attrs = {"long_name": COORDS.get(name, "pairs of the update step: few or many")}
    return ds
