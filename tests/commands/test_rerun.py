"""From training to value prediction errors by the commands: training is only read, and the same bytes come out again."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pgprim.commands import rerun, train
from pgprim.core.value_errors import tail_length
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset
from pgprim.store.reruns import PARTS, open_reruns
from pgprim.types.errors import UserError
from tests.commands.measuring import measure
from tests.dag.checkouts import narrow

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
DEFAULT = YAML(typ="safe", pure=True).load((ROOT / "workflow/scales/default.yaml").read_text())
GAMMA, BEYOND, NUM_PAIRS = 0.9, 50, 128
TRAINING, RECORDS = "data/training/hopper/ppo", "data/records/hopper/ppo"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small training run and its replays."""
    folder = tmp_path_factory.mktemp("place")
    lists = {
        "tasks": ["hopper"],
        "algos": ["ppo"],
        "seeds": [0, 1],
        "iterations": [0, 2],
    }
    params = narrow(DEFAULT, lists)
    params["train"] |= {
        "iterations": 4,
        "snapshot_every": 1,
        "pairs": NUM_PAIRS,
        "minibatches": 4,
        "gamma": GAMMA,
    }
    params["rerun"] = {"every": 2, "beyond": BEYOND}
    params["probes"]["checkpoints"]["floors"] |= {"states": 6, "branches": 3, "beyond": BEYOND}
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = {"task": "hopper", "algo": "ppo", "seeds": [0, 1]}
        train.main(argparse.Namespace(**options, snapshots=TRAINING, records=RECORDS))
        before = contents(Path(TRAINING))
        rerun.main(argparse.Namespace(training=TRAINING, records=RECORDS, seeds=[0, 1], out="once"))
        assert contents(Path(TRAINING)) == before
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_seed_s_reruns_are_the_same_bytes_again_and_alone(place, monkeypatch):
    monkeypatch.chdir(place)
    rerun.main(argparse.Namespace(training=TRAINING, records=RECORDS, seeds=[1], out="alone"))
    once, alone = contents(place / "once"), contents(place / "alone")
    assert alone == {name: raw for name, raw in once.items() if name.startswith("1.zarr")} and len(alone) < 40


def test_reruns_are_labelled(place):
    ds = open_reruns(place / "once" / "1.zarr")
    assert dict(ds.sizes) == {"seed": 1, "iteration": 2, "part": 2, "t": NUM_PAIRS + BEYOND}
    assert ds.iteration.values.tolist() == [0, 2] and ds.part.values.tolist() == list(PARTS)
    assert ds.attrs["time_limit"] == 1000 and ds.attrs["num_pairs"] == NUM_PAIRS
    assert all(array.attrs["units"] and array.attrs["long_name"] for array in ds.data_vars.values())
    assert (ds.rew.sel(part="train") != ds.rew.sel(part="held_out")).any()
    assert np.isfinite(ds.val_new).all()


def test_value_errors_are_measured_from_reruns(place, monkeypatch):
    monkeypatch.chdir(place)
    for name in ("once", "again"):
        measure("value", f"{name}.nc", rerun="once/1.zarr")
    assert Path("once.nc").read_bytes() == Path("again.nc").read_bytes()
    ds = load_dataset("once.nc").squeeze()
    assert (ds.mre > 0).all() and ds.attrs["environment"] == '{"id": "Hopper-v5"}'
    assert json.loads(ds.attrs["params"]) == {"probes": {"reruns": {"value": {}}}}
    stored = open_reruns("once/1.zarr")
    assert json.loads(stored.attrs["params"]) == {"rerun": {"every": 2, "beyond": BEYOND}}


def test_floors_are_measured_at_checkpoints(place, monkeypatch):
    monkeypatch.chdir(place)
    checkpoint = f"{TRAINING}/1/2.safetensors"
    for name in ("floor", "again"):
        measure("floors", f"{name}.nc", checkpoint=checkpoint)
    assert Path("floor.nc").read_bytes() == Path("again.nc").read_bytes()
    ds = load_dataset("floor.nc")
    assert (ds.seed.item(), ds.iteration.item(), ds.attrs["num_states"]) == (1, 2, 6)
    assert np.isfinite(ds.floor).all() and (ds.squared_noise > 0).all()
    assert load_checkpoint(checkpoint).settings["gamma"] == GAMMA and tail_length(GAMMA) <= BEYOND


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (
            lambda: rerun.main(argparse.Namespace(training="nowhere", records="none", seeds=[0], out="r")),
            "nowhere/0/0.safetensors: no such checkpoint",
        ),
        (lambda: measure("velue", "r.nc", rerun="once/1.zarr"), "velue: no probe; there are baselines, fit"),
        (lambda: measure("value", "r.nc", rerun="none.zarr"), "none.zarr: "),
        (lambda: measure("value", "r.nc"), "--rerun is missing, but must be given"),
        (
            lambda: measure("value", "r.nc", rerun="once/1.zarr", checkpoint="c"),
            "c: checkpoint is given, but",
        ),
        (lambda: measure("value", "r.nc", rerun="once/1.zarr", case="few"), "--case few: not one of"),
    ],
)
def test_wrong_input_is_one_sentence(place, monkeypatch, what, told):
    monkeypatch.chdir(place)
    with pytest.raises(UserError) as refused:
        what()
    assert str(refused.value).startswith(told) and "\n" not in str(refused.value)
