"""What has to hold for any input: it is read, or refused with an `MXNetError` that names it; nothing else happens."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import numpy as np

from symjit import ndarray as nd
from symjit import symbol as sym
from symjit.base import MXNetError
from symjit.cli.inspect import inspect_checkpoint
from symjit.ir.serialize import dumps, loads
from symjit.ndarray.serialize import NamedArrays, SparseArray, read_arrays, split_names
from symjit.ndarray.stored import Item
from symjit.symbol import Symbol

__all__ = ["LONGEST_MESSAGE", "Finding", "check_graph", "check_params"]

LONGEST_MESSAGE = 10_000
_COMPARED = 1 << 20


class Finding(AssertionError):
    """Something that a reader must not do."""


def check_params(data: bytes, path: str | None = None, *, public: bool = False) -> str:
    """Check the reader of `.params`.

    Args:
        data: the content.
        path: a file that holds it, to be read from there; without it the bytes are read.
        public: call `mx.nd.load` too.

    Returns:
        How the reader answered: ``"read"`` or ``"refused"``.
    """
    label = path or "<bytes>"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = read_arrays(path or data)
        except MXNetError as error:
            _refused(error, label)
            answer = "refused"
        else:
            _touch(found, len(data))
            answer = "read"
            if found.names:
                split = split_names(found.names)
                kinds = (split.args, split.aux, split.bare)
                _expect(len(found.as_dict()) == len(set(found.names)) == sum(map(len, kinds)))
        if public:
            _check_load(data, path, label)
    for warning in caught:
        _expect(str(warning.message).startswith(label) and len(str(warning.message)) < LONGEST_MESSAGE)
    return answer


def _check_load(data: bytes, path: str | None, label: str) -> None:
    try:
        loaded = nd.load(path) if path else nd.load_frombuffer(data)
    except MXNetError as error:
        _refused(error, label)
        return
    arrays = list(loaded.values()) if isinstance(loaded, dict) else loaded
    if sum(array.size * np.dtype(array.dtype).itemsize for array in arrays) > len(data) + _COMPARED:
        return  # comparing them would take more memory than loading them
    found = read_arrays(path or data)
    dense = found.densified()
    if found.names:
        dense = list(dict(zip(found.names, dense, strict=True)).values())
    for array, wanted in zip(arrays, dense, strict=True):
        _expect(wanted is not None and array.shape == wanted.shape and array.asnumpy().tobytes() == wanted.tobytes())


def _touch(found: NamedArrays, size: int) -> None:
    """Read every byte of every array, and count those that are not views of the file."""
    owned = 0
    for item in found.arrays:
        for array in _parts(item):
            flat = array.reshape(-1).view(np.uint8)
            largest = int(flat.max()) if flat.size else 0
            _expect(array.dtype != np.bool_ or largest <= 1, "a boolean that is neither 0 nor 1")
            _expect(not array.flags.writeable, "an array of a file that can be written")
            owned += array.nbytes if _owns(array) else 0
    _expect(owned <= size, f"{owned} bytes of arrays from a file of {size}")


def _parts(item: Item) -> Iterator[np.ndarray]:
    if isinstance(item, SparseArray):
        yield item.data
        yield item.indices
        if item.indptr is not None:
            yield item.indptr
    elif item is not None:
        yield item


def _owns(array: np.ndarray) -> bool:
    base: object = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return isinstance(base, np.ndarray)


def check_graph(data: bytes, path: str | None = None, *, public: bool = False) -> str:
    """Check the reader of Symbol JSON.

    Arguments and result are those of `check_params`; `public` calls `mx.sym.load_json`, or inspects the file.
    """
    label = path or ("<json>" if public else "case.json")
    symbol = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if path:
                symbol = sym.load(path)
                if public:
                    inspect_checkpoint(path.removesuffix("-symbol.json"))
            elif public:
                symbol = sym.load_json(data.decode("utf-8", "surrogateescape"))
            else:
                symbol = Symbol(loads(data, label).graph.heads)
        except MXNetError as error:
            if symbol is None:
                _refused(error, label)
                return "refused"
            _short(error)  # what a graph that was read is refused for does not name the file
    for warning in caught:
        _expect(len(str(warning.message)) < LONGEST_MESSAGE)
    _check_symbol(symbol)
    return "read"


def _check_symbol(symbol: Symbol) -> None:
    graph = symbol.graph
    names = (symbol.list_inputs, symbol.list_arguments, symbol.list_auxiliary_states, symbol.list_outputs)
    for listing in (*names, symbol.attr_dict, graph.require_supported, symbol.__repr__):
        try:
            listing()
        except MXNetError as error:
            _short(error)
    written = dumps(graph)
    _expect(dumps(loads(written).graph) == written, "what is written is not read as it was")
    kept = dumps(graph, remove_amp_cast=False)
    _expect(kept == written or dumps(loads(kept).graph, remove_amp_cast=False) == kept, "casts are lost")


def _refused(error: MXNetError, label: str) -> None:
    message = str(error)
    _expect(
        message.startswith(f"{label}: ") or os.fspath(label) in message, f"no source in the message: {message[:200]}"
    )
    _short(error)


def _short(error: MXNetError) -> None:
    message = str(error)
    _expect(len(message) < LONGEST_MESSAGE, f"a message of {len(message)} characters: {message[:200]}")
    _not_by_memory(error)


def _not_by_memory(error: BaseException | None) -> None:
    while error is not None:
        _expect(not isinstance(error, MemoryError), f"memory ran out behind: {error}")
        error = error.__cause__ or error.__context__


def _expect(holds: bool, problem: str = "") -> None:
    if not holds:
        raise Finding(problem or "an expectation of tests/fuzz/checks.py does not hold")
