"""Repair workspace, cache and dvc.lock by the verdicts: each step takes a survey and returns the next one."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dvcsnake import placeholders, run_cache
from dvcsnake.dvc_api import Entry, remove
from dvcsnake.errors import UserError
from dvcsnake.pipeline import Stage
from dvcsnake.project import CACHE, SCHEDULED, STAMP, Project, read_names
from dvcsnake.verdicts import Judged, Survey


def clear_placeholders(project: Project) -> None:
    """Remove all empty folders that stood for outputs in the run before."""
    for stage in project.pipeline.stages.values():
        for out in stage.outs:
            if out.is_linked:
                placeholders.clear(project.root, out.path)


def sweep(project: Project) -> None:
    """Remove everything from folders that stages read, except the pipeline's outputs.

    A file that dvc.yaml no longer lists, such as another seed's, would be hashed and read with the rest. It is
    removed if DVC can restore it; otherwise the run is refused.

    Raises:
        UserError: Such a folder has a file that DVC cannot restore.
    """
    repository, pipeline, root = project.repository, project.pipeline, project.root
    for folder in sorted({dep for stage in pipeline.stages.values() for dep in stage.deps}):
        members = pipeline.made_of(folder)
        if not members or folder in pipeline.maker:
            continue
        listed = set(members)
        for place, folders, files in os.walk(root / folder):
            here = Path(place).relative_to(root)
            folders[:] = [name for name in folders if (here / name).as_posix() not in listed]
            for name in files:
                path = (here / name).as_posix()
                if path in listed or name == STAMP or repository.hashes.is_ignored(path):
                    continue
                if not repository.objects.can_bring_back(path):
                    raise UserError(
                        f"{path} is not an output of any stage in dvc.yaml, but lies in {folder}/, which stages "
                        "read as a whole: move it elsewhere"
                    )
                if not project.dry_run:
                    project.say(f"dvc: removing {path}, which no stage makes any more (the cache keeps it)")
                    (root / path).unlink()


def bring_in_line(project: Project, now: Survey) -> tuple[Survey, dict[str, str]]:
    """Restore outputs from the cache, save outputs that only the workspace has, write dvc.lock.

    Returns:
        The new survey, and the source of each restored output.
    """
    now, brought = mend(project, now)
    if not project.dry_run:
        _refill(project, now)
        _save_unsaved(project, now)
        now = write_lock(project, now)
    return now, brought


def mend(project: Project, now: Survey) -> tuple[Survey, dict[str, str]]:
    """Restore outputs that were altered, that a failed run removed, or whose record is new to dvc.lock."""
    scheduled = read_names(project.root, SCHEDULED)
    changed, brought = {}, {}
    for name, judged in now.stages.items():
        is_disturbed = judged.verdict == "behind" or judged.altered or name in scheduled
        if judged.entry and is_disturbed:
            changed[name], restored = _mend_stage(project, name, judged, now.locked.get(name))
            brought |= dict.fromkeys(restored, CACHE)
    return now.with_stages(changed), brought


def _mend_stage(
    project: Project, name: str, judged: Judged, locked: Entry | None
) -> tuple[Judged, list[str]]:
    stage, restored, absent = project.pipeline.stages[name], [], set(judged.absent)
    recorded = {out["path"]: out for out in (locked or {}).get("outs", [])}
    for path in sorted(judged.altered) + sorted(judged.absent):
        out = judged.recorded(path)
        if path in judged.altered and not project.dry_run:
            _keep_bytes(project, stage, path, recorded.get(path))
            if stage.out(path).is_linked:
                project.repository.objects.distrust(out)
            project.repository.objects.set_aside(path)
        if project.restore(out):
            restored.append(path)
            absent.discard(path)
        elif path in judged.altered:
            if not project.dry_run:
                project.say(f"dvc: {path} is not what {name} made, and is removed")
                remove(project.root / path)
            absent.add(path)
    verdict = (
        ("fresh" if judged.entry is locked else "behind") if judged.verdict == "altered" else judged.verdict
    )
    return replace(judged, verdict=verdict, absent=frozenset(absent), altered=frozenset()), restored


def _keep_bytes(project: Project, stage: Stage, path: str, locked: Mapping | None) -> None:
    """Store an output in the cache before it is replaced, if it is another run's result."""
    hashes, objects = project.repository.hashes, project.repository.objects
    if locked and run_cache.same(hashes.of(path), locked) and not objects.is_cached(locked):
        objects.store(path, stage.out(path).is_linked)


def _refill(project: Project, now: Survey) -> None:
    """Store outputs of the workspace that the cache has lost."""
    for name, judged in now.stages.items():
        stage = project.pipeline.stages[name]
        for out in judged.entry["outs"] if judged.entry else ():
            if out["path"] not in judged.absent and not project.repository.objects.has(out["md5"]):
                project.repository.objects.store(out["path"], stage.out(out["path"]).is_linked)


def _save_unsaved(project: Project, now: Survey) -> None:
    """Store outputs that only the workspace has, since Snakemake deletes a job's outputs before it starts."""
    for name, judged in now.stages.items():
        if judged.verdict == "stale" and (locked := now.locked.get(name)):
            stage = project.pipeline.stages[name]
            paths = {out.path for out in stage.outs}
            for out in locked.get("outs", []):
                if out["path"] in paths:
                    _keep_bytes(project, stage, out["path"], out)


def write_lock(project: Project, now: Survey) -> Survey:
    """Bring dvc.lock up to date with the verdicts. Call this with the repository locked."""
    entries: dict[str, Entry] = {}
    for name in project.pipeline.stages:
        judged = now.stages[name]
        if judged.verdict == "behind":
            entries[name] = judged.entry
        elif name in now.locked:
            entries[name] = now.locked[name]
    recorded = {name for name, entry in now.locked.items() if entry.get("cmd") == run_cache.FOLDER}
    used = {dep for stage in project.pipeline.stages.values() for dep in stage.deps}
    for folder in sorted(used & (recorded | now.folders.keys())):
        entries[folder] = now.folders.get(folder) or now.locked[folder]
    if entries != now.locked or list(entries) != list(now.locked) or project.repository.lock_file.is_spoilt:
        project.repository.lock_file.write(entries)
    fresh = {
        name: replace(judged, verdict="fresh")
        for name, judged in now.stages.items()
        if judged.verdict == "behind"
    }
    return replace(now.with_stages(fresh), locked=entries)
