"""Checkpoints of adopted agents: this module alone maps their parts to pgprim's names."""

from dataclasses import MISSING, fields
from typing import Any

import jsonschema
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.adopt.foreign import ForeignAgent, SavedNormaliser
from pgprim.adopt.networks import refuse
from pgprim.rl.algorithms import algorithm, make_settings, settings_schema
from pgprim.types.checkpoint import AdamState, AgentState, Checkpoint, Moments
from pgprim.types.environment import Environment


def make_checkpoint(
    agent: ForeignAgent,
    *,
    task: str,
    environment: Environment,
    name: str,
    settings: dict[str, Any] | None = None,
) -> Checkpoint:
    """The checkpoint of an agent.

    An agent whose normalisers are not saved gets ones that have seen nothing; `adopted.estimate_normalisers` fills
    them.

    Args:
        agent: What its file says.
        task: Name of the task in the parameter file.
        environment: The task's environment.
        name: The agent's name, which takes the place of an algorithm's.
        settings: Settings in place of the file's.

    Raises:
        UserError: A setting is unknown or contradicts another.
    """
    values = settings_of(agent, settings or {})
    make_settings(values, agent.path)
    for key, schema in settings_schema(values["algorithm"])["properties"].items():
        if key in values and not jsonschema.Draft202012Validator(schema).is_valid(values[key]):
            refuse(agent.path, f"{key} is {values[key]!r}, but must be {schema['description']}")
    theta = _flat([*(part for layer in agent.policy.layers for part in layer), agent.sigma])
    phi = _flat([part for layer in agent.value.layers for part in layer])
    num_policy = 2 * len(agent.policy.layers) + 1
    state = AgentState(
        theta,
        phi,
        _adam(agent, theta, slice(None, num_policy)),
        _adam(agent, phi, slice(num_policy, None)),
        _moments(agent.observations, agent.num_obs),
        _moments(agent.rewards, 1),
    )
    return Checkpoint(
        task=task,
        environment=environment,
        algo=name,
        seed=0,
        iteration=agent.iteration or 0,
        num_obs=agent.num_obs,
        num_act=agent.num_act,
        settings=values,
        state=state,
    )


def settings_of(agent: ForeignAgent, given: dict[str, Any]) -> dict[str, Any]:
    """All settings of an agent as a checkpoint holds them: without those that are at their defaults.

    Args:
        agent: What its file says.
        given: Settings in place of the file's.

    Raises:
        UserError: A given setting cannot be set.
    """
    observations, rewards = (
        ASSUMED if one == "not saved" else one for one in (agent.observations, agent.rewards)
    )
    own = {
        "hidden": agent.policy.hidden,
        "value_hidden": agent.value.hidden if agent.value.hidden != agent.policy.hidden else None,
        "policy_activation": agent.policy.activation,
        "value_activation": agent.value.activation,
        "sigma": agent.sigma_kind,
        "log_sigma": 0.0,
        "obs_norm": observations is not None,
        "obs_clip": observations.clip if observations else None,
        "obs_eps": observations.eps if observations else 0.0,
        "obs_eps_of": observations.eps_of if observations else "var",
        "rew_norm": rewards is not None,
        "rew_clip": rewards.clip if rewards else None,
        "rew_eps": rewards.eps if rewards else 0.0,
    }
    if fixed := sorted(set(own) & set(given)):
        refuse(agent.path, f"{fixed[0]} cannot be set: it is part of what the agent's files hold")
    values = agent.settings | own | given
    if values["algorithm"] != agent.settings["algorithm"]:
        refuse(
            agent.path,
            f"is an agent of {agent.settings['algorithm']}, so algorithm cannot be {values['algorithm']!r}",
        )
    kind = algorithm(values["algorithm"]).settings
    defaults = {each.name: each.default for each in fields(kind) if each.default is not MISSING}
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}


ASSUMED = SavedNormaliser(np.zeros(1), np.ones(1), 0.0, 1e-8, "var", 10.0)
"""Conventions of a normaliser that is not saved: those of Gymnasium's wrappers, as CleanRL's script uses them."""


def _flat(arrays: list[np.ndarray]) -> Float[Tensor, "1 param"]:
    return torch.from_numpy(np.concatenate([array.reshape(-1) for array in arrays]).astype(np.float32))[None]


def _adam(agent: ForeignAgent, params: Float[Tensor, "1 param"], part: slice) -> AdamState:
    """Adam's state of one network; zeros where it has none."""
    if agent.adam is None or any(array is None for array in agent.adam.m[part]):
        return AdamState(torch.zeros_like(params), torch.zeros_like(params), np.zeros(1, np.int64))
    count = np.array([agent.adam.count], np.int64)
    return AdamState(_flat(list(agent.adam.m[part])), _flat(list(agent.adam.v[part])), count)


def _moments(normaliser: SavedNormaliser | str | None, dim: int) -> Moments:
    """Moments with the normaliser's mean and variance, which pgprim divides by count − 1, the libraries by count."""
    if not isinstance(normaliser, SavedNormaliser):
        return Moments(0, np.zeros((1, dim)), np.zeros((1, dim)))
    count = max(2, round(normaliser.count))
    return Moments(count, normaliser.mean[None].copy(), normaliser.var[None] * (count - 1))
