"""What all stage commands share: arguments in, one clear sentence out when they are wrong."""

import argparse
import importlib
import sys
from collections.abc import Callable

from pgprim.kernels import require_kernels
from pgprim.types.errors import UserError


def make_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser named as the command is typed, with defaults shown by `--help`."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def load_params(path: str = "params.yaml") -> dict:
    """The checked parameters.

    The module that checks them is imported by name: it lets values pass or not, and cannot change a result, so it is no
    part of the stages' code digests, and a stricter check recomputes nothing.
    """
    return importlib.import_module("pgprim.types.params").load(path)


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and call `main`; a `UserError` ends as its sentence on stderr and exit status 1."""
    try:
        args = parser.parse_args()
        require_kernels()
        main(args)
    except UserError as error:
        sys.exit(f"{parser.prog}: {error}")
