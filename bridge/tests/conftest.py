"""One repository with everything computed, pushed to its folder `remote` and committed; each test takes a copy.

Services that tests share, too: `make test-services` sets `DVCSNAKE_TEST_SERVICES`, without which their tests are skipped.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import services
from toys import ALL, Checkout, make_toy, nothing_computed


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
    return nothing_computed(origin, tmp_path)


def pytest_sessionfinish(session) -> None:
    """Have xdist's main process know which services this one had."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["services"] = services.NOTES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Hear it from xdist's workers."""
    services.NOTES.extend(getattr(node, "workeroutput", {}).get("services", []))


def pytest_terminal_summary(terminalreporter) -> None:
    """Say which services the tests ran on."""
    for note in services.NOTES:
        terminalreporter.write_line(f"service: {note}")


@pytest.fixture(scope="session")
def ssh_port(tmp_path_factory) -> Iterator[tuple[int, Path]]:
    """The port of an ssh server and the folder with its keys: OpenSSH's where it can be had, else one in Python."""
    pytest.importorskip("dvc_ssh", reason="dvc-ssh is not installed (pip install -e 'bridge[ssh]')")
    place = tmp_path_factory.mktemp("ssh") / "server"
    with services.available(services.ssh_server(place)) as port:
        yield port, place


@pytest.fixture(scope="session")
def s3_bucket(tmp_path_factory) -> Iterator[services.Bucket]:
    """A bucket of an S3 service."""
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed (pip install -e 'bridge[s3]')")
    with services.available(services.s3_server(tmp_path_factory.mktemp("s3"))) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def slurm(tmp_path_factory) -> Iterator[None]:
    """A SLURM that takes jobs."""
    pytest.importorskip(
        "snakemake_executor_plugin_slurm", reason="the plugin is not installed (bridge[slurm])"
    )
    with services.available(services.slurm(tmp_path_factory.mktemp("slurm"))):
        yield
