"""The diagonal Gaussian policy π(a|s) = N(μ(s), diag σ²) with state-independent σ."""

from math import log, pi

import torch
from jaxtyping import Float, Float64
from torch import Tensor

SERIES_TERMS = 20
"""Powers of y in the series of eʸ: for |y| < 1 the next term is below 1/20!, beyond double precision."""


def log_prob(
    mu: Float[Tensor, "agent pair act"],
    log_sigma: Float[Tensor, "agent act"],
    act: Float[Tensor, "agent pair act"],
) -> Float[Tensor, "agent pair"]:
    """Log-density log π(a|s), in nats.

    Args:
        mu: Means.
        log_sigma: Logarithms of the standard deviations.
        act: Actions.
    """
    log_sigma = log_sigma.unsqueeze(1)
    z = (act - mu) * (-log_sigma).exp()
    return -0.5 * (z.square() + 2 * log_sigma + log(2 * pi)).sum(-1)


def kl(
    mu_old: Float[Tensor, "agent pair act"],
    log_sigma_old: Float[Tensor, "agent act"],
    mu: Float[Tensor, "agent pair act"],
    log_sigma: Float[Tensor, "agent act"],
) -> Float64[Tensor, "agent pair"]:
    """KL(π_old ‖ π) at each state in closed form, in nats (Eq. 16): the sum of `kl_of_mean` and `kl_of_sigma`.

    Both parts are computed in double precision, whatever the arguments' precision, in forms without negative terms.
    So the divergence is never below 0 and accurate to rounding for steps of any size. The arguments must resolve the
    step: for small updates compute the means in double precision, too.
    """
    return kl_of_mean(mu_old, mu, log_sigma) + kl_of_sigma(log_sigma_old, log_sigma).unsqueeze(1)


def kl_of_mean(
    mu_old: Float[Tensor, "agent pair act"],
    mu: Float[Tensor, "agent pair act"],
    log_sigma: Float[Tensor, "agent act"],
) -> Float64[Tensor, "agent pair"]:
    """The part of the divergence from the change of the mean: Σ_j (μ_old,j − μ_j)² / (2 σ_j²)."""
    z = (mu_old.double() - mu.double()) * (-log_sigma.double().unsqueeze(1)).exp()
    return 0.5 * z.square().sum(-1)


def kl_of_sigma(
    log_sigma_old: Float[Tensor, "agent act"], log_sigma: Float[Tensor, "agent act"]
) -> Float64[Tensor, " agent"]:
    """The part from the change of σ, the same at every state: Σ_j log σ_j/σ_old,j + σ_old,j² / (2 σ_j²) − ½.

    With y = 2 (log σ_old − log σ) a term is ½ (eʸ − 1 − y).
    """
    return 0.5 * _exp_minus_tangent(2 * (log_sigma_old.double() - log_sigma.double())).sum(-1)


def _exp_minus_tangent(y: Float64[Tensor, "..."]) -> Float64[Tensor, "..."]:
    """eʸ − 1 − y ≥ 0 without cancellation: by its series y²/2 (1 + y/3 (1 + y/4 (...))) where |y| < 1."""
    bracket = torch.ones_like(y)
    for k in range(SERIES_TERMS, 2, -1):
        bracket = 1 + y / k * bracket
    return torch.where(y.abs() < 1, 0.5 * y.square() * bracket, torch.expm1(y) - y)


def log_prob_and_grad(
    mu: Float[Tensor, "agent pair act"],
    log_sigma: Float[Tensor, "agent act"],
    act: Float[Tensor, "agent pair act"],
) -> tuple[Float[Tensor, "agent pair"], Float[Tensor, "agent pair act"], Float[Tensor, "agent pair act"]]:
    """Log π with ∂ log π/∂μ = (a − μ)/σ² and ∂ log π/∂ log σ = ((a − μ)/σ)² − 1, per pair."""
    inverse = (-log_sigma).exp().unsqueeze(1)
    z = (act - mu) * inverse
    square = z.square()
    constant = log_sigma.sum(-1, keepdim=True) + 0.5 * log(2 * pi) * log_sigma.shape[-1]
    return -0.5 * square.sum(-1) - constant, z * inverse, square - 1
