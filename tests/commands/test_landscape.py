"""The landscape stage: labelled results, the same bytes however points are grouped and wherever a run was stopped."""

import contextlib
import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from scipy.stats import sem, t

from pgprim.core.mlp import policy_net, value_net
from pgprim.probes.landscape import measure as landscape
from pgprim.probes.landscape.record import KINDS
from pgprim.store.datasets import load_dataset
from pgprim.store.files import UNFINISHED
from pgprim.types.errors import UserError
from tests.commands.measuring import measure
from tests.oracles.pipeline import make_agent, write_params

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HIDDEN = (4, 4)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with an agent on the regulator and tiny landscapes to measure."""
    monkeypatch.chdir(tmp_path)
    task, env_id = "regulator", "tests.oracles.environments:Regulator-v0"
    params = write_params(task, env_id, [50, 100], 8, hidden=list(HIDDEN), pairs=128)
    params["landscape"] |= {
        "plane": {"extent": [0.0, 3.0], "points": 3, "random_norm": 2.0},
        "few": {"budgets": [60, 150], "trajectories": [2, 100], "closer": []},
        "many": {"pairs": 500, "budgets": [150]},
        "slice_few": {"extent": [0.0, 2.5], "points": 3, "budgets": [150, 300], "fresh": 3},
        "slice_many": {"extent": [0.0, 2.5], "points": 3, "pairs": 500, "budgets": [150], "fresh": 3},
        "steps": {"steps": 5, "budgets": [60]},
    }
    write(params)
    theta = 0.3 * torch.randn(
        1, policy_net(2, 1, HIDDEN).num_params, generator=torch.Generator().manual_seed(0)
    )
    make_agent(params, task, theta, torch.zeros(1, value_net(2, HIDDEN).num_params), 2, 1)
    return params


def write(params):
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)


def run(kind, out):
    measure("landscape", out, case=kind, checkpoint="agent.safetensors")
    return Path(out).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_labelled_and_the_same_for_every_grouping(workplace, kind, monkeypatch):
    whole = run(kind, "whole.nc")
    monkeypatch.setattr(landscape, "GROUP", 2)
    assert run(kind, "grouped.nc") == whole
    assert not list(UNFINISHED.rglob("*.npz"))
    ds = load_dataset("whole.nc")
    for name, array in ds.data_vars.items():
        assert array.attrs["units"] and array.attrs["long_name"], name
        assert array.dims[:4] == ("task", "algo", "seed", "iteration"), name
    assert {"params", "checkpoint_sha256", "environment", "semantics"} <= ds.attrs.keys()
    if kind == "steps":
        assert ds.steps_reward.dims[4:] == ("step", "budget") and ds.sizes["step"] == 5
        assert np.unique(ds.steps_surrogate).size > 1
        return
    if kind.startswith("slice_"):
        assert ds.kind.values.tolist() == [kind.removeprefix("slice_")]
        np.testing.assert_array_equal(ds.along, [0, 1, 1.25, 2.5])
        assert ds.slice_fresh_batch.dims[5:] == ("along", "batch") and ds.sizes["batch"] == 3
        assert (ds.slice_fresh_batch.sel(along=0) == 0).all() and ds.slice_surrogate.sel(along=0) == 0
        return
    assert ds.kind.values.tolist() == [kind]
    assert ds.batch_pairs.item() == (128 if kind == "few" else 3 * 166)
    assert ds.surrogate.squeeze()[0, 0] == 0
    np.testing.assert_array_equal(ds.alpha, [0, 1.5, 3])
    # 25 pairs to an episode
    np.testing.assert_array_equal(
        ds.num_trajectories, np.broadcast_to(ds.budget.values // 25, ds.num_trajectories.shape)
    )


def test_budgets_are_nested_and_trajectories_are_the_first_ones(workplace):
    run("few", "few.nc")
    ds = load_dataset("few.nc").squeeze()
    np.testing.assert_array_equal(ds.first_num_trajectories.sel(trajectories=100), 6)
    np.testing.assert_array_equal(ds.first_reward.sel(trajectories=100), ds.reward.sel(budget=150))
    np.testing.assert_array_equal(ds.first_reward.sel(trajectories=2), ds.reward.sel(budget=60))
    workplace["landscape"]["few"]["budgets"] = workplace["landscape"]["many"]["budgets"] = [60]
    write(workplace)
    run("few", "short.nc")
    short = load_dataset("short.nc").squeeze()
    np.testing.assert_array_equal(short.reward, ds.reward.sel(budget=60))


def test_a_stopped_run_goes_on_with_the_first_group_that_is_not_whole(workplace, monkeypatch):
    expected = run("few", "expected.nc")
    monkeypatch.setattr(landscape, "GROUP", 2)
    measured, run_points = [], landscape.run_points

    def stop_after(groups):
        def wrapped(checkpoint, theta, *rest):
            if len(measured) == groups:
                raise KeyboardInterrupt
            measured.append(len(theta))
            return run_points(checkpoint, theta, *rest)

        return wrapped

    monkeypatch.setattr(landscape, "run_points", stop_after(3))
    with pytest.raises(KeyboardInterrupt):
        run("few", "stopped.nc")
    assert not Path("stopped.nc").exists()
    pieces = sorted((UNFINISHED / "stopped.nc").glob("*-*.npz"))
    assert len(pieces) == 3
    pieces[1].write_bytes(pieces[1].read_bytes()[:100])  # a torn file is no piece
    monkeypatch.setattr(landscape, "run_points", stop_after(-1))
    measured.clear()
    assert run("few", "stopped.nc") == expected
    assert measured == [2, 2, 1], "one group again and the two that were never measured"
    assert not (UNFINISHED / "stopped.nc").exists()


@pytest.mark.parametrize(
    ("module", "resumes"),
    [
        ("commands/probe", False),
        ("probes/landscape/measure", False),
        ("agents/trpo", False),
        ("environments/regulator", False),
        ("agents/ppo", True),
        ("probes/steps/measure", True),
    ],
)
def test_a_stopped_run_of_other_code_starts_anew(workplace, monkeypatch, module, resumes):
    """The case `steps` is no probe here, whatever the name."""
    measured, run_points = [], landscape.run_points

    def stop_once(checkpoint, theta, *rest):
        measured.append(len(theta))
        if len(measured) == 2:
            raise KeyboardInterrupt
        return run_points(checkpoint, theta, *rest)

    monkeypatch.setattr(landscape, "GROUP", 2)
    monkeypatch.setattr(landscape, "run_points", stop_once)
    with pytest.raises(KeyboardInterrupt):
        run("steps", "stopped.nc")
    digest = Path(f"data/code/{module}.txt")
    digest.parent.mkdir(parents=True)
    digest.write_text("other code")
    run("steps", "stopped.nc")
    assert measured == [2, 2, *([2, 1] if resumes else [2, 2, 1])]


@pytest.mark.slow
def test_a_killed_process_goes_on_where_it_was(workplace):
    """SIGKILL after the first of two groups: the next run takes its file as it is and ends with the same bytes."""
    workplace["landscape"]["plane"]["points"] = 9
    workplace["landscape"]["few"]["budgets"] = workplace["landscape"]["many"]["budgets"] = [1500]
    write(workplace)
    expected = run("few", "expected.nc")
    command = [sys.executable, "-m", "pgprim.commands.probe", "landscape", "--case", "few"]
    options = ["--checkpoint", "agent.safetensors", "--out", "killed.nc"]
    settings = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "stderr": subprocess.DEVNULL}
    first = UNFINISHED / "killed.nc" / "0-40.npz"
    process = subprocess.Popen([*command, *options], **settings)
    deadline = time.monotonic() + 300
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert first.exists() and not Path("killed.nc").exists()
    written = first.stat().st_mtime_ns
    again = subprocess.Popen([*command, *options], **settings)
    while again.poll() is None and first.exists():
        with contextlib.suppress(FileNotFoundError):  # it goes when all is done
            assert first.stat().st_mtime_ns == written
        time.sleep(0.01)
    assert again.wait() == 0
    assert Path("killed.nc").read_bytes() == expected


def test_pieces_of_other_parameters_are_not_taken(workplace, monkeypatch):
    monkeypatch.setattr(landscape, "GROUP", 5)
    run_points = landscape.run_points

    def stop(checkpoint, theta, *rest):
        if len(theta) == 4:
            raise KeyboardInterrupt
        return run_points(checkpoint, theta, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(landscape, "run_points", stop)
        with pytest.raises(KeyboardInterrupt):
            run("few", "few.nc")
    workplace["landscape"]["plane"]["random_norm"] = 1.0
    write(workplace)
    found = run("few", "few.nc")
    assert found == run("few", "again.nc")
    assert load_dataset("few.nc").random_norm.item() == pytest.approx(1)


def test_a_slice_follows_the_step_of_its_plane_and_of_training(workplace):
    """Its surrogate on the step's own batch is the plane's at β = 0, on other batches it is not, and at 0 all are 0."""
    for kind in ("few", "slice_few"):
        run(kind, f"{kind}.nc")
    plane, line = (load_dataset(f"{kind}.nc").squeeze() for kind in ("few", "slice_few"))
    assert line.slice_step_norm == plane.step_norm and line.slice_batch_pairs == plane.batch_pairs
    workplace["landscape"]["slice_few"]["extent"] = [0.0, 3.0]
    write(workplace)
    run("slice_few", "as_plane.nc")
    same = load_dataset("as_plane.nc").squeeze()
    np.testing.assert_array_equal(
        same.slice_surrogate.sel(along=plane.alpha.values), plane.surrogate.isel(beta=0)
    )
    assert (same.slice_fresh_batch.sel(along=1) != same.slice_surrogate.sel(along=1)).all()
    assert np.unique(same.slice_fresh_batch.sel(along=1)).size == 3


def test_a_step_s_promise_and_what_it_keeps_are_the_slice_at_one(workplace):
    run("slice_few", "slice.nc")
    ds = load_dataset("slice.nc").squeeze()
    end, start = (ds.sel(along=alpha) for alpha in (1, 0))
    np.testing.assert_allclose(ds.promised, end.slice_surrogate)
    np.testing.assert_allclose(ds.promised_ci.mean("bound"), ds.promised)
    batches = end.slice_fresh_batch.values
    np.testing.assert_allclose(ds.promised_fresh, batches.mean())
    np.testing.assert_allclose(ds.promised_fresh_ci, t.interval(0.95, 2, batches.mean(), sem(batches)))
    np.testing.assert_allclose(ds.kept, end.slice_reward - start.slice_reward)
    np.testing.assert_allclose(end.slice_fresh_ci, ds.promised_fresh_ci)
    np.testing.assert_allclose(end.slice_fresh_unclipped, ds.promised_fresh_unclipped)
    np.testing.assert_array_equal(ds.slice_fresh_unclipped, ds.slice_fresh)  # TRPO clips nothing
    # Six episodes of 25 pairs in 150 and twelve in 300.
    np.testing.assert_array_equal(ds.slice_num_trajectories, np.tile([6, 12], (4, 1)))
    half = t.ppf(0.975, ds.slice_num_trajectories - 1) * ds.slice_reward_se
    np.testing.assert_allclose(ds.slice_reward_ci.sel(bound="high") - ds.slice_reward, half)


def test_a_stopped_slice_takes_its_fresh_batches_up_again(workplace, monkeypatch):
    expected = run("slice_many", "expected.nc")
    sampled, sample_batch = [], landscape.sample_batch

    def stop_after(most):
        def wrapped(checkpoint, num_streams, num_pairs, purpose, advance):
            if len(sampled) == most:
                raise KeyboardInterrupt
            sampled.append(purpose[-2:])
            return sample_batch(checkpoint, num_streams, num_pairs, purpose, advance)

        return wrapped

    monkeypatch.setattr(landscape, "sample_batch", stop_after(3))
    with pytest.raises(KeyboardInterrupt):
        run("slice_many", "stopped.nc")
    monkeypatch.setattr(landscape, "sample_batch", stop_after(-1))
    assert run("slice_many", "stopped.nc") == expected
    assert sampled == [("many", "batch"), ("fresh", 0), ("fresh", 1), ("fresh", 2)]


def test_one_agent_s_plane_can_be_measured_more_closely(workplace):
    run("few", "few.nc")
    workplace["landscape"]["few"]["closer"] = [
        {"task": "regulator", "seed": 0, "iterations": [0], "budgets": [60, 150, 400]}
    ]
    write(workplace)
    run("few", "closer.nc")
    few, closer = (load_dataset(f"{name}.nc").squeeze() for name in ("few", "closer"))
    assert closer.budget.values.tolist() == [60, 150, 400]
    np.testing.assert_array_equal(closer.reward.sel(budget=[60, 150]), few.reward)
    for key, other in (("seed", 1), ("iterations", [50])):
        changed = copy.deepcopy(workplace)
        changed["landscape"]["few"]["closer"][0][key] = other
        write(changed)
        run("few", "other.nc")
        assert load_dataset("other.nc").budget.values.tolist() == [60, 150]


def test_common_random_numbers_are_a_switch(workplace):
    plain = run("few", "plain.nc")
    workplace["landscape"]["common_random_numbers"] = True
    write(workplace)
    assert run("few", "common.nc") != plain
    plain, common = load_dataset("plain.nc"), load_dataset("common.nc")
    np.testing.assert_array_equal(plain.surrogate, common.surrogate)
    assert (plain.reward != common.reward).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda block: block | {"tasks": ["ant"]}, r"landscape\.tasks\[0\] is \"ant\", but must be one of tasks"),
        (lambda block: block | {"iterations": [7]}, r"landscape\.iterations\[0\] is 7, but must be one of iterations"),
        (lambda block: block | {"kinds": ["some"]}, r"landscape\.kinds\[0\] is \"some\", but must be few, many, slice_few, slice_many or steps"),
        (lambda block: block | {"plane": block["plane"] | {"extent": [3, 0]}}, "must rise from left to right"),
        (lambda block: block | {"plane": block["plane"] | {"points": 1}}, "at least 2"),
        (lambda block: block | {"few": block["few"] | {"budgets": [150, 60]}}, "few.budgets .* that rise"),
        (lambda block: block | {"many": {"pairs": 100, "budgets": [150]}}, r"must be at least train.pairs \(128\)"),
        (lambda block: block | {"many": {"pairs": 500, "budgets": [70]}}, "must end with one of landscape.few.budgets"),
        (
            lambda block: block | {"few": block["few"] | {"closer": [{"task": "regulator", "seed": 0, "iterations": [0], "budgets": [60]}]}},
            r"must end with one of landscape\.few\.closer\[0\]\.budgets, \[60\]",
        ),
        (lambda block: block | {"slice_few": block["slice_few"] | {"fresh": 1}}, "fresh is 1, but must be .* at least 2"),
        (lambda block: block | {"slice_many": block["slice_many"] | {"pairs": 100}}, "slice_many.pairs is 100"),
        (lambda block: block | {"slice_few": block["slice_few"] | {"extent": [1, 0]}}, "slice_few.extent"),
        (lambda block: block | {"steps": {"steps": 3, "budgets": [60]}}, "at least 4"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_one_sentence(workplace, change, told):
    workplace["landscape"] = change(workplace["landscape"])
    write(workplace)
    with pytest.raises(UserError, match=told):
        run("few", "few.nc")
