"""Estimates of one checkpoint as a labelled dataset, the same for every probe that compares vectors."""

import hashlib
import json
from pathlib import Path

import numpy as np
import xarray as xr

from pgprim.types.checkpoint import Checkpoint

LABELS = ("task", "algo", "seed", "iteration")
"""The dimensions of every estimate, each of length 1 in a file: those of the path."""

COORDS = {
    "task": "task",
    "algo": "algorithm",
    "seed": "seed of the agent",
    "iteration": "training iteration of the checkpoint",
    "trial": "independent estimate",
    "trial_b": "independent estimate, the other one of a pair",
}


def estimates_dataset(
    checkpoint: Checkpoint,
    variables: dict[str, tuple[tuple[str, ...], object]],
    described: dict[str, tuple[str, str]],
    budgets: list[int],
    trials: int,
    attrs: dict[str, object],
) -> xr.Dataset:
    """Label a probe's numbers.

    Args:
        checkpoint: Whose they are.
        variables: By name, dimensions after those of the checkpoint and values.
        described: Long name and unit by variable; the ends of an interval, `*_low` and `*_high`, follow from its own.
        budgets: Pairs per estimate.
        trials: Number of independent estimates.
        attrs: What holds for all of them, the intervals' `level` included.
    """
    coords = {name: [getattr(checkpoint, name)] for name in LABELS}
    coords |= {"budget": budgets, "trial": range(trials), "trial_b": range(trials)}
    data = {}
    for name, (dims, values) in variables.items():
        long_name, units = _describe(name, described, attrs["level"])
        labelled = np.asarray(values)[(None,) * len(LABELS)]
        data[name] = ((*LABELS, *dims), labelled, {"long_name": long_name, "units": units})
    ds = xr.Dataset(data, {name: (name, list(values)) for name, values in coords.items()}, attrs)
    for name, long_name in COORDS.items():
        ds[name].attrs = {"long_name": long_name}
    ds["budget"].attrs = {"long_name": "state-action pairs per estimate", "units": "pairs"}
    return ds


def _describe(name: str, described: dict[str, tuple[str, str]], level: float) -> tuple[str, str]:
    if name in described:
        return described[name]
    base, _, end = name.rpartition("_")
    long_name, units = described[base]
    return (
        f"{long_name}, {'lower' if end == 'low' else 'upper'} end of the {100 * level:g} % interval within the agent",
        units,
    )


def provenance(params: dict, code: list[Path], checkpoint: Path, rollouts: dict) -> dict[str, str]:
    """What a dataset was made from, as attributes.

    Args:
        params: The sections of the parameter file that were used.
        code: Digest files of the modules that ran; those that are absent are left out.
        checkpoint: The checkpoint file.
        rollouts: Attributes of the rollouts.
    """
    digests = "".join(path.read_text() for path in code if path.exists())
    return {
        "params": json.dumps(params, sort_keys=True),
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        **({"code_sha256": hashlib.sha256(digests.encode()).hexdigest()} if digests else {}),
        **{
            f"rollouts_{name}": str(rollouts[name])
            for name in ("checkpoint_sha256", "code_sha256")
            if name in rollouts
        },
    }
