"""Elementwise operators: unary functions, arithmetic of two arrays, arithmetic with a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from symjit.ops.attrs import Scalar
from symjit.ops.registry import Op, table
from symjit.ops.shapes import Known, broadcast_shapes, same

__all__: list[str] = []


def unary(name: str, fn: Callable[[Any], Any], formula: str, *aliases: str) -> Op:
    """Register ``y = fn(x)``, same shape and dtype."""

    def call(data: Any) -> Any:
        return fn(data)

    call.__name__ = name
    call.__doc__ = f"Compute ``{formula}`` elementwise. data (any shape) -> same shape and dtype."
    made = table(name, *aliases)(call)
    made.shape(same)
    return made


for _name, _fn, _formula in [
    ("sqrt", jnp.sqrt, "sqrt(x)"),
    ("exp", jnp.exp, "e^x"),
]:
    unary(_name, _fn, _formula)


def binary(name: str, fn: Callable[[Any, Any], Any], formula: str, *aliases: str) -> Op:
    """Register ``y = fn(lhs, rhs)`` on equal shapes; unequal ones are an error, as in MXNet."""

    def call(lhs: Any, rhs: Any) -> Any:
        return fn(lhs, rhs)

    call.__name__ = name
    call.__doc__ = f"Compute ``{formula}`` elementwise. lhs, rhs of one shape and dtype -> the same."
    made = table(name, *aliases)(call)
    made.shape(same)
    return made


binary("elemwise_add", jnp.add, "lhs + rhs", "_add", "_plus", "_Plus")


def broadcasting(name: str, fn: Callable[[Any, Any], Any], formula: str, *aliases: str) -> Op:
    """Register ``y = fn(lhs, rhs)`` with broadcasting of dimensions of size 1."""

    def call(lhs: Any, rhs: Any) -> Any:
        return fn(lhs, rhs)

    call.__name__ = name
    call.__doc__ = f"Compute ``{formula}`` with broadcasting. lhs, rhs of one dtype and compatible shapes."
    made = table(name, *aliases)(call)

    @made.shape
    def _(a: Any, s: Known) -> dict[str, Any]:
        return {"out": broadcast_shapes(s.lhs, s.rhs)}

    return made


broadcasting("broadcast_add", jnp.add, "lhs + rhs", "broadcast_plus")


def with_scalar(name: str, fn: Callable[[Any, Any], Any], formula: str, *aliases: str) -> Op:
    """Register ``y = fn(data, scalar)``; the scalar is converted to the array's dtype first, integers included."""

    def call(data: Any, *, scalar: Scalar = 1.0, is_int: bool = True) -> Any:
        return fn(data, jnp.asarray(scalar).astype(data.dtype))

    call.__name__ = name
    call.__doc__ = f"Compute ``{formula}`` elementwise. data (any shape) -> same shape and dtype."
    made = table(name, *aliases)(call)
    made.shape(same)
    return made


with_scalar("_plus_scalar", jnp.add, "data + scalar", "_PlusScalar")
