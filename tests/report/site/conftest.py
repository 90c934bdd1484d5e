import subprocess
import sys

import pytest

from tests.report.site.study import DRAWN, write


def make_page(folder, *more):
    command = [sys.executable, "-m", "pgprim.commands.site", "--out", "site/index.html", *DRAWN, *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A folder with a study and its page."""
    folder = write(tmp_path_factory.mktemp("study"))
    made = make_page(folder, "--audits", "audits")
    assert made.returncode == 0, made.stderr
    return folder
