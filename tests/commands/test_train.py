"""The training stage: the same bytes however it was interrupted, grouped or prolonged, and bad input in one sentence."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ruamel.yaml import YAML

from pgprim.commands.command import seeds_of
from pgprim.commands.train import main
from pgprim.experience.train import RECORDS
from pgprim.rl.algorithms import make_settings
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import open_store
from pgprim.store.files import UNFINISHED
from pgprim.types.errors import UserError
from tests.checkouts import narrow

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
DEFAULT = YAML(typ="safe", pure=True).load((ROOT / "workflow/scales/default.yaml").read_text())
SNAPSHOTS, RECORDS_AT = "data/training/hopper/{algo}", "data/records/hopper/{algo}"


def write_params(folder: Path, **train) -> None:
    """The default set with few, small iterations."""
    small = {"iterations": 4, "snapshot_every": 2, "pairs": 128, "minibatches": 4, "value_epochs": 1}
    params = narrow(DEFAULT, {"iterations": [0]}) | {"train": DEFAULT["train"] | small | train}
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)


def options(algo="ppo", seeds="0-1", task="hopper") -> dict[str, str]:
    return {
        "task": task, "algo": algo, "seeds": seeds,
        "snapshots": SNAPSHOTS.format(algo=algo), "records": RECORDS_AT.format(algo=algo),
    }  # fmt: skip


def train(folder: Path, monkeypatch, **which) -> None:
    """Run the stage's command in `folder`, in this process."""
    monkeypatch.chdir(folder)
    chosen = options(**which)
    main(argparse.Namespace(**chosen | {"seeds": [int(seed) for seed in chosen["seeds"].split("-")]}))


def command(**which) -> list[str]:
    flags = [part for name, value in options(**which).items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "pgprim.commands.train", *flags]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def records_of(folder: Path, algo="ppo", seeds=(0, 1)) -> xr.Dataset:
    """The records of some seeds, side by side."""
    return xr.combine_by_coords(
        [open_store(folder / RECORDS_AT.format(algo=algo) / f"{seed}.zarr") for seed in seeds],
        combine_attrs="identical",
    )


def files(folder: Path) -> dict[str, bytes]:
    """All that training left, by path; hidden files have a test of their own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "data").rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture
def folders(tmp_path):
    """Makes folders with a parameter file each."""

    def make(name: str, **train) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_params(folder, **train)
        return folder

    return make


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_what_a_training_leaves(folders, monkeypatch, algo):
    folder = folders("a")
    train(folder, monkeypatch, algo=algo)
    snapshots = sorted(str(path) for path in Path(SNAPSHOTS.format(algo=algo)).rglob("*.*"))
    assert snapshots == [
        f"data/training/hopper/{algo}/{seed}/{iteration}.safetensors"
        for seed in (0, 1)
        for iteration in (0, 2, 4)
    ]
    assert not any(path.is_file() for path in UNFINISHED.rglob("*"))
    records = records_of(folder, algo)
    assert dict(records.sizes) == {"task": 1, "algo": 1, "seed": 2, "iteration": 4}
    for name, (long_name, units) in RECORDS.items():
        assert records[name].attrs == {"long_name": long_name, "units": units}
    assert records.attrs["environment"] == '{"id": "Hopper-v5"}'
    for path in snapshots:
        checkpoint = load_checkpoint(path)
        seed, iteration = int(Path(path).parent.name), int(Path(path).stem)
        assert (checkpoint.task, checkpoint.env_id, checkpoint.algo) == ("hopper", "Hopper-v5", algo)
        assert (checkpoint.seed, checkpoint.iteration) == (seed, iteration)
        assert (checkpoint.num_obs, checkpoint.num_act) == (11, 3)
        assert checkpoint.state.obs_moments.count == 128 * iteration
        assert checkpoint.state.value_adam.count == 4 * iteration
        settings = make_settings(checkpoint.settings)
        assert (settings.algorithm, settings.pairs) == (algo, 128)
        assert json.loads(records.attrs["params"])["settings"] == checkpoint.settings
        sigma = np.exp(checkpoint.state.theta[0, -3:].numpy()).mean()
        if iteration < 4:
            assert records.sigma_mean.sel(seed=seed, iteration=iteration).item() == pytest.approx(sigma)


def test_a_seeds_bytes_do_not_depend_on_its_group(folders, monkeypatch):
    group, alone = folders("group"), folders("alone")
    train(group, monkeypatch, seeds="0-1")
    train(alone, monkeypatch, seeds="1")
    own = files(alone)
    assert any(name.endswith("1/4.safetensors") for name in own)
    assert any("records/hopper/ppo/1.zarr" in name for name in own)
    assert own.items() <= files(group).items()


def test_longer_training_leaves_earlier_bytes(folders, monkeypatch):
    short, long = folders("short"), folders("long", iterations=6, snapshot_every=1)
    for folder in (short, long):
        train(folder, monkeypatch)
    earlier = {path: raw for path, raw in files(short).items() if path.endswith(".safetensors")}
    assert len(earlier) == 6
    assert earlier.items() <= files(long).items()
    records = [records_of(folder) for folder in (short, long)]
    assert records[0].equals(records[1].isel(iteration=slice(0, 4)))


def test_training_again_replaces_what_was_there(folders, monkeypatch):
    folder = folders("a")
    train(folder, monkeypatch, seeds="0")
    right = files(folder)
    write_params(folder, iterations=6, gamma=0.9)
    train(folder, monkeypatch, seeds="0")
    assert files(folder) != right
    write_params(folder)
    train(folder, monkeypatch, seeds="0")
    assert files(folder) == right


# --- interruptions ----------------------------------------------------------------------------------------------------


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_training_killed_twice_and_resumed_leaves_the_same_bytes(folders, monkeypatch, algo):
    """SIGKILL as snapshots are being written, then once more; each run goes on from the last that are whole."""
    whole, killed = folders("whole", iterations=20), folders("killed", iterations=20)
    train(whole, monkeypatch, algo=algo)
    unfinished = killed / UNFINISHED / SNAPSHOTS.format(algo=algo) / "0-1" / "snapshots"
    ages = []
    for iteration in (4, 8):
        process = subprocess.Popen(
            command(algo=algo), cwd=killed, env=environment(), stderr=subprocess.DEVNULL
        )
        wait_for(unfinished / "0" / f"{iteration}.safetensors", process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        ages.append((unfinished / "0" / "2.safetensors").stat().st_mtime_ns)
        assert not (killed / "data/training").exists() and not (killed / "data/records").exists()
    assert ages[0] == ages[1]  # the second run did not make anew what the first had made
    train(killed, monkeypatch, algo=algo)
    assert (killed / SNAPSHOTS.format(algo=algo) / "0" / "2.safetensors").stat().st_mtime_ns == ages[0]
    assert files(killed) == files(whole)


@pytest.fixture
def stopped(folders, monkeypatch):
    """Makes a folder in which a training came to grief when all was done but the records could not be written."""

    def make(**train_params) -> Path:
        folder = folders("stopped", **train_params)
        (folder / "data").mkdir()
        (folder / "data" / "records").write_text("in the way")
        with pytest.raises(UserError, match="data/records"):
            train(folder, monkeypatch)
        (folder / "data" / "records").unlink()
        assert not (folder / "data/training").exists()
        return folder

    return make


def kept(folder: Path) -> dict[str, int]:
    """When the files of the unfinished run were written."""
    return {
        f"{path.parent.name}/{path.name}": path.stat().st_mtime_ns
        for path in (folder / UNFINISHED).rglob("*.safetensors")
    }


def resume(folder: Path, monkeypatch, **train_params) -> set[str]:
    """Train with these parameters; the snapshots that are of the earlier run."""
    before = kept(folder)
    write_params(folder, **train_params)
    train(folder, monkeypatch)
    final = folder / SNAPSHOTS.format(algo="ppo")
    return {
        name
        for name, age in before.items()
        if (final / name).exists() and (final / name).stat().st_mtime_ns == age
    }


@pytest.mark.parametrize(
    ("first", "then", "goes_on"),
    [
        ({"iterations": 4}, {"iterations": 4}, (0, 2, 4)),
        ({"iterations": 2}, {"iterations": 6}, (0, 2)),
        ({"iterations": 5}, {"iterations": 6}, (0, 2, 4)),
        ({"iterations": 6}, {"iterations": 4}, (0, 2, 4)),
        ({"iterations": 6}, {"iterations": 5}, (0, 2, 4)),
        ({"iterations": 4, "gamma": 0.9}, {"iterations": 4}, ()),
    ],
    ids=["at its end", "for longer", "from between snapshots", "for shorter", "for a little shorter", "with other settings"],
)  # fmt: skip
def test_an_unfinished_run_goes_on_if_it_is_the_same(stopped, folders, monkeypatch, first, then, goes_on):
    """Whatever was kept, the result is that of a run without interruption."""
    found = resume(stopped(**first), monkeypatch, **then)
    assert found == {f"{seed}/{iteration}.safetensors" for seed in (0, 1) for iteration in goes_on}
    whole = folders("whole", **then)
    train(whole, monkeypatch)
    assert files(whole.parent / "stopped") == files(whole)


@pytest.mark.parametrize(
    ("module", "resumes"),
    [
        ("commands/train", False),
        ("agents/ppo", False),
        ("environments/hopper", False),
        ("agents/trpo", True),
        ("environments/walker2d", True),
    ],
)
def test_an_unfinished_run_of_other_code_is_discarded(stopped, monkeypatch, module, resumes):
    folder = stopped()
    digest = folder / f"data/code/{module}.txt"
    digest.parent.mkdir(parents=True)
    digest.write_text("other code")
    assert bool(resume(folder, monkeypatch)) == resumes


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_an_unfinished_run_with_other_snapshots_leaves_those_asked_for(
    stopped, folders, monkeypatch, first, then
):
    whole = folders("whole", snapshot_every=then)
    train(whole, monkeypatch)
    folder = stopped(snapshot_every=first)
    resume(folder, monkeypatch, snapshot_every=then)
    assert files(folder).keys() == files(whole).keys()


def test_a_half_written_file_does_not_stay(stopped, monkeypatch):
    folder = stopped()
    snapshots = Path(SNAPSHOTS.format(algo="ppo"))
    for name in (".6.safetensors.4242", ".tmpXFLcTF"):  # ours, and safetensors' own
        (folder / UNFINISHED / snapshots / "0-1" / "snapshots" / "0" / name).write_bytes(b"half")
    resume(folder, monkeypatch)
    assert sorted(path.name for path in (folder / snapshots / "0").iterdir()) == [
        f"{k}.safetensors" for k in (0, 2, 4)
    ]


# --- as a command -----------------------------------------------------------------------------------------------------


def run(folder: Path, **which) -> subprocess.CompletedProcess:
    return subprocess.run(command(**which), cwd=folder, env=environment(), capture_output=True, text=True)


SICK = """
import gymnasium
from tests.rl.regulator import Regulator

Regulator.steps_to_live = 300
gymnasium.register("Sick-v0", Regulator, max_episode_steps=8)
"""


def test_the_command_shows_progress_and_stops_in_one_sentence_at_a_reward_that_is_none(folders):
    """A task whose 301st reward is not a number: environment, stream, step and quantity are named, no result appears."""
    folder = folders("a")
    (folder / "sick.py").write_text(SICK)
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("Hopper-v5", "sick:Sick-v0"))
    result = run(folder, seeds="0")
    assert result.returncode == 1
    assert "train hopper ppo 0:" in result.stderr  # the progress bar
    last = result.stderr.strip().splitlines()[-1]
    assert "environment 'sick:Sick-v0', stream 0, step 44: the environment gives the reward nan" in last
    assert "Traceback" not in result.stderr
    assert not (folder / "data/training").exists() and not (folder / "data/records").exists()


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ({"task": "swimmer"}, "agents.ppo.swimmer is missing"),
        ({"algo": "sac"}, "agents.sac.hopper is missing"),
    ],
)
def test_an_agent_that_the_parameters_do_not_have_is_told(folders, monkeypatch, which, told):
    with pytest.raises(UserError, match=told):
        train(folders("a"), monkeypatch, **which)


def test_seeds_that_are_no_numbers_are_told(folders):
    result = run(folders("a"), seeds="0-x")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "argument --seeds: '0-x' is not a list of seeds such as 0-1-2" in result.stderr


def test_a_limit_in_other_steps_is_refused_before_training(folders, monkeypatch):
    """What comes after training needs the limit in the agent's steps, which a frame-skip wrapper hides."""
    folder = folders("a")
    text = (folder / "params.yaml").read_text()
    params = YAML(typ="safe", pure=True).load(text)
    params["env"]["hopper"]["wrappers"] = ["tests.rl.strange:Skip"]
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    with pytest.raises(UserError, match=r"Hopper-v5.*Skip.*time limit of 1000"):
        train(folder, monkeypatch)
    assert not (folder / "data").exists()


def test_a_seed_beyond_those_of_the_parameter_file_is_refused_before_anything_is_made(folders):
    """The schema's bound; the check of params.yaml has the same one."""
    folder = folders("a")
    result = run(folder, seeds=f"0-{2**31}")
    told = "argument --seeds: 2147483648 is no seed, because a seed is at most 2147483647"
    assert result.returncode == 2 and told in result.stderr and "Traceback" not in result.stderr
    assert not (folder / "data").exists()
    assert seeds_of(f"0-{2**31 - 1}") == [0, 2**31 - 1]
