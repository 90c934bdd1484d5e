"""Means and medians of the values that are numbers, where NaN stands for "not defined here"."""

import numpy as np
from jaxtyping import Float


def finite_mean(values: Float[np.ndarray, "first *rest"], axis: int = 0) -> Float[np.ndarray, "..."]:
    """Mean of the finite values along an axis; NaN where there are none."""
    finite = np.isfinite(values)
    count = finite.sum(axis)
    return np.where(finite, values, 0.0).sum(axis) / np.where(count, count, np.nan)


def finite_median(values: Float[np.ndarray, "first *rest"], axis: int = 0) -> Float[np.ndarray, "..."]:
    """Median of the finite values along an axis; NaN where there are none."""
    return np.apply_along_axis(_median, axis, values)


def _median(values: Float[np.ndarray, " value"]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan
