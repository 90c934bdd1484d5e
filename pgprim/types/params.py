"""Reading the parameter file, without checks; `pgprim.commands.params` checks it."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pgprim.types.errors import UserError


def read(path: str | Path) -> Any:
    """Read a YAML file with the safe loader, without checking its content.

    Args:
        path: The file. It is read as YAML 1.2, like DVC does, so that `1e-5` is a number.

    Raises:
        UserError: The file is missing, unreadable, or not YAML.
    """
    return parse(read_text(path), path)


def read_text(path: str | Path) -> str:
    """Read a text file.

    Raises:
        UserError: The file is missing or unreadable.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist; `python -m pgprim.commands.scale default` writes params.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from None


def parse(text: str, path: str | Path, yaml: YAML | None = None, skipped: int = 0) -> Any:
    """Parse YAML.

    Args:
        text: Content of the file.
        path: The file's path, for the message.
        yaml: A loader; the safe one by default.
        skipped: Number of lines at the beginning of the text that are not in the file.

    Raises:
        UserError: The text is not YAML.
    """
    try:
        # The pure Python loader reads YAML 1.2 and refuses duplicate keys.
        return (yaml or YAML(typ="safe", pure=True)).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1 - skipped}, column {mark.column + 1}" if mark else ""
        problem = (error.problem or error.context or "it cannot be parsed").splitlines()[0]
        raise UserError(f"{path}{where}: not valid YAML, {problem}") from None
    except (YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML, {str(error).splitlines()[0]}") from None
