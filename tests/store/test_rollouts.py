"""The rollout store: what goes in comes out, by any reader; whole or not at all; never in memory."""

import subprocess
import sys
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from pgprim.store.rollouts import BLOCK, RolloutWriter, open_rollouts
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Finals, Rollout

ROOT = Path(__file__).parents[2]
NAMES = ("obs", "act", "rew", "terminated", "truncated")


def make_rollouts(num_streams: int, num_pairs: int, num_obs: int = 5, num_act: int = 2) -> Rollout:
    rng = np.random.default_rng(num_pairs)
    truncated = rng.random((num_streams, num_pairs)) < 0.01
    kept = truncated.copy()
    kept[:, -1] = True
    stream, t = np.nonzero(kept)
    return Rollout(
        0,
        rng.standard_normal((num_streams, num_pairs, num_obs), dtype=np.float32),
        rng.standard_normal((num_streams, num_pairs, num_act), dtype=np.float32),
        rng.standard_normal((num_streams, num_pairs)),
        rng.random((num_streams, num_pairs)) < 0.05,
        truncated,
        Finals(
            stream.astype(np.int32),
            t.astype(np.int32),
            rng.standard_normal((len(t), num_obs), dtype=np.float32),
        ),
    )


def cut(rollouts: Rollout, start: int, stop: int, streams: slice = slice(None)) -> Rollout:
    final = rollouts.finals
    first, last, _ = streams.indices(len(rollouts.rew))
    kept = (final.t >= start) & (final.t < stop) & (final.stream >= first) & (final.stream < last)
    finals = Finals(final.stream[kept] - np.int32(first), final.t[kept], final.obs[kept])
    return Rollout(start, *(getattr(rollouts, name)[streams, start:stop] for name in NAMES), finals)


def write(path: Path, rollouts: Rollout, attrs: dict | None = None) -> None:
    num_streams, num_pairs = rollouts.rew.shape
    with RolloutWriter(
        path, num_streams, num_pairs, rollouts.obs.shape[2], rollouts.act.shape[2], attrs or {}
    ) as writer:
        for start in range(0, num_pairs, BLOCK):
            writer.append(cut(rollouts, start, min(start + BLOCK, num_pairs)))


def assert_same(one: Rollout, two: Rollout) -> None:
    assert one.start == two.start
    for name in NAMES:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
        assert getattr(one, name).dtype == getattr(two, name).dtype
    for name in ("stream", "t", "obs"):
        np.testing.assert_array_equal(getattr(one.finals, name), getattr(two.finals, name), err_msg=name)


SIZES = [(1, 1, 1, 1), (3, 7, 5, 2), (50, 600, 11, 3), (2, 2 * BLOCK, 348, 17), (65, 2 * BLOCK + 3, 4, 1)]


@pytest.mark.parametrize("sizes", SIZES)
def test_what_is_written_is_read(tmp_path, sizes):
    rollouts = make_rollouts(*sizes)
    write(tmp_path / "r.zarr", rollouts, {"task": "hopper", "seed": 3})
    reader = open_rollouts(tmp_path / "r.zarr")
    assert (reader.num_streams, reader.num_pairs) == sizes[:2] and reader.attrs == {
        "task": "hopper",
        "seed": 3,
    }
    for streams in (slice(None), slice(0, ceil(sizes[0] / 3)), slice(sizes[0] // 2, sizes[0])):
        for stop, size in ((None, BLOCK), (sizes[1] // 2 + 1, 100)):
            end = sizes[1] if stop is None else stop
            blocks = list(reader.blocks(streams, stop, size))
            assert [block.start for block in blocks] == list(range(0, end, size))
            for block in blocks:
                assert_same(block, cut(rollouts, block.start, min(block.start + size, end), streams))
        np.testing.assert_array_equal(
            reader.final(streams).obs, cut(rollouts, 0, sizes[1], streams).finals.obs
        )


@pytest.mark.parametrize("sizes", SIZES)
def test_xarray_reads_it_and_everything_has_a_name_and_a_unit(tmp_path, sizes):
    rollouts = make_rollouts(*sizes)
    write(tmp_path / "r.zarr", rollouts)
    ds = xr.open_zarr(tmp_path / "r.zarr")
    for name in NAMES:
        np.testing.assert_array_equal(ds[name], getattr(rollouts, name))
        assert ds[name].dims[:2] == ("stream", "t")
    np.testing.assert_array_equal(ds.final_obs, rollouts.finals.obs)
    np.testing.assert_array_equal(ds.final_t, rollouts.finals.t)
    assert set(ds.data_vars) == {*NAMES, "final_obs", "final_stream", "final_t"} and set(ds.coords) == {
        "stream",
        "t",
    }
    assert (ds.sizes["obs_dim"], ds.sizes["act_dim"]) == sizes[2:]
    for name, variable in ds.variables.items():
        assert variable.attrs["units"] and variable.attrs["long_name"], name


def test_few_files_of_zarr_version_3_in_shards_with_the_same_bytes_every_time(tmp_path):
    rollouts = make_rollouts(20, 9 * BLOCK)
    write(tmp_path / "a.zarr", rollouts)
    write(tmp_path / "b.zarr", rollouts)
    files = [
        path.relative_to(tmp_path / "a.zarr") for path in (tmp_path / "a.zarr").rglob("*") if path.is_file()
    ]
    assert len(files) <= 36
    for file in files:
        assert (tmp_path / "a.zarr" / file).read_bytes() == (tmp_path / "b.zarr" / file).read_bytes(), file
    array = zarr.open_group(tmp_path / "a.zarr", mode="r")["obs"]
    assert array.metadata.zarr_format == 3 and array.shards is not None and array.nchunks > 5


def test_of_sixty_flipped_bits_none_is_read_as_data(tmp_path):
    write(tmp_path / "r.zarr", make_rollouts(3, 2 * BLOCK), {"task": "hopper"})
    files = sorted(path for path in (tmp_path / "r.zarr").rglob("*") if path.is_file())
    sizes = np.array([file.stat().st_size for file in files])
    rng = np.random.default_rng(0)
    # Every other flip is in any file alike, so that small ones have their turn.
    choices = [rng.choice(len(files), p=p) for _ in range(30) for p in (None, sizes / sizes.sum())]
    for file in (files[choice] for choice in choices):
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        with pytest.raises(UserError, match=r"r\.zarr: not a store of rollouts as pgprim wrote it: "):
            list(open_rollouts(tmp_path / "r.zarr").blocks())
        file.write_bytes(whole)
    list(open_rollouts(tmp_path / "r.zarr").blocks())


@pytest.mark.parametrize("name", ["rew/c/0/0", "act/zarr.json", "zarr.json"])
def test_a_torn_or_missing_file_is_named_when_the_store_is_opened(tmp_path, name):
    write(tmp_path / "r.zarr", make_rollouts(3, 100))
    file = tmp_path / "r.zarr" / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"r\.zarr.*(checksum|its file {name} has \d+ bytes)"):
        open_rollouts(tmp_path / "r.zarr")
    file.unlink()
    with pytest.raises(UserError, match=rf"r\.zarr: .*(the file {name} is missing|no checksum)"):
        open_rollouts(tmp_path / "r.zarr")


def test_what_another_kind_of_processor_made_is_refused(tmp_path):
    write(tmp_path / "r.zarr", make_rollouts(3, 100), {"kernels": "aarch64"})
    with pytest.raises(UserError, match="kernels aarch64"):
        open_rollouts(tmp_path / "r.zarr")


def test_an_error_while_writing_leaves_what_was_there(tmp_path):
    old, new = make_rollouts(2, 30), make_rollouts(2, 3 * BLOCK)
    write(tmp_path / "r.zarr", old)
    with (
        pytest.raises(ZeroDivisionError),
        RolloutWriter(tmp_path / "r.zarr", 2, 3 * BLOCK, 5, 2, {}) as writer,
    ):
        writer.append(cut(new, 0, BLOCK))
        raise ZeroDivisionError
    with (
        pytest.raises(ValueError, match="1 blocks were written"),
        RolloutWriter(tmp_path / "r.zarr", 2, 3 * BLOCK, 5, 2, {}) as writer,
    ):
        writer.append(cut(new, 0, BLOCK))
    assert [path.name for path in tmp_path.iterdir()] == ["r.zarr"]
    assert_same(next(open_rollouts(tmp_path / "r.zarr").blocks()), old)
    write(tmp_path / "r.zarr", new)
    assert open_rollouts(tmp_path / "r.zarr").num_pairs == 3 * BLOCK


@pytest.mark.parametrize(("start", "stop"), [(0, BLOCK - 1), (BLOCK, 2 * BLOCK), (0, 2 * BLOCK)])
def test_blocks_out_of_order_or_size_are_refused(tmp_path, start, stop):
    rollouts = make_rollouts(2, 3 * BLOCK)
    with (
        pytest.raises(ValueError, match="expected the pairs 0 to 512 of 2 streams"),
        RolloutWriter(tmp_path / "r.zarr", 2, 3 * BLOCK, 5, 2, {}) as writer,
    ):
        writer.append(cut(rollouts, start, stop))


def test_a_missing_or_wrong_store_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"r\.zarr: no such store of rollouts"):
        open_rollouts(tmp_path / "r.zarr")
    zarr.open_group(tmp_path / "other.zarr", mode="w").create_array("obs", shape=(1,), dtype="f4")
    with pytest.raises(UserError, match=r"other\.zarr: not a store of rollouts"):
        open_rollouts(tmp_path / "other.zarr")


MEASURE = """
import resource, sys
import numpy as np
from pgprim.store.rollouts import BLOCK, RolloutWriter
from pgprim.types.rollouts import Finals, Rollout
path, num_blocks, streams, obs, act = sys.argv[1], int(sys.argv[2]), 8, 348, 17
rng = np.random.default_rng(0)
none = Finals(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, obs), np.float32))
with RolloutWriter(path, streams, num_blocks * BLOCK, obs, act, {}) as writer:
    for index in range(num_blocks):
        writer.append(Rollout(
            index * BLOCK, rng.standard_normal((streams, BLOCK, obs), dtype=np.float32),
            np.ones((streams, BLOCK, act), np.float32), np.ones((streams, BLOCK)),
            *np.zeros((2, streams, BLOCK), bool), none))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_memory_does_not_grow_with_the_number_of_pairs(tmp_path):
    """Peak memory of a writer of 17 MB and of one of 230 MB, in fresh processes."""

    def peak(num_blocks: int) -> int:
        command = [sys.executable, "-c", MEASURE, str(tmp_path / f"{num_blocks}.zarr"), str(num_blocks)]
        result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        return int(result.stdout)

    growth = peak(40) - peak(3)
    size = (tmp_path / "40.zarr" / "obs" / "c" / "0" / "0" / "0").stat().st_size
    assert size > 150e6
    assert growth < 0.1 * size
