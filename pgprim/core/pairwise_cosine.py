"""Mean pairwise cosine of independent estimates (Figs. 1, 9), within an agent.

The n(n−1)/2 cosines of n trials are dependent, so that a bootstrap over *pairs* covers its target far too rarely. Here
trials, which are independent, are left out one by one.
"""

import numpy as np
from jaxtyping import Float

from pgprim.core.intervals import Interval, clip, jackknife, jackknife_cosine
from pgprim.core.pair_mean import pair_mean, pair_mean_leave_one_out


def pairwise_cosine(matrix: Float[np.ndarray, "trial trial"], level: float) -> Interval:
    """Mean pairwise cosine with its jackknife interval over trials.

    Args:
        matrix: Cosines between trials, at least three.
        level: Nominal coverage.
    """
    return jackknife_cosine(pair_mean(matrix), pair_mean_leave_one_out(matrix), level)


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
    return clip(jackknife(pair_mean(kernel), pair_mean_leave_one_out(kernel), level), -2, 2)
