"""Grids of panels at column width: sizes, shared axes, names of rows and columns, and axis ticks for budgets."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MultipleLocator, NullFormatter

from pgprim.plotting.labels import count_label
from pgprim.plotting.style import GREY, WIDTH


def panel_grid(
    rows: int, columns: int, height: float, extra: float, sharey: bool | str = True
) -> tuple[Figure, np.ndarray]:
    """A figure of column width with a grid of panels.

    Args:
        rows, columns: Size of the grid.
        height: Height of one row [inch].
        extra: Height of the legend above and the axis label below the grid [inch].
        sharey: Which panels share the y axis, as in `matplotlib.pyplot.subplots`.

    Returns:
        The figure and its axes `[row, column]`.
    """
    figure = Figure(figsize=(WIDTH, rows * height + extra), layout="constrained")
    return figure, figure.subplots(rows, columns, sharex=False, sharey=sharey, squeeze=False)


def name_row(axes: Axes, text: str) -> None:
    """Write a row's name at the right of its last panel, reading downwards."""
    axes.annotate(
        text, (1, 0.5), (5, 0), xycoords="axes fraction", textcoords="offset points", rotation=270, va="center",
        ha="left", annotation_clip=False,
    )  # fmt: skip


def name_columns(axes: np.ndarray, names: Iterable[str]) -> None:
    """Write the columns' names above a grid's first row."""
    for panel, name in zip(axes[0], names, strict=True):
        panel.set_title(name)


def number_last_row(axes: np.ndarray) -> None:
    """Leave the numbers of the x axis to a grid's last row."""
    for panel in axes[:-1].flat:
        panel.tick_params(labelbottom=False)


def budget_axis(axes: Axes, budgets: Int[np.ndarray, " budget"], marked: int) -> None:
    """A logarithmic x axis over the budgets with a labelled line at the pairs that training uses per iteration.

    If it spans five decades or more, every other decade has a label.

    Args:
        axes: The panel.
        budgets: Pairs per estimate; the axis spans them and `marked`.
        marked: Pairs per training iteration, where the line stands, labelled as the paper does (`2K`).
    """
    low, high = min(budgets.min(), marked), max(budgets.max(), marked)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.3, high * 1.3)
    decades = [10.0**k for k in range(20) if low / 1.3 <= 10.0**k <= high * 1.3]
    if len(decades) >= 2:
        axes.xaxis.set_major_locator(FixedLocator(decades[:: 2 if len(decades) > 4 else 1]))
        axes.xaxis.set_minor_locator(LogLocator(subs=range(2, 10)))
    else:
        ticks = sorted({*budgets.tolist(), marked})
        axes.xaxis.set_major_locator(FixedLocator(ticks if len(ticks) <= 3 else [low, high]))
        axes.xaxis.set_major_formatter(lambda value, _: count_label(value))
        axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    mark(axes, marked)


def mark(axes: Axes, marked: int) -> None:
    """A vertical line at the pairs that training uses per iteration, with their number as in the paper.

    Args:
        axes: The panel, with its x axis set.
        marked: Pairs per training iteration.
    """
    axes.axvline(marked, color=GREY, linewidth=0.7, zorder=1.5)
    axes.annotate(
        count_label(marked), (marked, 1), (-1.5, -1), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="right", va="top", color=GREY, fontsize=7,
    )  # fmt: skip


def cosine_axis(axes: Axes, limits: tuple[float, float]) -> None:
    """A y axis for cosines, with ticks at 0, 0.5 and 1 (and further down where the limits are)."""
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(MultipleLocator(0.5))
    axes.yaxis.set_major_formatter("{x:g}")
