"""Changed code that is known to compute the same: what was made before the change stays valid.

A digest cannot tell a change of results from one of speed or of what happens on a failure. Where a developer can, the
change is declared, with its reason, in `equal_code.yaml` in the package's folder: as long as the module is the declared one,
it counts as the earlier one. The next change of it ends that, unless it is declared as well. Declarations are part of
what is committed and reviewed.
"""

from functools import cache
from pathlib import Path

import yaml

from dvcsnake.errors import UserError

DECLARED = "equal_code.yaml"
"""Where declarations stand, inside the package."""

HEADER = """\
# Changes of code that change no result: a module with this digest counts as one with the digest `as`.
# `python -m dvcsnake same MODULE --why REASON` writes a line here, before the change is committed.
"""

KEYS = ("digest", "as", "why")


def counts_as(package: Path, name: str, digest: str) -> str:
    """The digest that a module is to have: its own, unless a declaration says otherwise.

    Args:
        package: The package's folder.
        name: The module's path in it.
        digest: What the module says.

    Raises:
        UserError: The declarations are malformed.
    """
    entry = declarations(package).get(name)
    return entry["as"] if entry is not None and entry["digest"] == digest else digest


def declarations(package: Path) -> dict[str, dict[str, str]]:
    """Digest, what it counts as, and why, by the module's path in the package."""
    path = package / DECLARED
    return _read(path, path.stat().st_mtime_ns) if path.exists() else {}


def write(package: Path, found: dict[str, dict[str, str]]) -> None:
    """Keep declarations."""
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
