"""Combining many small datasets, one per agent or checkpoint, into one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from pgprim.store.datasets import load_dataset, open_store
from pgprim.store.provenance import union
from pgprim.types.errors import UserError


def load_results(folders: Sequence[Path]) -> xr.Dataset | None:
    """All estimates or training records below some folders as one dataset; None if there are no folders.

    Raises:
        UserError: A folder is missing or has no such results.
    """
    parts = {}
    for folder in folders:
        files = sorted(path for suffix in ("nc", "zarr") for path in folder.rglob(f"*.{suffix}"))
        files = [file for file in files if not file.name.startswith(".")]  # half-written ones are hidden
        if not files:
            reason = "holds no results (*.nc, *.zarr)" if folder.is_dir() else "is no directory"
            raise UserError(f"{folder}: {reason}; give the directory of the results that the figure reads")
        parts |= {str(file): _load(file) for file in files}
    if not parts:
        return None
    ds = combine(parts)
    ds.attrs |= union(part.attrs for part in parts.values())
    ds.encoding["source"] = ", ".join(map(str, folders))
    return ds


def combine(parts: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """The union of labelled datasets: each value at its coordinates, NaN where no part has a value.

    Values are written into arrays of the final size, because merging datasets one by one takes quadratic time.

    Args:
        parts: At least one dataset, by file name. Every dimension has a coordinate.

    Returns:
        The union, with ascending coordinates where parts differ, and with the attributes that are equal in all parts.

    Raises:
        UserError: Two parts have different values at the same coordinates, or a dimension of a part has no
            coordinate.
    """
    for file, part in parts.items():
        if bare := [dim for dim in part.dims if dim not in part.coords]:
            raise UserError(
                f"{file}: dimension {bare[0]!r} has no coordinate; it is not a dataset of this project"
            )
    everything = list(parts.values())
    coords = {
        dim: _union(dim, everything) for dim in dict.fromkeys(dim for part in everything for dim in part.dims)
    }
    variables = {}
    for name in dict.fromkeys(name for part in everything for name in part.data_vars):
        having = {file: part[name] for file, part in parts.items() if name in part}
        variables[name] = _place(having, coords)
    return xr.Dataset(variables, coords, _shared(part.attrs for part in everything))


def _load(file: Path) -> xr.Dataset:
    return (
        load_dataset(file) if file.suffix == ".nc" else open_store(file, "store of training records").load()
    )


def _union(dim: str, parts: Iterable[xr.Dataset]) -> xr.Variable:
    having = [part[dim] for part in parts if dim in part.dims]
    if all(np.array_equal(array, having[0]) for array in having):
        return having[0].variable
    return xr.Variable(dim, np.unique(np.concatenate([array.values for array in having])), having[0].attrs)


def _place(having: Mapping[str, xr.DataArray], coords: Mapping[str, xr.Variable]) -> xr.Variable:
    """One variable over the union of the coordinates."""
    arrays = list(having.values())
    dims = arrays[0].dims
    places = {dim: coords[dim].to_index() for dim in dims}
    values = np.full([coords[dim].size for dim in dims], np.nan)
    filled = np.zeros(values.shape, dtype=bool)
    for file, array in having.items():
        if set(array.dims) != set(dims):
            raise UserError(
                f"{file}: {array.name!r} is over {array.dims}, elsewhere over {dims}; they are not of one kind"
            )
        place = np.ix_(*(places[dim].get_indexer(array[dim].values) for dim in dims))
        new, old = array.transpose(*dims).values, values[place]
        if np.any(filled[place] & (old != new) & ~(np.isnan(old) & np.isnan(new))):
            where = ", ".join(f"{dim} {array[dim].values[0]}" for dim in dims if array[dim].size == 1)
            raise UserError(
                f"{file}: another file has other values of {array.name!r} for {where}; keep one of them"
            )
        values[place], filled[place] = new, True
    dtype = np.result_type(*arrays)
    return xr.Variable(dims, values.astype(dtype) if filled.all() else values, arrays[0].attrs)


def _shared(attrs: Iterable[Mapping]) -> dict:
    first, *others = attrs
    return {
        key: value
        for key, value in first.items()
        if all(np.array_equal(value, other.get(key)) for other in others)
    }
