"""The diagonal Gaussian policy π(a|s) = N(μ(s), diag σ²) with state-independent σ."""

from math import log, pi

from jaxtyping import Float
from torch import Tensor


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
) -> Float[Tensor, "agent pair"]:
    """KL(π_old ‖ π) at each state in closed form, in nats (Eq. 16): the sum of `kl_of_mean` and `kl_of_sigma`."""
    return kl_of_mean(mu_old, mu, log_sigma) + kl_of_sigma(log_sigma_old, log_sigma).unsqueeze(1)


def kl_of_mean(
    mu_old: Float[Tensor, "agent pair act"],
    mu: Float[Tensor, "agent pair act"],
    log_sigma: Float[Tensor, "agent act"],
) -> Float[Tensor, "agent pair"]:
    """The part of the divergence that moving the mean makes: Σ_j (μ_old,j − μ_j)² / (2 σ_j²)."""
    return 0.5 * ((mu_old - mu) * (-log_sigma.unsqueeze(1)).exp()).square().sum(-1)


def kl_of_sigma(
    log_sigma_old: Float[Tensor, "agent act"], log_sigma: Float[Tensor, "agent act"]
) -> Float[Tensor, " agent"]:
    """The part that is the same at every state: Σ_j log σ_j/σ_old,j + σ_old,j² / (2 σ_j²) − ½."""
    return (log_sigma - log_sigma_old + 0.5 * ((2 * (log_sigma_old - log_sigma)).exp() - 1)).sum(-1)


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
