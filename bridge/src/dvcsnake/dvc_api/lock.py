"""dvc.lock: the entry of each stage."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from dvc.repo import Repo

from dvcsnake import lock_file
from dvcsnake.disk_cache import DiskCache
from dvcsnake.dvc_api.entries import Entry, parse, write_entry
from dvcsnake.dvc_api.files import digest
from dvcsnake.dvc_api.runs import Runs
from dvcsnake.errors import UserError

_BRING_BACK = "`git checkout dvc.lock` brings back the last one that was committed"


class LockFile:
    """The file dvc.lock.

    Args:
        repo: DVC's repository.
        saved: What is kept between processes.
        runs: The run cache.
        say: Takes one line of text for the user.
    """

    def __init__(self, repo: Repo, saved: DiskCache, runs: Runs, say: Callable[[str], None]):
        self._repo, self._saved, self._runs, self._say = repo, saved, runs, say
        self._root = Path(repo.root_dir)
        self._path = self._root / "dvc.lock"
        self.is_spoilt = False
        self._spoilt: tuple[str, dict[str, Entry]] | None = None

    def read(self) -> dict[str, Entry]:
        """The entries of dvc.lock by stage name."""
        version = digest(self._path)
        if self._spoilt and self._spoilt[0] == version:
            return self._spoilt[1]
        entries = self._saved.get("lock", version, self._parse)
        if self.is_spoilt:
            self._saved.put(
                "lock", None, None
            )  # the next process is to see it again until it is written anew
            self._spoilt = version, entries
        return entries

    def _parse(self) -> dict[str, Entry]:
        try:
            text = self._path.read_bytes().decode()
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError:
            raise UserError(f"dvc.lock is no text; {_BRING_BACK}") from None
        if lock_file.has_conflict(text):
            both = lock_file.unmerged(self._root)
            if both is None:
                raise UserError(
                    "dvc.lock has conflict markers and no merge is going on; `git checkout BRANCH -- dvc.lock` takes one "
                    "branch's whole file"
                )
            ours, theirs = map(self._parse_stages, both)
            for entry in theirs.values():
                self._runs.record(entry)
            self._say(
                "dvc: dvc.lock has conflict markers: the records of both sides are used (`git add dvc.lock` after the run)"
            )
            self.is_spoilt = True
            return lock_file.merge_stages({}, ours, theirs)
        return self._parse_stages(text)

    def _parse_stages(self, text: str) -> dict[str, Entry]:
        try:
            data = parse(text) or {}
        except yaml.YAMLError as error:
            raise UserError(
                f"dvc.lock: not valid YAML, {str(error).splitlines()[0]}; {_BRING_BACK}"
            ) from None
        stages = (data.get("stages") or {}) if isinstance(data, dict) else None
        if not isinstance(stages, dict):
            raise UserError(f"dvc.lock must be a mapping with the key stages; {_BRING_BACK}")
        whole = {name: entry for name, entry in stages.items() if isinstance(entry, dict) and "cmd" in entry}
        if lost := stages.keys() - whole.keys():
            self.is_spoilt = True
            self._say(f"dvc: dvc.lock has no record of {min(lost)}, only its name, and is written anew")
        return whole

    def merge(self, base: str, ours: str, theirs: str) -> None:
        """Merge three versions of dvc.lock into the second one, as Git asks of a merge driver.

        Args:
            base: The file of the common ancestor.
            ours: The file of the branch that is merged into, which gets the result.
            theirs: The file of the branch that is merged.
        """
        old, mine, other = (self._parse_stages(Path(path).read_text()) for path in (base, ours, theirs))
        for entry in (*mine.values(), *other.values()):
            if "outs" in entry:
                self._runs.record(entry)
        write_entry(Path(ours), {"schema": "2.0", "stages": lock_file.merge_stages(old, mine, other)})

    def install_merge_driver(self) -> None:
        """Have Git in this clone merge dvc.lock stage by stage, if .gitattributes asks for it and there is a Git."""
        attributes = self._root / ".gitattributes"
        if (
            not shutil.which("git")
            or not attributes.exists()
            or lock_file.ATTRIBUTE not in attributes.read_text().splitlines()
        ):
            return
        git = ["git", "-C", str(self._root), "config"]
        if subprocess.run([*git, "merge.dvcsnake.driver"], capture_output=True, check=False).returncode == 1:
            done = subprocess.run(
                [*git, "merge.dvcsnake.driver", lock_file.DRIVER], capture_output=True, check=False
            )
            if not done.returncode:
                self._say("dvc: `git merge` is now to merge dvc.lock stage by stage (in .git/config)")

    def write(self, entries: Mapping[str, Entry]) -> None:
        """Replace dvc.lock. Call this with the repository locked."""
        self.is_spoilt = False
        write_entry(self._path, {"schema": "2.0", "stages": dict(entries)})
        self._repo._reset()

    def record(self) -> None:
        """Put all entries of dvc.lock into the run cache, from where DVC would not bring them back otherwise."""
        entries = {name: entry for name, entry in self.read().items() if "outs" in entry}
        places = self._saved.get(
            "places",
            digest(self._path),
            lambda: {name: self._runs.place(entry) for name, entry in entries.items()},
        )
        for name, place in places.items():
            if not os.path.exists(os.path.join(self._runs.folder, place)):
                self._runs.record(entries[name])
