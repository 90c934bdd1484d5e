"""The documented file of `write_agent`, read back."""

import json
import re
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from pgprim.adopt.cleanrl import SETTINGS
from pgprim.adopt.foreign import ForeignAgent, Network, OptimiserState, SavedNormaliser
from pgprim.adopt.networks import check_pair, make_network, own_names, parameter_shapes, refuse
from pgprim.adopt.write import HEADER

_PARAMETER = re.compile(r"(policy|value)\.(\d+)\.(weight|bias)")


def is_safetensors(data: bytes) -> bool:
    """Whether a file begins like one of safetensors: the length of a JSON header, and the header."""
    return len(data) > 9 and int.from_bytes(data[:8], "little") < len(data) and data[8:9] == b"{"


def read(data: bytes, path: str, activation: str | None) -> ForeignAgent:
    """An agent from such a file.

    Args:
        data: The file.
        path: Its name, for messages.
        activation: Of both networks, in place of the file's.

    Raises:
        UserError: The file is damaged, or lacks something, or holds an array that the format does not have.
    """
    arrays, header = _open(data, path)
    networks: dict[str, Network] = {}
    places = {match.groups() for name in arrays if (match := _PARAMETER.fullmatch(name))}
    for name in ("policy", "value"):
        pairs = []
        for number in range(len({place for network, place, _ in places if network == name})):
            keys = [f"{name}.{number}.{part}" for part in ("weight", "bias")]
            if missing := [key for key in keys if key not in arrays]:
                refuse(
                    path,
                    f"has no array {missing[0]}, but layers must be numbered from 0, with weight and bias",
                )
            pairs.append(tuple(_finite(arrays.pop(key), f"{path}: {key}") for key in keys))
        networks[name] = make_network(
            pairs, activation or header.get("activation", "tanh"), f"{path}: {name}"
        )
    kind = "log" if "log_sigma" in arrays else "linear"
    sigma = arrays.pop("log_sigma", arrays.pop("sigma", None))
    if sigma is None:
        refuse(path, "has no array log_sigma (or sigma), the policy's deviation")
    sigma = _finite(sigma, f"{path}: {kind} σ").reshape(-1)
    policy, value = networks["policy"], networks["value"]
    check_pair(policy, value, sigma, path)
    observations, rewards = (
        _take_normaliser(arrays, header, name, path) for name in ("observations", "rewards")
    )
    adam = _take_adam(arrays, header, policy, sigma, value, path)
    if arrays:
        refuse(path, f"holds an array {min(arrays)}, which the format does not have")
    settings, assumed = _settings(header.get("settings", {}))
    iteration = header.get("iteration")
    if not (iteration is None or (isinstance(iteration, int) and iteration >= 0)):
        refuse(path, f"iteration is {iteration!r}, but must be a whole number from 0 up")
    return ForeignAgent(
        path=path,
        written_by="pgprim.adopt.write_agent",
        policy=policy,
        value=value,
        sigma=sigma,
        sigma_kind=kind,
        observations=observations,
        rewards=rewards,
        clip_actions=bool(header.get("clip_actions", True)),
        settings=settings,
        adam=adam,
        iteration=iteration,
        assumed=tuple(assumed),
        left_out=() if adam else ("The file holds no optimiser: Adam starts anew.",),
    )


def read_normalisers(data: bytes, path: str) -> tuple[SavedNormaliser | None, SavedNormaliser | None]:
    """The normalisers of observations and rewards from such a file, whatever else it holds.

    Raises:
        UserError: The file is damaged, or holds neither.
    """
    arrays, header = _open(data, path)
    both = tuple(_take_normaliser(arrays, header, name, path) for name in ("observations", "rewards"))
    if both == (None, None):
        refuse(path, "holds no normaliser, neither observations.mean nor rewards.mean")
    return both


def _open(data: bytes, path: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        arrays = safetensors.numpy.load(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][HEADER])
        if not isinstance(header, dict) or not isinstance(header.get("settings", {}), dict):
            raise TypeError
        return arrays, header
    except (SafetensorError, KeyError, TypeError, ValueError):
        refuse(
            path,
            f"a damaged safetensors file, or one without the metadata {HEADER!r} that write_agent gives it",
        )


def _settings(given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """All settings of a PPO agent, and a sentence about those that the file does not hold."""
    missing = sorted(set(SETTINGS) - set(given) - {"algorithm"})
    if given.get("algorithm", "ppo") != "ppo" or not missing:
        return dict(given), []
    return SETTINGS | given, [
        f"Not in the file, and so as in CleanRL's ppo_continuous_action.py: {', '.join(missing)}."
    ]


def _finite(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        refuse(where, "must hold finite floating-point numbers")
    return array.astype(np.float32)


def _take_normaliser(
    arrays: dict[str, np.ndarray], header: dict[str, Any], name: str, path: str
) -> SavedNormaliser | None:
    mean, var = (arrays.pop(f"{name}.{part}", None) for part in ("mean", "var"))
    if mean is None and var is None:
        return None
    entry = header.get(name, {})
    try:
        clip = entry.get("clip", 10.0)
        normaliser = SavedNormaliser(
            mean.astype(np.float64),
            var.astype(np.float64),
            float(entry["count"]),
            float(entry.get("eps", 1e-8)),
            entry.get("eps_of", "var"),
            None if clip is None else float(clip),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        refuse(path, f"its normaliser of {name} lacks mean, var or count")
    if normaliser.eps_of not in ("var", "std") or mean.shape != var.shape or not (var >= 0).all():
        refuse(
            path,
            f"its normaliser of {name} must have mean and var of one length, var at least 0, eps_of var or std",
        )
    return normaliser


def _take_adam(
    arrays: dict[str, np.ndarray],
    header: dict[str, Any],
    policy: Network,
    sigma: np.ndarray,
    value: Network,
    path: str,
) -> OptimiserState | None:
    if "adam" not in header:
        return None
    names = own_names(policy, value)
    m, v = (tuple(arrays.pop(f"adam.{part}.{name}", None) for name in names) for part in ("m", "v"))
    for name, shape, *pair in zip(names, parameter_shapes(policy, sigma, value), m, v, strict=True):
        if any(array is not None and array.shape != shape for array in pair):
            refuse(path, f"adam's arrays of {name} do not have its shape {list(shape)}")
    return OptimiserState(m, v, int(header["adam"].get("count", 0)))
