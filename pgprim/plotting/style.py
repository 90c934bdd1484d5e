"""The one place for how figures look: fonts, line widths, page width, and one colour and marker per algorithm.

The style is a Python dictionary and not an `.mplstyle` file because figures depend on the code of the modules they
import: a changed style then rebuilds the figures, a changed data file would not.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.colors import to_rgb

WIDTH = 5.5
"""Width of the text column of the paper's style [inch]."""

GREY = "0.45"
"""Colour of what belongs to no algorithm."""

# Okabe and Ito's palette, told apart with every common colour blindness; markers tell algorithms apart without colour.
_ALGOS = {"ppo": ("#0072B2", "o"), "trpo": ("#D55E00", "s"), "ppo_m": ("#56B4E9", "^")}
PINK, GREEN, ORANGE, BLACK = ("#CC79A7", "D"), ("#009E73", "v"), ("#E69F00", "P"), ("#000000", "X")
"""Colours and markers that no algorithm of the paper has, for whatever else a figure tells apart."""

_OTHERS = (PINK, GREEN, ORANGE, BLACK)

STYLE = {
    # Fonts that come with matplotlib, so that every machine draws the same glyphs; Times-like, as the paper's text.
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
    "savefig.dpi": 220,
    "pdf.fonttype": 42,
    "axes.unicode_minus": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save with exactly this style: a user's own matplotlib settings are out of force inside."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def colour(algo: str, algos: tuple[str, ...] = ()) -> str:
    """The algorithm's colour; an algorithm the paper does not have takes the next free one in order of `algos`."""
    return _look(algo, algos)[0]


def marker(algo: str, algos: tuple[str, ...] = ()) -> str:
    """The algorithm's marker; see `colour`."""
    return _look(algo, algos)[1]


def shades(hue: str, count: int) -> list[tuple[float, float, float]]:
    """`count` shades of a colour from light to dark, for what has an order."""
    base = np.array(to_rgb(hue))
    steps = np.linspace(-0.6, 0.45, count) if count > 1 else np.zeros(1)
    return [tuple(base + (1 - base) * -step if step < 0 else base * (1 - step)) for step in steps]


def _look(algo: str, algos: tuple[str, ...]) -> tuple[str, str]:
    if algo in _ALGOS:
        return _ALGOS[algo]
    others = [name for name in algos if name not in _ALGOS]
    return _OTHERS[others.index(algo) % len(_OTHERS) if algo in others else 0]
