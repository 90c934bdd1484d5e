"""Provenance of an artifact; independent of the code and of the machine (of one kind)."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pgprim.kernels import kernels
from pgprim.store.files import digest, unusable
from pgprim.types.environment import Environment

KEYS = ("params", "environment", "semantics", "kernels", "versions")
"""Attributes that say where a dataset comes from, beside the digests `*_sha256` of what it was made from."""


def versions() -> dict[str, str]:
    """Versions that can change numbers: of the simulator and of the array libraries."""
    numpy, torch = (".".join(version(name).split("+")[0].split(".")[:2]) for name in ("numpy", "torch"))
    return {"mujoco": version("mujoco"), "numpy": numpy, "torch": torch}


def provenance(
    params: Mapping[str, Any],
    inputs: Mapping[str, str | Path] | None = None,
    agent: Any = None,
    environment: Environment | None = None,
) -> dict[str, str]:
    """Inputs, parameters and kernels behind an artifact, as attributes.

    Args:
        params: The parameters that were used, as they are nested in the parameter file.
        inputs: Files and stores that were read, by name.
        agent: The checkpoint, whose environment and semantics are recorded; None without one.
        environment: The environment, if there is no checkpoint.
    """
    environment = environment if agent is None else agent.environment
    whose = {} if environment is None else {"environment": json.dumps(environment.as_dict(), sort_keys=True)}
    whose |= {} if agent is None else {"semantics": agent.settings["semantics"]}
    return {
        "params": json.dumps(params, sort_keys=True),
        **{f"{name}_sha256": digest(path) for name, path in (inputs or {}).items()},
        **whose,
        "kernels": kernels(),
        "versions": json.dumps(versions(), sort_keys=True),
    }


def union(parts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Combined provenance of many artifacts.

    Args:
        parts: Attributes of each; other attributes are left out.

    Returns:
        `params` nested as in the parameter file, with a list where parts differ; a single digest of all digests; all values of other attributes.
    """
    values: dict[str, set[str]] = {}
    for part in parts:
        for name, value in part.items():
            if name in KEYS or name.endswith("_sha256"):
                values.setdefault(name, set()).add(str(value))
    return {name: _join(name, sorted(several)) for name, several in sorted(values.items())}


def require_same_kernels(path: str | Path, kind: str, attrs: Mapping[str, Any]) -> None:
    """Refuse an artifact that another kind of processor made.

    A process that loaded the libraries before pgprim, such as a notebook, may read every artifact: only commands
    compute, and they refuse to run in such a process.

    Raises:
        UserError: Its kernels differ from this processor's.
    """
    ours = kernels()
    if ours != "unknown" and (theirs := attrs.get("kernels", ours)) != ours:
        raise unusable(path, kind, f"a processor with kernels {theirs} made it, and this one has {ours}")


def _join(name: str, several: list[str]) -> str:
    if name == "params":
        return json.dumps(_merge([json.loads(one) for one in several]), sort_keys=True)
    if len(several) == 1:
        return several[0]
    if name.endswith("_sha256"):
        return hashlib.sha256("\n".join(several).encode()).hexdigest()
    return ", ".join(several)


def _merge(values: list[Any]) -> Any:
    if all(isinstance(value, dict) for value in values):
        names = sorted({name for value in values for name in value})
        return {name: _merge([value[name] for value in values if name in value]) for name in names}
    distinct = sorted({json.dumps(value, sort_keys=True) for value in values})
    return json.loads(distinct[0]) if len(distinct) == 1 else [json.loads(value) for value in distinct]


class Used(Mapping):
    """The parameter file; records which of its sections were read.

    Attributes:
        used: Those sections.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Start without used sections."""
        self._params = params
        self.used: dict[str, Any] = {}

    def __getitem__(self, section: str) -> Any:
        self.used[section] = self._params[section]
        return self.used[section]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)
