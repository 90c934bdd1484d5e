"""dvc.yaml in the form that Snakemake needs: stages, the files between them, patterns with wildcards."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Any

from dvcsnake.errors import UserError


@dataclass(frozen=True)
class Output:
    """One file or folder that a stage makes.

    Attributes:
        path: relative to the repository root.
        is_shared: whether plain `dvc push` and `dvc pull` carry it (`cache: false` in dvc.yaml says no).
    """

    path: str
    is_shared: bool = True

    @property
    def is_linked(self) -> bool:
        """Whether workspace and cache share its bytes by hard links: large outputs that only stages read."""
        return not self.is_shared and is_folder(self.path)


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml after `matrix` and `foreach` have been expanded.

    Attributes:
        name: as DVC spells it, `sample@hopper-ppo-0-150`.
        cmd: the shell command.
        deps: files and folders it reads, sorted.
        params: keys of params.yaml it reads, sorted.
        outs: what it makes, sorted by path.
        meta: `meta` of dvc.yaml, such as the resources of its job; not part of the stage's key.
    """

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[Output, ...]
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def group(self) -> str:
        """The name in dvc.yaml before `matrix` or `foreach` is expanded."""
        return self.name.split("@")[0]

    def out(self, path: str) -> Output:
        """The output with this path."""
        return next(out for out in self.outs if out.path == path)


def parse_stage(name: str, resolved: Mapping[str, Any]) -> Stage:
    """A stage from its resolved definition in dvc.yaml."""
    params = resolved.get("params", [])
    if not all(isinstance(key, str) for key in params):
        raise UserError(
            f"dvc.yaml: stage {name} reads parameters of another file, but all must be in params.yaml"
        )
    return Stage(
        name,
        resolved["cmd"],
        tuple(sorted(resolved.get("deps", []))),
        tuple(sorted(set(params))),
        tuple(sorted(_outs(resolved), key=lambda out: out.path)),
        resolved.get("meta") or {},
    )


class Pipeline:
    """All stages, and the stage that makes each output.

    Args:
        definitions: dvc.yaml's `stages` as they are written.
        resolved: the same with matrices expanded and `${...}` filled in, by stage name.
    """

    def __init__(self, definitions: Mapping[str, Any], resolved: Mapping[str, Any]):
        self.definitions = definitions
        self.stages = {name: parse_stage(name, data) for name, data in resolved.items()}
        for stage in self.stages.values():
            written = _command(definitions.get(stage.group, {}))
            if written is not None and stage.cmd.count("\n") != written.count("\n"):
                raise UserError(
                    f"dvc.yaml: the command of stage {stage.name} has a line break that comes from a parameter, "
                    "so the shell would run its rest as a command of its own"
                )
        self.maker = {out.path: stage.name for stage in self.stages.values() for out in stage.outs}

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        below = defaultdict(list)
        for path in sorted(self.maker):
            parent = path
            while parent := os.path.dirname(parent):
                below[parent].append(path)
        return below

    def made_of(self, path: str) -> list[str]:
        """The outputs that a dependency consists of: itself, or all that are made below it; none for a source."""
        return [path] if path in self.maker else self._below.get(path, [])

    def upstream(self, stage: Stage) -> list[str]:
        """Names of the stages whose outputs a stage reads."""
        return sorted({self.maker[out] for dep in stage.deps for out in self.made_of(dep)})

    def lacking(self, is_source: Callable[[str], bool]) -> dict[str, str]:
        """Stages that cannot run because an input of theirs, or of a stage before them, is missing; with that input.

        Args:
            is_source: whether a path that no stage makes is there.
        """
        lacking: dict[str, str] = {}
        for name in self.order:
            stage = self.stages[name]
            missing = [dep for dep in stage.deps if not self.made_of(dep) and not is_source(dep)]
            missing += [lacking[above] for above in self.upstream(stage) if above in lacking]
            if missing:
                lacking[name] = missing[0]
        return lacking

    def is_literal(self, name: str, dep: str) -> bool:
        """Whether dvc.yaml has a stage's dependency as it stands, and not from parameters."""
        return dep in _template(self.definitions[self.stages[name].group]).get("deps", [])

    def may_be_made(self, path: str) -> bool:
        """Whether a path is an output, or a folder of outputs, of some stage with other parameters."""
        parts = path.split("/")
        patterns = [out.path.split("/") for group in self.groups for out in self.globs(group)]
        return any(
            len(pattern) >= len(parts) and all(map(fnmatchcase, parts, pattern)) for pattern in patterns
        )

    def nearest(self, path: str) -> str | None:
        """The output, or the folder of outputs, whose path is most like another path; None if none is like it."""
        return next(iter(get_close_matches(path, [*self.maker, *self._below], 1, 0.8)), None)

    @cached_property
    def order(self) -> list[str]:
        """Stage names, every stage after those it reads from."""
        done: dict[str, None] = {}
        for name in self.stages:
            todo = [name]
            while todo:
                current = todo[-1]
                missing = [up for up in self.upstream(self.stages[current]) if up not in done]
                if current in done or not missing:
                    done.setdefault(todo.pop())
                else:
                    todo += missing
        return list(done)

    def code_stage(self, folder: str) -> Stage:
        """The stage that writes the digests of code to a folder."""
        if folder not in self.maker:
            raise UserError(
                f"dvc.yaml must have a stage `code` with the output {folder} and `cmd: python -m dvcsnake code {folder}`"
            )
        return self.stages[self.maker[folder]]

    @cached_property
    def groups(self) -> list[str]:
        """The stage names of dvc.yaml before expansion."""
        return list(self.definitions)

    def description(self, group: str) -> str | None:
        """The description of a group's stages in dvc.yaml (`desc`)."""
        definition = self.definitions[group]
        return _template(definition).get("desc") or definition.get("desc")

    def members(self, group: str) -> list[Stage]:
        """The stages of one group."""
        return [stage for stage in self.stages.values() if stage.group == group]

    def patterns(self, group: str) -> list[str]:
        """The group's output paths with `${item.task}` as the wildcard `{task}`, the first one naming all wildcards."""
        template = _template(self.definitions[group])
        return [re.sub(r"\$\{(?:item\.)?(\w+)\}", r"{\1}", out.path) for out in _outs(template)]

    def globs(self, group: str) -> list[Output]:
        """The group's outputs with `*` in their paths for what parameters give."""
        template = _template(self.definitions[group])
        return [replace(out, path=re.sub(r"\$\{.*?\}", "*", out.path)) for out in _outs(template)]

    def wildcard_values(self, group: str) -> dict[str, list[str]]:
        """For each wildcard of the group's patterns, the values that occur."""
        values: dict[str, set[str]] = {
            name: set() for name in re.findall(r"\{(\w+)\}", self.patterns(group)[0])
        }
        for stage in self.members(group):
            for name, value in self.values_of(stage).items():
                values[name].add(value)
        return {name: sorted(found) for name, found in values.items()}

    def values_of(self, stage: Stage) -> dict[str, str]:
        """For each wildcard of its group's patterns, a stage's value."""
        pattern = self._regex(stage.group)
        return next(match.groupdict() for out in stage.outs if (match := pattern.fullmatch(out.path)))

    @cache  # noqa: B019  one pipeline lives as long as the process
    def _regex(self, group: str) -> re.Pattern:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.patterns(group)[0])))


def _template(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a definition that each of its stages has."""
    return definition.get("do", definition)


def _outs(template: Mapping[str, Any]) -> Iterator[Output]:
    for kind in ("outs", "metrics", "plots"):
        for item in template.get(kind, []):
            path, flags = (item, {}) if isinstance(item, str) else next(iter(item.items()))
            yield Output(path, flags.get("cache", True))


def _command(definition: Mapping[str, Any]) -> str | None:
    """A stage's command as it is written."""
    command = _template(definition).get("cmd")
    return "\n".join(command) if isinstance(command, list) else command


@cache
def is_folder(path: str) -> bool:
    """Whether an output is a folder. Snakemake must know beforehand: files have a suffix, folders none or `.zarr`."""
    return os.path.splitext(path)[1] in ("", ".zarr")
