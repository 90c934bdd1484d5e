"""Mean pairwise cosine of independent estimates (Figs. 1, 9), within an agent.

The n(n−1)/2 cosines of n trials are dependent, so a bootstrap over *pairs of trials* covers its target far too
rarely. The jackknife here leaves out one trial at a time, and trials are independent.
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
    """Mean pairwise cosine of one kind of estimates minus that of another; trial k of both is from the same stream.

    The jackknife leaves a stream out of both kinds at once. So the noise that they share cancels, and the interval is
    that of the difference, which is narrower than two separate intervals suggest.

    Args:
        one: Cosines between the trials, at least three.
        other: The same of the kind that is subtracted.
        level: Nominal coverage.
    """
    kernel = one - other
    return clip(jackknife(pair_mean(kernel), pair_mean_leave_one_out(kernel), level), -2, 2)
