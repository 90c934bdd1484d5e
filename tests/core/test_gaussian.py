"""The diagonal Gaussian: against torch.distributions, autograd and the definitions."""

from decimal import Decimal, localcontext
from math import log, pi

import pytest
import torch
from scipy import integrate
from torch.distributions import Independent, Normal, kl_divergence

from pgprim.core.gaussian import kl, kl_of_mean, kl_of_sigma, log_prob, log_prob_and_grad


def draw(seed: int, num_agents: int = 2, num_pairs: int = 50, num_act: int = 3):
    """Means, log σ and actions of widely differing scales."""
    rng = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(shape, generator=rng, dtype=torch.float64)  # noqa: E731
    mu, log_sigma = normal(num_agents, num_pairs, num_act), normal(num_agents, num_act)
    return mu, log_sigma, mu + 2 * log_sigma.exp().unsqueeze(1) * normal(num_agents, num_pairs, num_act)


def peer(mu, log_sigma) -> Independent:
    return Independent(Normal(mu, log_sigma.exp().unsqueeze(1)), 1)


def scalar(*numbers):
    return [torch.tensor(number, dtype=torch.float64) for number in numbers]


def test_worked_numbers():
    """One dimension: z = (3 − 1)/2 = 1; then N(1, 2) against N(3, 4): log 2 + (4 + 4)/32 − ½."""
    mu, log_sigma, act = scalar([[[1.0]]], [[log(2)]], [[[3.0]]])
    assert log_prob(mu, log_sigma, act).item() == pytest.approx(-0.5 - log(2) - 0.5 * log(2 * pi))
    logp, by_mu, by_log_sigma = log_prob_and_grad(mu, log_sigma, act)
    assert logp.item() == pytest.approx(-0.5 - log(2) - 0.5 * log(2 * pi))
    assert (by_mu.item(), by_log_sigma.item()) == (pytest.approx(0.5), pytest.approx(0.0))
    other_mu, other_log_sigma = scalar([[[3.0]]], [[log(4)]])
    assert kl_of_mean(mu, other_mu, other_log_sigma).item() == pytest.approx(1 / 8)
    assert kl_of_sigma(log_sigma, other_log_sigma).item() == pytest.approx(log(2) + 1 / 8 - 1 / 2)
    assert kl(mu, log_sigma, other_mu, other_log_sigma).item() == pytest.approx(log(2) - 1 / 4)


def test_log_prob_is_torchs():
    mu, log_sigma, act = draw(0)
    torch.testing.assert_close(log_prob(mu, log_sigma, act), peer(mu, log_sigma).log_prob(act))


def test_kl_is_torchs_and_its_parts_add_up():
    (mu_old, log_sigma_old, _), (mu, log_sigma, _) = draw(1), draw(2)
    ours = kl(mu_old, log_sigma_old, mu, log_sigma)
    torch.testing.assert_close(ours, kl_divergence(peer(mu_old, log_sigma_old), peer(mu, log_sigma)))
    torch.testing.assert_close(kl_of_mean(mu_old, mu, log_sigma), kl(mu_old, log_sigma, mu, log_sigma))
    same_mean = kl(mu, log_sigma_old, mu, log_sigma)
    torch.testing.assert_close(
        kl_of_sigma(log_sigma_old, log_sigma).unsqueeze(1).expand_as(same_mean), same_mean
    )
    assert (ours > 0).all()


def test_kl_of_a_policy_to_itself_is_exactly_zero():
    for dtype in (torch.float32, torch.float64):
        mu, log_sigma, _ = (value.to(dtype) for value in draw(3))
        assert torch.equal(kl(mu, log_sigma, mu, log_sigma), torch.zeros(2, 50, dtype=torch.float64))


def test_kl_is_the_mean_log_ratio_under_the_old_policy():
    mu_old, log_sigma_old, _ = draw(4, num_agents=1, num_pairs=1)
    mu, log_sigma = mu_old + 0.3, log_sigma_old + 0.2
    noise = torch.randn(1, 200_000, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    act = mu_old + log_sigma_old.exp().unsqueeze(1) * noise
    log_ratio = log_prob(mu_old.expand_as(act), log_sigma_old, act) - log_prob(
        mu.expand_as(act), log_sigma, act
    )
    error = log_ratio.std() / log_ratio.numel() ** 0.5
    assert (log_ratio.mean() - kl(mu_old, log_sigma_old, mu, log_sigma)).abs() < 3 * error


def test_the_density_integrates_to_one():
    def density(act):
        return log_prob(*scalar([[[0.7]]], [[-1.2]], [[[act]]])).exp().item()

    assert integrate.quad(density, -4, 5, points=[0.7])[0] == pytest.approx(1, abs=1e-9)


def test_log_prob_and_grad_is_autograd():
    mu, log_sigma, act = draw(6, num_agents=1)
    value, by_mu, by_log_sigma = log_prob_and_grad(mu, log_sigma, act)
    torch.testing.assert_close(value, log_prob(mu, log_sigma, act))
    mu.requires_grad_(), log_sigma.requires_grad_()
    logp = log_prob(mu, log_sigma, act)
    (right,) = torch.autograd.grad(logp.sum(), mu, retain_graph=True)
    torch.testing.assert_close(by_mu, right)
    for pair in range(5):
        (right,) = torch.autograd.grad(logp[0, pair], log_sigma, retain_graph=True)
        torch.testing.assert_close(by_log_sigma[:, pair], right)


@pytest.mark.parametrize("step", [1e-300, 1e-12, 1e-9, 1e-6, 1e-3, 0.4, 0.49999, 0.5, 0.50001, 3.0, 30.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_kl_of_sigma_is_right_to_rounding_for_steps_of_any_size(step, sign):
    """Against 700 digits: ½ (eʸ − 1 − y) with y = −2 step; the plain form has no digit left at 1e-9."""
    (old, new) = scalar([[0.0]], [[sign * step]])
    with localcontext(prec=700):
        y = -2 * Decimal(sign * step)
        right = float((y.exp() - 1 - y) / 2)
    value = kl_of_sigma(old, new).item()
    assert value == pytest.approx(right, rel=1e-14) and (value > 0 or step == 1e-300)


def test_kl_of_mean_sees_small_steps():
    mu, log_sigma, _ = draw(7)
    moved = mu + 1e-9
    right = 0.5 * ((moved - mu) / log_sigma.exp().unsqueeze(1)).square().sum(-1)
    torch.testing.assert_close(kl_of_mean(mu, moved, log_sigma), right, rtol=1e-12, atol=0)
    assert (kl(mu, log_sigma, moved, log_sigma + 1e-9) > 0).all()


def test_kl_of_single_precision_parameters_is_never_below_zero():
    """Steps of a few units in the last place: single precision gave −9e-8, and 0 for half of the states."""
    rng = torch.Generator().manual_seed(8)
    mu, log_sigma = torch.randn(200, 50, 3, generator=rng), torch.randn(200, 3, generator=rng)
    steps = 1e-6 * torch.randn(200, 3, generator=rng)
    moved = (mu + steps.unsqueeze(1), log_sigma + steps)
    part = kl_of_sigma(log_sigma, moved[1])
    assert part.dtype == torch.float64 and (part > 0).all()
    assert (kl(mu, log_sigma, *moved) >= part.unsqueeze(1)).all()
    torch.testing.assert_close(
        part, (log_sigma.double() - moved[1].double()).square().sum(-1), rtol=1e-5, atol=0
    )
