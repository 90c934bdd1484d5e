"""Merging dvc.lock: the records of two branches, stage by stage, never line by line.

A line-wise merge can join the inputs of one run with the outputs of another, which is a false record. Here an entry is
taken whole from one side. Which side does not matter for results: the next run compares hashes, and finds the other
side's record in the run cache.
"""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ATTRIBUTE = "dvc.lock merge=dvcsnake"
"""The line of .gitattributes that has Git call the merge driver."""

DRIVER = "python -m dvcsnake merge-lock %O %A %B"
"""The merge driver, as `git config merge.dvcsnake.driver` has it."""


def merge_stages(
    base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> dict[str, Any]:
    """Merge entries: what one side alone has changed is taken from it; where both have, ours is taken.

    Args:
        base: Entries by stage name in the common ancestor.
        ours: The same on the branch that is merged into.
        theirs: The same on the branch that is merged.
    """
    names = dict.fromkeys([*ours, *theirs])
    taken = {
        name: theirs.get(name) if ours.get(name) == base.get(name) else ours.get(name, theirs.get(name))
        for name in names
    }
    return {name: entry for name, entry in taken.items() if entry is not None}


def has_conflict(text: str) -> bool:
    """Whether Git left conflict markers in a file."""
    return re.search(r"^<{7}( |$)", text, re.MULTILINE) is not None


def unmerged(root: Path) -> tuple[str, str] | None:
    """Our and their version of dvc.lock during a merge, from Git's index; None if no merge is going on.

    The file with the markers will not do: beside them it has lines that Git merged one by one, and so false records.
    """
    texts = []
    for stage in (2, 3):
        show = ["git", "-C", str(root), "show", f":{stage}:./dvc.lock"]
        done = subprocess.run(show, capture_output=True, text=True, check=False)
        if done.returncode:
            return None
        texts.append(done.stdout)
    return texts[0], texts[1]
