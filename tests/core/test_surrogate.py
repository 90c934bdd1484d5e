"""Objectives of the updates: worked numbers, identities, and hand-written slopes against autograd in double precision."""

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net
from pgprim.core.surrogate import (
    clipped_surrogate,
    clipped_surrogate_weight,
    normalise_advantage,
    ratio,
    surrogate,
    value_loss,
    value_loss_weight,
)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def row(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


# --- advantages and ratios -------------------------------------------------------------------------------------------


def test_normalised_advantages_by_hand():
    torch.testing.assert_close(normalise_advantage(row(1, 2, 3, 6)), row(-2, -1, 0, 3) / (14 / 3) ** 0.5)


def test_normalised_advantages_have_mean_0_deviation_1_and_forget_scale_and_offset():
    adv = normal(0, 3, 500)
    found = normalise_advantage(adv)
    torch.testing.assert_close(found.mean(1), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(found.std(1), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(normalise_advantage(100 * adv + 7), found)


@pytest.mark.parametrize("num_pairs", [1, 5])
def test_equal_advantages_give_0(num_pairs):
    assert torch.equal(normalise_advantage(torch.full((2, num_pairs), 3.25)), torch.zeros(2, num_pairs))


def test_ratio_by_hand():
    torch.testing.assert_close(ratio(row(-1, 0.5), row(-1, 0.5 - np.log(3))), row(1, 3))


# --- the policy's objectives -----------------------------------------------------------------------------------------


def test_objectives_by_hand():
    """ε = 0.2: of a good action counts at most ρ = 1.2, of a bad one at least 0.8."""
    rho, adv = row(1.5, 0.5, 1.5, 0.5, 1.1), row(2, 2, -2, -2, 4)
    torch.testing.assert_close(surrogate(rho, adv), row(3, 1, -3, -1, 4.4).mean(1))
    torch.testing.assert_close(clipped_surrogate(rho, adv, 0.2), row(2.4, 1, -3, -1.6, 4.4).mean(1))
    torch.testing.assert_close(clipped_surrogate_weight(rho, adv, 0.2), row(0, 1, -3, 0, 4.4))


def test_objectives_vanish_where_the_policy_has_not_moved():
    adv = normalise_advantage(normal(1, 2, 300))
    for found in (surrogate(torch.ones_like(adv), adv), clipped_surrogate(torch.ones_like(adv), adv, 0.2)):
        torch.testing.assert_close(found, torch.zeros(2, dtype=torch.float64))


def test_clipping_never_raises_the_objective_and_a_wide_interval_does_nothing():
    rho, adv = (0.5 * normal(2, 3, 400)).exp(), normal(3, 3, 400)
    assert (clipped_surrogate(rho, adv, 0.2) < surrogate(rho, adv)).all()
    assert torch.equal(clipped_surrogate(rho, adv, 1e9), surrogate(rho, adv))
    assert torch.equal(clipped_surrogate_weight(rho, adv, 1e9), rho * adv)


def test_clipped_weight_is_autograd():
    logp_old, adv = normal(4, 2, 500), normal(5, 2, 500)
    logp = (logp_old + 0.5 * normal(6, 2, 500)).requires_grad_()
    rho = ratio(logp, logp_old)
    (right,) = torch.autograd.grad(500 * clipped_surrogate(rho, adv, 0.2).sum(), logp)
    found = clipped_surrogate_weight(rho.detach(), adv, 0.2)
    torch.testing.assert_close(found, right)
    assert 0.2 < (found == 0).double().mean() < 0.8


def test_the_gradient_at_theta_old_is_the_policy_gradient():
    """∇ of Eqs. 14 and 17 at θ_old is Eq. 1, the mean of ∇ log π · Â, pair by pair with autograd."""
    net = policy_net(4, 2, (6,))
    theta = 0.5 * normal(7, 1, net.num_params)
    obs, act, adv = normal(8, 1, 20, 4), normal(9, 1, 20, 2), normal(10, 1, 20)

    def logp(theta):
        parts = net.split(theta)
        return log_prob(forward(net, parts, obs), parts[-1], act)

    logp_old = logp(theta)
    theta.requires_grad_()
    right = sum(
        adv[0, pair] * torch.autograd.grad(logp(theta)[0, pair], theta)[0] for pair in range(20)
    ) / 20  # fmt: skip
    for objective in (surrogate, lambda rho, adv: clipped_surrogate(rho, adv, 0.2)):
        (found,) = torch.autograd.grad(objective(ratio(logp(theta), logp_old), adv).sum(), theta)
        torch.testing.assert_close(found, right)


# --- the value network's objective -----------------------------------------------------------------------------------


def test_value_loss_by_hand():
    """V_old = 1 and a clip of 0.5.

    3 counts as 1.5: of (3 − 2)² and (1.5 − 2)² the first, of (3 − 3)² and (1.5 − 3)² the second, whose slope is 0.
    1.25 is within the interval.
    """
    val, val_old, target = row(3, 3, 1.25), row(1, 1, 1), row(2, 3, 0)
    torch.testing.assert_close(value_loss(val, val_old, target), row(1, 0, 1.5625).mean(1))
    torch.testing.assert_close(value_loss(val, val_old, target, clip=0.5), row(1, 2.25, 1.5625).mean(1))
    torch.testing.assert_close(value_loss_weight(val, val_old, target), row(2, 0, 2.5))
    torch.testing.assert_close(value_loss_weight(val, val_old, target, 0.5), row(2, 0, 2.5))
    share = row(1, 0, 1)
    torch.testing.assert_close(value_loss(val, val_old, target, share), row(1, 1.5625).mean(1))
    torch.testing.assert_close(value_loss(val, val_old, target, share, 0.5), row(1, 1.5625).mean(1))
    assert value_loss(val, val_old, target, torch.zeros_like(val)).item() == 0


def test_value_clipping_never_lowers_the_loss_and_a_wide_interval_does_nothing():
    val, val_old, target = normal(11, 3, 400), normal(12, 3, 400), normal(13, 3, 400)
    plain = value_loss(val, val_old, target)
    assert (value_loss(val, val_old, target, clip=0.2) > plain).all()
    torch.testing.assert_close(value_loss(val, val_old, target, clip=1e3), plain)


def dyadic(seed: int, num_pairs: int) -> tuple[torch.Tensor, ...]:
    """V, V_old and targets on a grid of 2⁻⁶, so that sums of them are exact in single precision, too."""
    rng = np.random.default_rng(seed)
    val_old = rng.integers(-64, 64, (2, num_pairs))
    val = val_old + rng.integers(-48, 48, (2, num_pairs))
    target = val_old + rng.integers(-64, 64, (2, num_pairs))
    return tuple(torch.from_numpy(values / 64) for values in (val, val_old, target))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("clip", [None, 0.25])
def test_value_weight_is_autograd(clip, dtype):
    """Where the two errors are equal though not the same, any slope between theirs is right: those pairs are left out."""
    val, val_old, target = (values.to(dtype) for values in dyadic(0, 2000))
    val.requires_grad_()
    (right,) = torch.autograd.grad(2000 * value_loss(val, val_old, target, clip=clip).sum(), val)
    val.requires_grad_(False)
    found = value_loss_weight(val, val_old, target, clip)
    moved = val - val_old
    plain, clipped = val - target, val_old + moved.clamp(-0.25, 0.25) - target
    tie = (plain.abs() == clipped.abs()) & (moved.abs() > 0.25) if clip else torch.zeros_like(val, dtype=bool)
    torch.testing.assert_close(found[~tie], right[~tie], rtol=1e-6, atol=0)
    assert tie.double().mean() < 0.05
    if clip:
        ruled = (clipped.square() > plain.square()) & ~tie
        assert 0.1 < ruled.double().mean() < 0.9 and not found[ruled].any()


@pytest.mark.parametrize("scale", [0.02, 0.2])
def test_value_weight_within_the_interval_is_the_plain_one(scale):
    """For V and V_old of this size, a clip of 0.2 and advantages of the same size."""
    val_old, val, adv = (scale * normal(seed, 1, 20_000).float() for seed in (14, 15, 16))
    target = val_old + adv
    within = (val - val_old).abs() < 0.2
    assert within.sum() > 1000
    found = value_loss_weight(val, val_old, target, 0.2)
    assert torch.equal(found[within], 2 * (val - target)[within])
