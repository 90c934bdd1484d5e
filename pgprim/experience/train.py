"""Training: collect, fit the value network, update the policy, and again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pgprim.core.episodes import complete_episodes
from pgprim.core.gaussian import kl, kl_of_sigma, log_prob
from pgprim.core.mlp import forward
from pgprim.core.seeding import generator
from pgprim.core.surrogate import normalise_advantage, ratio, value_loss
from pgprim.experience.rollout import Purpose, collect
from pgprim.experience.seen import make_batch, see_iteration
from pgprim.rl.algorithms import algorithm, make_settings
from pgprim.rl.batch import Batch, group_streams
from pgprim.rl.networks import make_policy, make_value
from pgprim.rl.rates import learning_rate
from pgprim.rl.value import fit_value, values
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState, Checkpoint, stack_agents
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Rollout

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


MUST_BE_FINITE = ("value_loss", "surrogate", "kl_mean", "step_norm")
"""Records by which an agent counts as diverged once one is not finite.

No bound is set on their size: what is large depends on the unit of the rewards, and an agent whose losses are finite may
recover. One that does not overflows single precision within some iterations.
"""


def train(
    environment: Environment,
    state: AgentState,
    settings: Settings,
    purposes: list[Purpose],
    iterations: range,
) -> Iterator[tuple[AgentState, dict[str, Float[np.ndarray, " agent"]]]]:
    """Train a stack of agents in lock step.

    Args:
        environment: The task.
        state: The agents before iteration `iterations.start`.
        settings: Shared by all agents.
        purposes: Purpose of each agent's random numbers; the iteration is added here.
        iterations: Iterations to run.

    Yields:
        After every iteration, the agents and the iteration's records (`RECORDS`), one number per agent.

    Raises:
        UserError: A loss or step is NaN or infinite; the message names iteration, agent and quantity.
    """
    for iteration in iterations:
        state, records = train_iteration(
            environment, state, settings, [(*p, iteration) for p in purposes], iteration
        )
        sound = is_sound(records)
        if not sound.all():
            agent = int(np.argmin(sound))
            name = next(name for name in MUST_BE_FINITE if not np.isfinite(records[name][agent]))
            raise UserError(
                f"training {'/'.join(map(str, purposes[agent]))} diverged: {name} is {records[name][agent]} in "
                f"iteration {iteration}, from finite experience; a smaller learning rate or step may help"
            )
        yield state, records


def is_sound(records: dict[str, Float[np.ndarray, " agent"]]) -> Bool[np.ndarray, " agent"]:
    """Whether every record of `MUST_BE_FINITE` is finite, per agent."""
    return np.all([np.isfinite(records[name]) for name in MUST_BE_FINITE], axis=0)


OVERFLOW = np.errstate(over="ignore", invalid="ignore")
"""An update that overflows is told by its records (`is_sound`), without a warning."""


@OVERFLOW
def train_iteration(
    environment: Environment,
    state: AgentState,
    settings: Settings,
    purposes: list[Purpose],
    iteration: int,
) -> tuple[AgentState, dict[str, Float[np.ndarray, " agent"]]]:
    """One iteration: T pairs, then the value network, then the policy."""
    rollout, after = collect(environment, state, settings, purposes)
    batch = group_streams(make_batch(see_iteration(rollout, state, settings), settings), settings.envs)
    state = after
    new = update_agent(state, batch, settings, purposes, iteration)
    # TRPO's policy has no learning rate.
    rates = {name: getattr(settings, name, np.nan) for name in ("policy_lr", "value_lr")}
    records = (
        episode_records(rollout, settings.envs)
        | update_records(state, new, batch, settings)
        | {
            name: np.full(len(purposes), learning_rate(rate, iteration, settings))
            for name, rate in rates.items()
        }
    )
    return new, {name: np.asarray(records[name], np.float64) for name in RECORDS}


def update_agent(
    state: AgentState, batch: Batch, settings: Settings, purposes: list[Purpose], iteration: int
) -> AgentState:
    """Update both networks from a batch: the algorithm's update, and the value fit unless it includes that."""
    new = update_policy(state, batch, settings, purposes, iteration)
    if new.phi is not state.phi:
        return new
    net, lr = make_value(settings, batch.obs.shape[2]), learning_rate(settings.value_lr, iteration, settings)
    rngs = [generator(*purpose, "value minibatches") for purpose in purposes]
    phi, adam = fit_value(net, state.phi, state.value_adam, batch, settings, lr, rngs)
    return replace(new, phi=phi, value_adam=adam)


@OVERFLOW
def update_policy(
    state: AgentState, batch: Batch, settings: Settings, purposes: Sequence[Purpose], iteration: int
) -> AgentState:
    """Make the algorithm's update from a batch: all minibatches of PPO, or TRPO's accepted step."""
    rngs = [generator(*purpose, "policy update") for purpose in purposes]
    return algorithm(settings.algorithm).update(state, batch, settings, iteration, rngs)


def take_steps(
    checkpoint: Checkpoint, batch: Batch, purposes: Sequence[Purpose]
) -> Float[Tensor, "agent param"]:
    """θ_new − θ of the whole update of the next iteration, from the checkpoint's optimiser state, per batch.

    Args:
        checkpoint: The agent.
        batch: Pairs, one agent per update.
        purposes: Purpose of each update's random numbers.
    """
    state = stack_agents([checkpoint.state] * len(purposes))
    new = update_policy(state, batch, make_settings(checkpoint.settings), purposes, checkpoint.iteration)
    return new.theta - state.theta


def episode_records(rollout: Rollout, envs: int) -> dict[str, Float[np.ndarray, " agent"]]:
    """Returns and lengths of the episodes that ended within the iteration, of each agent's `envs` streams together."""
    episodes = [complete_episodes(*stream) for stream in zip(rollout.rew, rollout.ended, strict=True)]
    rows = []
    for first in range(0, len(episodes), envs):
        own = episodes[first : first + envs]
        ret = np.concatenate([each.ret for each in own])
        length = np.concatenate([np.diff(each.stop, prepend=0) for each in own])
        some = len(ret) > 0
        mean, std, long = (ret.mean(), ret.std(), length.mean()) if some else (np.nan, np.nan, np.nan)
        rows.append((mean, std, long, len(ret)))
    names = ("return_mean", "return_std", "length_mean", "num_episodes")
    return {
        name: np.array(column, np.float64)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def update_records(
    old: AgentState, new: AgentState, batch: Batch, settings: Settings
) -> dict[str, Float[np.ndarray, " agent"]]:
    """Losses after an update, its divergences and ratios, on its own batch."""
    num_obs, num_act = batch.obs.shape[2], batch.act.shape[2]
    policy, value = make_policy(settings, num_obs, num_act), make_value(settings, num_obs)
    parts_old, parts = policy.split(old.theta), policy.split(new.theta)
    log_sigma_old, log_sigma = policy.log_sigma(parts_old), policy.log_sigma(parts)
    mu_old, mu = forward(policy, parts_old, batch.obs), forward(policy, parts, batch.obs)
    divergence = kl(mu_old, log_sigma_old, mu, log_sigma)
    rho = ratio(log_prob(mu, log_sigma, batch.act), log_prob(mu_old, log_sigma_old, batch.act))
    adv, val = normalise_advantage(batch.adv), values(value, new.phi, batch.obs)
    clip = (settings.value_clip, settings.value_clip_max)
    records = {
        "surrogate": algorithm(settings.algorithm).objective(rho, adv, settings),
        "value_loss": value_loss(val, batch.val_old, batch.target, batch.weight, *clip),
        "explained_variance": 1 - (batch.target - batch.val_old).var(1) / batch.target.var(1),
        "kl_mean": divergence.mean(1),
        "kl_max": divergence.amax(1),
        "kl_of_sigma": kl_of_sigma(log_sigma_old, log_sigma),
        "ratio_max": rho.amax(1),
        "ratio_q99": torch.quantile(rho, 0.99, dim=1),
        "clip_fraction": ((rho - 1).abs() > CLIP_RANGE).float().mean(1),
        "step_norm": (new.theta - old.theta).norm(dim=1),
        "sigma_mean": log_sigma_old.exp().mean(1),
    }
    return {name: number.numpy().astype(np.float64) for name, number in records.items()}
