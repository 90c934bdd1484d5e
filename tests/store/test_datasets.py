"""Stores of labelled results: same content, same bytes; whole or not at all; many files, one dataset."""

import numpy as np
import pytest
import xarray as xr

from pgprim.store.datasets import (
    load_dataset,
    open_store,
    save_dataset,
    save_store,
)
from pgprim.types.errors import UserError


def _describe(ds):
    for name in ds.data_vars:
        ds[name].attrs = {"units": "1", "long_name": f"the {name}"}
    return ds


def _estimate(task="hopper", algo="ppo", seed=0, iteration=150, budgets=(100, 2048), value=0.5):
    shape = (1, 1, 1, 1, len(budgets))
    dims = ("task", "algo", "seed", "iteration")
    return _describe(
        xr.Dataset(
            {
                "cosine": ((*dims, "budget"), np.full(shape, value)),
                "truth_pairs": (dims, np.full(shape[:4], 10**7)),
            },
            {
                "task": [task],
                "algo": [algo],
                "seed": [seed],
                "iteration": [iteration],
                "budget": ("budget", list(budgets), {"units": "pairs", "long_name": "pairs per estimate"}),
            },
            {"semantics": "exact", "made_from": f"{task}/{algo}/{seed}/{iteration}"},
        )
    )


def _files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_dataset_comes_back_as_it_was(tmp_path):
    ds = _estimate()
    ds["cosine"].values[..., 0] = np.nan
    ds["cosine"].values[..., 1] = np.inf
    save_dataset(tmp_path / "deep" / "a.nc", ds)
    xr.testing.assert_identical(load_dataset(tmp_path / "deep" / "a.nc"), ds)
    assert list(_files(tmp_path)) == ["deep/a.nc"]


def test_the_same_dataset_is_the_same_bytes(tmp_path):
    ds = _estimate()
    save_dataset(tmp_path / "a.nc", ds)
    save_dataset(tmp_path / "b.nc", ds.assign_attrs(dict(reversed(ds.attrs.items()))))
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.nc"
    save_dataset(path, _estimate())
    before = _files(tmp_path)
    bad = _estimate().assign(wrong=("budget", np.array([2**40, 1]), {"units": "1", "long_name": "too large"}))
    with pytest.raises(ValueError, match="int64"):
        save_dataset(path, bad)
    assert _files(tmp_path) == before


@pytest.mark.parametrize("save", [save_dataset, save_store])
@pytest.mark.parametrize("key", ["units", "long_name"])
def test_every_variable_must_be_described(tmp_path, save, key):
    ds = _estimate()
    del ds["cosine"].attrs[key]
    with pytest.raises(ValueError, match=f"'cosine' has no {key}"):
        save(tmp_path / "a", ds)


def test_missing_and_broken_files_end_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="no such dataset"):
        load_dataset(tmp_path / "a.nc")
    save_dataset(tmp_path / "whole.nc", _estimate())
    whole = (tmp_path / "whole.nc").read_bytes()
    for broken in (b"", b"not netcdf at all", whole[: len(whole) // 3]):
        (tmp_path / "a.nc").write_bytes(broken)
        with pytest.raises(UserError, match=r"a\.nc: not a dataset as pgprim wrote it"):
            load_dataset(tmp_path / "a.nc")
    with pytest.raises(UserError, match="no such dataset"):
        open_store(tmp_path / "none.zarr")


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_of_sixty_flipped_bits_none_is_read_as_data(tmp_path, name):
    save, load = (save_dataset, load_dataset) if name.endswith("nc") else (save_store, open_store)
    save(tmp_path / name, _estimate())
    files = sorted(path for path in [tmp_path / name, *(tmp_path / name).rglob("*")] if path.is_file())
    rng = np.random.default_rng(0)
    for _ in range(60):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        with pytest.raises(UserError, match=rf"{name}: not a dataset as pgprim wrote it: "):
            load(tmp_path / name)
        file.write_bytes(whole)
    xr.testing.assert_identical(load(tmp_path / name).load(), _estimate())


def test_chunks_of_stores_have_checksums_that_any_reader_checks(tmp_path):
    save_store(tmp_path / "g.zarr", _gradients())
    shard = tmp_path / "g.zarr" / "grad" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[10] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        xr.open_zarr(tmp_path / "g.zarr").load()


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_what_another_kind_of_processor_made_is_refused(tmp_path, name):
    save, load = (save_dataset, load_dataset) if name.endswith("nc") else (save_store, open_store)
    save(tmp_path / name, _estimate().assign_attrs(kernels="aarch64"))
    with pytest.raises(UserError, match=rf"{name}: .*kernels aarch64"):
        load(tmp_path / name)


def _gradients():
    rng = np.random.default_rng(0)
    return _describe(
        xr.Dataset(
            {
                "grad": (("budget", "trial", "param"), rng.standard_normal((3, 4, 50)).astype(np.float32)),
                "score_sum": (("stream", "param"), rng.standard_normal((5, 50))),
            },
            {"budget": [100, 500, 2048], "tensor": ("param", np.zeros(50, dtype=np.int8))},
            {"task": "hopper", "iteration": 150},
        )
    )


def test_gradients_come_back_as_they_were_from_few_files(tmp_path):
    ds = _gradients()
    save_store(tmp_path / "g.zarr", ds)
    xr.testing.assert_identical(open_store(tmp_path / "g.zarr").load(), ds)
    xr.testing.assert_equal(xr.open_zarr(tmp_path / "g.zarr").load(), ds)
    assert len(_files(tmp_path / "g.zarr")) <= 1 + 2 * len(ds.variables)


def test_gradients_are_the_same_bytes_and_replaced_whole(tmp_path):
    save_store(tmp_path / "a.zarr", _gradients())
    save_store(
        tmp_path / "b.zarr",
        _gradients().assign(more=("param", np.ones(50), {"units": "1", "long_name": "x"})),
    )
    save_store(tmp_path / "b.zarr", _gradients())
    assert _files(tmp_path / "a.zarr") == _files(tmp_path / "b.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]
