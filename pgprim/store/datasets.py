"""Labelled results: small datasets as NetCDF-3 files, gradients as Zarr stores.

The same content is always the same bytes, and a file or store appears whole or not at all. NetCDF-3 because it is one
file without timestamps, which anything can read; Zarr v3 for what is large.
"""

import os
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from pgprim.types.errors import UserError

LABELS = ("task", "algo", "seed", "iteration")
"""The dimensions that say which checkpoint an estimate belongs to, in the order of the paths."""

SHARD_BYTES = 1 << 30


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
            f"{path}: not a whole NetCDF-3 file ({error}); delete it and run `snakemake {path}`"
        ) from None


def load_estimates(folders: Iterable[str | Path]) -> xr.Dataset:
    """All estimates below some folders as one dataset over task, algo, seed and iteration.

    Args:
        folders: Searched for `*.nc` files whose datasets have the dimensions `task, algo, seed, iteration` of length 1.

    Returns:
        The union. What no file holds is NaN, so that an uneven grid of checkpoints is no obstacle. Attributes are
        those that all files share.

    Raises:
        UserError: There are no estimates, one lacks a dimension, or two are of the same checkpoint.
    """
    folders = [Path(folder) for folder in folders]
    paths = sorted(
        path for folder in folders for path in folder.rglob("*.nc") if not path.name.startswith(".")
    )
    if not paths:
        raise UserError(
            f"{', '.join(map(str, folders))}: no estimates (*.nc) there; make them with `snakemake`"
        )
    parts = [load_dataset(path) for path in paths]
    first: dict[tuple, Path] = {}
    for path, part in zip(paths, parts, strict=True):
        if missing := [label for label in LABELS if part.sizes.get(label) != 1]:
            raise UserError(f"{path}: must have the dimension {missing[0]!r} of length 1, as estimates do")
        label = tuple(part[name].values[0] for name in LABELS)
        if label in first:
            raise UserError(f"{path}: is of the same checkpoint as {first[label]}; keep one of them")
        first[label] = path
    return combine(parts)


def combine(parts: list[xr.Dataset]) -> xr.Dataset:
    """The union of labelled datasets, none of which overlap: each value goes where its coordinates say.

    One pass over preallocated arrays, because merging datasets one by one takes quadratic time.
    """
    coords = {}
    for name in dict.fromkeys(str(dim) for part in parts for dim in part.dims):
        values = np.unique(
            np.concatenate([np.atleast_1d(part[name].values) for part in parts if name in part.dims])
        )
        attrs = next(part[name].attrs for part in parts if name in part.dims)
        coords[name] = (name, values, attrs)
    merged = {}
    for name in dict.fromkeys(str(name) for part in parts for name in part.data_vars):
        have = [part[name] for part in parts if name in part]
        dims = have[0].dims
        shape = tuple(len(coords[dim][1]) for dim in dims)
        target = np.full(shape, np.nan)
        filled = np.zeros(shape, dtype=bool)
        for array in have:
            where = np.ix_(*(np.searchsorted(coords[dim][1], array[dim].values) for dim in dims))
            target[where] = array.transpose(*dims).values
            filled[where] = True
        dtype = np.result_type(*(array.dtype for array in have))
        merged[name] = (dims, target.astype(dtype) if filled.all() else target, have[0].attrs)
    shared = dict(parts[0].attrs)
    for part in parts:
        shared = {
            key: value for key, value in shared.items() if key in part.attrs and part.attrs[key] == value
        }
    return xr.Dataset(merged, coords, shared)


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
