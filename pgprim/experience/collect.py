"""One iteration's experience for a stack of agents that learn in lock step, one environment stream each."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from pgprim.core.returns import gae
from pgprim.core.seeding import derive_seed, generator
from pgprim.rl.acting import make_actor
from pgprim.rl.batch import Batch
from pgprim.rl.envs import make_envs
from pgprim.rl.networks import make_value
from pgprim.rl.normalise import normalise_obs, normalise_rew_running, push, std
from pgprim.rl.value import values
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState


@dataclass(frozen=True)
class Experience:
    """T pairs of every agent, from environments that were reset at the start.

    Attributes:
        obs: Observations as the policy saw them: normalised by the statistics of their moment.
        next_obs: The true next observations of ended steps and of the last step, normalised; zeros elsewhere.
        act: Actions.
        rew: Raw rewards.
        rew_norm: Rewards as the value network sees them.
        terminated: Gymnasium's flag.
        truncated: Gymnasium's flag.
    """

    obs: Float[np.ndarray, "agent t obs"]
    next_obs: Float[np.ndarray, "agent t obs"]
    act: Float[np.ndarray, "agent t act"]
    rew: Float[np.ndarray, "agent t"]
    rew_norm: Float[np.ndarray, "agent t"]
    terminated: Bool[np.ndarray, "agent t"]
    truncated: Bool[np.ndarray, "agent t"]


def collect(
    env_id: str, state: AgentState, settings: Settings, purposes: list[tuple[str | int, ...]]
) -> tuple[Experience, AgentState]:
    """Run every agent for T pairs.

    An agent's environment and noise are seeded by its own purpose, anew in every iteration, so its experience depends
    on nothing but its own state: not on the other agents of the stack, nor on what was sampled before.

    Args:
        env_id: Gymnasium's id.
        state: The agents.
        settings: T, normalisation.
        purposes: What each agent's random numbers are for, iteration included.

    Returns:
        The experience, and the agents with the statistics of observations and rewards brought up to date.
    """
    num_pairs, num_agents = settings.pairs, len(purposes)
    envs = make_envs(env_id, [derive_seed(*purpose, "env") for purpose in purposes])
    num_obs, num_act = envs.obs_dim, envs.act_dim
    act_of = make_actor(state.theta.numpy(), num_obs, num_act, settings.hidden)
    noise = np.stack(
        [
            generator(*purpose, "act").standard_normal((num_pairs, num_act), dtype=np.float32)
            for purpose in purposes
        ]
    )
    obs = np.zeros((num_agents, num_pairs, num_obs), np.float32)
    next_obs = np.zeros_like(obs)
    act = np.zeros((num_agents, num_pairs, num_act), np.float32)
    rew = np.zeros((num_agents, num_pairs))
    terminated, truncated = np.zeros((2, num_agents, num_pairs), bool)

    moments = state.obs_moments
    raw = envs.reset()
    for t in range(num_pairs):
        moments = push(moments, raw)
        scale = std(moments)
        obs[:, t] = normalise_obs(raw, moments.mean, scale, settings.obs_clip)
        act[:, t] = act_of(obs[:, t, None], noise[:, t, None])[:, 0]
        step = envs.step(act[:, t].astype(np.float64))
        rew[:, t], terminated[:, t], truncated[:, t], raw = (
            step.rew,
            step.terminated,
            step.truncated,
            step.obs,
        )
        ended = step.terminated | step.truncated
        if t == num_pairs - 1:
            ended = np.ones_like(ended)
        if ended.any():
            seen = normalise_obs(step.next_obs, moments.mean, scale, settings.obs_clip)
            next_obs[ended, t] = seen[ended]
    envs.close()
    rew_norm, rew_moments = normalise_rew_running(rew, terminated | truncated, state.rew_moments, settings)
    experience = Experience(obs, next_obs, act, rew, rew_norm, terminated, truncated)
    return experience, replace(state, obs_moments=moments, rew_moments=rew_moments)


def make_batch(experience: Experience, phi: torch.Tensor, settings: Settings) -> Batch:
    """Values, advantages and targets of an iteration's pairs, fixed before either network is updated.

    With `semantics: paper` as in the released code: a time limit counts as termination, the cut is worth the last
    observation's own value, and pairs that end an episode do not count in the value loss.
    """
    net = make_value(settings, experience.obs.shape[2])
    obs = torch.from_numpy(experience.obs)
    val = values(net, phi, obs).numpy().astype(np.float64)
    terminated, truncated = experience.terminated, experience.truncated
    ended = terminated | truncated
    next_val = np.concatenate([val[:, 1:], val[:, -1:]], axis=1)
    weight = None
    if settings.semantics == "paper":
        terminated, truncated = ended, np.zeros_like(ended)
        weight = torch.from_numpy((~ended).astype(np.float32))
    else:
        last = ended.copy()
        last[:, -1] = True
        for agent, t in np.argwhere(last & ~terminated):
            beyond = torch.from_numpy(experience.next_obs[agent, t])[None, None]
            next_val[agent, t] = values(net, phi[agent : agent + 1], beyond).item()
    adv = gae(experience.rew_norm, val, next_val, terminated, truncated, settings.gamma, settings.lam)
    single = [torch.from_numpy(x.astype(np.float32)) for x in (adv, val + adv, val)]
    return Batch(obs, torch.from_numpy(experience.act), *single, weight)
