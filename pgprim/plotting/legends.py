"""The legend of a figure, and its entries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pgprim.plotting.labels import algo_label, count_label
from pgprim.plotting.style import GREY, colour, marker, shades


def legend_above(figure: Figure, columns: Sequence[Sequence[Artist]]) -> None:
    """One legend above all panels, column by column; empty columns are left out."""
    filled = [list(column) for column in columns if column]
    rows = max(map(len, filled))
    handles = [handle for column in filled for handle in column + [text_handle(" ")] * (rows - len(column))]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(filled))


def algo_handles(algos: tuple[str, ...], words: str = "", **more: Any) -> list[Line2D]:
    """The legend's entries for algorithms in their colours and markers.

    Args:
        algos: In the order in which they share out colours.
        words: What stands behind each name.
        more: What else their lines look like, or look like instead.
    """
    handles = []
    for algo in algos:
        own = {"color": colour(algo, algos), "marker": marker(algo, algos)}
        handles.append(Line2D([], [], label=f"{algo_label(algo)}{words}", **(own | more)))
    return handles


def checkpoint_handles(iterations: Int[np.ndarray, " iteration"]) -> list[Line2D]:
    """The legend's entries for checkpoints, in shades of grey that are darker for later ones."""
    return [
        Line2D([], [], color=shade, linewidth=1.5, label=f"iteration {iteration}")
        for iteration, shade in zip(iterations, shades(GREY, iterations.size), strict=True)
    ]


def marked_handle(marked: int) -> Line2D:
    """The legend's entry for the line of `panels.mark`."""
    return text_handle(f"{count_label(marked)}: pairs per training iteration")


def band_handle(label: str) -> Patch:
    """The legend's entry for a band of any algorithm."""
    return Patch(facecolor=GREY, alpha=0.3, linewidth=0, label=label)


def grey_handle(label: str, **more: Any) -> Line2D:
    """The legend's entry for a line or marker that stands for those of every colour.

    Args:
        label: Its words.
        more: What it looks like, apart from grey.
    """
    return Line2D([], [], color=GREY, label=label, **more)


def seed_handle() -> Line2D:
    """The legend's entry for a small dot per seed."""
    return grey_handle("one seed", marker="o", markersize=2, linestyle="", alpha=0.55)


def text_handle(text: str) -> Line2D:
    """A legend's entry of words alone."""
    return Line2D([], [], linestyle="", label=text)
