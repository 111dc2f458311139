"""Operators that pick elements by index.

Indices may have any dtype: floating-point ones are truncated towards zero. An index outside of its axis is clipped to
it unless the operator says otherwise; nothing is ever read or written out of bounds.
"""

from __future__ import annotations

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from symjit.base import np_dtype
from symjit.ops.attrs import DType, NonNegativeInt, PositiveInt, Scalar
from symjit.ops.registry import op
from symjit.ops.shapes import Known, normalize_axis, prod, replace, unify

__all__: list[str] = []


def _integers(indices: Any) -> Any:
    """Return indices as integers of at least 32 bits; JAX saturates what does not fit."""
    if jnp.issubdtype(indices.dtype, jnp.integer) and indices.dtype.itemsize >= 4:
        return indices
    return indices.astype(jnp.int32)


def _positions(indices: Any, size: Any, mode: str) -> Any:
    """Return int32 positions within an axis."""
    integers = _integers(indices)
    within = integers % size if mode == "wrap" else jnp.clip(integers, 0, size - 1)
    return within.astype(jnp.int32)


def _passed(name: str) -> Any:
    """Return the dtype rule of an operator whose input `name` and output share a dtype that the indices do not."""

    def rule(a: Any, s: Known) -> dict[str, Any]:
        found = s[name] if s[name] is not None else s.out[0]
        return {name: found, "out": [found]}

    return rule


@op("Embedding", params=("weight",), cast="any", rows=True)
def embedding(
    data: Any,
    weight: Any,
    *,
    input_dim: PositiveInt,
    output_dim: PositiveInt,
    dtype: DType = "float32",
    sparse_grad: bool = False,
) -> Any:
    """Look up a row of weight for every index. data (any shape), weight (V, D) -> (*data.shape, D), weight's dtype.

    An index outside of [0, V) reads the nearest row, and its gradient goes to that row. `dtype` is the weight's dtype
    where nothing else says it; `sparse_grad` is how the gradient is stored, not what it is.
    """
    return jnp.take(weight, _positions(data, weight.shape[0], "clip"), axis=0, mode="clip")


@embedding.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found: dict[str, Any] = {"weight": (a.input_dim, a.output_dim)}
    if s.data is not None:
        found["out"] = (*s.data, a.output_dim)
    if s.out[0] is not None and len(s.out[0]) > 1:
        found["data"] = s.out[0][:-1]
    return found


@embedding.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    found = next((dtype for dtype in (s.weight, s.out[0]) if dtype is not None), np_dtype(a.dtype))
    return {"weight": found, "out": [found]}


@op("take", cast="any", rows=lambda a: a.axis == 0)
def take(a: Any, indices: Any, *, axis: int = 0, mode: Literal["clip", "raise", "wrap"] = "clip") -> Any:
    """Take the slices of `a` at `indices` along `axis`.

    a (A..., K, B...), indices (any shape) -> (A..., *indices.shape, B...). ``clip``: an index outside of [0, K) takes
    the nearest slice, so a negative one takes the first; ``wrap``: indices count modulo K. A compiled program can not
    raise, so ``raise`` clips; MXNet 1.9.1 raises.
    """
    axis = normalize_axis(axis, a.ndim)
    return jnp.take(a, _positions(indices, a.shape[axis], mode), axis=axis, mode="clip")


@take.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.a is None:
        return {}
    axis = normalize_axis(a.axis, len(s.a))
    behind = len(s.a) - axis - 1
    found: dict[str, Any] = {}
    if s.indices is not None:
        found["out"] = s.a[:axis] + s.indices + s.a[axis + 1 :]
    out = s.out[0]
    if out is not None and len(out) >= len(s.a):
        found["a"] = (*out[:axis], s.a[axis], *out[len(out) - behind :])
        found["indices"] = out[axis : len(out) - behind]
    return found


take.dtype(_passed("a"))


def _picked(data: Any, index: Any, axis: int, mode: str) -> Any:
    """Return the element of every line along `axis`; the axis stays, with size 1."""
    shape = replace(data.shape, axis, 1)
    positions = _positions(index, data.shape[axis], mode).reshape(shape)
    return jnp.take_along_axis(data, positions, axis, mode="clip")


@op("pick", "choose_element_0index", cast="any", rows=lambda a: a.axis is not None and a.axis > 0)
def pick(
    data: Any, index: Any, *, axis: int | None = -1, keepdims: bool = False, mode: Literal["clip", "wrap"] = "clip"
) -> Any:
    """Pick one element of every line of data along `axis`.

    index has the shape of data without the axis, or with size 1 there; the result has the former shape, with
    ``keepdims=True`` the latter. Indices outside of the axis are clipped, or count modulo its size (``wrap``).
    """
    axis = _pick_axis(axis, data.ndim)
    picked = _picked(data, index, axis, mode)
    return picked if keepdims or data.ndim == 1 else jnp.squeeze(picked, axis)


def _pick_axis(axis: int | None, ndim: int) -> int:
    if axis is None:
        raise ValueError("pick needs an axis; MXNet does not support axis=None either")
    return normalize_axis(axis, ndim)


@pick.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data = s.data
    if data is None:
        return {}
    axis = _pick_axis(a.axis, len(data))
    rest: tuple[int | None, ...] = data[:axis] + data[axis + 1 :]
    flat = len(rest) or 1
    for other in (s.index, s.out[0]):
        if other is not None:
            rest = unify(rest, other[:axis] + other[axis + 1 :] if len(other) == len(data) else other) or ()
    kept = (*rest[:axis], 1, *rest[axis:])
    out = kept if a.keepdims or len(data) == 1 else rest
    index = kept if s.index is not None and len(s.index) == len(data) else rest or (1,) * flat
    return {"data": replace(kept, axis, data[axis]), "index": index, "out": out}


pick.dtype(_passed("data"))


@op("batch_take", cast="any", rows=True)
def batch_take(a: Any, indices: Any) -> Any:
    """Take one element of every row. a (N, K), indices of N elements -> their shape; indices are clipped."""
    if a.ndim != 2:
        raise ValueError(f"expected a of 2 dimensions (N, K), got {a.ndim}")
    if indices.size != a.shape[0]:
        raise ValueError(f"expected one index for each of {a.shape[0]} rows, got {indices.size}")
    return _picked(a, indices, 1, "clip").reshape(indices.shape)


@batch_take.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    shape = unify(s.indices, s.out[0])
    if shape is not None and len(shape) == 1 and s.a is not None:
        shape = unify(shape, s.a[:1])
    return {"a": (None if shape is None else prod(shape), None), "indices": shape, "out": shape}


@batch_take.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    found = s.a if s.a is not None else s.out[0]
    return {"a": found, "out": [found], "indices": None if s.indices is not None else np.dtype(np.int32)}


@op("one_hot", cast="any", rows=True)
def one_hot(
    indices: Any, *, depth: NonNegativeInt, on_value: Scalar = 1.0, off_value: Scalar = 0.0, dtype: DType = "float32"
) -> Any:
    """Return `off_value` everywhere but at the indices, where `on_value` stands.

    indices (any shape) -> (*indices.shape, depth) of `dtype`; an index outside of [0, depth) makes a row of
    `off_value`. No gradient flows to the indices.
    """
    integers = _integers(indices)[..., None]
    here = integers == jnp.arange(depth, dtype=integers.dtype)
    return jnp.where(here, *(jnp.asarray(value).astype(np_dtype(dtype)) for value in (on_value, off_value)))


@one_hot.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if s.indices is not None:
        found["out"] = (*s.indices, a.depth)
    if s.out[0] is not None and len(s.out[0]) > 1:
        found["indices"] = s.out[0][:-1]
    return found


@one_hot.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": [np_dtype(a.dtype)]}


def _coordinates(indices: Any, shape: tuple[Any, ...], wrap: bool) -> tuple[Any, ...]:
    """Return one int32 array of positions per row of indices.

    With `wrap` they count modulo the size: -1 is the last position. Without, an index out of range stays out of range.
    """
    found = []
    for row, size in zip(indices, shape, strict=False):
        if wrap:
            # MXNet adds the size before it truncates: -0.5 is the last position, not the first.
            if not jnp.issubdtype(row.dtype, jnp.integer):
                row = (row if row.dtype.itemsize >= 4 else row.astype(jnp.float32)) + size
            found.append(_positions(row, size, "wrap"))
        else:
            integers = _integers(row)
            found.append(jnp.where((integers < 0) | (integers >= size), size, integers).astype(jnp.int32))
    return tuple(found)


def _index_rank(indices: Any, ndim: int, what: str) -> int:
    if len(indices) < 2:
        raise ValueError(f"indices need at least 2 dimensions, (M, ...), got {len(indices)}")
    if indices[0] is not None and indices[0] > ndim:
        raise ValueError(f"indices hold {indices[0]} coordinates, but {what} has {ndim} dimensions")
    return indices[0]


@op("gather_nd", cast="any")
def gather_nd(data: Any, indices: Any) -> Any:
    """Gather the elements or slices at coordinates.

    data (D1, ..., Dn), indices (M, ...) with M <= n: column j of indices holds the coordinates of one slice of shape
    (D(M+1), ..., Dn) -> (*indices.shape[1:], D(M+1), ..., Dn). Coordinates count modulo the sizes, so -1 is the last.
    The gradient adds up where coordinates repeat.
    """
    _index_rank(indices.shape, data.ndim, "data")
    return data.at[_coordinates(indices, data.shape, True)].get(mode="promise_in_bounds")


@gather_nd.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None or s.indices is None:
        return {}
    count = _index_rank(s.indices, len(s.data), "data")
    return {} if count is None else {"out": s.indices[1:] + s.data[count:]}


gather_nd.dtype(_passed("data"))


@op("scatter_nd", cast="any")
def scatter_nd(data: Any, indices: Any, *, shape: tuple[int, ...]) -> Any:
    """Write data into zeros at coordinates: the inverse of `gather_nd`.

    data (*Y, D(M+1), ..., Dn), indices (M, *Y) -> `shape` = (D1, ..., Dn). Where coordinates repeat one of the elements
    stands in the result, and all of them get its gradient. Coordinates out of range, negative ones included, are
    dropped; MXNet 1.9.1 writes them into foreign memory.
    """
    count = _index_rank(indices.shape, len(shape), "shape")
    if tuple(data.shape) != indices.shape[1:] + shape[count:]:
        wanted = indices.shape[1:] + shape[count:]
        raise ValueError(
            f"data must have the shape {wanted} for indices {indices.shape} into {shape}, got {data.shape}"
        )
    return jnp.zeros(shape, data.dtype).at[_coordinates(indices, shape, False)].set(data, mode="drop")


@scatter_nd.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found: dict[str, Any] = {"out": a.shape}
    if s.indices is not None and s.indices[0] is not None:
        found["data"] = s.indices[1:] + a.shape[_index_rank(s.indices, len(a.shape), "shape") :]
    return found


scatter_nd.dtype(_passed("data"))


@scatter_nd.grad
def _(a: Any, heads: Any, *, inputs: Any) -> Any:
    where = _coordinates(inputs[1], a.shape, False)
    return heads[0].at[where].get(mode="fill", fill_value=0), None
