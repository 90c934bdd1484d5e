"""Rollouts as Zarr v3 stores with dimensions `(stream, t, ...)`: written block by block, read lazily, a few files each.

Each array is one shard: a file of compressed inner chunks that ends with an index of their places. The zarr package
builds a shard in memory, which would take 14 GB for 10⁷ Humanoid pairs. The format allows appending chunks and
writing the index last, as `RolloutWriter` does. Reading uses zarr. Each chunk ends with its CRC-32C, so that a part
can be verified without reading the whole shard.
"""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zarr
from google_crc32c import value as crc32c
from numcodecs import Blosc, blosc
from zarr.codecs import BloscCodec, Crc32cCodec, TransposeCodec

from pgprim.store.files import check_store, seal_store, unusable, writing
from pgprim.store.provenance import require_same_kernels
from pgprim.types.rollouts import Finals, Rollout

KIND = "store of rollouts"

BLOCK = 512
"""Pairs of one stream per chunk, and per block that a writer takes."""

CODEC = {"cname": "zstd", "clevel": 2, "shuffle": "shuffle"}
"""On Humanoid rollouts of a random policy, by level: 1 wrote 450 MB/s to 0.64 of their size, 2 390 MB/s to 0.62, 3
260 MB/s to 0.60; lz4 keeps 0.75. Without the transposition level 1 keeps 0.69."""

CHUNK_BYTES = 2**18
"""Chunks of narrow arrays hold several streams, up to this size: thousands of tiny ones would be slow to read."""

VARIABLES = {
    "obs": ("f4", "obs_dim", "observation before the action as the networks see it, normalised"),
    "act": ("f4", "act_dim", "action drawn by the policy, not clipped"),
    "rew": ("f8", None, "raw reward"),
    "terminated": ("?", None, "episode ended by the task"),
    "truncated": ("?", None, "episode ended by a time limit"),
}
FINALS = {
    "final_stream": "stream of the final observation",
    "final_t": "time of the step that led to the final observation",
    "final_obs": "normalised observation after the last step of a truncated episode or of a stream",
}
UNITS = "1"
"""The simulators' observations mix metres, radians and their rates, so no common unit but the number exists."""


class _Shard:
    """One array as one shard, its chunks appended in the order of time."""

    def __init__(self, array: zarr.Array, group: int, block: int) -> None:
        path = Path(str(array.store_path.store.root), array.path, "c", *["0"] * array.ndim)
        path.parent.mkdir(parents=True)
        self._file = path.open("wb")
        self._codec = Blosc(CODEC["cname"], CODEC["clevel"], Blosc.SHUFFLE)
        self._group, self._block = group, block
        streams, steps = array.shape[:2]
        self._index = np.zeros((ceil(streams / group), ceil(steps / block), 2), "<u8")
        self._end = 0

    def append(self, column: int, values: np.ndarray) -> None:
        """Write the chunks of one block: `values[stream, t, ...]` is column number `column` of the chunk grid."""
        for row, index in enumerate(self._index[:, column]):
            part = values[row * self._group : (row + 1) * self._group]
            pad = (self._group - part.shape[0], self._block - part.shape[1])
            if any(pad):
                part = np.pad(part, [(0, pad[0]), (0, pad[1])] + [(0, 0)] * (part.ndim - 2))
            chunk = self._codec.encode(np.ascontiguousarray(np.moveaxis(part, 1, -1)))
            self._file.write(chunk)
            self._file.write(crc32c(chunk).to_bytes(4, "little"))
            index[:] = self._end, len(chunk) + 4
            self._end += len(chunk) + 4

    def finish(self) -> None:
        """Write the index, which completes the shard."""
        index = self._index.tobytes()
        self._file.write(index + crc32c(index).to_bytes(4, "little"))
        self._file.close()

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class RolloutWriter:
    """Writes one store, which appears under its name when it is complete, or not at all.

    Use it as a context manager and append the blocks in the order of time.
    """

    def __init__(
        self,
        path: str | Path,
        num_streams: int,
        num_pairs: int,
        num_obs: int,
        num_act: int,
        attrs: dict[str, Any],
    ) -> None:
        """Prepare a store.

        Args:
            path: Final name; an older store there is replaced.
            num_streams: Streams.
            num_pairs: Pairs per stream.
            num_obs: Length of an observation.
            num_act: Length of an action.
            attrs: Description and provenance of the rollouts, as JSON.
        """
        self._path = Path(path)
        self._stack = ExitStack()
        self._shape = (num_streams, num_pairs)
        self._widths = {"obs_dim": num_obs, "act_dim": num_act}
        self._attrs = attrs
        self._column = 0
        self._finals: list[Finals] = []

    def __enter__(self) -> "RolloutWriter":
        """Start the partial store; one that a killed run left is overwritten."""
        self._partial = self._stack.enter_context(writing(self._path))
        # More threads would write a chunk's parts in the order in which they finish, so bytes would differ.
        blosc.use_threads = False
        self._root = zarr.open_group(self._partial, mode="w", zarr_format=3, attributes=self._attrs)
        self._shards = {name: self._make_shard(name) for name in VARIABLES}
        return self

    def append(self, block: Rollout) -> None:
        """Append a block of `BLOCK` pairs per stream; only the last may be shorter.

        Raises:
            ValueError: The block does not follow the last one, or has another length or number of streams.
        """
        start, stop = self._column * BLOCK, min((self._column + 1) * BLOCK, self._shape[1])
        if (block.start, *block.rew.shape) != (start, self._shape[0], stop - start):
            raise ValueError(
                f"{self._path}: expected the pairs {start} to {stop} of {self._shape[0]} streams, "
                f"got {block.rew.shape[1]} pairs from {block.start} of {block.rew.shape[0]} streams"
            )
        for name, shard in self._shards.items():
            shard.append(self._column, getattr(block, name))
        self._finals.append(block.finals)
        self._column += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the store its name, or remove it if anything went wrong."""
        with self._stack:
            try:
                if error is not None:
                    raise error
                self._finish()
            finally:
                for shard in self._shards.values():
                    shard.close()

    def _finish(self) -> None:
        if self._column != ceil(self._shape[1] / BLOCK):
            raise ValueError(
                f"{self._path}: {self._column} blocks were written, but {self._shape[1]} pairs promised"
            )
        for shard in self._shards.values():
            shard.finish()
        finals = {
            "final_stream": np.concatenate([final.stream for final in self._finals]),
            "final_t": np.concatenate([final.t for final in self._finals]),
            "final_obs": np.concatenate([final.obs for final in self._finals]),
        }
        order = np.lexsort((finals["final_t"], finals["final_stream"]))
        for name, long_name in FINALS.items():
            dims = ("end", "obs_dim") if name == "final_obs" else ("end",)
            self._write(name, finals[name][order], dims, long_name)
        self._write("stream", np.arange(self._shape[0], dtype=np.int32), ("stream",), "environment stream")
        self._write(
            "t", np.arange(self._shape[1], dtype=np.int32), ("t",), "time in the stream", "environment steps"
        )
        with warnings.catch_warnings():
            # xarray reads consolidated metadata, which zarr supports but the Zarr v3 specification does not have yet.
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(self._partial)
        seal_store(self._partial)

    def _make_shard(self, name: str) -> _Shard:
        dtype, last, long_name = VARIABLES[name]
        tail = (self._widths[last],) if last else ()
        chunk_bytes = BLOCK * int(np.prod(tail)) * np.dtype(dtype).itemsize
        group = min(max(1, CHUNK_BYTES // chunk_bytes), self._shape[0])
        # Time is the fastest axis inside a chunk: values at neighbouring times are similar, neighbours in an
        # observation are not.
        order = (0, 2, 1) if last else (0, 1)
        array = self._root.create_array(
            name,
            shape=(*self._shape, *tail),
            dtype=dtype,
            chunks=(group, BLOCK, *tail),
            shards=(_multiple(self._shape[0], group), _multiple(self._shape[1], BLOCK), *tail),
            filters=[TransposeCodec(order=order)] if last else None,
            compressors=[BloscCodec(**CODEC, typesize=np.dtype(dtype).itemsize), Crc32cCodec()],
            dimension_names=("stream", "t", *([last] if last else [])),
            attributes={"units": UNITS, "long_name": long_name},
        )
        return _Shard(array, group, BLOCK)

    def _write(
        self, name: str, values: np.ndarray, dims: tuple[str, ...], long_name: str, units: str = UNITS
    ) -> None:
        array = self._root.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(max(1, size) for size in values.shape),
            compressors=[BloscCodec(**CODEC, typesize=values.dtype.itemsize), Crc32cCodec()],
            dimension_names=dims,
            attributes={"units": units, "long_name": long_name},
        )
        array[...] = values


class RolloutReader:
    """One store of rollouts, read block by block.

    Attributes:
        attrs: Description and provenance of the rollouts.
        num_streams: Streams.
        num_pairs: Pairs per stream.
    """

    def __init__(self, path: str | Path) -> None:
        """Check that the store is complete; the arrays stay on disk.

        Raises:
            UserError: It is missing, is not what pgprim wrote, or is of another kind of processor.
        """
        check_store(path, KIND, contents=False)
        self._path, root = path, zarr.open_group(Path(path), mode="r")
        if lacking := sorted({*VARIABLES, *FINALS} - set(root.array_keys())):
            raise unusable(path, KIND, f"it has no array {lacking[0]!r}")
        self._arrays = {name: root[name] for name in VARIABLES}
        self._finals = {name: self._read(root[name]) for name in FINALS}
        self.attrs = {name: value for name, value in root.attrs.items() if name != "pgprim"}
        require_same_kernels(path, KIND, self.attrs)
        self.num_streams, self.num_pairs = self._arrays["rew"].shape

    def blocks(
        self, streams: slice = slice(None), stop: int | None = None, size: int = BLOCK
    ) -> Iterator[Rollout]:
        """The pairs of some streams in the order of time.

        Args:
            streams: Which streams; rows of the blocks, and of their finals, are counted from the first of these.
            stop: Pairs per stream; all by default.
            size: Pairs per stream and block, best a multiple of `BLOCK`; the last block may be shorter.
        """
        stop = self.num_pairs if stop is None else min(stop, self.num_pairs)
        for start in range(0, stop, size):
            end = min(start + size, stop)
            arrays = {
                name: self._read(array, streams, slice(start, end)) for name, array in self._arrays.items()
            }
            yield Rollout(start, **arrays, finals=self.final(streams, start, end))

    def final(self, streams: slice = slice(None), start: int = 0, stop: int | None = None) -> Finals:
        """The final observations of the steps `start` to `stop` of some streams, sorted by stream, then time."""
        first, last, _ = streams.indices(self.num_streams)
        stream, t = self._finals["final_stream"], self._finals["final_t"]
        stop = self.num_pairs if stop is None else stop
        kept = (stream >= first) & (stream < last) & (t >= start) & (t < stop)
        return Finals(stream[kept] - np.int32(first), t[kept], self._finals["final_obs"][kept])

    def _read(self, array: zarr.Array, *where: slice) -> np.ndarray:
        try:
            return np.asarray(array[where or ...])
        except (ValueError, RuntimeError, OSError):
            raise unusable(
                self._path, KIND, f"a chunk of {array.name[1:]} does not fit its checksum"
            ) from None


def open_rollouts(path: str | Path) -> RolloutReader:
    """Open a store.

    Raises:
        UserError: It is missing, is not what pgprim wrote, or is of another kind of processor.
    """
    return RolloutReader(path)


def _multiple(size: int, unit: int) -> int:
    return ceil(size / unit) * unit
