"""PPO's update: against autograd of Eq. 17 in double precision, and agent by agent."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgprim.core.mlp import policy_net, value_net
from pgprim.core.surrogate import clipped_surrogate, normalise_advantage, ratio, surrogate
from pgprim.rl.algorithms.ppo.update import update as ppo_update
from pgprim.rl.networks import make_policy, make_value
from tests.rl import examples
from tests.rl.examples import settings

LR = 3e-3
NET = examples.policy()


def start(num_agents=1, num_pairs=96, dtype=torch.float64):
    theta = examples.params(NET, 1, num_agents, dtype=dtype)
    phi = examples.params(examples.value(), 2, num_agents, dtype=dtype)
    return theta, examples.batch(3, theta, phi, num_pairs)


def rngs(agents=range(1)):
    return [np.random.default_rng(agent) for agent in agents]


def update(theta, batch, agents=range(1), lr=LR, **changes):
    chosen = settings(**{"minibatches": 6, "policy_epochs": 4} | changes)
    return ppo(theta, batch, chosen, rngs(agents), lr)


def ppo(theta, batch, chosen, generators, lr=LR, net=NET):
    """The update with a constant learning rate: parameters and optimiser."""
    phi = torch.zeros(len(theta), value_net(net.sizes[0], (64, 64)).num_params, dtype=theta.dtype)
    chosen = replace(chosen, policy_lr=lr, anneal=False)
    new = ppo_update(examples.agents(theta, phi), batch, chosen, 7, generators)
    assert new.phi is phi
    return new.theta, new.policy_adam


def pairs_of(batch, pairs):
    names = ("obs", "act", "adv", "target", "val_old")
    return replace(batch, **{name: getattr(batch, name)[:, pairs] for name in names})


@pytest.mark.parametrize("eps", [0.2, 0.05])
def test_an_update_is_autograd_and_torchs_adam(eps):
    """Ratios are to the policy before all epochs; advantages are normalised within the minibatch."""
    theta, batch = start()
    found, adam = update(theta, batch, eps=eps)

    right = torch.nn.Parameter(theta.clone())
    peer = torch.optim.Adam([right], lr=LR, eps=1e-5)
    logp_old = examples.logp(theta, batch)
    (rng,) = rngs()
    for _ in range(4):
        for pairs in np.split(rng.permutation(96), 6):
            rho = ratio(examples.logp(right, pairs_of(batch, pairs)), logp_old[:, pairs])
            adv = normalise_advantage(batch.adv[:, pairs])
            peer.zero_grad()
            (-clipped_surrogate(rho, adv, eps)).sum().backward()
            peer.step()
    step = (right - theta).norm().item()
    torch.testing.assert_close(found, right.detach(), rtol=0, atol=1e-8 * step)
    assert adam.count == 24
    rho = ratio(examples.logp(found, batch), logp_old)
    assert ((rho - 1).abs() > eps).double().mean() > 0.05  # the clipping was at work


def test_the_first_step_follows_the_policy_gradient():
    """One minibatch of all pairs: Adam's first step is lr · g/(|g| + ε) with g the gradient of mean log π · Â."""
    theta, batch = start()
    found, _ = update(theta, batch, minibatches=1, policy_epochs=1)
    flat = theta.clone().requires_grad_()
    objective = (examples.logp(flat, batch) * normalise_advantage(batch.adv)).mean()
    (grad,) = torch.autograd.grad(objective, flat)
    torch.testing.assert_close(found - theta, LR * grad / (grad.abs() + 1e-5), rtol=1e-7, atol=1e-12)


def test_the_update_improves_its_own_surrogate():
    theta, batch = start(num_pairs=512)
    found, _ = update(theta, batch)
    adv = normalise_advantage(batch.adv)
    rho = ratio(examples.logp(found, batch), examples.logp(theta, batch))
    assert clipped_surrogate(rho, adv, 0.2).item() > 0.01 and surrogate(rho, adv).item() > 0.01


def test_scale_and_offset_of_the_advantages_do_not_matter():
    theta, batch = start()
    torch.testing.assert_close(
        update(theta, replace(batch, adv=100 * batch.adv - 7))[0], update(theta, batch)[0]
    )


def test_a_learning_rate_of_zero_stays():
    theta, batch = start()
    assert torch.equal(update(theta, batch, lr=0.0)[0], theta)


def test_what_went_in_stays_as_it_was():
    theta, batch = start()
    before, state = theta.clone(), examples.agents(theta, theta)
    ppo_update(state, batch, settings(), 0, rngs())
    adam = state.policy_adam
    assert torch.equal(theta, before) and adam.count == 0 and not adam.m.any() and not adam.v.any()


@pytest.mark.parametrize("num_act", [1, 3, 6, 17])
def test_an_agents_bits_do_not_depend_on_the_stack(num_act):
    net = policy_net(11, num_act, (64, 64))
    rng = np.random.default_rng(5)
    draw = lambda *shape: torch.from_numpy(rng.standard_normal((3, *shape))).float()  # noqa: E731
    theta, adv = 0.2 * draw(net.num_params), draw(256)
    batch = examples.Batch(draw(256, 11), draw(256, num_act), adv, adv, adv)
    chosen = settings(minibatches=4, policy_epochs=2)

    def run(pick):
        return ppo(theta[pick].clone(), examples.take(batch, pick), chosen, rngs(range(3)[pick]), net=net)

    whole, adam = run(slice(0, 3))
    for pick in examples.stacks():
        found, own = run(pick)
        assert torch.equal(found, whole[pick]) and torch.equal(own.v, adam.v[pick])


OPTIONS = {
    "one optimiser": {"one_optimiser": True, "value_epochs": 2, "max_grad_norm": 0.5, "entropy_coef": 0.01, "value_coef": 0.5},
    "early stop": {"target_kl": 0.002, "one_optimiser": True, "value_epochs": 2},
    "early stop after an epoch": {"target_kl": 0.002, "target_kl_at": "epoch"},
    "sizes": {"minibatch_size": 100, "advantage_norm": "batch", "value_clip": 0.2, "value_clip_max": False},
    "other units": {"policy_activation": "silu", "policy_hidden": [40, 30], "sigma": "linear", "advantage_norm": "none"},
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIONS)
def test_nor_do_they_with_other_libraries_options(kind):
    """Twice in a row, so that agents that stop early go on from optimisers of different ages."""
    chosen = settings(minibatches=4, policy_epochs=2, policy_lr=2e-3, **OPTIONS[kind])
    policy, value = make_policy(chosen, 11, 3), make_value(chosen, 11)
    rng = np.random.default_rng(8)
    draw = lambda *shape: torch.from_numpy(rng.standard_normal((3, *shape))).float()  # noqa: E731
    theta, phi, adv = 0.2 * draw(policy.num_params), 0.2 * draw(value.num_params), draw(256)
    if chosen.sigma == "linear":
        theta[:, -3:] = theta[:, -3:].exp()
    batch = examples.Batch(
        draw(256, 11), draw(256, 3), adv * torch.tensor([[1.0], [1.0], [30.0]]), adv, 0.3 * adv
    )

    def run(pick):
        state = examples.agents(theta[pick].clone(), phi[pick].clone())
        for iteration in range(2):
            state = ppo_update(state, examples.take(batch, pick), chosen, iteration, rngs(range(3)[pick]))
        return state

    whole = run(slice(0, 3))
    assert not torch.equal(whole.theta, theta) and torch.equal(whole.phi, phi) != chosen.one_optimiser
    for pick in examples.stacks():
        own = run(pick)
        for one, other in zip(
            (own.theta, own.phi, own.policy_adam.v),
            (whole.theta, whole.phi, whole.policy_adam.v),
            strict=True,
        ):
            assert torch.equal(one, other[pick])
        assert own.policy_adam.count.tolist() == whole.policy_adam.count[pick].tolist()
    if kind.startswith("early"):
        assert (whole.policy_adam.count < 2 * 2 * 4).any()
