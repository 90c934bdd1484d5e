"""One repository with everything computed, pushed to its folder `remote` and committed; each test takes a copy."""

import fcntl
import os
import subprocess

import pytest
from toys import ALL, Checkout, make_toy


@pytest.fixture(scope="session")
def origin(tmp_path_factory) -> Checkout:
    """A repository with everything computed, its small outputs in `remote`, all committed; not to be changed."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared
    made = Checkout(shared / "toy", shared)
    with (shared / "toy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "toy.done").exists():
            make_toy(made.path)
            made.run("git init -q -b main")
            result = made.snakemake()
            assert result.ran == ALL, result.text
            made.run("python -m dvcsnake push")
            made.commit()
            (shared / "toy.done").touch()
    return made


@pytest.fixture
def clone(origin, tmp_path) -> Checkout:
    """A fresh clone, without `dvc pull`."""
    path = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", origin.path, path], check=True)
    return Checkout(path, tmp_path)


@pytest.fixture
def whole(origin, tmp_path) -> Checkout:
    """A clone in which everything was computed: workspace and cache are those of the origin."""
    path = tmp_path / "whole"
    # hard links within the copy must stay hard links
    subprocess.run(["cp", "-a", origin.path, path], check=True)
    return Checkout(path, tmp_path)


@pytest.fixture
def blank(origin, tmp_path) -> Checkout:
    """A clone in which nothing was ever computed, and that has no remote."""
    path = tmp_path / "blank"
    subprocess.run(["git", "clone", "-q", origin.path, path], check=True)
    (path / "dvc.lock").unlink()
    (path / ".dvc/no-remote").mkdir()
    (path / ".dvc/config.local").write_text("['remote \"repository\"']\n    url = no-remote\n")
    return Checkout(path, tmp_path)
