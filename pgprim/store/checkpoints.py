"""Checkpoints as safetensors files."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgprim.core.mlp import policy_net, value_net
from pgprim.store.arrays import load_arrays, save_arrays
from pgprim.store.files import unusable
from pgprim.types.agent import make_settings
from pgprim.types.checkpoint import AdamState, AgentState, Checkpoint, Moments
from pgprim.types.errors import UserError

KIND = "checkpoint"
FIELDS = ("task", "env_id", "algo", "seed", "iteration", "num_obs", "num_act", "settings")
COUNTED = ("policy_adam", "value_adam", "obs_moments", "rew_moments")


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint."""
    state = checkpoint.state
    tensors = {"theta": state.theta, "phi": state.phi}
    for name in ("policy_adam", "value_adam"):
        tensors |= {f"{name}.{part}": getattr(getattr(state, name), part) for part in ("m", "v")}
    for name in ("obs_moments", "rew_moments"):
        moments = getattr(state, name)
        tensors |= {f"{name}.{part}": torch.from_numpy(getattr(moments, part)) for part in ("mean", "m2")}
    header = {name: getattr(checkpoint, name) for name in FIELDS}
    header["counts"] = {name: getattr(state, name).count for name in COUNTED}
    save_arrays(path, header, {name: tensor[0] for name, tensor in tensors.items()})


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UserError: The file is missing, is no checkpoint, or is one whose parts do not fit together.
    """
    header, tensors = load_arrays(path, KIND)
    try:
        checkpoint = _make_checkpoint(header, tensors)
    except (KeyError, TypeError) as error:
        raise unusable(path, KIND, f"its header or arrays are incomplete ({error})") from None
    _require_consistent(path, checkpoint)
    return checkpoint


def _make_checkpoint(header: dict[str, Any], tensors: dict[str, Tensor]) -> Checkpoint:
    """The checkpoint of a file's header and arrays; any of them missing is an error of the built-in kinds."""
    counts = header["counts"]

    def adam(name: str) -> AdamState:
        return AdamState(tensors[f"{name}.m"][None], tensors[f"{name}.v"][None], counts[name])

    def moments(name: str) -> Moments:
        return Moments(
            counts[name], *(tensors[f"{name}.{part}"].numpy().copy()[None] for part in ("mean", "m2"))
        )

    state = AgentState(
        tensors["theta"][None],
        tensors["phi"][None],
        adam("policy_adam"),
        adam("value_adam"),
        moments("obs_moments"),
        moments("rew_moments"),
    )
    return Checkpoint(**{name: header[name] for name in FIELDS}, state=state)


def _require_consistent(path: str | Path, checkpoint: Checkpoint) -> None:
    """Make sure that the settings are whole, that arrays have the lengths that the header implies, and that all are finite."""
    try:
        hidden = make_settings(checkpoint.settings).hidden
    except UserError as error:
        raise unusable(path, KIND, f"its settings are not an agent's ({error})") from None
    policy = policy_net(checkpoint.num_obs, checkpoint.num_act, hidden).num_params
    value = value_net(checkpoint.num_obs, hidden).num_params
    state = checkpoint.state
    arrays = {
        "theta": (state.theta, policy),
        "phi": (state.phi, value),
        "policy_adam.m": (state.policy_adam.m, policy),
        "policy_adam.v": (state.policy_adam.v, policy),
        "value_adam.m": (state.value_adam.m, value),
        "value_adam.v": (state.value_adam.v, value),
        "obs_moments.mean": (state.obs_moments.mean, checkpoint.num_obs),
        "obs_moments.m2": (state.obs_moments.m2, checkpoint.num_obs),
        "rew_moments.mean": (state.rew_moments.mean, 1),
        "rew_moments.m2": (state.rew_moments.m2, 1),
    }
    for name, (array, length) in arrays.items():
        if array.shape != (1, length):
            raise unusable(
                path,
                KIND,
                f"{name} has the shape {tuple(array.shape[1:])}, but the header implies ({length},)",
            )
        if not np.isfinite(np.asarray(array)).all():
            raise unusable(path, KIND, f"{name} is not finite everywhere")
