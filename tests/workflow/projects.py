"""Copies of the whole project with their own parameters, cache and remote."""

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.checkouts import PROJECT, Checkout

COPIED = (
    "Snakefile", "dvc.yaml", "profiles", "workflow", "pgprim", "pyproject.toml", ".dvcignore",
    ".gitignore", ".dvc/config", ".dvc/.gitignore", "data/.gitkeep", "figures/.gitkeep",
)  # fmt: skip

TINY = {
    "tasks": ["hopper"], "algos": ["ppo"], "probed": ["ppo"], "seeds": [0], "probed_seeds": [0], "iterations": [0, 1],
    "train": {"iterations": 2, "snapshot_every": 1},
    "sample": {
        "streams": 8, "pairs": 700, "estimates": 4, "kept": 7, "trials": 4, "deep": {"seeds": [], "pairs": 700}
    },
    "probes": {
        "rollouts": {"gradient": {"budgets": [300, 700]}, "steps": {"budgets": [300]}},
        "checkpoints": {"floors": {"states": 3, "branches": 3}},
    },
    "landscape": {"seeds": [0], "few": {"closer": []}},
    "fit": {"tasks": ["hopper"], "iterations": [1], "beyond": 100},
    "baselines": {"budgets": [300, 700], "pairs": 300, "beyond": 100},
    "ablation": {"rates": [1.0], "seeds": [0, 1, 2], "choose": [0], "iterations": 1, "pairs": 128},
    "robustness": {"iterations": [1], "factors": [0.8, 1.0], "noise": [0.0, 0.2], "episodes": 2},
    "reliability": {"tasks": ["hopper"], "multiples": [1.0], "seeds": [0, 1], "iterations": 1},
    "clipping": {"versions": ["v5"], "rates": [1.0], "seeds": [0, 1], "iterations": 1, "cost_points": 1},
    "regime": {"pairs": [128], "total_pairs": 256, "rates": [1.0], "seeds": [0, 1]},
    "semantics": {"train_iterations": 2, "probes": ["gradient"]}, "plot": {"budget": 700},
}  # fmt: skip
"""What differs from the default set at a scale of seconds."""

FIGURES = "figures/fig8.pdf figures/noise_scale.pdf figures/steps.pdf"
METRICS = "data/metrics/hopper/ppo.json"
"""What the first run of the computed project makes."""


def copy_project(scratch: Path, **changes: object) -> Checkout:
    """The project as it is on disk, in a folder and Git repository of its own, with the parameters `TINY`.

    Args:
        scratch: An empty folder.
        changes: Keys of `TINY` that are to be different.
    """
    checkout = Checkout(scratch / "copy", scratch)
    for name in COPIED:
        source, target = PROJECT / name, checkout.path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (checkout.path / "remote").mkdir()
    checkout.run("git init -q -b main")
    rescale(checkout, **changes)
    return checkout


def rescale(checkout: Checkout, **changes: object) -> None:
    """Give a copy the parameters `TINY`, with the changes."""
    (checkout.path / "tiny.yaml").write_text(yaml.safe_dump(TINY | changes, default_flow_style=None))
    checkout.run("python -m pgprim.commands.scale tiny.yaml")


def copy_of(computed: Checkout, scratch: Path) -> Checkout:
    """A copy of a project with all that was computed in it, its cache and its records of runs.

    Args:
        computed: The project.
        scratch: A folder without a `copy`.
    """
    checkout = Checkout(scratch / "copy", scratch)
    # hard links within the copy must stay hard links
    subprocess.run(["cp", "-a", computed.path, checkout.path], check=True)
    return checkout
