"""What the study shows at the place of a number, from datasets that are made here."""

import numpy as np
import pytest
import xarray as xr

from pgprim.audit.study import ABSENT, look_up


def save(folder, figure, name, dims, values, **coords):
    ds = xr.Dataset({name: (dims, np.asarray(values, float))}, coords)
    ds.to_netcdf(folder / f"{figure}.nc", engine="scipy")


@pytest.fixture
def folder(tmp_path):
    """Cosines of two tasks, two agents each, before training and twice behind; the last budget was not measured."""
    values = np.arange(2 * 1 * 2 * 3 * 3, dtype=float).reshape(2, 1, 2, 3, 3)
    values[..., 2] = np.nan
    dims = ("task", "algo", "seed", "iteration", "budget")
    save(
        tmp_path, "noise_scale", "cosine", dims, values,
        task=["hopper", "humanoid"], algo=["ppo"], seed=[0, 1], iteration=[0, 150, 300], budget=[500, 2000, 8000],
    )  # fmt: skip
    return tmp_path


def test_trained_agents_of_the_same_task_at_the_nearest_budget(folder):
    study = look_up(folder, "cosine", "hopper", 2048)
    # Of seeds 0 and 1 at iterations 150 and 300: the second of each row of three.
    expected = [4.0, 7.0, 13.0, 16.0]
    assert (study["median"], study["lowest"], study["highest"]) == (np.median(expected), 4, 16)
    assert (study["checkpoints"], study["task"], study["source"]) == (4, ["hopper"], ["noise_scale.nc"])
    assert "Hopper" in study["sentence"]
    assert "at 2 000 pairs" in study["sentence"]


def test_a_budget_that_was_not_measured_is_passed_over(folder):
    assert look_up(folder, "cosine", "hopper", 10**6)["median"] == np.median([4, 7, 13, 16])


def test_a_task_that_the_study_does_not_have_is_compared_with_all_and_told(folder):
    study = look_up(folder, "cosine", "reacher", 2048)
    assert study["checkpoints"] == 8
    assert "it has no Reacher" in study["sentence"]


def test_several_figures_have_the_tasks_between_them(folder):
    (folder / "noise_scale.nc").unlink()
    for figure, task in (("fig1", "humanoid"), ("fig9", "hopper")):
        save(
            folder, figure, "cosine", ("task", "algo", "iteration", "budget"), [[[[0.5], [0.25]]]],
            task=[task], algo=["trpo"], iteration=[0, 10], budget=[1000],
        )  # fmt: skip
    study = look_up(folder, "cosine", "hopper", 2048)
    assert (study["source"], study["median"], study["checkpoints"]) == (["fig9.nc"], 0.25, 1)
    assert look_up(folder, "cosine", "other", 2048)["checkpoints"] == 2


def test_the_part_and_the_kind_are_the_audit_s(tmp_path):
    save(
        tmp_path, "trust_region", "kl_mean", ("task", "algo", "iteration", "part"), [[[[1, 2], [3, 4]]]],
        task=["hopper"], algo=["ppo"], iteration=[0, 10], part=["train", "held_out"],
    )  # fmt: skip
    assert look_up(tmp_path, "kl_mean", "hopper", 2048)["median"] == 4


def test_without_datasets_or_the_variable_nothing_is_said(folder, tmp_path):
    assert look_up(tmp_path / "nowhere", "cosine", "hopper", 2048) == {"sentence": ABSENT}
    assert look_up(folder, "noise_scale", "hopper", 2048) == {"sentence": ABSENT}


def test_a_number_of_the_audit_alone_has_no_place(folder):
    assert look_up(folder, "true_error", "hopper", 2048) is None
