"""The command `vary`: what it leaves, that it repeats itself, that it is the training it says, and how it refuses."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ruamel.yaml import YAML

from pgprim.commands import train as train_stage
from pgprim.commands import vary as vary_stage
from pgprim.commands.params import load
from pgprim.commands.vary import DESCRIBED, main
from pgprim.store.datasets import open_store
from pgprim.store.files import UNFINISHED
from pgprim.studies.variants import COSTS
from pgprim.types.errors import UserError
from pgprim.types.variants import make_runs
from tests.checkouts import narrow

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DEFAULT = Path(__file__).parents[2] / "workflow" / "scales" / "default.yaml"
SMALL = {"pairs": 64, "minibatches": 4, "value_epochs": 1, "iterations": 500, "snapshot_every": 10}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params()
    return tmp_path


def write_params(**train) -> dict:
    params = narrow(load(DEFAULT), {"iterations": [0]})
    params["train"] |= SMALL | train
    params["ablation"] |= {
        "switches": {"anneal": [False, True], "value_clip": [None, 0.2]},
        "rates": [1.0], "seeds": [0, 1], "choose": [0], "iterations": 2, "pairs": 64,
    }  # fmt: skip
    params["regime"] |= {"pairs": [64, 100], "total_pairs": 200, "rates": [0.5, 1.0], "agreement_points": 2}
    params["semantics"] |= {"train_iterations": 2, "train_seeds": [0]}
    params["reliability"] |= {
        "algos": ["ppo", "trpo"],
        "multiples": [1.0, 3.0],
        "seeds": [0, 1],
        "iterations": 2,
    }
    params["clipping"] |= {"rates": [0.5, 1.0], "seeds": [0, 1], "iterations": 3, "cost_points": 1}
    params["lockstep"] = 2
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    return load()


def vary(study, variant, seeds=(0, 1), out="out", task="hopper"):
    main(argparse.Namespace(study=study, task=task, variant=variant, seeds=list(seeds), out=out))
    return xr.combine_by_coords(
        [open_store(f"{out}/{seed}.zarr") for seed in seeds], combine_attrs="identical"
    )


def files(store: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes() for path in Path(store).rglob("*") if path.is_file()
    }


def test_an_ablation_has_a_run_per_cell(here):
    ds = vary("ablation", "1.0")
    assert ds.sizes == {"task": 1, "algo": 1, "cell": 4, "rate": 1, "seed": 2, "iteration": 2}
    assert ds.cell.values.tolist() == ["00", "01", "10", "11"]
    for name, (long_name, units) in DESCRIBED.items():
        assert ds[name].attrs == {"long_name": long_name, "units": units}
    annealed = ds.policy_lr.isel(iteration=1, seed=0).squeeze().values
    np.testing.assert_allclose(annealed, [4.5e-4, 4.5e-4, 2.25e-4, 2.25e-4])
    assert not ds.diverged.any()
    assert [one["value_clip"] for one in json.loads(ds.attrs["params"])["runs"]] == [None, 0.2, None, 0.2]


def test_step_sizes_are_multiplied_for_both_algorithms(here):
    ppo, trpo = vary("reliability", "ppo"), vary("reliability", "trpo", out="trpo")
    for ds in (ppo, trpo):
        assert ds.sizes == {"task": 1, "algo": 1, "multiple": 2, "seed": 2, "iteration": 2}
        assert ds.multiple.attrs["long_name"].startswith("policy's learning rate, or TRPO's δ")
    rates = ppo.policy_lr.isel(seed=0).squeeze().values
    np.testing.assert_allclose(rates, [[4.5e-4, 2.25e-4], [13.5e-4, 6.75e-4]])
    assert [one["delta"] for one in json.loads(trpo.attrs["params"])["runs"]] == pytest.approx([0.13, 0.39])
    assert (trpo.kl_mean.sel(multiple=1.0) <= 0.13).all() and (trpo.kl_mean <= 0.39).all()


def test_regimes_have_as_many_pairs_in_all_and_say_where_halves_agree(here):
    few, many = vary("regime", "64"), vary("regime", "100", out="many")
    assert few.sizes["iteration"] == 3 and many.sizes["iteration"] == 2
    np.testing.assert_allclose(few.policy_lr.isel(iteration=0, seed=0).squeeze(), [2.25e-4, 4.5e-4])
    known = np.isfinite(few.half_cosine.squeeze()).all(("rate", "seed"))
    assert known.values.tolist() == [True, True, False]
    assert (np.abs(few.half_cosine.values[np.isfinite(few.half_cosine.values)]) <= 1).all()


def test_a_seed_does_not_depend_on_its_group_and_repeats_itself(here):
    group, alone = vary("regime", "64"), vary("regime", "64", seeds=[1], out="alone")
    assert alone.equals(group.sel(seed=[1]))
    assert (
        files("alone").items()
        == {name: raw for name, raw in files("out").items() if name.startswith("1.zarr")}.items()
    )
    first = files("out")
    vary("regime", "64")
    assert files("out") == first


def test_the_other_semantics_are_training_with_them(here):
    """What `train` records when it is told so, from the first iteration on."""
    other = vary("semantics", "ppo", seeds=[0])
    write_params(semantics="paper", iterations=2, snapshot_every=2)
    params = load()
    assert params["train"]["semantics"] == "paper"
    train_stage.main(
        argparse.Namespace(task="hopper", algo="ppo", seeds=[0], snapshots="snapshots", records="records")
    )
    right = open_store("records/0.zarr")
    for name in right:
        np.testing.assert_array_equal(other[f"other_{name}"], right[name])
    own = vary("semantics", "ppo", seeds=[0], out="own")
    first = {"iteration": 0}
    assert own.other_return_mean.isel(first).equals(right.return_mean.isel(first).rename("other_return_mean"))
    assert not own.other_value_loss.isel(first).equals(
        right.value_loss.isel(first).rename("other_value_loss")
    )


def test_a_version_has_a_run_per_rate_and_one_without_clipping(here):
    old, new = vary("clipping", "v4"), vary("clipping", "v5", out="new")
    for ds, version in ((old, "v4"), (new, "v5")):
        assert ds.sizes == {"task": 1, "algo": 1, "version": 1, "run": 3, "seed": 2, "iteration": 3}
        assert ds.version.values.tolist() == [version]
        assert ds.run.values.tolist() == ["clipped 0.5", "clipped 1.0", "drawn"]
        np.testing.assert_allclose(
            ds.policy_lr.isel(iteration=0, seed=0).squeeze(), [2.25e-4, 4.5e-4, 4.5e-4]
        )
        told = [one["environment"] for one in json.loads(ds.attrs["params"])["runs"]]
        assert [one["id"] for one in told] == [f"Hopper-{version}"] * 3
        assert [one.get("clip_actions", True) for one in told] == [True, True, False]
        for name, (long_name, units) in COSTS.items():
            assert ds[name].attrs == {"long_name": long_name, "units": units}
            assert np.isfinite(ds[name]).all(("run", "seed")).squeeze().values.tolist() == [True, False, True]
        assert (ds.control_cost > ds.control_cost_clipped).sum() == 2 * 3 * 2, "of what is known"
    clipped, drawn = (
        old.return_mean.sel(run=run).isel(iteration=0).values for run in ("clipped 1.0", "drawn")
    )
    assert not (clipped == drawn).any()


def test_other_studies_record_no_control_costs(here):
    assert not set(COSTS) & set(vary("reliability", "ppo"))
    assert {"version", "run"}.isdisjoint(vary("regime", "64", out="regime").coords)


def test_the_run_that_is_training_is_bit_for_bit_training(here):
    write_params(iterations=3, anneal_over=3, snapshot_every=2)
    train_stage.main(
        argparse.Namespace(task="hopper", algo="ppo", seeds=[0, 1], snapshots="snapshots", records="records")
    )
    right = xr.combine_by_coords([open_store(f"records/{seed}.zarr") for seed in (0, 1)])
    own = vary("clipping", "v5").sel(version="v5")
    for name in right:
        np.testing.assert_array_equal(own[name].sel(run="clipped 1.0"), right[name])
    for run in ("clipped 0.5", "drawn"):
        assert not own.return_mean.sel(run=run).equals(own.return_mean.sel(run="clipped 1.0"))


def test_training_that_anneals_otherwise_is_not_taken_for_a_run(here):
    """The settings must be the same, not the environment alone."""
    params = load()
    assert params["train"]["anneal_over"] == 500
    assert all(run.purpose[0] == "clipping" for run in make_runs(params, "clipping", "hopper", "v5"))
    params["clipping"]["iterations"] = 500
    purposes = [run.purpose[0] for run in make_runs(params, "clipping", "hopper", "v5")]
    assert purposes == ["clipping", "train", "clipping"]
    params["env"]["hopper"]["clip_actions"] = False
    purposes = [run.purpose[0] for run in make_runs(params, "clipping", "hopper", "v5")]
    assert purposes == ["clipping", "clipping", "train"]


def test_a_stopped_run_goes_on_and_leaves_the_same_bytes(here):
    vary("regime", "64", out="data/v/whole")
    whole = files("data/v/whole")
    Path("data/w").write_text("in the way")
    with pytest.raises(UserError, match="data/w"):
        vary("regime", "64", out="data/w/again")
    kept = {path.name: path.stat().st_mtime_ns for path in (UNFINISHED / "data/w/again/0-1").glob("*.npz")}
    assert kept.keys() == {"0.npz", "1.npz"}
    (UNFINISHED / "data/w/again/0-1" / "1.npz").unlink()
    Path("data/w").unlink()
    vary("regime", "64", out="data/w/again")
    assert files("data/w/again") == whole
    assert not (UNFINISHED / "data/w/again/0-1").exists()
    shutil.rmtree("data")


@pytest.mark.parametrize(
    ("module", "resumes"),
    [
        ("commands/vary", False),
        ("agents/trpo", False),
        ("environments/hopper", False),
        ("agents/ppo", True),
        ("environments/walker2d", True),
    ],
)
def test_a_stopped_run_of_other_code_starts_anew(here, monkeypatch, module, resumes):
    Path("data").mkdir()
    Path("data/v").write_text("in the way")
    with pytest.raises(UserError, match="data/v"):
        vary("reliability", "trpo", out="data/v/trpo")
    Path("data/v").unlink()
    digest = Path(f"data/code/{module}.txt")
    digest.parent.mkdir(parents=True)
    digest.write_text("other code")
    trained = []

    def train_anew(environment, one, *rest):
        trained.append(one.labels["multiple"])
        return train_run(environment, one, *rest)

    train_run = vary_stage._train
    monkeypatch.setattr(vary_stage, "_train", train_anew)
    vary("reliability", "trpo", out="data/v/trpo")
    assert trained == ([] if resumes else [1.0, 3.0])


def test_random_numbers_are_shared_by_no_two_runs(here):
    params = load()
    purposes = [
        run.purpose
        for study, variants in (
            ("ablation", ["1.0"]),
            ("regime", ["64", "100"]),
            ("reliability", ["ppo", "trpo"]),
            ("clipping", ["v4", "v5"]),
        )
        for variant in variants
        for run in make_runs(params, study, "hopper", variant)
    ]
    assert len(set(purposes)) == len(purposes) == 4 + 2 * 2 + 2 * 2 + 2 * 3


@pytest.mark.parametrize(
    ("study", "variant", "task", "told"),
    [
        ("regime", "2048", "hopper", "--variant 2048: not one of regime.pairs in params.yaml, 64, 100"),
        ("ablation", "7", "hopper", "--variant 7: not one of ablation.rates"),
        ("semantics", "trpo", "hopper", "not one of semantics.algos"),
        ("clipping", "v3", "hopper", "--variant v3: not one of clipping.versions in params.yaml, v4, v5"),
        ("regime", "64", "ant", "--task ant: not one of env"),
    ],
)
def test_what_a_study_does_not_have_is_told(here, study, variant, task, told):
    with pytest.raises(UserError, match=told):
        vary(study, variant, task=task)
