"""`python -m pgprim COMMAND ...`: one entry point for all commands.

Each command is a module of `pgprim.commands`. The pipeline runs these modules directly, so that a stage depends only
on its own code.
"""

import ast
import difflib
import runpy
import sys
from pathlib import Path

COMMANDS = Path(__file__).parent / "commands"
LIBRARY = ("__init__", "command", "params")
"""Modules of the folder that are not commands."""


def commands() -> dict[str, str]:
    """The first line of each command's docstring, by its name."""
    files = [file for file in sorted(COMMANDS.glob("*.py")) if file.stem not in LIBRARY]
    return {
        file.stem: (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0]
        for file in files
    }


def main() -> None:
    """Run the command, or list all commands."""
    known = commands()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: python -m pgprim COMMAND ...\n")
        print("\n".join(f"  {each:12} {says}" for each, says in known.items()))
        print(
            "\n`python -m pgprim COMMAND --help` lists a command's options; `snakemake` runs all commands as needed."
        )
        return
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        right = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        sys.exit(f"python -m pgprim: {name} is no command; {right}")
    del sys.argv[1]
    try:
        runpy.run_module(f"pgprim.commands.{name}", run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        sys.exit(
            f"python -m pgprim: {name} needs {error.name}, which is not installed; "
            "`pip install -e bridge -e '.[study]'` in a clone brings what the commands need"
        )


if __name__ == "__main__":
    main()
