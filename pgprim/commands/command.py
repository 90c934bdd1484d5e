"""Parts that all commands share: parsing arguments, and one clear sentence if they are wrong.

The check of the parameter file and the probes' records are imported by name at run time. They cannot change a result,
so they are not in the commands' code digests, and a stricter check or another cost estimate recomputes nothing.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pgprim.kernels import require_kernels
from pgprim.types.errors import UserError

CODE = Path("data/code")
"""Folder of the digests of the code, by which an unfinished result knows whether it may be resumed."""


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, "", False) else super()._get_help_string(action)


def make_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser named as the command is typed, `python -m pgprim NAME`, with defaults shown by `--help`.

    Args:
        module: The command's module, such as `pgprim.commands.train`.
        description: What the command does.
    """
    name = module.rpartition(".")[2]
    return argparse.ArgumentParser(
        prog=f"python -m pgprim {name}", description=description, formatter_class=_Formatter
    )


def load_params(path: str = "params.yaml") -> dict:
    """The checked parameters."""
    return importlib.import_module("pgprim.commands.params").load(path)


def record(name: str) -> Any:
    """The record of a probe.

    Raises:
        UserError: There is none of this name.
    """
    return importlib.import_module("pgprim.types.probe").probe(name)


def code_of(*names: str) -> list[str]:
    """Code digests of some modules; missing ones are left out.

    Args:
        names: Modules without the package's name, such as `commands/train`.
    """
    files = [CODE / f"{name}.txt" for name in names]
    return [file.read_text() for file in files if file.exists()]


def seeds_of(text: str) -> list[int]:
    """The seeds that an argument such as `0-1-2` names, at most the largest that the parameter file may have."""
    try:
        seeds = [int(seed) for seed in text.split("-")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of seeds such as 0-1-2") from None
    largest = importlib.import_module("pgprim.types.schema").LARGEST_SEED
    if max(seeds) > largest:
        raise argparse.ArgumentTypeError(f"{max(seeds)} is no seed, because a seed is at most {largest}")
    return seeds


def output(text: str) -> str:
    """Path of an output; refused before anything is computed if it cannot be written.

    Raises:
        UserError: Its nearest existing parent is not a folder, or is not writable.
    """
    nearest = next(place for place in Path(text).absolute().parents if os.path.lexists(place))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        reason = "may not be written to" if nearest.is_dir() else "is no folder"
        raise UserError(f"{text}: cannot be written, because {nearest} {reason}; give a path that can")
    return text


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and call `main`; a `UserError` ends as its sentence on stderr and exit status 1."""
    try:
        args = parser.parse_args()
        require_kernels()
        main(args)
    except UserError as error:
        sys.exit(f"{parser.prog}: {error}")
