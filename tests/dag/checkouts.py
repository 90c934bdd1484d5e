"""The real dvc.yaml, Snakefile, rules and profiles over toy stages that take milliseconds, in a temporary folder.

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

PROJECT = Path(__file__).parents[2]
TOY = Path(__file__).parent / "toy"

FIGURES = """\
  figure:
    foreach:
      fig1: {probe: gradient, reads: data/estimates/gradient/hopper/ppo/0/2.nc}
      fig2: {probe: gradient, reads: data/estimates/gradient}
      fig8: {probe: training, reads: data/records}
    do:
      cmd: >-
        python -m pgprim.commands.plot ${key} --probe ${item.probe} --out figures/${key}.pdf --png figures/${key}.png
        --data data/figures/${key}.nc ${item.reads}
      params: [plot]
      deps:
        - data/code/commands/plot.txt
        - data/code/probes/${item.probe}/plot.txt
        - ${item.reads}
      outs:
        - figures/${key}.pdf
        - figures/${key}.png
        - data/figures/${key}.nc
"""

ALL = {"train": 1, "checkpoint": 2, "sample": 2, "estimate": 2, "plot": 3}
"""How often which stage runs when everything is computed."""


STAGES = ("code", "train", "checkpoint", "sample", "estimate")
"""The stages of the real dvc.yaml that the toy takes over; figures are its own."""

LISTS = {"tasks": ["hopper"], "algos": ["ppo"], "seeds": [0], "lockstep": ["0"], "iterations": [0, 2]}


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
        found = re.search(r"(\d+) of \1 steps", self.text)
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


def make_toy(folder: Path) -> None:
    """Put the toy's files into an empty folder."""
    for name in (
        "Snakefile",
        "profiles",
        "workflow",
        ".dvcignore",
        ".gitignore",
        ".dvc/config",
        ".dvc/.gitignore",
    ):
        source, target = PROJECT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TOY, folder / "pgprim", ignore=without)
    (folder / "pgprim/__init__.py").touch()
    for name in ("dag", "types"):
        shutil.copytree(PROJECT / "pgprim" / name, folder / "pgprim" / name, ignore=without)
    for name in ("data", "figures"):
        (folder / name).mkdir()
        (folder / name / ".gitkeep").touch()
    head, *stages = re.split(r"(?m)^(?=  \w+:)", (PROJECT / "dvc.yaml").read_text())
    kept = [stage for stage in stages if stage.split(":")[0].strip() in STAGES]
    (folder / "dvc.yaml").write_text(head + "".join(kept) + FIGURES)
    (folder / "params.yaml").write_text(yaml.safe_dump(toy_params(), sort_keys=False))


def toy_params() -> dict:
    params = narrow(yaml.safe_load((PROJECT / "workflow/scales/default.yaml").read_text()), LISTS)
    params["train"] |= {"iterations": 3, "snapshot_every": 1}
    params["sample"] = {"trials": 4, "truth_streams": 4, "pairs": 1000}
    params["estimate"] = {"gradient": {"budgets": [100, 1000], "level": 0.95}}
    params["baselines"] |= {"budgets": [100, 1000], "pairs": 100}
    params["semantics"]["probes"] = ["gradient"]
    return params


def narrow(params: dict, lists: dict[str, list]) -> dict:
    """Parameters whose lists of tasks, of seeds and so on are those given; blocks that name some of them get the last.

    A block in which some seeds choose for others keeps its own seeds.
    """
    lists = {"probed": lists["algos"]} | lists if "algos" in lists else lists
    ends = {key: values[-1:] for key, values in lists.items()}
    found = {key: narrow(value, ends) if isinstance(value, dict) else value for key, value in params.items()}
    own = {"lockstep"} if "choose" in found else set()
    return found | {
        key: values for key, values in lists.items() if isinstance(found.get(key), list) and key not in own
    }
