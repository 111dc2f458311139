"""Conversions between dtypes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from symjit.base import np_dtype
from symjit.ops.attrs import DType, PositiveInt
from symjit.ops.registry import table
from symjit.ops.shapes import Known, same, unify

__all__ = ["convert", "is_inexact", "scalar_of"]

_HALVES = (np_dtype("float16"), np_dtype("bfloat16"))


def is_inexact(x: Any) -> bool:
    """Return whether an array holds floating-point numbers, and so can have a gradient."""
    return jnp.issubdtype(x.dtype, jnp.inexact)


def convert(x: Any, dtype: Any) -> Any:
    """Convert an array as MXNet does.

    A number that does not fit into an integer type wraps (300 -> 44 in uint8, -1 -> 255); one that does not fit into 32
    bits (64 for int64), infinity and NaN become the smallest such integer, whose low bits are zero. XLA alone would
    saturate. Everything is true as a bool but zero.
    """
    target = np.dtype(dtype)
    if target.kind not in "iu" or not is_inexact(x):
        return x.astype(target)
    wide, limit = (jnp.int64, 2.0**63) if target.itemsize == 8 else (jnp.int32, 2.0**31)
    x = x.astype(jnp.float32) if x.dtype in _HALVES else x
    return jnp.where((x >= -limit) & (x < limit), x, -limit).astype(wide).astype(target)


def scalar_of(value: Any, dtype: Any) -> Any:
    """Return an attribute's number, traced or not, as an array without dimensions."""
    return convert(jnp.asarray(value), dtype)


@table("Cast", "cast")
def cast(data: Any, *, dtype: DType) -> Any:
    """Convert to another dtype. data (any shape) -> same shape, ``dtype``.

    Integers wrap, as on x86 (MXNet leaves it to the processor); see `convert`.
    """
    return convert(data, np_dtype(dtype))


cast.shape(same)


@cast.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {"out": [np_dtype(a.dtype)]}


def _amp_converts(dtype: np.dtype[Any]) -> bool:
    return dtype == np.float32 or dtype in _HALVES


def _amp_dtype(dtype: np.dtype[Any], wanted: np.dtype[Any]) -> np.dtype[Any]:
    return wanted if _amp_converts(dtype) else dtype


@table("amp_cast")
def amp_cast(data: Any, *, dtype: DType) -> Any:
    """Convert float32, float16 and bfloat16 to another dtype; any other dtype, float64 too, passes unchanged.

    data (any shape) -> same shape.
    """
    return convert(data, _amp_dtype(data.dtype, np_dtype(dtype)))


amp_cast.shape(same)


@amp_cast.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    return {} if s.data is None else {"out": [_amp_dtype(s.data, np_dtype(a.dtype))]}


def _amp_common(dtypes: list[np.dtype[Any]], narrow: bool) -> np.dtype[Any]:
    if narrow:
        return next((d for d in dtypes if d in _HALVES), np.dtype(np.float32))
    return np.dtype(np.float32) if np.dtype(np.float32) in dtypes else dtypes[0]


@table(
    "amp_multicast",
    count="num_outputs",
    inputs=lambda a: [f"data_{i}" for i in range(a.num_outputs)],
    outputs=lambda a: a.num_outputs,
    output_names=lambda a: [f"output{i}" for i in range(a.num_outputs)],
)
def amp_multicast(*data: Any, num_outputs: PositiveInt, cast_narrow: bool = False) -> Any:
    """Convert float32, float16 and bfloat16 inputs to their widest dtype, or the narrowest if ``cast_narrow``.

    num_outputs arrays of any shape -> as many of the same shapes. Other dtypes pass unchanged. As in MXNet the widest
    dtype is the first input's where no input is float32: float16 beside a leading float64 becomes float64.
    """
    common = _amp_common([x.dtype for x in data], cast_narrow)
    return tuple(convert(x, _amp_dtype(x.dtype, common)) for x in data)


@amp_multicast.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    known = [unify(mine, out) for mine, out in zip(s.args, s.out, strict=True)]
    return {"args": known, "out": known}


@amp_multicast.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    given = [dtype for dtype in s.args if dtype is not None]
    common = None
    if len(given) == len(s.args) or (np.dtype(np.float32) in given and not a.cast_narrow):
        common = _amp_common(given, a.cast_narrow)
    # What is not converted passes whatever the others are.
    return {"out": [dtype and (common if _amp_converts(dtype) else dtype) for dtype in s.args]}
