"""Algorithms, one module or folder each, and the record that describes each to the rest of pgprim.

`agents.NAME.all.algorithm` in params.yaml names the module. The module holds `ALGORITHM`, its settings, and, there or
in a module that is imported when first needed, two functions:

* `update(state, batch, settings, iteration, rngs) -> AgentState`: the agents after the algorithm's update from one
  batch, with one random generator per agent. An algorithm that also trains the value network returns a new φ; if φ is
  the same array, `rl.value.fit_value` then fits the value network.
* `objective(rho, adv, settings) -> [agent]`: the objective that the algorithm maximises, from the ratios ρ and
  normalised advantages.

This module and the records do not import torch, so that a parameter file is checked without it.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from pgprim.types.agent import Settings, schema_of
from pgprim.types.errors import UserError


@dataclass(frozen=True)
class Algorithm:
    """The record of one algorithm.

    Attributes:
        settings: Its settings.
        functions: Name of the module that holds `update` and `objective`.
    """

    settings: type[Settings]
    functions: str

    @property
    def update(self) -> Callable:
        """The update; see the module's docstring."""
        return importlib.import_module(self.functions).update

    @property
    def objective(self) -> Callable:
        """The objective; see the module's docstring."""
        return importlib.import_module(self.functions).objective


def algorithm_names() -> list[str]:
    """Names of all algorithms."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def algorithm(name: str) -> Algorithm:
    """The record of an algorithm.

    Raises:
        UserError: There is no module of this name.
    """
    if name not in algorithm_names():
        raise UserError(f"algorithm is {name!r}, but must be one of {', '.join(algorithm_names())}")
    return importlib.import_module(f"{__name__}.{name}").ALGORITHM


def settings_schema(name: str) -> dict[str, Any]:
    """JSON schema of all settings of one algorithm, including the common ones."""
    schema = schema_of(algorithm(name).settings)
    names = algorithm_names()
    schema["properties"]["algorithm"] |= {"enum": names, "description": f"one of {', '.join(names)}"}
    return schema


def common_schema() -> dict[str, Any]:
    """JSON schema of the settings that every algorithm has, which the section `train` may hold."""
    schema = schema_of(Settings)
    del schema["properties"]["algorithm"]
    return schema | {"required": [name for name in schema["required"] if name != "algorithm"]}


def make_settings(values: dict[str, Any], source: str = "params.yaml") -> Settings:
    """Settings from a plain dict, such as that of a checkpoint; absent settings have their defaults.

    Args:
        values: Settings by name, `algorithm` among them.
        source: The file they are from, for the message.

    Raises:
        UserError: A setting is unknown, is missing, or contradicts another.
    """
    if "algorithm" not in values:
        raise UserError(
            f"{source}: the agent's settings lack algorithm, one of {', '.join(algorithm_names())}"
        )
    try:
        kind = algorithm(values["algorithm"]).settings
        schema = _schema_of(kind)
        if unknown := sorted(set(values) - set(schema["properties"])):
            raise UserError(
                f"{unknown[0]} is not a setting of {values['algorithm']}; "
                f"known: {', '.join(sorted(schema['properties']))}"
            )
        if missing := [name for name in schema["required"] if name not in values]:
            raise UserError(f"{missing[0]} is missing in the settings of a {values['algorithm']} agent")
        return kind(
            **{name: _as_declared(value, schema["properties"][name]) for name, value in values.items()}
        )
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


_schema_of = cache(schema_of)


def _as_declared(value: Any, schema: dict[str, Any]) -> Any:
    """A list as a tuple, and a whole number that stands for any number as one."""
    if isinstance(value, list):
        return tuple(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and "number" in schema.get("type", "") else value
