"""Means over agents of several kinds, such as tasks and algorithms, with intervals between agents."""

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from pgprim.core.statistics import Interval


def stratified_mean(strata: list[Float[np.ndarray, " _"]], level: float) -> Interval:
    """Mean of the strata's means, each stratum counting alike, with its interval between agents.

    The strata are the very ones that are asked about, not a sample of others: their differences are no source of error.
    What other training seeds would change is estimated within each stratum, and the degrees of freedom are Welch's and
    Satterthwaite's, since kinds of agents vary differently. Coverage is tested down to three agents per stratum.

    Args:
        strata: The values of the agents of each kind; what is not finite is left out.
        level: Nominal coverage, e.g. 0.95.

    Returns:
        The mean of the strata that have any agents; open ends where one of them has only one.
    """
    known = [values[np.isfinite(values)] for values in strata]
    known = [values for values in known if values.size]
    if not known:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(np.mean([values.mean() for values in known]))
    if min(values.size for values in known) < 2:
        return Interval(mean, np.nan, np.nan)
    parts = np.array([values.var(ddof=1) / values.size for values in known])
    freedom = np.array([values.size - 1 for values in known])
    total = parts.sum()
    if total == 0:
        return Interval(mean, mean, mean)
    half = student.ppf(0.5 + level / 2, total**2 / (parts**2 / freedom).sum()) * np.sqrt(total) / len(known)
    return Interval(mean, float(mean - half), float(mean + half))
