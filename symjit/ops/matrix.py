"""Operators that give the same elements another shape or another order of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.ops.attrs import PositiveInt
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, normalize_axis, prod, rank, show, unify

__all__: list[str] = []

#: Positions of input and output dimensions whose products are equal.
Groups = list[tuple[Sequence[int], Sequence[int]]]


def _solve(ins: list[Any], outs: list[Any], groups: Groups) -> None:
    """Fill in the one unknown dimension of every group, and check the groups that have none.

    Symbolic dimensions can not be compared, so they are only divided.
    """
    for from_in, from_out in groups:
        left, right = [ins[i] for i in from_in], [outs[i] for i in from_out]
        unknown = left.count(None) + right.count(None)
        if unknown > 1:
            continue
        if unknown == 0:
            sizes = prod(left), prod(right)
            if all(isinstance(size, int) for size in sizes) and sizes[0] != sizes[1]:
                raise ValueError(f"{tuple(left)} has {sizes[0]} elements, {tuple(right)} has {sizes[1]}")
            continue
        here, other, table, positions = (left, right, ins, from_in) if None in left else (right, left, outs, from_out)
        whole, rest = prod(other), prod(dim for dim in here if dim is not None)
        if isinstance(rest, int) and (rest == 0 or (isinstance(whole, int) and whole % rest)):
            raise ValueError(f"{whole} elements can not be divided over {show(tuple(here))}")
        table[positions[here.index(None)]] = whole // rest


def _code_groups(ndim: int, codes: Sequence[int]) -> tuple[list[int | None], Groups]:
    """Return the dimensions that Reshape's codes name (None where they follow from the input) and the groups."""
    outs: list[int | None] = []
    groups: Groups = []
    loose_in: list[int] = []
    loose_out: list[int] = []
    source, i = 0, 0
    while i < len(codes):
        code = codes[i]
        needed = {0: 1, -3: 2, -4: 1}.get(code, 0)
        if needed and source + needed > ndim:
            raise ValueError(f"code {code} at position {i} of shape {tuple(codes)} has no dimension left in the input")
        if code == 0:
            groups.append(([source], [len(outs)]))
            outs.append(None)
        elif code == -2:
            groups += [([d], [len(outs) + d - source]) for d in range(source, ndim)]
            outs += [None] * (ndim - source)
            needed = max(ndim - source, 0)
        elif code == -3:
            groups.append(([source, source + 1], [len(outs)]))
            outs.append(None)
        elif code == -4:
            parts = codes[i + 1 : i + 3]
            if len(parts) < 2 or parts[0] == parts[1] == -1 or any(p != -1 and p <= 0 for p in parts):
                raise ValueError(f"code -4 of shape {tuple(codes)} needs two sizes after it, at most one of them -1")
            groups.append(([source], [len(outs), len(outs) + 1]))
            outs += [None if part == -1 else part for part in parts]
            i += 2
        elif code == -1 or code > 0:
            if code == -1 and any(outs[o] is None for o in loose_out):
                raise ValueError(f"shape {tuple(codes)} may hold one -1 only")
            loose_out.append(len(outs))
            outs.append(None if code == -1 else code)
            needed = 1
            if source < ndim:
                loose_in.append(source)
        else:
            raise ValueError(f"{code} in shape {tuple(codes)} is no size and no code: the codes are 0, -1, -2, -3, -4")
        source += needed
        i += 1
    loose_in += range(source, ndim)
    groups.append((loose_in, loose_out))
    return outs, groups


def _target_groups(ndim: int, target: Sequence[int], keep_highest: bool) -> tuple[list[int | None], Groups]:
    """Return the same for the attributes of MXNet before 0.9, where 0 means "infer"."""
    first = int(keep_highest)
    if any(dim < 0 for dim in target) or list(target[first:]).count(0) > 1:
        raise ValueError(f"target_shape {tuple(target)} may hold sizes and one 0, the size to infer")
    outs = [None if dim == 0 or i < first else dim for i, dim in enumerate(target)]
    groups: Groups = [([0], [0])] if keep_highest else []
    return outs, [*groups, (range(first, ndim), range(first, len(target)))]


def _reshaped(a: Any, data: PartialShape, out: PartialShape) -> tuple[PartialShape, PartialShape]:
    """Return all that is known of the input and the output shape of a Reshape."""
    turn = -1 if a.reverse and a.shape else 1
    codes = (a.shape or a.target_shape)[::turn]
    if not codes:
        raise ValueError("give the attribute shape, for example shape=(0, -1)")
    if data is None:
        if a.shape and -2 not in codes:
            out = unify(out, tuple(code if code > 0 else None for code in codes if code != -4)[::turn])
        return None, out
    ins = list(data[::turn])
    outs, groups = _code_groups(len(ins), codes) if a.shape else _target_groups(len(ins), codes, a.keep_highest)
    outs = list(unify(tuple(outs), None if out is None else out[::turn]) or ())
    try:
        _solve(ins, outs, groups)
    except ValueError as error:
        text = f"shape={a.shape}" if a.shape else f"target_shape={a.target_shape}"
        text += ", reverse=True" if a.reverse else ""
        raise ValueError(f"data of shape {show(data)} can not be reshaped by {text}: {error}") from None
    return tuple(ins)[::turn], tuple(outs)[::turn]


@op(
    "Reshape",
    "reshape",
    cast="any",
    rows=lambda a: not a.reverse and a.shape[0] in (0, -2) if a.shape else a.keep_highest,
)
def reshape(
    data: Any,
    *,
    shape: tuple[int, ...] = (),
    reverse: bool = False,
    target_shape: tuple[int, ...] = (),
    keep_highest: bool = False,
) -> Any:
    """Give data another shape; the elements keep their row-major order.

    A positive number in `shape` is a size; 0 copies the input's dimension at this place, -1 is inferred, -2 copies all
    remaining dimensions, -3 merges the next two, and -4 splits the next one into the two sizes that follow (one of
    them may be -1). ``reverse=True`` matches the codes from the right. Files of old MXNet hold `target_shape` instead,
    where one 0 is inferred and ``keep_highest=True`` copies the first dimension.

    Raises:
        ValueError: the sizes do not hold all elements; MXNet 1.9.1 reads or drops memory silently in some such cases.
    """
    attrs = reshape.Attrs(shape, reverse, target_shape, keep_highest)
    return data.reshape(_reshaped(attrs, data.shape, None)[1])


@reshape.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data, out = _reshaped(a, s.data, s.out[0])
    return {"data": data, "out": out}


@op("Flatten", "flatten", cast="any", rows=True)
def flatten(data: Any) -> Any:
    """Merge all axes but the first. data (N, ...) -> (N, K); (N,) -> (N, 1)."""
    return data.reshape(data.shape[0], prod(data.shape[1:]))


@flatten.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None:
        return {"out": (None, None)}
    ins, outs = list(s.data), list(unify((None, None), s.out[0]) or ())
    _solve(ins, outs, [([0], [0]), (range(1, len(ins)), [1])])
    return {"data": tuple(ins), "out": tuple(outs)}


def _permutation(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return the axes of a transpose, reversed order when none are given."""
    full = tuple(normalize_axis(axis, ndim) for axis in axes) if axes else tuple(range(ndim))[::-1]
    if sorted(full) != list(range(ndim)):
        raise ValueError(f"axes {tuple(axes)} are no permutation of the {ndim} axes of the input")
    return full


@op("transpose", cast="any", rows=lambda a: bool(a.axes) and a.axes[0] == 0)
def transpose(data: Any, *, axes: tuple[int, ...] = ()) -> Any:
    """Permute the axes: output axis i is input axis ``axes[i]``; without `axes` the order is reversed."""
    return data.transpose(_permutation(axes, data.ndim))


@transpose.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    known = s.data if s.data is not None else s.out[0]
    if known is None:
        return {}
    axes = _permutation(a.axes, len(known))
    found: dict[str, Any] = {}
    if s.data is not None:
        found["out"] = tuple(s.data[axis] for axis in axes)
    if s.out[0] is not None and len(s.out[0]) == len(axes):
        found["data"] = tuple(s.out[0][axes.index(axis)] for axis in range(len(axes)))
    return found


transpose.numpy = reshape.numpy = True


@transpose.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    axes = _permutation(a.axes, len(perm))
    return {"axes": tuple(perm.index(axes[p]) for p in perm)}


@op("expand_dims", cast="any", rows=lambda a: a.axis > 0)
def expand_dims(data: Any, *, axis: int) -> Any:
    """Insert a dimension of size 1 before `axis`; a negative axis counts from the end of the result."""
    return jnp.expand_dims(data, normalize_axis(axis, data.ndim + 1))


@expand_dims.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if s.data is not None:
        axis = normalize_axis(a.axis, len(s.data) + 1)
        found["out"] = (*s.data[:axis], 1, *s.data[axis:])
    out = s.out[0]
    if out is not None and len(out) > 1:
        axis = normalize_axis(a.axis, len(out))
        found["data"] = out[:axis] + out[axis + 1 :]
    return found


def _squeezed(axes: Sequence[int] | None, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes that a squeeze drops."""
    if axes is None:
        return tuple(axis for axis, dim in enumerate(shape) if dim == 1)
    found = tuple(normalize_axis(axis, len(shape)) for axis in axes)
    if len(set(found)) < len(found):
        raise ValueError(f"axis {tuple(axes)} names an axis twice")
    return found


@op("squeeze", cast="any", rows=lambda a: a.axis is not None and all(axis > 0 for axis in a.axis))
def squeeze(data: Any, *, axis: tuple[int, ...] | None = None) -> Any:
    """Drop dimensions of size 1: those of `axis`, or all of them. A result without dimensions has shape (1,)."""
    found = jnp.squeeze(data, _squeezed(axis, data.shape))
    return found if found.ndim else found.reshape(1)


@squeeze.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None or (a.axis is None and None in s.data):
        return {}
    axes = _squeezed(a.axis, s.data)
    kept = [axis for axis in range(len(s.data)) if axis not in axes]
    data = list(unify(s.data, tuple(None if axis in kept else 1 for axis in range(len(s.data)))) or ())
    out = unify(tuple(data[axis] for axis in kept) or (1,), s.out[0]) or ()
    for axis, dim in zip(kept, out, strict=False):
        data[axis] = dim
    return {"data": tuple(data), "out": out}


@op("SwapAxis", "swapaxes", cast="any", rows=lambda a: a.dim1 == a.dim2 or (a.dim1 > 0 and a.dim2 > 0))
def swap_axis(data: Any, *, dim1: int = 0, dim2: int = 0) -> Any:
    """Exchange the axes `dim1` and `dim2`."""
    return jnp.swapaxes(data, normalize_axis(dim1, data.ndim), normalize_axis(dim2, data.ndim))


@swap_axis.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    def swapped(shape: PartialShape) -> PartialShape:
        if shape is None:
            return None
        dims = list(shape)
        one, two = normalize_axis(a.dim1, len(dims)), normalize_axis(a.dim2, len(dims))
        dims[one], dims[two] = dims[two], dims[one]
        return tuple(dims)

    return {"data": swapped(s.out[0]), "out": swapped(s.data)}


@swap_axis.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    one, two = (perm.index(normalize_axis(dim, len(perm))) for dim in (a.dim1, a.dim2))
    return {"dim1": one, "dim2": two}


def _span(begin: int | None, end: int | None, ndim: int, side: str) -> tuple[int, int]:
    """Return the range of axes that `reshape_like` exchanges on one side."""
    first = 0 if begin is None else begin + ndim if begin < 0 else begin
    last = ndim if end is None else end + ndim if end < 0 else end
    if not 0 <= first <= last <= ndim:
        raise ValueError(f"{side}_begin={begin}, {side}_end={end} is no range of the {ndim} axes of {side}")
    return first, last


@op("reshape_like", cast="any")
def reshape_like(
    lhs: Any,
    rhs: Any,
    *,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
) -> Any:
    """Give lhs the shape of rhs, or replace its axes [lhs_begin, lhs_end) by those of rhs in [rhs_begin, rhs_end)."""
    first, last = _span(lhs_begin, lhs_end, lhs.ndim, "lhs")
    start, stop = _span(rhs_begin, rhs_end, rhs.ndim, "rhs")
    return lhs.reshape(lhs.shape[:first] + rhs.shape[start:stop] + lhs.shape[last:])


@reshape_like.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.lhs is None or s.rhs is None:
        whole = (a.lhs_begin, a.lhs_end, a.rhs_begin, a.rhs_end) == (None, None, None, None)
        return {"out": s.rhs, "rhs": s.out[0]} if whole else {}
    first, last = _span(a.lhs_begin, a.lhs_end, len(s.lhs), "lhs")
    start, stop = _span(a.rhs_begin, a.rhs_end, len(s.rhs), "rhs")
    outs = list(unify(s.lhs[:first] + s.rhs[start:stop] + s.lhs[last:], s.out[0]) or ())
    ins, end = list(s.lhs), first + stop - start
    groups: Groups = [([i], [i]) for i in range(first)]
    groups += [([last + i], [end + i]) for i in range(len(ins) - last)]
    _solve(ins, outs, [*groups, (range(first, last), range(first, end))])
    return {"lhs": tuple(ins), "rhs": s.rhs[:start] + tuple(outs[first:end]) + s.rhs[stop:], "out": tuple(outs)}


@reshape_like.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    found = s.lhs if s.lhs is not None else s.out[0]
    return {"lhs": found, "out": [found]}


@op("shape_array", cast="any")
def shape_array(data: Any) -> Any:
    """Return the shape of data as an int64 vector. data (any shape) -> (ndim,)."""
    return jnp.array(data.shape, dtype=jnp.int64)


@shape_array.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": (rank(s.data),)}


@op("size_array", cast="any")
def size_array(data: Any) -> Any:
    """Return the number of elements of data as int64. data (any shape) -> (1,)."""
    return jnp.array([prod(data.shape)], dtype=jnp.int64)


@size_array.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": (1,)}


@shape_array.dtype
@size_array.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": [np.dtype(np.int64)]}


@op("depth_to_space", cast="any", rows=True)
def depth_to_space(data: Any, *, block_size: PositiveInt) -> Any:
    """Move blocks of channels into space, channels innermost. data (N, b*b*C, H, W) -> (N, C, H*b, W*b)."""
    n, c, h, w = _blocks(data.shape, (1, block_size**2))
    b = block_size
    return data.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


@depth_to_space.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": _deep_to_wide(a, s.data), "data": _wide_to_deep(a, s.out[0])}


@op("space_to_depth", cast="any", rows=True)
def space_to_depth(data: Any, *, block_size: PositiveInt) -> Any:
    """Move blocks of space into channels. data (N, C, H*b, W*b) -> (N, b*b*C, H, W)."""
    n, c, h, w = _blocks(data.shape, (2, block_size), (3, block_size))
    b = block_size
    return data.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


@space_to_depth.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": _wide_to_deep(a, s.data), "data": _deep_to_wide(a, s.out[0])}


def _blocks(shape: tuple[Any, ...], *divided: tuple[int, int]) -> tuple[Any, ...]:
    """Return a 4-D shape whose axes divide as `divided` says, ``(axis, by)``."""
    if len(shape) != 4:
        raise ValueError(f"expected data of 4 dimensions (N, C, H, W), got {len(shape)}")
    for axis, by in divided:
        if isinstance(shape[axis], int) and shape[axis] % by:
            raise ValueError(f"dimension {axis} of data must be a multiple of {by}, got {shape[axis]}")
    return shape


def _deep_to_wide(a: Any, shape: PartialShape) -> PartialShape:
    if shape is None:
        return None
    n, c, h, w = _blocks(shape, (1, a.block_size**2))
    b = a.block_size
    return n, None if c is None else c // b**2, prod((h, b)), prod((w, b))


def _wide_to_deep(a: Any, shape: PartialShape) -> PartialShape:
    if shape is None:
        return None
    b = a.block_size
    n, c, h, w = _blocks(shape, (2, b), (3, b))
    return n, prod((c, b**2)), None if h is None else h // b, None if w is None else w // b


@op("diag", cast="any")
def diag(data: Any, *, k: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the k-th diagonal, or the matrix whose k-th diagonal a vector is.

    data (L,) -> (L + |k|, L + |k|); data of n > 1 dimensions: the diagonal of axes `axis1` and `axis2` becomes the
    last axis of the n - 1 dimensional result.
    """
    if data.ndim == 1:
        side = data.shape[0] + abs(k)
        column = jnp.pad(data, (max(-k, 0), max(k, 0)))[:, None]
        there = jnp.arange(side, dtype=jnp.int32)
        return jnp.where(there - there[:, None] == k, column, jnp.zeros((), data.dtype))
    one, two = normalize_axis(axis1, data.ndim), normalize_axis(axis2, data.ndim)
    if one == two:
        raise ValueError(f"axis1={axis1} and axis2={axis2} are the same axis")
    rows, columns = data.shape[one], data.shape[two]
    if not -rows < k < columns:
        raise ValueError(f"a matrix of shape ({rows}, {columns}) has no diagonal {k}")
    # In row-major order the neighbours on a diagonal are columns + 1 apart.
    front = jnp.moveaxis(data, (one, two), (0, 1))
    flat = front.reshape(rows * columns, *front.shape[2:])
    first, count = (k if k >= 0 else -k * columns), min(rows + min(k, 0), columns - max(k, 0))
    return jnp.moveaxis(lax.slice_in_dim(flat, first, first + (count - 1) * (columns + 1) + 1, columns + 1), 0, -1)


@diag.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None:
        return {}
    if len(s.data) == 1:
        side = None if s.data[0] is None else s.data[0] + abs(a.k)
        return {"out": (side, side)}
    axes = [normalize_axis(axis, len(s.data)) for axis in (a.axis1, a.axis2)]
    return {"out": (*(dim for axis, dim in enumerate(s.data) if axis not in axes), None)}
