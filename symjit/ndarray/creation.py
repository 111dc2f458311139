"""Making arrays: from data, filled, from files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from symjit.base import MXNetError, np_dtype
from symjit.context import Context, current_context
from symjit.ndarray import serialize
from symjit.ndarray.array import NDArray, wrap
from symjit.ndarray.invoke import invoke
from symjit.ops import registry

__all__ = ["arange", "array", "empty", "from_numpy", "full", "load", "load_frombuffer", "ones", "save", "waitall", "zeros"]


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return a new NDArray with a copy of any array-like.

    Args:
        source_array: an NDArray, a NumPy array, a ``jax.Array``, numbers or nested sequences of them.
        ctx: the device; the current context if None.
        dtype: the dtype; float32 if None, whatever the source's, unless it is an NDArray.

    Raises:
        TypeError: the source is not array-like (ragged lists, text ...).
    """
    where = ctx or current_context()
    if isinstance(source_array, NDArray):
        dtype = source_array.dtype if dtype is None else dtype
        source_array = source_array.asnumpy()
    elif isinstance(source_array, (list, tuple)) and source_array and isinstance(source_array[0], NDArray):
        source_array = [x.asnumpy() for x in source_array]
    try:
        value = np.array(source_array, dtype=np_dtype("float32" if dtype is None else dtype), copy=True)
    except (TypeError, ValueError) as error:
        raise TypeError(f"source_array must be array like object: {error}") from None
    return _put(value, where)


def from_numpy(value: np.ndarray, ctx: Context | None = None) -> NDArray:
    """Return a new NDArray with a copy of a NumPy array, keeping its dtype."""
    return _put(np.array(value, copy=True), ctx or current_context())


def _put(value: np.ndarray, where: Context) -> NDArray:
    # `value` is private to us: device_put may alias it on CPU without harm.
    with jax.enable_x64(True):
        return wrap(jax.device_put(value, where.device), where)


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)


def zeros(shape: int | Sequence[int], ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """Return an array of zeros; dtype float32 unless given."""
    return _put(np.zeros(_shape(shape), np_dtype(dtype or "float32")), ctx or current_context())


def ones(shape: int | Sequence[int], ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """Return an array of ones; dtype float32 unless given."""
    return _put(np.ones(_shape(shape), np_dtype(dtype or "float32")), ctx or current_context())


def full(
    shape: int | Sequence[int], val: float, ctx: Context | None = None, dtype: Any = None, out: NDArray | None = None
) -> NDArray:
    """Return an array filled with `val`; dtype float32 unless given."""
    if out is not None:
        out[:] = val
        return out
    return _put(np.full(_shape(shape), val, np_dtype(dtype or "float32")), ctx or current_context())


def empty(shape: int | Sequence[int], ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return an array whose values are not specified (zeros here)."""
    return zeros(shape, ctx, dtype)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Context | None = None,
    dtype: Any = None,
) -> NDArray:
    """Return evenly spaced values of ``[start, stop)``, each repeated `repeat` times; dtype float32 unless given."""
    attrs = {"start": start, "stop": stop, "step": step, "repeat": repeat, "dtype": np_dtype(dtype or "float32").name}
    return invoke(registry.get("_arange"), [], attrs, ctx=ctx)


def waitall() -> None:
    """Block until all computation has finished; errors that nobody has seen yet are raised here."""
    for device in jax.devices():
        (jax.device_put(0.0, device) + 0).block_until_ready()
    for live in jax.live_arrays():
        live.block_until_ready()


def save(fname: str | os.PathLike[str], data: NDArray | Sequence[NDArray] | Mapping[str, NDArray]) -> None:
    """Write arrays to a file that MXNet reads (``.params``).

    Args:
        fname: the file; it is replaced in one step, so a failing save leaves the old one whole.
        data: one array, a list of arrays, or a dict of them.

    Raises:
        MXNetError: a dtype or shape that MXNet's format does not hold.
    """
    if isinstance(data, NDArray):
        data = [data]
    if isinstance(data, Mapping):
        names, arrays = list(data.keys()), list(data.values())
    else:
        names, arrays = [], list(data)
    for value in arrays:
        if not isinstance(value, NDArray):
            raise TypeError(f"save: expected NDArrays, got {type(value).__name__}")
    serialize.write_arrays(fname, [x.asnumpy() for x in arrays], names)


def load(fname: str | os.PathLike[str]) -> list[NDArray] | dict[str, NDArray]:
    """Read arrays from a ``.params`` file: a dict if they are named, else a list.

    All versions and dtypes of the format are read; sparse arrays come back dense. The device that the file names is
    not looked at: arrays are placed on the current context.

    Raises:
        MXNetError: the file is not in this format or is damaged; the message says where.
        OSError: the file can not be opened.
    """
    return _wrap_file(serialize.read_arrays(fname))


def load_frombuffer(buf: bytes) -> list[NDArray] | dict[str, NDArray]:
    """Read arrays from the bytes of a ``.params`` file; see `load`."""
    if not isinstance(buf, (bytes, bytearray, memoryview)):
        raise TypeError(f"load_frombuffer: expected bytes, got {type(buf).__name__}")
    return _wrap_file(serialize.read_arrays(bytes(buf)))


def _wrap_file(found: serialize.NamedArrays) -> list[NDArray] | dict[str, NDArray]:
    where = current_context()
    arrays = []
    for i, value in enumerate(found.arrays):
        if value is None:
            raise MXNetError(f"array {i} of the file is empty (MXNet's none); it can not be an NDArray")
        dense = value if isinstance(value, np.ndarray) else value.todense()
        arrays.append(from_numpy(dense, where))
    return dict(zip(found.names, arrays, strict=True)) if found.names else arrays
