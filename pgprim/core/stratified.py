"""Means over agents of several kinds, such as tasks and algorithms, with intervals between agents."""

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from pgprim.core.intervals import UNKNOWN, Interval


def stratified_mean(strata: list[Float[np.ndarray, " _"]], level: float) -> Interval:
    """Mean of the strata's means, with equal weight per stratum, and its interval between agents.

    The strata are fixed, not a sample, so differences between them are no source of error. The variance over training
    seeds is estimated within each stratum, with Welch's and Satterthwaite's degrees of freedom, since kinds of agents
    vary differently. Coverage is tested down to three agents per stratum.

    Args:
        strata: The values of the agents of each kind; values that are not finite are left out.
        level: Nominal coverage, e.g. 0.95.

    Returns:
        The mean of the strata that have any agents; NaN ends if one of them has only one.
    """
    strata = [values[np.isfinite(values)] for values in strata]
    strata = [values for values in strata if values.size]
    if not strata:
        return UNKNOWN
    mean = float(np.mean([values.mean() for values in strata]))
    if min(values.size for values in strata) < 2:
        return Interval(mean, np.nan, np.nan)
    parts = np.array([values.var(ddof=1) / values.size for values in strata])
    freedom = np.array([values.size - 1 for values in strata])
    total = parts.sum()
    if total == 0:
        return Interval(mean, mean, mean)
    half = student.ppf(0.5 + level / 2, total**2 / (parts**2 / freedom).sum()) * np.sqrt(total) / len(strata)
    return Interval(mean, float(mean - half), float(mean + half))
