"""Broadcasting an array to a larger shape."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, normalize_axis, replace, unify

__all__: list[str] = []


def _widen(data: Any, shape: tuple[int, ...]) -> Any:
    if data.ndim != len(shape) or any(old not in (1, new) for old, new in zip(data.shape, shape, strict=True)):
        raise ValueError(
            f"{data.shape} can not be broadcast to {shape}: expected as many dimensions, each equal or of size 1"
        )
    return jnp.broadcast_to(data, shape)


@op("broadcast_to", cast="any", rows=lambda a: a.shape[:1] == (0,))
def broadcast_to(data: Any, *, shape: tuple[int, ...] = ()) -> Any:
    """Repeat dimensions of size 1. data (any shape) -> ``shape``, same dtype; a 0 in ``shape`` keeps the dimension.

    Raises:
        ValueError: the numbers of dimensions differ, or a dimension is neither 1 nor the wanted size.
    """
    if data.ndim != len(shape):
        raise ValueError(f"expected a shape of {data.ndim} dimensions, got {shape}")
    return _widen(data, tuple(new if new else old for old, new in zip(data.shape, shape, strict=True)))


@broadcast_to.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data = s.data if s.data is not None else (None,) * len(a.shape)
    if len(data) != len(a.shape):
        return {}
    return {"out": tuple(new if new else old for old, new in zip(data, a.shape, strict=True))}


@broadcast_to.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return {"shape": tuple(a.shape[i] for i in perm)} if len(perm) == len(a.shape) else None


def _checked_axes(axis: tuple[int, ...], size: tuple[int, ...]) -> None:
    if len(axis) != len(size):
        raise ValueError(f"expected one size for each axis, got axis {axis} and size {size}")


@op("broadcast_axis", "broadcast_axes", cast="any", rows=lambda a: all(i > 0 for i in a.axis))
def broadcast_axis(data: Any, *, axis: tuple[int, ...] = (), size: tuple[int, ...] = ()) -> Any:
    """Repeat the dimensions ``axis``, of size 1, up to ``size``. data (any shape) -> same rank and dtype.

    MXNet refuses negative axes; here they count from the end.

    Raises:
        ValueError: an axis is not of size 1 or does not exist, or there is not one size for each axis.
    """
    _checked_axes(axis, size)
    shape = list(data.shape)
    for where, dim in zip(axis, size, strict=True):
        where = normalize_axis(where, data.ndim)
        if shape[where] != 1:
            raise ValueError(f"axis {where} of {data.shape} has size {shape[where]}; only size 1 can be broadcast")
        shape[where] = dim
    return _widen(data, tuple(shape))


@broadcast_axis.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None:
        return {}
    _checked_axes(a.axis, a.size)
    out: tuple[int | None, ...] = s.data
    for where, dim in zip(a.axis, a.size, strict=True):
        out = replace(out, normalize_axis(where, len(out)), dim)
    return {"out": out}


@broadcast_axis.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"axis": tuple(perm.index(i % len(perm)) for i in a.axis)}


def _like(lhs: PartialShape, rhs: PartialShape, a: Any) -> PartialShape:
    """Return the shape that `broadcast_like` gives."""
    if a.lhs_axes is None and a.rhs_axes is None:
        return rhs
    if lhs is None or rhs is None:
        return None
    if a.lhs_axes is None or a.rhs_axes is None:
        # MXNet passes over one that stands alone.
        return rhs
    if len(a.lhs_axes) != len(a.rhs_axes):
        raise ValueError(f"lhs_axes {a.lhs_axes} and rhs_axes {a.rhs_axes} differ in number")
    for to, source in zip(a.lhs_axes, a.rhs_axes, strict=True):
        lhs = replace(lhs, normalize_axis(to, len(lhs)), rhs[normalize_axis(source, len(rhs))])
    return lhs


@op("broadcast_like", cast="any", rows=True)
def broadcast_like(
    lhs: Any, rhs: Any, *, lhs_axes: tuple[int, ...] | None = None, rhs_axes: tuple[int, ...] | None = None
) -> Any:
    """Repeat dimensions of size 1 of ``lhs`` up to the shape of ``rhs``.

    lhs (any shape), rhs (any dtype) -> the shape of rhs, the dtype of lhs. With both ``lhs_axes`` and ``rhs_axes`` only
    those axes of lhs take the sizes of those axes of rhs, and the numbers of dimensions may differ.

    Raises:
        ValueError: the shapes do not allow it.
    """
    shape = _like(lhs.shape, rhs.shape, broadcast_like.Attrs(lhs_axes, rhs_axes))
    return _widen(lhs, shape)  # type: ignore[arg-type]


@broadcast_like.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if a.lhs_axes is not None and a.rhs_axes is not None:
        return {"out": _like(s.lhs, s.rhs, a)}
    shape = unify(s.rhs, s.out[0])
    if s.lhs is not None and (shape is None or len(s.lhs) == len(shape)):
        # Only a size of 1 is repeated.
        shape = unify(tuple(None if dim == 1 else dim for dim in s.lhs), shape)
    return {"rhs": shape, "out": shape}


@broadcast_like.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    found = s.lhs if s.lhs is not None else s.out[0]
    return {} if found is None else {"lhs": found, "out": [found]}
