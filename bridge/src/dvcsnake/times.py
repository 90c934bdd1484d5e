"""Set modification times by the verdicts, since Snakemake compares nothing else."""

import contextlib
import os
import time
from collections.abc import Set
from pathlib import Path

from dvcsnake.pipeline import is_folder
from dvcsnake.project import STAMP, Project
from dvcsnake.verdicts import Survey

EPOCH = 1.0
"""Modification time of outputs that must be made again."""


def align(project: Project, now: Survey, todo: Set[str] = frozenset()) -> None:
    """Set the modification times that contradict the hashes.

    Outputs of stages that are up to date are not older than their inputs; outputs of all other stages are from 1970.

    Args:
        project: the project.
        now: the verdicts.
        todo: stages that are left to jobs, besides those that are stale.
    """
    clock = time.time()
    pipeline, times = project.pipeline, {}
    _end_the_future(project, clock)
    for name in pipeline.order:
        stage = pipeline.stages[name]
        for dep in stage.deps:
            if dep not in times:  # what makes it came before, and touches it no more
                made = pipeline.made_of(dep) or [dep]
                times[dep] = max((_mtime(path) for path in made if os.path.exists(path)), default=0.0)
        newest = max((times[dep] for dep in stage.deps), default=0.0)
        wrong = now.stages[name].verdict == "stale" or name in todo
        for path in (out.path for out in stage.outs if os.path.exists(out.path)):
            if wrong and _mtime(path) > EPOCH:
                _touch(project, path, EPOCH)
            elif not wrong and _mtime(path) < newest:
                _touch(project, path, max(clock, newest))
    # Snakemake takes a benchmark for an output: an old one must not make its job look stale
    for benchmark in Path("benchmarks").rglob("*.tsv"):
        os.utime(benchmark, (clock, clock))


def _end_the_future(project: Project, clock: float) -> None:
    """Set future modification times to now: Snakemake refuses a job's outputs if an input is newer."""
    stages = project.pipeline.stages.values()
    for path in sorted({dep for stage in stages for dep in stage.deps} | set(project.pipeline.maker)):
        if os.path.exists(path) and _mtime(path) > clock:
            with contextlib.suppress(OSError):  # files that are not ours stay unchanged
                if path in project.pipeline.maker:
                    _touch(project, path, clock)
                elif is_folder(path):
                    os.utime(path, (clock, clock))
                else:
                    project.repository.hashes.set_time(path, clock)


def _touch(project: Project, path: str, stamp: float) -> None:
    if is_folder(path):
        carrier = os.path.join(path, STAMP)
        Path(carrier).touch()
        os.utime(carrier, (stamp, stamp))
    else:
        project.repository.hashes.set_time(path, stamp)


def _mtime(path: str) -> float:
    stamp = os.path.join(path, STAMP)
    return os.lstat(stamp if is_folder(path) and os.path.exists(stamp) else path).st_mtime
