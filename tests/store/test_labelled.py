"""Labels: dimensions, long names and units of everything, intervals as a dimension, provenance without code."""

import json

import numpy as np
import pytest
import xarray as xr

from pgprim.core.intervals import Interval
from pgprim.plotting.intervals import draw_band, draw_bars, ends_of, reach_of
from pgprim.plotting.panels import panel_grid
from pgprim.store.files import digest
from pgprim.store.labelled import interval, label, stack
from pgprim.store.provenance import Used, provenance, union
from pgprim.types.environment import Environment
from tests.probes.synthetic import PPO, make_checkpoint

DESCRIBED = {"x": ("x of it", "pairs"), "matrix": ("a matrix", "1")}


def make() -> xr.Dataset:
    rows = [{"x": Interval(v, v - 1, v + 2), "matrix": np.full((2, 2), v)} for v in (1.0, 5.0, 7.0)]
    numbers = stack(rows)
    variables = {
        "x": (("budget",), numbers["x"]),
        "matrix": (("budget", "trial", "trial_b"), numbers["matrix"]),
    }
    coords = {"budget": [10, 20, 30], "trial": range(2), "trial_b": range(2), "part": ["not", "used"]}
    return label(variables, DESCRIBED, coords, {"level": 0.9}, {"task": "hopper", "seed": 3})


def test_everything_has_a_name_a_unit_and_coordinates():
    ds = make()
    assert ds.x.dims == ("task", "seed", "budget") and ds.x_ci.dims == (*ds.x.dims, "bound")
    assert ds.matrix.dims == ("task", "seed", "budget", "trial", "trial_b")
    assert ds.x.attrs == {"long_name": "x of it", "units": "pairs"}
    assert ds.x_ci.attrs == {"long_name": "90 % interval of the x of it", "units": "pairs"}
    for array in ds.variables.values():
        assert array.attrs["long_name"] and array.attrs["units"]
    assert set(ds.dims) == set(ds.coords) and "part" not in ds.coords
    assert ds.bound.values.tolist() == ["low", "high"]


def test_ends_are_those_of_the_intervals():
    ds = make().squeeze()
    low, high = interval(ds, "x")
    assert low.values.tolist() == [0, 4, 6] and high.values.tolist() == [3, 7, 9]
    np.testing.assert_array_equal(ends_of(ds, "x"), [low, high])
    np.testing.assert_array_equal(reach_of(ds, "x"), [[1, 1, 1], [2, 2, 2]])
    assert interval(ds, "matrix") is None


def test_what_is_not_described_is_refused():
    with pytest.raises(KeyError, match="y"):
        label({"y": ((), 1.0)}, DESCRIBED, {})


def test_figures_without_intervals_draw_none():
    _, axes = panel_grid(1, 1, 1.0, 1.0)
    ds = make().squeeze()
    for name, count in (("matrix", 0), ("x", 1)):
        one = ds[[name, f"{name}_ci"]] if count else ds[[name]].isel(trial=0, trial_b=0)
        for draw in (draw_band, draw_bars):
            before = len(axes[0, 0].collections)
            draw(axes[0, 0], ds.budget, one, name)
            assert len(axes[0, 0].collections) - before == count


def test_provenance_names_what_was_used_and_nothing_of_the_code(tmp_path):
    file = tmp_path / "c"
    file.write_bytes(b"x")
    attrs = provenance({"sample": {"pairs": 3}}, {"checkpoint": file}, make_checkpoint(PPO))
    assert attrs.keys() == {"params", "checkpoint_sha256", "environment", "semantics", "kernels", "versions"}
    assert attrs["checkpoint_sha256"] == digest(file) and attrs["semantics"] == "exact"
    assert json.loads(attrs["versions"]).keys() == {"mujoco", "numpy", "torch"}


def test_the_union_of_provenances_keeps_all_that_occurs_whatever_the_order():
    parts = [
        {
            "params": json.dumps({"a": {"x": 1, "y": 1}}),
            "checkpoint_sha256": "1",
            "environment": "H",
            "level": 0.9,
        },
        {"params": json.dumps({"a": {"x": 2, "y": 1}}), "checkpoint_sha256": "2", "environment": "W"},
        {"params": json.dumps({"b": [3]}), "checkpoint_sha256": "2", "environment": "W"},
    ]
    found = union(parts)
    assert found == union(reversed(parts))
    assert json.loads(found["params"]) == {"a": {"x": [1, 2], "y": 1}, "b": [3]}
    assert found["environment"] == "H, W" and len(found["checkpoint_sha256"]) == 64
    assert found.keys() == {"params", "checkpoint_sha256", "environment"}
    assert union(parts[1:2])["checkpoint_sha256"] == "2"


def test_of_the_parameters_those_that_were_looked_at_are_told():
    params = Used({"plot": {"regime": 1}, "sample": {"pairs": 2}, "claims": {}})
    assert params["plot"]["regime"] == 1 and len(params) == 3
    assert params.used == {"plot": {"regime": 1}}


def test_an_environments_arguments_are_part_of_where_a_dataset_comes_from():
    environment = Environment("Hopper-v5", kwargs={"reset_noise_scale": 0.1})
    told = json.loads(provenance({}, environment=environment)["environment"])
    assert Environment.from_dict(told) == environment
