"""Records of agents that were trained with some settings changed, one run beside another."""

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from pgprim.store.records import records_dataset

COORDS = {
    "cell": ("switches that are on, a digit each", "1"),
    "rate": ("learning rate of the policy in multiples of the task's own", "1"),
    "pairs": ("state-action pairs per iteration", "pairs"),
}
"""Long name and unit of what tells runs apart."""

DIVERGED = ("whether training ended because a loss or step exploded", "1")


def run_dataset(
    columns: dict[str, Float[np.ndarray, "iteration agent"]],
    described: dict[str, tuple[str, str]],
    diverged: Bool[np.ndarray, " agent"],
    where: tuple[str, str, list[int]],
    labels: dict[str, str | int | float],
    attrs: dict[str, str],
) -> xr.Dataset:
    """The records of one run of some seeds, with a coordinate for each of its labels.

    Args:
        columns: One array per quantity.
        described: Long name and unit per quantity.
        diverged: Which agents' training ended early.
        where: Task, algorithm and seeds.
        labels: What tells the run from others.
        attrs: Where the records come from.
    """
    ds = records_dataset(columns, described, *where, attrs)
    ds["diverged"] = (
        ("task", "algo", "seed"),
        diverged[None, None].astype(np.int8),
        dict(zip(("long_name", "units"), DIVERGED, strict=True)),
    )
    for name, value in labels.items():
        kind = object if isinstance(value, str) else None
        ds = ds.expand_dims({name: np.array([value], kind)})
        ds[name].attrs = dict(zip(("long_name", "units"), COORDS[name], strict=True))
    return ds


def as_other(ds: xr.Dataset) -> xr.Dataset:
    """The same with `other_` before each variable, to stand beside the records of training itself."""
    for array in ds.data_vars.values():
        array.attrs["long_name"] += ", other semantics"
    return ds.rename({name: f"other_{name}" for name in ds.data_vars})
