"""What stands for things in MXNet's pickles: a name of a list, an object that does nothing, bytes written as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from symjit.base import shown

__all__ = ["Array", "DType", "LongText", "Name", "Record", "described", "kind_of"]


@dataclass(slots=True)
class Record:
    """An object of MXNet that is not an array: what class it had and its attributes, and nothing that acts.

    Attributes:
        name: the name of the class, without its module.
        attributes: what stood in its ``__dict__``.
    """

    name: str
    attributes: dict[str, Any] | None = None


class Array:
    """An NDArray before and after its state has come."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None


class DType:
    """The dtype of a number."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


class Name:
    """A function or class that the file names: what it stands for here, and how it is called."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name


class LongText:
    """Text that is left as it stands in the file until somebody wants bytes of it."""

    __slots__ = ("encoding", "raw")

    def __init__(self, raw: memoryview, encoding: str) -> None:
        self.raw, self.encoding = raw, encoding

    def to_bytes(self) -> bytes:
        """Return the bytes that are meant, of which each is a character.

        Raises:
            ValueError: there is a character that is no byte; found without decoding, which may take four times as much.
        """
        if self.encoding == "utf-8":
            if int(np.frombuffer(self.raw, np.uint8).max()) > 0xC3:
                raise ValueError("a character beyond U+00FF")
        elif self.encoding != "latin-1" and re.search(rb"\\U|\\u(?!00)", self.raw):
            raise ValueError("a character beyond U+00FF")
        return bytes(self.raw) if self.encoding == "latin-1" else str(self.raw, self.encoding).encode("latin-1")


_KINDS = {
    ("builtins", "bytearray"): "bytearray",
    ("builtins", "object"): "object",
    ("_codecs", "encode"): "encode",
    ("copyreg", "_reconstructor"): "reconstructor",
    ("collections", "OrderedDict"): "mapping",
    ("collections", "Counter"): "mapping",
    ("collections", "defaultdict"): "defaultdict",
    ("collections", "deque"): "deque",
    ("mxnet.ndarray", "NDArray"): "array",
    ("mxnet.ndarray.ndarray", "NDArray"): "array",
    ("mxnet.ndarray.sparse", "CSRNDArray"): "array",
    ("mxnet.ndarray.sparse", "RowSparseNDArray"): "array",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    **{("builtins", name): "factory" for name in ("int", "long", "float", "list", "dict")},  # of a defaultdict
}
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # protocols 0 to 2 write these in Python 3, too
_RECORDS = ("mxnet.optimizer", "mxnet.lr_scheduler")


def kind_of(module: str, name: str) -> str | None:
    """Return what a name stands for, None if it is not on the list."""
    module = _PYTHON_2.get(module, module)
    if (module, name) in _KINDS:
        return _KINDS[module, name]
    inside = any(module == known or module.startswith(f"{known}.") for known in _RECORDS)
    return "record" if inside and name.isidentifier() and module.replace(".", "_").isidentifier() else None


def described(value: Any) -> str:
    """Return what a value is, in a few words, whatever it contains."""
    if type(value) is Name:
        return f"the name {value.name}"
    if isinstance(value, bytes | memoryview):
        return f"{len(value)} bytes, {shown(value)}"
    if value is None or type(value) in (bool, int, float, str):
        return shown(value)
    if type(value) is Record:
        return f"an object {value.name}"
    names = {Array: "an NDArray", DType: "a dtype", LongText: "a long text"}
    return names.get(type(value)) or f"a {type(value).__name__} of {len(value)} items"
