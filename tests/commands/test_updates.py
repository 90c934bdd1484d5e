"""Updates from snapshots alone: what a re-run of training sees on held-out pairs, without running training again."""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pgprim.commands import rerun, train, updates
from pgprim.store.datasets import load_dataset
from pgprim.store.reruns import VARIABLES, open_reruns
from pgprim.types.errors import UserError
from tests.checkouts import narrow
from tests.commands.measuring import measure

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
DEFAULT = YAML(typ="safe", pure=True).load((ROOT / "workflow/scales/default.yaml").read_text())
TRAINING, RECORDS = "data/training/hopper/ppo", "data/records/hopper/ppo"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small training run, its iterations run again, and the same from its snapshots alone."""
    folder = tmp_path_factory.mktemp("place")
    params = narrow(
        DEFAULT,
        {"tasks": ["hopper"], "algos": ["ppo"], "seeds": [0], "probed_seeds": [0], "iterations": [0]},
    )
    params["train"] |= {"iterations": 3, "snapshot_every": 1, "pairs": 128, "minibatches": 4, "gamma": 0.9}
    params["rerun"] = {"every": 1, "beyond": 50}
    params["probes"]["checkpoints"]["floors"] |= {"states": 6, "branches": 3, "beyond": 50}
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = {"task": "hopper", "algo": "ppo", "seeds": [0]}
        train.main(argparse.Namespace(**options, snapshots=TRAINING, records=RECORDS))
        rerun.main(argparse.Namespace(training=TRAINING, records=RECORDS, seeds=[0], out="rerun"))
        look(f"{TRAINING}/0", "updates.zarr")
    return folder


def look(training, out):
    updates.main(argparse.Namespace(training=training, out=out))
    return open_reruns(out)


def test_snapshots_show_on_held_out_pairs_what_a_re_run_shows_to_the_bit(place):
    ours, theirs = open_reruns(place / "updates.zarr"), open_reruns(place / "rerun/0.zarr")
    assert ours.part.values.tolist() == ["held_out"]
    assert ours.iteration.values.tolist() == [0, 1, 2]
    for name in VARIABLES:
        there = theirs[name].sel(part=["held_out"]) if "part" in theirs[name].dims else theirs[name]
        np.testing.assert_array_equal(ours[name].values, there.values, err_msg=name)
    for name in ("task", "algo", "num_pairs", "time_limit", "settings", "environment"):
        assert ours.attrs[name] == theirs.attrs[name]


def test_the_probes_read_them_as_they_read_re_runs(place, monkeypatch):
    monkeypatch.chdir(place)
    for probe in ("value", "trust_region"):
        measure(probe, rerun="updates.zarr", out=f"{probe}_ours.nc")
        measure(probe, rerun="rerun/0.zarr", out=f"{probe}_theirs.nc")
        ours, theirs = load_dataset(f"{probe}_ours.nc"), load_dataset(f"{probe}_theirs.nc")
        for name, array in ours.items():
            there = theirs[name].sel(part=["held_out"]) if "part" in array.dims else theirs[name]
            np.testing.assert_array_equal(array.values, there.values, err_msg=name)


def test_a_gap_in_the_series_is_no_update(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    for iteration in (0, 2, 3):
        shutil.copy(Path(TRAINING, "0", f"{iteration}.safetensors"), tmp_path)
    assert look(tmp_path, tmp_path / "out.zarr").iteration.values.tolist() == [2]


def test_where_no_two_snapshots_are_in_a_row_the_agent_s_own_next_update_is_made(
    place, tmp_path, monkeypatch
):
    """That of training, since it has training's random numbers: the same as from the snapshot behind it."""
    monkeypatch.chdir(place)
    for iteration in (0, 2):
        shutil.copy(Path(TRAINING, "0", f"{iteration}.safetensors"), tmp_path)
    own, given = look(tmp_path, tmp_path / "out.zarr"), open_reruns("updates.zarr")
    for name in VARIABLES:
        np.testing.assert_array_equal(
            own[name].values, given[name].sel(iteration=[0, 2]).values, err_msg=name
        )


def test_a_folder_without_snapshots_is_told_in_one_sentence(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    with pytest.raises(UserError, match="no such checkpoint"):
        look(tmp_path, tmp_path / "out.zarr")
