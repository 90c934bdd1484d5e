"""The documented file: an agent as named arrays, which any framework can write (docs/your_agent.md)."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

HEADER = "agent"
"""Key of the file's metadata that holds all that is no array, as JSON."""

Affine = tuple[Any, Any]
"""Weight [input, output] and bias [output] of a layer."""


def write_agent(
    path: str | Path,
    *,
    policy: Sequence[Affine],
    value: Sequence[Affine],
    log_sigma: Any,
    activation: str = "tanh",
    settings: Mapping[str, Any] | None = None,
    observations: Mapping[str, Any] | None = None,
    rewards: Mapping[str, Any] | None = None,
    adam: Mapping[str, Any] | None = None,
    iteration: int | None = None,
    clip_actions: bool = True,
) -> None:
    """Write an agent as a safetensors file. The file appears whole or not at all.

    Args:
        path: The file.
        policy: Layers of the network of the mean action.
        value: Layers of the value network.
        log_sigma: Logarithm of the standard deviation [act].
        activation: Of the hidden layers of both networks: tanh, relu, elu, silu, gelu or leaky_relu.
        settings: What is known of the training, by pgprim's names.
        observations: Their normaliser: `mean` [obs], `var` [obs], `count`; if need be `eps` (1e-8), `eps_of` (`var`, or
            `std`) and `clip` (10; None for none).
        rewards: The normaliser of rewards, from the discounted sum of rewards: the same keys.
        adam: `count`, and `m` and `v` as mappings from the names of parameters, such as `policy.0.weight`, to arrays.
        iteration: Updates made, if known.
        clip_actions: Whether the task sees actions clipped to its bounds.
    """
    arrays: dict[str, np.ndarray] = {"log_sigma": np.asarray(log_sigma, np.float32).reshape(-1)}
    header: dict[str, Any] = {"activation": activation, "iteration": iteration, "clip_actions": clip_actions}
    header["settings"] = dict(settings or {})
    for network, affine in (("policy", policy), ("value", value)):
        for number, (weight, bias) in enumerate(affine):
            arrays[f"{network}.{number}.weight"] = np.asarray(weight, np.float32)
            arrays[f"{network}.{number}.bias"] = np.asarray(bias, np.float32)
    for name, normaliser in (("observations", observations), ("rewards", rewards)):
        if normaliser is not None:
            header[name] = {key: value for key, value in normaliser.items() if key not in ("mean", "var")}
            for part in ("mean", "var"):
                arrays[f"{name}.{part}"] = np.atleast_1d(np.asarray(normaliser[part], np.float64))
    if adam is not None:
        header["adam"] = {"count": int(adam["count"])}
        for part in ("m", "v"):
            arrays |= {f"adam.{part}.{name}": np.asarray(x, np.float32) for name, x in adam[part].items()}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    # The library writes an array's memory as it lies: a transposed array must be copied into order.
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(whole, partial, {HEADER: json.dumps(header, sort_keys=True)})
    os.replace(partial, path)


def layers(network: Iterable[Any]) -> list[Affine]:
    """The affine layers of a torch `Sequential`, as `write_agent` takes them."""
    return [
        (part.weight.detach().cpu().numpy().T, part.bias.detach().cpu().numpy())
        for part in network
        if hasattr(part, "weight")
    ]
