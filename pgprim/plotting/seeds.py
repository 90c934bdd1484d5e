"""Statistics over training seeds, of the seeds with a value."""

from collections.abc import Callable

import numpy as np
import xarray as xr


def over_seeds(
    array: xr.DataArray, reduce: Callable[[np.ndarray], float] = np.median, words: str = "median"
) -> xr.DataArray:
    """A statistic over seeds at each place of the other dimensions, of the seeds with a value; NaN without any.

    Args:
        array: Values along `seed`; an infinite one counts, NaN does not.
        reduce: From the seeds' values to one number.
        words: Name of `reduce`, for the long name of the result.
    """

    def one(values: np.ndarray) -> float:
        values = values[~np.isnan(values)]
        return float(reduce(values)) if values.size else np.nan

    reduced = xr.apply_ufunc(one, array, input_core_dims=[["seed"]], vectorize=True)
    name = f"{words} over seeds of the {array.attrs.get('long_name', array.name)}"
    return reduced.assign_attrs(array.attrs | {"long_name": name})
