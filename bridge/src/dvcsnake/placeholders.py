"""Empty folders that stand for outputs which are known by their hash, are not on this machine, and are not needed.

Rollouts stay where they were sampled. When a checkpoint is made again elsewhere, with the same bytes, what the rollouts
would be is on record and so is what was estimated from them; but Snakemake wants the rollouts' folder to exist before it
asks for the estimates. It gets a placeholder, which says which output it stands for, and which is gone after the run.
"""

import json
import os
from pathlib import Path

from dvcsnake.dvc_api import Hash, remove

# .dvcignore and Snakemake's time stamps know it by this name
NAME = ".not_here.json"


def put(root: Path, path: str, known: Hash) -> None:
    """Have a placeholder for an output."""
    remove(root / path)
    (root / path).mkdir(parents=True)
    (root / path / NAME).write_text(json.dumps(known))


def read(root: Path, path: str) -> Hash | None:
    """The hash of the output that a placeholder stands for; None if there is no placeholder."""
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
