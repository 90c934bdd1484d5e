"""Iterations of training along an axis: means of neighbouring ones, the label that names them, and gaps."""

import numpy as np
import xarray as xr
from jaxtyping import Float


def average_iterations(ds: xr.Dataset | xr.DataArray, points: int) -> tuple[xr.Dataset | xr.DataArray, int]:
    """Means of neighbouring iterations, as few together as leave at most so many points.

    Args:
        ds: Records along `iteration`; NaN does not count.
        points: Most points along the curve.

    Returns:
        The means, each at the mean of its iterations, and how many iterations a mean is over.
    """
    width = -(-ds.sizes["iteration"] // points)
    return ds.coarsen(iteration=width, boundary="pad", side="left").mean(keep_attrs=True), width


def iterations_label(ds: xr.Dataset) -> str:
    """Label of an axis of iterations, with the attribute `iterations_per_point` in words if it is above 1."""
    width = int(ds.attrs["iterations_per_point"])
    return "Training iteration" + (f" (means over {width} iterations)" if width > 1 else "")


def sparse_markers(place: int, num_points: int) -> tuple[int, int]:
    """`markevery` of a line of many points: about six markers, at other points than those of lines at other places."""
    apart = max(1, num_points // 6)
    return place % apart, apart


def smallest_gap(iterations: Float[np.ndarray, " iteration"]) -> float:
    """The smallest distance between two neighbouring checkpoints, which have to share the axis; 1 for a single one."""
    return float(np.diff(iterations).min()) if iterations.size > 1 else 1.0
