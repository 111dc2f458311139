"""Python's operators between NDArrays and numbers, and the functions of ``mx.nd`` that are named after them.

Two arrays broadcast; a number is converted to the array's dtype. Comparisons give 0 and 1 in the operands' dtype.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from symjit.ndarray.array import NDArray
from symjit.ndarray.invoke import run, split_dynamic
from symjit.ops import registry

__all__ = ["FUNCTIONS"]

_NUMBERS = (int, float, np.number, np.bool_)


@lru_cache(maxsize=256)
def _prepared(name: str) -> tuple[Any, Any]:
    """Return an operator and the static part of its default attributes."""
    op = registry.get(name)
    return op, split_dynamic(op, op.parse_attrs({}))[0]


def _pair(name: str, lhs: NDArray, rhs: NDArray, out: NDArray | None = None) -> NDArray:
    op, static = _prepared(name)
    return run(op, static, (), (lhs, rhs), out=out)


def _scaled(name: str, data: NDArray, number: Any, out: NDArray | None = None) -> NDArray:
    op, static = _prepared(name)
    return run(op, static, (float(number),), (data,), out=out)


def _refuse(value: Any) -> TypeError:
    wrap = " (wrap it: mx.nd.array(x))" if isinstance(value, (np.ndarray, list, tuple)) else ""
    return TypeError(f"type {type(value)} not supported: expected an NDArray or a number{wrap}")


def _binary(array: str, scalar: str) -> Callable[..., NDArray]:
    def method(self: NDArray, other: Any) -> NDArray:
        if isinstance(other, NDArray):
            return _pair(array, self, other)
        if isinstance(other, _NUMBERS):
            return _scaled(scalar, self, other)
        raise _refuse(other)

    return method


def _reflected(scalar: str) -> Callable[..., NDArray]:
    def method(self: NDArray, other: Any) -> NDArray:
        if isinstance(other, _NUMBERS):
            return _scaled(scalar, self, other)
        raise _refuse(other)

    return method


def _in_place(array: str, scalar: str) -> Callable[..., NDArray]:
    def method(self: NDArray, other: Any) -> NDArray:
        if isinstance(other, NDArray):
            return _pair(array, self, other, self)
        if isinstance(other, _NUMBERS):
            return _scaled(scalar, self, other, self)
        raise _refuse(other)

    return method


def _function(name: str, array: str, scalar: str, reverse: str, plain: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def function(lhs: Any, rhs: Any) -> Any:
        if isinstance(lhs, NDArray):
            if isinstance(rhs, NDArray):
                return _pair(array, lhs, rhs)
            if isinstance(rhs, _NUMBERS):
                return _scaled(scalar, lhs, rhs)
            raise _refuse(rhs)
        if not isinstance(lhs, _NUMBERS):
            raise _refuse(lhs)
        if isinstance(rhs, NDArray):
            return _scaled(reverse, rhs, lhs)
        if isinstance(rhs, _NUMBERS):
            return plain(lhs, rhs)
        raise _refuse(rhs)

    function.__name__ = function.__qualname__ = name
    function.__module__ = "symjit.ndarray"
    function.__doc__ = (
        f"Return ``mx.nd.{array}(lhs, rhs)``; either operand may be a number, and two numbers give a number.\n\n"
        "Raises:\n    TypeError: an operand is neither an NDArray nor a number.\n"
        "    MXNetError: the shapes do not broadcast or the dtypes differ."
    )
    return function


def _flag(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], int]:
    return lambda lhs, rhs: int(compare(lhs, rhs))


#: Python's name, operator of two arrays, of array and number, of number and array.
_ARITHMETIC = [
    ("add", "broadcast_add", "_plus_scalar", "_plus_scalar"),
    ("sub", "broadcast_sub", "_minus_scalar", "_rminus_scalar"),
    ("mul", "broadcast_mul", "_mul_scalar", "_mul_scalar"),
    ("truediv", "broadcast_div", "_div_scalar", "_rdiv_scalar"),
    ("mod", "broadcast_mod", "_mod_scalar", "_rmod_scalar"),
    ("pow", "broadcast_power", "_power_scalar", "_rpower_scalar"),
]
#: Python's name, MXNet's name, and MXNet's name of the mirrored comparison.
_COMPARISONS = [
    ("eq", "equal", "equal"),
    ("ne", "not_equal", "not_equal"),
    ("gt", "greater", "lesser"),
    ("ge", "greater_equal", "lesser_equal"),
    ("lt", "lesser", "greater"),
    ("le", "lesser_equal", "greater_equal"),
]

#: The functions of ``mx.nd`` that take arrays and numbers.
FUNCTIONS: dict[str, Callable[..., Any]] = {}


def _publish(name: str, array: str, scalar: str, reverse: str, plain: Callable[[Any, Any], Any]) -> None:
    FUNCTIONS[name] = _function(name, array, scalar, reverse, plain)


for _name, _array, _scalar, _rscalar in _ARITHMETIC:
    setattr(NDArray, f"__{_name}__", _binary(_array, _scalar))
    setattr(NDArray, f"__r{_name}__", _reflected(_rscalar))
    if _name != "pow":
        setattr(NDArray, f"__i{_name}__", _in_place(_array, _scalar))
    for _public in {
        "sub": ["subtract"],
        "mul": ["multiply"],
        "truediv": ["divide", "true_divide"],
        "mod": ["modulo"],
        "pow": ["power"],
    }.get(_name, [_name]):
        _publish(_public, _array, _scalar, _rscalar, getattr(operator, _name))

for _name, _public, _mirrored in _COMPARISONS:
    setattr(NDArray, f"__{_name}__", _binary(f"broadcast_{_public}", f"_{_public}_scalar"))
    _publish(
        _public,
        f"broadcast_{_public}",
        f"_{_public}_scalar",
        f"_{_mirrored}_scalar",
        _flag(getattr(operator, _name)),
    )

for _public, _plain in {
    "maximum": max,
    "minimum": min,
    "logical_and": _flag(lambda a, b: bool(a and b)),
    "logical_or": _flag(lambda a, b: bool(a or b)),
    "logical_xor": _flag(lambda a, b: bool(a) != bool(b)),
}.items():
    _publish(_public, f"broadcast_{_public}", f"_{_public}_scalar", f"_{_public}_scalar", _plain)


def _negative(self: NDArray) -> NDArray:
    # As in MXNet a product: an array of booleans becomes one of int64.
    return _scaled("_mul_scalar", self, -1.0)


def _absolute(self: NDArray) -> NDArray:
    op, static = _prepared("abs")
    return run(op, static, (), (self,))


setattr(NDArray, "__neg__", _negative)  # noqa: B010  (annotated there, for type checkers only)
setattr(NDArray, "__abs__", _absolute)  # noqa: B010
