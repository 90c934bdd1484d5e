"""Reasons why stages must run: the changes since the record in dvc.lock, with old and new values."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from dvcsnake import versions_of_code
from dvcsnake.dvc_api import Entry
from dvcsnake.pipeline import Stage
from dvcsnake.prelude import Plan
from dvcsnake.project import Project
from dvcsnake.run_cache import param_value

MOST = 4
"""Largest number of reasons per stage."""


def lines(project: Project, plan: Plan) -> list[str]:
    """One line for each group of stages that must run for the same reasons."""
    groups: dict[tuple[str, str], int] = defaultdict(int)
    for name in plan.survey.stages:
        if name in plan.todo:
            groups[project.pipeline.stages[name].group, reason(project, plan, name)] += 1
    return [f"dvc: {count} {group}, because {why}" for (group, why), count in groups.items()]


def stage_lines(project: Project, plan: Plan) -> list[str]:
    """One line for each stage that must run, with the reason, and for each restored output, with its source."""
    must = [
        f"{name} must run: {reason(project, plan, name)}" for name in plan.survey.stages if name in plan.todo
    ]
    return must + [f"{path} comes from {origin}" for path, origin in plan.brought.items()]


def reason(project: Project, plan: Plan, name: str) -> str:
    """Why a stage must run, in a few words."""
    stage, judged, locked = (
        project.pipeline.stages[name],
        plan.survey.stages[name],
        plan.survey.locked.get(name),
    )
    if judged.entry:
        return "neither the cache nor a remote has its outputs"
    changes = [
        *_commands(stage, locked),
        *_params(project, stage, locked),
        *_inputs(project, plan, stage, locked),
    ]
    if locked is None:
        changes = ["there is no record of it", *(change for change in changes if change.endswith(" first"))]
    if not changes:
        return "no record has all of its outputs"
    more = [f"{len(changes) - MOST} more changes"] if len(changes) > MOST else []
    return "; ".join([*changes[:MOST], *more])


def _commands(stage: Stage, locked: Entry | None) -> Iterator[str]:
    if not locked or locked["cmd"] == stage.cmd:
        return
    old, new = str(locked["cmd"]).split(), str(stage.cmd).split()
    shared = next(
        (k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    yield f"command: … {_short(' '.join(old[shared:]))} → … {_short(' '.join(new[shared:]))}"


def _params(project: Project, stage: Stage, locked: Entry | None) -> Iterator[str]:
    params = project.repository.params()
    before = (locked or {}).get("params", {}).get("params.yaml", {})
    if locked is None:
        return
    for key in stage.params:
        if key not in before:
            yield f"{key}: not read before"
        else:
            yield from _differences(key, before[key], param_value(params, key, stage))
    for key in before.keys() - set(stage.params):
        yield f"{key}: not read any more"


def _differences(key: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            if name not in new:
                yield f"{key}.{name}: {_show(old[name])} → gone"
            elif name not in old:
                yield f"{key}.{name}: new, {_show(new[name])}"
            else:
                yield from _differences(f"{key}.{name}", old[name], new[name])
    elif old != new:
        yield f"{key}: {_show(old)} → {_show(new)}"


def _inputs(project: Project, plan: Plan, stage: Stage, locked: Entry | None) -> Iterator[str]:
    pipeline, code = project.pipeline, f"{project.repository.hooks.code}/"
    before = {dep["path"]: dep["md5"] for dep in (locked or {}).get("deps", [])}
    first = {pipeline.stages[pipeline.maker[path]].group for dep in stage.deps for path in pipeline.made_of(dep)
             if pipeline.maker[path] in plan.todo}  # fmt: skip
    asked = plan.survey.stages[stage.name].asked or {}
    now = {dep["path"]: dep["md5"] for dep in asked.get("deps", [])}
    for dep in stage.deps:
        if dep not in now and not pipeline.made_of(dep):
            now[dep] = (project.repository.hashes.of(dep) or {}).get("md5")
        if dep not in before:
            if locked:
                yield f"input {dep}: not read before"
        elif dep in now and now[dep] != before[dep]:
            yield _module(project, dep, before[dep]) if dep.startswith(code) else f"input {dep} changed"
    for dep in sorted(before.keys() - set(stage.deps)):
        yield f"input {dep}: not read any more"
    if first:
        yield f"{', '.join(sorted(first))} run{'s' * (len(first) == 1)} first"


def _module(project: Project, dep: str, before: str) -> str:
    """Names of the modules and functions that changed since the recorded code digest, if that digest is cached."""
    old = project.repository.objects.text(before)
    if old is None or not (project.root / dep).exists():
        return f"code: {dep}"
    old_lines, new_lines = (dict(reversed(line.split("  ", 1)) for line in text.splitlines())
                            for text in (old, (project.root / dep).read_text()))  # fmt: skip
    hooks = project.repository.hooks
    changed = []
    for name in new_lines:
        if name in old_lines and old_lines[name] != new_lines[name]:
            names = versions_of_code.changes(project.root, hooks.package or "", name, old_lines[name])
            changed.append(f"{name} ({_short(', '.join(names))})" if names else name)
    changed += [f"{name} (new)" for name in new_lines.keys() - old_lines.keys()]
    changed += [f"{name} (gone)" for name in old_lines.keys() - new_lines.keys()]
    shown = sorted(changed)[:MOST]
    more = [f"{len(changed) - MOST} more modules"] if len(changed) > MOST else []
    return f"code: {', '.join([*shown, *more])}"


def _show(value: Any) -> str:
    return _short(json.dumps(value, default=str, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
