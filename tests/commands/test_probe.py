"""The command `probe` on rollouts: what it writes, and how it ends on bad input."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pgprim.commands.params import load
from pgprim.store.checkpoints import save_checkpoint
from pgprim.store.datasets import load_dataset, open_store
from pgprim.types.errors import UserError
from tests.commands.measuring import measure
from tests.probes.synthetic import PPO, make_checkpoint, make_rollouts, pool_of

ROOT = Path(__file__).parents[2]
TRIALS, TRUTH, PAIRS = 4, 3, 700


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with parameters, a checkpoint and its rollouts."""
    monkeypatch.chdir(tmp_path)
    params = load(ROOT / "workflow" / "scales" / "default.yaml")
    params["train"] |= {"minibatches": PPO["minibatches"], "pairs": PPO["pairs"]}
    params["sample"] = pool_of(TRIALS + TRUTH, PAIRS, TRIALS)
    params["probes"]["rollouts"] = {probe: {"budgets": [100, 512, PAIRS]} for probe in ("gradient", "steps")}
    params["plot"]["budget"] = PAIRS
    params["fit"]["beyond"] = 100  # it must fit into the streams, too
    params["baselines"] |= {"budgets": [PAIRS], "pairs": PAIRS, "beyond": 100}
    _write(params)
    checkpoint = make_checkpoint(PPO)
    save_checkpoint("agent.safetensors", checkpoint)
    make_rollouts("rollouts.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    return params


def _write(params):
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)


def _run(probe, *, checkpoint="agent.safetensors", rollouts="rollouts.zarr", name="out"):
    command = [sys.executable, "-m", "pgprim.commands.probe", probe, "--checkpoint", checkpoint]
    command += ["--rollouts", rollouts, "--vectors", f"{name}/g.zarr", "--out", f"{name}/e.nc"]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})


def _files(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()
    }


@pytest.mark.parametrize(
    ("probe", "vectors", "dims"),
    [("gradient", "score_sum", ("stream", "param")), ("steps", "step", ("budget", "trial", "param"))],
)
def test_the_command_writes_vectors_and_numbers_the_same_every_time(here, probe, vectors, dims):
    for name in ("one", "two"):
        done = _run(probe, name=name)
        assert done.returncode == 0, done.stderr
        assert "pair" in done.stderr  # progress
    assert _files("one") == _files("two")
    assert len(_files("one")) <= 36
    assert open_store("one/g.zarr")[vectors].dims == dims
    numbers = load_dataset("one/e.nc")
    labels = {"task", "algo", "seed", "iteration", "budget", "trial", "bound"}
    assert set(numbers.dims) == labels | ({"trial_b"} if probe == "steps" else set())
    assert {"params", "checkpoint_sha256", "probe", "level"} <= set(numbers.attrs)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"probe": "nonsense"}, "nonsense: no probe; there are baselines, fit, floors, gradient"),
        ({"checkpoint": "none.safetensors"}, "none.safetensors: no such checkpoint"),
        ({"rollouts": "none.zarr"}, "none.zarr: no such store of rollouts"),
        (
            {"checkpoint": "other.safetensors"},
            "rollouts.zarr: seed is 0, but must be that of other.safetensors, 5",
        ),
        (
            {"sample": {"streams": 8, "kept": 8}},
            "has 7 streams of 700 pairs, but sample.kept and sample.pairs in params.yaml ask for 8 of 700",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(here, change, sentence):
    save_checkpoint("other.safetensors", make_checkpoint(PPO, seed=5))
    here["sample"] |= change.pop("sample", {})
    _write(here)
    usual = {"probe": "gradient", "checkpoint": "agent.safetensors", "rollouts": "rollouts.zarr"}
    with pytest.raises(UserError, match=re.escape(sentence)):
        given = usual | change
        measure(given.pop("probe"), "out/e.nc", vectors="out/g.zarr", **given)
    assert not Path("out").exists()


def test_a_sentence_and_an_exit_status_are_all_that_bad_input_gets(here):
    done = _run("gradient", rollouts="none.zarr")
    assert done.returncode == 1
    assert done.stderr.startswith("python -m pgprim probe: none.zarr") and done.stderr.count("\n") == 1


def test_help_helps():
    command = [sys.executable, "-m", "pgprim.commands.probe", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "--rollouts" in done.stdout and "NAME" in done.stdout
    assert "None" not in done.stdout
