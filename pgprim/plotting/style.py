"""The one place for how figures look: fonts, line widths, page widths, and one colour, marker and dash per meaning.

Colour shows the subject of a curve (an algorithm, a baseline, surrogate or reward, few or many pairs), the dash its
origin (measured, on the update's own pairs, from a formula), and the shade its place in an order. No colour, marker
or dash has two meanings in one figure. The colours maximise the smallest distance between any two under normal colour
vision and three deficiencies, with different lightness within each group (tests/plotting/test_palette.py).

The style is a Python dictionary, not an `.mplstyle` file, because figures depend on the code that they import: a
change of the style rebuilds the figures, while a change of a data file would not.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.colors import to_rgb

WIDTH = 5.5
"""Width of a page's text [inch]."""

COLUMN = 3.25
"""Width of one of two columns [inch]."""

GREY = "0.45"
"""Colour of what belongs to nobody: guides, marked places, and the legend's entries for a dash or a marker alone."""


class Look(NamedTuple):
    """Colour and marker of one meaning."""

    colour: str | tuple[float, float, float]
    marker: str


ALGOS = {
    "ppo": Look("#004F9E", "o"),
    "trpo": Look("#D55E00", "s"),
    "ppo_m": Look("#56B4E9", "^"),
}
"""The paper's algorithms."""

OTHERS = (Look("#9600FF", "D"), Look("#87B44B", "v"), Look("#6978F0", "P"))
"""What any other algorithm takes, in this order."""

BASELINES = {
    "zero": Look("#F0B42D", "X"),
    "value": Look("#3C9669", "h"),
    "true": Look("#5A00B4", "*"),
}
"""No baseline, the agent's value function, and one fitted to returns: three hues, so that thin lines are told apart."""

SURFACES = {"surrogate": Look("#962D3C", "d"), "reward": Look("#000000", "p")}
"""What is measured around a checkpoint: the objective that the algorithm maximises, and the true reward."""

BATCHES = {"few": Look("#C369B4", "<"), "many": Look("#694B78", ">")}
"""A step by few pairs, as in training, and by many."""

ERRORS = {"lam_bias": "1", "lam_variance": "2", "lam_error": "3"}
"""Markers of squared bias, variance and their sum, which are three shades of the algorithm's colour."""

FLOOR, NOISE_FREE, PUBLISHED, ABOVE = "_", "x", 4, 6
"""Markers of what a perfect value function would show, of an error without noise, of published numbers, and of values that lie
further up than it stands."""

DASHES = {
    "measured": "-",
    "train": (0, (3, 1.3)),
    "level": (0, (1, 1.3)),
    "formula": (0, (6, 1.5, 1, 1.5)),
    "paper": (0, (7, 2)),
    "corrected": (0, (1.6, 0.9)),
}
"""How a line came about.

Measured, on held-out pairs and with exact semantics unless said otherwise; on the update's own pairs; a level that is given
or bounds something; a formula's prediction; with the semantics of the released code; corrected for noise.
"""

FACES = {"held_out": "full", "train": "none"}
"""Markers of held-out pairs are filled, those of the update's own pairs are hollow."""

ONE: Mapping[str, Any] = {"linewidth": 0.4, "alpha": 0.4}
"""A line of one seed where a line over seeds stands beside it."""

ALL: Mapping[str, Any] = {"linewidth": 1.4, "zorder": 2.5}
"""A median or mean over seeds."""

STYLE = {
    # Fonts that matplotlib includes, so that every machine draws the same glyphs; Times-like, as in the paper.
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 8,
    "figure.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlepad": 4.0,
    "axes.labelpad": 3.0,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "lines.linewidth": 0.8,
    "lines.markersize": 2.3,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.4,
    "legend.handletextpad": 0.5,
    "legend.borderaxespad": 0.2,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 160,
    "pdf.fonttype": 42,
    "axes.unicode_minus": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Context with exactly this style, without the user's own matplotlib settings."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def colour(algo: str, algos: tuple[str, ...] = ()) -> str:
    """The algorithm's colour; an algorithm the paper does not have takes the next free one in order of `algos`."""
    return look(algo, algos).colour


def marker(algo: str, algos: tuple[str, ...] = ()) -> str:
    """The algorithm's marker; see `colour`."""
    return look(algo, algos).marker


def look(algo: str, algos: tuple[str, ...] = ()) -> Look:
    """The algorithm's colour and marker; see `colour`."""
    if algo in ALGOS:
        return ALGOS[algo]
    others = [name for name in algos if name not in ALGOS]
    return OTHERS[others.index(algo) % len(OTHERS) if algo in others else 0]


def shades(hue: str, count: int) -> list[tuple[float, float, float]]:
    """`count` shades of a colour from light to dark, for what has an order."""
    base = np.array(to_rgb(hue))
    steps = np.linspace(-0.6, 0.45, count) if count > 1 else np.zeros(1)
    return [tuple(base + (1 - base) * -step if step < 0 else base * (1 - step)) for step in steps]
