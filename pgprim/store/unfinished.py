"""What a long computation has so far: finished pieces, from which a killed run goes on."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

UNFINISHED = Path("data/unfinished")
"""Where pieces are kept, below the path of the result that they are of; neither DVC nor figures look there."""


class Pieces:
    """Finished pieces of one result, each a few arrays under a name, until the result is whole.

    Use it as a context manager: left without an error, the pieces are removed, since the result is there.
    """

    def __init__(self, result: str | Path, identity: dict[str, Any]) -> None:
        """Look for the pieces of an earlier run; those of another identity are removed.

        Args:
            result: Path of the result.
            identity: Everything that the pieces depend on, as JSON.
        """
        self._folder = UNFINISHED / result
        text, file = json.dumps(identity, sort_keys=True), self._folder / "identity.json"
        if not file.exists() or file.read_text() != text:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            file.write_text(text)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """A piece, or None if it is not there or not whole."""
        try:
            with (self._folder / f"{name}.npz").open("rb") as file:
                return dict(np.load(file))
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, EOFError):
            return None

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep a piece; it is there whole or not at all."""
        partial = self._folder / f".{name}.npz"
        np.savez(partial, **arrays)
        os.replace(partial, self._folder / f"{name}.npz")

    def __enter__(self) -> "Pieces":
        """Nothing is to be prepared."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the pieces if all went well."""
        if kind is None:
            shutil.rmtree(self._folder)
