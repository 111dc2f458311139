"""Elementwise functions of one array.

Where the function is not one of integers, halves pass through float32 and integers through float64, as in MXNet:
``sqrt`` of int32 3 is 1. ``square``, ``degrees`` and ``log2`` of integers pass through float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
from jax import lax

from symjit.ops.attrs import Scalar
from symjit.ops.casting import convert, is_inexact, scalar_of
from symjit.ops.registry import Cast, Op, get, table
from symjit.ops.shapes import same

__all__ = ["absolute", "in_float"]


def in_float(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fn` evaluated in float32 (float64 for float64) on arrays of one dtype, the result converted back."""

    def call(*arrays: Any) -> Any:
        dtype = arrays[0].dtype
        if dtype in (jnp.float32, jnp.float64):
            return fn(*arrays)
        return convert(fn(*(x.astype(jnp.float32) for x in arrays)), dtype)

    return call


def in_double(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fn` evaluated in float64 on integers, and as by `in_float` on all others."""
    narrow = in_float(fn)

    def call(x: Any) -> Any:
        return narrow(x) if is_inexact(x) else convert(fn(x.astype(jnp.float64)), x.dtype)

    return call


def unary(name: str, fn: Callable[[Any], Any], formula: str, *, cast: Cast = "any") -> Op:
    """Register ``y = fn(x)``, same shape and dtype."""

    def call(data: Any) -> Any:
        return fn(data)

    call.__name__ = name
    call.__doc__ = f"Compute ``{formula}`` elementwise. data (any shape) -> same shape and dtype."
    made = table(name, cast=cast)(call)
    made.shape(same)
    return made


def _integral(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `fn`, a rounding function, as the identity on integers."""
    return lambda x: fn(x) if is_inexact(x) else x


def absolute(x: Any) -> Any:
    """Return ``|x|``, with slope 0 at 0 (that of `jnp.abs` is 1)."""
    return jnp.where(x == 0, jnp.zeros_like(x), jnp.abs(x)) if is_inexact(x) else jnp.abs(x)


def _rint(x: Any) -> Any:
    below, above = jnp.floor(x), jnp.ceil(x)
    return jnp.where(x - below <= above - x, below, above)


def _sign(x: Any) -> Any:
    return jnp.where(jnp.isnan(x), jnp.zeros_like(x), jnp.sign(x)) if is_inexact(x) else jnp.sign(x)


def _gamma(x: Any) -> Any:
    below = jnp.floor(x)
    odd = jnp.mod(below, 2) != 0
    y = jnp.exp(special.gammaln(x))
    y = jnp.where((x < 0) & odd, -y, y)
    y = jnp.where((x < 0) & (below == x), jnp.nan, y)
    return jnp.where(x == 0, 1 / x, y)


def _log2(x: Any) -> Any:
    # Exact at the powers of two: detection networks take the floor of it.
    mantissa, exponent = jnp.frexp(x)
    low = mantissa < math.sqrt(0.5)
    mantissa = jnp.where(low, mantissa * 2, mantissa)
    exponent = exponent - low.astype(exponent.dtype)
    return jnp.log(mantissa) * (1 / math.log(2.0)) + exponent.astype(x.dtype)


# Exact in any dtype, or native to integers.
for _name, _fn, _formula in [
    ("abs", absolute, "|x|, whose slope at 0 is 0"),
    ("negative", jnp.negative, "-x"),
    ("relu", jax.nn.relu, "max(x, 0), whose slope at 0 is 0"),
    ("sign", _sign, "sign(x), 0 for 0 and NaN"),
    ("floor", _integral(jnp.floor), "the largest integer <= x"),
    ("ceil", _integral(jnp.ceil), "the smallest integer >= x"),
    ("trunc", _integral(jnp.trunc), "x without its fraction"),
    ("fix", _integral(jnp.trunc), "the nearest integer towards 0"),
    (
        "round",
        _integral(lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)),
        "the nearest integer, halves away from 0",
    ),
    ("rint", _integral(_rint), "the nearest integer, halves downwards (1.5 -> 1, -2.5 -> -3)"),
    ("logical_not", lambda x: (x == 0).astype(x.dtype), "1 where x is 0, else 0"),
]:
    unary(_name, _fn, _formula)

# MXNet's constants are float32, whatever the dtype.
_DEGREE, _RADIAN = float(np.float32(180) / np.float32(np.pi)), float(np.float32(np.pi) / np.float32(180))

# Bounded, smooth and of a bounded slope: low precision does no harm.
for _name, _fn, _formula in [
    ("sigmoid", jax.nn.sigmoid, "1 / (1 + e^-x)"),
    ("tanh", jnp.tanh, "tanh(x)"),
    ("erf", lax.erf, "erf(x)"),
    ("sin", jnp.sin, "sin(x)"),
    ("cos", jnp.cos, "cos(x)"),
    ("arctan", jnp.arctan, "arctan(x)"),
    ("arcsinh", jnp.arcsinh, "arcsinh(x)"),
    ("sqrt", jnp.sqrt, "sqrt(x)"),
    ("cbrt", jnp.cbrt, "the cube root of x"),
    ("radians", lambda x: x * _RADIAN, "pi x / 180"),
]:
    unary(_name, in_double(_fn), _formula)

unary("degrees", in_float(lambda x: x * _DEGREE), "180 x / pi")
unary("square", in_float(jnp.square), "x^2", cast="float32")

# Growing fast, or with a pole.
for _name, _fn, _formula in [
    ("exp", jnp.exp, "e^x"),
    ("expm1", jnp.expm1, "e^x - 1"),
    ("log", jnp.log, "the natural logarithm of x"),
    ("log10", jnp.log10, "the logarithm of x to base 10"),
    ("log1p", jnp.log1p, "log(1 + x)"),
    ("rsqrt", lax.rsqrt, "1 / sqrt(x)"),
    ("rcbrt", lambda x: 1 / jnp.cbrt(x), "1 / the cube root of x"),
    ("reciprocal", lambda x: 1 / x, "1 / x"),
    ("tan", jnp.tan, "tan(x)"),
    ("arcsin", jnp.arcsin, "arcsin(x)"),
    ("arccos", jnp.arccos, "arccos(x)"),
    ("sinh", jnp.sinh, "sinh(x)"),
    ("cosh", jnp.cosh, "cosh(x)"),
    ("arccosh", jnp.arccosh, "arccosh(x)"),
    ("arctanh", jnp.arctanh, "arctanh(x)"),
    ("gammaln", special.gammaln, "log |gamma(x)|"),
]:
    unary(_name, in_double(_fn), _formula, cast="float32")

# An integer outside of [-1, 1] has no NaN to become: it becomes 0.
unary(
    "erfinv",
    lambda x: in_double(lax.erf_inv)(x) if is_inexact(x) else jnp.where(abs(x) > 1, 0, in_double(lax.erf_inv)(x)),
    "the inverse of erf",
    cast="float32",
)


def _digamma(x: Any) -> Any:
    # MXNet's is infinity at the poles 0, -1, -2 ...
    return jnp.where((x <= 0) & (jnp.floor(x) == x), jnp.inf, special.digamma(x))


@get("gammaln").grad
def _(a: Any, heads: Any, *, inputs: Any) -> list[Any]:
    return [in_float(lambda head, x: head * _digamma(x))(heads[0], inputs[0]) if is_inexact(inputs[0]) else None]


# That of an integer is one, whatever the rounding of the float function.
_gamma_op = unary(
    "gamma",
    lambda x: in_double(_gamma if is_inexact(x) else lambda y: jnp.round(_gamma(y)))(x),
    "the gamma function of x",
    cast="float32",
)


@_gamma_op.grad
def _(a: Any, heads: Any, *, inputs: Any) -> list[Any]:
    def slope(head: Any, x: Any) -> Any:
        return head * _gamma(x) * _digamma(x)

    return [in_float(slope)(heads[0], inputs[0]) if is_inexact(inputs[0]) else None]


_log2_op = unary("log2", in_float(_log2), "the logarithm of x to base 2, exact for powers of 2", cast="float32")


@_log2_op.grad
def _(a: Any, heads: Any, *, inputs: Any) -> list[Any]:
    return [heads[0] / (inputs[0] * math.log(2.0)) if is_inexact(inputs[0]) else None]


_softsign = unary("softsign", in_double(lambda x: x / (1 + jnp.abs(x))), "x / (1 + |x|)")


@_softsign.grad
def _(a: Any, heads: Any, *, inputs: Any) -> list[Any]:
    return [heads[0] * jnp.square(1 / (1 + jnp.abs(inputs[0]))) if is_inexact(inputs[0]) else None]


@table("_copy", "identity")
def copy(data: Any) -> Any:
    """Return the input. data (any shape) -> same shape and dtype."""
    return data


copy.shape(same)
copy.idle = lambda a: True


@table("BlockGrad", "stop_gradient")
def block_grad(data: Any) -> Any:
    """Return the input and let no gradient pass. data (any shape) -> same shape and dtype."""
    return lax.stop_gradient(data)


block_grad.shape(same)
block_grad.idle = lambda a: True


@table("clip")
def clip(data: Any, *, a_min: Scalar, a_max: Scalar) -> Any:
    """Bound to ``a_min <= y <= a_max``. data (any shape) -> same shape and dtype.

    NaN passes through. The gradient passes where the value does, both bounds included. The bounds are float32, as in
    MXNet, and for integers they lose their fraction.
    """
    low, high = (jnp.asarray(bound).astype(jnp.float32) for bound in (a_min, a_max))
    if not is_inexact(data):
        # A bound outside of the dtype's range must not wrap into it.
        limits = jnp.iinfo(data.dtype)
        low, high = (jnp.clip(bound.astype(jnp.float64), float(limits.min), float(limits.max)) for bound in (low, high))
    low, high = low.astype(data.dtype), high.astype(data.dtype)
    return jnp.where(data > high, high, jnp.where(data < low, low, data))


clip.shape(same)


@table("hard_sigmoid")
def hard_sigmoid(data: Any, *, alpha: Scalar = 0.2, beta: Scalar = 0.5) -> Any:
    """Compute ``max(0, min(1, alpha x + beta))``. data (any shape, floating) -> same shape and dtype.

    The gradient is 0 on both corners; alpha and beta are float32, as in MXNet.

    Raises:
        ValueError: the data are integers.
    """
    if not is_inexact(data):
        raise ValueError(f"expected floating-point data, got {np.dtype(data.dtype).name}; Cast it first")
    slope, offset = (jnp.asarray(each).astype(jnp.float32).astype(data.dtype) for each in (alpha, beta))
    line = slope * data + offset
    return jnp.where(line >= 1, 1.0, jnp.where(line <= 0, 0.0, line)).astype(data.dtype)


hard_sigmoid.shape(same)


@table("smooth_l1", cast="float32")
def smooth_l1(data: Any, *, scalar: Scalar = 1.0) -> Any:
    """Compute ``0.5 (s x)^2`` where ``|x| < 1 / s^2``, else ``|x| - 0.5 / s^2``, with s the attribute ``scalar``.

    data (any shape) -> same shape and dtype.
    """

    def call(x: Any) -> Any:
        sharpness = scalar_of(scalar, x.dtype) ** 2
        corner = 1 / sharpness
        outside = jnp.abs(x) > corner
        # The square of an infinity would turn the gradient of the other branch into NaN.
        inside = jnp.where(outside, jnp.zeros_like(x), x)
        return jnp.where(outside, jnp.abs(x) - 0.5 * corner, 0.5 * sharpness * jnp.square(inside))

    return in_float(call)(data)


smooth_l1.shape(same)
