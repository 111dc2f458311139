"""Symbols made from numbers, and the functions of ``mx.sym`` that take numbers or Symbols."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

from symjit.symbol.functions import internal
from symjit.symbol.symbol import Symbol

__all__ = [
    "arange",
    "eye",
    "full",
    "hypot",
    "linspace",
    "maximum",
    "minimum",
    "ones",
    "pow",
    "power",
    "split_v2",
    "zeros",
]

Shape = int | Sequence[int]


def zeros(shape: Shape, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return a symbol of zeros. Source: MXNet ``_zeros``.

    Args:
        shape: the shape; a dimension of 0 is inferred from what uses the symbol.
        dtype: the dtype, float32 if None.
        **kwargs: ``name`` and ``attr``.
    """
    return internal("_zeros")(shape=shape, dtype=dtype or "float32", **kwargs)


def ones(shape: Shape, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return a symbol of ones; see `zeros`. Source: MXNet ``_ones``."""
    return internal("_ones")(shape=shape, dtype=dtype or "float32", **kwargs)


def full(shape: Shape, val: float, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return a symbol filled with `val`; see `zeros`. Source: MXNet ``_full``."""
    return internal("_full")(shape=shape, dtype=dtype or "float32", value=float(val), **kwargs)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: Any = None,
) -> Symbol:
    """Return evenly spaced values of ``[start, stop)``, of ``[0, start)`` without `stop`. Source: MXNet ``_arange``.

    Args:
        start: the first value.
        stop: where the values end.
        step: the distance between two values.
        repeat: how often each value comes.
        infer_range: take the number of values from what uses the symbol.
        name: name of the symbol.
        dtype: the dtype, float32 if None.
    """
    return internal("_arange")(
        start=start,
        stop=stop,
        step=step,
        repeat=repeat,
        infer_range=infer_range,
        name=name,
        dtype=dtype or "float32",
    )


def eye(N: int, M: int = 0, k: int = 0, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return N rows and M columns (N if 0) with ones on the k-th diagonal. Source: MXNet ``_eye``."""
    return internal("_eye")(N=N, M=M, k=k, dtype=dtype or "float32", **kwargs)


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, name: str | None = None, dtype: Any = None
) -> Symbol:
    """Return `num` values from `start` to `stop`, which is among them if `endpoint`. Source: MXNet ``_linspace``."""
    return internal("_linspace")(
        start=start, stop=stop, num=num, endpoint=endpoint, name=name, dtype=dtype or "float32"
    )


def split_v2(
    ary: Symbol, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False
) -> Symbol:
    """Split along an axis into equal parts, or where the indices say. Source: MXNet ``_split_v2``.

    Raises:
        TypeError: `indices_or_sections` is neither a number nor a tuple of them.
    """
    if isinstance(indices_or_sections, int):
        indices, sections = [], indices_or_sections
    elif isinstance(indices_or_sections, (tuple, list)):
        indices, sections = [0, *indices_or_sections], 0
    else:
        raise TypeError(f"indices_or_sections must be an int or a tuple of ints, got {indices_or_sections!r}")
    return internal("_split_v2")(ary, indices=indices, axis=axis, squeeze_axis=squeeze_axis, sections=sections)


Symbol.split_v2 = split_v2  # type: ignore[attr-defined]


def _mixed(left: Any, right: Any, both: str, scalar: str, reflected: str, numbers: Callable[[Any, Any], Any]) -> Any:
    """Apply the operator that fits what is a Symbol and what is a number."""
    if isinstance(left, Symbol) and isinstance(right, Symbol):
        return internal(both)(left, right)
    if isinstance(left, Symbol) and isinstance(right, Number):
        return internal(scalar)(left, scalar=right)
    if isinstance(left, Number) and isinstance(right, Symbol):
        return internal(reflected)(right, scalar=left)
    if isinstance(left, Number) and isinstance(right, Number):
        return numbers(left, right)
    raise TypeError(f"types ({type(left).__name__}, {type(right).__name__}) not supported: use Symbols and numbers")


def power(base: Any, exp: Any) -> Any:
    """Return ``base ** exp`` of Symbols of one shape, of a Symbol and a number, or of two numbers.

    Raises:
        TypeError: an argument is neither a Symbol nor a number.
    """
    return _mixed(base, exp, "_Power", "_PowerScalar", "_RPowerScalar", lambda a, b: a**b)


pow = power


def maximum(left: Any, right: Any) -> Any:
    """Return the elementwise larger of Symbols and numbers; see `power`."""
    return _mixed(left, right, "_Maximum", "_MaximumScalar", "_MaximumScalar", max)


def minimum(left: Any, right: Any) -> Any:
    """Return the elementwise smaller of Symbols and numbers; see `power`."""
    return _mixed(left, right, "_Minimum", "_MinimumScalar", "_MinimumScalar", min)


def hypot(left: Any, right: Any) -> Any:
    """Return ``sqrt(left ** 2 + right ** 2)`` of Symbols and numbers; see `power`."""
    return _mixed(left, right, "_Hypot", "_HypotScalar", "_HypotScalar", math.hypot)
