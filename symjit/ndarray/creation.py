"""Making arrays: from data, filled, from other arrays, from files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from symjit.base import MXNetError, np_dtype
from symjit.context import Context, current_context
from symjit.ndarray import indexing, serialize
from symjit.ndarray.array import NDArray, wrap
from symjit.ndarray.functions import internal
from symjit.ndarray.mapped import private_copy

__all__ = [
    "adopt",
    "arange",
    "array",
    "concatenate",
    "empty",
    "eye",
    "from_numpy",
    "full",
    "linspace",
    "load",
    "load_frombuffer",
    "moveaxis",
    "onehot_encode",
    "ones",
    "placed",
    "save",
    "split_v2",
    "waitall",
    "zeros",
]

Shape = int | Sequence[int]

#: From this size on another copy costs more than ``jax.device_put``.
_LARGE = 1 << 20


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return a new NDArray with a copy of any array-like.

    Args:
        source_array: an NDArray, a NumPy array, a ``jax.Array``, numbers or nested sequences of them.
        ctx: the device; the current context if None.
        dtype: the dtype; float32 if None, whatever the source's, unless it is an NDArray.

    Raises:
        TypeError: the source is not array-like (ragged lists, text ...).
        MXNetError: there is no such dtype or device.
    """
    where = ctx or current_context()
    if isinstance(source_array, NDArray):
        dtype = source_array.dtype if dtype is None else dtype
        source_array = source_array.data
    target = np_dtype("float32" if dtype is None else dtype)
    if isinstance(source_array, jax.Array):
        with jax.enable_x64(True):
            moved = source_array
            if moved.device != where.device:
                moved = jax.device_put(moved, where.device)
            return wrap(indexing.fill(moved, moved.shape, target, where.device), where)
    try:
        # What an integer dtype can not hold is converted as the processor does, as in MXNet.
        with np.errstate(invalid="ignore", over="ignore"):
            value = private_copy(np.asarray(source_array), target)
    except (TypeError, ValueError) as error:
        raise TypeError(f"source_array must be array like object: {error}") from None
    return adopt(value, where)


def from_numpy(ndarray: np.ndarray, zero_copy: bool = True) -> NDArray:
    """Return a new NDArray on the CPU with the values and dtype of a NumPy array.

    Deviation from MXNet: the values are always copied, and the NumPy array stays writable.
    """
    return adopt(private_copy(np.asarray(ndarray)), Context("cpu", 0))


def adopt(value: np.ndarray, where: Context) -> NDArray:
    """Return a new NDArray of memory that nobody else refers to and nobody will write to.

    Args:
        value: the values, such as `symjit.ndarray.mapped.fresh` memory that has been filled; a CPU device keeps them
            where they are.
        where: the device.
    """
    with jax.enable_x64(True):
        return wrap(jax.device_put(value, where.device), where)


def placed(values: Sequence[np.ndarray], where: Context, *, owned: bool) -> list[NDArray]:
    """Return new NDArrays with the values of NumPy arrays that nobody will write to, fast.

    ``jax.device_put`` takes some ten times as long as one compiled call, which takes all arrays at once and copies
    them.

    Args:
        values: the arrays; what they are views of must not be written to either.
        where: the device.
        owned: nobody else refers to the arrays, so that a CPU device may leave large ones where they are.
    """
    found: list[Any] = [adopt(x, where) if owned and x.nbytes >= _LARGE else None for x in values]
    rest = [i for i, made in enumerate(found) if made is None]
    if rest:
        with jax.enable_x64(True):
            moved = _copier(where.device)(*(values[i] for i in rest))
        for i, value in zip(rest, moved, strict=True):
            found[i] = wrap(value, where)
    return found


@lru_cache(maxsize=256)
def _copier(device: Any) -> Any:
    there = jax.sharding.SingleDeviceSharding(device)
    return jax.jit(lambda *values: [jnp.copy(value) for value in values], in_shardings=there, out_shardings=there)


def _filled(shape: Shape, value: Any, ctx: Context | None, dtype: Any, out: NDArray | None = None) -> NDArray:
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(dim < 0 for dim in shape):
        raise MXNetError(f"expected a shape of dimensions >= 0, got {shape}")
    if out is not None:
        if out.shape != shape:
            raise MXNetError(f"expected an out of shape {shape}, got one of shape {out.shape}")
        out[:] = value
        return out
    return adopt(np.full(shape, np.asarray(value).astype(np_dtype(dtype or "float32"))), ctx or current_context())


def zeros(shape: Shape, ctx: Context | None = None, dtype: Any = None, out: NDArray | None = None) -> NDArray:
    """Return an array of zeros, or fill `out` with them; dtype float32 unless given."""
    return _filled(shape, 0, ctx, dtype, out)


def ones(shape: Shape, ctx: Context | None = None, dtype: Any = None, out: NDArray | None = None) -> NDArray:
    """Return an array of ones, or fill `out` with them; dtype float32 unless given."""
    return _filled(shape, 1, ctx, dtype, out)


def full(
    shape: Shape, val: float, ctx: Context | None = None, dtype: Any = None, out: NDArray | None = None
) -> NDArray:
    """Return an array filled with `val`, or fill `out`; dtype float32 unless given."""
    return _filled(shape, val, ctx, dtype, out)


def empty(shape: Shape, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return an array whose values are not specified (zeros here)."""
    return _filled(shape, 0, ctx, dtype)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Context | None = None,
    dtype: Any = "float32",
) -> NDArray:
    """Return evenly spaced values of ``[start, stop)``, each repeated `repeat` times."""
    return internal("_arange")(start=start, stop=stop, step=step, repeat=repeat, dtype=dtype, ctx=ctx)


def linspace(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    ctx: Context | None = None,
    dtype: Any = "float32",
) -> NDArray:
    """Return `num` evenly spaced values from `start` to `stop`, which is the last one if `endpoint`."""
    return internal("_linspace")(start=start, stop=stop, num=num, endpoint=endpoint, dtype=dtype, ctx=ctx)


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return the (N, M) matrix with ones on its k-th diagonal; it is square if `M` is 0."""
    return internal("_eye")(N=N, M=M, k=k, dtype=dtype, ctx=ctx)


def concatenate(arrays: Sequence[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """Return arrays joined along an axis; of one array, a copy if `always_copy`, else itself.

    Raises:
        ValueError: there are no arrays.
        MXNetError: dtypes or shapes beside the axis differ.
    """
    if not arrays:
        raise ValueError("concatenate: expected at least one array, got none")
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return internal("Concat")(*arrays, dim=axis)


def moveaxis(tensor: NDArray, source: int | Sequence[int], destination: int | Sequence[int]) -> NDArray:
    """Return a copy with axes moved from `source` to `destination`; the others keep their order.

    Raises:
        ValueError: an axis is out of range or repeated, or the numbers of axes differ.
    """
    sources = normalize_axis_tuple(source, tensor.ndim)
    destinations = normalize_axis_tuple(destination, tensor.ndim)
    if len(sources) != len(destinations):
        raise ValueError(f"expected as many destinations as sources, got {source} and {destination}")
    order = [axis for axis in range(tensor.ndim) if axis not in sources]
    for position, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(position, axis)
    return internal("transpose")(tensor, axes=order)


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write the one-hot rows of `indices` (n,) to `out` (n, depth)."""
    rows = internal("one_hot")(indices, depth=out.shape[1], dtype=np.dtype(out.dtype).name)
    out[:] = rows
    return out


def split_v2(
    ary: NDArray, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False
) -> NDArray | list[NDArray]:
    """Return the parts of an array, cut into equal sections or before the indices given.

    Raises:
        TypeError: `indices_or_sections` is neither an integer nor a sequence of them.
        MXNetError: the axis can not be divided so.
    """
    if isinstance(indices_or_sections, (int, np.integer)):
        return internal("_split_v2")(
            ary, indices=(), axis=axis, squeeze_axis=squeeze_axis, sections=indices_or_sections
        )
    if not isinstance(indices_or_sections, Sequence):
        raise TypeError(f"expected an integer or a sequence of indices, got {indices_or_sections!r}")
    indices = [0, *indices_or_sections]
    return internal("_split_v2")(ary, indices=indices, axis=axis, squeeze_axis=squeeze_axis, sections=0)


def waitall() -> None:
    """Block until all computation has finished; errors that nobody has seen yet are raised here."""
    for platform in ("cpu", "gpu", "tpu"):
        try:
            devices = jax.local_devices(backend=platform)
        except RuntimeError:  # JAX's way to say that there are none
            continue
        # A device runs its programs in order: what comes last has waited for those whose results nobody holds.
        jax.block_until_ready([jax.device_put(np.zeros(()), device) + 0 for device in devices])
        jax.block_until_ready(jax.live_arrays(platform))


def save(fname: str | os.PathLike[str], data: NDArray | Sequence[NDArray] | Mapping[str, NDArray]) -> None:
    """Write arrays to a file that MXNet reads (``.params``).

    Args:
        fname: the file; it is replaced in one step, so a failing save leaves the old one whole.
        data: one array, a list of arrays, or a dict of them.

    Raises:
        MXNetError: a dtype or shape that MXNet's format does not hold.
        TypeError: something else than NDArrays.
    """
    if isinstance(data, NDArray):
        data = [data]
    names = list(data) if isinstance(data, Mapping) else []
    arrays = list(data.values()) if isinstance(data, Mapping) else list(data)
    for value in arrays:
        if not isinstance(value, NDArray):
            raise TypeError(f"save: expected NDArrays, got {type(value).__name__}")
    serialize.write_arrays(fname, [np.asarray(x.data) for x in arrays], names)


def load(fname: str | os.PathLike[str]) -> list[NDArray] | dict[str, NDArray]:
    """Read arrays from a ``.params`` file: a dict if they are named, else a list.

    All versions and dtypes of the format are read; sparse arrays come back dense. The device that the file names is
    not looked at: arrays are placed on the current context.

    Raises:
        MXNetError: the file is missing, not in this format or damaged; the message says where.
    """
    return _wrap_file(serialize.read_arrays(fname))


def load_frombuffer(buf: bytes | bytearray | memoryview) -> list[NDArray] | dict[str, NDArray]:
    """Read arrays from the bytes of a ``.params`` file; see `load`."""
    if not isinstance(buf, (bytes, bytearray, memoryview)):
        raise TypeError(f"load_frombuffer: expected bytes, got {type(buf).__name__}")
    return _wrap_file(serialize.read_arrays(bytes(buf)))


def _wrap_file(found: serialize.NamedArrays) -> list[NDArray] | dict[str, NDArray]:
    where = current_context()
    arrays = []
    for i, (item, value) in enumerate(zip(found.arrays, found.densified(), strict=True)):
        if value is None:
            raise MXNetError(f"{found.source}: array {i} is empty (MXNet's none); it can not be an NDArray")
        arrays.append(adopt(private_copy(value) if value is item else value, where))
    return dict(zip(found.names, arrays, strict=True)) if found.names else arrays
