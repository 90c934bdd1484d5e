"""Do trust regions hold? Return, KL divergence and ratios of every update, as in the talk and the paper's first version."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pgprim.plotting.choose import choose
from pgprim.plotting.labels import algo_label, axis_label, order_algos, task_label
from pgprim.plotting.panels import band_handle, legend_above, panel_grid
from pgprim.plotting.style import GREY, colour, style
from pgprim.store.labelled import BOUNDS as ENDS

FIGURES = ("trust_region",)
PAGES = (("return_mean", "kl_mean", "ratio_max"), ("kl_of_mean", "kl_of_sigma", "ratio_q99", "clip_fraction"))
"""What each page shows, a row each."""

BOUNDS = {"kl_mean": "delta", "ratio_max": "ratio_bound", "ratio_q99": "ratio_bound"}
"""The bound that belongs to a row."""

LINEAR = ("return_mean", "clip_fraction")
PARTS = {"train": (0, (2, 1)), "held_out": "-"}
"""Line styles of pairs that the update was made from and of fresh ones."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: every agent's numbers, and over its seeds their median and range.

    The median, because a maximum ratio can be 10⁶ in one iteration of one seed.

    Args:
        figure: One of `FIGURES`.
        ds: All estimates of this probe that are to be drawn.
        params: The parameter file; not used.

    Raises:
        UserError: If `ds` does not hold this probe's estimates.
    """
    rows = [name for page in PAGES for name in page]
    ds = choose(ds, [*rows, *dict.fromkeys(BOUNDS.values())])
    over_seeds = {}
    for name in rows:
        words = f"over seeds of the {ds[name].attrs['long_name']}"
        median, least, largest = (
            xr.apply_ufunc(_some(reduce), ds[name], input_core_dims=[["seed"]], vectorize=True)
            for reduce in (np.nanmedian, np.nanmin, np.nanmax)
        )
        ends = xr.concat([least, largest], "bound").assign_coords(bound=list(ENDS))
        for suffix, array, long_name in (
            ("median", median, f"median {words}"),
            ("range", ends, f"range {words}"),
        ):
            units = ds[name].attrs["units"]
            over_seeds[f"{name}_{suffix}"] = array.assign_attrs(long_name=long_name, units=units)
    return ds.assign(over_seeds).assign_attrs(figure=figure)


def _some(reduce):
    """`reduce` over what is known, and NaN where nothing is."""
    return lambda values: reduce(values) if np.isfinite(values).any() else np.nan


def plot(ds: xr.Dataset) -> list[Figure]:
    """Two pages, a column per task, a line per algorithm on the update's own pairs (dashed) and on fresh ones (solid).

    The first page shows return, mean KL with δ, and the largest ratio with 1 + ε; the second the two parts of the KL,
    the 99 % quantile of the ratio, and how many ratios lie outside of 1 ± ε. Lines are medians over seeds and bands
    reach from the least to the largest seed, both on fresh pairs.
    """
    with style():
        return [plot_page(ds, rows) for rows in PAGES]


def plot_page(ds: xr.Dataset, rows: tuple[str, ...]) -> Figure:
    """One page: a row per quantity, a column per task."""
    figure, axes = panel_grid(len(rows), ds.task.size, height=1.3, extra=0.75, sharey=False)
    for name, line in zip(rows, axes, strict=True):
        for panel, task in zip(line, ds.task.values, strict=True):
            draw_updates(panel, ds.sel(task=task), name)
        line[0].set_ylabel(axis_label(ds[name], width=20))
    for panel, task in zip(axes[0], ds.task.values, strict=True):
        panel.set_title(task_label(task))
    for panel in axes[:-1].flat:
        panel.tick_params(labelbottom=False)
    figure.supxlabel("Training iteration")
    legend_above(figure, _handles(ds, any(name in BOUNDS for name in rows)))
    return figure


def draw_updates(panel: Axes, ds: xr.Dataset, name: str) -> None:
    """One quantity on one task: median and range over seeds for each algorithm, and the bound it should keep.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, for one task.
        name: The quantity.
    """
    algos = tuple(order_algos(ds.algo.values.tolist()))
    for algo in algos:
        hue, one = colour(algo, algos), ds.sel(algo=algo)
        fresh = one.sel(part="held_out")
        ends = (fresh[f"{name}_range"].sel(bound=bound) for bound in ENDS)
        panel.fill_between(one.iteration, *ends, color=hue, alpha=0.15, linewidth=0, label=f"{algo} band")
        for part, dashes in PARTS.items():
            panel.plot(
                one.iteration, one[f"{name}_median"].sel(part=part), color=hue, linewidth=0.9, linestyle=dashes,
                label=f"{algo} {part}",
            )  # fmt: skip
        if name in BOUNDS and np.isfinite(one[BOUNDS[name]]):
            panel.axhline(
                float(one[BOUNDS[name]]),
                color=hue,
                linewidth=0.7,
                linestyle=(0, (1, 1)),
                label=f"{algo} bound",
            )
    if name not in LINEAR:
        log_axis(panel)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panel.set_xlim(float(ds.iteration.min()), float(ds.iteration.max()))


def log_axis(panel: Axes) -> None:
    """A logarithmic y axis with a number at every decade, or at 1, 2 and 5 of each where it spans no more than two."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=6))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())


def _handles(ds: xr.Dataset, bounded: bool) -> list[list]:
    algos = tuple(order_algos(ds.algo.values.tolist()))
    hues = [
        Line2D([], [], color=colour(algo, algos), linewidth=1.1, label=algo_label(algo)) for algo in algos
    ]
    parts = [
        Line2D([], [], color=GREY, linestyle=PARTS["held_out"], label="fresh pairs, median over seeds"),
        Line2D([], [], color=GREY, linestyle=PARTS["train"], label="the update's own pairs"),
    ]
    bound = (
        [Line2D([], [], color=GREY, linewidth=0.7, linestyle=(0, (1, 1)), label="TRPO's δ, PPO's 1 + ε")]
        if bounded
        else []
    )
    return [hues, parts, [band_handle("range over seeds"), *bound]]
