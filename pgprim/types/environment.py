"""Specification of a task's environment, as in `env` of `params.yaml` and in checkpoints."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pgprim.types.errors import UserError


@dataclass(frozen=True)
class Environment:
    """A Gymnasium environment by name; equal specifications have equal hashes.

    Attributes:
        id: Gymnasium's id; `module:Name-v0` imports `module` first.
        kwargs: Keyword arguments of `gymnasium.make`.
        wrappers: Wrappers from the inside out, each `module:Class` or a mapping of `class` and its keyword arguments.
        clip_actions: Whether actions are clipped to the action space before the environment sees them. log π and the
            stored action are always those of the unclipped action.
    """

    id: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[str | Mapping[str, Any], ...] = ()
    clip_actions: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Its block of `params.yaml`, without values at their defaults."""
        block = {"id": self.id}
        if self.kwargs:
            block["kwargs"] = dict(self.kwargs)
        if self.wrappers:
            block["wrappers"] = [one if isinstance(one, str) else dict(one) for one in self.wrappers]
        if not self.clip_actions:
            block["clip_actions"] = False
        return block

    @staticmethod
    def from_dict(block: Mapping[str, Any]) -> "Environment":
        """The inverse of `as_dict`.

        Raises:
            UserError: A key is unknown, or the id is missing.
        """
        names = ("id", "kwargs", "wrappers", "clip_actions")
        if unknown := sorted(set(block) - set(names)):
            raise UserError(f"env: unknown key {unknown[0]!r}; an environment has {', '.join(names)}")
        if not isinstance(block.get("id"), str):
            raise UserError("env: 'id' is missing; it is a Gymnasium id such as Hopper-v5")
        return Environment(**dict(block) | {"wrappers": tuple(block.get("wrappers", ()))})

    def __hash__(self) -> int:
        return hash(json.dumps(self.as_dict(), sort_keys=True, default=str))
