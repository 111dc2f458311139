"""Sequences of different lengths in one array: mask, last step, reversal.

Data is (T, N, ...), or (N, T, ...) where ``axis=1`` is admitted; the lengths are (N,) numbers of any dtype, a fraction
is cut off.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from symjit.ops.attrs import Scalar
from symjit.ops.registry import op
from symjit.ops.shapes import Known, unify

__all__: list[str] = []


def _absent(a: Any) -> tuple[str, ...]:
    return () if a.use_sequence_length else ("sequence_length",)


def _check(axis: int, data: Any) -> None:
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis}, expected 0 (time first) or 1 (batch first)")
    if data is not None and len(data) < 2:
        raise ValueError(f"the data has shape {tuple(data)}, expected at least 2 dimensions: time and batch")


def _dtype(a: Any, s: Known) -> dict[str, Any]:
    """Dtype rule: the output has the data's dtype; lengths of unknown dtype get the data's, as in MXNet."""
    data = s.data if s.data is not None else s.out[0]
    if data is None:
        return {}
    found = {"data": data, "out": [data]}
    if s.get("sequence_length", data) is None:
        found["sequence_length"] = data
    return found


def _same_shape(axis: int, s: Known) -> dict[str, Any]:
    """Deduce the shapes of an operator that keeps the data's, the batch from the lengths included."""
    data = unify(s.data, s.out[0])
    _check(axis, data)
    lengths = s.get("sequence_length")
    if data is None:
        return {}
    if lengths is not None:
        data = unify(data, (*(None,) * (1 - axis), lengths[0], *(None,) * (len(data) - 2 + axis)))
    found: dict[str, Any] = {"data": data, "out": data}
    if data is not None and "sequence_length" in s:
        found["sequence_length"] = (data[1 - axis],)
    return found


def _along(vector: Any, axis: int, ndim: int) -> Any:
    """Return a vector reshaped to lie along one axis."""
    return vector.reshape(tuple(vector.shape[0] if i == axis else 1 for i in range(ndim)))


def _steps(data: Any, axis: int) -> Any:
    return _along(jnp.arange(data.shape[axis], dtype=jnp.int32), axis, data.ndim)


@op("SequenceMask", absent=_absent, cast="any", rows=lambda a: a.axis == 1 or not a.use_sequence_length)
def sequence_mask(
    data: Any, sequence_length: Any = None, *, use_sequence_length: bool = False, value: Scalar = 0.0, axis: int = 0
) -> Any:
    """Set what lies beyond each sequence's length to ``value``. data (T, N, ...) or (N, T, ...) -> same.

    Returns the data as it is unless ``use_sequence_length=True``.
    """
    _check(axis, data.shape)
    if sequence_length is None:
        return data
    lengths = _along(sequence_length.astype(jnp.int32), 1 - axis, data.ndim)
    return jnp.where(_steps(data, axis) < lengths, data, jnp.asarray(value).astype(jnp.float32).astype(data.dtype))


@sequence_mask.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return _same_shape(a.axis, s)


sequence_mask.dtype(_dtype)


@sequence_mask.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    if not a.use_sequence_length:
        return {}
    return {"axis": perm.index(a.axis)} if set(perm[:2]) == {0, 1} else None


@op("SequenceLast", absent=_absent, cast="any", rows=lambda a: a.axis == 1)
def sequence_last(data: Any, sequence_length: Any = None, *, use_sequence_length: bool = False, axis: int = 0) -> Any:
    """Return each sequence's last step. data (T, N, ...) or (N, T, ...) -> (N, ...).

    That is step ``sequence_length - 1``, or the last one unless ``use_sequence_length=True``. A length of 0 gives the
    first step (MXNet reads out of bounds there), one beyond T the last.
    """
    _check(axis, data.shape)
    if sequence_length is None:
        return lax.index_in_dim(data, data.shape[axis] - 1, axis, keepdims=False)
    last = _along(jnp.clip(sequence_length.astype(jnp.int32) - 1, 0, data.shape[axis] - 1), 1 - axis, data.ndim)
    return jnp.squeeze(jnp.take_along_axis(data, last, axis=axis, mode="promise_in_bounds"), axis)


@sequence_last.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data, out, lengths = s.data, s.out[0], s.get("sequence_length")
    _check(a.axis, data)
    if out is None and data is not None:
        out = (data[1 - a.axis], *data[2:])
    if lengths is not None and out is not None:
        out = unify(out, (lengths[0], *(None,) * (len(out) - 1)))
    if out is None:
        return {}
    steps = None if data is None else data[a.axis]
    found: dict[str, Any] = {"out": out}
    found["data"] = (steps, *out) if a.axis == 0 else (out[0], steps, *out[1:])
    if "sequence_length" in s:
        found["sequence_length"] = (out[0],)
    return found


sequence_last.dtype(_dtype)


def _reversed(data: Any, sequence_length: Any) -> Any:
    if sequence_length is None:
        return jnp.flip(data, axis=0)
    lengths = _along(jnp.minimum(sequence_length.astype(jnp.int32), data.shape[0]), 1, data.ndim)
    steps = _steps(data, 0)
    source = jnp.where(steps < lengths, lengths - 1 - steps, steps)
    return jnp.take_along_axis(data, source, axis=0, mode="promise_in_bounds")


@op("SequenceReverse", absent=_absent, cast="any")
def sequence_reverse(
    data: Any, sequence_length: Any = None, *, use_sequence_length: bool = False, axis: int = 0
) -> Any:
    """Reverse each sequence in time; what lies beyond its length stays in place. data (T, N, ...) -> same.

    Whole columns are reversed unless ``use_sequence_length=True``. ``axis`` must be 0.
    """
    _check(axis, data.shape)
    if axis != 0:
        raise ValueError(f"axis is {axis}, expected 0: SequenceReverse reads time first; use SwapAxis before it")
    return _reversed(data, sequence_length)


@sequence_reverse.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if a.axis != 0:
        raise ValueError(f"axis is {a.axis}, expected 0: SequenceReverse reads time first; use SwapAxis before it")
    return _same_shape(0, s)


sequence_reverse.dtype(_dtype)


@sequence_reverse.grad
def _(a: Any, heads: Any, *, inputs: Any) -> tuple[Any, ...]:
    # The reversal is its own transpose; differentiating the gather would give a scatter, which is slower.
    lengths = inputs[1:]
    return (_reversed(heads[0], *(lengths or (None,))), *(None for _ in lengths))
