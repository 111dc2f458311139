"""Operators that order elements along an axis.

Equal elements keep their order, the lower index first, ascending and descending. MXNet 1.9.1 agrees on axes of up to
16 elements; beyond that its CPU kernels order equal elements as their quicksort happens to leave them.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.base import np_dtype
from symjit.ops.attrs import DType
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, normalize_axis, prod, replace, unify

__all__: list[str] = []


def _ordered(data: Any, axis: int, ascend: bool) -> tuple[Any, Any]:
    """Return the sorted elements and the int32 positions they come from."""
    pair = (data, lax.broadcasted_iota(jnp.int32, data.shape, axis))
    if ascend:
        values, positions = lax.sort(pair, dimension=axis, is_stable=True, num_keys=1)
        return values, positions
    # Sorting backwards what is read backwards keeps the lower of two equal elements first.
    values, positions = lax.sort([lax.rev(x, [axis]) for x in pair], dimension=axis, is_stable=True, num_keys=1)
    return lax.rev(values, [axis]), lax.rev(positions, [axis])


def _flat(data: Any, axis: int | None) -> tuple[Any, int]:
    """Return data and a non-negative axis; without an axis, data flattened."""
    return (data.reshape(-1), 0) if axis is None else (data, normalize_axis(axis, data.ndim))


def _along(shape: PartialShape, axis: int | None) -> PartialShape:
    """Return the shape of data as `_flat` sees it."""
    if axis is None:
        return (None,) if shape is None else (prod(shape),)
    return shape


def _keeps_rows(a: Any) -> bool:
    return a.axis is not None and a.axis > 0


def _relaid(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return None if a.axis is None else {"axis": perm.index(normalize_axis(a.axis, len(perm)))}


def _same_along(a: Any, s: Known) -> dict[str, Any]:
    """Rule: the output has the shape of data, flattened where no axis is given."""
    shape = s.data if a.axis is None else unify(s.data, s.out[0])
    return {"data": shape, "out": [_along(shape, a.axis)] * len(s.out)}


@op("sort", outputs=2, visible=1, cast="any", rows=_keeps_rows)
def sort(data: Any, *, axis: int | None = -1, is_ascend: bool = True) -> Any:
    """Sort along `axis`, or the flattened data. data (any shape) -> same shape, or (size,)."""
    data, axis = _flat(data, axis)
    return _ordered(data, axis, is_ascend)


sort.shape(_same_along)
sort.layout(_relaid)


@sort.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    found = s.data if s.data is not None else s.out[0]
    return {"data": found, "out": [found, np.dtype(np.int32)]}


@op("argsort", cast="any", rows=_keeps_rows)
def argsort(data: Any, *, axis: int | None = -1, is_ascend: bool = True, dtype: DType = "float32") -> Any:
    """Return the positions that sort data, as `dtype`, float32 by default: exact up to 2**24 only."""
    data, axis = _flat(data, axis)
    return _ordered(data, axis, is_ascend)[1].astype(np_dtype(dtype))


argsort.shape(_same_along)
argsort.layout(_relaid)


@argsort.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": [np_dtype(a.dtype)]}


def _chosen(k: int, size: Any) -> Any:
    """Return how many elements topk returns."""
    if isinstance(size, int) and k > size:
        raise ValueError(f"k={k} elements are asked for, but the axis has {size}")
    return k if k > 0 else size


@op(
    "topk",
    outputs=lambda a: 2 if a.ret_typ in ("both", "value") else 1,
    visible=lambda a: 2 if a.ret_typ == "both" else 1,
    cast="any",
    rows=_keeps_rows,
)
def topk(
    data: Any,
    *,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: Literal["indices", "value", "mask", "both"] = "indices",
    is_ascend: bool = False,
    dtype: DType = "float32",
) -> Any:
    """Return the `k` largest elements along `axis` in descending order; the smallest with ``is_ascend=True``.

    ``ret_typ`` selects their positions, their values, both (values first), or a mask of data's shape and dtype that is
    1 at them. Positions have `dtype`, float32 by default: exact up to 2**24 only. ``k < 1`` is the whole axis;
    ``axis=None`` the flattened data.
    """
    flat, along = _flat(data, axis)
    count = _chosen(k, flat.shape[along])
    if not is_ascend and isinstance(count, int) and isinstance(flat.shape[along], int) and count < flat.shape[along]:
        values, positions = lax.top_k(jnp.moveaxis(flat, along, -1), count)
        values, positions = jnp.moveaxis(values, -1, along), jnp.moveaxis(positions, -1, along)
    else:
        ordered = _ordered(flat, along, is_ascend)
        values, positions = (lax.slice_in_dim(x, 0, count, axis=along) for x in ordered)
    if ret_typ == "mask":
        lines = jnp.moveaxis(positions, along, -1)
        mark = jax.vmap(lambda line: jnp.zeros(flat.shape[along], data.dtype).at[line].set(1, unique_indices=True))
        mask = mark(lines.reshape(-1, count)).reshape(*lines.shape[:-1], flat.shape[along])
        return jnp.moveaxis(mask, -1, along).reshape(data.shape)
    positions = positions.astype(np_dtype(dtype))
    return positions if ret_typ == "indices" else (values, positions)


@topk.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if a.ret_typ == "mask":
        shape = unify(s.data, s.out[0])
        return {"data": shape, "out": shape}
    shape = _along(s.data, a.axis)
    if shape is None:
        return {}
    axis = normalize_axis(a.axis or 0, len(shape))
    size = shape[axis]
    count = (a.k if a.k > 0 else None) if size is None else _chosen(a.k, size)
    found: dict[str, Any] = {"out": [replace(shape, axis, count)] * len(s.out)}
    if a.axis is not None and s.out[0] is not None and len(s.out[0]) == len(shape):
        found["data"] = replace(s.out[0], axis, size)
    return found


topk.layout(_relaid)


@topk.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    if a.ret_typ == "indices":
        return {"out": [np_dtype(a.dtype)]}
    found = s.data if s.data is not None else s.out[0]
    return {"data": found, "out": [found, np_dtype(a.dtype)][: len(s.out)]}
