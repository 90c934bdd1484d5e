"""A toy project under the bridge, `toy/`, whose stages take milliseconds, in a temporary folder.

`conftest.py` makes one origin of it, with everything computed and pushed; each test takes a clone.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

TOY = Path(__file__).parent / "toy"
README = (Path(__file__).parents[1] / "README.md").read_text()

ALL = {"simulate": 1, "pick": 2, "draw": 2, "estimate": 2, "plot": 3}
"""How often which stage runs when everything is computed."""


@dataclass
class Result:
    """What a command said, how long it took, and which toy stages really ran."""

    status: int
    text: str
    seconds: float
    ran: Counter
    runs: list

    @property
    def fetched(self) -> list:
        """The bridge's lines about what came from where."""
        return re.findall(r"dvc: ((?:fetched|restored) .*)", self.text)

    @property
    def promised(self) -> list:
        """The same lines as far as a dry run announces them."""
        return [" ".join(found) for found in re.findall(r"dvc: would be (fetched|restored): (.*)", self.text)]

    @property
    def jobs(self) -> int:
        found = re.search(r"(\d+) of \1 done", self.text)
        return int(found[1]) if found else 0


class Checkout:
    """A folder with the toy in it."""

    def __init__(self, path: Path, scratch: Path):
        self.path = path
        self.log = scratch / f"{path.name}.log"
        self.env = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOY_LOG": str(self.log),
            "DVC_SITE_CACHE_DIR": str(scratch / "site"),
            "XDG_CACHE_HOME": str(scratch / "xdg"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{
                f"GIT_{who}_{what}": "toy@example.org"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }

    def run(self, command: str, check: bool = True, **env: str) -> Result:
        """Run a command line in the checkout."""
        self.log.unlink(missing_ok=True)
        start = time.monotonic()
        done = subprocess.run(
            command, shell=True, cwd=self.path, env=self.env | env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        seconds = time.monotonic() - start
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}"
        runs = self.runs()
        return Result(done.returncode, done.stdout, seconds, Counter(line.split()[0] for line in runs), runs)

    def start(self, command: str, **env: str) -> subprocess.Popen:
        """Start a command line in the checkout, as the leader of a process group of its own."""
        return subprocess.Popen(
            command, shell=True, cwd=self.path, env=self.env | env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def runs(self) -> list[str]:
        """The lines of stages that ran since the last command started."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def snakemake(self, targets: str = "", check: bool = True, **env: str) -> Result:
        return self.run(f"snakemake -j2 {targets}", check, **env)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.path / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def files(self, pattern: str) -> list[str]:
        """Files that match a pattern, without those that Snakemake and Git put there."""
        found = (file for file in self.path.glob(pattern) if file.is_file() and file.name[0] != ".")
        return sorted(file.relative_to(self.path).as_posix() for file in found)

    def contents(self) -> dict[str, bytes]:
        """The bytes of all outputs and of dvc.lock."""
        paths = [*self.files("data/**/*"), *self.files("figures/*"), "dvc.lock"]
        return {path: (self.path / path).read_bytes() for path in paths}

    def commit(self) -> None:
        self.run("git add -A && git commit -qm toy")

    def is_clean(self) -> bool:
        """Whether `dvc status` finds nothing to say."""
        return "up to date" in self.run("dvc status").text


def make_toy(folder: Path, params: dict | None = None) -> None:
    """Put the toy's files into a folder that does not exist yet.

    Args:
        folder: the folder.
        params: what its params.yaml is to say; None for the toy's own.
    """
    shutil.copytree(TOY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data", "figures"):
        (folder / name).mkdir()
        (folder / name / ".gitkeep").touch()
    if params:
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def readme_blocks() -> list[tuple[str, str, str]]:
    """The code blocks of the README's example: what the line before says, the language, the code."""
    example = README.split("## In two minutes")[1].split("## What a stage may be")[0]
    return re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)```", example, re.DOTALL)


def make_letters(scratch: Path) -> Checkout:
    """The README's example, whose files are written and on which no command of the bridge was run yet."""
    checkout = Checkout(scratch / "letters", scratch)
    first, *rest = readme_blocks()
    setup = first[2].replace("pip install ./bridge", "true")
    subprocess.run(setup, shell=True, cwd=scratch, env=checkout.env, check=True, stdout=subprocess.DEVNULL)
    for said, language, code in rest:
        if language != "bash":
            (path,) = re.findall(r"Write `([^`]+)`", said)
            (checkout.path / path).write_text(code)
    return checkout


def toy_params() -> dict:
    """What the toy's params.yaml says."""
    return yaml.safe_load((TOY / "params.yaml").read_text())


def nothing_computed(origin: Checkout, scratch: Path) -> Checkout:
    """A clone in which nothing was ever computed, and that has no remote."""
    path = scratch / "blank"
    subprocess.run(["git", "clone", "-q", origin.path, path], check=True)
    (path / "dvc.lock").unlink()
    (path / ".dvc/no-remote").mkdir()
    (path / ".dvc/config.local").write_text("['remote \"repository\"']\n    url = no-remote\n")
    return Checkout(path, scratch)
