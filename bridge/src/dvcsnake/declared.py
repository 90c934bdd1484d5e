"""Declared changes of code that change no result, so that existing results stay valid.

A digest cannot distinguish a change of results from a change of speed or of an error message. A developer who can
declares the change, with its reason, in `equal_code.yaml` in the package's folder: as long as the module is unchanged
since, it has the digest of its earlier version. The module's next change ends this, unless it is declared as well.
Declarations are committed and reviewed.
"""

from functools import cache
from pathlib import Path

import yaml

from dvcsnake.errors import UserError

DECLARED = "equal_code.yaml"
"""File of the declarations, inside the package."""

HEADER = """\
# Changes of code that change no result: a module with this digest counts as one with the digest `as`.
# `python -m dvcsnake same MODULE --why REASON` writes a line here, before the change is committed.
"""

KEYS = ("digest", "as", "why")


def counts_as(package: Path, name: str, digest: str) -> str:
    """The effective digest of a module: its own, unless there is a declaration.

    Args:
        package: The package's folder.
        name: The module's path in it.
        digest: Digest of the module.

    Raises:
        UserError: The declarations are malformed.
    """
    entry = declarations(package).get(name)
    return entry["as"] if entry is not None and entry["digest"] == digest else digest


def declarations(package: Path) -> dict[str, dict[str, str]]:
    """Digest, equivalent digest and reason, by the module's path in the package."""
    path = package / DECLARED
    return _read(path, path.stat().st_mtime_ns) if path.exists() else {}


def write(package: Path, found: dict[str, dict[str, str]]) -> None:
    """Write the declarations."""
    text = yaml.safe_dump(dict(sorted(found.items())), sort_keys=False, allow_unicode=True, width=4096)
    (package / DECLARED).write_text(HEADER + text, encoding="utf-8")


@cache
def _read(path: Path, _mtime_ns: int) -> dict[str, dict[str, str]]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML, {str(error).splitlines()[0]}") from None
    for name, entry in found.items() if isinstance(found, dict) else [("the file", None)]:
        if not isinstance(entry, dict) or sorted(entry) != sorted(KEYS) or not all(entry.values()):
            raise UserError(f"{path}: {name} must be a mapping with the keys {', '.join(KEYS)}, each a text")
    return found
