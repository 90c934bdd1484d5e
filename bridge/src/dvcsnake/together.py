"""Bundles: stages whose jobs one process runs together, because this is faster than one by one.

`meta: {together: {seed: 5}}` in dvc.yaml lets up to five stages that differ only in `item.seed` share a process. The
first of them, the leader, runs one command for all: their common command, with the words that differ joined by
hyphens (`--seeds 0-1-2`). The others wait for it and then find their results. The stages, their records and their
place in the cache are unchanged, and `dvc repro` runs each separately.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from dvcsnake.errors import UserError
from dvcsnake.pipeline import Pipeline

FILE = Path(".dvc", "tmp", "dvcsnake", "together.json")


def bundles(pipeline: Pipeline, names: Collection[str]) -> dict[str, list[str]]:
    """Stages of each bundle by leader, the leader first; single stages are left out.

    Args:
        pipeline: all stages.
        names: those that are to be run.

    Raises:
        UserError: `together` in dvc.yaml is not one of the stage's items with a number.
    """
    alike: dict[tuple, list[str]] = {}
    most: dict[tuple, int] = {}
    for name, stage in pipeline.stages.items():
        if name not in names or not (together := stage.meta.get("together")):
            continue
        values = pipeline.values_of(stage)
        match list(together.items()) if isinstance(together, dict) else []:
            case [(item, int(number))] if item in values and number > 0:
                key = (stage.group, *((other, value) for other, value in values.items() if other != item))
                alike.setdefault(key, []).append(name)
                most[key] = number
            case _:
                raise UserError(
                    f"dvc.yaml: stage {stage.group}: meta.together is {together!r}, but must be one of "
                    f"{', '.join(values)} and a number, such as {{{next(iter(values))}: 4}}"
                )
    chunks = [
        those[start : start + most[key]]
        for key, those in alike.items()
        for start in range(0, len(those), most[key])
    ]
    return {chunk[0]: chunk for chunk in chunks if len(chunk) > 1}


def write(root: Path, bundled: dict[str, list[str]]) -> None:
    """Write the bundles for jobs, which may run on other machines."""
    (root / FILE).parent.mkdir(parents=True, exist_ok=True)
    (root / FILE).write_text(json.dumps(bundled))


def read(root: Path, name: str) -> list[str]:
    """The stages that a stage's job runs: itself, and those that it leads."""
    try:
        return json.loads((root / FILE).read_text()).get(name, [name])
    except FileNotFoundError:
        return [name]


def joined(commands: Sequence[str]) -> str:
    """One command for several that differ in a word.

    Raises:
        UserError: They differ in more than that.
    """
    places = list(zip(*(command.split() for command in commands), strict=False))
    differing = [words for words in places if len(set(words)) > 1]
    if len(differing) > 1 or len({len(command.split()) for command in commands}) > 1:
        raise UserError(
            f"`{commands[0]}` and `{commands[1]}` differ in more than one word, so they cannot run together; write what "
            "differs once in the command, and let it put the rest of the paths together"
        )
    return " ".join(words[0] if len(set(words)) == 1 else "-".join(words) for words in places)
