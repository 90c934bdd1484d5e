"""Arrays to labelled datasets: names, dimensions, coordinates, long names, units, and intervals as a dimension.

An estimate with an interval is two variables: `cosine` over its dimensions, and `cosine_ci` over these and `bound`,
whose labels are `low` and `high`. All datasets that pgprim stores are labelled by this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pgprim.core.intervals import Interval

BOUNDS = ("low", "high")
AGENT = ("task", "algo", "seed", "iteration")
"""Dimensions of what is estimated at a checkpoint, each of length 1 in a file: those of the path."""

COORDS = {
    "task": ("task", "1"),
    "algo": ("algorithm", "1"),
    "seed": ("seed of the agent", "1"),
    "iteration": ("training iteration", "1"),
    "budget": ("state-action pairs per estimate", "pairs"),
    "trial": ("independent estimate", "1"),
    "trial_b": ("independent estimate, the other one of a pair", "1"),
    "stream": ("stream of the pool", "1"),
    "t": ("time in the stream", "environment steps"),
    "part": ("the update's own pairs, or held-out ones", "1"),
    "bound": ("end of an interval", "1"),
}
"""Long name and unit of dimensions that mean the same everywhere."""


def label(
    variables: Mapping[str, tuple[Sequence[str], Any]],
    described: Mapping[str, tuple[str, str]],
    coords: Mapping[str, Any],
    attrs: Mapping[str, Any] | None = None,
    where: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """A labelled dataset.

    Args:
        variables: By name, dimensions and values; values may be an `Interval` of numbers or of arrays.
        described: Long name and unit by variable, and by coordinate where it is not in `COORDS` or needs a more
            specific name.
        coords: Values by dimension; dimensions that no variable has are left out.
        attrs: Attributes; `level`, the intervals' nominal coverage, is added to their long names.
        where: Coordinates of one value each, such as those of an agent; their dimensions come first.

    Raises:
        KeyError: A variable or coordinate is not described.
    """
    where, attrs = dict(where or {}), dict(attrs or {})
    described = COORDS | dict(described)
    data = {}
    for name, (dims, values) in variables.items():
        long_name, units = described[name]
        interval = values if isinstance(values, Interval) else None
        data[name] = _variable(
            (*where, *dims), values.value if interval else values, len(where), long_name, units
        )
        if interval:
            ends = np.stack([interval.low, interval.high], axis=-1)
            of = f"{100 * attrs['level']:g} % interval of the " if "level" in attrs else "interval of the "
            data[f"{name}_ci"] = _variable(
                (*where, *dims, "bound"), ends, len(where), f"{of}{long_name}", units
            )
    used = {dim for dims, *_ in data.values() for dim in dims}
    axes = {}
    for name, values in (
        {name: [value] for name, value in where.items()} | dict(coords) | {"bound": BOUNDS}
    ).items():
        if name in used:
            axes[name] = (
                name,
                _plain(values),
                dict(zip(("long_name", "units"), described[name], strict=True)),
            )
    return xr.Dataset(data, axes, attrs)


def agent_of(checkpoint: Any) -> dict[str, Any]:
    """The coordinates of one checkpoint, for `label`'s `where`."""
    return {name: getattr(checkpoint, name) for name in AGENT}


def stack(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Stack dicts with the same names, such as one per budget, to arrays; intervals stay intervals."""
    return {name: stack_values([row[name] for row in rows]) for name in rows[0]}


def stack_values(values: Any) -> Any:
    """A nested list of numbers, arrays or intervals as an array or an interval of arrays."""
    if isinstance(values, Interval):
        return values
    first = values[0]
    if isinstance(first, list):
        values = [stack_values(value) for value in values]
        first = values[0]
    if isinstance(first, Interval):
        return Interval(*(np.stack(ends) for ends in zip(*values, strict=True)))
    return np.stack(values)


def interval(ds: xr.Dataset, name: str) -> tuple[xr.DataArray, xr.DataArray] | None:
    """The ends of a variable's interval; None if the dataset has none."""
    if f"{name}_ci" not in ds:
        return None
    return tuple(ds[f"{name}_ci"].sel(bound=end, drop=True) for end in BOUNDS)


def _variable(
    dims: tuple[str, ...], values: Any, num_leading: int, long_name: str, units: str
) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    return dims, _plain(values)[(None,) * num_leading], {"long_name": long_name, "units": units}


def _plain(values: Any) -> np.ndarray:
    """An array whose text, if it is text, has no fixed width, which Zarr v3 does not know."""
    array = np.asarray(list(values) if isinstance(values, range) else values)
    return array.astype(object) if array.dtype.kind == "U" else array
