"""What takes long to find out, kept on this machine for as long as what it was found from stays as it was."""

import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Raise this when what is kept changes its form.
FORM = 1


class Memory:
    """One file per name, with the key that its content belongs to.

    Losing these files costs time and nothing else. They are as trustworthy as DVC's state database, which lies beside
    them and is pickled too.

    Args:
        folder: where the files are.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def recall(self, name: str, key: Any, find: Callable[[], Any]) -> Any:
        """What belongs to a key: what is kept under the name, if it is for this key, or else what `find` finds."""
        known, value = self._read(name)
        if known != (FORM, key):
            value = find()
            self.keep(name, key, value)
        return value

    def keep(self, name: str, key: Any, value: Any) -> None:
        """Replace what is kept under a name; on a full disk nothing is kept."""
        unfinished = self.folder / f".{name}.{os.getpid()}"
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(pickle.dumps(((FORM, key), value)))
            unfinished.replace(self.folder / name)

    def _read(self, name: str) -> tuple[Any, Any]:
        try:
            key, value = pickle.loads((self.folder / name).read_bytes())
            return key, value
        except Exception:  # whatever is wrong with the file, it cannot be used
            return None, None
