"""The probe `semantics`: a probe once more, as if the agent had been trained with the other semantics."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ruamel.yaml import YAML

from pgprim.commands.params import load
from pgprim.core.intervals import Interval
from pgprim.probes.gradient import measure as gradient
from pgprim.probes.gradient.measure import measure_kept
from pgprim.probes.semantics.compare import compare as compare_datasets
from pgprim.probes.steps.measure import ESTIMATES
from pgprim.store.checkpoints import save_checkpoint
from pgprim.store.datasets import load_dataset, open_store
from pgprim.store.files import UNFINISHED
from pgprim.store.inputs import Inputs
from pgprim.store.labelled import label
from pgprim.store.rollouts import open_rollouts
from pgprim.types.errors import UserError
from tests.commands.measuring import measure
from tests.probes.synthetic import PPO, TRPO, make_checkpoint, make_rollouts, pool_of

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DEFAULT = Path(__file__).parents[2] / "workflow" / "scales" / "default.yaml"
TRIALS, TRUTH, PAIRS, BUDGETS = 4, 3, 400, [100, 400]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = load(DEFAULT)
    params["sample"] = pool_of(TRIALS + TRUTH, PAIRS, TRIALS)
    params["probes"]["rollouts"] = {name: {"budgets": BUDGETS} for name in ("gradient", "steps")}
    params["plot"]["budget"] = BUDGETS[-1]
    params["fit"]["beyond"] = 60
    params["baselines"] |= {"budgets": BUDGETS, "pairs": 100, "beyond": 60}
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)


def run_estimate(probe, checkpoint, name):
    """The numbers of the probe, and the vectors of its trials."""
    save_checkpoint(f"{name}.safetensors", checkpoint)
    inputs = {"checkpoint": f"{name}.safetensors", "rollouts": "rollouts.zarr"}
    measure(probe, f"{name}.nc", vectors=f"{name}.zarr", **inputs)
    if probe == "gradient":
        vectors = measure_kept(
            Inputs(checkpoint, open_rollouts("rollouts.zarr")), {"budgets": BUDGETS}
        ).vectors
    else:
        vectors = open_store(f"{name}.zarr")
    return vectors, load_dataset(f"{name}.nc")


def compare(probe, name="own"):
    inputs = {"checkpoint": f"{name}.safetensors", "rollouts": "rollouts.zarr"}
    measure("semantics", "semantics.nc", case=probe, **inputs)
    return load_dataset("semantics.nc")


@pytest.mark.parametrize(("probe", "settings"), [("gradient", PPO), ("steps", PPO), ("steps", TRPO)])
@pytest.mark.parametrize("own", ["exact", "paper"])
def test_it_is_what_the_probe_says_of_an_agent_with_those_semantics(probe, settings, own):
    agents = {name: make_checkpoint(settings | {"semantics": name}) for name in ("exact", "paper")}
    make_rollouts("rollouts.zarr", agents[own], TRIALS + TRUTH, PAIRS)
    found = {name: run_estimate(probe, agents[name], name) for name in agents}
    ds = compare(probe, own)
    for name, (_, numbers) in found.items():
        one = ds.sel(probe=probe, semantics=name)
        for variable in ("cosine", "truth_cosine"):
            np.testing.assert_array_equal(one[f"{variable}_by_semantics"], numbers[variable])
            np.testing.assert_array_equal(one[f"{variable}_by_semantics_ci"], numbers[f"{variable}_ci"])
    kind = "grad" if probe == "gradient" else "step"
    exact, paper = (found[name][0][kind].values.astype(float) for name in ("exact", "paper"))
    norms = [np.linalg.norm(vectors, axis=2) for vectors in (exact, paper)]
    cosines = (exact * paper).sum(2) / (norms[0] * norms[1])
    np.testing.assert_allclose(ds.between_cosine.squeeze(), cosines.mean(1), rtol=1e-6)
    np.testing.assert_allclose(ds.norm_ratio.squeeze(), (norms[1] / norms[0]).mean(1), rtol=1e-6)
    assert (ds.between_cosine < 1 - 1e-6).any()
    assert {
        "environment",
        "semantics",
        "kernels",
        "versions",
        "checkpoint_sha256",
        "params",
    } <= ds.attrs.keys()


def test_steps_that_were_not_taken_are_left_out():
    vectors, numbers = {}, {}
    for shift, name in enumerate(("exact", "paper")):
        step = np.ones((1, 4, 3))
        step[0, :, 0] += shift
        step[0, shift] = 0  # one trial each
        vectors[name] = xr.Dataset(
            {"step": (("budget", "trial", "param"), step), "step_true": ("param", np.ones(3))}
        )
        where = {"task": "t", "algo": "trpo", "seed": 0, "iteration": 0}
        one = (("budget",), Interval(*np.ones((3, 1))))
        estimates = dict.fromkeys(("cosine", "truth_cosine"), one)
        numbers[name] = label(estimates, ESTIMATES, {"budget": [64]}, where=where)
    ds = compare_datasets(vectors, numbers, "steps", 0.95)
    assert ds.between_cosine.item() == pytest.approx(4 / np.sqrt(3 * 6))
    assert ds.norm_ratio.item() == pytest.approx(np.sqrt(6 / 3))
    assert ds.truth_between_cosine.item() == pytest.approx(1)


def test_where_every_pair_ends_its_episode_by_itself_nothing_differs():
    checkpoint = make_checkpoint(PPO)
    make_rollouts("rollouts.zarr", checkpoint, TRIALS + TRUTH, PAIRS, end_rate=1.1)
    run_estimate("gradient", checkpoint, "own")
    ds = compare("gradient")
    np.testing.assert_allclose(ds.between_cosine, 1, atol=1e-6)
    np.testing.assert_allclose(ds.norm_ratio, 1, atol=1e-6)
    both = ds.cosine_by_semantics
    np.testing.assert_array_equal(both.sel(semantics="exact"), both.sel(semantics="paper"))


@pytest.mark.parametrize(
    "module",
    ["commands/probe", "probes/semantics/measure", "probes/gradient/measure", "agents/ppo", "environments/bandit"],
)  # fmt: skip
def test_unfinished_results_are_of_the_code_of_the_other_probe_too(monkeypatch, module):
    checkpoint = make_checkpoint(PPO)
    save_checkpoint("own.safetensors", checkpoint)
    make_rollouts("rollouts.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    digest = Path(f"data/code/{module}.txt")
    digest.parent.mkdir(parents=True)
    digest.write_text("this code")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(gradient, "measure_kept", stop)
    with pytest.raises(KeyboardInterrupt):
        compare("gradient")
    identity = json.loads((UNFINISHED / "semantics.nc/identity.json").read_text())
    assert identity["code"] == ["this code"]


def test_a_probe_that_is_not_one_is_told():
    save_checkpoint("own.safetensors", make_checkpoint(PPO))
    make_rollouts("rollouts.zarr", make_checkpoint(PPO), TRIALS + TRUTH, PAIRS)
    with pytest.raises(UserError, match=r"--case returns: not one of semantics\.probes in params\.yaml"):
        compare("returns")
