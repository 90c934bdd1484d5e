"""Atomic, sealed files and folders that never replace files of other programs.

An artifact is *sealed*: it contains the words `pgprim sha256` and the SHA-256 of all its bytes, computed with zeros
in the digest's place. The same mechanism serves NetCDF (an attribute), safetensors (the header) and Zarr (an
attribute of the root, beside a list of the store's files with their sizes and digests). A valid seal means that the
bytes are unchanged and that pgprim wrote them.
"""

import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pgprim.types.errors import UserError

SEAL = "pgprim sha256 "
UNSEALED = SEAL + 64 * "0"
"""What a writer puts where the seal is to be."""

FIGURES = (".pdf", ".png")
"""Figures are read by nobody but people. They have no seal, but the word `pgprim` among what they say of themselves."""

SMALL = 1 << 20
"""Files of a store up to so many bytes are always compared by their digest."""

UNFINISHED = Path("data/unfinished")
"""Where pieces are kept, below the path of the result that they are of; neither DVC nor figures look there."""

TIMESTAMP = ".snakemake_timestamp"
"""Snakemake puts this file into folders that its jobs make."""

DIGEST_BYTES = 32
"""Length of a SHA-256."""

_SEALED = re.compile(re.escape(SEAL.encode()) + rb"([0-9a-f]{64})")
_ROOT = "zarr.json"


def seal(data: bytes) -> bytes:
    """The same bytes with the digest in its place.

    Args:
        data: Bytes to seal; they contain `UNSEALED` exactly once.

    Raises:
        ValueError: `UNSEALED` is missing, or there more than once.
    """
    if (places := data.count(UNSEALED.encode())) != 1:
        raise ValueError(f"a seal has one place, not {places}")
    return data.replace(UNSEALED.encode(), f"{SEAL}{hashlib.sha256(data).hexdigest()}".encode())


def seal_holds(data: bytes) -> bool:
    """Whether the bytes have a seal and are unchanged."""
    if (stamp := _SEALED.search(data)) is None:
        return False
    return hashlib.sha256(data.replace(stamp[0], UNSEALED.encode(), 1)).hexdigest().encode() == stamp[1]


def seal_store(folder: Path) -> None:
    """Write the list of its files and a seal into an otherwise complete Zarr store.

    Raises:
        ValueError: The folder is no Zarr store.
    """
    root = json.loads((folder / _ROOT).read_bytes())
    files = {
        name: [(folder / name).stat().st_size, digest(folder / name)]
        for name in _files_of(folder)
        if name != _ROOT
    }
    root["attributes"]["pgprim"] = {"seal": UNSEALED, "files": files}
    (folder / _ROOT).write_bytes(seal(json.dumps(root, indent=1).encode()))


def digest(path: str | Path) -> str:
    """SHA-256 of a file, or of a Zarr store's root, which contains the digests of all its files."""
    path = Path(path)
    with (path / _ROOT if path.is_dir() else path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sealed(path: str | Path, kind: str) -> bytes:
    """The bytes of a sealed file.

    Args:
        path: The file.
        kind: What it should be, such as `checkpoint`.

    Raises:
        UserError: The file is missing, or its bytes changed.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise missing(path, kind) from None
    except OSError as error:
        raise unusable(path, kind, error.strerror) from None
    if not seal_holds(data):
        raise unusable(path, kind, _why_not(data))
    return data


def check_store(path: str | Path, kind: str, contents: bool) -> None:
    """Check that a Zarr store is complete and unchanged.

    Args:
        path: The store.
        kind: What it should be, such as `store of rollouts`.
        contents: Whether to verify the digests of large files, too, and not only their sizes. Chunks also have their
            own checksums, which are verified on reading.

    Raises:
        UserError: The store or one of its files is missing, a file was added, or a file changed.
    """
    path = Path(path)
    if not path.exists():
        raise missing(path, kind)
    root = (path / _ROOT).read_bytes() if (path / _ROOT).exists() else b""
    if not seal_holds(root):
        raise unusable(path, kind, _why_not(root))
    files = json.loads(root)["attributes"]["pgprim"]["files"]
    if different := sorted(set(files) ^ (set(_files_of(path)) - {_ROOT})):
        reason = "is missing in it" if different[0] in files else "does not belong to it"
        raise unusable(path, kind, f"the file {different[0]} {reason}")
    for name, (size, expected) in files.items():
        if (actual := (path / name).stat().st_size) != size:
            raise unusable(path, kind, f"its file {name} has {actual} bytes, but was written with {size}")
        if (contents or size <= SMALL) and digest(path / name) != expected:
            raise unusable(path, kind, f"the checksum of its file {name} does not fit its bytes")


def _why_not(data: bytes) -> str:
    return "its checksum does not fit its bytes" if _SEALED.search(data) else "it has no checksum of pgprim's"


def missing(path: str | Path, kind: str) -> UserError:
    """The error for a missing artifact."""
    return UserError(f"{path}: no such {kind}; make it with `snakemake {path}`")


def unusable(path: str | Path, kind: str, reason: str) -> UserError:
    """The error for an artifact that is damaged or of another kind."""
    return UserError(
        f"{path}: not a {kind} as pgprim wrote it: {reason}; `snakemake {path}` restores it or makes it again"
    )


def is_own(path: Path) -> bool:
    """Whether pgprim made a file, or everything in a folder, and it is unchanged.

    The contents of a Zarr store's chunks are not checked.
    """
    if path.is_dir():
        if (path / _ROOT).exists():
            with suppress(UserError):
                check_store(path, "", contents=False)
                return True
            return False
        return all(is_own(path / name) for name in _files_of(path))
    with suppress(OSError):
        data = path.read_bytes()
        return b"pgprim" in data if path.suffix in FIGURES else seal_holds(data)
    return False


def set_aside(path: Path) -> None:
    """Rename a file in an output's place to NAME.foreign-1, or the next free number, and report it on stderr."""
    number = 1
    while (other := path.with_name(f"{path.name}.foreign-{number}")).exists():
        number += 1
    path.rename(other)
    print(f"{path}: pgprim did not make this; it is {other} from now on", file=sys.stderr)


@contextmanager
def writing(path: str | Path, is_own: Callable[[Path], bool] = is_own) -> Iterator[Path]:
    """Write a file or folder atomically: complete or not at all, even after a power cut.

    Args:
        path: Its final path. An older output of pgprim is replaced; anything else is renamed (`set_aside`).
        is_own: Whether the existing file or folder may be replaced.

    Yields:
        Temporary path to write to. It is moved to `path` if the block ends without an error, and removed otherwise.

    Raises:
        UserError: The path is not writable.
    """
    path = Path(path)
    partial, old = (path.with_name(f".{path.name}.{end}") for end in ("partial", "old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(partial)  # of a killed run
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(0, "no permission to write")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); give a path that can") from None
    try:
        yield partial
        _flush(partial)
        if os.path.lexists(path) and not is_own(path):
            set_aside(path)
        if path.is_dir() and not path.is_symlink():  # a folder cannot be replaced in one step
            remove(old)
            path.rename(old)
        os.replace(partial, path)
        _flush_folder(path.parent)
        remove(old)
    finally:
        remove(partial)


def write_bytes(path: str | Path, data: bytes, is_own: Callable[[Path], bool] = is_own) -> None:
    """Write a file; see `writing`."""
    with writing(path, is_own) as partial:
        partial.write_bytes(data)


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write an indented JSON object. An existing object with some of the same keys counts as an older version."""

    def is_older(there: Path) -> bool:
        with suppress(OSError, ValueError):
            return bool(set(json.loads(there.read_bytes())) & set(value))
        return False

    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(path, text.encode(), is_older)


class Pieces:
    """Partial results of one result, from which a killed run resumes.

    Use it as a context manager: if the block ends without an error, the result exists and the pieces are removed. A
    piece is some arrays under a name, or any file that is written atomically into `folder`.

    Attributes:
        folder: Folder of the pieces.
    """

    def __init__(self, result: str | Path, identity: Mapping[str, Any]) -> None:
        """Find the pieces of an earlier run; pieces with another identity are removed.

        Args:
            result: Path of the result.
            identity: Everything that the pieces depend on, as JSON.
        """
        self.folder = UNFINISHED / result
        text, file = json.dumps(identity, sort_keys=True), self.folder / "identity.json"
        if not file.exists() or file.read_text() != text:
            remove(self.folder)
            write_bytes(file, text.encode())

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """A piece; None if it is missing or damaged."""
        try:
            data = (self.folder / f"{name}.npz").read_bytes()
        except FileNotFoundError:
            return None
        data, expected = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != expected:
            return None
        return dict(np.load(io.BytesIO(data)))

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Save a piece, with its digest at its end."""
        file = io.BytesIO()
        np.savez(file, **arrays)
        data = file.getvalue()
        write_bytes(self.folder / f"{name}.npz", data + hashlib.sha256(data).digest(), lambda _: True)

    def __enter__(self) -> "Pieces":
        """Return the pieces."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the pieces unless there was an error."""
        if kind is None:
            remove(self.folder)


class Scratch(dict[str, Mapping[str, np.ndarray]]):
    """Pieces that are kept in memory only, for a result that is never resumed."""

    load = dict.get
    save = dict.__setitem__


def remove(path: Path) -> None:
    """Remove a file or folder of pgprim's own, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _files_of(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if not path.is_dir() and path.name != TIMESTAMP)
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _flush(path: Path) -> None:
    """Flush a file, or a folder and its content, to the disk."""
    if not path.is_dir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return
    for folder, _, files in os.walk(path):
        for name in files:
            _flush(Path(folder, name))
        _flush_folder(Path(folder))


def _flush_folder(path: Path) -> None:
    with suppress(OSError):  # not every file system supports this
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
