"""Fitting the value network: against autograd and torch.optim in double precision, and agent by agent."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgprim.core.adam import adam_init
from pgprim.core.surrogate import value_loss
from pgprim.rl.value import fit_value, values
from tests.rl import examples
from tests.rl.examples import settings

LR = 1e-2
NET = examples.value()


def start(num_agents=1, num_pairs=96, dtype=torch.float64):
    """Parameters that have moved on since V_old, and a batch whose pairs do not all count."""
    phi = examples.params(NET, 1, num_agents, dtype=dtype)
    batch = examples.batch(2, examples.params(examples.policy(), 3, num_agents, dtype=dtype), phi, num_pairs)
    batch = replace(
        batch, val_old=batch.val_old + 0.1 * batch.adv.roll(1, 1), target=batch.val_old + 0.3 * batch.adv
    )
    share = torch.from_numpy(np.random.default_rng(4).random((num_agents, num_pairs)) < 0.8).to(dtype)
    return phi, batch, replace(batch, weight=share)


def rngs(agents=range(1)):
    return [np.random.default_rng(agent) for agent in agents]


def fit(phi, batch, agents=range(1), lr=LR, **changes):
    chosen = settings(**{"minibatches": 6, "value_epochs": 4} | changes)
    return fit_value(NET, phi, adam_init(phi), batch, chosen, lr, rngs(agents))


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_is_autograd_and_torchs_adam(weighted, clip):
    """Minibatch by minibatch in the order of the agent's own generator, each the mean over the pairs that count."""
    phi, plain, shared = start()
    batch = shared if weighted else plain
    found, adam = fit(phi, batch, value_clip=clip)

    right = torch.nn.Parameter(phi.clone())
    peer = torch.optim.Adam([right], lr=LR, eps=1e-5)
    (rng,) = rngs()
    for _ in range(4):
        for pairs in np.split(rng.permutation(96), 6):
            val = values(NET, right, batch.obs[:, pairs])
            share = batch.weight[:, pairs] if weighted else None
            peer.zero_grad()
            value_loss(val, batch.val_old[:, pairs], batch.target[:, pairs], share, clip).sum().backward()
            peer.step()
    step = (right - phi).norm().item()
    torch.testing.assert_close(found, right.detach(), rtol=0, atol=1e-8 * step)
    assert adam.count == 24
    after = value_loss(values(NET, found, batch.obs), batch.val_old, batch.target, batch.weight, clip)
    before = value_loss(values(NET, phi, batch.obs), batch.val_old, batch.target, batch.weight, clip)
    assert after < before


def test_pairs_that_do_not_count_have_no_influence():
    phi, _, batch = start()
    other = replace(batch, target=torch.where(batch.weight > 0, batch.target, 1e6))
    assert not torch.equal(other.target, batch.target)
    assert torch.equal(fit(phi, batch)[0], fit(phi, other)[0])


def test_a_minibatch_in_which_no_pair_counts_leaves_a_finite_network():
    phi, _, batch = start()
    found, adam = fit(phi, replace(batch, weight=torch.zeros_like(batch.weight)))
    assert torch.equal(found, phi) and not adam.v.any()


def test_what_went_in_stays_as_it_was():
    phi, batch, _ = start()
    adam, before = adam_init(phi), phi.clone()
    fit_value(NET, phi, adam, batch, settings(), LR, rngs())
    assert torch.equal(phi, before) and adam.count == 0 and not adam.m.any() and not adam.v.any()


def test_a_fit_goes_on_where_the_optimiser_stopped():
    """Two fits of one epoch, optimiser and generator handed on, are one fit of two."""
    phi, batch, _ = start()
    chosen, (rng,) = settings(minibatches=6, value_epochs=1), rngs()
    half, adam = fit_value(NET, phi, adam_init(phi), batch, chosen, LR, [rng])
    found, _ = fit_value(NET, half, adam, batch, chosen, LR, [rng])
    assert torch.equal(found, fit(phi, batch, value_epochs=2)[0])


@pytest.mark.parametrize("clip", [None, 0.1])
def test_an_agents_bits_do_not_depend_on_the_stack(clip):
    phi, _, batch = start(num_agents=3, num_pairs=256, dtype=torch.float32)
    whole = fit(phi, batch, range(3), minibatches=4, value_clip=clip)
    for pick in examples.stacks():
        agents = range(3)[pick]
        found = fit(phi[pick].clone(), examples.take(batch, pick), agents, minibatches=4, value_clip=clip)
        assert torch.equal(found[0], whole[0][pick])
        assert torch.equal(found[1].m, whole[1].m[pick]) and torch.equal(found[1].v, whole[1].v[pick])


def test_uneven_minibatches_use_every_pair():
    """97 pairs in 6 minibatches: sizes differ by at most one, and each pair moves the result."""
    phi, batch, _ = start(num_pairs=97)
    found = fit(phi, batch, value_epochs=1)[0]
    for pair in range(0, 97, 12):
        target = batch.target.clone()
        target[0, pair] += 1
        assert not torch.equal(fit(phi, replace(batch, target=target), value_epochs=1)[0], found)
