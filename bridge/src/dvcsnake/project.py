"""The project of one run: repository, stages, output of messages, and whether it is a dry run."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvcsnake.dvc_api import Repository
from dvcsnake.errors import UserError
from dvcsnake.pipeline import Pipeline
from dvcsnake.whole_files import write_whole

CACHE = "the cache"
"""Source of outputs that are not fetched."""

# Where directory() outputs carry their modification time.
STAMP = ".snakemake_timestamp"

# Stages whose outputs must really be there at the end of a run, one per line, for its jobs to read.
NEEDED = Path(".dvc", "tmp", "dvcsnake", "needed")
# Stages that the last run meant to run: Snakemake may have deleted outputs of theirs.
SCHEDULED = Path(".dvc", "tmp", "dvcsnake", "scheduled")


@dataclass(frozen=True)
class Project:
    """The objects that every step of a run needs.

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
        """Restore an output from the cache; returns whether the cache has it. A dry run only checks."""
        repository = self.repository
        if not repository.objects.is_cached(out):
            return False
        return self.dry_run or repository.objects.restore(out, self.is_linked(out["path"]))


def open_project(
    root: str | Path = ".", say: Callable[[str], None] = print, dry_run: bool = False
) -> Project:
    """The project in a folder."""
    repository = Repository(root, say)
    return Project(repository, Pipeline(*repository.definitions()), say, dry_run)


def write_names(root: Path, place: Path, names: set[str]) -> None:
    """Write names of stages for the jobs of this run, or for the next run."""
    write_whole(root / place, "".join(f"{name}\n" for name in sorted(names)))


def read_names(root: Path, place: Path) -> set[str]:
    """Names of stages in such a file; none if it does not exist."""
    try:
        return set((root / place).read_text().splitlines())
    except FileNotFoundError:
        return set()


def hold(root: Path) -> Any:
    """Lock this folder against a second Snakemake for the lifetime of this process."""
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
