"""Figures as files: the same figure gives the same bytes, and a file is either whole or not there."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from pgprim.plotting.style import style

# Time stamps and the drawing library's version are left out, so that equal figures are equal files.
_METADATA = {
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": "pgprim", "Producer": None},
    ".png": {"Software": None},
}


def save(figure: Figure, *paths: Path | str) -> None:
    """Write a figure as PDF or PNG, by each path's suffix.

    Each file is written beside its place and then renamed, so that a half-written figure never has the figure's name.
    """
    for path in map(Path, paths):
        if path.suffix not in _METADATA:
            raise ValueError(f"{path}: figures are saved as .pdf or .png")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with style():
                figure.savefig(temporary, format=path.suffix[1:], metadata=_METADATA[path.suffix])
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
