"""Agreement of the algorithms' update steps with each other and with the step from a large sample."""

from collections.abc import Mapping
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from pgprim.plotting.cosines import AGREEMENT, TO_TRUTH, plot_cosines, select_cosines
from pgprim.plotting.style import style

FIGURES = ("steps",)
KINDS = (AGREEMENT, TO_TRUTH)


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws.

    Args:
        figure: One of `FIGURES`.
        ds: All estimates of this probe that are to be drawn.
        params: The parameter file; only `plot.budget` is used.

    Raises:
        UserError: If `ds` does not hold this probe's estimates.
    """
    return select_cosines(figure, ds, params, KINDS)


def plot(ds: xr.Dataset) -> Figure:
    """Figs. 1 and 2 for update steps: per task a row of agreement and a row of cosine to the large-sample step.

    Trained agents have a y axis of their own, because their steps agree many times less than those of untrained ones.
    """
    with style():
        return plot_cosines(ds, KINDS, height=1.1, trained_apart=True)
