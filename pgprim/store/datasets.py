"""Labelled results: small datasets as NetCDF-3 files, gradients as Zarr stores.

The same content is always the same bytes, and a file or store appears whole or not at all. NetCDF-3 because it is one
file without timestamps, which anything can read; Zarr v3 for what is large.
"""

import os
import shutil
import warnings
from pathlib import Path

import xarray as xr

from pgprim.types.errors import UserError

SHARD_BYTES = 1 << 30
"""Zarr puts a shard together in memory: what is larger is written chunk by chunk, a file each."""


def save_dataset(path: str | Path, ds: xr.Dataset) -> None:
    """Write a small dataset as one NetCDF-3 file.

    Args:
        path: The file; its folder is made if need be.
        ds: Every data variable must have `units` and `long_name`. Attributes come out in the order of their names.
            64-bit integers must fit into 32 bits, which is all the format knows.

    Raises:
        ValueError: A variable is not described.
    """
    _require_description(ds)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    # Without this, a missing value attribute would be added to some variables only.
    encoding = {name: {"_FillValue": None} for name in ds.variables}
    try:
        _in_order(ds).to_netcdf(partial, engine="scipy", format="NETCDF3_64BIT", encoding=encoding)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_dataset(path: str | Path) -> xr.Dataset:
    """Read a NetCDF-3 file into memory.

    Raises:
        UserError: The file is missing or is none.
    """
    try:
        return xr.load_dataset(path, engine="scipy")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make it with `snakemake {path}`") from None
    except (TypeError, ValueError, OSError, IndexError) as error:
        raise UserError(
            f"{path}: not a whole NetCDF-3 file ({str(error).partition(chr(10))[0]}); delete it and run `snakemake {path}`"
        ) from None


def save_gradients(path: str | Path, ds: xr.Dataset) -> None:
    """Write a dataset of large arrays as a Zarr v3 store, one file of data per variable.

    Args:
        path: The store, replaced if it exists.
        ds: Every data variable must have `units` and `long_name`; the last dimension is never divided.

    Raises:
        ValueError: A variable is not described.
    """
    _require_description(ds)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with warnings.catch_warnings():
            # Zarr's remark that other implementations may not read consolidated metadata, which is but a copy.
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            _in_order(ds).to_zarr(
                partial,
                zarr_format=3,
                consolidated=True,
                encoding={name: _chunks(array) for name, array in ds.data_vars.items()},
            )
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def open_gradients(path: str | Path) -> xr.Dataset:
    """Open a Zarr store lazily.

    Raises:
        UserError: It is missing or is none.
    """
    try:
        return xr.open_zarr(path, chunks=None)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a gradient store ({error}); make it with `snakemake {path}`") from None


def _chunks(array: xr.DataArray) -> dict:
    """Rows of the first dimension are read one by one, and lie in one file."""
    if array.ndim < 2 or array.nbytes > SHARD_BYTES:
        return {}
    return {"chunks": (1, *array.shape[1:]), "shards": array.shape}


def _in_order(ds: xr.Dataset) -> xr.Dataset:
    ordered = ds.copy()
    ordered.attrs = dict(sorted(ds.attrs.items()))
    return ordered


def _require_description(ds: xr.Dataset) -> None:
    for name, array in ds.data_vars.items():
        if missing := [key for key in ("units", "long_name") if not array.attrs.get(key)]:
            raise ValueError(f"variable {name!r} has no {missing[0]}")
