"""Agents of skrl's PPO: `agent_*.pt`, a dictionary of the state dicts of models, optimiser and preprocessors."""

import re
from typing import Any

import numpy as np

from pgprim.adopt.foreign import ForeignAgent, Network, SavedNormaliser
from pgprim.adopt.networks import (
    check_pair,
    last_rates,
    read_adam,
    refuse,
    refuse_leftovers,
    scale_output,
    sequential,
    take_network,
    to_numpy,
)

CLIP, EPS = 5.0, 1e-8
"""Defaults of skrl's RunningStandardScaler; ε is added to the deviation."""

LOG_SIGMA_BOUNDS = -20.0, 2.0
"""To which skrl's GaussianMixin clamps log σ by default."""

SETTINGS = {
    "algorithm": "ppo",
    "pairs": 2048,
    "gamma": 0.99,
    "lam": 0.95,
    "minibatches": 2,
    "anneal": False,
    "anneal_over": 1,
    "adam_eps": 1e-8,
    "policy_epochs": 8,
    "value_epochs": 8,
    "eps": 0.2,
    "value_clip": None,
    "value_coef": 1.0,
    "entropy_coef": 0.0,
    "max_grad_norm": 0.5,
    "one_optimiser": True,
    "advantage_norm": "batch",
    "init": "xavier",
    "semantics": "exact",
}
"""The library's defaults, apart from the number of pairs, which is the study's."""


def is_agent(saved: Any) -> bool:
    """Whether a file of `torch.save` holds such an agent."""
    return isinstance(saved, dict) and isinstance(saved.get("policy"), dict) and "value" in saved


def read(saved: dict[str, Any], path: str, activation: str | None) -> ForeignAgent:
    """An agent from an agent's checkpoint, which holds preprocessors and optimiser but no settings.

    Args:
        saved: The checkpoint.
        path: Its file, for messages.
        activation: Of both networks; elu, as skrl's examples have it, if not given.

    Raises:
        UserError: It cannot be represented.
    """
    actor, critic = dict(saved["policy"]), dict(saved["value"])
    if set(actor) == set(critic):
        refuse(path, "policy and value network are one model, but they must share no layer")
    order = [f"policy/{name}" for name in actor] + [f"value/{name}" for name in critic]
    if "log_std_parameter" not in actor:
        refuse(
            path,
            "has no log_std_parameter, but the policy must be a Gaussian whose σ is the same in every state",
        )
    sigma = to_numpy(actor.pop("log_std_parameter"), f"{path}: log_std_parameter").astype(np.float32)
    sigma = np.clip(sigma, *LOG_SIGMA_BOUNDS)
    policy_names, value_names = _layers(actor, "policy_layer", path), _layers(critic, "value_layer", path)
    policy = take_network(actor, policy_names, activation or "elu", path)
    value = take_network(critic, value_names, activation or "elu", path)
    refuse_leftovers([*actor, *critic], path)
    check_pair(policy, value, sigma, path)
    names_there = (
        [f"policy/{name}" for name in policy_names],
        "policy/log_std_parameter",
        [f"value/{name}" for name in value_names],
    )
    adam, left_out = read_adam(saved.get("optimizer"), order, names_there, (policy, sigma, value))
    left_out.append("The library's adaptation of the learning rate to the divergence, if it was on.")
    value, scaled = _unscale(value, saved.get("value_preprocessor"), path)
    if scaled:
        adam = None
        left_out.append(
            "The value preprocessor is folded into the value network's last layer, without its clipping, and Adam starts "
            "anew."
        )
    assumed = [
        "The file holds no settings: the library's defaults, with 2048 pairs per iteration.",
        "Actions are not clipped, and log σ is clamped to [-20, 2]: the library's defaults.",
        "The last layer's output is the mean, with no tanh behind it.",
    ]
    if activation is None:
        assumed.append("The file names no activation: elu, as in the library's examples.")
    return ForeignAgent(
        path=path,
        written_by="skrl",
        policy=policy,
        value=value,
        sigma=sigma,
        observations=_observations(saved, path),
        clip_actions=False,
        settings=SETTINGS | last_rates(saved.get("optimizer")),
        adam=adam,
        assumed=tuple(assumed),
        left_out=tuple(left_out),
    )


def _layers(tensors: dict[str, Any], head: str, path: str) -> list[str]:
    """Names of a model's layers: a sequence under any name, and a head if the model was made from a description."""
    prefixes = {match[1] for name in tensors if (match := re.fullmatch(r"(.+)\.\d+\.weight", name))}
    if len(prefixes) != 1:
        refuse(path, f"a model has {len(prefixes)} sequences of layers, but must have one")
    return sequential(tensors, prefixes.pop(), path) + ([head] if f"{head}.weight" in tensors else [])


def _scaler(state: Any, path: str) -> tuple[np.ndarray, np.ndarray, float]:
    try:
        mean, var, count = (
            to_numpy(state[name], f"{path}: {name}").astype(np.float64).reshape(-1)
            for name in ("running_mean", "running_variance", "current_count")
        )
    except (KeyError, TypeError):
        refuse(path, "a preprocessor is no RunningStandardScaler")
    return mean, var, float(count[0])


def _observations(saved: dict[str, Any], path: str) -> SavedNormaliser | None:
    names = [name for name in ("observation_preprocessor", "state_preprocessor") if saved.get(name)]
    if not names:
        return None
    scalers = [_scaler(saved[name], path) for name in names]
    mean, var, count = scalers[0]
    for other in scalers[1:]:
        if not (np.array_equal(other[0], mean) and np.array_equal(other[1], var)):
            refuse(path, "policy and value network normalise observations differently, with clipping")
    return SavedNormaliser(mean, var, count, EPS, "std", CLIP)


def _unscale(value: Network, state: Any, path: str) -> tuple[Network, bool]:
    """The value network in units of the return: skrl's predicts it centred and scaled."""
    if not state:
        return value, False
    mean, var, _ = _scaler(state, path)
    return scale_output(value, float(mean[0]), float(np.sqrt(var[0]))), True
