"""Value prediction error after an iteration's value update: Figs. 3, 11, 12.

On the pairs that the update was made from and on as many fresh pairs of the same policy, against value targets (Eq. 4) and
against returns, as published and exact (`core.value_errors` says what that means).
"""

import json

import numpy as np

from pgprim.core.value_errors import (
    elapsed_steps,
    finite_mean,
    finite_median,
    gae_targets_as_published,
    gae_targets_exact,
    relative_errors,
    returns_as_published,
    returns_exact,
)
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import label
from pgprim.types.targets import DEFINITIONS, DESCRIBED, TARGETS

ESTIMATES = {
    "mre": ("mean relative error", "1"),
    "median_re": ("median relative error", "1"),
}
"""Long name and unit."""


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: errors of each agent at each iteration that was run again.

    Args:
        inputs: Iterations of training that were run again.
        params: Empty.
    """
    rerun = inputs.rerun
    settings, limit = json.loads(rerun.attrs["settings"]), rerun.attrs["time_limit"]
    num_pairs, gamma, lam = settings["pairs"], settings["gamma"], settings["lam"]
    dims, shape = (
        ("seed", "iteration", "part"),
        tuple(rerun.sizes[dim] for dim in ("seed", "iteration", "part")),
    )
    found = {name: np.empty((*shape, len(TARGETS), len(DEFINITIONS))) for name in ESTIMATES}
    for k in range(shape[1]):
        rew, val, next_val, val_new, terminated, truncated = (
            rerun[name].isel(iteration=k).transpose("seed", "part", "t").values.reshape(-1, rerun.sizes["t"])
            for name in ("rew_norm", "val_old", "next_val_old", "val_new", "terminated", "truncated")
        )
        val, next_val = val.astype(np.float64), next_val.astype(np.float64)
        elapsed = elapsed_steps(terminated | truncated)
        targets = {
            ("gae", "as_published"): gae_targets_as_published(
                rew, val, terminated, truncated, num_pairs, gamma, lam
            ),
            ("gae", "exact"): gae_targets_exact(
                rew, val, next_val, terminated, truncated, num_pairs, gamma, lam
            ),
            ("returns", "as_published"): returns_as_published(rew, terminated, truncated, num_pairs, gamma),
            ("returns", "exact"): returns_exact(rew, terminated, truncated, elapsed, limit, num_pairs, gamma),
        }
        for (target, definition), array in targets.items():
            errors = relative_errors(val_new[:, :num_pairs].astype(np.float64), array)
            place = (slice(None), k, slice(None), TARGETS.index(target), DEFINITIONS.index(definition))
            found["mre"][place] = finite_mean(errors, axis=1).reshape(shape[0], shape[2])
            found["median_re"][place] = finite_median(errors, axis=1).reshape(shape[0], shape[2])
    variables = {name: ((*dims, *DESCRIBED), array) for name, array in found.items()}
    coords = {name: rerun[name].values for name in dims} | {"target": TARGETS, "definition": DEFINITIONS}
    where = {name: rerun.attrs[name] for name in ("task", "algo")}
    return Measured(label(variables, ESTIMATES | DESCRIBED, coords, where=where))
