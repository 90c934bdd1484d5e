"""Training records: measurements in every iteration, for the study's agents and for agents with changed settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from pgprim.store.labelled import label

LABELS = {
    "cell": ("switches that are on, a digit each", "1"),
    "rate": ("learning rate of the policy in multiples of the task's own", "1"),
    "pairs": ("state-action pairs per iteration", "pairs"),
    "multiple": ("policy's learning rate, or TRPO's δ, in multiples of the task's own", "1"),
}
"""Long name and unit of what tells runs with changed settings apart."""

DIVERGED = ("whether training ended because a loss or step was no longer finite", "1")


def records_dataset(
    columns: Mapping[str, Float[np.ndarray, "iteration agent"]],
    described: Mapping[str, tuple[str, str]],
    task: str,
    algo: str,
    seeds: Sequence[int],
    attrs: Mapping[str, Any],
    labels: Mapping[str, str | int | float] | None = None,
    diverged: Bool[np.ndarray, " agent"] | None = None,
) -> xr.Dataset:
    """Records with the coordinates `task, algo, seed, iteration`, and one for each label.

    Args:
        columns: One array per quantity.
        described: Long name and unit per quantity.
        task: Name of the task.
        algo: Name of the algorithm.
        seeds: The agents' seeds.
        attrs: Provenance of the records.
        labels: Labels that distinguish the run from runs with other settings.
        diverged: Which agents' training diverged, in studies where that is not an error.
    """
    variables = {name: (("seed", "iteration"), column.T) for name, column in columns.items()}
    if diverged is not None:
        variables["diverged"] = (("seed",), diverged.astype(np.int8))
    coords = {"seed": seeds, "iteration": range(len(next(iter(columns.values()))))}
    where = {"task": task, "algo": algo, **(labels or {})}
    return label(variables, {**described, **LABELS, "diverged": DIVERGED}, coords, attrs, where)


def as_other(ds: xr.Dataset) -> xr.Dataset:
    """The same with the prefix `other_` before each variable, to combine it with the records of training itself."""
    for array in ds.data_vars.values():
        array.attrs["long_name"] += ", other semantics"
    return ds.rename({name: f"other_{name}" for name in ds.data_vars})
