"""The numbers of `dvc metrics show` are plain means of what the files hold."""

import argparse
import json

import numpy as np
import pytest
import xarray as xr

from pgprim.commands.params import load
from pgprim.commands.summarise import main, summarise
from pgprim.store.datasets import save_dataset, save_store
from pgprim.types.errors import UserError
from tests.commands.test_plot import ROOT
from tests.plotting.synthetic import estimates, records

GRID = {"tasks": ("hopper",), "algos": ("ppo",), "seeds": (0, 1), "iterations": (0, 150)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with parameters, records and estimates."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for name, ds in estimates(**GRID).items():
        save_dataset(tmp_path / name, ds)
    for name, ds in records(tasks=("hopper",), algos=("ppo",), seeds=(0, 1), iterations=20).items():
        save_store(tmp_path / name, ds)
    return tmp_path


def summary(folder) -> dict:
    inputs = {
        "records": folder / "data/records/hopper/ppo",
        "estimates": folder / "data/estimates/hopper/ppo",
    }
    main(argparse.Namespace(**inputs, out=folder / "data/metrics/hopper/ppo.json"))
    return json.loads((folder / "data/metrics/hopper/ppo.json").read_text())


def test_numbers_are_means_over_seeds_of_what_is_there(folder):
    found = summary(folder)
    parts = list(estimates(**GRID).values())
    assert found["pairs"] == 2048
    assert found["agreement"].keys() == {"0", "150"}
    for name, variable in (("agreement", "cosine"), ("to_truth", "truth_cosine")):
        for iteration in (0, 150):
            values = [
                float(ds[variable].sel(budget=2048).squeeze())
                for ds in parts
                if ds.iteration.item() == iteration
            ]
            assert len(values) == 2
            assert found[name][str(iteration)] == pytest.approx(sum(values) / 2, rel=1e-6)
    runs = list(records(tasks=("hopper",), algos=("ppo",), seeds=(0, 1), iterations=20).values())
    assert load()["reliability"]["final"] == 0.2
    finals = np.concatenate([np.nanmean(ds.return_mean.values[..., 16:], -1).ravel() for ds in runs])
    assert len(finals) == 2 and found["return"] == pytest.approx(finals.mean(), rel=1e-6)


def test_estimates_of_other_budgets_are_one_sentence():
    one = next(iter(estimates(**GRID).values()))
    run = next(iter(records(tasks=("hopper",), algos=("ppo",), seeds=(0,), iterations=3).values()))
    told = r"^no gradient estimate is of plot\.budget \(999\) pairs, but of 100, "
    with pytest.raises(UserError, match=told):
        summarise(run, one, budget=999, share=0.2)


def test_what_has_no_value_is_null(folder):
    one = next(iter(estimates(**GRID).values()))
    run = next(iter(records(tasks=("hopper",), algos=("ppo",), seeds=(0,), iterations=3).values()))
    without = run.assign(return_mean=xr.full_like(run.return_mean, np.nan))
    assert summarise(without, one, budget=2048, share=0.2)["return"] is None


def test_a_folder_of_something_else_is_one_sentence(folder):
    swapped = {"records": folder / "data/estimates", "estimates": folder / "data/records"}
    with pytest.raises(UserError, match="holds no return_mean"):
        main(argparse.Namespace(**swapped, out=folder / "x.json"))
