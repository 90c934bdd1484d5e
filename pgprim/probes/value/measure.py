"""Value prediction error after an iteration's value update: Figs. 3, 11, 12.

Measured on the update's own pairs and on equally many held-out pairs of the same policy, against value targets (Eq.
4) and against returns, in the three definitions of `core.value_errors`.
"""

import json

import numpy as np
import xarray as xr
from jaxtyping import Shaped

from pgprim.core.time_in_episode import elapsed_steps
from pgprim.core.value_errors import (
    ErrorSummary,
    gae_targets_cut,
    gae_targets_rolled,
    relative_errors,
    returns_cut,
    returns_rolled,
    squared_relative_errors,
    summarise_errors,
    without_last_pairs,
)
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import label
from pgprim.types.targets import DEFINITIONS, DESCRIBED, TARGETS

ESTIMATES = {
    "mre": ("mean relative error; of as_code against gae, mean squared error over |target|", "1"),
    "median_re": ("median relative error; of as_code against gae, median squared error over |target|", "1"),
    "total_re": ("sum of |V − target| over sum of |target|", "1"),
}
"""Long name and unit. A squared error over |target| has the unit of a normalised reward."""

DIMS = ("seed", "iteration", "part")


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: errors of each agent at each re-run iteration.

    Args:
        inputs: Re-run iterations of training.
        params: Empty.
    """
    rerun = inputs.rerun
    shape = tuple(rerun.sizes[dim] for dim in DIMS)
    numbers = {name: np.empty((*shape, len(TARGETS), len(DEFINITIONS))) for name in ESTIMATES}
    for k in range(shape[1]):
        for t, row in enumerate(_errors(rerun.isel(iteration=k))):
            for d, summary in enumerate(row):
                for name, values in zip(ESTIMATES, summary, strict=True):
                    numbers[name][:, k, :, t, d] = values.reshape(shape[0], shape[2])
    variables = {name: ((*DIMS, *DESCRIBED), array) for name, array in numbers.items()}
    coords = {name: rerun[name].values for name in DIMS} | {"target": TARGETS, "definition": DEFINITIONS}
    where = {name: rerun.attrs[name] for name in ("task", "algo")}
    return Measured(label(variables, ESTIMATES | DESCRIBED, coords, where=where))


def _errors(one: xr.Dataset) -> list[list[ErrorSummary]]:
    """Errors of one iteration, [target][definition]; streams are ordered by seed, then part."""
    settings, limit = json.loads(one.attrs["settings"]), one.attrs["time_limit"]
    num_pairs, gamma, lam = settings["pairs"], settings["gamma"], settings["lam"]

    def array(name: str) -> Shaped[np.ndarray, "stream t"]:
        return one[name].transpose("seed", "part", "t").values.reshape(-1, one.sizes["t"])

    rew, terminated, truncated = (array(name) for name in ("rew_norm", "terminated", "truncated"))
    old, next_old, new = (array(name).astype(np.float64) for name in ("val_old", "next_val_old", "val_new"))
    old_own, new_own = old[:, :num_pairs], new[:, :num_pairs]
    ended = terminated | truncated
    elapsed = elapsed_steps(ended)
    cut = [
        gae_targets_cut(rew, old, terminated, truncated, num_pairs, gamma, lam),
        returns_cut(rew, terminated, truncated, num_pairs, gamma),
    ]
    masked = [without_last_pairs(target, ended[:, :num_pairs]) for target in cut]
    rolled = [
        gae_targets_rolled(rew, old, next_old, terminated, truncated, num_pairs, gamma, lam),
        returns_rolled(rew, terminated, truncated, elapsed, limit, num_pairs, gamma),
    ]
    squared = squared_relative_errors(new_own, masked[0], old_own, settings.get("value_clip"))
    as_code = [squared, relative_errors(new_own, masked[1])]
    return [
        [
            summarise_errors(new_own, cut[t], relative_errors(new_own, cut[t])),
            summarise_errors(new_own, masked[t], as_code[t]),
            summarise_errors(new_own, rolled[t], relative_errors(new_own, rolled[t])),
        ]
        for t in range(len(TARGETS))
    ]
