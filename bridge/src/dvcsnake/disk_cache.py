"""A cache of slow computations in files: the expanded dvc.yaml, the parsed dvc.lock, hashes of folders."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvcsnake.whole_files import write_whole

# Raise this when cached values change their form.
FORM = 2


class DiskCache:
    """One JSON file per name, with the key of its value.

    Losing these files costs only time.

    Args:
        folder: Folder of the files.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, name: str, key: Any, compute: Callable[[], Any]) -> Any:
        """The value of a key: the cached one if it is of this key, or else what `compute` returns."""
        cached_key, value = self._read(name)
        if cached_key != [FORM, key]:
            value = compute()
            self.put(name, key, value)
        return value

    def put(self, name: str, key: Any, value: Any) -> None:
        """Replace the value under a name. One that JSON would change, and one on a full disk, is not cached."""
        with contextlib.suppress(OSError, TypeError, ValueError):
            text = json.dumps([[FORM, key], value])
            if json.loads(text)[1] == value:
                write_whole(self.folder / name, text)

    def _read(self, name: str) -> tuple[Any, Any]:
        try:
            key, value = json.loads((self.folder / name).read_bytes())
            return key, value
        except Exception:  # a damaged file counts as missing
            return None, None
