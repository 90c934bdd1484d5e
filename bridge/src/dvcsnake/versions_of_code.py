"""Parts of earlier versions of a module, to name the functions that changed.

A digest shows that a module has changed, but not where. `.dvc/tmp/dvcsnake/code` caches the digests of each version's
functions, by the version's digest. For a version that is not in this cache, Git's history is searched.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from dvcsnake.digests import digest_of_meaning, parts
from dvcsnake.whole_files import write_whole

FOLDER = Path(".dvc", "tmp", "dvcsnake", "code")

MOST = 30
"""Number of versions of a module that are searched in Git's history."""


def keep(root: Path, package: str, texts: Iterable[str]) -> None:
    """Cache the parts of the current modules.

    Args:
        root: the project's folder.
        package: the folder of its package.
        texts: digest files, with a line `<md5>  <module>` for each module.
    """
    lines = {tuple(line.split("  ", 1)) for text in texts for line in text.splitlines()}
    folder = root / FOLDER
    with suppress(OSError):  # a version that cannot be cached is found in Git, or not reported
        folder.mkdir(parents=True, exist_ok=True)
        kept = {path.name for path in folder.iterdir()}
        for digest, name in lines:
            if digest not in kept and (path := _find(root, package, name)):
                write_whole(folder / digest, json.dumps(parts(path.read_bytes())))


def changes(root: Path, package: str, name: str, before: str) -> list[str]:
    """Names of the parts that differ between a module and an earlier version; empty if that version is unavailable.

    Args:
        root: the project's folder.
        package: the folder of its package.
        name: the module's path in the package.
        before: the earlier version's digest.
    """
    path = _find(root, package, name)
    old = path and (_kept(root, before) or _committed(path, before))
    if not old:
        return []
    new = parts(path.read_bytes())
    return [
        *(part for part in new if part in old and new[part] != old[part]),
        *(f"{part} new" for part in new if part not in old),
        *(f"{part} gone" for part in old if part not in new),
    ]


def _find(root: Path, package: str, name: str) -> Path | None:
    """A module's file; None if it is gone, or the digest's line is of a file that is not Python."""
    places = (root / package / name, root / name) if name.endswith(".py") else ()
    return next((path for path in places if path.is_file()), None)


def _kept(root: Path, digest: str) -> Mapping[str, str] | None:
    with suppress(OSError, ValueError):
        return json.loads((root / FOLDER / digest).read_text())
    return None


def _committed(path: Path, digest: str) -> Mapping[str, str] | None:
    """Parts of the version with a given digest, if it is among the last commits."""
    git = ["git", "-C", str(path.parent)]
    with suppress(FileNotFoundError, SyntaxError):
        log = [*git, "log", f"-{MOST}", "--format=%H", "--", path.name]
        for commit in subprocess.run(log, capture_output=True, text=True, check=False).stdout.split():
            show = [*git, "show", f"{commit}:./{path.name}"]
            source = subprocess.run(show, capture_output=True, check=False).stdout
            if digest_of_meaning(source) == digest:
                return parts(source)
    return None
