"""Selection of what a figure or a table shows: variables, and checkpoints of trained agents."""

from collections.abc import Sequence

import xarray as xr

from pgprim.plotting.labels import order_algos, order_tasks
from pgprim.types.errors import UserError


def choose(ds: xr.Dataset | None, names: Sequence[str]) -> xr.Dataset:
    """The variables a figure draws with their intervals, tasks and algorithms in the paper's order.

    Args:
        ds: The union of the input directories' results; None without inputs.
        names: The variables to keep; their intervals are kept, too.

    Raises:
        UserError: If there is no input, or a variable is not in it.
    """
    if ds is None:
        raise UserError("nothing to draw: give the directory of the results that the figure reads")
    missing = [name for name in names if name not in ds]
    if missing:
        source = ds.encoding.get("source", "the dataset")
        raise UserError(
            f"{source}: has no variable {missing[0]!r}; give the directory of the results that the figure reads, "
            f"with {', '.join(names)}"
        )
    chosen = ds[[*names, *(ends for name in names if (ends := f"{name}_ci") in ds)]]
    orders = {"task": order_tasks, "algo": order_algos}
    return chosen.sel({dim: order(chosen[dim].values) for dim, order in orders.items() if dim in chosen.dims})


def trained(ds: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """The checkpoints or iterations of trained agents, which are those after the first."""
    return ds.sel(iteration=ds.iteration > 0)
