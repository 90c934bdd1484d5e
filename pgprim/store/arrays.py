"""Safetensors files: arrays and one JSON header, sealed; loading one cannot run code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from pgprim.kernels import kernels
from pgprim.store.files import UNSEALED, read_sealed, seal, write_bytes
from pgprim.store.provenance import require_same_kernels

HEADER = "pgprim"
"""The only metadata key: safetensors writes several in no fixed order, and files must be the same bytes every time."""


def save_arrays(path: str | Path, header: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> None:
    """Write named arrays and a header, as JSON, to one file."""
    text = json.dumps({**header, "kernels": kernels(), "seal": UNSEALED}, sort_keys=True)
    data = save({name: array.contiguous() for name, array in arrays.items()}, {HEADER: text})
    write_bytes(path, seal(data))


def load_arrays(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the header and the arrays of such a file.

    Args:
        path: The file.
        kind: What it should be, such as `checkpoint`.

    Raises:
        UserError: The file is missing, is not what pgprim wrote, or is of another kind of processor.
    """
    data = read_sealed(path, kind)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][HEADER])
    require_same_kernels(path, kind, header)
    return {name: value for name, value in header.items() if name not in ("kernels", "seal")}, load(data)
