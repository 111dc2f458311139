"""Indexing keys of NDArray: what is a contiguous view, what is a copy, and how each is read and written.

Positions are traced arguments of the compiled functions; only extents and steps are static, so that a loop over
``x[i]`` compiles once.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["Region", "parse_key", "read_region", "read_view", "write_advanced", "write_region", "write_view"]


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


def parse_key(key: Any, shape: tuple[int, ...]) -> Region | None:
    """Return the region of a basic key, or None if the key holds index arrays.

    Raises:
        IndexError: too many indices, or an integer out of bounds.
        ValueError: the key is of a type that can not index.
    """
    items = list(key) if isinstance(key, tuple) else [key]
    for item in items:
        if isinstance(item, (list, np.ndarray)) or (hasattr(item, "asnumpy") or isinstance(item, jax.Array)):
            return None
        is_int = isinstance(item, (int, np.integer)) and not isinstance(item, bool)
        if not (is_int or isinstance(item, slice) or item is None or item is Ellipsis):
            raise ValueError(f"NDArray does not support indexing with {item!r} of type {type(item).__name__}")
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > len(shape):
        raise IndexError(f"too many indices: {used} for an array of {len(shape)} dimensions")
    if sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can hold one Ellipsis only")
    if Ellipsis not in [item for item in items if item is Ellipsis]:
        items.append(Ellipsis)
    at = next(i for i, item in enumerate(items) if item is Ellipsis)
    items[at : at + 1] = [slice(None)] * (len(shape) - used)
    starts, lengths, steps, out = [], [], [], []
    axis = 0
    for item in items:
        if item is None:
            out.append(1)
            continue
        size = shape[axis]
        if isinstance(item, slice):
            start, stop, step = item.indices(size)
            length = len(range(start, stop, step))
            starts.append(start)
            lengths.append(length)
            steps.append(step)
            out.append(length)
        else:
            position = int(item)
            if not -size <= position < size:
                raise IndexError(f"index {position} is out of bounds for axis {axis} with size {size}")
            starts.append(position % size)
            lengths.append(1)
            steps.append(1)
        axis += 1
    # An element is a 1-D array of one: MXNet's legacy arrays have no zero-dimensional shape.
    return Region(tuple(starts), tuple(lengths), tuple(steps), tuple(out) or (1,))


@partial(jax.jit, static_argnums=2)
def read_view(data: Any, start: Any, shape: tuple[int, ...]) -> Any:
    """Return the contiguous elements from a flat position on, as an array of `shape`."""
    size = int(np.prod(shape, dtype=np.int64))
    return lax.dynamic_slice(data.reshape(-1), (start,), (size,)).reshape(shape)


def _write_view(data: Any, start: Any, value: Any, shape: tuple[int, ...]) -> Any:
    flat = jnp.broadcast_to(_drop_leading(value, shape), shape).astype(data.dtype).reshape(-1)
    return lax.dynamic_update_slice(data.reshape(-1), flat, (start,)).reshape(data.shape)


def _corner(starts: Any, lengths: tuple[int, ...], steps: tuple[int, ...]) -> tuple[list[Any], list[int], tuple]:
    """Return the smallest corner of a region, its extent, and the strided slice of it."""
    corner = [
        s if step > 0 else s + (length - 1) * step for s, length, step in zip(starts, lengths, steps, strict=True)
    ]
    extent = [(length - 1) * abs(step) + 1 for length, step in zip(lengths, steps, strict=True)]
    strides = tuple(slice(None, None, step) for step in steps)
    return corner, extent, strides


@partial(jax.jit, static_argnums=(2, 3, 4))
def read_region(
    data: Any, starts: tuple[Any, ...], lengths: tuple[int, ...], steps: tuple[int, ...], shape: tuple[int, ...]
) -> Any:
    """Return a copy of a strided region."""
    if 0 in lengths:
        return jnp.zeros(shape, data.dtype)
    corner, extent, strides = _corner(starts, lengths, steps)
    return lax.dynamic_slice(data, corner, extent)[strides].reshape(shape)


def _write_region(
    data: Any, starts: tuple[Any, ...], value: Any, lengths: tuple[int, ...], steps: tuple[int, ...], shape: Any
) -> Any:
    if 0 in lengths:
        return data
    corner, extent, strides = _corner(starts, lengths, steps)
    value = jnp.broadcast_to(_drop_leading(value, shape), shape).astype(data.dtype).reshape(lengths)
    block = lax.dynamic_slice(data, corner, extent).at[strides].set(value)
    return lax.dynamic_update_slice(data, block, corner)


def _drop_leading(value: Any, shape: tuple[int, ...]) -> Any:
    extra = value.ndim - len(shape)
    return value.reshape(value.shape[extra:]) if extra > 0 and set(value.shape[:extra]) == {1} else value


_view_writers = {d: jax.jit(_write_view, static_argnums=3, donate_argnums=(0,) if d else ()) for d in (False, True)}
_region_writers = {
    d: jax.jit(_write_region, static_argnums=(3, 4, 5), donate_argnums=(0,) if d else ()) for d in (False, True)
}


def write_view(data: Any, start: int, value: Any, shape: tuple[int, ...], *, donate: bool) -> Any:
    """Return `data` with the contiguous elements from `start` on replaced; `donate` gives its buffer away."""
    return _view_writers[donate](data, start, value, shape)


def write_region(data: Any, region: Region, value: Any, *, donate: bool) -> Any:
    """Return `data` with a strided region replaced; `donate` gives its buffer away."""
    return _region_writers[donate](data, region.starts, value, region.lengths, region.steps, region.shape)


def _template(key: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """Split an advanced key into a hashable template and its index arrays."""
    items = key if isinstance(key, tuple) else (key,)
    template: list[Any] = []
    arrays: list[Any] = []
    for item in items:
        if isinstance(item, slice):
            template.append(("slice", item.start, item.stop, item.step))
        elif item is None or item is Ellipsis:
            template.append(("new",) if item is None else ("rest",))
        else:
            array = item.data if hasattr(item, "asnumpy") else np.asarray(item)
            arrays.append(array if array.dtype.kind in "iu" else array.astype(np.int64))
            template.append(("array",))
    return tuple(template), arrays


def _rebuild(template: tuple[Any, ...], arrays: Any) -> tuple[Any, ...]:
    pending = iter(arrays)
    plain = {"new": None, "rest": Ellipsis}
    return tuple(
        slice(*part[1:]) if part[0] == "slice" else next(pending) if part[0] == "array" else plain[part[0]]
        for part in template
    )


@lru_cache(maxsize=1024)
def _advanced(template: tuple[Any, ...]) -> tuple[Any, Any]:
    def read(data: Any, arrays: Any) -> Any:
        return data[_rebuild(template, arrays)]

    def write(data: Any, arrays: Any, value: Any) -> Any:
        return data.at[_rebuild(template, arrays)].set(value.astype(data.dtype))

    return jax.jit(read), jax.jit(write)


def read_advanced(data: Any, key: Any) -> Any:
    """Return a copy of what index arrays select; floating ones are truncated to integers."""
    template, arrays = _template(key)
    return _advanced(template)[0](data, arrays)


def write_advanced(data: Any, key: Any, value: Any) -> Any:
    """Return `data` with what index arrays select replaced."""
    template, arrays = _template(key)
    return _advanced(template)[1](data, arrays, value)
