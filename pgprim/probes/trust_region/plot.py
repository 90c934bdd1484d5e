"""Trust regions: return, KL divergence and ratios of every update, as in the talk and the paper's first version."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, NullFormatter

from pgprim.plotting.choose import choose
from pgprim.plotting.iterations import sparse_markers
from pgprim.plotting.labels import algos_of, axis_label, task_label
from pgprim.plotting.legends import algo_handles, band_handle, grey_handle, legend_above
from pgprim.plotting.panels import name_columns, number_last_row, panel_grid
from pgprim.plotting.seeds import over_seeds
from pgprim.plotting.style import ALL, DASHES, look, style
from pgprim.store.labelled import BOUNDS as ENDS

FIGURES = ("trust_region",)
PAGES = (("return_mean", "kl_mean", "ratio_max"), ("kl_of_mean", "kl_of_sigma", "ratio_q99", "clip_fraction"))
"""What each page shows, a row each."""

BOUNDS = {
    "kl_mean": ("delta", "δ"),
    "ratio_max": ("ratio_bound", "1 + ε"),
    "ratio_q99": ("ratio_bound", "1 + ε"),
}
"""The bound that belongs to a row, and its symbol."""

LINEAR = ("return_mean", "clip_fraction")
PARTS = {"train": DASHES["train"], "held_out": DASHES["measured"]}
"""Line styles of pairs that the update was made from and of fresh ones."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: every agent's numbers, and over its seeds their median and range.

    The median is used because a maximum ratio can be 10⁶ in one iteration of one seed.

    Args:
        figure: One of `FIGURES`.
        ds: All estimates of this probe that are to be drawn.
        params: The parameter file; not used.

    Raises:
        UserError: If `ds` does not hold this probe's estimates.
    """
    rows = [name for page in PAGES for name in page]
    ds = choose(ds, [*rows, *dict.fromkeys(bound for bound, _ in BOUNDS.values())])
    summaries = {}
    for name in rows:
        summaries[f"{name}_median"] = over_seeds(ds[name])
        ends = [over_seeds(ds[name], reduce, "range") for reduce in (np.min, np.max)]
        described = ends[0].attrs
        ends = xr.concat(ends, "bound").assign_coords(bound=list(ENDS))
        summaries[f"{name}_range"] = ends.assign_attrs(described)
    return ds.assign(summaries).assign_attrs(figure=figure)


def plot(ds: xr.Dataset) -> list[Figure]:
    """Two pages, a column per task, a line per algorithm on own pairs (dashed) and on fresh ones (solid, markers).

    The first page shows return, mean KL with δ, and the largest ratio with 1 + ε; the second the two parts of the KL,
    the 99 % quantile of the ratio, and the share of ratios outside 1 ± ε. Lines are medians over seeds and bands
    reach from the least to the largest seed on fresh pairs. Dotted lines are TRPO's δ and PPO's 1 + ε.
    """
    with style():
        return [plot_page(ds, rows) for rows in PAGES]


def plot_page(ds: xr.Dataset, rows: tuple[str, ...]) -> Figure:
    """One page: a row per quantity, a column per task."""
    figure, axes = panel_grid(len(rows), ds.task.size, height=1.5, extra=0.85, sharey=False)
    for name, line in zip(rows, axes, strict=True):
        for panel, task in zip(line, ds.task.values, strict=True):
            draw_updates(panel, ds.sel(task=task), name)
        line[0].set_ylabel(axis_label(ds[name], width=20))
    name_columns(axes, map(task_label, ds.task.values))
    number_last_row(axes)
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
    algos = algos_of(ds)
    for place, algo in enumerate(algos):
        (hue, symbol), one = look(algo, algos), ds.sel(algo=algo)
        fresh = one.sel(part="held_out")
        ends = (fresh[f"{name}_range"].sel(bound=bound) for bound in ENDS)
        panel.fill_between(one.iteration, *ends, color=hue, alpha=0.15, linewidth=0, label=f"{algo} band")
        looks = {
            "train": {"linewidth": 0.8},
            "held_out": {"marker": symbol, "markersize": 3, "markeredgewidth": 0, **ALL},
        }
        for part, dashes in PARTS.items():
            panel.plot(
                one.iteration, one[f"{name}_median"].sel(part=part), color=hue, linestyle=dashes, label=f"{algo} {part}",
                markevery=sparse_markers(place, one.iteration.size), **looks[part],
            )  # fmt: skip
        if name in BOUNDS:
            _draw_bound(panel, float(one[BOUNDS[name][0]]), BOUNDS[name][1], algo, hue)
    if name not in LINEAR:
        log_axis(panel, float(ds[f"{name}_median"].max()))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panel.set_xlim(float(ds.iteration.min()), float(ds.iteration.max()))


def _draw_bound(panel: Axes, bound: float, symbol: str, algo: str, hue: str) -> None:
    """A dotted line at the bound of an algorithm with its symbol at the right, if it has one that is not drawn yet."""
    if not np.isfinite(bound) or any(
        text.get_text() == symbol and text.xy[1] == bound for text in panel.texts
    ):
        return
    panel.axhline(
        bound, color=hue, linewidth=1.0, linestyle=DASHES["level"], zorder=2.6, label=f"{algo} bound"
    )
    panel.annotate(
        symbol, (1, bound), (2, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", color=hue,
        annotation_clip=False,
    )  # fmt: skip


def log_axis(panel: Axes, median: float) -> None:
    """A logarithmic y axis with a number at every decade, or at 1, 2 and 5 of each where it spans no more than two.

    Args:
        panel: The axes.
        median: The largest median over seeds; bands are cut at ten times this value.
    """
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    if np.isfinite(median):
        high = min(high, 10 * median)
        panel.set_ylim(low, high)
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=6))
    panel.yaxis.set_major_formatter(LogFormatterMathtext() if low < 1e-4 else "{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())


def _handles(ds: xr.Dataset, bounded: bool) -> list[list]:
    hues = algo_handles(algos_of(ds), markersize=3, markeredgewidth=0, **ALL)
    parts = [
        grey_handle("fresh pairs, median over seeds", linestyle=PARTS["held_out"], **ALL),
        grey_handle("the update's own pairs, median", linestyle=PARTS["train"], linewidth=0.8),
        band_handle("range over seeds, fresh pairs"),
    ]
    bound = grey_handle("TRPO's δ, PPO's 1 + ε", linewidth=1.0, linestyle=DASHES["level"])
    return [hues, parts, [bound] if bounded else []]
