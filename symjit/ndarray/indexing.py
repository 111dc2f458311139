"""Indexing keys of NDArray: what is a contiguous view, what is a copy, and how each is read and written.

Positions are traced arguments of the compiled functions; only extents and steps are static, so that a loop over
``x[i]`` compiles once.
"""

from __future__ import annotations

import operator
from functools import lru_cache, partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import SingleDeviceSharding

from symjit.ops.casting import convert

__all__ = ["Gather", "Region", "fill", "parse_key", "read", "read_view", "row", "write", "write_view"]


class Region(NamedTuple):
    """A basic index into an array.

    Attributes:
        starts: first position along each axis.
        lengths: number of elements along each axis.
        steps: distance between elements, negative for a reversed slice.
        shape: shape of the result, after dropping integer axes and inserting new ones.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    steps: tuple[int, ...]
    shape: tuple[int, ...]

    def offset(self, shape: tuple[int, ...]) -> int | None:
        """Return the flat position of the region in an array of `shape` if it is contiguous there, else None."""
        if 0 in self.lengths:
            return None
        position, stride, whole = 0, 1, True
        for start, length, step, size in zip(
            reversed(self.starts), reversed(self.lengths), reversed(self.steps), reversed(shape), strict=True
        ):
            if length > 1 and (step != 1 or not whole):
                return None
            position += start * stride
            whole = whole and length == size
            stride *= size
        return position


class Gather(NamedTuple):
    """An index that holds index arrays.

    Attributes:
        template: the key, with ``"array"`` in place of arrays and numbers.
        arrays: the arrays and numbers, in bounds and not negative.
        shape: shape of the result.
    """

    template: tuple[Any, ...]
    arrays: tuple[np.ndarray, ...]
    shape: tuple[int, ...]


def row(position: int, shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Return the flat position and the shape of ``x[position]``; what `parse_key` finds, for the commonest key.

    Raises:
        IndexError: the position is out of bounds.
    """
    if not shape:
        raise IndexError("too many indices: 1 for an array of 0 dimensions")
    size, rest = shape[0], shape[1:]
    if not -size <= position < size:
        raise IndexError(f"index {position} is out of bounds for axis 0 with size {size}")
    stride = 1
    for dim in rest:
        stride *= dim
    # An element is a 1-D array of one: MXNet's legacy arrays have no zero-dimensional shape.
    return position % size * stride, rest or (1,)


def parse_key(key: Any, shape: tuple[int, ...]) -> Region | Gather:
    """Return what a key selects from an array of `shape`.

    Lists, tuples within the tuple, ranges and arrays are index arrays; their floats are truncated, and as in MXNet
    the booleans of NumPy count as 0 and 1.

    Raises:
        IndexError: too many indices, or one out of bounds.
        ValueError: the key is of a type that can not index, or a boolean NDArray.
        TypeError: a slice with a bound that is no integer, or a list that holds something else than numbers.
    """
    items = [_read_item(item) for item in (key if isinstance(key, tuple) else (key,))]
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > len(shape):
        raise IndexError(f"too many indices: {used} for an array of {len(shape)} dimensions")
    rests = [i for i, item in enumerate(items) if item is Ellipsis] or [len(items)]
    if len(rests) > 1:
        raise IndexError("an index can hold one Ellipsis only")
    items[rests[0] : rests[0] + 1] = [slice(None)] * (len(shape) - used)
    if any(isinstance(item, np.ndarray) for item in items):
        return _gather(items, shape)
    starts, lengths, steps, out = [], [], [], []
    for item in items:
        if item is None:
            out.append(1)
            continue
        axis = len(starts)
        if isinstance(item, slice):
            start, stop, step = item.indices(shape[axis])
            length = len(range(start, stop, step))
            out.append(length)
        else:
            start, length, step = _in_bounds(item, axis, shape[axis]), 1, 1
        starts.append(start)
        lengths.append(length)
        steps.append(step)
    return Region(tuple(starts), tuple(lengths), tuple(steps), tuple(out) or (1,))


def _read_item(item: Any) -> Any:
    """Return one entry of a key as None, Ellipsis, a slice, an int or an array of int64."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (int, np.integer)):
        return int(item)
    if hasattr(item, "asnumpy"):
        item = item.asnumpy()
        if item.dtype == np.bool_:
            raise ValueError("an NDArray of booleans can not index; use mx.nd.where or multiply by the mask")
    if not isinstance(item, (list, tuple, range, np.ndarray, jax.Array)):
        raise ValueError(f"NDArray does not support indexing with {item!r} of type {type(item).__name__}")
    try:
        array = np.asarray(item)
        array = array.astype(np.int64) if array.size else np.zeros(array.shape, np.int64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"an index array must hold numbers, got {item!r}: {error}") from None
    return array if array.ndim else int(array)


def _in_bounds(position: int, axis: int, size: int) -> int:
    if not -size <= position < size:
        raise IndexError(f"index {position} is out of bounds for axis {axis} with size {size}")
    return position % size


def _gather(items: list[Any], shape: tuple[int, ...]) -> Gather:
    template: list[Any] = []
    arrays: list[np.ndarray] = []
    axis = 0
    for item in items:
        if item is None:
            template.append(None)
            continue
        if isinstance(item, slice):
            template.append((item.start, item.stop, item.step))
        else:
            array, size = np.asarray(item, np.int64), shape[axis]
            for bound in (array.min(), array.max()) if array.size else ():
                _in_bounds(int(bound), axis, size)
            template.append("array")
            arrays.append(array % size if size else array)
        axis += 1
    try:
        common = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        raise ValueError(f"index arrays of shapes {[a.shape for a in arrays]} do not broadcast together") from None
    return Gather(tuple(template), tuple(arrays), _gather_shape(template, common, shape))


def _gather_shape(template: list[Any], common: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that index arrays of shape `common` give.

    The arrays' dimensions stand where the arrays do if these are adjacent, else in front. In the first case MXNet
    1.9.1 does not count them when it places a new axis behind them: ``x[:, [0, 1], None]`` has its 1 at position 1.
    """
    places = [i for i, part in enumerate(template) if part == "array"]
    adjacent = places[-1] - places[0] == len(places) - 1
    sizes = [
        len(range(*slice(*part).indices(size))) if isinstance(part, tuple) else None
        for part, size in zip((part for part in template if part is not None), shape, strict=True)
    ]
    kept = [size for size in sizes if size is not None]
    front = sum(isinstance(part, tuple) for part in template[: places[0]]) if adjacent else 0
    out = [*kept[:front], *common, *kept[front:]]
    at = 0 if adjacent else len(common)
    for part in template:
        if part is None:
            out.insert(at, 1)
        at += part != "array"
    return tuple(out) or (1,)


def _fit(value: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast a value to the shape of what it is written to; surplus leading dimensions of size 1 are dropped."""
    value = jnp.asarray(value)
    extra = value.ndim - len(shape)
    trimmed = value.shape[extra:] if extra > 0 and set(value.shape[:extra]) == {1} else value.shape
    tail = shape[len(shape) - len(trimmed) :]
    if len(trimmed) > len(shape) or any(have not in (1, want) for have, want in zip(trimmed, tail, strict=True)):
        raise ValueError(f"shape {value.shape} does not broadcast to {shape}")
    return jnp.broadcast_to(value.reshape(trimmed), shape)


@lru_cache(maxsize=1024)
def _filler(shape: tuple[int, ...], dtype: Any, device: Any) -> Any:
    return jax.jit(lambda value: convert(_fit(value, shape), dtype), out_shardings=SingleDeviceSharding(device))


def fill(value: Any, shape: tuple[int, ...], dtype: Any, device: Any) -> jax.Array:
    """Return a fresh array on a device, with a value broadcast and converted to a shape and dtype."""
    return _filler(shape, dtype, device)(value)


@partial(jax.jit, static_argnums=2)
def read_view(data: Any, start: Any, shape: tuple[int, ...]) -> Any:
    """Return the contiguous elements from a flat position on, as an array of `shape`."""
    size = int(np.prod(shape, dtype=np.int64))
    return lax.dynamic_slice(data.reshape(-1), (start,), (size,)).reshape(shape)


def _write_view(data: Any, start: Any, value: Any, shape: tuple[int, ...]) -> Any:
    flat = convert(_fit(value, shape), data.dtype).reshape(-1)
    return lax.dynamic_update_slice(data.reshape(-1), flat, (start,)).reshape(data.shape)


Extents = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _corner(starts: Any, lengths: tuple[int, ...], steps: tuple[int, ...]) -> tuple[list[Any], list[int], tuple]:
    """Return the smallest corner of a region, its extent, and the strided slice of it."""
    corner = [
        s if step > 0 else s + (length - 1) * step for s, length, step in zip(starts, lengths, steps, strict=True)
    ]
    extent = [(length - 1) * abs(step) + 1 for length, step in zip(lengths, steps, strict=True)]
    strides = tuple(slice(None, None, step) for step in steps)
    return corner, extent, strides


@partial(jax.jit, static_argnums=2)
def _read_region(data: Any, starts: tuple[Any, ...], extents: Extents) -> Any:
    lengths, steps, shape = extents
    if 0 in lengths:
        return jnp.zeros(shape, data.dtype)
    corner, extent, strides = _corner(starts, lengths, steps)
    return lax.dynamic_slice(data, corner, extent)[strides].reshape(shape)


def _write_region(data: Any, starts: tuple[Any, ...], value: Any, extents: Extents) -> Any:
    lengths, steps, shape = extents
    value = convert(_fit(value, shape), data.dtype).reshape(lengths)
    if 0 in lengths:
        return data
    corner, extent, _ = _corner(starts, lengths, steps)
    value = lax.rev(value, [axis for axis, step in enumerate(steps) if step < 0])
    if any(abs(step) != 1 for step in steps):
        # The values spread out over the region, and what was there in between.
        value = lax.pad(value, jnp.zeros((), value.dtype), [(0, 0, abs(step) - 1) for step in steps])
        places = [lax.broadcasted_iota(jnp.int32, extent, axis) % abs(step) == 0 for axis, step in enumerate(steps)]
        value = jnp.where(reduce(operator.and_, places), value, lax.dynamic_slice(data, corner, extent))
    return lax.dynamic_update_slice(data, value, corner)


def _index(template: tuple[Any, ...], arrays: Any) -> tuple[Any, ...]:
    pending = iter(arrays)
    return tuple(
        next(pending) if part == "array" else slice(*part) if isinstance(part, tuple) else None for part in template
    )


@partial(jax.jit, static_argnums=(2, 3))
def _read_gather(data: Any, arrays: Any, template: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    return data[_index(template, arrays)].reshape(shape)


def _write_gather(data: Any, arrays: Any, value: Any, template: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    index = _index(template, arrays)
    return data.at[index].set(convert(_fit(value, shape), data.dtype).reshape(data[index].shape))


def _writers(fn: Any, *static: int) -> tuple[Any, Any]:
    """Return a compiled writer that leaves its first argument alone, and one that gives its buffer away."""
    return jax.jit(fn, static_argnums=static), jax.jit(fn, static_argnums=static, donate_argnums=0)


_view_writers = _writers(_write_view, 3)
_region_writers = _writers(_write_region, 3)
_gather_writers = _writers(_write_gather, 3, 4)


def read(data: Any, part: Region | Gather) -> jax.Array:
    """Return a copy of a part of an array."""
    if isinstance(part, Region):
        return _read_region(data, part.starts, part[1:])
    return _read_gather(data, part.arrays, part.template, part.shape)


def write(data: Any, part: Region | Gather, value: Any, *, donate: bool) -> jax.Array:
    """Return `data` with a part of it replaced; `donate` gives its buffer away.

    Raises:
        ValueError: the value does not broadcast to the part.
    """
    if isinstance(part, Region):
        return _region_writers[donate](data, part.starts, value, part[1:])
    return _gather_writers[donate](data, part.arrays, value, part.template, part.shape)


def write_view(data: Any, start: int, value: Any, shape: tuple[int, ...], *, donate: bool) -> jax.Array:
    """Return `data` with the contiguous elements from `start` on replaced; `donate` gives its buffer away.

    Raises:
        ValueError: the value does not broadcast to `shape`.
    """
    return _view_writers[donate](data, start, value, shape)
