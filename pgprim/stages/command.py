"""What all stage commands share: arguments in, one clear sentence out when they are wrong."""

import argparse
import sys
from collections.abc import Callable

from pgprim.types.errors import UserError


def make_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser named as the command is typed, with defaults shown by `--help`."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and call `main`; a `UserError` ends as its sentence on stderr and exit status 1."""
    try:
        main(parser.parse_args())
    except UserError as error:
        sys.exit(f"{parser.prog}: {error}")
