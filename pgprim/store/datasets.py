"""Labelled results: small datasets as NetCDF-3 files, large arrays and training records as Zarr v3 stores.

The same content gives the same bytes. A file or store appears complete or not at all, and it is sealed
(`store.files`): after one flipped bit it is refused. NetCDF-3 is one file without time stamps, and every tool can
read it.
"""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import xarray as xr
from numcodecs import blosc
from zarr.codecs import BloscCodec, Crc32cCodec

from pgprim.store.files import (
    UNSEALED,
    check_store,
    read_sealed,
    seal,
    seal_store,
    unusable,
    write_bytes,
    writing,
)
from pgprim.store.provenance import require_same_kernels

SHARD_BYTES = 1 << 30
"""Zarr puts a shard together in memory: what is larger is written chunk by chunk, a file each."""

KIND = "dataset"


def save_dataset(path: str | Path, ds: xr.Dataset) -> None:
    """Write a small dataset as one NetCDF-3 file.

    Args:
        path: The file; its folder is made if need be.
        ds: Every data variable must have `units` and `long_name`. Attributes come out in the order of their names.
            64-bit integers must fit into 32 bits, the limit of the format; parameters are bounded accordingly.

    Raises:
        ValueError: A variable is not described, or an integer does not fit.
    """
    _require_description(ds)
    # Without this, xarray would add a missing-value attribute to some variables only.
    encoding = {name: {"_FillValue": None} for name in ds.variables}
    sealed = _in_order(ds.assign_attrs(seal=UNSEALED))
    data = sealed.to_netcdf(engine="scipy", format="NETCDF3_64BIT", encoding=encoding)
    write_bytes(path, seal(bytes(data)))


def load_dataset(path: str | Path) -> xr.Dataset:
    """Read a NetCDF-3 file into memory.

    Raises:
        UserError: The file is missing, is not what pgprim wrote, or is of another kind of processor.
    """
    ds = xr.load_dataset(io.BytesIO(read_sealed(path, KIND)), engine="scipy")
    del ds.attrs["seal"]
    require_same_kernels(path, KIND, ds.attrs)
    return ds


def save_store(path: str | Path, ds: xr.Dataset) -> None:
    """Write a dataset of large arrays as a Zarr v3 store, one file of data per variable, whose chunks have checksums.

    Args:
        path: The store.
        ds: Every data variable must have `units` and `long_name`; the last dimension is never divided.

    Raises:
        ValueError: A variable is not described.
    """
    _require_description(ds)
    blosc.use_threads = False  # more threads would write a chunk's parts in the order in which they finish
    with writing(path) as partial, warnings.catch_warnings():
        # Zarr warns that other implementations may not read consolidated metadata; it is only a copy.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        encoding = {name: _encoding(array) for name, array in ds.variables.items()}
        plain = _in_order(ds.assign(_texts(ds)))
        plain.to_zarr(partial, zarr_format=3, consolidated=True, encoding=encoding)
        seal_store(partial)


def open_store(path: str | Path, kind: str = KIND, names: Iterable[str] = ()) -> xr.Dataset:
    """Open a Zarr store lazily, after a check of all its bytes.

    Args:
        path: The store.
        kind: What it should be, for the message.
        names: Variables that it must have.

    Raises:
        UserError: It is missing, is not what pgprim wrote, is of another kind of processor, or lacks a variable.
    """
    check_store(path, kind, contents=True)
    ds = xr.open_zarr(path, chunks=None)
    del ds.attrs["pgprim"]
    require_same_kernels(path, kind, ds.attrs)
    if lacking := [name for name in names if name not in ds]:
        raise unusable(path, kind, f"it has no variable {lacking[0]!r}")
    return ds


def _texts(ds: xr.Dataset) -> dict[str, xr.Variable]:
    """Fixed-width texts as variable-width texts, since Zarr v3 has no fixed-width type."""
    return {name: array.astype(object) for name, array in ds.variables.items() if array.dtype.kind == "U"}


def _encoding(array: xr.Variable) -> dict:
    """Chunks and codecs. Rows of the first dimension are read one by one, and lie in one file."""
    size = 1 if array.dtype.kind == "O" else array.dtype.itemsize
    codecs = {
        "compressors": [BloscCodec(cname="zstd", clevel=2, shuffle="shuffle", typesize=size), Crc32cCodec()]
    }
    if array.ndim < 2 or array.nbytes > SHARD_BYTES or not array.size:
        return codecs
    return codecs | {"chunks": (1, *array.shape[1:]), "shards": array.shape}


def _in_order(ds: xr.Dataset) -> xr.Dataset:
    ordered = ds.copy()
    ordered.attrs = dict(sorted(ds.attrs.items()))
    return ordered


def _require_description(ds: xr.Dataset) -> None:
    for name, array in ds.data_vars.items():
        if missing := [key for key in ("units", "long_name") if not array.attrs.get(key)]:
            raise ValueError(f"variable {name!r} has no {missing[0]}")
