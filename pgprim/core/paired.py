"""Differences between two kinds of estimates that are made from the same streams."""

import numpy as np
from jaxtyping import Float

from pgprim.core.statistics import Interval, jackknife, pair_mean, pair_mean_leave_one_out


def cosine_difference(
    one: Float[np.ndarray, "trial trial"], other: Float[np.ndarray, "trial trial"], level: float
) -> Interval:
    """Mean pairwise cosine of one kind of estimates less that of the other, where trial k of both is of one stream.

    A stream is left out of both at once (jackknife), so that what the kinds share, a good or bad stream, cancels: the
    interval is that of the difference, which two separate intervals would overstate.

    Args:
        one: Cosines between the trials, at least three.
        other: The same of the kind that is subtracted.
        level: Nominal coverage.
    """
    kernel = one - other
    return jackknife(pair_mean(kernel), pair_mean_leave_one_out(kernel), level)
