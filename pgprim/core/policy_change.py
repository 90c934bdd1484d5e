"""Size of a policy update, from plain arrays (Eqs. 16, 18).

`core.gaussian` has the same divergence in torch for stacks of agents, which the study uses; a test checks that the
two agree. This module needs numpy only.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

SERIES_TERMS = 20
"""Powers of y in the series of eʸ: for |y| < 1 the next term is below 1/20!, beyond double precision."""


class TrustRegion(NamedTuple):
    """Size of a policy update.

    Attributes:
        kl_mean: Mean over states of KL(π_old ‖ π), which TRPO bounds by δ [nat]; NaN where the divergences are not
            given.
        kl_max: The largest of them [nat]; NaN where they are not given.
        approx_kl: Mean of ρ − 1 − log ρ, an unbiased estimate of the mean KL from the actions taken alone [nat].
        ratio_max: The largest ratio ρ = π(a|s) / π_old(a|s). It grows with the number of pairs.
        ratio_q99: The 99 % quantile of the ratios.
        ratio_q50: Their median.
        ratio_q01: Their 1 % quantile.
        clip_fraction: Share of pairs with |ρ − 1| > ε.
    """

    kl_mean: float
    kl_max: float
    approx_kl: float
    ratio_max: float
    ratio_q99: float
    ratio_q50: float
    ratio_q01: float
    clip_fraction: float


def gaussian_kl(
    mu_old: Float64[np.ndarray, "*state act"],
    log_sigma_old: Float64[np.ndarray, "*state act"],
    mu: Float64[np.ndarray, "*state act"],
    log_sigma: Float64[np.ndarray, "*state act"],
) -> Float64[np.ndarray, "*state"]:
    """KL(π_old ‖ π) of diagonal Gaussians in closed form.

    Σ_j (μ_old,j − μ_j)²/(2σ_j²) + ½ (eʸ − 1 − y) with y = 2 log(σ_old,j/σ_j). No term is negative, so the divergence
    is never below 0 and accurate to rounding for steps of any size.
    """
    of_mean = np.square((mu_old - mu) * np.exp(-log_sigma)) / 2
    return np.asarray((of_mean + exp_minus_tangent(2 * (log_sigma_old - log_sigma)) / 2).sum(-1))


def exp_minus_tangent(y: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """eʸ − 1 − y ≥ 0 without cancellation: by its series y²/2 (1 + y/3 (1 + y/4 (...))) where |y| < 1."""
    bracket = np.ones_like(y)
    for k in range(SERIES_TERMS, 2, -1):
        bracket = 1 + y / k * bracket
    with np.errstate(over="ignore"):  # the divergence of a diverged policy is infinite
        return np.where(np.abs(y) < 1, np.square(y) / 2 * bracket, np.expm1(y) - y)


def policy_change(
    logp_old: Float[np.ndarray, " pair"],
    logp: Float[np.ndarray, " pair"],
    kl: Float[np.ndarray, " state"] | None,
    eps: float,
) -> TrustRegion:
    """Divergences and ratios of an update as single numbers.

    Args:
        logp_old: log π_old(a|s) of the actions taken.
        logp: log π(a|s) of the same.
        kl: KL(π_old ‖ π) at states, or None.
        eps: Half-width ε of PPO's clip range.
    """
    change = logp - logp_old
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.exp(change)
        low, median, high = np.quantile(ratio, [0.01, 0.5, 0.99])
    return TrustRegion(
        kl_mean=float(kl.mean()) if kl is not None else np.nan,
        kl_max=float(kl.max()) if kl is not None else np.nan,
        approx_kl=float(exp_minus_tangent(change).mean()),
        ratio_max=float(ratio.max()),
        ratio_q99=float(high),
        ratio_q50=float(median),
        ratio_q01=float(low),
        clip_fraction=float((np.abs(ratio - 1) > eps).mean()),
    )
