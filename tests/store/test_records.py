"""Training records: labelled, readable by any xarray, the same bytes every time."""

import numpy as np
import pytest
import xarray as xr

from pgprim.store.datasets import open_store, save_store
from pgprim.store.records import records_dataset

LABELS = {
    "return_mean": ("mean return", "reward"),
    "kl_mean": ("mean KL", "nat"),
    "more": ("not recorded", "1"),
}


def make_columns(seed: int = 0, num_iterations: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = {name: rng.standard_normal((num_iterations, 2)) for name in ("return_mean", "kl_mean")}
    columns["return_mean"][1, 0] = np.nan
    return columns


def make_records(seed: int = 0) -> xr.Dataset:
    return records_dataset(make_columns(seed), LABELS, "hopper", "ppo", [0, 7], {"env_id": "Hopper-v5"})


def test_records_are_labelled():
    """An agent's iteration is found by the names that the paths have, too."""
    ds = make_records()
    for name, column in make_columns().items():
        assert ds[name].dims == ("task", "algo", "seed", "iteration")
        assert (ds[name].attrs["long_name"], ds[name].attrs["units"]) == LABELS[name]
        for agent, seed in enumerate((0, 7)):
            found = ds[name].sel(task="hopper", algo="ppo", seed=seed)
            np.testing.assert_array_equal(found, column[:, agent])
    assert set(ds.data_vars) == set(make_columns())
    assert list(ds.seed) == [0, 7] and list(ds.iteration) == list(range(5))
    assert all("long_name" in ds[name].attrs for name in ds.coords)
    assert ds.attrs == {"env_id": "Hopper-v5"}


@pytest.mark.filterwarnings("ignore:Failed to open Zarr store with consolidated metadata:RuntimeWarning")
@pytest.mark.parametrize("read", [open_store, xr.open_zarr])
def test_what_goes_in_comes_out(tmp_path, read):
    save_store(tmp_path / "a" / "r.zarr", make_records())
    found = read(tmp_path / "a" / "r.zarr").load()
    found.attrs.pop("pgprim", None)  # the list of files, and the seal
    xr.testing.assert_identical(found, make_records())
    assert found.return_mean.dtype == np.float64
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["r.zarr"]


def test_records_of_several_runs_combine_by_their_coordinates(tmp_path):
    other = records_dataset(make_columns(1), LABELS, "hopper", "trpo", [0, 7], {})
    whole = xr.combine_by_coords([make_records(), other])
    np.testing.assert_array_equal(whole.kl_mean.sel(algo="ppo"), make_records().kl_mean.isel(algo=0))
    np.testing.assert_array_equal(whole.kl_mean.sel(algo="trpo"), other.kl_mean.isel(algo=0))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_same_records_same_bytes_and_new_ones_replace_the_old(tmp_path):
    save_store(tmp_path / "one", make_records())
    save_store(tmp_path / "two", make_records(1).assign(extra=make_records().kl_mean))
    assert files(tmp_path / "one") != files(tmp_path / "two")
    save_store(tmp_path / "two", make_records())
    assert files(tmp_path / "one") == files(tmp_path / "two")
