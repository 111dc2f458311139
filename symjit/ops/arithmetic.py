"""Arithmetic, comparisons and logic: of two arrays, with broadcasting, and of an array with a scalar.

Everything stays in the inputs' dtype: comparisons give 0 and 1 of that dtype, ``int / int`` truncates, ``uint8`` wraps.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.ops.attrs import PositiveInt, Scalar
from symjit.ops.casting import is_inexact, scalar_of
from symjit.ops.elemwise import in_float
from symjit.ops.registry import Cast, Op, table
from symjit.ops.shapes import Known, broadcast_shapes, same, same_as

__all__: list[str] = []

Binary = Callable[[Any, Any], Any]
Partial = Callable[[Any, Any, Any], Any]


class Function(NamedTuple):
    """A function of two arrays of one shape and dtype.

    Attributes:
        fn: the function.
        formula: how the documentation writes it, with ``{0}`` and ``{1}`` for the operands.
        d_lhs: MXNet's derivative by the first operand, ``(lhs, rhs, result) -> array``, where JAX's is another.
        d_rhs: the same by the second operand; given together with `d_lhs`.
        cast: which precision it tolerates.
    """

    fn: Binary
    formula: str
    d_lhs: Partial | None = None
    d_rhs: Partial | None = None
    cast: Cast = "any"


# The functions -------------------------------------------------------------------------------------------------------


def _mod(a: Any, b: Any) -> Any:
    zero = b == 0
    return jnp.where(zero, jnp.zeros_like(a), jnp.remainder(a, jnp.where(zero, jnp.ones_like(b), b)))


def _power(a: Any, b: Any) -> Any:
    def call(x: Any, y: Any) -> Any:
        result = jnp.power(x, y)
        # An integer to a non-negative integer is one, whatever the rounding of the float function.
        return result if is_inexact(a) else jnp.where(y >= 0, jnp.round(result), result)

    return in_float(call)(a, b)


def _compare(fn: Binary) -> Binary:
    return lambda a, b: fn(a, b).astype(a.dtype)


def _logical(fn: Binary) -> Binary:
    return lambda a, b: fn(a != 0, b != 0).astype(a.dtype)


_FUNCTIONS: dict[str, Function] = {
    "add": Function(jnp.add, "{0} + {1}"),
    "sub": Function(jnp.subtract, "{0} - {1}"),
    "mul": Function(jnp.multiply, "{0} * {1}"),
    "div": Function(lax.div, "{0} / {1}, truncated for integers", cast="float32"),
    "mod": Function(
        _mod,
        "{0} - floor({0} / {1}) * {1}, with the sign of {1} and 0 where {1} is 0",
        d_lhs=lambda a, b, y: jnp.ones_like(a),
        d_rhs=lambda a, b, y: -jnp.floor(a / b),
        cast="float32",
    ),
    "power": Function(
        _power,
        "{0} ^ {1}",
        d_lhs=lambda a, b, y: b * in_float(jnp.power)(a, b - 1),
        d_rhs=lambda a, b, y: y * jnp.log(a),
        cast="float32",
    ),
    "hypot": Function(
        in_float(jnp.hypot),
        "sqrt({0}^2 + {1}^2)",
        d_lhs=lambda a, b, y: a / y,
        d_rhs=lambda a, b, y: b / y,
        cast="float32",
    ),
    # Ties go to the first operand, in the gradient as well; NaN wins.
    "maximum": Function(
        lambda a, b: jnp.where((a >= b) | (a != a), a, b), "max({0}, {1}), whose gradient at a tie is {0}'s"
    ),
    "minimum": Function(
        lambda a, b: jnp.where((a <= b) | (a != a), a, b), "min({0}, {1}), whose gradient at a tie is {0}'s"
    ),
    "equal": Function(_compare(jnp.equal), "1 where {0} == {1}, else 0"),
    "not_equal": Function(_compare(jnp.not_equal), "1 where {0} != {1}, else 0"),
    "greater": Function(_compare(jnp.greater), "1 where {0} > {1}, else 0"),
    "greater_equal": Function(_compare(jnp.greater_equal), "1 where {0} >= {1}, else 0"),
    "lesser": Function(_compare(jnp.less), "1 where {0} < {1}, else 0"),
    "lesser_equal": Function(_compare(jnp.less_equal), "1 where {0} <= {1}, else 0"),
    "logical_and": Function(_logical(jnp.logical_and), "1 where both {0} and {1} are not 0, else 0"),
    "logical_or": Function(_logical(jnp.logical_or), "1 where {0} or {1} is not 0, else 0"),
    "logical_xor": Function(_logical(jnp.logical_xor), "1 where one of {0} and {1} is 0 and the other is not, else 0"),
}


# Two arrays ----------------------------------------------------------------------------------------------------------


def _sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Return the sum of `x` over the axes along which an array of `shape` was broadcast to it."""
    extra = x.ndim - len(shape)
    axes = (*range(extra), *(i + extra for i, dim in enumerate(shape) if dim != x.shape[i + extra]))
    return x.sum(axes).reshape(shape) if axes else x


def _two_array_gradient(made: Op, of: Function) -> None:
    d_lhs, d_rhs = of.d_lhs, of.d_rhs
    if d_lhs is None or d_rhs is None:
        return

    @made.grad
    def _(a: Any, heads: Any, *, inputs: Any, outputs: Any) -> list[Any]:
        lhs, rhs = inputs
        if not is_inexact(lhs):
            return [None, None]
        return [_sum_to(heads[0] * d(lhs, rhs, outputs[0]), x.shape) for d, x in ((d_lhs, lhs), (d_rhs, rhs))]


def binary(name: str, of: Function, *aliases: str) -> Op:
    """Register ``y = fn(lhs, rhs)`` on equal shapes; unequal ones are an error, as in MXNet."""

    def call(lhs: Any, rhs: Any) -> Any:
        if lhs.shape != rhs.shape:
            raise ValueError(f"lhs {lhs.shape} and rhs {rhs.shape} differ; the broadcast_* operators broadcast")
        return of.fn(lhs, rhs)

    call.__name__ = name
    formula = of.formula.format("lhs", "rhs")
    call.__doc__ = f"Compute ``{formula}`` elementwise. lhs, rhs of one shape and dtype -> the same."
    made = table(name, *aliases, cast=of.cast)(call)
    made.shape(same)
    _two_array_gradient(made, of)
    return made


def broadcasting(name: str, of: Function, *aliases: str) -> Op:
    """Register ``y = fn(lhs, rhs)`` with broadcasting of dimensions of size 1."""

    def call(lhs: Any, rhs: Any) -> Any:
        return of.fn(*jnp.broadcast_arrays(lhs, rhs))

    call.__name__ = name
    formula = of.formula.format("lhs", "rhs")
    call.__doc__ = (
        f"Compute ``{formula}`` with broadcasting. lhs, rhs of one dtype and compatible shapes -> the broadcast shape,"
        " same dtype."
    )
    made = table(name, *aliases, cast=of.cast)(call)

    @made.shape
    def _(a: Any, s: Known) -> dict[str, Any]:
        return {"out": broadcast_shapes(s.lhs, s.rhs)}

    _two_array_gradient(made, of)
    return made


binary("elemwise_add", _FUNCTIONS["add"], "_add", "_plus", "_Plus")
binary("elemwise_sub", _FUNCTIONS["sub"], "_sub", "_minus", "_Minus")
binary("elemwise_mul", _FUNCTIONS["mul"], "_mul", "_Mul")
binary("elemwise_div", _FUNCTIONS["div"], "_div", "_Div")
binary("_grad_add", _FUNCTIONS["add"])
for _name, _of in _FUNCTIONS.items():
    if _name not in ("add", "sub", "mul", "div"):
        binary(f"_{_name}", _of, f"_{_name.title()}")

for _name, _of in _FUNCTIONS.items():
    broadcasting(f"broadcast_{_name}", _of, *{"add": ["broadcast_plus"], "sub": ["broadcast_minus"]}.get(_name, []))


# An array and a scalar -----------------------------------------------------------------------------------------------


def _result_dtype(dtype: Any, is_int: bool) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.dtype(np.int64 if is_int else np.float64)
    return np.dtype(np.float64) if dtype.kind in "iu" and not is_int else dtype


def with_scalar(name: str, of: Function, *, reverse: bool = False) -> Op:
    """Register ``y = fn(data, scalar)``, or ``fn(scalar, data)`` if `reverse`."""

    def call(data: Any, *, scalar: Scalar = 1.0, is_int: bool = True) -> Any:
        data = data.astype(_result_dtype(data.dtype, is_int))
        number = jnp.broadcast_to(scalar_of(scalar, data.dtype), data.shape)
        return of.fn(number, data) if reverse else of.fn(data, number)

    call.__name__ = name
    formula = of.formula.format(*(("scalar", "data") if reverse else ("data", "scalar")))
    call.__doc__ = (
        f"Compute ``{formula}`` elementwise. data (any shape) -> same shape and dtype.\n\n"
        "The scalar is converted to the array's dtype first: with integers it loses its fraction, and it wraps in"
        " small ones. ``is_int=False`` makes integers float64 instead; a bool array becomes int64 or float64."
    )
    alias = "".join(part.title() for part in name.split("_"))
    # MXNet writes RMinus, RDiv, RPower and RMod.
    made = table(name, "_" + (alias[0] + alias[1].upper() + alias[2:] if reverse else alias), cast=of.cast)(call)
    made.shape(same)

    @made.dtype
    def _(a: Any, s: Known) -> dict[str, Any]:
        if s.data is not None:
            return {"out": [_result_dtype(s.data, a.is_int)]}
        return {"data": s.out[0]} if a.is_int and s.out[0] is not None else {}

    partial = of.d_rhs if reverse else of.d_lhs
    if partial is not None:

        @made.grad
        def _(a: Any, heads: Any, *, inputs: Any, outputs: Any) -> list[Any]:
            (data,) = inputs
            if not is_inexact(data):
                return [None]
            number = jnp.broadcast_to(scalar_of(a.scalar, data.dtype), data.shape)
            lhs, rhs = (number, data) if reverse else (data, number)
            return [heads[0] * partial(lhs, rhs, outputs[0])]

    return made


for _name, _of in _FUNCTIONS.items():
    with_scalar(f"_{ {'add': 'plus', 'sub': 'minus'}.get(_name, _name) }_scalar", _of)
# A number divided by integers passes through float32: 3 / 0 is the smallest int32.
_QUOTIENT = Function(in_float(jnp.divide), "{0} / {1}, in float32 and truncated for integers", cast="float32")
for _name, _function in {
    "rminus": _FUNCTIONS["sub"],
    "rdiv": _QUOTIENT,
    "rmod": _FUNCTIONS["mod"],
    "rpower": _FUNCTIONS["power"],
}.items():
    with_scalar(f"_{_name}_scalar", _function, reverse=True)


# Many arrays ---------------------------------------------------------------------------------------------------------


@table("add_n", "ElementWiseSum")
def add_n(*args: Any, num_args: PositiveInt) -> Any:
    """Compute the sum of the inputs. num_args arrays of one shape and dtype -> the same."""
    for i, each in enumerate(args):
        if each.shape != args[0].shape:
            raise ValueError(f"input {i} has shape {each.shape}, input 0 {args[0].shape}; they must be equal")
    return functools.reduce(operator.add, args)


add_n.shape(same)


@table("where", layout="opaque")
def where(condition: Any, x: Any, y: Any) -> Any:
    """Take from ``x`` where the condition is not 0, else from ``y``.

    x, y of one shape and dtype -> the same; condition of that shape and any dtype, or of shape ``(x.shape[0],)`` to
    choose whole rows. NaN is true. There is no broadcasting.
    """
    if x.shape != y.shape:
        raise ValueError(f"x {x.shape} and y {y.shape} differ")
    if condition.shape != x.shape:
        if condition.shape != x.shape[:1]:
            raise ValueError(f"expected a condition of shape {x.shape} or {x.shape[:1]}, got {condition.shape}")
        condition = condition.reshape(-1, *(1,) * (x.ndim - 1))
    return jnp.where(condition != 0, x, y)


where.shape(same_as("x", "y"))


@where.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    found = next((dtype for dtype in (s.x, s.y, s.out[0]) if dtype is not None), None)
    return {} if found is None else {"x": found, "y": found, "out": [found]}
