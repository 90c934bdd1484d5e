"""Selection of what a figure or a table shows: variables, coordinates with values, checkpoints of trained agents."""

from collections.abc import Mapping, Sequence
from typing import Any

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


def choose_estimates(
    figure: str, ds: xr.Dataset | None, params: Mapping[str, Any], names: Sequence[str]
) -> xr.Dataset:
    """`choose` for estimates at several budgets, with the budget of training beside them as the scalar `marked`.

    Args:
        figure: The figure's name, kept as an attribute.
        ds: Estimates of all agents and checkpoints.
        params: The parameter file; only `plot.budget` is used.
        names: The variables to keep.

    Raises:
        UserError: A variable is missing, or the intervals are of different levels.
    """
    chosen = choose(ds, names)
    if has_intervals(chosen) and "level" not in chosen.attrs:  # `combine` keeps an attribute that all share
        source = ds.encoding.get("source", "the dataset")
        raise UserError(f"{source}: the intervals are of different levels; estimate all with the same one")
    attrs = {"long_name": "pairs per training iteration", "units": "pairs"}
    return chosen.assign(marked=((), params["plot"]["budget"], attrs)).assign_attrs(figure=figure)


def has_intervals(ds: xr.Dataset) -> bool:
    """Whether any variable has an interval anywhere."""
    return any(str(name).endswith("_ci") and ds[name].notnull().any() for name in ds.data_vars)


def with_values(ds: xr.Dataset, names: Sequence[str], dims: Sequence[str]) -> xr.Dataset:
    """The coordinates at which any of some variables has a value, since a union of results has those of all.

    Args:
        ds: The union.
        names: The variables.
        dims: The dimensions along which coordinates without a value are dropped.
    """
    for dim in dims:
        ds = ds.dropna(dim, how="all", subset=names)
    return ds


def budgets_of(array: xr.DataArray) -> list[int]:
    """The budgets at which an array has any value, rising."""
    return array.dropna("budget", how="all").budget.values.tolist()


def trained(ds: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """The checkpoints or iterations of trained agents, which are those after the first."""
    return ds.sel(iteration=ds.iteration > 0)
