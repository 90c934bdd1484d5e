"""Whole updates against stable-baselines3 and sb3-contrib, from the same parameters on the same batch.

In double precision, so that what is left is rounding. Where a peer's definition differs, the settings are those under
which it does not, and each test says which.
"""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from sb3_contrib.trpo import trpo
from stable_baselines3 import PPO
from stable_baselines3.common import policies
from stable_baselines3.common.logger import Logger
from torch.distributions import kl_divergence

from pgprim.core.adam import adam_init
from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward
from pgprim.rl.algorithms.ppo.update import update as ppo_update
from pgprim.rl.algorithms.trpo.update import update as trpo_update
from pgprim.rl.networks import make_policy, make_value
from pgprim.rl.value import fit_value, values
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


UNITS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU}


def nets(chosen):
    return make_policy(chosen, NUM_OBS, NUM_ACT), make_value(chosen, NUM_OBS)


def make_peer(cls, chosen, theta, phi, batch, num_envs=1, **options):
    """A peer with our parameters, and our batch in its buffer."""
    policy, value = nets(chosen)
    peer = cls(
        policies.ActorCriticPolicy,
        Spaces(),
        learning_rate=LR,
        n_steps=batch.num_pairs // num_envs,
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": list(policy.sizes[1:-1]), "vf": list(value.sizes[1:-1])},
            "activation_fn": UNITS[chosen.policy_activation],
            "optimizer_kwargs": {"eps": 1e-5},
        },
        **options,
    )
    peer.set_logger(Logger(None, []))
    peer.policy.double()
    for network, net, flat in (("policy", policy, theta), ("value", value, phi)):
        for tensor, part in zip(peer_tensors(peer, network), net.split(flat), strict=True):
            tensor.data = (part[0].mT if part[0].ndim == 2 else part[0]).clone()
    peer.n_envs = num_envs
    buffer = peer.rollout_buffer
    buffer.n_envs = num_envs
    fill(peer, chosen, theta, batch)
    return peer


def fill(peer, chosen, theta, batch):
    """Our pairs are environment after environment; the peer's buffer has a column for each."""
    buffer = peer.rollout_buffer
    buffer.reset()

    def columns(values):
        return np.ascontiguousarray(
            values[0].numpy().reshape(peer.n_envs, -1, *values.shape[2:]).swapaxes(0, 1)
        )

    buffer.observations, buffer.actions = columns(batch.obs), columns(batch.act)
    buffer.advantages, buffer.returns = columns(batch.adv), columns(batch.target)
    buffer.values, buffer.log_probs = columns(batch.val_old), columns(logp(chosen, theta, batch))
    buffer.pos, buffer.full = buffer.buffer_size, True


def logp(chosen, theta, batch):
    net = nets(chosen)[0]
    parts = net.split(theta)
    return log_prob(forward(net, parts, batch.obs), net.log_sigma(parts), batch.act)


def peer_tensors(peer, network):
    parts = peer.policy.mlp_extractor
    hidden, head = (
        (parts.policy_net, peer.policy.action_net)
        if network == "policy"
        else (parts.value_net, peer.policy.value_net)
    )
    layers = [layer for layer in (*hidden, head) if isinstance(layer, torch.nn.Linear)]
    tensors = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    return tensors + [peer.policy.log_std] if network == "policy" else tensors


def peer_params(peer, network):
    return flat(peer_tensors(peer, network))


def flat(tensors):
    return torch.cat([t.detach().mT.reshape(-1) if t.ndim == 2 else t.detach() for t in tensors])


def start(seed, chosen=None):
    policy, value = nets(settings() if chosen is None else chosen)
    theta, phi = examples.params(policy, seed), examples.params(value, seed + 1)
    return theta, phi, examples.batch(seed + 2, theta, phi, NUM_PAIRS, policy, value)


def assert_same_step(ours, theirs, before):
    """The steps agree to far below their own length."""
    step = (theirs - before).norm()
    assert step > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9 * step.item())


@pytest.mark.parametrize("lr_factor", [1, 10])
def test_a_ppo_update_is_stable_baselines3s(monkeypatch, lr_factor):
    """Agrees with one optimiser for both networks (they share no parameter), no gradient clipping, no value clipping."""
    chosen = settings("ppo_m", minibatches=NUM_MINIBATCHES, policy_lr=lr_factor * LR)
    theta, phi, batch = start(0)
    peer = make_peer(
        PPO, chosen, theta, phi, batch,
        batch_size=NUM_PAIRS // NUM_MINIBATCHES, n_epochs=10, clip_range=0.2, vf_coef=1.0, max_grad_norm=float("inf"),
    )  # fmt: skip
    peer.lr_schedule = lambda _: lr_factor * LR
    monkeypatch.setattr(np.random, "permutation", np.random.default_rng(3).permutation)
    peer.train()

    ours = ppo_update(examples.agents(theta, phi), batch, chosen, 0, [np.random.default_rng(3)])
    assert ours.policy_adam.count == 10 * NUM_MINIBATCHES
    assert_same_step(ours.theta[0], peer_params(peer, "policy"), theta[0])
    assert clipped_share(chosen, ours.theta, theta, batch) > 0.05  # the clipping was at work

    fitted, _ = fit_value(
        nets(chosen)[1], phi, adam_init(phi), batch, chosen, lr_factor * LR, [np.random.default_rng(3)]
    )
    assert_same_step(fitted[0], peer_params(peer, "value"), phi[0])


def clipped_share(chosen, theta, theta_old, batch):
    rho = (logp(chosen, theta, batch) - logp(chosen, theta_old, batch)).exp()
    return (rho - 1).abs().gt(0.2).double().mean()


OTHERS = {
    "algorithm": "ppo", "one_optimiser": True, "policy_epochs": 10, "value_epochs": 10, "max_grad_norm": 0.5,
    "policy_lr": LR, "value_lr": LR, "anneal": False,
}  # fmt: skip
"""What agents of stable-baselines3 and CleanRL have in common."""

SB3 = {
    "as it comes": ({"value_coef": 0.5}, {}),
    "an agent of the zoo": (
        {
            "policy_hidden": [48, 32], "value_hidden": [40], "policy_activation": "relu", "value_activation": "relu",
            "entropy_coef": 0.02, "value_coef": 0.7, "envs": 2, "minibatch_size": 100,
        },
        {"ent_coef": 0.02, "vf_coef": 0.7, "num_envs": 2, "batch_size": 100},
    ),
    "it stops early": ({"value_coef": 0.5, "target_kl": 0.02}, {"target_kl": 0.02}),
    "it clips values": (
        {"value_coef": 0.5, "value_clip": 0.2, "value_clip_max": False, "policy_activation": "elu", "value_activation": "elu"},
        {"clip_range_vf": 0.2},
    ),
    "advantages as they are": ({"value_coef": 0.5, "advantage_norm": "none"}, {"normalize_advantage": False}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size of 100:UserWarning")
@pytest.mark.parametrize("kind", SB3)
def test_whole_iterations_of_stable_baselines3_agents_are_theirs(monkeypatch, kind):
    """Two in a row, so that the second starts from an optimiser at work."""
    changes, options = SB3[kind]
    chosen = settings("ppo", **{"minibatch_size": 64} | OTHERS | changes)
    theta, phi, batch = start(20, chosen)
    peer = make_peer(
        PPO, chosen, theta, phi, batch, **{"batch_size": 64, "n_epochs": 10, "max_grad_norm": 0.5} | options
    )
    monkeypatch.setattr(np.random, "permutation", np.random.default_rng(3).permutation)
    rng, state = np.random.default_rng(3), examples.agents(theta, phi)
    for iteration in range(2):
        batch = replace(batch, val_old=values(nets(chosen)[1], state.phi, batch.obs))
        fill(peer, chosen, state.theta, batch)
        peer.train()
        new = ppo_update(state, batch, chosen, iteration, [rng])
        for network, now, before in (("policy", new.theta, state.theta), ("value", new.phi, state.phi)):
            assert_same_step(now[0], peer_params(peer, network), before[0])
        state = new
    full = 2 * 10 * -(-NUM_PAIRS // chosen.minibatch_size)
    assert state.policy_adam.count == state.value_adam.count
    assert (state.policy_adam.count < full) == (kind == "it stops early")


def cleanrl_iteration(chosen, policy, value, optimiser, batch, orders, target_kl):
    """One iteration as CleanRL's `ppo_continuous_action` makes it, in autograd: returns the minibatches taken."""
    (*layers, log_std), obs, act = policy, batch.obs[0], batch.act[0]

    def run(tensors, rows):
        for k, (weight, bias) in enumerate(zip(tensors[0::2], tensors[1::2], strict=True)):
            rows = torch.nn.functional.linear(rows.tanh() if k else rows, weight, bias)
        return rows

    with torch.no_grad():
        logp_old = torch.distributions.Normal(run(layers, obs), log_std.exp()).log_prob(act).sum(1)
    taken = 0
    for order in orders:
        for rows in np.split(order, NUM_MINIBATCHES):
            density = torch.distributions.Normal(run(layers, obs[rows]), log_std.exp())
            log_ratio = density.log_prob(act[rows]).sum(1) - logp_old[rows]
            rho, adv = log_ratio.exp(), batch.adv[0, rows]
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            policy_loss = torch.max(-adv * rho, -adv * rho.clamp(0.8, 1.2)).mean()
            val, old, ret = run(value, obs[rows])[:, 0], batch.val_old[0, rows], batch.target[0, rows]
            near = old + (val - old).clamp(-0.2, 0.2)
            value_loss = 0.5 * torch.max((val - ret) ** 2, (near - ret) ** 2).mean()
            loss = policy_loss - 0.01 * density.entropy().sum(1).mean() + 0.5 * value_loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*policy, *value], 0.5)
            optimiser.step()
            taken += 1
            approx_kl = (rho - 1 - log_ratio).mean().item()
        if target_kl is not None and approx_kl > target_kl:
            break
    return taken


@pytest.mark.parametrize("target_kl", [None, 0.03])
def test_whole_iterations_of_cleanrl_agents_are_theirs(target_kl):
    """Two in a row, with the learning rate falling from the first to the second."""
    chosen = settings(
        "ppo", minibatches=NUM_MINIBATCHES, entropy_coef=0.01, value_coef=0.25, value_clip=0.2, target_kl=target_kl,
        target_kl_at="epoch", **OTHERS | {"anneal": True, "anneal_over": 4},
    )  # fmt: skip
    theta, phi, batch = start(30, chosen)
    sides = [
        [
            torch.nn.Parameter((part[0].mT if part[0].ndim == 2 else part[0]).clone())
            for part in net.split(params)
        ]
        for net, params in zip(nets(chosen), (theta, phi), strict=True)
    ]
    optimiser = torch.optim.Adam([*sides[0], *sides[1]], lr=LR, eps=1e-5)
    state, rng, taken = examples.agents(theta, phi), np.random.default_rng(5), 0
    for iteration in range(2):
        batch = replace(batch, val_old=values(nets(chosen)[1], state.phi, batch.obs))
        orders = [np.arange(NUM_PAIRS)]
        for _ in range(10):
            orders.append(rng.permutation(orders[-1]))  # CleanRL goes on shuffling the last epoch's order
        optimiser.param_groups[0]["lr"] = LR * (1 - iteration / 4)
        taken += cleanrl_iteration(chosen, *sides, optimiser, batch, orders[1:], target_kl)
        new = ppo_update(state, batch, chosen, iteration, [examples.Orders(orders[1:])])
        assert_same_step(new.theta[0], flat(sides[0]), state.theta[0])
        assert_same_step(new.phi[0], flat(sides[1]), state.phi[0])
        state = new
    assert state.policy_adam.count == taken
    assert (taken < 20 * NUM_MINIBATCHES) == (target_kl is not None)


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
    chosen = settings("trpo", delta=delta, fisher_fraction=1.0, accept_ratio=0.0)
    theta, phi, batch = start(10)
    peer = make_peer(
        trpo.TRPO, chosen, theta, phi, batch,
        target_kl=delta, cg_max_steps=10, cg_damping=0.1, line_search_shrinking_factor=0.5, line_search_max_iter=10,
        n_critic_updates=1, sub_sampling_factor=1,
    )  # fmt: skip
    peer.train()
    ours = trpo_update(examples.agents(theta, phi), batch, chosen, 0, [np.random.default_rng(0)])
    assert_same_step(ours.theta[0], peer_params(peer, "policy"), theta[0])
    for most, moved in ((tries - 1, False), (tries, True)):
        tried = trpo_update(
            examples.agents(theta, phi),
            batch,
            replace(chosen, backtracks=most),
            0,
            [np.random.default_rng(0)],
        )
        assert torch.equal(tried.theta, theta) != moved
