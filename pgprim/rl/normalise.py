"""Running normalisation of observations and rewards (Sec. 2; the released code's `ZFilter` and `RewardFilter`)."""

import numpy as np
from jaxtyping import Bool, Float

from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Moments

SMALLEST_VAR = 1e-8
"""A coordinate that has varied less is only centred: dividing by its rounding error would make noise of it."""


def make_moments(num_agents: int, dim: int) -> Moments:
    """Moments of nothing yet."""
    return Moments(0, np.zeros((num_agents, dim)), np.zeros((num_agents, dim)))


def push(moments: Moments, values: Float[np.ndarray, "agent dim"]) -> Moments:
    """The moments with one more value per agent (Welford 1962)."""
    count = moments.count + 1
    gap = values - moments.mean
    mean = moments.mean + gap / count
    return Moments(count, mean, moments.m2 + gap * (values - mean))


def std(moments: Moments) -> Float[np.ndarray, "agent dim"]:
    """Unbiased standard deviation; 1 where too little was seen to tell, so that nothing seen means the identity."""
    if moments.count < 2:
        return np.ones_like(moments.m2)
    var = moments.m2 / (moments.count - 1)
    return np.sqrt(np.where(var > SMALLEST_VAR, var, 1.0))


def normalise_obs(
    obs: Float[np.ndarray, "*batch obs"],
    mean: Float[np.ndarray, "..."],
    std: Float[np.ndarray, "..."],
    clip: float | None,
) -> Float[np.ndarray, "*batch obs"]:
    """(obs − mean) / std, bounded by ±clip; in the precision of its arguments."""
    scaled = (obs - mean) / std
    return scaled if clip is None else np.clip(scaled, -clip, clip, out=scaled)


def normalise_rew(
    rew: Float[np.ndarray, "*batch"], moments: Moments, settings: Settings, agent: int = 0
) -> Float[np.ndarray, "*batch"]:
    """Rewards as the value network sees them, by a frozen normaliser: divided by the deviation and clipped.

    Args:
        rew: Raw rewards.
        moments: Of the discounted reward sum.
        settings: Whether to divide, and the bound.
        agent: Which of the moments' agents.
    """
    scaled = rew / std(moments)[agent, 0] if settings.rew_norm else rew
    return scaled if settings.rew_clip is None else np.clip(scaled, -settings.rew_clip, settings.rew_clip)


def normalise_rew_running(
    rew: Float[np.ndarray, "agent t"],
    ended: Bool[np.ndarray, "agent t"],
    moments: Moments,
    settings: Settings,
) -> tuple[Float[np.ndarray, "agent t"], Moments]:
    """Rewards of one iteration, each divided by the deviation of all discounted sums up to it, and the new moments.

    The discounted sum starts at 0 in every episode. Algebra instead of a loop: with y the distance from the old mean,
    the sums Σy and Σy² up to a step give mean and squared deviation of everything seen up to it.

    Args:
        rew: Raw rewards of an iteration that starts with a reset.
        ended: Whether an episode ended at the step.
        moments: Before the iteration.
        settings: Whether to divide, the bound, and γ.
    """
    if not settings.rew_norm:
        return normalise_rew(rew, moments, settings), moments
    sums = np.empty_like(rew)
    running = np.zeros(len(rew))
    for t in range(rew.shape[1]):
        running = settings.gamma * running + rew[:, t]
        sums[:, t] = running
        running = running * ~ended[:, t]
    count = moments.count + 1 + np.arange(rew.shape[1])
    gap = sums - moments.mean
    first, second = gap.cumsum(1), np.square(gap).cumsum(1)
    mean, m2 = moments.mean + first / count, moments.m2 + second - np.square(first) / count
    var = m2 / np.maximum(count - 1, 1)
    scaled = rew / np.sqrt(np.where((count > 1) & (var > SMALLEST_VAR), var, 1.0))
    if settings.rew_clip is not None:
        scaled = np.clip(scaled, -settings.rew_clip, settings.rew_clip)
    return scaled, Moments(int(count[-1]), mean[:, -1:].copy(), m2[:, -1:].copy())
