"""The run cache: which hashes of inputs gave which hashes of outputs."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from dvc.repo import Repo
from dvc.stage.cache import _get_cache_hash

from dvcsnake.dvc_api.entries import Entry, is_plain_out, parse, write_entry


class Runs:
    """The entries of the run cache.

    Args:
        repo: DVC's repository.
        say: Takes one line of text for the user.
    """

    def __init__(self, repo: Repo, say: Callable[[str], None]):
        self._say, self._root = say, Path(repo.root_dir)
        self.folder = Path(repo.stage_cache.cache_dir)
        self._journal = self._root / ".dvc" / "tmp" / "dvcsnake" / "journal"

    @staticmethod
    def key(entry: Entry) -> str:
        """The key of a run: its command, parameters, hashes of dependencies, and paths of outputs."""
        return _get_cache_hash(dict(entry), key=True)

    def find(self, key: str) -> list[Entry]:
        """Records of the run cache under a key, newest first."""
        files = []
        for place in (self.folder, self._journal):
            with contextlib.suppress(FileNotFoundError):
                files += [
                    path
                    for path in Path(place, key[:2], key).iterdir()
                    if path.name not in {f.name for f in files}
                ]
        files = [path for path in files if re.fullmatch("[0-9a-f]{64}", path.name)]
        files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        entries = [(path, self.read(path.read_bytes(), key, path.name)) for path in files]
        for path, entry in entries:
            if entry is None:
                self._set_aside(path)
        return [entry for _, entry in entries if entry is not None]

    def read(self, text: bytes, key: str, name: str) -> Entry | None:
        """An entry of the run cache, None if it is not what its key and name say, or could reach beyond its outputs."""
        try:
            entry = parse(text)
            whole = isinstance(entry["cmd"], str | list) and all(map(is_plain_out, entry["outs"]))
            return entry if whole and self.place(entry) == os.path.join(key[:2], key, name) else None
        except Exception:  # whatever is wrong with the text, it cannot be used
            return None

    def _set_aside(self, path: Path) -> None:
        """Move an entry of the run cache out of the way."""
        aside = self._root / ".dvc" / "tmp" / "dvcsnake" / "set_aside" / f"{path.parent.name}-{path.name}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, aside)
        except OSError:
            return
        self._say(
            f"dvc: an entry of the run cache was not what its name says; it is now {aside.relative_to(self._root)}"
        )

    def record(self, entry: Entry, journal: bool = False) -> None:
        """Put an entry into the run cache, from where `dvc repro` too restores it.

        Args:
            entry: The entry.
            journal: Keep it, until dvc.lock has it, where `dvc gc` does not reach, too.
        """
        for place in (self.folder, *([self._journal] if journal else [])):
            path = Path(place, self.place(entry))
            if not path.exists():
                write_entry(path, entry)

    def clear_journal(self) -> None:
        """Forget the entries of the last run, which dvc.lock has."""
        shutil.rmtree(self._journal, ignore_errors=True)

    def place(self, entry: Entry) -> str:
        """Path of an entry in the run cache."""
        key = self.key(entry)
        return os.path.join(key[:2], key, _get_cache_hash(dict(entry)))
