"""Operators that cut a box out of an array, or write one into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from symjit.ops.attrs import PositiveInt, Scalar
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, normalize_axis, replace, unify

__all__: list[str] = []

Bounds = tuple[int | None, ...]


def _steps(begin: Bounds, end: Bounds, step: Bounds, ndim: int) -> list[tuple[int | None, int | None, int]]:
    """Return ``(begin, end, step)`` for every axis; the axes beyond those given are whole."""
    if len(begin) != len(end) or (step and len(step) != len(begin)):
        raise ValueError(f"begin {begin}, end {end} and step {step} must have equal lengths")
    if len(begin) > ndim:
        raise ValueError(f"begin {begin} names {len(begin)} axes, but data has {ndim}")
    strides = [1 if each is None else each for each in step] or [1] * len(begin)
    if 0 in strides:
        raise ValueError(f"step {step} must not hold 0")
    return [*zip(begin, end, strides, strict=True), *[(None, None, 1)] * (ndim - len(begin))]


def _whole(begin: int | None, end: int | None, step: int) -> bool:
    """Return whether a slice takes every position of an axis, whatever its size."""
    return end is None and ((step == 1 and begin in (None, 0)) or (step == -1 and begin in (None, -1)))


def _range(begin: int | None, end: int | None, step: int, size: Any) -> tuple[Any, Any]:
    """Return the first position of a slice and the number of positions, clipped to the axis as Python clips."""
    if isinstance(size, int):
        positions = range(size)[begin:end:step]
        return positions.start, len(positions)
    if _whole(begin, end, step):
        return (0 if step == 1 else size - 1), size
    if step != 1:
        raise ValueError(f"a step of {step} needs an axis of known size, got {size}")
    # A symbolic size can not be compared: the bounds are taken to lie within it.
    first = 0 if begin is None else begin + size if begin < 0 else begin
    last = size if end is None else end + size if end < 0 else end
    return first, last - first


class _Box(NamedTuple):
    """The positions of a slice: corners, distances, axes that run backwards, and the shape."""

    low: list[Any]
    high: list[Any]
    strides: list[int]
    backward: list[int]
    shape: tuple[Any, ...]


def _box(size: tuple[Any, ...], begin: Bounds, end: Bounds, step: Bounds) -> _Box:
    box = _Box([], [], [], [], ())
    counts = []
    for axis, (dim, bounds) in enumerate(zip(size, _steps(begin, end, step, len(size)), strict=True)):
        first, count = _range(*bounds, dim)
        counts.append(count)
        if isinstance(count, int) and count == 0:
            low = high = 0
        else:
            last = first + (count - 1) * bounds[2]
            low, high = (first, last + 1) if bounds[2] > 0 else (last, first + 1)
        box.low.append(low)
        box.high.append(high)
        box.strides.append(abs(bounds[2]))
        if bounds[2] < 0:
            box.backward.append(axis)
    return box._replace(shape=tuple(counts))


def _cut(shape: PartialShape, out: PartialShape, begin: Bounds, end: Bounds, step: Bounds) -> dict[str, Any]:
    """Return the shape of a slice; axes that are not cut carry their size both ways."""
    if shape is None:
        return {}
    steps = _steps(begin, end, step, len(shape))
    whole = [_whole(*bounds) for bounds in steps]
    back = [dim if keep else None for dim, keep in zip(out, whole, strict=False)] if out is not None else None
    dims = tuple(None if dim is None else _range(*bounds, dim)[1] for dim, bounds in zip(shape, steps, strict=True))
    return {"out": dims, "data": tuple(back) if back is not None and len(back) == len(shape) else None}


def _permuted(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    """Return begin, end and step for permuted axes."""
    steps = _steps(a.begin, a.end, a.step, len(perm))
    begin, end, step = zip(*(steps[p] for p in perm), strict=True)
    return {"begin": begin, "end": end, "step": step}


def _rows_whole(a: Any) -> bool:
    """Return whether the first axis is left as it is."""
    begin, end, step = _steps(a.begin, a.end, a.step, max(len(a.begin), 1))[0]
    return step == 1 and _whole(begin, end, step)


@op("slice", "crop", cast="any", rows=_rows_whole)
def slice_box(data: Any, *, begin: Bounds, end: Bounds, step: Bounds = ()) -> Any:
    """Cut out ``data[begin[0]:end[0]:step[0], ...]``; bounds are clipped as Python's are, missing axes are whole."""
    box = _box(data.shape, begin, end, step)
    return lax.rev(lax.slice(data, box.low, box.high, box.strides), box.backward)


@slice_box.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return _cut(s.data, s.out[0], a.begin, a.end, a.step)


slice_box.layout(_permuted)


def _axis_bounds(begin: int, end: int | None, axis: int, size: Any) -> tuple[Any, Any]:
    """Return the checked bounds of a slice_axis: unlike those of slice they are not clipped."""
    first = begin + size if begin < 0 else begin
    last = size if end is None else end + size if end < 0 else end
    if all(isinstance(each, int) for each in (first, last, size)) and not 0 <= first < last <= size:
        raise ValueError(f"begin={begin}, end={end} is no range within axis {axis} of size {size}")
    return first, last


@op("slice_axis", cast="any", rows=lambda a: a.axis > 0)
def slice_axis(data: Any, *, axis: int, begin: int, end: int | None) -> Any:
    """Cut out the positions [begin, end) of one axis; negative ones count from its end, ``end=None`` is its end.

    Raises:
        ValueError: the range is empty or leaves the axis.
    """
    axis = normalize_axis(axis, data.ndim)
    first, last = _axis_bounds(begin, end, axis, data.shape[axis])
    return lax.slice_in_dim(data, first, last, axis=axis)


@slice_axis.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None:
        return {}
    axis = normalize_axis(a.axis, len(s.data))
    size = None
    if s.data[axis] is not None:
        first, last = _axis_bounds(a.begin, a.end, axis, s.data[axis])
        size = last - first
    elif a.end is not None and (a.begin < 0) == (a.end < 0):
        size = a.end - a.begin
    out = s.out[0]
    return {"out": replace(s.data, axis, size), "data": None if out is None else replace(out, axis, s.data[axis])}


@slice_axis.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"axis": perm.index(normalize_axis(a.axis, len(perm)))}


def _like(data: Sequence[Any], like: Sequence[Any], axes: tuple[int, ...]) -> list[Any]:
    """Return the shape of a slice_like."""
    if not axes and len(data) != len(like):
        raise ValueError(f"without axes, data and shape_like need equal ranks, got {len(data)} and {len(like)}")
    dims = list(data)
    for axis in axes or range(len(data)):
        # A negative axis counts from the end of data, in shape_like too.
        axis = normalize_axis(axis, len(data))
        if axis >= len(like):
            raise ValueError(f"axis {axis} is none of the {len(like)} axes of shape_like")
        if isinstance(data[axis], int) and isinstance(like[axis], int) and like[axis] > data[axis]:
            raise ValueError(
                f"axis {axis} of data has size {data[axis]}, which is less than {like[axis]} of shape_like"
            )
        dims[axis] = like[axis]
    return dims


@op("slice_like", cast="any", rows=lambda a: bool(a.axes) and all(axis > 0 for axis in a.axes))
def slice_like(data: Any, shape_like: Any, *, axes: tuple[int, ...] = ()) -> Any:
    """Cut data to the size of `shape_like` along `axes`, or along all axes; the first positions stay."""
    return lax.slice(data, [0] * data.ndim, _like(data.shape, shape_like.shape, axes))


@slice_like.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None or s.shape_like is None:
        return {}
    dims = _like(s.data, s.shape_like, a.axes)
    out = unify(tuple(dims), s.out[0]) or ()
    cut = {normalize_axis(axis, len(s.data)) for axis in a.axes} if a.axes else set(range(len(s.data)))
    return {
        "out": out,
        "data": tuple(s.data[axis] if axis in cut else dim for axis, dim in enumerate(out)),
        "shape_like": tuple(out[axis] if axis in cut else dim for axis, dim in enumerate(s.shape_like)),
    }


@slice_like.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    found = s.data if s.data is not None else s.out[0]
    return {"data": found, "out": [found]}


@slice_like.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"axes": tuple(perm.index(normalize_axis(axis, len(perm))) for axis in a.axes)}


def _crop_corner(a: Any, size: Sequence[Any], window: Sequence[Any]) -> list[Any]:
    """Return the first row and column of a Crop of `window` out of `size`."""
    corner = [(full - part) // 2 for full, part in zip(size, window, strict=True)] if a.center_crop else list(a.offset)
    for what, first, part, full in zip(("height", "width"), corner, window, size, strict=True):
        if all(isinstance(each, int) for each in (first, part, full)) and not 0 <= first <= first + part <= full:
            raise ValueError(f"a {what} of {part} at {first} does not fit into data's {what} of {full}")
        if isinstance(part, int) and part < 1:
            raise ValueError(f"h_w={a.h_w}: the {what} of the cut must be at least 1")
    return corner


@op("Crop", cast="any", rows=True)
def crop(
    *args: Any,
    num_args: PositiveInt,
    offset: tuple[int, ...] = (0, 0),
    h_w: tuple[int, ...] = (0, 0),
    center_crop: bool = False,
) -> Any:
    """Cut a window of rows and columns out of images.

    data (N, C, H, W) -> (N, C, h, w). The size is `h_w` or, with a second input, that input's rows and columns; the
    window begins at `offset`, or lies in the middle with ``center_crop=True`` (rounded down). Source: MXNet's legacy
    ``Crop``, which takes float32 only; the operator ``crop`` is another name of ``slice``.
    """
    data = args[0]
    if data.ndim != 4:
        raise ValueError(f"expected data of 4 dimensions (N, C, H, W), got {data.ndim}")
    window = args[1].shape[2:] if num_args > 1 else h_w
    corner = _crop_corner(crop.Attrs(num_args, offset, h_w, center_crop), data.shape[2:], window)
    low = [0, 0, *corner]
    high = [*data.shape[:2], *(first + part for first, part in zip(corner, window, strict=True))]
    return lax.slice(data, low, high)


@crop.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    window = a.h_w
    out = s.out[0]
    if a.num_args > 1:
        like = s.args[1]
        if like is not None and len(like) != 4:
            raise ValueError(f"expected a second input of 4 dimensions (N, C, H, W), got {len(like)}")
        window = (None, None) if like is None else like[2:]
    found: dict[str, Any] = {"out": (None, None, *window)}
    if s.args[0] is not None:
        found["out"] = (*s.args[0][:2], *window)
    if out is not None and len(out) == 4:
        found["args"] = [(*out[:2], None, None), *[None] * (a.num_args - 1)]
    return found


@op("_slice_assign", "_crop_assign", cast="any", rows=_rows_whole)
def slice_assign(lhs: Any, rhs: Any, *, begin: Bounds, end: Bounds, step: Bounds = ()) -> Any:
    """Return lhs with ``lhs[begin:end:step]`` replaced by rhs, whose shape is that of the slice."""
    box = _box(lhs.shape, begin, end, step)
    if tuple(rhs.shape) != box.shape:
        raise ValueError(f"rhs must have the shape of the slice, {box.shape}, got {rhs.shape}")
    return _written(lhs, rhs, box)


def _written(data: Any, value: Any, box: _Box) -> Any:
    value = lax.rev(value, box.backward)
    if all(stride == 1 for stride in box.strides):
        return lax.dynamic_update_slice(data, value, box.low)
    # Spread out with gaps, the value needs no scatter.
    gaps = [
        (low, size - high, stride - 1)
        for low, high, stride, size in zip(box.low, box.high, box.strides, data.shape, strict=True)
    ]
    here = lax.pad(jnp.ones(value.shape, bool), jnp.zeros((), bool), gaps)
    return jnp.where(here, lax.pad(value, jnp.zeros((), value.dtype), gaps), data)


@slice_assign.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    lhs = unify(s.lhs, s.out[0])
    cut = _cut(lhs, s.rhs, a.begin, a.end, a.step)
    lhs = unify(lhs, cut.get("data"))
    return {"lhs": lhs, "out": lhs, "rhs": cut.get("out")}


slice_assign.layout(_permuted)


@op("_slice_assign_scalar", "_crop_assign_scalar", cast="any", rows=_rows_whole)
def slice_assign_scalar(data: Any, *, scalar: Scalar = 0.0, begin: Bounds, end: Bounds, step: Bounds = ()) -> Any:
    """Return data with ``data[begin:end:step]`` replaced by `scalar`, converted to data's dtype."""
    box = _box(data.shape, begin, end, step)
    return _written(data, jnp.full(box.shape, jnp.asarray(scalar).astype(data.dtype)), box)


@slice_assign_scalar.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    shape = unify(s.data, s.out[0])
    return {"data": shape, "out": shape}


slice_assign_scalar.layout(_permuted)
