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

from pgprim.core.value_errors import (
    gae_targets_as_published,
    gae_targets_exact,
    known_mean,
    pair_products,
    perfect_error,
    returns_as_published,
    returns_exact,
)
from pgprim.experience.appraise import appraise
from pgprim.experience.fork import Fork
from pgprim.probes.value.measure import COORDS, DEFINITIONS, TARGETS
from pgprim.rl.algorithms import make_settings
from pgprim.store.estimates import LABELS
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Checkpoint

ESTIMATES = {
    "floor": ("mean relative error that V^π itself would show", "1"),
    "floor_error": ("standard error over states of the floor", "1"),
    "squared_error": ("mean (V − V^π)², free of the returns' noise", "normalised reward²"),
    "squared_error_error": ("standard error over states of the squared error", "normalised reward²"),
    "squared_value": ("mean (V^π)², free of the returns' noise", "normalised reward²"),
    "squared_noise": ("mean variance of a return given its state", "normalised reward²"),
}
"""Long name and unit."""


def run(
    checkpoint: Checkpoint, forks: Iterable[Fork], limit: int | None, attrs: dict[str, object]
) -> xr.Dataset:
    """The floors of both definitions for both targets, and the noise-free error of the checkpoint's V.

    Args:
        checkpoint: The agent, before the iteration's update.
        forks: States of a batch with their continuations.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
        attrs: Where the numbers come from.
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
        "floor": known_mean(errors),
        "floor_error": np.sqrt(known_mean(np.square(errors - known_mean(errors))) / counted),
        "squared_error": squares.mean(),
        "squared_error_error": squares.std(ddof=1) / np.sqrt(len(squares)),
        "squared_value": pair_products(returns).mean(),
        "squared_noise": returns.var(axis=1, ddof=1).mean(),
    }
    variables = {}
    for name, number in numbers.items():
        dims = ("target", "definition") if np.ndim(number) else ()
        long_name, units = ESTIMATES[name]
        labelled = np.asarray(number)[(None,) * len(LABELS)]
        variables[name] = ((*LABELS, *dims), labelled, {"long_name": long_name, "units": units})
    names = COORDS | {"seed": "seed of the agent", "iteration": "training iteration"}
    values = {name: [getattr(checkpoint, name)] for name in LABELS}
    values |= {"target": list(TARGETS), "definition": list(DEFINITIONS)}
    coords = {name: (name, value, {"long_name": names[name]}) for name, value in values.items()}
    return xr.Dataset(variables, coords, attrs | {"num_states": len(val)})


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
    (seen,) = appraise(checkpoint, [fork.branches])
    gamma, lam, shape = settings.gamma, settings.lam, seen.rew.shape
    none = np.zeros(shape, bool)
    complete = returns_exact(seen.rew, seen.terminated, none, np.zeros(shape, int), None, 1, gamma)[:, 0]
    truncated = none.copy()
    elapsed = np.broadcast_to(fork.elapsed + np.arange(shape[1]), shape)
    if limit is not None:
        truncated = (elapsed == limit - 1) & ~seen.terminated
    left = min(settings.pairs - fork.t, shape[1])
    flags = (seen.terminated, truncated)
    exact_returns = returns_exact(seen.rew, *flags, elapsed, limit, 1, gamma)
    found = [
        [
            gae_targets_as_published(seen.rew, seen.val, *flags, left, gamma, lam),
            gae_targets_exact(seen.rew, seen.val, seen.next_val, *flags, 1, gamma, lam),
        ],
        [returns_as_published(seen.rew, *flags, left, gamma), exact_returns],
    ]
    return float(seen.val[0, 0]), complete, np.array([[column[:, 0] for column in row] for row in found])
