"""Intervals as bands and bars. If a dataset has no intervals, nothing is drawn, without an error."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from pgprim.plotting.choose import has_intervals
from pgprim.plotting.legends import band_handle, grey_handle
from pgprim.store.labelled import interval

BAND = {"alpha": 0.15, "linewidth": 0}


def ends_of(ds: xr.Dataset, name: str) -> Float[np.ndarray, "bound *rest"]:
    """Lower and upper ends of a variable's interval; NaN without an interval."""
    ends = interval(ds, name)
    if ends is None:
        return np.full((2, *ds[name].shape), np.nan)
    return np.stack([end.transpose(*ds[name].dims).values for end in ends])


def reach_of(ds: xr.Dataset, name: str) -> Float[np.ndarray, "bound *rest"]:
    """Distances from the value to the interval's ends, for `Axes.errorbar`; 0 for an open end."""
    return np.nan_to_num(np.abs(ends_of(ds, name) - ds[name].values))


def draw_band(panel: Axes, x: Any, ds: xr.Dataset, name: str, **look: Any) -> None:
    """Fill between the ends of an interval along one dimension.

    Args:
        panel: The axes to draw into.
        x: Where the values lie.
        ds: The variable and its interval over that dimension alone.
        name: The variable.
        look: Colour, label and whatever else differs from `BAND`.
    """
    low, high = ends_of(ds, name)
    if np.isfinite(low).any() or np.isfinite(high).any():
        panel.fill_between(np.asarray(x), low, high, **(BAND | look))


def draw_bars(
    panel: Axes,
    x: Any,
    ds: xr.Dataset,
    name: str,
    limits: tuple[float, float] = (-np.inf, np.inf),
    **look: Any,
) -> None:
    """A vertical bar at each point of one dimension whose interval has both ends; bars are cut at the limits."""
    ends = ends_of(ds, name)
    has_both = ~np.isnan(ends).any(0)
    if has_both.any():
        panel.vlines(np.asarray(x)[has_both], *np.clip(ends, *limits)[:, has_both], **look)


def band_handles(ds: xr.Dataset, whose: str) -> list[Artist]:
    """The legend's entry for bands, if the dataset has any; `whose` names the source of variation."""
    return [band_handle(interval_words(ds, whose))] if has_intervals(ds) else []


def bar_handles(ds: xr.Dataset, whose: str) -> list[Artist]:
    """The legend's entry for bars, if the dataset has any; `whose` names the source of variation."""
    bar = grey_handle(interval_words(ds, whose), marker="|", markersize=6, linestyle="")
    return [bar] if has_intervals(ds) else []


def interval_words(ds: xr.Dataset, whose: str) -> str:
    """`95 % interval between agents`; `whose` names the source of variation."""
    level = f"{100 * ds.attrs['level']:g} % " if "level" in ds.attrs else ""
    return f"{level}interval {whose}"
