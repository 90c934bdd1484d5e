"""Template files that set up the bridge in a DVC repository."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvcsnake.errors import UserError
from dvcsnake.hooks import settings
from dvcsnake.lock_file import ATTRIBUTE

HERE = Path(__file__).parent

DVCIGNORE = (
    "/.snakemake",
    "/logs",
    "/benchmarks",
    ".snakemake_timestamp",
    ".not_here.json",
    "__pycache__",
    ".gitignore",
)
GITIGNORE = ("/.snakemake/", "/logs/", "/benchmarks/", "__pycache__/")


def start(root: Path, package: str | None, say: Callable[[str], None] = print) -> None:
    """Write a Snakefile, a profile and settings into a DVC repository; what is there already is kept.

    .gitignore gets the outputs of dvc.yaml, if there is one: DVC refuses to make what Git has.

    Args:
        root: The folder of the repository.
        package: The folder of the Python package whose code is hashed, if stages depend on code.
        say: Takes one line of text for the user.

    Raises:
        UserError: The folder is no DVC repository, or its pyproject.toml or dvc.yaml cannot be used.
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
    table = settings(root)
    if table is None:
        lines = [
            "[tool.dvcsnake]",
            *([f'package = "{package}"'] if package else []),
            'targets = ["figures/*"]',
        ]
        _append(root / "pyproject.toml", lines)
        say("pyproject.toml has the table [tool.dvcsnake]")
    else:
        say(f"pyproject.toml is left as it is{_correction(table, package)}")
    if (root / "dvc.yaml").exists() and (lines := _outputs(root)):
        _append(root / ".gitignore", lines)
        say(f".gitignore has {', '.join(lines)}")


def _correction(table: dict[str, Any], package: str | None) -> str:
    """How the table has to change by hand for a package, as the end of a sentence; empty if it need not."""
    if package is None or table.get("package") == package:
        return ""
    if "hooks" in table:
        return f'; the hooks, {table["hooks"]}, must have `package="{package}"`'
    before = f" in place of {table['package']!r}" if "package" in table else ""
    return f'; write the line `package = "{package}"`{before} below [tool.dvcsnake]'


def _outputs(root: Path) -> list[str]:
    """Lines for .gitignore that match those outputs of dvc.yaml that Git does not ignore yet."""
    from dvcsnake.dvc_api import Repository
    from dvcsnake.pipeline import Pipeline

    if not shutil.which("git"):
        return []
    pipeline = Pipeline(*Repository(root).definitions())
    outs = (out for group in pipeline.groups for out in pipeline.globs(group))
    # Git has small files with `cache: false`, which is what DVC means by it
    patterns = dict.fromkeys(out.path for out in outs if out.is_shared or out.is_linked)
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=root, input="\0".join(patterns), capture_output=True, text=True, check=False,
    ).stdout.split("\0")  # fmt: skip
    lines = [f"/{pattern}" for pattern in patterns if pattern not in ignored]
    return [line for line in lines if line not in _lines(root / ".gitignore")]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _append(path: Path, lines: list[str]) -> None:
    before = path.read_text() if path.exists() else ""
    gap = "\n" if before and not before.endswith("\n") else ""
    if lines:
        path.write_text(before + gap + "".join(f"{line}\n" for line in lines))
