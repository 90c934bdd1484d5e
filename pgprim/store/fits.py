"""Fitted baselines as safetensors files: two arrays and one JSON header."""

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pgprim.types.errors import UserError
from pgprim.types.fit import Fit

HEADER = "pgprim"
"""The only metadata key: safetensors writes several in no fixed order, and files must be the same bytes every time."""

ARRAYS = ("true", "optimal")


def save_fit(path: str | Path, fit: Fit) -> None:
    """Write a fit; the file appears whole or not at all."""
    header = {name: value for name, value in vars(fit).items() if name not in ARRAYS}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    arrays = {name: getattr(fit, name)[0].contiguous() for name in ARRAYS}
    try:
        save_file(arrays, partial, {HEADER: json.dumps(header, sort_keys=True)})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_fit(path: str | Path) -> Fit:
    """Read a fit.

    Raises:
        UserError: The file is missing or is no fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            arrays = {name: file.get_tensor(name)[None] for name in ARRAYS}
            return Fit(**json.loads(file.metadata()[HEADER]), **arrays)
    except FileNotFoundError:
        raise UserError(f"{path}: no such fit; make it with `snakemake {path}`") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a fit ({error}); delete it and run `snakemake {path}`") from None
