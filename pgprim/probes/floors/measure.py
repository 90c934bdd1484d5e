"""What a perfect value network would show in Figs. 3, 11 and 12, and how far V is from it without any noise.

From several continuations of each of some states of a batch (`experience.fork`). The mean of the other continuations'
complete returns stands for V^π(s) where one continuation gives the target (`core.value_errors.perfect_error`).

The value targets V_old + A_GAE are made with the agent's own V_old, as the agent makes them. So the floor against them is
not noise alone: where V_old is biased, so are its targets, and a network may come nearer to them than V^π does.
"""

from collections.abc import Iterable

import numpy as np
import xarray as xr
from jaxtyping import Float
from tqdm import tqdm

from pgprim.core.seeding import generator
from pgprim.core.value_errors import (
    finite_mean,
    gae_targets_as_published,
    gae_targets_exact,
    pair_products,
    perfect_error,
    returns_as_published,
    returns_exact,
)
from pgprim.experience.fork import Fork, fork_stream
from pgprim.experience.seen import see
from pgprim.rl.algorithms import make_settings
from pgprim.rl.streams import time_limit
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import agent_of, label
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.targets import DEFINITIONS, DESCRIBED, TARGETS

ESTIMATES = {
    "floor": ("mean relative error that V^π itself would show", "1"),
    "floor_error": ("standard error over states of the floor", "1"),
    "squared_error": ("mean (V − V^π)², free of the returns' noise", "normalised reward²"),
    "squared_error_error": ("standard error over states of the squared error", "normalised reward²"),
    "squared_value": ("mean (V^π)², free of the returns' noise", "normalised reward²"),
    "squared_noise": ("mean variance of a return given its state", "normalised reward²"),
}
"""Long name and unit."""


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: the floors of both definitions for both targets, and the noise-free error of the checkpoint's V.

    Args:
        inputs: A checkpoint.
        params: `states` of a batch to be continued, in `branches` each, of `beyond` pairs.
    """
    checkpoint = inputs.checkpoint
    name = ("floor", checkpoint.env_id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    # Equally far apart, so that every part of the batch is seen, from a random first one on.
    width, first = checkpoint.settings["pairs"] / params["states"], generator(*name, "positions").random()
    positions = [int(width * (k + first)) for k in range(params["states"])]
    name = "floors {task} {algo} {seed} {iteration}".format(**vars(checkpoint))
    forks = fork_stream(checkpoint, positions, params["branches"], params["beyond"])
    with tqdm(forks, total=len(positions), desc=name, unit="state", mininterval=5) as states:
        return Measured(estimate(checkpoint, iter(states), time_limit(checkpoint.env_id)))


def estimate(checkpoint: Checkpoint, forks: Iterable[Fork], limit: int | None) -> xr.Dataset:
    """The floors of both definitions for both targets, and the noise-free error of the checkpoint's V.

    Args:
        checkpoint: The agent, before the iteration's update.
        forks: States of a batch with their continuations.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
    """
    settings = make_settings(checkpoint.settings)
    errors, val, returns = [], [], []
    for fork in forks:
        own, complete, found = look(checkpoint, fork, limit, settings)
        val.append(own)
        returns.append(complete)
        errors.append([[perfect_error(complete, column) for column in row] for row in found])
    errors, val, returns = np.array(errors), np.array(val), np.array(returns)
    counted = np.maximum(np.isfinite(errors).sum(0) - 1, 1)
    squares = pair_products(val[:, None] - returns)
    numbers = {
        "floor": finite_mean(errors),
        "floor_error": np.sqrt(finite_mean(np.square(errors - finite_mean(errors))) / counted),
        "squared_error": squares.mean(),
        "squared_error_error": squares.std(ddof=1) / np.sqrt(len(squares)),
        "squared_value": pair_products(returns).mean(),
        "squared_noise": returns.var(axis=1, ddof=1).mean(),
    }
    variables = {
        name: (("target", "definition") if np.ndim(number) else (), number)
        for name, number in numbers.items()
    }
    coords = {"target": TARGETS, "definition": DEFINITIONS}
    return label(variables, ESTIMATES | DESCRIBED, coords, {"num_states": len(val)}, agent_of(checkpoint))


def look(
    checkpoint: Checkpoint, fork: Fork, limit: int | None, settings: Settings
) -> tuple[float, Float[np.ndarray, " branch"], Float[np.ndarray, "target definition branch"]]:
    """V(s) of a state, the complete return of each continuation, and what each definition would compare V to.

    Args:
        checkpoint: The agent.
        fork: The state and its continuations.
        limit: Pairs after which the time limit ends an episode.
        settings: The agent's.
    """
    (seen,) = see(checkpoint, [fork.branches])
    gamma, lam, shape = settings.gamma, settings.lam, seen.rew_norm.shape
    none = np.zeros(shape, bool)
    complete = returns_exact(seen.rew_norm, seen.terminated, none, np.zeros(shape, int), None, 1, gamma)[:, 0]
    truncated = none.copy()
    elapsed = np.broadcast_to(fork.elapsed + np.arange(shape[1]), shape)
    if limit is not None:
        truncated = (elapsed == limit - 1) & ~seen.terminated
    left = min(settings.pairs - fork.t, shape[1])
    flags = (seen.terminated, truncated)
    exact_returns = returns_exact(seen.rew_norm, *flags, elapsed, limit, 1, gamma)
    found = [
        [
            gae_targets_as_published(seen.rew_norm, seen.val, *flags, left, gamma, lam),
            gae_targets_exact(seen.rew_norm, seen.val, seen.next_val, *flags, 1, gamma, lam),
        ],
        [returns_as_published(seen.rew_norm, *flags, left, gamma), exact_returns],
    ]
    return float(seen.val[0, 0]), complete, np.array([[column[:, 0] for column in row] for row in found])
