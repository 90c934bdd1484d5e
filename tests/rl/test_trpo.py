"""TRPO's update: the Fisher matrix against autograd's Hessian, the step against dense algebra, the bound it must keep."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import kl
from pgprim.core.mlp import activations, forward, policy_net
from pgprim.core.surrogate import normalise_advantage, ratio, surrogate
from pgprim.rl.algorithms.trpo.update import fisher_vector_product
from pgprim.rl.algorithms.trpo.update import update as trpo_update
from pgprim.rl.batch import Batch
from tests.rl import examples
from tests.rl.examples import settings


def rngs(agents=range(1)):
    return [np.random.default_rng(agent) for agent in agents]


def start(num_pairs=512, num_agents=1, dtype=torch.float64):
    theta = examples.params(examples.policy(), 1, num_agents, dtype=dtype)
    phi = examples.params(examples.value(), 2, num_agents, dtype=dtype)
    return theta, examples.batch(3, theta, phi, num_pairs)


def update(theta, batch, agents=range(1), **changes):
    return trpo(theta, batch, settings("trpo", **changes), rngs(agents))


def trpo(theta, batch, chosen, generators):
    return trpo_update(examples.agents(theta, theta), batch, chosen, 0, generators).theta


ACTIVATIONS = ("tanh", "relu", "elu", "silu", "gelu", "leaky_relu")


def small(num_pairs=30, activation="tanh", sigma="log"):
    """A policy small enough for dense matrices of its parameters."""
    net = policy_net(4, 2, (6, 5), activation, sigma)
    rng = np.random.default_rng(4)
    draw = lambda *shape: torch.from_numpy(rng.standard_normal((1, *shape)))  # noqa: E731
    adv, theta = draw(num_pairs), 0.5 * draw(net.num_params)
    if sigma == "linear":
        theta[:, -2:] = theta[:, -2:].exp()
    return net, theta, Batch(draw(num_pairs, 4), draw(num_pairs, 2), adv, adv, adv)


def mean_kl(net, theta_old, theta, obs):
    old, new = net.split(theta_old), net.split(theta)
    return kl(forward(net, old, obs), net.log_sigma(old), forward(net, new, obs), net.log_sigma(new)).mean(1)


def fisher(net, theta, obs):
    """The Hessian of mean KL(π_old ‖ π_θ) at θ_old, by autograd's double backward."""
    return torch.autograd.functional.hessian(
        lambda flat: mean_kl(net, theta, flat[None], obs)[0], theta[0].clone()
    )


@pytest.mark.parametrize("sigma", ["log", "linear"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fisher_vector_product_is_the_hessian_of_the_kl(activation, sigma):
    net, theta, batch = small(activation=activation, sigma=sigma)
    matrix = fisher(net, theta, batch.obs)
    acts = activations(net, net.split(theta), batch.obs)
    columns = [
        fisher_vector_product(net, net.split(theta), acts, unit[None])[0]
        for unit in torch.eye(net.num_params, dtype=torch.float64)
    ]
    torch.testing.assert_close(torch.stack(columns, 1), matrix, rtol=1e-10, atol=1e-12)
    assert torch.linalg.eigvalsh(matrix).min() > -1e-12


def test_fisher_vector_product_is_that_of_double_backward_on_a_network_of_the_studys_size():
    theta, batch = start(64)
    net = examples.policy()
    vector = examples.params(net, 5, scale=1.0)
    flat = theta.clone().requires_grad_()
    (grad,) = torch.autograd.grad(mean_kl(net, theta, flat, batch.obs).sum(), flat, create_graph=True)
    (right,) = torch.autograd.grad((grad * vector).sum(), flat)
    acts = activations(net, net.split(theta), batch.obs)
    found = fisher_vector_product(net, net.split(theta), acts, vector)
    torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_the_step_is_the_dense_natural_gradient_step(fraction):
    """√(2δ / xᵀ(F + 0.1 I)x) · x with (F + 0.1 I)x = g, halved k times; F over the states that the generator picks."""
    net, theta, batch = small()
    chosen = settings("trpo", fisher_fraction=fraction, cg_steps=200, delta=0.02, hidden=[6, 5])
    found = trpo(theta, batch, chosen, rngs())[0] - theta[0]

    picked = rngs()[0].choice(30, round(30 * fraction), replace=False)
    matrix = fisher(net, theta, batch.obs[:, picked]) + 0.1 * torch.eye(net.num_params)
    flat = theta.clone().requires_grad_()
    parts = net.split(flat)
    logp = examples.log_prob(forward(net, parts, batch.obs), parts[-1], batch.act)
    objective = surrogate(ratio(logp, logp.detach()), normalise_advantage(batch.adv)).sum()
    (grad,) = torch.autograd.grad(objective, flat)
    x = torch.linalg.solve(matrix, grad[0])
    full = (2 * 0.02 / (x @ matrix @ x)).sqrt() * x
    halvings = round(torch.log2(full.norm() / found.norm()).item())
    assert 0 <= halvings < 10
    torch.testing.assert_close(found, full / 2**halvings, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delta", [1e-3, 0.04, 0.13, 3.0])
def test_the_accepted_step_keeps_the_bound_and_improves_the_surrogate(delta, dtype):
    theta, batch = start(dtype=dtype)
    found = update(theta, batch, delta=delta)
    rho = ratio(examples.logp(found, batch), examples.logp(theta, batch))
    gain = surrogate(rho, normalise_advantage(batch.adv)).item()
    divergence = mean_kl(examples.policy(), theta, found, batch.obs).item()
    assert 0.05 * delta < divergence <= delta
    assert gain > 0.01 * delta**0.5


def test_more_divergence_buys_more_improvement():
    theta, batch = start()
    gains = [
        surrogate(
            ratio(examples.logp(update(theta, batch, delta=delta), batch), examples.logp(theta, batch)),
            normalise_advantage(batch.adv),
        ).item()
        for delta in (1e-4, 1e-3, 1e-2, 1e-1)
    ]
    assert gains == sorted(gains)
    assert gains[1] / gains[0] == pytest.approx(10**0.5, rel=0.1)  # linear in the step while it is small


@pytest.mark.parametrize("changes", [{"accept_ratio": 1e3}, {"backtracks": 0}])
def test_where_no_step_is_accepted_the_policy_stays(changes):
    theta, batch = start()
    assert torch.equal(update(theta, batch, **changes), theta)


def test_equal_advantages_mean_no_step():
    theta, batch = start()
    assert torch.equal(update(theta, replace(batch, adv=torch.full_like(batch.adv, 2.0))), theta)


def test_the_line_search_takes_the_first_try_that_passes():
    """A bound that the full step breaks: with one try the policy stays, and more tries than needed change nothing."""
    theta, batch = start()
    tried = [update(theta, batch, delta=3.0, backtracks=most) for most in range(1, 8)]
    needed = next(k for k, found in enumerate(tried) if not torch.equal(found, theta))
    assert needed > 0
    for found in tried[needed:]:
        assert torch.equal(found, tried[needed])


def test_what_went_in_stays_as_it_was():
    theta, batch = start()
    before = theta.clone()
    update(theta, batch)
    assert torch.equal(theta, before)


def stack_keeps_bits(num_act: int, num_pairs: int = 512):
    net = policy_net(11, num_act, (64, 64))
    rng = np.random.default_rng(6)
    draw = lambda *shape: torch.from_numpy(rng.standard_normal((3, *shape))).float()  # noqa: E731
    theta, adv = 0.2 * draw(net.num_params), draw(num_pairs)
    batch = Batch(draw(num_pairs, 11), draw(num_pairs, num_act), adv, adv, adv)

    def run(pick):
        return trpo(theta[pick].clone(), examples.take(batch, pick), settings("trpo"), rngs(range(3)[pick]))

    whole = run(slice(0, 3))
    assert not torch.equal(whole, theta)
    return all(torch.equal(run(pick), whole[pick]) for pick in examples.stacks())


@pytest.mark.parametrize("num_act", [2, 3, 6, 17])
def test_an_agents_bits_do_not_depend_on_the_stack(num_act):
    assert stack_keeps_bits(num_act)


def test_nor_do_they_with_one_action():
    assert all(stack_keeps_bits(1, num_pairs) for num_pairs in (256, 512, 2048))
