"""Whole updates against stable-baselines3 and sb3-contrib, from the same parameters on the same batch.

In double precision, so that what is left is rounding. Where a peer's definition differs, the settings are those under
which it does not, and each test says which.
"""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from pgprim.rl.ppo import ppo_update
from pgprim.rl.trpo import trpo_update
from sb3_contrib.trpo import trpo
from stable_baselines3 import PPO
from stable_baselines3.common import policies
from stable_baselines3.common.logger import Logger
from torch.distributions import kl_divergence

from pgprim.core.adam import adam_init
from pgprim.rl.value import fit_value
from tests.rl import examples
from tests.rl.examples import NUM_ACT, NUM_OBS, settings

NUM_PAIRS, NUM_MINIBATCHES, LR = 512, 8, 1e-3


class Spaces(gymnasium.Env):
    """Nothing but the shapes of observations and actions, which the peers ask for."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (NUM_OBS,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (NUM_ACT,), np.float32)


@pytest.fixture(autouse=True)
def _double(monkeypatch):
    """The peers would cast observations to single precision."""
    monkeypatch.setattr(policies, "preprocess_obs", lambda obs, *_, **__: obs)


def make_peer(cls, theta, phi, batch, **options):
    peer = cls(
        policies.ActorCriticPolicy,
        Spaces(),
        learning_rate=LR,
        n_steps=batch.num_pairs,
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": [64, 64], "vf": [64, 64]},
            "activation_fn": torch.nn.Tanh,
            "optimizer_kwargs": {"eps": 1e-5},
        },
        **options,
    )
    peer.set_logger(Logger(None, []))
    peer.policy.double()
    for tensor, part in zip(peer_tensors(peer, "policy"), examples.policy().split(theta), strict=True):
        tensor.data = (part[0].mT if part[0].ndim == 2 else part[0]).clone()
    for tensor, part in zip(peer_tensors(peer, "value"), examples.value().split(phi), strict=True):
        tensor.data = (part[0].mT if part[0].ndim == 2 else part[0]).clone()
    buffer = peer.rollout_buffer
    column = lambda values: values[0].numpy()[:, None]  # noqa: E731
    buffer.observations, buffer.actions = column(batch.obs), column(batch.act)
    buffer.advantages, buffer.returns = column(batch.adv), column(batch.target)
    buffer.values, buffer.log_probs = column(batch.val_old), column(examples.logp(theta, batch))
    buffer.pos, buffer.full = batch.num_pairs, True
    return peer


def peer_tensors(peer, network):
    parts = peer.policy.mlp_extractor
    hidden, head = (
        (parts.policy_net, peer.policy.action_net)
        if network == "policy"
        else (parts.value_net, peer.policy.value_net)
    )
    layers = [hidden[0], hidden[2], head]
    tensors = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    return tensors + [peer.policy.log_std] if network == "policy" else tensors


def peer_params(peer, network):
    return torch.cat([tensor.detach().mT.reshape(-1) if tensor.ndim == 2 else tensor.detach()
                      for tensor in peer_tensors(peer, network)])  # fmt: skip


def start(seed):
    theta = examples.params(examples.policy(), seed)
    phi = examples.params(examples.value(), seed + 1)
    return theta, phi, examples.batch(seed + 2, theta, phi, NUM_PAIRS)


def assert_same_step(ours, theirs, before):
    """The steps agree to far below their own length."""
    step = (theirs - before).norm()
    assert step > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9 * step.item())


@pytest.mark.parametrize("lr_factor", [1, 10])
def test_a_ppo_update_is_stable_baselines3s(monkeypatch, lr_factor):
    """Agrees with one optimiser for both networks (they share no parameter), no gradient clipping, no value clipping."""
    theta, phi, batch = start(0)
    chosen = settings("ppo_m", minibatches=NUM_MINIBATCHES)
    peer = make_peer(
        PPO, theta, phi, batch,
        batch_size=NUM_PAIRS // NUM_MINIBATCHES, n_epochs=10, clip_range=0.2, vf_coef=1.0, max_grad_norm=float("inf"),
    )  # fmt: skip
    peer.lr_schedule = lambda _: lr_factor * LR
    monkeypatch.setattr(np.random, "permutation", np.random.default_rng(3).permutation)
    peer.train()

    ours, adam = ppo_update(
        examples.policy(), theta, adam_init(theta), batch, chosen, lr_factor * LR, [np.random.default_rng(3)]
    )
    assert adam.count == 10 * NUM_MINIBATCHES
    assert_same_step(ours[0], peer_params(peer, "policy"), theta[0])
    rho = (examples.logp(ours, batch) - examples.logp(theta, batch)).exp()
    assert (rho - 1).abs().gt(0.2).double().mean() > 0.05  # the clipping was at work

    fitted, _, _ = fit_value(
        examples.value(), phi, adam_init(phi), batch, chosen, lr_factor * LR, [np.random.default_rng(3)]
    )
    assert_same_step(fitted[0], peer_params(peer, "value"), phi[0])


@pytest.mark.parametrize(("delta", "tries"), [(0.01, 1), (0.1, 2), (1.0, 2), (30.0, 2)])
def test_a_trpo_update_is_sb3_contribs(monkeypatch, delta, tries):
    """Agrees with all states in the Fisher matrix and without a floor under the improvement.

    Two things of the peer's are put right first: its divergence is KL(new ‖ old), averaged over action dimensions, where
    Eq. 16 has KL(old ‖ new), which is a sum over them; its conjugate gradients start from noise instead of 0.
    """
    monkeypatch.setattr(
        trpo, "kl_divergence", lambda new, old: kl_divergence(old.distribution, new.distribution).sum(-1)
    )
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    theta, phi, batch = start(10)
    chosen = settings("trpo", delta=delta, fisher_fraction=1.0, accept_ratio=0.0)
    peer = make_peer(
        trpo.TRPO, theta, phi, batch,
        target_kl=delta, cg_max_steps=10, cg_damping=0.1, line_search_shrinking_factor=0.5, line_search_max_iter=10,
        n_critic_updates=1, sub_sampling_factor=1,
    )  # fmt: skip
    peer.train()
    ours = trpo_update(examples.policy(), theta, batch, chosen, [np.random.default_rng(0)])
    assert_same_step(ours[0], peer_params(peer, "policy"), theta[0])
    for most, moved in ((tries - 1, False), (tries, True)):
        tried = trpo_update(
            examples.policy(), theta, batch, replace(chosen, backtracks=most), [np.random.default_rng(0)]
        )
        assert torch.equal(tried, theta) != moved
