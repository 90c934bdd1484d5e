"""Agents of CleanRL's `ppo_continuous_action.py`: the agent's state dict, by `torch.save`."""

import re
from typing import Any

import numpy as np

from pgprim.adopt.foreign import ForeignAgent
from pgprim.adopt.networks import check_pair, refuse, refuse_leftovers, sequential, take_network, to_numpy

SETTINGS = {
    "algorithm": "ppo",
    "pairs": 2048,
    "envs": 1,
    "gamma": 0.99,
    "lam": 0.95,
    "minibatches": 32,
    "policy_lr": 3e-4,
    "value_lr": 3e-4,
    "anneal": True,
    "anneal_over": 488,
    "adam_eps": 1e-5,
    "policy_epochs": 10,
    "value_epochs": 10,
    "eps": 0.2,
    "value_clip": 0.2,
    "value_coef": 0.25,  # vf_coef is 0.5, of half the squared error
    "entropy_coef": 0.0,
    "max_grad_norm": 0.5,
    "one_optimiser": True,
    "init": "orthogonal",
    "semantics": "exact",
}
"""The script's defaults, for 10⁶ pairs."""


def is_state_dict(saved: Any) -> bool:
    """Whether a file of `torch.save` holds such an agent."""
    return isinstance(saved, dict) and any(
        str(name).startswith(("actor_mean.", "actor.", "critic.")) for name in saved
    )


def read(saved: dict[str, Any], path: str, activation: str | None) -> ForeignAgent:
    """An agent from its state dict, which holds neither normalisers nor settings.

    Args:
        saved: Names and tensors.
        path: Its file, for messages.
        activation: Of both networks; the script's tanh if not given.

    Raises:
        UserError: It cannot be represented.
    """
    tensors = dict(saved)
    actor = "actor_mean" if any(name.startswith("actor_mean.") for name in tensors) else "actor"
    names = {prefix: sequential(tensors, prefix, path) for prefix in (actor, "critic")}
    if "actor_logstd" not in tensors:
        refuse_leftovers([name for name in tensors if not re.match(r"actor|critic", name)], path)
        refuse(path, "has no actor_logstd, but actions must be continuous with a Gaussian policy")
    sigma = to_numpy(tensors.pop("actor_logstd"), f"{path}: actor_logstd").astype(np.float32).reshape(-1)
    policy = take_network(tensors, names[actor], activation or "tanh", path)
    value = take_network(tensors, names["critic"], activation or "tanh", path)
    refuse_leftovers(list(tensors), path)
    check_pair(policy, value, sigma, path)
    assumed = ["The settings are the defaults of CleanRL's ppo_continuous_action.py."]
    if activation is None:
        assumed.append("The file names no activation: tanh, as in the script.")
    return ForeignAgent(
        path=path,
        written_by="CleanRL",
        policy=policy,
        value=value,
        sigma=sigma,
        observations="not saved",
        rewards="not saved",
        clip_actions=True,
        settings=dict(SETTINGS),
        assumed=tuple(assumed),
        left_out=(
            "The optimiser is not saved: Adam starts anew.",
            "CleanRL takes a time limit for the end of the task; pgprim's exact semantics bootstrap there.",
        ),
    )
