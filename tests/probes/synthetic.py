"""Agents and rollouts for tests of probes: real files with random contents, no simulator."""

import importlib

import numpy as np
import torch

from pgprim.core.adam import adam_init
from pgprim.core.mlp import forward, policy_net, value_net
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.rollouts import BLOCK, RolloutWriter, open_rollouts
from pgprim.types.checkpoint import AdamState, AgentState, Checkpoint, Moments
from pgprim.types.environment import Environment
from pgprim.types.rollouts import Finals, Rollout

NUM_OBS, NUM_ACT = 5, 2

PPO = {
    "algorithm": "ppo", "anneal_over": 500, "pairs": 64, "semantics": "exact", "gamma": 0.99, "lam": 0.95, "hidden": [8, 8],
    "minibatches": 4, "value_epochs": 2, "adam_eps": 1e-5, "log_sigma": 0.0, "init": "orthogonal", "anneal": True,
    "rew_norm": True, "rew_clip": 2.0, "obs_clip": 2.0, "policy_lr": 3e-3, "value_lr": 1e-4, "policy_epochs": 3,
    "eps": 0.2,
}  # fmt: skip
TRPO = {
    "algorithm": "trpo", "anneal_over": 500, "pairs": 64, "semantics": "exact", "gamma": 0.99, "lam": 0.95, "hidden": [8, 8],
    "minibatches": 4, "value_epochs": 2, "adam_eps": 1e-5, "log_sigma": 0.0, "init": "xavier", "anneal": False,
    "rew_norm": False, "rew_clip": None, "obs_clip": None, "value_lr": 1e-4, "delta": 0.04, "fisher_fraction": 0.5,
    "cg_steps": 10, "cg_damping": 0.1, "backtracks": 10, "backtrack_factor": 0.5, "accept_ratio": 0.1,
}  # fmt: skip


def make_checkpoint(settings, seed=0, iteration=150, num_obs=NUM_OBS, num_act=NUM_ACT):
    """An agent with random weights, optimiser states and normalisers."""
    rng = np.random.default_rng(seed)

    def normal(count, scale):
        return torch.from_numpy(scale * rng.standard_normal((1, count)).astype(np.float32))

    hidden = tuple(settings["hidden"])
    theta = normal(policy_net(num_obs, num_act, hidden).num_params, 0.4)
    phi = normal(value_net(num_obs, hidden).num_params, 0.6)
    adam = AdamState(
        normal(theta.shape[1], 1e-3), normal(theta.shape[1], 1e-3).square(), np.array([320 * iteration])
    )
    moments = Moments(1000, rng.standard_normal((1, num_obs)), 1000 * rng.uniform(0.5, 2.0, (1, num_obs)))
    rewards = Moments(1000, np.zeros((1, 1)), np.full((1, 1), 4000.0))
    state = AgentState(theta, phi, adam, adam_init(phi), moments, rewards)
    return Checkpoint(
        "bandit",
        Environment("Synthetic-v0"),
        settings["algorithm"],
        seed,
        iteration,
        num_obs,
        num_act,
        settings,
        state,
    )


def make_rollouts(path, checkpoint, num_streams, num_pairs, end_rate=0.02, seed=1, limit=None):
    """Experience with the agent's own actions; rewards that depend on them; ends of both kinds at random.

    With a time limit, it alone truncates episodes.
    """
    rng = np.random.default_rng(seed)
    num_obs, num_act = checkpoint.num_obs, checkpoint.num_act
    net = policy_net(num_obs, num_act, tuple(checkpoint.settings["hidden"]))
    parts = net.split(checkpoint.state.theta)
    shape = (num_streams, num_pairs)
    obs = rng.standard_normal((*shape, num_obs)).astype(np.float32)
    mu = forward(net, parts, torch.from_numpy(obs.reshape(1, -1, num_obs))).numpy()
    act = (mu.reshape(*shape, num_act) + rng.standard_normal((*shape, num_act))).astype(np.float32)
    rew = act[..., 0] * np.sin(obs[..., 0]) - np.square(act).sum(-1) + rng.standard_normal(shape)
    terminated, truncated = rng.random((2, *shape)) < end_rate
    if limit is not None:
        age = np.zeros(num_streams, int)
        for t in range(num_pairs):
            age += 1
            truncated[:, t] = (age == limit) & ~terminated[:, t]
            age[terminated[:, t] | truncated[:, t]] = 0
    attrs = {name: getattr(checkpoint, name) for name in ("task", "env_id", "algo", "seed", "iteration")}
    attrs["time_limit"] = limit
    with RolloutWriter(path, num_streams, num_pairs, num_obs, num_act, attrs) as writer:
        for start in range(0, num_pairs, BLOCK):
            piece = slice(start, start + BLOCK)
            behind = truncated[:, piece].copy()
            if start + BLOCK >= num_pairs:
                behind[:, -1] = True
            stream, t = np.nonzero(behind)
            final = rng.standard_normal((len(t), num_obs)).astype(np.float32)
            finals = Finals(stream.astype(np.int32), (t + start).astype(np.int32), final)
            columns = (x[:, piece] for x in (obs, act, rew.astype(np.float64), terminated, truncated))
            writer.append(Rollout(start, *columns, finals))
    return open_rollouts(path)


def pool_of(streams, pairs, trials):
    """The section `sample` of a pool of which all streams are kept."""
    deep = {"seeds": [], "pairs": pairs}
    return {
        "streams": streams, "pairs": pairs, "estimates": trials, "kept": streams, "trials": trials, "deep": deep
    }  # fmt: skip


def measure_by(probe, checkpoint, rollouts, params, trials, limit=None, **results):
    """The vectors and the numbers of a probe of rollouts, which are all of the pool.

    Args:
        probe: Its name.
        checkpoint: The agent.
        rollouts: Its rollouts.
        params: The probe's block of the parameter file.
        trials: Number of the rollouts' streams that are trials.
        limit: Time limit of the task.
        results: What other probes found, by their names.
    """
    rollouts.attrs["time_limit"] = limit
    sample = pool_of(rollouts.num_streams, rollouts.num_pairs, trials)
    others = {name: Measured(result) for name, result in results.items()}
    measure = importlib.import_module(f"pgprim.probes.{probe}.measure").measure
    found = measure(Inputs(checkpoint, rollouts, sample, results=others), params)
    return found.vectors, found.numbers


def everything(rollouts):
    """All of a store as one block."""
    return next(iter(rollouts.blocks(size=rollouts.num_pairs)))


def seen_rewards(checkpoint, rew):
    """Rewards as the value network sees them."""
    settings, moments = checkpoint.settings, checkpoint.state.rew_moments
    scaled = rew / np.sqrt(moments.m2[0, 0] / (moments.count - 1)) if settings["rew_norm"] else rew
    return (
        scaled if settings["rew_clip"] is None else scaled.clip(-settings["rew_clip"], settings["rew_clip"])
    )
