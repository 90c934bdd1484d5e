"""Files that are replaced in one step, so that other processes read the old or the new text, never a part of it."""

import os
from pathlib import Path


def write_whole(path: Path, text: str | bytes, survives_power_cut: bool = False) -> None:
    """Write a file, or replace it, and make its folder.

    Args:
        path: the file.
        text: its contents.
        survives_power_cut: wait until the disk has them; slower.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            if survives_power_cut:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
