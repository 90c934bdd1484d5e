"""Placeholders: empty folders for outputs with a known hash that are neither on this machine nor needed.

Rollouts stay on the machine that sampled them. If a checkpoint is made again elsewhere with the same bytes, the
hashes of its rollouts and the estimates from them are recorded; but Snakemake requires the rollouts' folder before it
makes the estimates. The placeholder names its output and is removed after the run.
"""

import json
import os
from pathlib import Path

from dvcsnake.dvc_api import Hash, remove

# .dvcignore and Snakemake's time stamps use this name
NAME = ".not_here.json"


def put(root: Path, path: str, known: Hash) -> None:
    """Create a placeholder for an output."""
    remove(root / path)
    (root / path).mkdir(parents=True)
    (root / path / NAME).write_text(json.dumps(known))


def read(root: Path, path: str) -> Hash | None:
    """The hash of a placeholder's output; None without a placeholder."""
    try:
        with open(os.path.join(root, path, NAME)) as file:
            return json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None


def clear(root: Path, path: str) -> bool:
    """Remove a placeholder, if there is one."""
    found = os.path.exists(os.path.join(root, path, NAME))
    if found:
        remove(root / path)
    return found
