"""Results of the benchmarks, as JSON with date, machine and versions, and as Markdown tables."""

import datetime
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

PACKAGES = (
    "torch",
    "numpy",
    "mujoco",
    "gymnasium",
    "stable-baselines3",
    "zarr",
    "snakemake",
    "dvc",
)


def save(path: Path, numbers: dict) -> None:
    """Write what a benchmark found, and when and where it did."""
    from pgprim.commands.cost import (
        machine,
    )  # here: the toy of `bench.dag` puts a package of that name before the real one

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    origin = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{machine()}, {memory:.0f} GiB",
        "versions": {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(origin | numbers, indent=1, ensure_ascii=False) + "\n")


def origin(record: dict) -> str:
    """When and where a record was made, in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return f"{record['date']}, {record['machine']}; {versions}."


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown that is readable as it stands; all columns but the first are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    rule = "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths))
    return (
        "\n".join(f"| {line} |" for line in lines[:1])
        + f"\n|{rule}|\n"
        + "\n".join(f"| {line} |" for line in lines[1:])
    )


def judged(text: str, fits: bool | None) -> str:
    """A number in bold type where it misses its target; `None` stands for no target."""
    return f"**{text}**" if fits is False else text
