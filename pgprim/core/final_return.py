"""Final return: a training run as one number."""

import numpy as np
from jaxtyping import Bool, Float

from pgprim.core.finite import finite_mean


def final_return(
    returns: Float[np.ndarray, "*run iteration"], diverged: Bool[np.ndarray, "*run"], share: float
) -> Float[np.ndarray, "*run"]:
    """Mean episode return over the last share of the iterations.

    A diverged run has no final policy. Its first iteration's return, that of an untrained agent, counts instead:
    leaving the run out, or using its last finite iterations, would favour settings that sometimes fail.

    Args:
        returns: Mean return of the episodes that ended in each iteration; NaN where none did, and after the end of a
            run that diverged.
        diverged: Which runs did.
        share: Share of the iterations; at least one iteration counts.
    """
    last = max(1, round(share * returns.shape[-1]))
    final = finite_mean(returns[..., -last:], axis=-1)
    return np.where(diverged, returns[..., 0], final)
