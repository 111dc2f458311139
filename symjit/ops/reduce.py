"""Reductions over axes.

``axis`` is None or ``()`` for all axes, an integer or a tuple; ``exclude`` reduces all others. An array without
dimensions does not exist in MXNet: a full reduction has shape (1,). Integers stay in their dtype: sums wrap, means
truncate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from symjit.base import np_dtype
from symjit.ops.attrs import DType
from symjit.ops.casting import convert, is_inexact
from symjit.ops.elemwise import absolute, in_float
from symjit.ops.registry import Op, op
from symjit.ops.shapes import Known, PartialShape, normalize_axis

__all__: list[str] = []

Axes = tuple[int, ...] | None


def _axes(axis: Axes, ndim: int, exclude: bool = False) -> tuple[int, ...]:
    """Return the axes to reduce, in order."""
    if not axis:
        return tuple(range(ndim))
    named = sorted(normalize_axis(each, ndim) for each in axis)
    if len(set(named)) != len(named):
        raise ValueError(f"axis {axis} names a dimension of {ndim} twice")
    return tuple(i for i in range(ndim) if i not in named) if exclude else tuple(named)


def _reduced(shape: PartialShape, axes: Sequence[int], keepdims: bool) -> PartialShape:
    """Return the shape of the result."""
    if shape is None:
        return None
    if keepdims:
        return tuple(1 if i in axes else dim for i, dim in enumerate(shape))
    return tuple(dim for i, dim in enumerate(shape) if i not in axes) or (1,)


def _follow(axes: Sequence[int], keepdims: bool, perm: tuple[int, ...]) -> bool:
    """Return whether a reduction of permuted data has its result either permuted alike or in the plain order."""
    rest = [i for i in perm if i not in axes]
    return keepdims or rest == sorted(rest)


def _rows(axis: Axes, exclude: bool) -> bool:
    # The attributes do not tell whether a negative axis is the first one; where it is, the rows are gone from the
    # result, and whoever asks sees that from its shape.
    if not axis:
        return False
    return 0 in axis or min(axis) < 0 if exclude else 0 not in axis


def reduction(name: str, fn: Callable[[Any, tuple[int, ...]], Any], what: str, *aliases: str, note: str = "") -> Op:
    """Register ``y = fn(x, axes)``, where `fn` keeps the reduced axes with size 1."""

    def call(data: Any, *, axis: Axes = None, keepdims: bool = False, exclude: bool = False) -> Any:
        axes = _axes(axis, data.ndim, exclude)
        return fn(data, axes).reshape(_reduced(data.shape, axes, keepdims))

    call.__name__ = name
    call.__doc__ = (
        f"Compute the {what} over axes.\n\ndata (any shape), ``axis`` None or () for all axes, ``exclude`` for all but"
        f" these -> the remaining shape, (1,) if there is none; same dtype.{' ' * bool(note)}{note}"
    )
    made = op(name, *aliases, rows=lambda a: _rows(a.axis, a.exclude))(call)

    @made.shape
    def _(a: Any, s: Known) -> dict[str, Any]:
        if s.data is None:
            return {}
        return {"out": _reduced(s.data, _axes(a.axis, len(s.data), a.exclude), a.keepdims)}

    @made.layout
    def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
        if not _follow(_axes(a.axis, len(perm), a.exclude), a.keepdims, perm):
            return None
        return {"axis": tuple(sorted(perm.index(i % len(perm)) for i in a.axis))} if a.axis else {}

    return made


def _sum(x: Any, axes: tuple[int, ...]) -> Any:
    if x.dtype == jnp.bool_:
        return jnp.any(x, axes, keepdims=True)
    return jnp.sum(x, axes, dtype=x.dtype, keepdims=True)


def _mean(x: Any, axes: tuple[int, ...]) -> Any:
    total = _sum(x, axes)
    count = x.size // max(total.size, 1)
    if x.dtype == jnp.bool_ or count == 1:
        return total
    # In this dtype: the number of elements overflows float16, and the mean is then 0 or NaN.
    divisor = math.inf if x.dtype == jnp.float16 and count >= 65520 else count
    return lax.div(total, jnp.full(total.shape, divisor, x.dtype))


def _prod(x: Any, axes: tuple[int, ...]) -> Any:
    return jnp.all(x, axes, keepdims=True) if x.dtype == jnp.bool_ else jnp.prod(x, axes, dtype=x.dtype, keepdims=True)


def _without_nan(fn: Callable[[Any, tuple[int, ...]], Any], neutral: float) -> Callable[[Any, tuple[int, ...]], Any]:
    return lambda x, axes: fn(jnp.where(jnp.isnan(x), neutral, x).astype(x.dtype) if is_inexact(x) else x, axes)


reduction("sum", _sum, "sum", "sum_axis")
reduction("mean", _mean, "mean", note="float16 divides in float16: from 65,520 elements on the result is 0 or NaN.")
reduction("nansum", _without_nan(_sum, 0.0), "sum, NaN counting as 0,")
_prod_op = reduction("prod", _prod, "product", note="The gradient is ``y / x``: NaN where x is 0.")
_nanprod_op = reduction(
    "nanprod", _without_nan(_prod, 1.0), "product, NaN counting as 1,", note="The gradient is ``y / x``, 0 for NaN."
)
_max_op = reduction(
    "max",
    lambda x, axes: jnp.max(x, axes, keepdims=True),
    "maximum",
    "max_axis",
    note="Every element that equals the maximum gets the whole gradient.",
)
_min_op = reduction(
    "min",
    lambda x, axes: jnp.min(x, axes, keepdims=True),
    "minimum",
    "min_axis",
    note="Every element that equals the minimum gets the whole gradient.",
)


def _gradient(made: Op, partial: Callable[[Any, Any], Any]) -> None:
    """Attach the gradient ``head * partial(x, y)``, with head and y spread over x."""

    @made.grad
    def _(a: Any, heads: Any, *, inputs: Any, outputs: Any) -> list[Any]:
        (x,) = inputs
        if not is_inexact(x):
            return [None]
        kept = _reduced(x.shape, _axes(a.axis, x.ndim, a.exclude), keepdims=True)
        head, y = (jnp.broadcast_to(each[0].reshape(kept), x.shape) for each in (heads, outputs))
        return [head * partial(x, y)]


_gradient(_prod_op, lambda x, y: y / x)
_gradient(_nanprod_op, lambda x, y: jnp.where(jnp.isnan(x), jnp.zeros_like(x), y / x))
_gradient(_max_op, lambda x, y: (x == y).astype(x.dtype))
_gradient(_min_op, lambda x, y: (x == y).astype(x.dtype))


@op("norm", rows=lambda a: _rows(a.axis, False))
def norm(
    data: Any,
    *,
    ord: int = 2,
    axis: Axes = None,
    out_dtype: DType | None = None,
    keepdims: bool = False,
) -> Any:
    """Compute the norm of the elements along axes: ``sqrt(sum x^2)`` for ``ord=2``, ``sum |x|`` for ``ord=1``.

    data (any shape) -> the remaining shape, (1,) if there is none; same dtype or ``out_dtype``. Two axes are no matrix
    norm, but one of all their elements. The gradient of ``ord=2`` at 0 is NaN. Halves and integers are accumulated in
    float32 (MXNet on the CPU accumulates float16 in float16, and refuses another ``out_dtype`` unless
    ``MXNET_SAFE_ACCUMULATION`` is set); the norm of integers is truncated before it is converted. (MXNet's
    own ``ord=2`` of integers is imprecise: it scales while it sums, in integers.)

    Raises:
        ValueError: ``ord`` is neither 1 nor 2.
    """
    if ord not in (1, 2):
        raise ValueError(f"expected ord 1 or 2, got {ord}")
    axes = _axes(axis, data.ndim)
    target = data.dtype if out_dtype is None else np_dtype(out_dtype)
    x = data.astype(jnp.float64) if target == jnp.float64 and is_inexact(data) else data

    def total(x: Any) -> Any:
        y = _sum(absolute(x) if ord == 1 else jnp.square(x), axes)
        return y if ord == 1 else jnp.sqrt(y)

    if is_inexact(x):
        y = total(x if x.dtype == jnp.float64 else x.astype(jnp.float32))
    else:
        y = in_float(total)(x)
    return convert(y, target).reshape(_reduced(data.shape, axes, keepdims))


@norm.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {} if s.data is None else {"out": _reduced(s.data, _axes(a.axis, len(s.data)), a.keepdims)}


@norm.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    if a.out_dtype is not None:
        return {"out": [np_dtype(a.out_dtype)]}
    found = s.data if s.data is not None else s.out[0]
    return {} if found is None else {"data": found, "out": [found]}


@norm.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    if not _follow(_axes(a.axis, len(perm)), a.keepdims, perm):
        return None
    return {"axis": tuple(sorted(perm.index(i % len(perm)) for i in a.axis))} if a.axis else {}


def _arg_reduction(name: str, fn: Callable[..., Any], what: str) -> Op:
    def call(data: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
        axes = range(data.ndim) if axis is None else (normalize_axis(axis, data.ndim),)
        flat = data.reshape(-1) if axis is None else data
        found = fn(flat, 0 if axis is None else axes[0], jnp.int32)
        return found.astype(data.dtype).reshape(_reduced(data.shape, axes, keepdims))

    call.__name__ = name
    call.__doc__ = (
        f"Return the index of the {what} along an axis, the first one of equals; NaN counts as the {what}.\n\n"
        "data (any shape), ``axis`` None for the flattened array -> the remaining shape, (1,) if there is none; the"
        " dtype of the data, so that float32 indices are exact up to 2^24."
    )
    made = op(name, rows=lambda a: a.axis is not None and a.axis != 0)(call)

    @made.shape
    def _(a: Any, s: Known) -> dict[str, Any]:
        if s.data is None:
            return {}
        return {"out": _reduced(s.data, _axes(None if a.axis is None else (a.axis,), len(s.data)), a.keepdims)}

    @made.layout
    def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
        if a.axis is None or not _follow((a.axis % len(perm),), a.keepdims, perm):
            return None
        return {"axis": perm.index(a.axis % len(perm))}

    return made


_argmax = _arg_reduction("argmax", lax.argmax, "maximum")
_arg_reduction("argmin", lax.argmin, "minimum")


@op("argmax_channel", rows=True)
def argmax_channel(data: Any) -> Any:
    """Return the index of the maximum along axis 1. data (N, C, ...) -> (N, ...), same dtype."""
    return _argmax(data, axis=1)


@argmax_channel.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {} if s.data is None else {"out": _reduced(s.data, (normalize_axis(1, len(s.data)),), False)}


@op("moments", outputs=2, rows=lambda a: _rows(a.axes, False))
def moments(data: Any, *, axes: Axes = None, keepdims: bool = False) -> Any:
    """Compute mean and (biased) variance over axes.

    data (any shape) -> two arrays of the remaining shape, (1,) if there is none; same dtype.

    Raises:
        ValueError: ``axes`` is empty, which MXNet refuses as well.
    """
    if not axes:
        raise ValueError(f"expected the axes to reduce, got {axes}; name all of them for moments of everything")
    over = _axes(axes, data.ndim)
    mean = _mean(data, over)
    variance = _mean(jnp.square(data - mean), over)
    shape = _reduced(data.shape, over, keepdims)
    return mean.reshape(shape), variance.reshape(shape)


@moments.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None or not a.axes:
        return {}
    shape = _reduced(s.data, _axes(a.axes, len(s.data)), a.keepdims)
    return {"out": [shape, shape]}


@moments.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    if not a.axes or not _follow(_axes(a.axes, len(perm)), a.keepdims, perm):
        return None
    return {"axes": tuple(sorted(perm.index(i % len(perm)) for i in a.axes))}
