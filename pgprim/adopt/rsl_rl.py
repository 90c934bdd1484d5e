"""Agents of rsl_rl (Isaac Lab): the runner's `model_*.pt`, with one state dict (`model_state_dict`) or two."""

from typing import Any

import numpy as np

from pgprim.adopt.foreign import ForeignAgent, SavedNormaliser
from pgprim.adopt.networks import (
    check_pair,
    fold_inputs,
    last_rates,
    read_adam,
    refuse,
    refuse_leftovers,
    sequential,
    take_network,
    to_numpy,
)

NORMALISER_EPS = 1e-2
"""rsl_rl's EmpiricalNormalization adds it to the deviation."""

_SIGMA = {
    "std": "linear", "log_std": "log", "distribution.std_param": "linear", "distribution.log_std_param": "log",
}  # fmt: skip
"""Names of the deviation's parameters, and whether they are σ or log σ."""

SETTINGS = {
    "algorithm": "ppo",
    "pairs": 2048,
    "gamma": 0.99,
    "lam": 0.95,
    "minibatches": 4,
    "anneal": False,
    "anneal_over": 1,
    "adam_eps": 1e-8,
    "policy_epochs": 5,
    "value_epochs": 5,
    "eps": 0.2,
    "value_clip": 0.2,
    "value_coef": 1.0,
    "entropy_coef": 0.01,
    "max_grad_norm": 1.0,
    "one_optimiser": True,
    "advantage_norm": "batch",
    "init": "xavier",
    "semantics": "exact",
}
"""The library's defaults, apart from the number of pairs, which is the study's."""


def is_checkpoint(saved: Any) -> bool:
    """Whether a file of `torch.save` holds such an agent."""
    return isinstance(saved, dict) and ("model_state_dict" in saved or "actor_state_dict" in saved)


def read(saved: dict[str, Any], path: str, activation: str | None) -> ForeignAgent:
    """An agent from a runner's checkpoint, which holds normalisers and optimiser but no settings.

    Args:
        saved: The checkpoint.
        path: Its file, for messages.
        activation: Of both networks; the library's default, elu, if not given.

    Raises:
        UserError: It cannot be represented.
    """
    actor, critic = _state_dicts(saved, path)
    sigma_name = next((name for name in _SIGMA if name in actor), None)
    trained = [
        f"{whose}/{name}"
        for whose, state in (("policy", actor), ("value", critic))
        for name in state
        if "normalizer" not in name
    ]
    observations = _normaliser(actor, path)
    own = _normaliser(critic, path)
    names = {
        whose: sequential(state, "mlp" if any(name.startswith("mlp.") for name in state) else former, path)
        for whose, state, former in (("policy", actor, "actor"), ("value", critic, "critic"))
    }
    if sigma_name is None:
        refuse_leftovers(
            [name for name in (*actor, *critic) if not name.startswith(("mlp.", "actor.", "critic."))], path
        )
        refuse(
            path,
            "has no std or log_std, but the policy must be a Gaussian whose σ is the same in every state",
        )
    sigma = to_numpy(actor.pop(sigma_name), f"{path}: {sigma_name}").astype(np.float32)
    if _SIGMA[sigma_name] == "linear" and not (sigma > 0).all():
        refuse(path, f"{sigma_name} holds a deviation that is not above 0")
    policy = take_network(actor, names["policy"], activation or "elu", path)
    value = take_network(critic, names["value"], activation or "elu", path)
    refuse_leftovers([*actor, *critic], path)
    check_pair(policy, value, sigma, path)
    names_there = (
        [f"policy/{name}" for name in names["policy"]],
        f"policy/{sigma_name}",
        [f"value/{name}" for name in names["value"]],
    )
    adam, left_out = read_adam(
        saved.get("optimizer_state_dict"), trained, names_there, (policy, sigma, value)
    )
    if not _same(observations, own):
        value, adam = fold_inputs(value, own, observations), None
        left_out.append(
            "The value network's own observation normaliser is folded into its first layer, and Adam starts anew."
        )
    assumed = [
        "The file holds no settings: the library's defaults, with 2048 pairs per iteration.",
        "The learning rate is that of the last update, without the library's adaptation to the divergence.",
        "Actions are not clipped before the task sees them.",
    ]
    if activation is None:
        assumed.append("The file names no activation: elu, the library's default.")
    return ForeignAgent(
        path=path,
        written_by="rsl_rl",
        policy=policy,
        value=value,
        sigma=sigma,
        sigma_kind=_SIGMA[sigma_name],
        observations=observations,
        clip_actions=False,
        settings=SETTINGS | last_rates(saved.get("optimizer_state_dict")),
        adam=adam,
        iteration=int(saved["iter"]) if "iter" in saved else None,
        assumed=tuple(assumed),
        left_out=tuple(left_out),
    )


def _state_dicts(saved: dict[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if "actor_state_dict" in saved:
        parts = [saved["actor_state_dict"], saved.get("critic_state_dict")]
    else:
        whole = saved["model_state_dict"]
        if not isinstance(whole, dict):
            refuse(path, "its model_state_dict is no state dict")
        critic = {name: tensor for name, tensor in whole.items() if name.startswith("critic")}
        parts = [{name: tensor for name, tensor in whole.items() if name not in critic}, critic]
        for part, name in zip(parts, ("obs_norm_state_dict", "privileged_obs_norm_state_dict"), strict=True):
            part |= {f"obs_normalizer.{key}": value for key, value in (saved.get(name) or {}).items()}
    if not all(isinstance(part, dict) for part in parts):
        refuse(path, "has no state dict of a policy and a value network")
    return dict(parts[0]), dict(parts[1])


def _normaliser(tensors: dict[str, Any], path: str) -> SavedNormaliser | None:
    """The statistics of an EmpiricalNormalization, taken out of the state dict."""
    parts = {
        name.rpartition(".")[2]: tensors.pop(name)
        for name in list(tensors)
        if "normalizer" in name.split(".")[0]
    }
    if not parts:
        return None
    if not {"_mean", "_var", "count"} <= set(parts):
        refuse(path, "its observation normaliser lacks _mean, _var or count")
    mean, var, count = (to_numpy(parts[name], f"{path}: {name}") for name in ("_mean", "_var", "count"))
    return SavedNormaliser(
        mean.reshape(-1).astype(np.float64),
        var.reshape(-1).astype(np.float64),
        count.item(),
        NORMALISER_EPS,
        "std",
        None,
    )


def _same(one: SavedNormaliser | None, other: SavedNormaliser | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one.mean, other.mean) and np.array_equal(one.var, other.var)
