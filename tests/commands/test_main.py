"""One entry for all commands: it lists them without loading them, runs them, and knows what was meant."""

import subprocess
import sys
from pathlib import Path

import pytest

from pgprim.__main__ import commands

ROOT = Path(__file__).parents[2]


def pgprim(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "pgprim", *words], cwd=ROOT, capture_output=True, text=True)


def test_all_commands_are_listed_with_what_they_do():
    done = pgprim("--help")
    assert done.returncode == 0 and pgprim().stdout == done.stdout
    for name, says in commands().items():
        assert f"  {name:12} {says}\n" in done.stdout and says.endswith((".", ":"))
    assert {
        "train",
        "checkpoint",
        "sample",
        "rerun",
        "probe",
        "vary",
        "plot",
        "cost",
        "scale",
    } <= commands().keys()


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_is_the_module_of_its_name_and_shows_no_default_that_is_none(name):
    done = pgprim(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: python -m pgprim") and "None" not in done.stdout


def test_a_command_s_sentence_and_status_come_through():
    done = pgprim("probe", "velue", "--out", "x.nc")
    assert done.returncode == 1 and "velue: no probe" in done.stderr and "Traceback" not in done.stderr


def test_what_is_no_command_is_answered_with_what_was_meant():
    done = pgprim("smaple")
    assert (done.returncode, done.stderr) == (
        1,
        "python -m pgprim: smaple is no command; did you mean sample?\n",
    )
