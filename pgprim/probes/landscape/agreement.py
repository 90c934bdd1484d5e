"""Figures of the agreement of surrogate and reward and of the reward's noise, from the results of `alignment`."""

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from pgprim.plotting.choose import budgets_of
from pgprim.plotting.intervals import bar_handles, draw_bars
from pgprim.plotting.iterations import smallest_gap
from pgprim.plotting.labels import algo_label, count_label, task_label
from pgprim.plotting.legends import checkpoint_handles, legend_above
from pgprim.plotting.panels import name_columns, name_row, number_last_row, panel_grid
from pgprim.plotting.style import BATCHES, GREY, shades

LOOKS = {
    "few": ("step from few pairs", *BATCHES["few"]),
    "many": ("step from many pairs", *BATCHES["many"]),
    "slice_few": ("step from few pairs", *BATCHES["few"]),
    "slice_many": ("step from many pairs", *BATCHES["many"]),
    "steps": ("ends of independent steps", GREY, "."),
}
"""Name, colour and marker of each kind of points."""

PAGES = (
    ("fresh_correlation", ("slice_few", "slice_many"), "along slices, surrogate\nunclipped, fresh batches"),
    ("correlation", ("few", "many"), "within columns\nof equal β of the plane"),
    ("correlation", ("slice_few", "slice_many", "steps"), "along slices,\nsurrogate on own batches"),
)
"""Statistic, kinds of points and words of each page of correlations. The one that claims are judged by leads."""

SHARES = {"noise_share": "over the plane", "step_noise_share": "within columns of equal β"}
"""Share of noise and words of each page of noise."""

CAP = {"alpha": 0.22, "linewidth": 0, "zorder": 0.8}


def draw_pages(ds: xr.Dataset) -> list[Figure]:
    """Rank correlations along slices and over planes, as far as there are any, and the noise of planes.

    Args:
        ds: What `alignment.align` gives.
    """
    pages = [
        draw_correlations(ds, name, kinds, words)
        for name, kinds, words in PAGES
        if ds[name].sel(kind=list(kinds)).notnull().any()
    ]
    return [*pages, *(draw_noise(ds, name, words) for name, words in SHARES.items())]


def draw_correlations(ds: xr.Dataset, name: str, kinds: tuple[str, ...], words: str) -> Figure:
    """One statistic against the checkpoint, each agent at its own place: a row per algorithm, a column per task.

    Shaded caps cover the correlations beyond ± the ceiling, which noise makes impossible.

    Args:
        ds: What `alignment.align` gives.
        name: The statistic.
        kinds: The points that it is over.
        words: Their name at the axis.
    """
    figure, panels = _grid(ds, f"rank correlation\n{words}", "Training iteration")
    iterations = ds.iteration.values.astype(float)
    gap = smallest_gap(iterations)
    kinds = tuple(kind for kind in kinds if ds[name].sel(kind=kind).notnull().any())
    places = [(kind, seed) for kind in kinds for seed in ds.seed.values]
    width = 0.8 * gap / len(places)
    for panel, agents in panels:
        panel.axhline(0, color=GREY, linewidth=0.6)
        panel.grid(False, axis="x")
        for place, (kind, seed) in enumerate(places):
            one = agents.sel(kind=kind, seed=seed)
            _, hue, symbol = LOOKS[kind]
            x = iterations + (place - (len(places) - 1) / 2) * width
            ceiling = one["fresh_ceiling" if name == "fresh_correlation" else "ceiling"]
            _draw_caps(panel, x, ceiling.values, width, hue)
            draw_bars(panel, x, one, name, (-1.0, 1.0), color=hue, linewidth=0.8)
            panel.plot(
                x, one[name], color=hue, marker=symbol, markersize=2.6, linestyle="", label=kind,
                markerfacecolor=hue if name == "fresh_correlation" else "white",
            )  # fmt: skip
        panel.set_xticks(iterations)
        panel.set_xlim(iterations[0] - gap / 2, iterations[-1] + gap / 2)
        panel.set_ylim(-1.05, 1.05)
    fills = "full" if name == "fresh_correlation" else "none"
    cap = Patch(facecolor=GREY, **CAP, label="kept out of reach by noise")
    legend_above(figure, [_kind_handles(kinds, fills), [*bar_handles(ds, "within the agent"), cap]])
    return figure


def draw_noise(ds: xr.Dataset, name: str, words: str) -> Figure:
    """Share of noise in a plane against the pairs per point, first seed: a row per algorithm, a column per task.

    Args:
        ds: What `alignment.align` gives.
        name: The share.
        words: Which variance it is a share of.
    """
    quantity = f"share of noise in the variance\n{words}"
    figure, panels = _grid(ds, quantity, "State-action pairs per point")
    kinds = ("few", "many")
    for panel, agents in panels:
        panel.axhline(1, color=GREY, linewidth=0.6)
        for kind in kinds:
            _, hue, symbol = LOOKS[kind]
            for iteration, shade in zip(ds.iteration.values, shades(hue, ds.iteration.size), strict=True):
                one = agents.sel(kind=kind, iteration=iteration).isel(seed=0)
                one = one.dropna("budget", subset=[name])
                panel.plot(
                    one.budget, one[name], color=shade, marker=symbol, markersize=2.6, linewidth=0.6,
                    label=f"{kind} {iteration}",
                )  # fmt: skip
                draw_bars(panel, one.budget, one, name, (-0.05, 1.5), color=shade, linewidth=0.6)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(budgets_of(ds[name].sel(kind=list(kinds)))))
        panel.xaxis.set_major_formatter(lambda value, _: count_label(float(value)))
        panel.xaxis.set_minor_locator(FixedLocator([]))
        panel.set_ylim(-0.05, 1.5)
    lines = [*_kind_handles(kinds, "full"), *bar_handles(ds, "within the agent")]
    legend_above(figure, [lines, checkpoint_handles(ds.iteration.values)])
    return figure


def _draw_caps(panel: Axes, x: np.ndarray, ceiling: np.ndarray, width: float, hue: str) -> None:
    """Shade the correlations that noise makes impossible, at both ends of the axis."""
    known = np.isfinite(ceiling)
    for sign in (1, -1):
        panel.bar(
            x[known],
            sign * (1 - ceiling[known]),
            width,
            sign * ceiling[known],
            color=hue,
            label="ceiling",
            **CAP,
        )


def _grid(ds: xr.Dataset, quantity: str, against: str) -> tuple[Figure, list[tuple[Axes, xr.Dataset]]]:
    """Panels in a row per algorithm and a column per task, each with what it shows."""
    figure, axes = panel_grid(ds.algo.size, ds.task.size, height=1.45, extra=1.0)
    name_columns(axes, map(task_label, ds.task.values))
    for line, algo in zip(axes, ds.algo.values, strict=True):
        line[0].set_ylabel(quantity)
        name_row(line[-1], algo_label(algo))
    number_last_row(axes)
    figure.supxlabel(against)
    places = ((row, column) for row in range(ds.algo.size) for column in range(ds.task.size))
    return figure, [(axes[place], ds.isel(algo=place[0], task=place[1])) for place in places]


def _kind_handles(kinds: tuple[str, ...], fills: str) -> list[Artist]:
    return [
        Line2D([], [], color=hue, marker=symbol, markersize=4, linestyle="", label=name, fillstyle=fills)
        for name, hue, symbol in (LOOKS[kind] for kind in kinds)
    ]
