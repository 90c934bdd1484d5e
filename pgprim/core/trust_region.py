"""The natural gradient step of TRPO (Eq. 16; Schulman 2015, App. C)."""

from collections.abc import Callable
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

Vector = Float[Tensor, " param"]


def conjugate_gradient(product: Callable[[Vector], Vector], target: Vector, num_steps: int) -> Vector:
    """An approximate solution x of A x = target after exactly `num_steps` conjugate gradient iterations from x = 0.

    Args:
        product: x ↦ A x, with A symmetric and positive definite.
        target: Right-hand side.
        num_steps: Iterations; fewer only if the residual vanishes exactly.
    """
    x = torch.zeros_like(target)
    residual, direction = target.clone(), target.clone()
    square = residual @ residual
    for _ in range(num_steps):
        if square == 0:
            break
        image = product(direction)
        alpha = square / (direction @ image)
        x = x + alpha * direction
        residual = residual - alpha * image
        square, previous = residual @ residual, square
        direction = residual + (square / previous) * direction
    return x


def natural_step(product: Callable[[Vector], Vector], grad: Vector, delta: float, num_steps: int) -> Vector:
    """The full trust-region step √(2δ / xᵀ A x) · x with x ≈ A⁻¹ g, where `product` is x ↦ (F + damping·I) x.

    Args:
        product: The damped Fisher-vector product.
        grad: Gradient of the surrogate.
        delta: Bound on the mean KL divergence, in nats.
        num_steps: Conjugate gradient iterations.
    """
    x = conjugate_gradient(product, grad, num_steps)
    curvature = x @ product(x)
    return sqrt(2 * delta / curvature.item()) * x if curvature > 0 else torch.zeros_like(x)
