"""Floors: errors of a perfect value network in Figs. 3, 11 and 12, and the noise-free distance of V from V^π.

The probe repeats the iteration's update as training made it. Then it forks some states of the stream that the probe
`value` uses for held-out pairs several times (`experience.fork`). One continuation gives the target, and the mean of
the other continuations' complete returns estimates V^π(s) (`core.value_errors.perfect_errors`). Floor and error of
the updated V are over the same pairs, selected by the same rules; a pair is a state with one of its continuations.

The value targets V_old + A_GAE contain the agent's own V_old. So the floor against them is not only noise: if V_old
is biased, its targets are, too, and a network may be nearer to them than V^π is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Float32
from torch import Tensor
from tqdm import tqdm

from pgprim.core.seeding import generator
from pgprim.core.value_errors import (
    gae_targets_cut,
    gae_targets_rolled,
    pair_products,
    perfect_errors,
    relative_errors,
    returns_cut,
    returns_rolled,
    squared_relative_errors,
    without_last_pairs,
)
from pgprim.experience.fork import Fork, fork_stream
from pgprim.experience.seen import see
from pgprim.experience.train import train_iteration
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_value
from pgprim.rl.streams import time_limit
from pgprim.rl.value import values
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import agent_of, label
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.targets import DEFINITIONS, DESCRIBED, TARGETS

ESTIMATES = {
    "floor": ("mean relative error that V^π itself would show; of as_code against gae as in mre", "1"),
    "floor_se": ("standard error over states of the floor", "1"),
    "floor_total": ("sum of |V^π − target| over sum of |target|", "1"),
    "floor_total_se": ("standard error over states of the total floor", "1"),
    "error": ("mean relative error of V after the update at the floor's pairs; as_code as in mre", "1"),
    "error_total": ("sum of |V − target| over sum of |target| at the floor's pairs", "1"),
    "squared_error": ("mean (V − V^π)², free of the returns' noise", "normalised reward²"),
    "squared_error_se": ("standard error over states of the squared error", "normalised reward²"),
    "squared_value": ("mean (V^π)², free of the returns' noise", "normalised reward²"),
    "squared_noise": ("mean variance of a return given its state", "normalised reward²"),
}
"""Long name and unit. V is that after the update."""


@dataclass(frozen=True)
class View:
    """One state as the probe sees it.

    Attributes:
        val: V(s) after the update.
        val_old: V(s) before it.
        complete: Complete return of each continuation.
        targets: Target of each definition; NaN where it leaves the pair out.
    """

    val: float
    val_old: float
    complete: Float[np.ndarray, " branch"]
    targets: Float[np.ndarray, "target definition branch"]


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: floors of all definitions for both targets, and the noise-free error of V after the update.

    Args:
        inputs: A checkpoint.
        params: Number of `states` of a batch to fork, of `branches` of each, and of pairs per branch (`beyond`).
    """
    agent, phi = updated(inputs.checkpoint)
    own = ("floor", agent.environment.id, agent.algo, agent.seed, agent.iteration)
    # Equally spaced, so that they cover the whole batch, from a random first one on.
    width, first = agent.settings["pairs"] / params["states"], generator(*own, "positions").random()
    positions = [int(width * (k + first)) for k in range(params["states"])]
    forks = fork_stream(agent, positions, params["branches"], params["beyond"], held_out_purpose(agent))
    name = "floors {task} {algo} {seed} {iteration}".format(**vars(agent))
    with tqdm(forks, total=len(positions), desc=name, unit="state", mininterval=5) as states:
        return Measured(estimate(agent, phi, iter(states), time_limit(agent.environment)))


def updated(checkpoint: Checkpoint) -> tuple[Checkpoint, Float32[Tensor, "1 param"]]:
    """The checkpoint with the normalisers of its update, and the value network after the update."""
    settings, old = make_settings(checkpoint.settings), checkpoint.state
    purpose = ("train", checkpoint.task, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    new, _ = train_iteration(checkpoint.environment, old, settings, [purpose], checkpoint.iteration)
    state = replace(old, obs_moments=new.obs_moments, rew_moments=new.rew_moments)
    return replace(checkpoint, state=state), new.phi


def held_out_purpose(checkpoint: Checkpoint) -> tuple[str | int, ...]:
    """Purpose of the random numbers of the re-run's held-out stream (`commands.rerun`)."""
    return ("rerun", checkpoint.task, checkpoint.algo, checkpoint.seed, checkpoint.iteration)


def estimate(
    agent: Checkpoint, phi: Float32[Tensor, "1 param"], forks: Iterable[Fork], limit: int | None
) -> xr.Dataset:
    """The floors of all definitions for both targets, and the noise-free error of V after the update.

    Args:
        agent: Before the iteration's update, with the normalisers that the update sees.
        phi: The value network after the update.
        forks: States of a batch with their continuations.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
    """
    settings = make_settings(agent.settings)
    views = [look(agent, phi, fork, limit, settings) for fork in forks]
    numbers = {name: np.empty((len(TARGETS), len(DEFINITIONS))) for name in list(ESTIMATES)[:6]}
    for place in np.ndindex(len(TARGETS), len(DEFINITIONS)):
        is_squared = (TARGETS[place[0]], DEFINITIONS[place[1]]) == ("gae", "as_code")
        pairs = [(view, view.targets[place]) for view in views]
        mean = np.array([_relative_sums(*pair, is_squared, settings.value_clip) for pair in pairs]).T
        total = np.array([_total_sums(*pair) for pair in pairs]).T
        for suffix, (perfect, own, weight) in (("", mean), ("_total", total)):
            numbers[f"floor{suffix}"][place], numbers[f"floor{suffix}_se"][place] = _ratio(perfect, weight)
            numbers[f"error{suffix}"][place] = _ratio(own, weight)[0]
    val, complete = np.array([view.val for view in views]), np.array([view.complete for view in views])
    squares = pair_products(val[:, None] - complete)
    numbers |= {
        "squared_error": squares.mean(),
        "squared_error_se": squares.std(ddof=1) / np.sqrt(len(squares)),
        "squared_value": pair_products(complete).mean(),
        "squared_noise": complete.var(axis=1, ddof=1).mean(),
    }
    variables = {
        name: (("target", "definition") if np.ndim(number) else (), number)
        for name, number in numbers.items()
    }
    coords = {"target": TARGETS, "definition": DEFINITIONS}
    return label(variables, ESTIMATES | DESCRIBED, coords, {"num_states": len(views)}, agent_of(agent))


def look(
    agent: Checkpoint,
    phi: Float32[Tensor, "1 param"],
    fork: Fork,
    limit: int | None,
    settings: Settings,
) -> View:
    """One state with its continuations.

    Args:
        agent: Before the iteration's update.
        phi: The value network after it.
        fork: The state and its continuations.
        limit: Pairs after which the time limit ends an episode.
        settings: The agent's.
    """
    (seen,) = see(agent, [fork.branches])
    gamma, lam, shape = settings.gamma, settings.lam, seen.rew_norm.shape
    none = np.zeros(shape, bool)
    elapsed = np.broadcast_to(fork.elapsed + np.arange(shape[1]), shape)
    truncated = none if limit is None else (elapsed == limit - 1) & ~seen.terminated
    flags, left = (seen.terminated, truncated), min(settings.pairs - fork.t, shape[1])
    complete = returns_rolled(seen.rew_norm, seen.terminated, none, elapsed, None, 1, gamma)[:, 0]
    as_text = [
        gae_targets_cut(seen.rew_norm, seen.val, *flags, left, gamma, lam)[:, :1],
        returns_cut(seen.rew_norm, *flags, left, gamma)[:, :1],
    ]
    as_code = [without_last_pairs(target, (seen.terminated | truncated)[:, :1]) for target in as_text]
    exact = [
        gae_targets_rolled(seen.rew_norm, seen.val, seen.next_val, *flags, 1, gamma, lam),
        returns_rolled(seen.rew_norm, *flags, elapsed, limit, 1, gamma),
    ]
    net, obs = make_value(settings, agent.num_obs), torch.from_numpy(seen.obs[:1, :1])
    targets = np.array(list(zip(as_text, as_code, exact, strict=True)))[..., 0]
    return View(float(values(net, phi, obs)), float(seen.val[0, 0]), complete, targets)


def _relative_sums(
    view: View, target: Float[np.ndarray, " branch"], is_squared: bool, clip: float | None
) -> tuple[float, float, int]:
    """Sums over one state's pairs: relative error of V^π, that of V, and 1."""
    perfect = perfect_errors(
        view.complete, target, squared_relative_errors if is_squared else relative_errors
    )
    val, val_old = np.full_like(target, view.val), np.full_like(target, view.val_old)
    own = squared_relative_errors(val, target, val_old, clip) if is_squared else relative_errors(val, target)
    return float(np.nansum(perfect)), float(np.nansum(own)), int(np.isfinite(own).sum())


def _total_sums(view: View, target: Float[np.ndarray, " branch"]) -> tuple[float, float, float]:
    """Sums over one state's pairs: |V^π − target|, |V − target|, and |target|."""
    perfect = perfect_errors(view.complete, target, lambda val, target: np.abs(val - target))
    return tuple(float(np.nansum(some)) for some in (perfect, np.abs(view.val - target), np.abs(target)))


def _ratio(values: Float[np.ndarray, " state"], weights: Float[np.ndarray, " state"]) -> tuple[float, float]:
    """Sum of values over sum of weights, with its standard error over states to first order; NaN without weights."""
    counted = weights > 0
    values, weights = values[counted], weights[counted]
    if len(values) < 2:
        return np.nan, np.nan
    ratio = values.sum() / weights.sum()
    spread = (values - ratio * weights).std(ddof=1) * np.sqrt(len(values)) / weights.sum()
    return float(ratio), float(spread)
