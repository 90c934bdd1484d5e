"""From training to value prediction errors by the commands: training is only read, and the same bytes come out again."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from pgprim.store.replays import PARTS, open_replays
from ruamel.yaml import YAML

from pgprim.commands import assess, floor, replay, train
from pgprim.core.value_errors import tail_length
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset
from pgprim.types.errors import UserError
from tests.dag.checkouts import narrow

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
DEFAULT = YAML(typ="safe", pure=True).load((ROOT / "workflow/scales/default.yaml").read_text())
GAMMA, BEYOND, NUM_PAIRS = 0.9, 50, 128
TRAINING = "data/training/hopper/ppo/0-1"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small training run and its replays."""
    folder = tmp_path_factory.mktemp("place")
    lists = {
        "tasks": ["hopper"],
        "algos": ["ppo"],
        "seeds": [0, 1],
        "lockstep": ["0-1"],
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
    params["replay"] = {"every": 2, "beyond": BEYOND}
    params["floor"] |= {"states": 6, "branches": 3, "beyond": BEYOND}
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = {"task": "hopper", "algo": "ppo", "seeds": [0, 1]}
        train.main(argparse.Namespace(**options, snapshots=TRAINING, records="data/records/a.zarr"))
        before = contents(Path(TRAINING))
        replay.main(argparse.Namespace(training=TRAINING, out="once.zarr"))
        assert contents(Path(TRAINING)) == before
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_replays_are_the_same_bytes_again(place, monkeypatch):
    monkeypatch.chdir(place)
    replay.main(argparse.Namespace(training=TRAINING, out="again.zarr"))
    once = contents(place / "once.zarr")
    assert once == contents(place / "again.zarr") and len(once) < 40


def test_replays_are_labelled(place):
    ds = open_replays(place / "once.zarr")
    assert dict(ds.sizes) == {"seed": 2, "iteration": 2, "part": 2, "t": NUM_PAIRS + BEYOND}
    assert ds.iteration.values.tolist() == [0, 2] and ds.part.values.tolist() == list(PARTS)
    assert ds.attrs["time_limit"] == 1000 and ds.attrs["num_pairs"] == NUM_PAIRS
    assert all(array.attrs["units"] and array.attrs["long_name"] for array in ds.data_vars.values())
    assert (ds.rew.sel(part="train") != ds.rew.sel(part="held_out")).any()
    assert np.isfinite(ds.val_new).all()


def test_values_errors_are_estimated_from_replays(place, monkeypatch):
    monkeypatch.chdir(place)
    for name in ("once", "again"):
        assess.main(argparse.Namespace(probe="value", replay="once.zarr", out=f"{name}.nc"))
    assert Path("once.nc").read_bytes() == Path("again.nc").read_bytes()
    ds = load_dataset("once.nc").squeeze()
    assert (ds.mre > 0).all() and ds.attrs["environment"] == '{"id": "Hopper-v5"}'
    assert json.loads(ds.attrs["params"]) == {"replay": {"every": 2, "beyond": BEYOND}}


def test_floors_are_measured_at_checkpoints(place, monkeypatch):
    monkeypatch.chdir(place)
    checkpoint = f"{TRAINING}/1/2.safetensors"
    for name in ("floor", "again"):
        floor.main(argparse.Namespace(checkpoint=checkpoint, out=f"{name}.nc"))
    assert Path("floor.nc").read_bytes() == Path("again.nc").read_bytes()
    ds = load_dataset("floor.nc")
    assert (ds.seed.item(), ds.iteration.item(), ds.attrs["num_states"]) == (1, 2, 6)
    assert np.isfinite(ds.floor).all() and (ds.squared_noise > 0).all()
    assert load_checkpoint(checkpoint).settings["gamma"] == GAMMA and tail_length(GAMMA) <= BEYOND


@pytest.mark.parametrize(
    ("stage", "options", "told"),
    [
        (replay, {"training": "nowhere", "out": "r.zarr"}, "nowhere: holds no snapshots"),
        (assess, {"probe": "velue", "replay": "once.zarr", "out": "r.nc"}, "velue: not a probe of assess"),
        (
            assess,
            {"probe": "value", "replay": "none.zarr", "out": "r.nc"},
            "none.zarr: no such store of re-run iterations",
        ),
    ],
)
def test_wrong_input_is_one_sentence(place, monkeypatch, stage, options, told):
    monkeypatch.chdir(place)
    with pytest.raises(UserError) as refused:
        stage.main(argparse.Namespace(**options))
    assert str(refused.value).startswith(told) and "\n" not in str(refused.value)
