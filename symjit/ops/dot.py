"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

from jax import lax

from symjit.ops.registry import op
from symjit.ops.shapes import Known, unify

__all__: list[str] = []


@op("dot", ignored=("forward_stype",), cast="low")
def dot(lhs: Any, rhs: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """Sum over the last axis of lhs and the first axis of rhs.

    lhs (..., K), rhs (K, ...) -> the remaining axes of lhs, then those of rhs. ``transpose_a`` sums over the *first*
    axis of lhs instead, ``transpose_b`` over the *last* of rhs; the other axes keep their order. The product of two
    vectors has shape (1,). Arrays are dense; MXNet's CPU build takes float32 and float64 only.
    """
    left, right = _contracted(transpose_a, transpose_b, lhs.ndim, rhs.ndim)
    product = lax.dot_general(lhs, rhs, (((left,), (right,)), ((), ())), precision=lax.Precision.HIGHEST)
    return product if product.ndim else product.reshape(1)


def _contracted(transpose_a: bool, transpose_b: bool, left: int, right: int) -> tuple[int, int]:
    if left == right == 1 and (transpose_a or transpose_b):
        raise ValueError("vectors can not be transposed: leave transpose_a and transpose_b False")
    return (0 if transpose_a else left - 1), (right - 1 if transpose_b else 0)


@dot.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.lhs is None or s.rhs is None:
        return {}
    left, right = _contracted(a.transpose_a, a.transpose_b, len(s.lhs), len(s.rhs))
    try:
        (inner,) = unify((s.lhs[left],), (s.rhs[right],)) or (None,)
    except ValueError:
        raise ValueError(f"axis {left} of lhs and axis {right} of rhs must have equal sizes") from None
    outer = s.lhs[:left] + s.lhs[left + 1 :], s.rhs[:right] + s.rhs[right + 1 :]
    out = unify(outer[0] + outer[1] or (1,), s.out[0]) or ()
    rows, columns = out[: len(outer[0])], out[len(outer[0]) : len(outer[0]) + len(outer[1])] if len(outer[1]) else ()
    return {
        "lhs": (*rows[:left], inner, *rows[left:]),
        "rhs": (*columns[:right], inner, *columns[right:]),
        "out": out,
    }


@op("batch_dot", ignored=("forward_stype",), cast="low", rows=True)
def batch_dot(lhs: Any, rhs: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """Multiply the matrices in the last two axes; all axes before them are the batch and must be equal.

    lhs (..., M, K), rhs (..., K, N) -> (..., M, N); ``transpose_a`` and ``transpose_b`` transpose the matrices.
    """
    _matrices(lhs.shape, rhs.shape)
    batch = tuple(range(lhs.ndim - 2))
    left, right = lhs.ndim - (2 if transpose_a else 1), rhs.ndim - (1 if transpose_b else 2)
    return lax.dot_general(lhs, rhs, (((left,), (right,)), (batch, batch)), precision=lax.Precision.HIGHEST)


def _matrices(left: tuple[Any, ...], right: tuple[Any, ...]) -> None:
    if len(left) != len(right) or len(left) < 3:
        raise ValueError(f"lhs and rhs need one rank of at least 3, got {len(left)} and {len(right)}")


@batch_dot.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.lhs is None or s.rhs is None:
        return {}
    _matrices(s.lhs, s.rhs)
    m, k = s.lhs[-2:][:: -1 if a.transpose_a else 1]
    inner, n = s.rhs[-2:][:: -1 if a.transpose_b else 1]
    try:
        batch = unify(s.lhs[:-2], s.rhs[:-2]) or ()
        (k,) = unify((k,), (inner,)) or (None,)
    except ValueError as error:
        raise ValueError(f"the matrices of lhs and rhs do not fit together: {error}") from None
    *lead, m, n = unify((*batch, m, n), s.out[0]) or (m, n)
    return {
        "lhs": (*lead, *(m, k)[:: -1 if a.transpose_a else 1]),
        "rhs": (*lead, *(k, n)[:: -1 if a.transpose_b else 1]),
        "out": (*lead, m, n),
    }
