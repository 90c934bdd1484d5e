"""Running normalisation of observations and rewards (Sec. 2; the released code's `ZFilter` and `RewardFilter`)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Moments

ROUNDING = 64 * np.finfo(np.float64).eps
"""A deviation below this share of the mean counts as rounding error, so that a constant is centred and not divided by it.

It is a share, not a number: observations in units of 1e-5 are as good as any."""


def make_moments(num_agents: int, dim: int) -> Moments:
    """Moments without any values."""
    return Moments(0, np.zeros((num_agents, dim)), np.zeros((num_agents, dim)))


def push(moments: Moments, values: Float[np.ndarray, "agent value dim"]) -> Moments:
    """Moments after a few more values per agent, added one by one (Welford 1962)."""
    count, mean, m2 = moments.count, moments.mean, moments.m2
    for value in values.swapaxes(0, 1):
        count += 1
        gap = value - mean
        mean = mean + gap / count
        m2 = m2 + gap * (value - mean)
    return Moments(count, mean, m2)


def std(moments: Moments) -> Float[np.ndarray, "agent dim"]:
    """Unbiased standard deviation; 1 where values do not vary, so that without data the normaliser is the identity."""
    return _deviation(moments.m2 / max(moments.count - 1, 1), moments.mean)


def _deviation(var: Float[np.ndarray, "..."], mean: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.sqrt(np.where(var > np.square(ROUNDING * mean), var, 1.0))


@dataclass
class Normaliser:
    """Observations as the networks of some agents see them: (obs − mean) / standard deviation, clipped.

    Centred and divided in double precision and only then cast to single, so that observations of any offset and unit
    keep their digits.

    Attributes:
        mean: Of each agent's observations; 0 where they are not normalised.
        scale: Divisor of each; 1 where they are not normalised.
        clip: Bound on the absolute normalised observation; None for none.
    """

    mean: Float64[np.ndarray, "agent obs"]
    scale: Float64[np.ndarray, "agent obs"]
    clip: float | None

    @staticmethod
    def of(moments: Moments, settings: Settings) -> "Normaliser":
        """Normaliser of the observations seen so far, frozen."""
        return Normaliser(*_location_and_scale(moments, settings), settings.obs_clip)

    def push(self, raw: Float64[np.ndarray, "stream obs"]) -> None:
        """Count observations before the policy sees them; a frozen normaliser ignores them."""

    def __call__(self, raw: Float64[np.ndarray, "stream obs"]) -> Float32[np.ndarray, "stream obs"]:
        """Normalise observations of streams in order of their agents, equally many for each."""
        rows = raw.reshape(len(self.mean), -1, raw.shape[1])
        return normalise_obs(rows, self.mean[:, None], self.scale[:, None], self.clip).reshape(raw.shape)


class RunningNormaliser(Normaliser):
    """A normaliser of agents in training: the observations of a step are counted before they are normalised.

    Attributes:
        moments: Of all observations so far.
    """

    def __init__(self, moments: Moments, settings: Settings) -> None:
        """Continue from the moments of the observations so far."""
        super().__init__(*_location_and_scale(moments, settings), settings.obs_clip)
        self.moments, self._settings = moments, settings

    def push(self, raw: Float64[np.ndarray, "stream obs"]) -> None:
        """See `Normaliser.push`."""
        self.moments = push(self.moments, raw.reshape(len(self.mean), -1, raw.shape[1]))
        self.mean, self.scale = _location_and_scale(self.moments, self._settings)


def _location_and_scale(
    moments: Moments, settings: Settings
) -> tuple[Float64[np.ndarray, "agent obs"], Float64[np.ndarray, "agent obs"]]:
    if not settings.obs_norm:
        return np.zeros_like(moments.mean), np.ones_like(moments.mean)
    return moments.mean, _with_eps(moments, settings.obs_eps, settings.obs_eps_of)


def _with_eps(moments: Moments, eps: float, eps_of: str) -> Float64[np.ndarray, "agent dim"]:
    """Standard deviation with ε added to the variance or to the deviation, as other libraries do; without ε `std`."""
    if not eps:
        return std(moments)
    var = moments.m2 / max(moments.count - 1, 1)
    return np.sqrt(var + eps) if eps_of == "var" else np.sqrt(var) + eps


def normalise_obs(
    obs: Float[np.ndarray, "*batch obs"],
    mean: Float64[np.ndarray, "..."],
    std: Float64[np.ndarray, "..."],
    clip: float | None,
) -> Float32[np.ndarray, "*batch obs"]:
    """(obs − mean) / std, bounded by ±clip, computed in double precision."""
    scaled = np.subtract(obs, mean, dtype=np.float64)
    scaled /= std
    if clip is not None:
        np.minimum(np.maximum(scaled, -clip, out=scaled), clip, out=scaled)
    return scaled.astype(np.float32)


def rew_scale(moments: Moments, settings: Settings) -> Float64[np.ndarray, " agent"]:
    """Standard deviation of the discounted reward sum, by which rewards are divided; 1 without normalisation."""
    return (
        _with_eps(moments, settings.rew_eps, "var")[:, 0] if settings.rew_norm else np.ones(len(moments.mean))
    )


def bounded(scaled: Float[np.ndarray, "*batch"], settings: Settings) -> Float[np.ndarray, "*batch"]:
    """Normalised rewards, clipped to the agents' bound."""
    return scaled if settings.rew_clip is None else np.clip(scaled, -settings.rew_clip, settings.rew_clip)


def normalise_rew_running(
    rew: Float[np.ndarray, "stream t"],
    ended: Bool[np.ndarray, "stream t"],
    moments: Moments,
    settings: Settings,
) -> tuple[Float[np.ndarray, "stream t"], Moments]:
    """Rewards of one iteration, each divided by the deviation of all discounted sums so far, and the new moments.

    The discounted sum starts at 0 in every episode. No loop is needed: with y the distance from the old mean (without
    one, from the first sum), the cumulative sums Σy and Σy² give mean and squared deviation of all values up to each
    step.

    Args:
        rew: Raw rewards of an iteration that starts with a reset, equally many streams for each agent.
        ended: Whether an episode ended at the step.
        moments: Before the iteration.
        settings: Whether to divide, the bound, and γ.
    """
    if not settings.rew_norm:
        return bounded(rew, settings), moments
    sums = np.empty_like(rew)
    running = np.zeros(len(rew))
    for t in range(rew.shape[1]):
        running = settings.gamma * running + rew[:, t]
        sums[:, t] = running
        running = running * ~ended[:, t]
    num_agents, num_pairs = len(moments.mean), rew.shape[1]
    each = len(rew) // num_agents
    in_order = sums.reshape(num_agents, each, num_pairs).swapaxes(1, 2).reshape(num_agents, -1)
    count = moments.count + each * (1 + np.arange(num_pairs))
    start = moments.mean if moments.count else in_order[:, :1]
    gap = in_order - start
    first, second = (part.cumsum(1)[:, each - 1 :: each] for part in (gap, np.square(gap)))
    mean, m2 = start + first / count, moments.m2 + second - np.square(first) / count
    var = m2 / np.maximum(count - 1, 1)
    scale = np.sqrt(var + settings.rew_eps) if settings.rew_eps else _deviation(var, mean)
    scaled = rew / np.repeat(scale, each, axis=0)
    return bounded(scaled, settings), Moments(int(count[-1]), mean[:, -1:].copy(), m2[:, -1:].copy())
