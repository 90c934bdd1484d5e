"""docs/audit.md, run as it stands."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.audit.audits import ENVIRONMENT, ROOT

PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def run(block, language, folder):
    words = [sys.executable, "-c", block] if language == "python" else ["sh", "-ec", block]
    environment = ENVIRONMENT | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{block}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_page_runs_as_it_stands(tmp_path):
    blocks = re.findall(r"```(python|sh)\n(.*?)```", PAGE, re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "sh", "python", "sh", "python"]
    printed = [run(block, language, tmp_path) for language, block in blocks]
    first, grown = (json.loads((tmp_path / name / "audit.json").read_text()) for name in ("first", "grown"))
    assert first["agent"]["iteration"] == 4
    assert grown["history"]["updates"]["iteration"] == [0, 1]
    assert first["sections"][0]["findings"][0]["sentence"] in printed[-1]
    for name in ("first", "grown"):
        assert (tmp_path / name / "audit.html").exists()
        assert (tmp_path / name / "audit.pdf").exists()


def test_the_page_names_options_that_there_are():
    help_text = run("python -m pgprim audit --help; dvc pull --help", "sh", ROOT)
    for option in sorted(set(re.findall(r"(?<!-)--[a-z][a-z-]*", PAGE))):
        assert option in help_text, option
