"""Files of this machine: their hashes, and whether they changed."""

import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from dvcsnake.disk_cache import DiskCache

# Inode, size and modification time of a file; for a folder those of all that is in it, by name.
Trace = list[Any]

# From so many files on, one call for the whole disk is quicker than one for each.
MANY = 64


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def md5_of(path: str) -> str:
    """The MD5 of a file, which must be there."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def flush(paths: list[str]) -> None:
    """Have files on the disk, so that what is recorded of them is true after a power cut."""
    if len(paths) > MANY:
        os.sync()
        return
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def digest(path: Path) -> str:
    """The MD5 of a small file, or of nothing where there is none."""
    return hashlib.md5(path.read_bytes() if path.exists() else b"").hexdigest()


def trace(path: str) -> Trace | None:
    """Marks of an unchanged file, or folder with all in it, that need no reading; None if it is not there."""
    try:
        found = os.stat(path)
        if not stat.S_ISDIR(found.st_mode):
            return [found.st_ino, found.st_size, found.st_mtime_ns]
        with os.scandir(path) as entries:
            return sorted([entry.name, trace(entry.path)] for entry in entries)
    except FileNotFoundError:
        return None


def saved_in(root: Path) -> DiskCache:
    """Folder of what the repository keeps between processes."""
    return DiskCache(root / ".dvc" / "tmp" / "dvcsnake" / "cache")
