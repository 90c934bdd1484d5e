"""Reading files with pickles without running anything that they name.

A pickle is a program: its opcodes may call any importable function. Two readers here cannot be made to do that:
`load_tensors` is torch's reader with its own allow-list of tensor constructors, and `load_inert` turns every class and
function that a pickle names into a stub that remembers how it was called. Numbers are then taken out of the stubs.
"""

import base64
import binascii
import io
import pickle
import pickletools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgprim.types.errors import UserError

LARGEST_FILE = 1 << 28
"""Largest file [bytes]: a policy of 256 × 256 units takes 1 MB, its optimiser twice that."""

NUMBERS = ("f8", "f4", "i8", "i4")
"""Types of array that normalisers hold, as numpy codes."""


class Inert:
    """Stub for an object of a class, or the result of a function, that a pickle names.

    Attributes:
        named: Module and name as the pickle has them.
        args: What it was called with.
        state: What the pickle sets it to.
    """

    named = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        """Remember the call and make nothing."""
        self = object.__new__(cls)
        self.args, self.state = args, None
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        """A stub for the result."""
        return Inert(*args)

    def _ignore(self, *args: Any) -> None:
        """An item that the pickle puts into the object; no number that is read here is such an item."""

    append = extend = add = __setitem__ = _ignore


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        return type(name, (Inert,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Inert:
        return Inert(pid)


def read_bytes(path: str | Path) -> bytes:
    """All of a file.

    Raises:
        UserError: It is missing, unreadable, or larger than `LARGEST_FILE`.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > LARGEST_FILE:
        raise UserError(f"{path}: larger than {LARGEST_FILE >> 20} MiB, so it holds more than one agent")
    return data


def load_tensors(data: bytes, where: str) -> Any:
    """A file of `torch.save`, by torch's reader of tensors, numbers, text and their containers.

    Args:
        data: The file.
        where: Its name, for messages.

    Raises:
        UserError: The file is damaged, is no such file, or holds any other object.
    """
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files end in a dozen kinds of error, none of which is the caller's
        if name := re.search(r"(?:GLOBAL|global:?) ([\w.]+)", str(error)):
            raise UserError(
                f"{where}: holds a pickled {name[1]}, but may hold nothing but tensors, numbers and text: save the "
                "state dict, not the object"
            ) from None
        raise UserError(f"{where}: damaged, or not a file of torch.save") from None


def load_inert(data: bytes, where: str) -> Any:
    """A pickle with every object in it replaced by an `Inert` stub; lists, dicts, numbers and text are themselves.

    Raises:
        UserError: It is damaged or no pickle.
    """
    try:
        for name, arg in _opcodes(data):
            if name in ("PUT", "BINPUT", "LONG_BINPUT") and arg > len(data):
                raise ValueError  # Python would make a list of so many places
        return _Unpickler(io.BytesIO(data)).load()
    except Exception:  # as above
        raise UserError(f"{where}: damaged, or not a pickle") from None


def as_array(value: Any, where: str) -> np.ndarray:
    """The numpy array or number that an inert pickle holds, as a new array in double precision.

    Raises:
        UserError: It is an object of another class, or its bytes are not those of its shape.
    """
    try:
        if isinstance(value, int | float):
            return np.array(value, np.float64)
        name = re.sub(r"^numpy\._?core\.", "", value.named)
        if name == "multiarray._reconstruct":
            _, shape, dtype, fortran, raw = value.state
            order = "F" if fortran else "C"
        elif name == "numeric._frombuffer":
            raw, dtype, shape, order = value.args
        elif name == "multiarray.scalar":
            (dtype, raw), shape, order = value.args, (), "C"
        else:
            raise ValueError
        flat = np.frombuffer(_as_bytes(raw), _as_dtype(dtype))
        return flat.reshape(shape, order=order).astype(np.float64)
    except (AttributeError, TypeError, ValueError):
        kind = getattr(value, "named", "") or type(value).__name__
        raise UserError(f"{where}: is a {kind}, but must be an array of numbers") from None


def _as_dtype(dtype: Inert) -> np.dtype:
    code, byte_order = dtype.args[0], dtype.state[1]
    if dtype.named != "numpy.dtype" or code not in NUMBERS or byte_order not in "<>=|":
        raise ValueError
    return np.dtype(byte_order + code)


def _as_bytes(raw: Any) -> bytes:
    """Bytes; pickles of protocol 2 spell them as text in Latin-1."""
    if isinstance(raw, Inert) and raw.named == "_codecs.encode":
        return raw.args[0].encode("latin-1")
    if not isinstance(raw, bytes | bytearray):
        raise TypeError
    return bytes(raw)


def constants(serialized: str) -> tuple[set[str], list[float]]:
    """Texts and floating-point numbers that stand in a pickle in base 64, read off without loading it."""
    try:
        pairs = list(_opcodes(base64.b64decode(serialized, validate=True)))
    except (binascii.Error, ValueError):
        return set(), []
    texts = {arg for name, arg in pairs if name.endswith("UNICODE")}
    return texts, [arg for name, arg in pairs if name == "BINFLOAT"]


def _opcodes(data: bytes) -> Iterator[tuple[str, Any]]:
    for opcode, arg, _ in pickletools.genops(data):
        yield opcode.name, arg
