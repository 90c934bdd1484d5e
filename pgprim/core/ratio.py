"""Ratios of means of paired quantities."""

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from pgprim.core.intervals import UNKNOWN, Interval


def ratio_of_means(
    numerators: list[Float[np.ndarray, " _"]],
    denominators: list[Float[np.ndarray, " _"]],
    level: float,
    least: float = -np.inf,
) -> Interval:
    """Ratio θ of two quantities' means over agents, with equal weight per kind of agents and Fieller's interval.

    The interval contains every θ for which the mean of a − θ·b does not differ significantly from 0, with Welch's and
    Satterthwaite's degrees of freedom at the estimated θ. It is valid for any noise of the denominator. If the
    denominator may be 0, this set is everything but a gap, or everything: with the gap's lower end below `least`, the
    interval begins where the gap ends and has no upper end; otherwise both ends are infinite.

    Args:
        numerators: a of the agents of each kind (`core.stratified`).
        denominators: b of the same agents.
        level: Nominal coverage, between agents.
        least: The smallest ratio that is possible, such as 0 of two quantities that are never negative.

    Returns:
        The ratio; NaN ends where a kind has a single agent.
    """
    pairs = [np.stack(both, axis=1) for both in zip(numerators, denominators, strict=True)]
    pairs = [both[np.isfinite(both).all(1)] for both in pairs]
    pairs = [both for both in pairs if len(both)]
    if not pairs:
        return UNKNOWN
    top, bottom = np.mean([both.mean(0) for both in pairs], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.divide(top, bottom))
    if min(map(len, pairs)) < 2 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan)
    parts = np.array([np.cov(both.T) / len(both) for both in pairs])
    errors = parts.sum(0) / len(pairs) ** 2
    residual = np.array([1, -value])
    shares = np.einsum("i,kij,j->k", residual, parts, residual)
    if not shares.sum() > 0:
        return Interval(value, value, value)
    freedom = shares.sum() ** 2 / sum(s**2 / (len(both) - 1) for s, both in zip(shares, pairs, strict=True))
    quantile = student.ppf(0.5 + level / 2, freedom)
    # (top − θ bottom)² ≤ t² (1, −θ) errors (1, −θ)ᵀ, a quadratic inequality c₂ θ² − 2 c₁ θ + c₀ ≤ 0.
    c0, c1, c2 = (p - quantile**2 * e for p, e in ((top**2, errors[0, 0]), (top * bottom, errors[0, 1]), (bottom**2, errors[1, 1])))  # fmt: skip
    discriminant = c1**2 - c0 * c2
    low, high = sorted(float((c1 + sign * np.sqrt(max(discriminant, 0.0))) / c2) for sign in (-1, 1))
    if c2 > 0:
        return Interval(value, low, high)
    return Interval(value, high if discriminant > 0 and low < least < high else -np.inf, np.inf)
