"""Results as compact JSON, and JSON or code as text that stands inside an HTML page."""

import base64
import gzip
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

DIGITS = 4
"""Significant digits of a number on the page; a screen shows no more."""


def numbers(values: np.ndarray, digits: int = DIGITS) -> list[float | int | None]:
    """An array in C order as JSON numbers: `digits` significant digits, None for what is not finite."""
    return [_number(value, digits) for value in np.asarray(values).ravel().tolist()]


def _number(value: Any, digits: int) -> float | int | None:
    if isinstance(value, int):
        return value
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 2**53 else rounded


def encode(ds: xr.Dataset, names: Iterable[str]) -> dict[str, Any]:
    """A labelled dataset as JSON.

    Args:
        ds: The dataset; every dimension has a coordinate.
        names: Variables that are wanted. Those that the dataset does not have are left out.

    Returns:
        `dims`, the coordinates of each dimension by its name, and `vars`: for each variable its `dims`, and its `data` in
        C order with None for what is not finite.
    """
    there = [name for name in names if name in ds]
    dims = dict.fromkeys(dim for name in there for dim in ds[name].dims)
    return {
        "dims": {dim: _plain(ds[dim].values) for dim in dims},
        "vars": {name: {"dims": list(ds[name].dims), "data": _plain(ds[name].values)} for name in there},
    }


def _plain(values: np.ndarray) -> list:
    if values.dtype.kind in "OUST":
        return [str(value) for value in values.ravel()]
    return numbers(values)


def to_json(value: Any) -> str:
    """Compact JSON; the same value is always the same text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def pack(text: str) -> str:
    """A text compressed by gzip, as base64. The browser unpacks it; the same text is always the same bytes."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
