"""Saving figures: the same figure gives the same bytes, and files appear complete or not at all."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import UInt8
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pgprim.plotting.labels import figure_label
from pgprim.plotting.style import STYLE, style
from pgprim.store.files import writing
from pgprim.store.provenance import KEYS

# No time stamps or version of the drawing library, so that equal figures are equal files. `store.files` recognises
# figures by the name of this package.
_METADATA = {
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": "pgprim", "Producer": None},
    ".png": {"Software": "pgprim"},
}
PAGE_HEIGHTS = "Page heights"
COLOURS = 128
"""Colours of a PNG, chosen per figure. The palette makes the file a third as large, and the picture looks the same."""
_SHOWN = ("task", "algo", "seed", "iteration")


def about(ds: xr.Dataset) -> dict[str, str]:
    """Metadata of a figure's file: name and coordinates of its data as title, their provenance as keywords.

    Args:
        ds: The data; missing attributes are left out.
    """
    parts = [f"{name} {', '.join(map(str, np.atleast_1d(ds[name])))}" for name in _SHOWN if name in ds.coords]
    title = "; ".join([figure_label(str(ds.attrs["figure"]))] * ("figure" in ds.attrs) + parts)
    origin = "; ".join(f"{name} {ds.attrs[name]}" for name in KEYS if name in ds.attrs and name != "params")
    return {name: text for name, text in (("Title", title), ("Keywords", origin)) if text}


def save(
    figure: Figure | Sequence[Figure], *paths: Path | str, said: Mapping[str, str] | None = None
) -> None:
    """Write a figure as PDF or PNG, by each path's suffix; several are pages of one PDF, below each other in one PNG.

    The text `PAGE_HEIGHTS` of such a PNG has the height of each page in pixels. Its resolution is that of its pages, so
    that it has the same size on paper.

    Args:
        figure: One, or several.
        paths: Output files, which appear complete or not at all.
        said: Metadata of the file, for example from `about`.
    """
    pages = [figure] if isinstance(figure, Figure) else list(figure)
    for path in map(Path, paths):
        if path.suffix not in _METADATA:
            raise ValueError(f"{path}: figures are saved as .pdf or .png")
        metadata = _METADATA[path.suffix] | dict(said or {})
        with writing(path) as partial, style():
            if path.suffix == ".png":
                _save_png(pages, partial, metadata)
            elif len(pages) == 1:
                pages[0].savefig(partial, format="pdf", metadata=metadata)
            else:
                with PdfPages(partial, metadata=metadata) as file:
                    for page in pages:
                        file.savefig(page)


def first_page(png: Path) -> Image.Image:
    """The first page of a figure's PNG from `save`, or the whole image of a figure with one page."""
    with Image.open(png) as image:
        heights = image.info.get(PAGE_HEIGHTS, str(image.height))
        return image.crop((0, 0, image.width, int(heights.split()[0])))


def _save_png(pages: Sequence[Figure], path: Path, metadata: Mapping[str, str]) -> None:
    images = [_pixels(page) for page in pages]
    texts = dict(metadata)
    if len(images) > 1:
        texts[PAGE_HEIGHTS] = " ".join(str(len(image)) for image in images)
    chunk = PngInfo()
    for name, text in texts.items():
        chunk.add_text(name, text)
    with_palette = Image.fromarray(_one_below_another(images)).quantize(
        COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    dpi = STYLE["savefig.dpi"]
    with_palette.save(path, "PNG", pnginfo=chunk, dpi=(dpi, dpi), optimize=True)


def _pixels(page: Figure) -> UInt8[np.ndarray, "row column rgb"]:
    buffer = io.BytesIO()
    page.savefig(buffer, format="png")
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def _one_below_another(
    images: Sequence[UInt8[np.ndarray, "_ _ rgb"]],
) -> UInt8[np.ndarray, "row column rgb"]:
    """The pages as one image, narrower pages with white at their right."""
    width = max(image.shape[1] for image in images)
    margins = [[(0, 0), (0, width - image.shape[1]), (0, 0)] for image in images]
    return np.concatenate(
        [np.pad(image, margin, constant_values=255) for image, margin in zip(images, margins, strict=True)]
    )
