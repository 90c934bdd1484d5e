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
    assert done.stdout.startswith(f"usage: python -m pgprim {name} ") and "None" not in done.stdout


def test_a_command_s_sentence_and_status_come_through():
    done = pgprim("probe", "velue", "--out", "x.nc")
    assert done.returncode == 1 and "velue: no probe" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "output"),
    [
        ("train --task hopper --algo ppo --seeds 0 --snapshots s --records", "r"),
        ("train --task hopper --algo ppo --seeds 0 --records r --snapshots", "s"),
        ("vary ablation --task hopper --variant 0 --seeds 0 --out", "v"),
        ("sample --checkpoint c --out", "r.zarr"),
        ("rerun --training t --records r --seeds 0 --out", "r"),
        ("probe gradient --checkpoint c --rollouts r --out e.nc --vectors", "g.zarr"),
        ("probe gradient --checkpoint c --rollouts r --vectors g.zarr --out", "e.nc"),
        ("updates --training t --out", "u.zarr"),
        ("checkpoint --training t --iteration 0 --out", "0.safetensors"),
        ("relate --records r --gradient g --value v --landscape l --out", "r.nc"),
        ("plot fig2 --by nowhere --png f.png --data f.nc --out", "f.pdf"),
        ("plot fig2 --by nowhere --out f.pdf --data f.nc --png", "f.png"),
        ("plot fig2 --by nowhere --out f.pdf --png f.png --data", "f.nc"),
        ("summarise --records r --estimates e --out", "ppo.json"),
        ("claims --section gradients --out", "claims"),
        ("site --draw nowhere fig2 --out", "index.html"),
        ("adopt none.zip --name mine --task hopper --out", "mine.safetensors"),
        ("audit none.zip --env Hopper-v5 --out", "mine"),
    ],
)
def test_an_output_that_cannot_be_made_is_told_before_anything_is_read(tmp_path, options, output):
    """No input exists; without the check the first of them would be complained of."""
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "deep" / output
    done = pgprim(*options.split(), str(out))
    told = f"{out}: cannot be written, because {tmp_path / 'file'} is no folder; give a path that can\n"
    assert done.returncode == 1 and done.stderr.endswith(told) and done.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "in the way"


def test_what_is_no_command_is_answered_with_what_was_meant():
    done = pgprim("smaple")
    assert (done.returncode, done.stderr) == (
        1,
        "python -m pgprim: smaple is no command; did you mean sample?\n",
    )
