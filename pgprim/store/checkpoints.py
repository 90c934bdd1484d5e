"""Checkpoints as safetensors files: arrays and one JSON header; loading one cannot run code."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import torch

from pgprim.rl.algorithms import make_settings, settings_schema
from pgprim.rl.networks import make_policy, make_value
from pgprim.store.arrays import load_arrays, save_arrays
from pgprim.store.files import unusable
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AdamState, AgentState, Checkpoint, Moments
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError

KIND = "checkpoint"

HEADER_TYPES = {
    "task": str, "environment": dict, "algo": str, "seed": int, "iteration": int, "num_obs": int, "num_act": int,
    "settings": dict, "counts": dict,
}  # fmt: skip
"""Fields of the header."""

KINDS = {str: "text", int: "a whole number", dict: "a mapping"}

COUNTED = ("policy_adam", "value_adam", "obs_moments", "rew_moments")
"""Parts of an agent that count what they have seen."""


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint."""
    state = checkpoint.state
    tensors = {"theta": state.theta, "phi": state.phi}
    for name in ("policy_adam", "value_adam"):
        tensors |= {f"{name}.{part}": getattr(getattr(state, name), part) for part in ("m", "v")}
    for name in ("obs_moments", "rew_moments"):
        moments = getattr(state, name)
        tensors |= {f"{name}.{part}": torch.from_numpy(getattr(moments, part)) for part in ("mean", "m2")}
    header = {
        name: getattr(checkpoint, name) for name in HEADER_TYPES if name not in ("counts", "environment")
    }
    header["environment"] = checkpoint.environment.as_dict()
    header["counts"] = {name: int(np.squeeze(getattr(state, name).count)) for name in COUNTED}
    save_arrays(path, header, {name: tensor[0] for name, tensor in tensors.items()})


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UserError: The file is missing or is no checkpoint, or its fields contradict each other.
    """
    header, tensors = load_arrays(path, KIND)
    try:
        return _make_checkpoint(header, {name: tensor[None] for name, tensor in tensors.items()})
    except _FieldError as error:
        raise unusable(path, KIND, str(error)) from None


class _FieldError(Exception):
    """A sentence about one field of a checkpoint."""


def _make_checkpoint(header: Any, tensors: dict[str, torch.Tensor]) -> Checkpoint:
    """The checkpoint in a file's header and arrays.

    Raises:
        _FieldError: A field is missing, unknown, or contradicts another.
    """
    _check_names("header", header, HEADER_TYPES)
    for name, kind in HEADER_TYPES.items():
        if not isinstance(header[name], kind) or isinstance(header[name], bool):
            raise _FieldError(f"{name} is {header[name]!r}, but must be {KINDS[kind]}")
    counts = header["counts"]
    _check_names("counts", counts, COUNTED)
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise _FieldError(f"counts.{name} is {count!r}, but must be a whole number from 0 up")
    settings = _checked_settings(header["settings"])
    lengths = _lengths(settings, header["num_obs"], header["num_act"])
    _check_names("arrays", tensors, lengths)
    for name, length in lengths.items():
        kind = torch.float64 if "moments" in name else torch.float32
        array = tensors[name]
        if array.shape != (1, length):
            raise _FieldError(
                f"{name} has the shape {tuple(array.shape[1:])}, but must have ({length},) for num_obs "
                f"{header['num_obs']}, num_act {header['num_act']} and the hidden layers of its settings"
            )
        if array.dtype != kind:
            raise _FieldError(f"{name} is {array.dtype}, but must be {kind}")
        if not array.isfinite().all():
            raise _FieldError(f"{name} holds {int((~array.isfinite()).sum())} numbers that are not finite")
        if name.endswith((".v", ".m2")) and (array < 0).any():
            raise _FieldError(f"{name} holds a negative number, but is a sum of squares")

    def moments(name: str) -> Moments:
        return Moments(counts[name], *(tensors[f"{name}.{part}"].numpy().copy() for part in ("mean", "m2")))

    def adam(name: str) -> AdamState:
        return AdamState(tensors[f"{name}.m"], tensors[f"{name}.v"], np.array([counts[name]]))

    state = AgentState(
        tensors["theta"],
        tensors["phi"],
        adam("policy_adam"),
        adam("value_adam"),
        moments("obs_moments"),
        moments("rew_moments"),
    )
    plain = {name: value for name, value in header.items() if name not in ("counts", "environment")}
    return Checkpoint(**plain, environment=_checked_environment(header["environment"]), state=state)


def _checked_environment(block: dict) -> Environment:
    try:
        return Environment.from_dict(block)
    except UserError as error:
        raise _FieldError(str(error)) from None


def _checked_settings(values: dict) -> Settings:
    try:
        settings = make_settings(values, "settings")
    except UserError as error:
        raise _FieldError(str(error)) from None
    schema = settings_schema(settings.algorithm)["properties"]
    for name, value in values.items():
        if not jsonschema.Draft202012Validator(schema[name]).is_valid(value):
            raise _FieldError(f"settings.{name} is {value!r}, but must be {schema[name]['description']}")
    return settings


def _lengths(settings: Settings, num_obs: int, num_act: int) -> dict[str, int]:
    """Length of each array of a checkpoint."""
    theta = make_policy(settings, num_obs, num_act).num_params
    phi = make_value(settings, num_obs).num_params
    networks = {"theta": theta, "policy_adam.m": theta, "policy_adam.v": theta}
    networks |= {"phi": phi, "value_adam.m": phi, "value_adam.v": phi}
    moments = {f"{name}.{part}": length for name, length in (("obs_moments", num_obs), ("rew_moments", 1))
               for part in ("mean", "m2")}  # fmt: skip
    return networks | moments


def _check_names(what: str, given: Collection[str], right: Collection[str]) -> None:
    if not isinstance(given, dict):
        raise _FieldError(f"{what} is {given!r}, but must be a mapping")
    if missing := sorted(set(right) - set(given)):
        raise _FieldError(f"its {what} lack {missing[0]}")
    if unknown := sorted(set(given) - set(right)):
        raise _FieldError(
            f"its {what} hold {unknown[0]}, which is unknown; known: {', '.join(sorted(right))}"
        )
