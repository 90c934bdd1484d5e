"""Checkpoints as safetensors files: arrays and one JSON header, nothing that could run code when loaded."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pgprim.types.checkpoint import AdamState, AgentState, Checkpoint, Moments
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError

HEADER = "pgprim"
"""The only metadata key: safetensors writes several in no fixed order, and files must be the same bytes every time."""


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file appears whole or not at all."""
    state = checkpoint.state
    tensors = {
        "theta": state.theta,
        "phi": state.phi,
        "policy_adam.m": state.policy_adam.m,
        "policy_adam.v": state.policy_adam.v,
        "value_adam.m": state.value_adam.m,
        "value_adam.v": state.value_adam.v,
        "obs_moments.mean": torch.from_numpy(state.obs_moments.mean),
        "obs_moments.m2": torch.from_numpy(state.obs_moments.m2),
        "rew_moments.mean": torch.from_numpy(state.rew_moments.mean),
        "rew_moments.m2": torch.from_numpy(state.rew_moments.m2),
    }
    header = {
        name: getattr(checkpoint, name)
        for name in ("task", "algo", "seed", "iteration", "num_obs", "num_act", "settings")
    } | {
        "environment": checkpoint.environment.as_dict(),
        "counts": {
            name: getattr(state, name).count
            for name in ("policy_adam", "value_adam", "obs_moments", "rew_moments")
        },
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    save_file(
        {name: tensor[0].contiguous() for name, tensor in tensors.items()},
        partial,
        {HEADER: json.dumps(header, sort_keys=True)},
    )
    os.replace(partial, path)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UserError: The file is missing or is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()[HEADER])
            tensors = {name: file.get_tensor(name)[None] for name in file.keys()}  # noqa: SIM118  not a dict
        return _make_checkpoint(header, tensors)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; make it with `snakemake {path}`") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a pgprim checkpoint ({error}); delete it and run `snakemake {path}`"
        ) from None


def _make_checkpoint(header: dict, tensors: dict[str, torch.Tensor]) -> Checkpoint:
    """What the file's header and arrays stand for; any of them missing is an error of the built-in kinds."""
    counts = header["counts"]

    def moments(name: str) -> Moments:
        return Moments(counts[name], *(tensors[f"{name}.{part}"].numpy().copy() for part in ("mean", "m2")))

    def adam(name: str) -> AdamState:
        return AdamState(tensors[f"{name}.m"], tensors[f"{name}.v"], counts[name])

    state = AgentState(
        tensors["theta"],
        tensors["phi"],
        adam("policy_adam"),
        adam("value_adam"),
        moments("obs_moments"),
        moments("rew_moments"),
    )
    plain = {name: value for name, value in header.items() if name not in ("counts", "environment")}
    return Checkpoint(**plain, environment=Environment.from_dict(header["environment"]), state=state)
