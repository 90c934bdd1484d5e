"""Of everything that was estimated, what one figure draws."""

from collections.abc import Sequence

import xarray as xr

from pgprim.plotting.labels import order_algos, order_tasks
from pgprim.types.errors import UserError


def choose(ds: xr.Dataset | None, names: Sequence[str]) -> xr.Dataset:
    """The variables a figure draws, with tasks and algorithms in the paper's order.

    Args:
        ds: All that the input directories hold, or None if there are none.
        names: The variables to keep.

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
    return ds[list(names)].sel(task=order_tasks(ds.task.values), algo=order_algos(ds.algo.values))
