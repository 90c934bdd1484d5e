"""Re-run training iterations from their snapshots, and run the same policies on held-out pairs.

Training saves a snapshot every few iterations, and all its random numbers are derived from seed, iteration and
purpose. So the training code itself can repeat an iteration at any time, bit for bit, and training does not need to
know what is measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from pgprim.core.gaussian import kl_of_mean, kl_of_sigma, log_prob
from pgprim.core.mlp import forward
from pgprim.experience.rollout import Policies, Purpose, collect, run_policies
from pgprim.experience.seen import Seen, see_agents, see_iteration
from pgprim.experience.train import train_iteration
from pgprim.rl.networks import make_policy, make_value
from pgprim.rl.normalise import Normaliser, rew_scale
from pgprim.rl.value import values
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError

Records = Mapping[str, Float64[np.ndarray, " agent"]]

BLOCK = 256
"""Pairs of a stream that are worked on at a time: 150 Humanoids' observations take 50 MB."""


@dataclass(frozen=True)
class Update:
    """Agents before and after an update (their iterations may differ), and the normalisers of the update.

    Attributes:
        theta_old: Policy parameters before.
        theta_new: Policy parameters after.
        phi_old: Value network parameters before.
        phi_new: Value network parameters after.
        obs_mean: Mean of the observations, the update's own pairs included.
        obs_scale: Standard deviation of the observations.
        rew_scale: Standard deviation of the discounted reward sum; 1 where rewards are not normalised.
    """

    theta_old: Float32[Tensor, "agent policy_param"]
    theta_new: Float32[Tensor, "agent policy_param"]
    phi_old: Float32[Tensor, "agent value_param"]
    phi_new: Float32[Tensor, "agent value_param"]
    obs_mean: Float64[np.ndarray, "agent obs"]
    obs_scale: Float64[np.ndarray, "agent obs"]
    rew_scale: Float64[np.ndarray, " agent"]


@dataclass(frozen=True)
class Pairs:
    """Consecutive pairs of one stream per agent, as the agent's networks before and after an update see them.

    Policies are evaluated in double precision for log-densities and divergences, at the same single-precision
    observations and actions: a small update moves a mean by less than single precision resolves.

    Attributes:
        rew: Raw rewards.
        rew_norm: Rewards as the value network sees them.
        terminated: Gymnasium's flag.
        truncated: Gymnasium's flag.
        val_old: V(s) before the update.
        next_val_old: V of the true next observation before the update; NaN after terminated pairs.
        val_new: V(s) after the update.
        log_prob_old: log π(a|s) before the update [nat].
        log_prob_new: log π(a|s) after the update [nat].
        kl_of_mean: Part of KL(π_old ‖ π_new) at s from the change of the mean [nat].
    """

    rew: Float64[np.ndarray, "agent t"]
    rew_norm: Float64[np.ndarray, "agent t"]
    terminated: Bool[np.ndarray, "agent t"]
    truncated: Bool[np.ndarray, "agent t"]
    val_old: Float32[np.ndarray, "agent t"]
    next_val_old: Float32[np.ndarray, "agent t"]
    val_new: Float32[np.ndarray, "agent t"]
    log_prob_old: Float64[np.ndarray, "agent t"]
    log_prob_new: Float64[np.ndarray, "agent t"]
    kl_of_mean: Float64[np.ndarray, "agent t"]


def rerun_iteration(
    environment: Environment,
    state: AgentState,
    settings: Settings,
    purposes: Sequence[Purpose],
    iteration: int,
    beyond: int,
) -> tuple[AgentState, Records, Update, Pairs]:
    """Repeat a training iteration, and evaluate the networks before and after it on its pairs and those that follow.

    `train.train_iteration` makes the update from the iteration's T pairs. The policy before the update then runs the
    environment streams once more, `beyond` pairs longer. Their first T pairs equal those of training bit for bit,
    because no random number depends on the length of a stream.

    Args:
        environment: The task.
        state: The agents before the iteration.
        settings: Shared by all agents.
        purposes: Purposes of each agent's random numbers in training, without the iteration.
        iteration: Which.
        beyond: Pairs after the cut.

    Returns:
        The agents after the iteration, the iteration's records, the update, and T + `beyond` pairs of each agent.

    Raises:
        UserError: The environment fails, or truncates an episode other than by its time limit.
    """
    purposes = [(*purpose, iteration) for purpose in purposes]
    new, records = train_iteration(environment, state, settings, purposes, iteration)
    update = update_between(state, new, settings)
    rollout, _ = collect(environment, state, settings, purposes, settings.pairs + beyond, is_exact=True)
    return new, records, update, _look(update, settings, see_iteration(rollout, state, settings))


def check_records(
    environment: Environment, iteration: int, seeds: Sequence[int], records: Records, recorded: Records
) -> None:
    """Check that a re-run equals the training that it repeats.

    Args:
        environment: The task, for the message.
        iteration: Which iteration was done again.
        seeds: The agents' seeds.
        records: Of the re-run.
        recorded: Of training.

    Raises:
        UserError: A number differs, for example because the environment uses a generator that its seed does not set.
    """
    for name, numbers in records.items():
        same = (numbers == recorded[name]) | (np.isnan(numbers) & np.isnan(recorded[name]))
        if not same.all():
            agent = int(np.argmin(same))
            raise UserError(
                f"iteration {iteration} of seed {seeds[agent]} on '{environment.id}' gives {name} {numbers[agent]} when it "
                f"is run again, but {recorded[name][agent]} was recorded in training; the environment must draw all its "
                "random numbers from the generator that its reset seeds (self.np_random), and the versions must be those "
                "of training"
            )


def held_out_pairs(
    environment: Environment,
    update: Update,
    settings: Settings,
    purposes: Sequence[Purpose],
    num_pairs: int,
) -> Iterator[Pairs]:
    """Held-out pairs of the policies before their updates, with the updates' normalisers.

    Args:
        environment: The task.
        update: The agents.
        settings: Shared by all agents.
        purposes: What each agent's random numbers are for.
        num_pairs: Pairs of each.

    Yields:
        Blocks of pairs in order of time, each as soon as the values after it are known.
    """
    normaliser = Normaliser(update.obs_mean, update.obs_scale, settings.obs_clip)
    policies = Policies(update.theta_old.numpy(), settings, normaliser, rows=1)
    rollouts = run_policies(environment, policies, purposes, num_pairs, BLOCK, is_exact=True)
    for seen in see_agents(update.phi_old, update.rew_scale, rollouts, settings):
        yield _look(update, settings, seen)


def join_updates(updates: Sequence[Update]) -> Update:
    """Several updates joined into one, with all their agents."""
    columns = {field.name: [getattr(update, field.name) for update in updates] for field in fields(Update)}
    return Update(
        **{
            name: torch.cat(column) if isinstance(column[0], Tensor) else np.concatenate(column)
            for name, column in columns.items()
        }
    )


def sigma_divergence(update: Update, settings: Settings, num_act: int) -> Float64[np.ndarray, " agent"]:
    """The part of KL(π_old ‖ π_new) from the change of σ, the same at every state [nat]."""
    net = make_policy(settings, update.obs_mean.shape[1], num_act)
    old, new = (net.log_sigma(net.split(theta.double())) for theta in (update.theta_old, update.theta_new))
    return kl_of_sigma(old, new).numpy()


def update_between(old: AgentState, new: AgentState, settings: Settings) -> Update:
    """The update between two checkpoints, `old` and `new`, which may come from other software.

    Args:
        old: The agents before the update.
        new: The agents after it; their normalisers are the update's.
        settings: Shared by all agents.
    """
    seen_by, scale = Normaliser.of(new.obs_moments, settings), rew_scale(new.rew_moments, settings)
    return Update(old.theta, new.theta, old.phi, new.phi, seen_by.mean, seen_by.scale, scale)


def _look(update: Update, settings: Settings, seen: Seen) -> Pairs:
    """Pairs of one stream per agent as the networks before and after an update see them."""
    obs, act = torch.from_numpy(seen.obs), torch.from_numpy(seen.act)
    value = make_value(settings, obs.shape[2])
    policy = make_policy(settings, obs.shape[2], act.shape[2])
    val_new = values(value, update.phi_new, obs).numpy()
    obs, act = obs.double(), act.double()
    before, after = policy.split(update.theta_old.double()), policy.split(update.theta_new.double())
    mu_old, mu_new = forward(policy, before, obs), forward(policy, after, obs)
    return Pairs(
        seen.rew,
        seen.rew_norm,
        seen.terminated,
        seen.truncated,
        val_old=seen.val.astype(np.float32),
        next_val_old=seen.next_val.astype(np.float32),
        val_new=val_new,
        log_prob_old=log_prob(mu_old, policy.log_sigma(before), act).numpy(),
        log_prob_new=log_prob(mu_new, policy.log_sigma(after), act).numpy(),
        kl_of_mean=kl_of_mean(mu_old, mu_new, policy.log_sigma(after)).numpy(),
    )
