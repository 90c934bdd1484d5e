"""Conjugate gradients and the natural step against dense linear algebra in double precision."""

import numpy as np
import pytest
import scipy.linalg
import torch

from pgprim.core.trust_region import conjugate_gradient, natural_step

DIM = 12


def system(seed: int, condition: float = 50.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A symmetric positive definite matrix with spread eigenvalues, and a right-hand side."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((DIM, DIM)))
    matrix = q * np.geomspace(1, condition, DIM) @ q.T
    return torch.from_numpy((matrix + matrix.T) / 2), torch.from_numpy(rng.standard_normal(DIM))


def product(matrix):
    return lambda vector: matrix @ vector


@pytest.mark.parametrize("seed", range(3))
def test_as_many_steps_as_dimensions_solve_the_system(seed):
    matrix, target = system(seed)
    right = scipy.linalg.solve(matrix.numpy(), target.numpy(), assume_a="pos")
    np.testing.assert_allclose(conjugate_gradient(product(matrix), target, DIM), right, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("num_steps", [1, 2, 5, 10])
def test_fewer_steps_are_the_best_that_the_krylov_space_holds(num_steps):
    """x_k minimises ½ xᵀAx − bᵀx over span{b, Ab, …, A^(k−1) b}; ours here by a dense projection."""
    matrix, target = (tensor.numpy() for tensor in system(3))
    krylov = np.stack([np.linalg.matrix_power(matrix, k) @ target for k in range(num_steps)], axis=1)
    basis, _ = np.linalg.qr(krylov / np.linalg.norm(krylov, axis=0))
    right = basis @ np.linalg.solve(basis.T @ matrix @ basis, basis.T @ target)
    ours = conjugate_gradient(product(torch.from_numpy(matrix)), torch.from_numpy(target), num_steps)
    np.testing.assert_allclose(ours, right, rtol=1e-6, atol=1e-8)


def test_no_steps_stay_at_zero():
    matrix, target = system(4)
    assert not conjugate_gradient(product(matrix), target, 0).any()


def test_an_exact_solution_ends_the_iterations():
    """2 I x = b is solved in one step, after which the residual is exactly 0 and a further step would divide by it."""
    target = torch.tensor([1.0, -2.0, 4.0])
    assert torch.equal(conjugate_gradient(lambda vector: 2 * vector, target, 10), target / 2)
    assert not conjugate_gradient(lambda vector: 2 * vector, torch.zeros(3), 10).any()


@pytest.mark.parametrize("delta", [1e-3, 0.1, 2.0])
@pytest.mark.parametrize("num_steps", [3, DIM])
def test_the_natural_step_uses_up_the_trust_region(num_steps, delta):
    """½ sᵀAs = δ, also where the conjugate gradients stop early; solved, s is along A⁻¹g, the best of its length."""
    matrix, grad = system(5)
    step = natural_step(product(matrix), grad, delta, num_steps)
    assert 0.5 * step @ matrix @ step == pytest.approx(delta)
    assert step @ grad > 0
    right = torch.linalg.solve(matrix, grad)
    right *= (2 * delta / (right @ matrix @ right)).sqrt()
    if num_steps == DIM:
        torch.testing.assert_close(step, right, rtol=1e-8, atol=1e-8)
    else:
        assert step @ grad < right @ grad


def test_the_natural_step_asks_only_for_the_gradients_direction():
    matrix, grad = system(6)
    torch.testing.assert_close(
        natural_step(product(matrix), 1000 * grad, 0.1, 5), natural_step(product(matrix), grad, 0.1, 5)
    )


def test_without_gradient_or_with_negative_curvature_there_is_no_step():
    matrix, grad = system(7)
    assert not natural_step(product(matrix), torch.zeros_like(grad), 0.1, 5).any()
    assert not natural_step(product(-matrix), grad, 0.1, 5).any()
