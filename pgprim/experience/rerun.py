"""Iterations of training done again from their snapshots, and the same policies on fresh pairs.

Training keeps a snapshot every few iterations, and all its random numbers follow from seed, iteration and purpose. So an
iteration can be done again at any time, bit for bit, by the training code itself, and training need not know what is
measured about it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from pgprim.core.gaussian import kl_of_mean, kl_of_sigma, log_prob
from pgprim.core.mlp import forward
from pgprim.core.seeding import derive_seed, generator
from pgprim.experience.collect import collect
from pgprim.experience.frozen import run_frozen
from pgprim.experience.train import Purpose, train_iteration
from pgprim.rl.networks import make_policy, make_value
from pgprim.rl.normalise import normalise_obs, std
from pgprim.rl.value import values
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState

BLOCK = 256
"""Pairs of a stream that are worked on at a time: 150 Humanoids' observations take 50 MB."""


@dataclass(frozen=True)
class Update:
    """Agents before and after an update, not necessarily all at the same iteration, and the normalisers it saw.

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

    Attributes:
        rew: Raw rewards.
        rew_norm: Rewards as the value network sees them.
        terminated: Gymnasium's flag.
        truncated: Gymnasium's flag.
        val_old: V(s) before the update.
        next_val_old: V of the true next observation before the update; not a number behind terminated pairs.
        val_new: V(s) after the update.
        log_prob_old: log π(a|s) before the update [nat].
        log_prob_new: log π(a|s) after the update [nat].
        kl_mean_part: Part of KL(π_old ‖ π_new) at s that moving the mean makes [nat].
    """

    rew: Float64[np.ndarray, "agent t"]
    rew_norm: Float64[np.ndarray, "agent t"]
    terminated: Bool[np.ndarray, "agent t"]
    truncated: Bool[np.ndarray, "agent t"]
    val_old: Float32[np.ndarray, "agent t"]
    next_val_old: Float32[np.ndarray, "agent t"]
    val_new: Float32[np.ndarray, "agent t"]
    log_prob_old: Float32[np.ndarray, "agent t"]
    log_prob_new: Float32[np.ndarray, "agent t"]
    kl_mean_part: Float32[np.ndarray, "agent t"]


def replay_iteration(
    env_id: str,
    state: AgentState,
    settings: Settings,
    purposes: Sequence[Purpose],
    iteration: int,
    beyond: int,
) -> tuple[AgentState, Update, Pairs]:
    """Do one training iteration again, and look at its pairs and at what came after them.

    The update is made from the iteration's T pairs by `train.train_iteration`. The environment streams are then run
    once more and `beyond` pairs longer by the policy before the update: their first T pairs are those of training, to
    the bit, because no random number depends on how many follow.

    Args:
        env_id: Gymnasium's id.
        state: The agents before the iteration.
        settings: Shared by all agents.
        purposes: What each agent's random numbers are for in training, without the iteration.
        iteration: Which.
        beyond: Pairs past the cut.

    Returns:
        The agents after the iteration, the update, and T + `beyond` pairs of each agent.
    """
    purposes = [(*purpose, iteration) for purpose in purposes]
    new, _ = train_iteration(env_id, state, settings, purposes, iteration)
    update = _make_update(state, new, settings)
    longer, _ = collect(env_id, state, replace(settings, pairs=settings.pairs + beyond), purposes)
    seen = _look(update, settings, torch.from_numpy(longer.obs), torch.from_numpy(longer.act))
    shown = longer.truncated.copy()
    shown[:, -1] = True
    ends = [(int(agent), int(t), longer.next_obs[agent, t]) for agent, t in np.argwhere(shown)]
    next_val = _next_values(update.phi_old, settings, seen["val_old"], longer.terminated, ends)
    arrays = (longer.rew, longer.rew_norm, longer.terminated, longer.truncated)
    return new, update, Pairs(*arrays, next_val_old=next_val, **seen)


def held_out_pairs(
    env_id: str,
    update: Update,
    settings: Settings,
    purposes: Sequence[Purpose],
    num_pairs: int,
    num_threads: int = 1,
) -> Iterator[Pairs]:
    """Fresh pairs of the policies before their updates, with the normalisers that the updates saw.

    Args:
        env_id: Gymnasium's id.
        update: The agents.
        settings: Shared by all agents.
        purposes: What each agent's random numbers are for.
        num_pairs: Pairs of each.
        num_threads: Threads that simulate.

    Yields:
        Stretches of pairs in the order of time, each once the values behind it are known.
    """
    mean, scale = update.obs_mean, update.obs_scale
    blocks = run_frozen(
        env_id,
        update.theta_old.numpy(),
        mean,
        scale,
        settings.obs_clip,
        settings.hidden,
        [derive_seed(*purpose, "env") for purpose in purposes],
        [generator(*purpose, "act") for purpose in purposes],
        num_pairs,
        BLOCK,
        num_threads,
    )
    held: Pairs | None = None
    for block in blocks:
        obs = normalise_obs(block.obs, mean[:, None], scale[:, None], settings.obs_clip).astype(np.float32)
        seen = _look(update, settings, torch.from_numpy(obs), torch.from_numpy(block.act))
        ends = [
            (
                int(agent),
                int(t) - block.start,
                normalise_obs(raw, mean[agent], scale[agent], settings.obs_clip).astype(np.float32),
            )
            for agent, t, raw in zip(block.finals.stream, block.finals.t, block.finals.obs, strict=True)
        ]
        next_val = _next_values(update.phi_old, settings, seen["val_old"], block.terminated, ends)
        if held is not None:
            going_on = ~(held.terminated | held.truncated)[:, -1]
            held.next_val_old[going_on, -1] = seen["val_old"][going_on, 0]
            yield held
        bound = np.inf if settings.rew_clip is None else settings.rew_clip
        rew_norm = np.clip(block.rew / update.rew_scale[:, None], -bound, bound)
        held = Pairs(block.rew, rew_norm, block.terminated, block.truncated, next_val_old=next_val, **seen)
    if held is not None:
        yield held


def join_updates(updates: Sequence[Update]) -> Update:
    """The agents of several updates side by side."""
    columns = {field.name: [getattr(update, field.name) for update in updates] for field in fields(Update)}
    return Update(
        **{
            name: torch.cat(column) if isinstance(column[0], Tensor) else np.concatenate(column)
            for name, column in columns.items()
        }
    )


def sigma_divergence(update: Update, num_act: int) -> Float32[np.ndarray, " agent"]:
    """The part of KL(π_old ‖ π_new) that the change of σ makes, the same at every state [nat]."""
    old, new = update.theta_old[:, -num_act:], update.theta_new[:, -num_act:]
    return kl_of_sigma(old, new).numpy()


def _make_update(old: AgentState, new: AgentState, settings: Settings) -> Update:
    scale = std(new.rew_moments)[:, 0] if settings.rew_norm else np.ones(new.num_agents)
    moments = new.obs_moments
    return Update(old.theta, new.theta, old.phi, new.phi, moments.mean, std(moments), scale)


def _look(
    update: Update,
    settings: Settings,
    obs: Float32[Tensor, "agent t obs"],
    act: Float32[Tensor, "agent t act"],
) -> dict[str, Float32[np.ndarray, "agent t"]]:
    """What the networks before and after an update say of normalised observations and actions."""
    value = make_value(settings, obs.shape[2])
    policy = make_policy(settings, obs.shape[2], act.shape[2])
    before, after = policy.split(update.theta_old), policy.split(update.theta_new)
    mu_old, mu_new = forward(policy, before, obs), forward(policy, after, obs)
    found = {
        "val_old": values(value, update.phi_old, obs),
        "val_new": values(value, update.phi_new, obs),
        "log_prob_old": log_prob(mu_old, policy.log_sigma(before), act),
        "log_prob_new": log_prob(mu_new, policy.log_sigma(after), act),
        "kl_mean_part": kl_of_mean(mu_old, mu_new, policy.log_sigma(after)),
    }
    return {name: number.numpy() for name, number in found.items()}


def _next_values(
    phi: Float32[Tensor, "agent param"],
    settings: Settings,
    val: Float32[np.ndarray, "agent t"],
    terminated: Bool[np.ndarray, "agent t"],
    ends: list[tuple[int, int, Float32[np.ndarray, " obs"]]],
) -> Float32[np.ndarray, "agent t"]:
    """V of the true next observations.

    Args:
        phi: Value network parameters.
        settings: Of them only the shape of the network.
        val: V(s), which is the value behind the pair before.
        terminated: After which there is none.
        ends: Agent, column and normalised observation behind truncated pairs and, where known, the last column's.
    """
    found = np.concatenate([val[:, 1:], np.full_like(val[:, :1], np.nan)], axis=1)
    for agent, t, obs in ends:
        net, behind = make_value(settings, len(obs)), torch.from_numpy(obs)[None, None]
        found[agent, t] = values(net, phi[agent : agent + 1], behind).item()
    found[terminated] = np.nan
    return found
