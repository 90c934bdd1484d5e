"""The data that a figure shows: seven digits in its file, which halves what is shared, and doubles in memory."""

from pathlib import Path

import numpy as np
import xarray as xr

from pgprim.store.datasets import load_dataset, save_dataset


def save_figure_data(path: str | Path, ds: xr.Dataset) -> xr.Dataset:
    """Write the data of a figure in single precision.

    A variable with a value that single precision cannot hold, such as 1e40 or 1e-40, stays as it is, and so does one of
    values of a coordinate, such as the best learning rate, because such values are looked up.

    Returns:
        The data as `load_figure_data` reads them. A figure drawn from these is that of the file.
    """
    labels = [coord.values for coord in ds.coords.values() if coord.dtype == np.float64]
    short = ds.map(lambda array: array.astype(np.float32) if _fits(array, labels) else array, keep_attrs=True)
    save_dataset(path, short)
    return _in_doubles(short)


def load_figure_data(path: str | Path) -> xr.Dataset:
    """Read the data of a figure.

    Raises:
        UserError: The file is missing, is not what pgprim wrote, or is of another kind of processor.
    """
    return _in_doubles(load_dataset(path))


def _fits(array: xr.DataArray, labels: list[np.ndarray]) -> bool:
    if array.dtype != np.float64:
        return False
    finite = array.values[np.isfinite(array.values)]
    if finite.size and any(np.isin(finite, values).all() for values in labels):
        return False
    sizes = np.abs(finite[finite != 0])
    limits = np.finfo(np.float32)
    return not sizes.size or bool(sizes.min() >= limits.tiny and sizes.max() <= limits.max)


def _in_doubles(ds: xr.Dataset) -> xr.Dataset:
    return ds.map(
        lambda array: array.astype(np.float64) if array.dtype == np.float32 else array, keep_attrs=True
    )
