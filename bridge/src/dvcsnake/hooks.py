"""The project's side of the bridge: its package, its default targets, its check of parameters, its prices.

A project says in its `pyproject.toml` either where its hooks are,

    [tool.dvcsnake]
    hooks = "weather.pipeline:HOOKS"

or, if it has no functions to hook in, the plain values themselves:

    [tool.dvcsnake]
    package = "weather"
    targets = ["figures/*"]
"""

import fnmatch
import importlib
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dvcsnake.errors import UserError
from dvcsnake.pipeline import Stage

CONFIG = "pyproject.toml"
TABLE = "dvcsnake"
PLAIN = ("package", "code", "targets", "captions", "reported")
"""Keys that stand for a field of `Hooks` when the table names no hooks."""


def _no_check() -> None:
    pass


def _no_seconds(stages: Sequence[Stage]) -> list[float | None]:
    return [None] * len(stages)


def _no_digests(params: Mapping[str, Any]) -> dict[str, Sequence[Path]]:
    return {}


def _stem_and_format(path: str) -> dict[str, str]:
    return {"figure": Path(path).stem, "format": Path(path).suffix[1:]}


@dataclass(frozen=True)
class Hooks:
    """How a project takes part.

    Attributes:
        package: The folder of the Python package whose modules are hashed, relative to the repository's root; None if
            no stage depends on digests of code.
        code: The folder for the digest files, which is the output of the stage `code` in dvc.yaml.
        targets: Patterns of the outputs that are made when no target is named; `*` matches any characters, `/` too, and
            `!` before a pattern leaves out what it matches.
        captions: A template of captions for `snakemake --report`, relative to the root; None for no captions.
        reported: Patterns of the targets that `snakemake --report` shows. Of a figure in several formats one is enough.
        labels: What the report's list says of an output, by its path: texts by the names of the list's columns. The list is
            sorted by the first column.
        check: Raises `UserError` if the parameters are wrong; it is called before anything runs.
        seconds: CPU time that each stage takes, None where it is not known [s].
        extra_digests: Digest files beyond one per module, from the parameters: for a file below `code`, the Python
            files whose import closures it covers, and other files. They may lie outside the package.
    """

    package: str | None = None
    code: str = "data/code"
    targets: Sequence[str] = ("figures/*",)
    captions: str | None = None
    reported: Sequence[str] = ("*.pdf", "*.png", "*.svg", "*.jpg", "*.html")
    labels: Callable[[str], Mapping[str, str]] = _stem_and_format
    check: Callable[[], None] = _no_check
    seconds: Callable[[Sequence[Stage]], Sequence[float | None]] = _no_seconds
    extra_digests: Callable[[Mapping[str, Any]], Mapping[str, Sequence[Path]]] = _no_digests

    def default_targets(self, paths: Iterable[str]) -> list[str]:
        """The outputs among `paths` that are made when no target is named."""
        return sorted(path for path in paths if self.is_target(path))

    def is_target(self, path: str) -> bool:
        """Whether an output is made when no target is named."""
        left_out = [pattern[1:] for pattern in self.targets if pattern.startswith("!")]
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.targets) and not any(
            fnmatch.fnmatchcase(path, pattern) for pattern in left_out
        )

    def is_reported(self, path: str) -> bool:
        """Whether `snakemake --report` shows an output."""
        return self.is_target(path) and any(fnmatch.fnmatchcase(path, pattern) for pattern in self.reported)


def settings(root: str | Path = ".") -> dict[str, Any] | None:
    """The table of a project's `pyproject.toml` that is for the bridge, None if there is none.

    Raises:
        UserError: The file is not valid TOML.
    """
    try:
        return tomllib.loads(Path(root, CONFIG).read_text(encoding="utf-8")).get("tool", {}).get(TABLE)
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{CONFIG}: not valid TOML, {error}") from None


def _is_project(folder: Path) -> bool:
    try:
        return settings(folder) is not None
    except UserError:
        return False


def load_hooks(root: str | Path = ".") -> Hooks:
    """Read the hooks that a project's `pyproject.toml` names or spells out.

    Raises:
        UserError: There is no such table, it has an unknown key, or what it names is not there or no `Hooks`.
    """
    table = settings(root)
    if table is None:
        if project := next((folder for folder in Path(root).resolve().parents if _is_project(folder)), None):
            raise UserError(f"this is a folder of the project {project}: run it from there")
        raise UserError(
            f'{CONFIG} must have a table [tool.{TABLE}] with `hooks = "MODULE:NAME"` or `package`'
        )
    if "hooks" not in table:
        if unknown := sorted(table.keys() - set(PLAIN)):
            raise UserError(
                f"{CONFIG}: [tool.{TABLE}] has the key {unknown[0]}, but its keys are hooks, {', '.join(PLAIN)}"
            )
        return Hooks(**table)
    if len(table) > 1:
        other = min(table.keys() - {"hooks"})
        raise UserError(
            f"{CONFIG}: [tool.{TABLE}] has `hooks` and {other}, but the hooks say {other} themselves"
        )
    return _named(table["hooks"], Path(root).resolve())


def _named(reference: Any, root: Path) -> Hooks:
    where = f"{CONFIG}: [tool.{TABLE}] hooks is {reference!r}"
    module, _, name = str(reference).partition(":")
    if not (module and name):
        raise UserError(f"{where}, but must be MODULE:NAME")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        hooks = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise UserError(f"{where}, but there is no module {error.name}") from None
    if not isinstance(hooks, Hooks):
        names = ", ".join(field.name for field in fields(Hooks))
        raise UserError(f"{where}, but that is no dvcsnake.hooks.Hooks({names})")
    return hooks


def price(hooks: Hooks, stages: Iterable[Stage]) -> str:
    """The sum of what some stages take, as the end of a sentence that names those for which it is not known.

    Empty where the project has no prices at all.
    """
    stages = list(stages)
    if not stages or hooks.seconds is _no_seconds:
        return ""
    times = list(hooks.seconds(stages))
    unknown = Counter(stage.group for stage, time in zip(stages, times, strict=True) if time is None)
    known = [time for time in times if time is not None]
    if not known:
        return ", for none of which there is a rate yet"
    without = ", ".join(f"{count} {group}" for group, count in unknown.items())
    end = f" without {without}, for which there is no rate yet" if unknown else ""
    return f", at most about {_hours(sum(known))}{end}"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    if hours >= 0.05:
        return f"{hours:.1f} core-hours"
    minutes = max(1, round(60 * hours))
    return f"{minutes} core-minute{'s' * (minutes > 1)}"
