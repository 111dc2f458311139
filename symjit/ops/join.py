"""Operators that join, split, repeat, reverse and pad along axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import jax.numpy as jnp
from jax import lax

from symjit.ops.attrs import Float, NonNegativeInt, PositiveInt
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, agreed, normalize_axis, prod, replace, same, unify

__all__: list[str] = []


@op("Concat", "concat", cast="any", rows=lambda a: a.dim > 0)
def concat(*args: Any, num_args: PositiveInt, dim: int = 1) -> Any:
    """Join arrays along the axis `dim`; all other dimensions and the dtypes must be equal."""
    return jnp.concatenate(args, axis=normalize_axis(dim, args[0].ndim))


@concat.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    given = [shape for shape in (*s.args, s.out[0]) if shape is not None]
    if not given:
        return {}
    axis = normalize_axis(a.dim, len(given[0]))
    names = [*(f"arg{i}" for i in range(len(s.args))), "the output"]
    # A rank that differs is reported here, so an axis that is not there may stay.
    rest = [shape and (replace(shape, axis, None) if axis < len(shape) else shape) for shape in (*s.args, s.out[0])]
    try:
        common: Any = agreed("shape", zip(names, rest, strict=True))
    except ValueError as error:
        raise ValueError(f"dimension {axis} (dim={a.dim}) left aside, {error}") from None
    sizes: list[Any] = [None if shape is None else shape[axis] for shape in s.args]
    total = None if s.out[0] is None else s.out[0][axis]
    if None not in sizes:
        total = sum(sizes)
    elif sizes.count(None) == 1 and total is not None:
        left = total - sum(size for size in sizes if size is not None)
        if isinstance(left, int) and left < 0:
            raise ValueError(f"the inputs hold more than the {total} positions of the output along axis {axis}")
        sizes[sizes.index(None)] = left
    return {"args": [replace(common, axis, size) for size in sizes], "out": replace(common, axis, total)}


@concat.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"dim": perm.index(normalize_axis(a.dim, len(perm)))}


@op("stack", cast="any", rows=lambda a: a.axis > 0)
def stack(*args: Any, axis: int = 0, num_args: PositiveInt) -> Any:
    """Join arrays of one shape along a new axis; a negative `axis` counts from the end of the result."""
    return jnp.stack(args, axis=normalize_axis(axis, args[0].ndim + 1))


@stack.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    common = agreed("shape", [(f"arg{i}", shape) for i, shape in enumerate(s.args)])
    out = s.out[0]
    if out is not None and len(out) > 1:
        axis = normalize_axis(a.axis, len(out))
        common = unify(common, out[:axis] + out[axis + 1 :])
    if common is None:
        return {}
    axis = normalize_axis(a.axis, len(common) + 1)
    return {"args": [common] * len(s.args), "out": (*common[:axis], len(s.args), *common[axis:])}


@op(
    "SliceChannel",
    "split",
    outputs=lambda a: a.num_outputs,
    output_names=lambda a: [f"output{i}" for i in range(a.num_outputs)],
    cast="any",
    rows=lambda a: a.axis > 0,
)
def slice_channel(data: Any, *, num_outputs: PositiveInt, axis: int = 1, squeeze_axis: bool = False) -> Any:
    """Cut data into equal parts along `axis`; ``squeeze_axis=True`` drops the axis, whose parts must have size 1."""
    axis = normalize_axis(axis, data.ndim)
    size = _part(data.shape[axis], num_outputs, axis, squeeze_axis)
    parts = lax.split(data, [size] * num_outputs, axis)
    return tuple(lax.squeeze(part, [axis]) for part in parts) if squeeze_axis else tuple(parts)


def _part(size: Any, parts: int, axis: int, squeeze: bool) -> Any:
    if isinstance(size, int):
        if size % parts:
            raise ValueError(f"axis {axis} of size {size} can not be cut into {parts} equal parts")
        if squeeze and size != parts:
            raise ValueError(f"squeeze_axis needs parts of size 1, but axis {axis} of size {size} makes {parts} parts")
    return size // parts


@slice_channel.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data = s.data
    out: PartialShape = None
    for shape in s.out:
        out = unify(out, shape)
    if out is not None:
        axis = normalize_axis(a.axis, len(out) + a.squeeze_axis)
        if a.squeeze_axis:
            data = unify(data, (*out[:axis], a.num_outputs, *out[axis:]))
        else:
            data = unify(data, replace(out, axis, prod((out[axis], a.num_outputs))))
    if data is None:
        return {}
    axis = normalize_axis(a.axis, len(data))
    if a.squeeze_axis and data[axis] is None:
        data = replace(data, axis, a.num_outputs)
    size = data[axis] if data[axis] is None else _part(data[axis], a.num_outputs, axis, a.squeeze_axis)
    out = data[:axis] + data[axis + 1 :] if a.squeeze_axis else replace(data, axis, size)
    return {"data": data, "out": [out] * a.num_outputs}


@slice_channel.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return None if a.squeeze_axis else {"axis": perm.index(normalize_axis(a.axis, len(perm)))}


def _edges(a: Any, size: int) -> list[int]:
    """Return where the parts of a `_split_v2` begin, and the end of the last one."""
    if a.sections > 0:
        # The first parts take one position more when the axis does not divide.
        small, larger = divmod(size, a.sections)
        return [i * small + min(i, larger) for i in range(a.sections + 1)]
    edges = [*a.indices, size]
    if edges[0] != 0 or any(start > stop for start, stop in pairwise(edges)):
        raise ValueError(f"indices {a.indices} must begin with 0 and ascend within the axis of size {size}")
    return edges


def _split_count(a: Any) -> int:
    return a.sections if a.sections > 0 else len(a.indices)


@op("_split_v2", outputs=_split_count, cast="any", rows=lambda a: a.axis > 0)
def split_v2(
    data: Any, *, indices: tuple[int, ...], axis: int = 1, squeeze_axis: bool = False, sections: NonNegativeInt = 0
) -> Any:
    """Cut data along `axis` at `indices` (the first is 0), or into `sections` parts, the first ones larger by one."""
    axis = normalize_axis(axis, data.ndim)
    edges = _edges(split_v2.Attrs(indices, axis, squeeze_axis, sections), data.shape[axis])
    sizes = [stop - start for start, stop in pairwise(edges)]
    if squeeze_axis and any(size != 1 for size in sizes):
        raise ValueError(f"squeeze_axis needs parts of size 1, got parts of sizes {sizes}")
    parts = lax.split(data, sizes, axis)
    return tuple(lax.squeeze(part, [axis]) for part in parts) if squeeze_axis else tuple(parts)


@split_v2.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data, count = s.data, _split_count(a)
    given = [shape for shape in s.out if shape is not None]
    for shape in given:
        axis = normalize_axis(a.axis, len(shape) + a.squeeze_axis)
        data = unify(data, (*shape[:axis], None, *shape[axis + (not a.squeeze_axis) :]))
    if data is None:
        return {}
    axis = normalize_axis(a.axis, len(data))
    if a.squeeze_axis:
        # Every part has size 1.
        return {"data": replace(data, axis, count), "out": [data[:axis] + data[axis + 1 :]] * count}
    if data[axis] is None and len(given) == count:
        sizes = [shape[axis] for shape in given]
        data = replace(data, axis, None if None in sizes else sum(sizes))
    if data[axis] is None:
        return {"data": data, "out": [data] * count}
    edges = pairwise(_edges(a, data[axis]))  # type: ignore[arg-type]
    return {"data": data, "out": [replace(data, axis, stop - start) for start, stop in edges]}


@split_v2.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return None if a.squeeze_axis else {"axis": perm.index(normalize_axis(a.axis, len(perm)))}


@op("tile", cast="any")
def tile(data: Any, *, reps: tuple[int, ...]) -> Any:
    """Repeat the whole of data `reps` times along each axis; the shorter of shape and reps is filled with ones."""
    return jnp.tile(data, _reps(reps))


def _reps(reps: tuple[int, ...]) -> tuple[int, ...]:
    if any(rep < 1 for rep in reps):
        raise ValueError(f"reps {reps} must be positive")
    return reps


@tile.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None:
        return {}
    ndim = max(len(s.data), len(a.reps))
    data = (1,) * (ndim - len(s.data)) + s.data
    reps = (1,) * (ndim - len(a.reps)) + _reps(a.reps)
    found: dict[str, Any] = {"out": tuple(prod((dim, rep)) for dim, rep in zip(data, reps, strict=True))}
    out = s.out[0]
    if out is not None and len(out) == ndim:
        pairs = list(zip(out, reps, strict=True))[ndim - len(s.data) :]
        found["data"] = tuple(None if dim is None else dim // rep for dim, rep in pairs)
    return found


@tile.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    if len(a.reps) > len(perm):
        return None
    reps = (1,) * (len(perm) - len(a.reps)) + a.reps
    return {"reps": tuple(reps[p] for p in perm)}


@op("repeat", cast="any", rows=lambda a: a.axis is not None and a.axis > 0)
def repeat(data: Any, *, repeats: NonNegativeInt, axis: int | None = None) -> Any:
    """Repeat every element `repeats` times along `axis`; without an axis data is flattened first.

    ``repeats=0`` gives an array of shape (0,), whatever the axis.
    """
    if axis is None or not repeats:
        return jnp.repeat(data.reshape(-1), repeats)
    return jnp.repeat(data, repeats, normalize_axis(axis, data.ndim))


@repeat.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if not a.repeats:
        return {"out": (0,)}
    if s.data is None:
        return {} if a.axis is not None else {"out": (None,)}
    if a.axis is None:
        return {"out": (prod((*s.data, a.repeats)),)}
    axis = normalize_axis(a.axis, len(s.data))
    found: dict[str, Any] = {"out": replace(s.data, axis, prod((s.data[axis], a.repeats)))}
    out = s.out[0]
    if out is not None and len(out) == len(s.data):
        found["data"] = replace(out, axis, None if out[axis] is None else out[axis] // a.repeats)
    return found


@repeat.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return None if a.axis is None else {"axis": perm.index(normalize_axis(a.axis, len(perm)))}


@op("reverse", "flip", cast="any", rows=lambda a: all(axis > 0 for axis in a.axis))
def reverse(data: Any, *, axis: tuple[int, ...]) -> Any:
    """Reverse the order of the elements along every axis of `axis`."""
    return lax.rev(data, sorted({normalize_axis(each, data.ndim) for each in axis}))


reverse.shape(same)


@reverse.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"axis": tuple(perm.index(normalize_axis(axis, len(perm))) for axis in a.axis)}


@op("Pad", "pad", cast="any", rows=lambda a: not any(a.pad_width[:2]))
def pad(
    data: Any,
    *,
    mode: Literal["constant", "edge", "reflect"],
    pad_width: tuple[int, ...],
    constant_value: Annotated[float, Float(dynamic=True)] = 0.0,
) -> Any:
    """Pad the borders: with `constant_value`, with the nearest element, or with the mirrored ones.

    `pad_width` holds ``(before, after)`` for every axis, (before_0, after_0, before_1, ...). MXNet pads arrays of 4 and
    5 dimensions only, and only beyond the second axis; here every array and axis can be padded.

    Raises:
        ValueError: `pad_width` has the wrong length, or a mirrored border is not smaller than its axis.
    """
    widths = _widths(pad_width, data.ndim)
    if mode == "constant":
        return jnp.pad(data, widths, constant_values=jnp.asarray(constant_value).astype(data.dtype))
    if mode == "reflect":
        for axis, (pair, dim) in enumerate(zip(widths, data.shape, strict=True)):
            if isinstance(dim, int) and max(pair) >= dim and max(pair) > 0:
                raise ValueError(f"reflect can pad axis {axis} of size {dim} by at most {dim - 1}, got {pair}")
    return jnp.pad(data, widths, mode=mode)


def _widths(pad_width: Sequence[int], ndim: int) -> list[tuple[int, int]]:
    if len(pad_width) != 2 * ndim or any(width < 0 for width in pad_width):
        raise ValueError(f"pad_width needs {2 * ndim} sizes for {ndim} dimensions of data, got {tuple(pad_width)}")
    return list(zip(pad_width[::2], pad_width[1::2], strict=True))


@pad.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for source, target, sign in ((s.data, "out", 1), (s.out[0], "data", -1)):
        if source is not None:
            widths = _widths(a.pad_width, len(source))
            pairs = zip(source, widths, strict=True)
            found[target] = tuple(None if dim is None else dim + sign * sum(pair) for dim, pair in pairs)
    return found


@pad.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    widths = _widths(a.pad_width, len(perm))
    return {"pad_width": tuple(width for p in perm for width in widths[p])}
