"""Training: collect, fit the value network, update the policy, and again."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.gaussian import kl, kl_of_sigma, log_prob
from pgprim.core.mlp import MLP, forward, policy_net, value_net
from pgprim.core.seeding import generator
from pgprim.core.surrogate import clipped_surrogate, normalise_advantage, ratio, surrogate
from pgprim.experience.collect import Experience, collect, make_batch
from pgprim.rl.batch import Batch
from pgprim.rl.ppo import ppo_update
from pgprim.rl.trpo import trpo_update
from pgprim.rl.value import fit_value
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState
from pgprim.types.errors import UserError

Purpose = tuple[str | int, ...]

RECORDS = {
    "return_mean": ("mean undiscounted raw return of the completed episodes", "reward"),
    "return_std": ("standard deviation of the completed episodes' returns", "reward"),
    "length_mean": ("mean length of the completed episodes", "pairs"),
    "num_episodes": ("completed episodes", "1"),
    "surrogate": ("surrogate after the update, on its own batch (Eq. 14, for PPO Eq. 17)", "1"),
    "value_loss": ("value loss after the update, on its own batch (Eq. 4)", "normalised reward²"),
    "explained_variance": ("share of the value targets' variance that V explained before the update", "1"),
    "kl_mean": ("mean over states of KL(π_old ‖ π_new)", "nat"),
    "kl_max": ("maximum over states of KL(π_old ‖ π_new)", "nat"),
    "kl_of_sigma": ("part of kl_mean that the change of σ makes", "nat"),
    "ratio_max": ("maximum over pairs of the ratio ρ (Eq. 18)", "1"),
    "ratio_q99": ("99 % quantile over pairs of the ratio ρ (Eq. 18)", "1"),
    "clip_fraction": ("share of pairs with |ρ − 1| > 0.2", "1"),
    "step_norm": ("Euclidean norm of the policy's parameter update", "1"),
    "policy_lr": ("learning rate of the policy", "1"),
    "value_lr": ("learning rate of the value network", "1"),
    "sigma_mean": ("mean over action dimensions of σ, before the update", "action"),
}
"""What is recorded per iteration: long name and unit. Not a number where an algorithm has no such quantity."""

CLIP_RANGE = 0.2
"""The ε by which `clip_fraction` is counted for every algorithm, so that they compare (Table 1)."""


EXPLODED = {"value_loss": 1e9, "surrogate": 1e6, "kl_mean": 1e6, "step_norm": 1e6}
"""Bounds that no training that learns comes near: returns of 10 000 fitted not at all are a value loss of 10⁸."""


def learning_rate(base: float, iteration: int, settings: Settings) -> float:
    """The rate at an iteration: constant, or falling linearly to 0 at `anneal_over`."""
    return base * max(0.0, 1 - iteration / settings.anneal_over) if settings.anneal else base


def train(
    env_id: str,
    state: AgentState,
    settings: Settings,
    purposes: list[Purpose],
    iterations: range,
) -> Iterator[tuple[AgentState, dict[str, Float[np.ndarray, " agent"]]]]:
    """Train a stack of agents in lock step.

    Args:
        env_id: Gymnasium's id.
        state: The agents before iteration `iterations.start`.
        settings: Shared by all agents.
        purposes: What each agent's random numbers are for; the iteration is added here.
        iterations: Iterations to run.

    Yields:
        After every iteration, the agents and the iteration's records (`RECORDS`), one number per agent.

    Raises:
        UserError: A loss or step is no longer finite, or exploded; names iteration, agent and quantity.
    """
    for iteration in iterations:
        state, records = train_iteration(
            env_id, state, settings, [(*p, iteration) for p in purposes], iteration
        )
        for name, bound in EXPLODED.items():
            sound = np.abs(records[name]) < bound  # false for NaN, too
            if not sound.all():
                agent = int(np.argmin(sound))
                raise UserError(
                    f"training {'/'.join(map(str, purposes[agent]))} diverged: {name} is {records[name][agent]} in "
                    f"iteration {iteration}; try a smaller learning rate"
                )
        yield state, records


def train_iteration(
    env_id: str, state: AgentState, settings: Settings, purposes: list[Purpose], iteration: int
) -> tuple[AgentState, dict[str, Float[np.ndarray, " agent"]]]:
    """One iteration: T pairs, then the value network, then the policy."""
    experience, state = collect(env_id, state, settings, purposes)
    batch = make_batch(experience, state.phi, settings)
    value_lr = learning_rate(settings.value_lr, iteration, settings)
    value = value_net(experience.obs.shape[2], settings.hidden)
    rngs = [generator(*purpose, "value minibatches") for purpose in purposes]
    phi, value_adam, loss = fit_value(value, state.phi, state.value_adam, batch, settings, value_lr, rngs)
    new = replace(update_policy(state, batch, settings, purposes, iteration), phi=phi, value_adam=value_adam)
    policy = policy_net(experience.obs.shape[2], experience.act.shape[2], settings.hidden)
    policy_lr = (
        np.nan if settings.policy_lr is None else learning_rate(settings.policy_lr, iteration, settings)
    )
    records = episode_records(experience) | update_records(policy, state.theta, new.theta, batch, settings)
    records |= {
        "value_loss": loss.numpy(),
        "explained_variance": _explained_variance(batch),
        "policy_lr": np.full(len(purposes), policy_lr),
        "value_lr": np.full(len(purposes), value_lr),
    }
    return new, {name: np.asarray(records[name], np.float64) for name in RECORDS}


def update_policy(
    state: AgentState, batch: Batch, settings: Settings, purposes: list[Purpose], iteration: int
) -> AgentState:
    """The step the algorithm takes from a batch: PPO's whole sequence of minibatches, or TRPO's accepted step."""
    policy = policy_net(batch.obs.shape[2], batch.act.shape[2], settings.hidden)
    rngs = [generator(*purpose, "policy update") for purpose in purposes]
    if settings.update == "trpo":
        return replace(state, theta=trpo_update(policy, state.theta, batch, settings, rngs))
    lr = learning_rate(settings.policy_lr, iteration, settings)
    theta, adam = ppo_update(policy, state.theta, state.policy_adam, batch, settings, lr, rngs)
    return replace(state, theta=theta, policy_adam=adam)


def episode_records(experience: Experience) -> dict[str, Float[np.ndarray, " agent"]]:
    """Returns and lengths of the episodes that ended within the iteration."""
    found = {name: [] for name in ("return_mean", "return_std", "length_mean", "num_episodes")}
    for rew, ended in zip(experience.rew, experience.terminated | experience.truncated, strict=True):
        stops = np.flatnonzero(ended) + 1
        totals = np.diff(np.concatenate([[0.0], np.cumsum(rew)[stops - 1]]))
        some = len(stops) > 0
        found["return_mean"].append(totals.mean() if some else np.nan)
        found["return_std"].append(totals.std() if some else np.nan)
        found["length_mean"].append(np.diff(stops, prepend=0).mean() if some else np.nan)
        found["num_episodes"].append(len(stops))
    return {name: np.array(numbers, np.float64) for name, numbers in found.items()}


def update_records(
    net: MLP,
    theta_old: Float[Tensor, "agent param"],
    theta: Float[Tensor, "agent param"],
    batch: Batch,
    settings: Settings,
) -> dict[str, Float[np.ndarray, " agent"]]:
    """How far the update went, on its own batch."""
    num_layers = len(net.sizes) - 1
    old, new = net.split(theta_old), net.split(theta)
    mu_old, mu = forward(old, batch.obs, num_layers), forward(new, batch.obs, num_layers)
    divergence = kl(mu_old, old[-1], mu, new[-1])
    rho = ratio(log_prob(mu, new[-1], batch.act), log_prob(mu_old, old[-1], batch.act))
    adv = normalise_advantage(batch.adv)
    objective = surrogate(rho, adv) if settings.eps is None else clipped_surrogate(rho, adv, settings.eps)
    found = {
        "surrogate": objective,
        "kl_mean": divergence.mean(1),
        "kl_max": divergence.amax(1),
        "kl_of_sigma": kl_of_sigma(old[-1], new[-1]),
        "ratio_max": rho.amax(1),
        "ratio_q99": torch.quantile(rho, 0.99, dim=1),
        "clip_fraction": ((rho - 1).abs() > CLIP_RANGE).float().mean(1),
        "step_norm": (theta - theta_old).norm(dim=1),
        "sigma_mean": old[-1].exp().mean(1),
    }
    return {name: number.numpy().astype(np.float64) for name, number in found.items()}


def _explained_variance(batch: Batch) -> Float[np.ndarray, " agent"]:
    """1 − var(target − V_old) / var(target)."""
    return (1 - (batch.target - batch.val_old).var(1) / batch.target.var(1)).numpy()
