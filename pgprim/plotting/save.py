"""Figures as files: the same figure gives the same bytes, and a file is either whole or not there."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave

from pgprim.plotting.style import style

# Time stamps and the drawing library's version are left out, so that equal figures are equal files.
_METADATA = {
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": "pgprim", "Producer": None},
    ".png": {"Software": None},
}


def save(figure: Figure | Sequence[Figure], *paths: Path | str) -> None:
    """Write a figure as PDF or PNG, by each path's suffix; several are pages of one PDF, below each other in one PNG.

    Each file is written beside its place and then renamed, so that a half-written figure never has the figure's name.
    """
    pages = [figure] if isinstance(figure, Figure) else list(figure)
    for path in map(Path, paths):
        if path.suffix not in _METADATA:
            raise ValueError(f"{path}: figures are saved as .pdf or .png")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with style():
                if len(pages) == 1:
                    pages[0].savefig(temporary, format=path.suffix[1:], metadata=_METADATA[path.suffix])
                elif path.suffix == ".pdf":
                    with PdfPages(temporary, metadata=_METADATA[".pdf"]) as file:
                        for page in pages:
                            file.savefig(page)
                else:
                    imsave(temporary, _one_below_another(pages), format="png", metadata=_METADATA[".png"])
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _one_below_another(pages: Sequence[Figure]) -> UInt8[np.ndarray, "row column rgba"]:
    """The pages' pixels as one image, narrower pages with white at their right."""
    images = []
    for page in pages:
        buffer = io.BytesIO()
        page.savefig(buffer, format="png")
        buffer.seek(0)
        images.append(np.rint(255 * imread(buffer, format="png")).astype(np.uint8))
    width = max(image.shape[1] for image in images)
    margins = [[(0, 0), (0, width - image.shape[1]), (0, 0)] for image in images]
    return np.concatenate(
        [np.pad(image, margin, constant_values=255) for image, margin in zip(images, margins, strict=True)]
    )
