"""Optimizer state files (``.states``): written as named arrays, read also as MXNet pickled them.

A state is None, an NDArray, a number, or a tuple or list of states, as an optimizer's ``create_state`` returns it. The
states of all parameters are a dict by the parameter's index or name. `symjit.optimizer.named_states` describes what is
written, `symjit.optimizer.unpickle` how pickles are read without running them.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
from dataclasses import dataclass
from typing import Any

from symjit.base import MXNetError, shown
from symjit.files import recognized
from symjit.ndarray import NDArray, from_numpy
from symjit.ndarray.atomic import write_file
from symjit.ndarray.mapped import open_map
from symjit.ndarray.serialize import dumps, read_array, read_arrays
from symjit.ndarray.stored import SparseArray
from symjit.optimizer.named_states import MOST_ARRAYS, MOST_DEPTH, dump_states, states_of
from symjit.optimizer.pickled import Record
from symjit.optimizer.unpickle import starts_pickle, unpickle

__all__ = ["Loaded", "Record", "dump_states", "load_states", "load_states_file", "read_states_file", "save_states_file"]

_LIST_MAGIC = dumps([])[:8]
_MOST_ZEROS = 24 << 20  # bytes that sparse arrays may take, when they are dense, beyond what the file has of them
_CHECK = "Check that the path is that of a .states file."


@dataclass(frozen=True)
class Loaded:
    """What an optimizer state file holds.

    Attributes:
        states: the states by index or name of the parameter; NDArrays on ``cpu(0)``.
        optimizer: the attributes of the optimizer, if it was saved, too: None, numbers, text, NDArrays, lists, tuples
            and dicts of them, and a `Record` for the scheduler.
        optimizer_class: the name of its class, for example ``"Adam"``.
        source: ``"symjit"`` for named arrays, ``"mxnet"`` for a pickle.
        facts: what `dump_states` was given as such, else None.
    """

    states: dict[int | str, Any]
    optimizer: dict[str, Any] | None
    optimizer_class: str | None
    source: str
    facts: dict[str, Any] | None = None


# Files ----------------------------------------------------------------------------------------------------------------


def save_states_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write what `dump_states` returned; the file appears whole or not at all, see `symjit.ndarray.atomic.write_file`.

    Raises:
        MXNetError: the file cannot be written; whatever stood at `path` is untouched then.
    """
    write_file(path, [data])


def read_states_file(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file, for `load_states`.

    Raises:
        FileNotFoundError: there is no such file, as in MXNet.
        MXNetError: it cannot be read.
    """
    return _opened(path)[:]


def load_states_file(path: str | os.PathLike[str]) -> Loaded:
    """Load a file; it is mapped, so that it and its arrays are in memory once.

    Raises:
        FileNotFoundError: there is no such file, as in MXNet.
        MXNetError: as for `load_states`; the message begins with the path.
    """
    return _load(_opened(path), os.fspath(path))


def _opened(path: str | os.PathLike[str]) -> bytes | mmap.mmap:
    try:
        return open_map(os.fspath(path))
    except MXNetError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            problem = "no optimizer states: check the path, and that the checkpoint was saved with them and to its end"
            raise FileNotFoundError(errno.ENOENT, problem, os.fspath(path)) from error
        raise


# Reading --------------------------------------------------------------------------------------------------------------


def load_states(data: bytes | bytearray | memoryview) -> Loaded:
    """Load optimizer states, from what `dump_states` returned or from what MXNet pickled.

    MXNet writes the dict of states, or, with ``dump_optimizer=True`` and from ``gluon.Trainer.save_states``, a tuple of
    it and the optimizer. Nothing of a pickle is executed or imported; see `symjit.optimizer.unpickle`. Sparse arrays
    become dense.

    Args:
        data: the content of a file.

    Raises:
        MXNetError: it is something else, damaged, or holds what such files do not. The message says where.
    """
    return _load(bytes(data), "<bytes>")


def _load(buffer: bytes | mmap.mmap, label: str) -> Loaded:
    head = buffer[:512]
    if head.startswith(_LIST_MAGIC):
        # A path is mapped again rather than copied: the arrays are views of the map until they are on the device.
        states, name, attributes, facts = states_of(read_arrays(buffer if isinstance(buffer, bytes) else label), label)
        return Loaded(states, attributes, name, "symjit", facts)
    found = None if head[:1] == b"\x80" else recognized(head)
    if not head:
        raise MXNetError(f"{label}: expected optimizer states, but the file is empty. {_CHECK}")
    if found is not None or not starts_pickle(head[0]):
        what, advice = found or (f"something else, which begins with {shown(head[:8])}", _CHECK)
        raise MXNetError(f"{label}: expected optimizer states, but this is {what}. {advice}")
    return _from_pickle(buffer, label)


def _from_pickle(buffer: bytes | mmap.mmap, label: str) -> Loaded:
    value = unpickle(buffer, label, _ArrayMaker())
    states, optimizer = value if type(value) is tuple and len(value) == 2 else (value, None)
    if type(states) is not dict or not (optimizer is None or type(optimizer) is Record):
        parts = [type(each).__name__ for each in value] if type(value) is tuple else type(value).__name__
        raise MXNetError(
            f"{label}: expected a dict of states, or a tuple of it and an optimizer, got {shown(parts)}. {_CHECK}"
        )
    for key, state in states.items():
        wrong = _stranger(state, 0)
        if wrong:
            raise MXNetError(
                f"{label}: the state of {shown(key)}: expected None, NDArrays, numbers, and tuples and lists of them, "
                f"got {wrong}. {_CHECK}"
            )
    if optimizer is None:
        return Loaded(states, None, None, "mxnet")
    return Loaded(states, optimizer.attributes or {}, optimizer.name, "mxnet")


def _stranger(state: Any, depth: int) -> str | None:
    """Return what does not belong into a state, None if all of it does."""
    if type(state) in (tuple, list):
        if depth == MOST_DEPTH:
            return f"more than {MOST_DEPTH} levels of them"
        return next(filter(None, (_stranger(each, depth + 1) for each in state)), None)
    fits = state is None or isinstance(state, NDArray | bool | int | float)
    return None if fits else type(state).__name__


class _ArrayMaker:
    """Makes NDArrays of their bytes, and of all together no more than the memory may take."""

    def __init__(self) -> None:
        self.count = 0
        self.zeros = 0

    def __call__(self, raw: bytes | memoryview) -> NDArray:
        self.count += 1
        if self.count > MOST_ARRAYS:
            raise MXNetError(f"expected at most {MOST_ARRAYS} arrays in a file of optimizer states, got more")
        item = read_array(raw)
        if item is None:
            raise MXNetError("expected an array, got one that never got a shape")
        if isinstance(item, SparseArray):
            dense = math.prod(item.shape) * item.dtype.itemsize
            self.zeros += max(0, dense - item.nbytes)
            if self.zeros > _MOST_ZEROS:
                raise MXNetError(
                    f"a {item.stype} array of shape {item.shape} takes {dense} bytes when it is dense, of which the "
                    f"file holds {item.nbytes}; expected at most {_MOST_ZEROS} bytes more than it holds, in all arrays"
                )
            item = item.todense()
        return from_numpy(item)
