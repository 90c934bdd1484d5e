"""Template files that set up the bridge in a DVC repository."""

from collections.abc import Callable
from pathlib import Path

from dvcsnake.errors import UserError
from dvcsnake.lock_file import ATTRIBUTE

HERE = Path(__file__).parent

DVCIGNORE = ("/.snakemake", "/logs", "/benchmarks", ".snakemake_timestamp", ".not_here.json", "__pycache__")
GITIGNORE = ("/.snakemake/", "/logs/", "/benchmarks/", "__pycache__/")


def start(root: Path, package: str | None, say: Callable[[str], None] = print) -> None:
    """Write a Snakefile, a profile and settings into a DVC repository; existing files are kept.

    Args:
        root: The folder of the repository.
        package: The folder of the Python package whose code is hashed, if stages depend on code.
        say: Takes one line of text for the user.

    Raises:
        UserError: The folder is no DVC repository.
    """
    if not (root / ".dvc").is_dir():
        raise UserError(f"{root} is no DVC repository: run `git init && dvc init` first")
    for name, template in (("Snakefile", "Snakefile"), ("profiles/default/config.yaml", "profile.yaml")):
        if (root / name).exists():
            say(f"{name} is left as it is")
            continue
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((HERE / template).read_text())
        say(f"{name} written")
    for name, lines in (
        (".dvcignore", DVCIGNORE),
        (".gitignore", GITIGNORE),
        (".gitattributes", (ATTRIBUTE,)),
    ):
        _append(root / name, [line for line in lines if line not in _lines(root / name)])
    if "[tool.dvcsnake]" not in _lines(root / "pyproject.toml"):
        table = [
            "[tool.dvcsnake]",
            *([f'package = "{package}"'] if package else []),
            'targets = ["figures/*"]',
        ]
        _append(root / "pyproject.toml", table)
        say("pyproject.toml has the table [tool.dvcsnake]")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _append(path: Path, lines: list[str]) -> None:
    before = path.read_text() if path.exists() else ""
    gap = "\n" if before and not before.endswith("\n") else ""
    if lines:
        path.write_text(before + gap + "".join(f"{line}\n" for line in lines))
