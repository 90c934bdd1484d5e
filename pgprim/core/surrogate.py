"""Objectives of the policy update (Eqs. 13-18)."""

import torch
from jaxtyping import Float
from torch import Tensor

ADVANTAGE_EPS = 1e-8
"""Added to the advantages' standard deviation, so that equal advantages give 0."""


def normalise_advantage(adv: Float[Tensor, "agent pair"]) -> Float[Tensor, "agent pair"]:
    """Eq. 15: (A − mean A) / std A over the pairs, with the unbiased standard deviation."""
    std, mean = torch.std_mean(adv, -1, correction=min(1, adv.shape[-1] - 1), keepdim=True)
    return (adv - mean) / (std + ADVANTAGE_EPS)


def ratio(
    logp: Float[Tensor, "agent pair"], logp_old: Float[Tensor, "agent pair"]
) -> Float[Tensor, "agent pair"]:
    """Eq. 18: ρ = π_θ(a|s) / π_old(a|s)."""
    return (logp - logp_old).exp()


def surrogate(rho: Float[Tensor, "agent pair"], adv: Float[Tensor, "agent pair"]) -> Float[Tensor, " agent"]:
    """Eqs. 13, 14: mean of ρ·A over the pairs."""
    return (rho * adv).mean(-1)


def clipped_surrogate(
    rho: Float[Tensor, "agent pair"], adv: Float[Tensor, "agent pair"], eps: float
) -> Float[Tensor, " agent"]:
    """Eq. 17: mean of min(clip(ρ, 1 − ε, 1 + ε)·Â, ρ·Â)."""
    return torch.minimum(rho * adv, rho.clamp(1 - eps, 1 + eps) * adv).mean(-1)


def clipped_surrogate_weight(
    rho: Float[Tensor, "agent pair"], adv: Float[Tensor, "agent pair"], eps: float
) -> Float[Tensor, "agent pair"]:
    """Derivative of each pair's term of Eq. 17 with respect to log π_θ: ρ·Â, or 0 where the clipped term is smaller."""
    plain = rho * adv
    return plain.masked_fill(rho.clamp(1 - eps, 1 + eps) * adv < plain, 0.0)


def value_loss(
    val: Float[Tensor, "agent pair"],
    val_old: Float[Tensor, "agent pair"],
    target: Float[Tensor, "agent pair"],
    weight: Float[Tensor, "agent pair"] | None = None,
    clip: float | None = None,
    larger: bool = True,
) -> Float[Tensor, " agent"]:
    """Eq. 4: mean squared error to the target, with optional clipping of the value around V_old.

    Args:
        val: V_φ(s).
        val_old: V before the update.
        target: V_old + A_GAE.
        weight: Share of each pair in the mean; all pairs alike if absent.
        clip: Half-width of the interval around V_old, or None for the plain error.
        larger: Whether the larger of the plain and the clipped squared error counts (PPO's code), or only the clipped
            one.
    """
    error = (val - target).square()
    if clip is not None:
        clipped = (val_old + (val - val_old).clamp(-clip, clip) - target).square()
        error = torch.maximum(error, clipped) if larger else clipped
    return error.mean(-1) if weight is None else (error * weight).sum(-1) / weight.sum(-1).clamp(min=1)


def value_loss_weight(
    val: Float[Tensor, "agent pair"],
    val_old: Float[Tensor, "agent pair"],
    target: Float[Tensor, "agent pair"],
    clip: float | None = None,
    larger: bool = True,
) -> Float[Tensor, "agent pair"]:
    """Derivative of each pair's `value_loss` with respect to V: 2 (V − target), or 0 where the clipped error counts."""
    error = val - target
    if clip is None:
        return 2 * error
    moved = val - val_old
    if not larger:
        return (2 * error).masked_fill(moved.abs() > clip, 0.0)
    clipped = val_old + moved.clamp(-clip, clip) - target
    # Within the interval both errors are equal up to rounding, which must not decide.
    return (2 * error).masked_fill((clipped.square() > error.square()) & (moved.abs() > clip), 0.0)
