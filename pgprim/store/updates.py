"""Updates on fresh pairs as datasets, in the form of re-run iterations (`store.reruns`)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pgprim.rl.streams import time_limit
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.files import digest, missing
from pgprim.store.labelled import label
from pgprim.store.reruns import VARIABLES
from pgprim.types.checkpoint import Checkpoint


def updates_dataset(
    arrays: Mapping[str, np.ndarray],
    agents: Sequence[Checkpoint],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Label some updates of one agent.

    Args:
        arrays: The variables, `[iteration, part, t]`, and `kl_of_sigma` `[iteration]`. The updates' own pairs are
            unknown, so the only part is `held_out`.
        agents: The agent before each update.
        attrs: Provenance.
    """
    dims = ("iteration", "part", "t")
    variables = {name: (dims[: array.ndim], array) for name, array in arrays.items()}
    agent = agents[0]
    iterations = [one.iteration for one in agents]
    coords = {"iteration": iterations, "part": ["held_out"], "t": np.arange(arrays["rew"].shape[2])}
    about = {
        "task": agent.task,
        "algo": agent.algo,
        "env_id": agent.environment.id,
        "num_pairs": agent.settings["pairs"],
        "time_limit": time_limit(agent.environment),
        "settings": json.dumps(agent.settings, sort_keys=True),
    }
    return label(variables, VARIABLES, coords, about | dict(attrs), {"seed": agent.seed})


def load_series(folder: Path) -> list[Checkpoint]:
    """All snapshots of a folder, by rising iteration.

    Raises:
        UserError: There is no snapshot, or one is damaged.
    """
    checkpoints = [load_checkpoint(file) for file in folder.glob("*.safetensors") if file.name[0] != "."]
    if not checkpoints:
        raise missing(folder / "ITERATION.safetensors", "checkpoint")
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.iteration)


def snapshots_digest(folder: Path, checkpoints: Sequence[Checkpoint]) -> str:
    """One hash of all snapshots of a folder."""
    digests = [digest(folder / f"{checkpoint.iteration}.safetensors") for checkpoint in checkpoints]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
