"""From training to value prediction errors by the commands: training is only read, and the same bytes come out again."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pgprim.commands import rerun, train
from pgprim.core.time_in_episode import elapsed_steps, tail_length
from pgprim.experience.fork import fork_stream
from pgprim.probes.floors.measure import held_out_purpose, look, updated
from pgprim.rl.algorithms import make_settings
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset
from pgprim.store.reruns import PARTS, open_reruns
from pgprim.types.errors import UserError
from tests.checkouts import narrow
from tests.commands.measuring import measure

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
DEFAULT = YAML(typ="safe", pure=True).load((ROOT / "workflow/scales/default.yaml").read_text())
GAMMA, BEYOND, NUM_PAIRS = 0.9, 50, 128
TRAINING, RECORDS = "data/training/hopper/ppo", "data/records/hopper/ppo"


def again(seeds, out, training=TRAINING, records=RECORDS):
    rerun.main(argparse.Namespace(training=training, records=records, seeds=seeds, out=out))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small training run and its re-run iterations."""
    folder = tmp_path_factory.mktemp("place")
    lists = {
        "tasks": ["hopper"],
        "algos": ["ppo"],
        "seeds": [0, 1],
        "probed_seeds": [0, 1],
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
        shutil.copytree(Path(RECORDS, "1.zarr"), "swapped/0.zarr")
        before = contents(Path(TRAINING))
        again([0, 1], "once")
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
    again([1], "alone")
    once, alone = contents(place / "once"), contents(place / "alone")
    assert alone == {name: raw for name, raw in once.items() if name.startswith("1.zarr")} and len(alone) < 40


def test_a_stopped_run_goes_on_with_the_first_group_that_is_not_whole(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(rerun, "GROUP", 1)
    groups, run_group = [], rerun._run_group

    def stop_after(most):
        def wrapped(folder, seeds, iterations, *rest):
            if len(groups) == most:
                raise KeyboardInterrupt
            groups.append(iterations)
            return run_group(folder, seeds, iterations, *rest)

        return wrapped

    monkeypatch.setattr(rerun, "_run_group", stop_after(1))
    with pytest.raises(KeyboardInterrupt):
        again([0, 1], "stopped")
    monkeypatch.setattr(rerun, "_run_group", stop_after(-1))
    again([1], "stopped")
    assert groups == [[0], [2]], "the first group was kept"
    assert contents(Path("stopped/1.zarr")) == contents(Path("once/1.zarr"))


@pytest.mark.parametrize("module", ["commands/rerun", "agents/ppo", "environments/hopper"])
def test_a_stopped_run_of_other_code_starts_anew(place, monkeypatch, tmp_path, module):
    monkeypatch.chdir(tmp_path)
    shutil.copy(place / "params.yaml", "params.yaml")
    monkeypatch.setattr(rerun, "GROUP", 1)
    groups, run_group = [], rerun._run_group

    def counted(folder, seeds, iterations, *rest):
        if len(groups) == 1:
            groups.append("stopped")
            raise KeyboardInterrupt
        groups.append(iterations)
        return run_group(folder, seeds, iterations, *rest)

    monkeypatch.setattr(rerun, "_run_group", counted)
    training, records = str(place / TRAINING), str(place / RECORDS)
    with pytest.raises(KeyboardInterrupt):
        again([0], "stopped", training, records)
    digest = Path(f"data/code/{module}.txt")
    digest.parent.mkdir(parents=True)
    digest.write_text("other code")
    again([0], "stopped", training, records)
    assert groups == [[0], "stopped", [0], [2]]


def test_floors_continue_the_held_out_stream(place):
    """State by state: V before the update, rewards of what followed the same way, at the times that the floors take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        stored = open_reruns("once/1.zarr").sel(seed=1, iteration=2, part="held_out")
        agent, phi = updated(load_checkpoint(f"{TRAINING}/1/2.safetensors"))
        times = [0, 17, 100]
        for fork in fork_stream(agent, times, 3, 5, held_out_purpose(agent)):
            view = look(agent, phi, fork, 1000, make_settings(agent.settings))
            here = stored.isel(t=fork.t)
            np.testing.assert_allclose([view.val, view.val_old], [here.val_new, here.val_old], rtol=1e-6)
            ended = (stored.terminated | stored.truncated).values.astype(bool)
            assert fork.elapsed == elapsed_steps(ended[None])[0, fork.t]


def test_reruns_are_labelled(place):
    ds = open_reruns(place / "once" / "1.zarr")
    assert dict(ds.sizes) == {"seed": 1, "iteration": 2, "part": 2, "t": NUM_PAIRS + BEYOND}
    assert ds.iteration.values.tolist() == [0, 2] and ds.part.values.tolist() == list(PARTS)
    assert ds.attrs["time_limit"] == 1000 and ds.attrs["num_pairs"] == NUM_PAIRS
    assert all(array.attrs["units"] and array.attrs["long_name"] for array in ds.data_vars.values())
    assert (ds.rew.sel(part="train") != ds.rew.sel(part="held_out")).any()
    assert np.isfinite(ds.val_new).all()
    for name in ("kl_of_mean", "kl_of_sigma", "log_prob_old", "log_prob_new"):
        assert ds[name].dtype == np.float64


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
            lambda: again([0], "r", training="nowhere"),
            "nowhere/0/0.safetensors: ",
        ),
        (lambda: again([0], "r", records="nowhere"), "nowhere/0.zarr: no such store of training records; "),
        (lambda: again([0], "r", records="swapped"), "iteration 0 of seed 0 on 'Hopper-v5' gives "),
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
