"""The tiny project, computed once for all tests that begin from it; each of them changes a copy."""

import fcntl
import os

import pytest

from tests.checkouts import Checkout
from tests.workflow.projects import FIGURES, METRICS, copy_of, copy_project


@pytest.fixture(scope="session")
def origin(tmp_path_factory) -> Checkout:
    """The tiny project after its first run, which made `FIGURES` and `METRICS`, all committed; not to be changed.

    What that run said is in `first.txt` beside it.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = (shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared) / "tiny"
    shared.mkdir(exist_ok=True)
    first = shared / "first.txt"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not first.exists():
            project = copy_project(shared)
            text = project.snakemake(f"{FIGURES} {METRICS}").text
            project.run("git add -A && git commit -qm everything")
            first.write_text(text)
    return Checkout(shared / "copy", shared)


@pytest.fixture
def project(origin, tmp_path) -> Checkout:
    """A copy of the computed project."""
    return copy_of(origin, tmp_path)
