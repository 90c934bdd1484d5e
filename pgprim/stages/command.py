"""What all stage commands share: arguments in, one clear sentence out when they are wrong."""

import argparse
import os
import sys
from collections.abc import Callable

from pgprim.types.errors import UserError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and call `main`; a `UserError` ends as its sentence on stderr and exit status 1."""
    try:
        main(parser.parse_args())
    except UserError as error:
        sys.exit(f"{parser.prog}: {error}")


def make_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser named as the command is typed. Also keeps numerical libraries to one thread: results must not
    depend on the machine's cores, and jobs run side by side."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    return argparse.ArgumentParser(prog=f"python -m {module}", description=description)
