"""Arrays made from attributes alone, or from the shape of another array.

A 0 in the shape of ``_zeros``, ``_ones`` and ``_full`` (and an empty shape) is a dimension that its users decide, as
in the begin states of recurrent networks; whoever runs the operator has put the inferred shape in by then (`sized`).
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.base import np_dtype
from symjit.ops.attrs import DType, NonNegativeInt, PositiveInt, Scalar
from symjit.ops.casting import convert, scalar_of
from symjit.ops.registry import Op, op, table
from symjit.ops.shapes import Known, PartialShape, normalize_axis, read_shape, same

__all__: list[str] = []


def _settled(shape: tuple[int, ...]) -> tuple[int, ...]:
    if not shape or any(isinstance(dim, int) and dim <= 0 for dim in shape):
        raise ValueError(f"the shape {shape} has unknown dimensions and nothing that uses the array decides them")
    return shape


def _with_shape(a: Any, shape: tuple[int, ...]) -> Any:
    return a._replace(shape=shape)


def _facts(made: Op) -> Op:
    @made.shape
    def _(a: Any, s: Known) -> dict[str, Any]:
        return {"out": read_shape(a.shape)}

    @made.dtype
    def _(a: Any, s: Known) -> dict[str, Any]:
        return {"out": [np_dtype(a.dtype)]}

    return made


@_facts
@op("_zeros", ignored=("ctx",), cast="any", rows=True, sized=_with_shape)
def zeros(*, shape: tuple[int, ...] = (), dtype: DType = "float32") -> Any:
    """Return an array of zeros of a shape and dtype."""
    return jnp.zeros(_settled(shape), np_dtype(dtype))


@_facts
@op("_ones", ignored=("ctx",), cast="any", rows=True, sized=_with_shape)
def ones(*, shape: tuple[int, ...] = (), dtype: DType = "float32") -> Any:
    """Return an array of ones of a shape and dtype."""
    return jnp.ones(_settled(shape), np_dtype(dtype))


@_facts
@op("_full", ignored=("ctx",), cast="any", rows=True, sized=_with_shape)
def full(*, shape: tuple[int, ...] = (), dtype: DType = "float32", value: Scalar) -> Any:
    """Return an array of one number of a shape and dtype; integers drop the fraction and wrap."""
    return jnp.full(_settled(shape), scalar_of(value, np_dtype(dtype)))


@table("zeros_like")
def zeros_like(data: Any) -> Any:
    """Return zeros of the shape and dtype of the data."""
    return jnp.zeros_like(data)


zeros_like.shape(same)


@table("ones_like")
def ones_like(data: Any) -> Any:
    """Return ones of the shape and dtype of the data."""
    return jnp.ones_like(data)


ones_like.shape(same)


def _steps(start: float, step: float, count: int, repeat: int, dtype: np.dtype[Any]) -> Any:
    """Return ``start + (i // repeat) * step``, computed in `dtype`."""
    if dtype == np.float16:
        # MXNet 1.9.1 passes both through an integer for this dtype alone.
        start, step = int(start), int(step)
    first, by = (convert(jnp.asarray(each, jnp.float64), dtype) for each in (start, step))
    index = lax.iota(jnp.int64 if dtype.itemsize == 8 else jnp.int32, count)
    return first + (index // repeat if repeat > 1 else index).astype(dtype) * by


def _arange_shape(a: Any) -> PartialShape:
    """Return the shape of an `_arange`, None if its users decide."""
    if a.stop is None and a.infer_range:
        return None if a.infer_range is True else a.infer_range
    start, stop = (a.start, a.stop) if a.stop is not None else (0.0, a.start)
    if a.step == 0:
        raise ValueError("expected a step other than 0")
    if (start < stop) != (a.step > 0) or start == stop:
        raise ValueError(f"the range from {start} to {stop} in steps of {a.step} is empty")
    return (math.ceil((stop - start) / a.step) * a.repeat,)


def _with_range(a: Any, shape: tuple[int, ...]) -> Any:
    # No attribute states a shape: once it is inferred it stands in for the request to infer it.
    return a._replace(infer_range=shape)


@op("_arange", ignored=("ctx",), cast="any", rows=True, sized=_with_range)
def arange(
    *,
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: PositiveInt = 1,
    infer_range: bool = False,
    dtype: DType = "float32",
) -> Any:
    """Return ``start, start + step, ...`` up to but without ``stop``, each ``repeat`` times, shape (n,).

    Without ``stop`` the numbers run from 0 to ``start``. With ``infer_range`` and no ``stop`` they run from ``start``
    on and fill the shape, of any rank, that the users of the result need. Start and step are converted to the dtype
    first: a step of 0.5 is 0 in an integer dtype and, as in MXNet 1.9.1, in float16.

    Raises:
        ValueError: the range is empty, or its shape is not known.
    """
    shape = _arange_shape(arange.Attrs(start, stop, step, repeat, infer_range, dtype))
    if shape is None:
        raise ValueError("the range has no stop, and nothing that uses the array decides its shape: give stop")
    first = 0.0 if stop is None and not infer_range else start
    return _steps(first, step, math.prod(shape), repeat, np_dtype(dtype)).reshape(shape)  # type: ignore[arg-type]


@arange.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": _arange_shape(a)}


@arange.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": [np_dtype(a.dtype)]}


@op("_linspace", ignored=("ctx",), cast="any", rows=True)
def linspace(*, start: float, stop: float, num: NonNegativeInt, endpoint: bool = True, dtype: DType = "float32") -> Any:
    """Return ``num`` evenly spaced numbers from ``start``, shape (num,); the last is ``stop`` if ``endpoint``.

    The attributes are those that MXNet reads (its documentation lists those of ``_arange``).
    """
    return jnp.asarray(_linspace(start, stop, num, endpoint, np_dtype(dtype)))


def _linspace(start: float, stop: float, num: int, endpoint: bool, dtype: np.dtype[Any]) -> np.ndarray:
    step = (stop - start) / max(num - endpoint, 1)
    return (start + step * np.arange(num)).astype(dtype)


@linspace.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": (a.num,)}


@linspace.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": [np_dtype(a.dtype)]}


@op("_eye", ignored=("ctx",), cast="any", rows=True)
def eye(*, N: NonNegativeInt, M: int = 0, k: int = 0, dtype: DType = "float32") -> Any:
    """Return the (N, M) matrix with ones on the k-th diagonal, above the main one for ``k > 0``; ``M <= 0`` means N."""
    rows, columns = (lax.broadcasted_iota(jnp.int32, (N, M if M > 0 else N), axis) for axis in (0, 1))
    return (columns - rows == k).astype(np_dtype(dtype))


@eye.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": (a.N, a.M if a.M > 0 else a.N)}


@eye.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": [np_dtype(a.dtype)]}


@op("_contrib_arange_like", ignored=("ctx",), cast="any", rows=True)
def arange_like(
    data: Any, *, start: float = 0.0, step: float = 1.0, repeat: PositiveInt = 1, axis: int | None = None
) -> Any:
    """Return ``start + (i // repeat) * step`` for the i-th element of the data, or of one of its axes.

    data (any shape) -> the same shape if ``axis`` is None, else (data.shape[axis],); same dtype. No gradient passes.
    ``repeat`` does not lengthen the result.
    """
    shape = data.shape if axis is None else (data.shape[normalize_axis(axis, data.ndim)],)
    return _steps(start, step, math.prod(shape), repeat, np.dtype(data.dtype)).reshape(shape)


@arange_like.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if a.axis is None:
        return same(a, s)
    return {} if s.data is None else {"out": (s.data[normalize_axis(a.axis, len(s.data))],)}


@arange_like.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return None if a.axis is None else {"axis": perm.index(a.axis % len(perm))}
