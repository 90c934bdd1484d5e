"""The pipeline of one run: repository, stages, the person who is told, and whether anything may change."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvcsnake.dvc_api import Repository
from dvcsnake.errors import UserError
from dvcsnake.pipeline import Pipeline

CACHE = "the cache"
"""Where outputs come from that are not fetched."""

# Where directory() outputs carry their modification time.
STAMP = ".snakemake_timestamp"

# Stages whose outputs must really be there at the end of a run, one per line, for its jobs to read.
NEEDED = Path(".dvc", "tmp", "dvcsnake", "needed")
# Stages that the last run meant to run: Snakemake may have deleted outputs of theirs.
SCHEDULED = Path(".dvc", "tmp", "dvcsnake", "scheduled")


@dataclass(frozen=True)
class Project:
    """What every step of a run needs.

    Attributes:
        repository: the DVC repository.
        pipeline: its stages.
        say: takes one line of text for the user.
        dry_run: find out what a run would put in place and what it would compute, but leave all outputs as they are.
    """

    repository: Repository
    pipeline: Pipeline
    say: Callable[[str], None] = print
    dry_run: bool = False

    @property
    def root(self) -> Path:
        """The folder that holds dvc.yaml."""
        return self.repository.root

    def is_linked(self, path: str) -> bool:
        """Whether workspace and cache share an output's bytes by hard links."""
        return self.pipeline.stages[self.pipeline.maker[path]].out(path).is_linked

    def restore(self, out: dict) -> bool:
        """Put an output in place from the cache; returns whether the cache has it. A dry run only looks."""
        repository = self.repository
        if not repository.is_cached(out):
            return False
        return self.dry_run or repository.restore(out, self.is_linked(out["path"]))


def open_project(
    root: str | Path = ".", say: Callable[[str], None] = print, dry_run: bool = False
) -> Project:
    """The project in a folder."""
    repository = Repository(root, say)
    return Project(repository, Pipeline(*repository.definitions()), say, dry_run)


def write_names(root: Path, place: Path, names: set[str]) -> None:
    """Leave names of stages for the jobs of this run, or for the next one."""
    file = root / place
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_text("".join(f"{name}\n" for name in sorted(names)))
    unfinished.replace(file)


def read_names(root: Path, place: Path) -> set[str]:
    """Names of stages that were left there; none if there is no such file."""
    try:
        return set((root / place).read_text().splitlines())
    except FileNotFoundError:
        return set()


def hold(root: Path) -> Any:
    """Keep a second Snakemake out of this folder for as long as this process lives, and not longer."""
    place = root / ".dvc" / "tmp" / "dvcsnake" / "snakemake.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    file = place.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise UserError(
            f"another snakemake (process {file.read().strip()}) runs in this folder: wait until it ends, or end it"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
