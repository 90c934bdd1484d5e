"""Audits as people run them: by the command, in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}
OPTIONS = ("--env", "Hopper-v5", "--size", "smoke", "--episodes", "2", "--out", "audit")


def command(*args):
    return [sys.executable, "-m", "pgprim", "audit", *map(str, args)]


def audit(folder, *args, code=0):
    """Run an audit in a folder; returns what it printed."""
    done = subprocess.run(command(*args), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def visible(html):
    """The words of a page, without tags and with plain spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("&#39;", "'"))
