"""Returns that others have published, which figures show beside ours."""

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr
from jaxtyping import Num
from matplotlib.lines import Line2D

from pgprim.plotting.legends import grey_handle
from pgprim.plotting.style import DASHES

PUBLISHED_RETURN = ("return that was published for the -v2 task after about a million pairs", "reward")
"""Long name and unit of such returns."""

Published = Mapping[str, Mapping[str, float | int]]
"""`plot.published` of the parameter file: returns by task and algorithm."""


def published_returns(
    published: Published, tasks: Iterable[str], algos: Iterable[str]
) -> Num[np.ndarray, "task algo"]:
    """Published returns; NaN where there is none."""
    algos = list(algos)
    return np.array([[published.get(task, {}).get(algo, np.nan) for algo in algos] for task in tasks])


def published_handles(ds: xr.Dataset) -> list[Line2D]:
    """The legend's entry for lines at the returns in `published`, if there are any."""
    handle = grey_handle("published for the -v2 task", linestyle=DASHES["level"])
    return [handle] if ds.published.notnull().any() else []
