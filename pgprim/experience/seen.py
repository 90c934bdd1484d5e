"""Experience as a value network sees it: normalised rewards, values, advantages.

This module alone decides how time limits and cuts bootstrap. With `semantics: exact`, a time limit or a cut
bootstraps with V of the true next observation. With `semantics: paper`, as in the released code, a time limit counts
as termination, a cut bootstraps with V of the last observation itself, and pairs that end an episode do not count in
the value loss.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from pgprim.core.returns import gae, returns_to_go
from pgprim.rl.algorithms import make_settings
from pgprim.rl.batch import Batch
from pgprim.rl.networks import make_value
from pgprim.rl.normalise import bounded, normalise_rew_running, rew_scale
from pgprim.rl.value import values
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState, Checkpoint
from pgprim.types.rollouts import Finals, Rollout

ROWS = 4096
"""Pairs evaluated at once: few enough for the processor's cache, enough for the overhead not to matter."""


@dataclass(frozen=True)
class Seen(Rollout):
    """A rollout as a value network sees it.

    Attributes:
        rew_norm: Rewards as the value network sees them.
        val: V(s).
        next_val: V of the true next observation; NaN after terminated pairs, and after the last pair if unknown.
    """

    rew_norm: Float64[np.ndarray, "stream t"]
    val: Float64[np.ndarray, "stream t"]
    next_val: Float64[np.ndarray, "stream t"]

    def piece(self, columns: slice) -> "Seen":
        """Some consecutive pairs, without the final observations."""
        start = columns.indices(self.rew.shape[1])[0]
        arrays = {
            name: getattr(self, name)[:, columns]
            for name in (field.name for field in fields(self))
            if name not in ("start", "finals")
        }
        none = Finals(self.finals.stream[:0], self.finals.t[:0], self.finals.obs[:0])
        return Seen(start=self.start + start, finals=none, **arrays)


def see(
    checkpoint: Checkpoint, rollouts: Iterable[Rollout], phi: Float32[Tensor, "1 param"] | None = None
) -> Iterator[Seen]:
    """Rollouts as the agent of a checkpoint sees them, with its reward normaliser frozen.

    Args:
        checkpoint: The agent.
        rollouts: Consecutive blocks of the same streams. The last pairs' next values are known if `finals` has their
            observations.
        phi: Another value network's parameters, instead of the agent's.

    Yields:
        Each block, as soon as the first values of the next are known.

    Raises:
        ValueError: The final observation of a truncated pair is missing.
    """
    settings = make_settings(checkpoint.settings)
    scale = rew_scale(checkpoint.state.rew_moments, settings)
    return see_agents(checkpoint.state.phi if phi is None else phi, scale, rollouts, settings)


def see_agents(
    phi: Float32[Tensor, "agent param"],
    scale: Float64[np.ndarray, " agent"],
    rollouts: Iterable[Rollout],
    settings: Settings,
) -> Iterator[Seen]:
    """Rollouts of several agents, the same number of streams for each, by their own value networks.

    Args:
        phi: Parameters of the value networks.
        scale: Deviation that each agent's rewards are divided by.
        rollouts: Consecutive blocks of the same streams, the streams in the order of their agents.
        settings: Shared by all agents.

    Yields:
        Each block once the first values of the next are known.
    """
    held: Seen | None = None
    for rollout in rollouts:
        each = len(rollout.rew) // len(phi)
        rew_norm = bounded(rollout.rew / np.repeat(scale, each)[:, None], settings)
        seen = _see(rollout, rew_norm, phi, settings)
        if held is not None:
            unknown = ~held.ended[:, -1]
            held.next_val[unknown, -1] = seen.val[unknown, 0]
            yield held
        held = seen
    if held is not None:
        yield held


def see_iteration(rollout: Rollout, state: AgentState, settings: Settings) -> Seen:
    """The pairs of a training iteration as its agents see them, with running reward normalisers.

    Args:
        rollout: From `rollout.collect`, one stream per agent.
        state: The agents before the iteration.
        settings: Shared by all agents.
    """
    rew_norm, _ = normalise_rew_running(rollout.rew, rollout.ended, state.rew_moments, settings)
    return _see(rollout, rew_norm, state.phi, settings)


def revalue(seen: Seen, phi: Float32[Tensor, "agent param"], settings: Settings) -> Seen:
    """The same pairs with other value networks; next values come from `finals` and from the next pairs."""
    return _see(seen, seen.rew_norm, phi, settings)


def join(parts: Iterable[Seen], num_pairs: int | None = None) -> Seen:
    """Join consecutive blocks of the same streams, and keep the first pairs."""
    parts = list(parts)
    finals = [part.finals for part in parts]
    arrays = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts], axis=1)[:, :num_pairs]
        for field in fields(Seen)
        if field.name not in ("start", "finals")
    }
    stream, t, obs = (np.concatenate([getattr(f, name) for f in finals]) for name in ("stream", "t", "obs"))
    inside = t < parts[0].start + arrays["rew"].shape[1]
    ends = Finals(stream[inside], t[inside], obs[inside])
    return Seen(start=parts[0].start, finals=ends, **arrays)


def episode_ends(
    seen: Rollout, settings: Settings
) -> tuple[Bool[np.ndarray, "stream t"], Bool[np.ndarray, "stream t"]]:
    """Masks of the pairs that end an episode with value 0, and of those that end one and bootstrap with V."""
    if settings.semantics == "paper":
        return seen.ended, np.zeros_like(seen.ended)
    return seen.terminated, seen.truncated


def advantages(
    seen: Seen, settings: Settings, *, lam: float | None = None, cut: bool
) -> Float64[np.ndarray, "stream t"]:
    """Generalised advantage estimates of the pairs, cut after the last one.

    Args:
        seen: The pairs.
        settings: Discount, λ and semantics.
        lam: λ, by default the agent's.
        cut: Whether the batch ends with the last pair. If not, the estimates bootstrap with V of the next observation
            until `core.prefix_sums.append` adds the following pairs.
    """
    lam = settings.lam if lam is None else lam
    ends = episode_ends(seen, settings)
    return gae(seen.rew_norm, seen.val, _behind(seen, settings, cut), *ends, settings.gamma, lam)


def returns(seen: Seen, settings: Settings, *, cut: bool) -> Float64[np.ndarray, "stream t"]:
    """Discounted returns of normalised rewards, with bootstraps by V at a time limit and after the last pair.

    Args:
        seen: The pairs.
        settings: Discount and semantics.
        cut: Whether the batch ends with the last pair.
    """
    return returns_to_go(
        seen.rew_norm, _behind(seen, settings, cut), *episode_ends(seen, settings), settings.gamma
    )


def cut_gain(seen: Seen, last: int, settings: Settings) -> Float64[np.ndarray, " stream"]:
    """Difference between the bootstrap of advantages that are cut after a pair and γV(s'); 0 where an episode ends."""
    last_pair = seen.piece(slice(last, last + 1))
    gain = settings.gamma * (_behind(last_pair, settings, True) - last_pair.next_val)[:, 0]
    return np.where(last_pair.ended[:, 0], 0.0, gain)


def make_batch(seen: Seen, settings: Settings) -> Batch:
    """Pairs as the updates see them, advantages and value targets fixed before either network is updated."""
    adv = advantages(seen, settings, cut=True)
    single = [torch.from_numpy(x.astype(np.float32)) for x in (adv, seen.val + adv, seen.val)]
    weight = torch.from_numpy((~seen.ended).astype(np.float32)) if settings.semantics == "paper" else None
    return Batch(torch.from_numpy(seen.obs), torch.from_numpy(seen.act), *single, weight)


def _behind(seen: Seen, settings: Settings, cut: bool) -> Float64[np.ndarray, "stream t"]:
    """The bootstrap value after each pair."""
    if cut and settings.semantics == "paper":
        return np.concatenate([seen.next_val[:, :-1], seen.val[:, -1:]], axis=1)
    return seen.next_val


def _see(
    rollout: Rollout,
    rew_norm: Float64[np.ndarray, "stream t"],
    phi: Float32[Tensor, "agent param"],
    settings: Settings,
) -> Seen:
    num_agents, (num_streams, num_pairs, num_obs) = len(phi), rollout.obs.shape
    each = num_streams // num_agents
    net = make_value(settings, num_obs)
    obs = torch.from_numpy(rollout.obs.reshape(num_agents, -1, num_obs))
    val = torch.cat([values(net, phi, rows) for rows in obs.split(ROWS, dim=1)], dim=1)
    val = val.numpy().reshape(num_streams, num_pairs).astype(np.float64)
    next_val = np.concatenate([val[:, 1:], np.full_like(val[:, :1], np.nan)], axis=1)
    next_val[rollout.truncated] = np.nan
    finals, agents = rollout.finals, rollout.finals.stream // each
    for agent in np.unique(agents):
        own = agents == agent
        behind = values(net, phi[agent : agent + 1], torch.from_numpy(finals.obs[own])[None])[0]
        next_val[finals.stream[own], finals.t[own] - rollout.start] = behind.numpy()
    if np.isnan(next_val[rollout.truncated]).any():
        raise ValueError("the observation behind a truncated pair is missing")
    next_val[rollout.terminated] = np.nan
    own = {field.name: getattr(rollout, field.name) for field in fields(Rollout)}
    return Seen(**own, rew_norm=rew_norm, val=val, next_val=next_val)
