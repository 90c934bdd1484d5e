"""Pictures of the figures, as large as the page's limit allows."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

SIZES = ((1210, 70), (1000, 62), (840, 55), (700, 50), (560, 45), (420, 40))
"""Width [pixel] and quality of the pictures, from the best on."""


def pictures(files: Mapping[str, Path], limit: int) -> dict[str, dict]:
    """The figures' PNG files as WebP, all of the first size of `SIZES` with which they take no more than a limit.

    Args:
        files: PNG files by the figure's name.
        limit: Bytes that all pictures may take as base64; the smallest size is used if none fits.

    Returns:
        For each figure `data`, a data URI, and `width` and `height` [pixel].
    """
    encoded: dict[str, dict] = {}
    for width, quality in SIZES:
        encoded = {name: _picture(file, width, quality) for name, file in files.items()}
        if sum(len(picture["data"]) for picture in encoded.values()) <= limit:
            break
    return encoded


def _picture(file: Path, width: int, quality: int) -> dict:
    with Image.open(file) as image:
        plain = Image.new("RGB", image.size, "white")
        plain.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    if plain.width > width:
        plain = plain.resize((width, round(plain.height * width / plain.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    plain.save(buffer, "WEBP", quality=quality, method=4)
    data = base64.b64encode(buffer.getvalue()).decode()
    return {"data": f"data:image/webp;base64,{data}", "width": plain.width, "height": plain.height}
