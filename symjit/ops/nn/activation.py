"""Activation functions and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from symjit.ops.draws import in_a_row
from symjit.ops.registry import op, table
from symjit.ops.shapes import Known, normalize_axis, same, unify

__all__: list[str] = []


# Functions whose gradient is computed from the result, which the next operator keeps anyway: of what JAX differentiates
# the input, or something between input and result, would be kept besides.


def _from_result(function: Callable[[Any], Any], pull: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Return `function` with the gradient ``pull(result, head)``."""
    made = jax.custom_vjp(function)

    def forward(x: Any) -> tuple[Any, Any]:
        y = function(x)
        return y, y

    made.defvjp(forward, lambda y, head: (pull(y, head),))
    return made


relu = _from_result(
    lambda x: lax.max(x, lax.full_like(x, 0)), lambda y, head: jnp.where(y > 0, head, jnp.zeros_like(head))
)
sigmoid = _from_result(jax.nn.sigmoid, lambda y, head: head * (y * (1 - y)))
tanh = _from_result(jnp.tanh, lambda y, head: head * ((1 - y) * (1 + y)))

_ACTIVATIONS = {
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softrelu": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
}


@table("Activation")
def activation(data: Any, *, act_type: Literal["relu", "sigmoid", "softrelu", "softsign", "tanh"]) -> Any:
    """Apply an activation function elementwise; any shape.

    ``relu`` max(x, 0), with slope 0 at 0; ``sigmoid``; ``tanh``; ``softrelu`` log(1 + e^x); ``softsign`` x / (1 + |x|).
    """
    return _ACTIVATIONS[act_type](data)


activation.shape(same)


# MXNet's slope of selu below zero, scale * (alpha + y), is not the true one, scale * alpha + y.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@jax.custom_jvp
def _selu(x: Any) -> Any:
    return jax.nn.selu(x)


@_selu.defjvp
def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    y = _selu(x)
    slope = jnp.where(x > 0, jnp.full_like(y, _SELU_SCALE), _SELU_SCALE * (_SELU_ALPHA + y))
    return y, slope * dx


# LeakyReLU ------------------------------------------------------------------------------------------------------------


@op(
    "LeakyReLU",
    params=("gamma",),
    absent=lambda a: () if a.act_type == "prelu" else ("gamma",),
    init={"gamma": '["Constant", {"value": 0.25}]'},
    layout="agnostic",
    outputs=lambda a: 2 if a.act_type == "rrelu" else 1,
    output_names=lambda a: ("output", "mask") if a.act_type == "rrelu" else ("output",),
    cast="any",
    rows=True,
    draws=lambda a, train: train and a.act_type == "rrelu",
)
def leaky_relu(
    data: Any,
    gamma: Any = None,
    *,
    act_type: Literal["leaky", "prelu", "elu", "selu", "gelu", "rrelu"] = "leaky",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
    key: Any,
    train: bool,
) -> Any:
    """Apply one of the rectifiers that let negative numbers through; any shape.

    For x <= 0 (x itself above): ``leaky`` slope x; ``prelu`` gamma x, gamma of shape (C,) along axis 1, or of one
    element, or of data's rank and broadcastable; ``elu`` slope (e^x - 1); ``selu`` scale alpha (e^x - 1); ``rrelu`` r x
    with r drawn from [lower_bound, upper_bound] for every element in training and their mean otherwise, and r as a
    second output (zeros in inference; MXNet leaves it unwritten there). ``gelu`` is x Phi(x) with the exact error
    function. The slope at 0 is that of the negative side. The gradient of ``selu`` below zero is MXNet's,
    ``scale (alpha + y)``, where the true one is ``scale alpha + y``. Deviation: the gradient of gamma is always the
    true one; inside a network MXNet often returns it multiplied by gamma, for its buffers overlap.
    """
    if act_type == "gelu":
        return jax.nn.gelu(data, approximate=False)
    if act_type == "selu":
        return _selu(data)
    positive = data > 0
    if act_type == "elu":
        # expm1 of a large positive number would overflow and turn the unused branch's gradient into NaN.
        return jnp.where(positive, data, slope * jnp.expm1(jnp.where(positive, jnp.zeros_like(data), data)))
    if act_type == "leaky":
        return jnp.where(positive, data, slope * data)
    if act_type == "prelu":
        return jnp.where(positive, data, _along_channels(gamma, data.ndim) * data)
    if not train:
        rate = (lower_bound + upper_bound) / 2
        return jnp.where(positive, data, rate * data), jnp.zeros_like(data)
    wide = data.dtype if data.dtype == jnp.float64 else jnp.float32
    rates = in_a_row(jax.random.uniform, key, data.shape, wide, lower_bound, upper_bound).astype(data.dtype)
    return jnp.where(positive, data, rates * data), rates


def _along_channels(gamma: Any, ndim: int) -> Any:
    return gamma.reshape((1, -1) + (1,) * (ndim - 2)) if gamma.ndim == 1 and ndim > 1 else gamma


@leaky_relu.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    shape = s.data
    for out in s.out:
        shape = unify(shape, out)
    found: dict[str, Any] = {"data": shape, "out": [shape] * len(s.out)}
    if a.act_type == "prelu" and s.gamma is None and shape is not None and len(shape) > 1:
        found["gamma"] = (shape[1],)
    return found


leaky_relu.vectors = ("gamma",)


# Softmax --------------------------------------------------------------------------------------------------------------

_SoftmaxDType = Literal["float16", "float32", "float64"]


def _wide(x: Any) -> Any:
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


def _scaled(data: Any, temperature: float | None, dtype: str | None) -> tuple[Any, Any]:
    """Return data / temperature in the dtype to compute in, and the dtype of the result."""
    result = jnp.dtype(dtype or data.dtype)
    x = data.astype(jnp.float64) if result == jnp.float64 else _wide(data)
    return x if temperature is None else x / temperature, result


@op("softmax", absent=lambda a: () if a.use_length else ("length",), rows=lambda a: a.axis != 0)
def softmax(
    data: Any,
    length: Any = None,
    *,
    axis: int = -1,
    temperature: float | None = None,
    dtype: _SoftmaxDType | None = None,
    use_length: bool | None = False,
) -> Any:
    """Compute ``e^(x/T) / sum(e^(x/T))`` along an axis; any shape, result in `dtype` (data's by default).

    With `use_length`, an integer array of data's shape without `axis`, or (1,) for a vector, says how many leading
    elements count; the others give 0, and so does a row of length 0. A row of nothing but -inf gives NaN. Sums are kept
    in float32 at least.
    """
    axis = normalize_axis(axis, data.ndim)
    x, result = _scaled(data, temperature, dtype)
    if length is None:
        return jax.nn.softmax(x, axis).astype(result)
    length = length.astype(jnp.int32) if x.ndim == 1 else jnp.expand_dims(length, axis).astype(jnp.int32)
    counted = lax.broadcasted_iota(jnp.int32, x.shape, axis) < length
    p = jax.nn.softmax(jnp.where(counted, x, -jnp.inf), axis)
    return jnp.where(counted, p, jnp.zeros_like(p)).astype(result)


@op("log_softmax", rows=lambda a: a.axis != 0)
def log_softmax(
    data: Any,
    *,
    axis: int = -1,
    temperature: float | None = None,
    dtype: _SoftmaxDType | None = None,
    use_length: bool | None = False,
) -> Any:
    """Compute ``x/T - log(sum(e^(x/T)))`` along an axis; any shape, result in `dtype` (data's by default).

    Raises:
        ValueError: ``use_length=True``, for which MXNet declares no input either.
    """
    _refuse_length(use_length)
    x, result = _scaled(data, temperature, dtype)
    return jax.nn.log_softmax(x, normalize_axis(axis, data.ndim)).astype(result)


@op("softmin", rows=lambda a: a.axis != 0)
def softmin(
    data: Any,
    *,
    axis: int = -1,
    temperature: float | None = None,
    dtype: _SoftmaxDType | None = None,
    use_length: bool | None = False,
) -> Any:
    """Compute the softmax of -x along an axis; any shape, result in `dtype` (data's by default).

    Raises:
        ValueError: ``use_length=True``, for which MXNet declares no input either.
    """
    _refuse_length(use_length)
    x, result = _scaled(data, temperature, dtype)
    return jax.nn.softmax(-x, normalize_axis(axis, data.ndim)).astype(result)


def _refuse_length(use_length: bool | None) -> None:
    if use_length:
        raise ValueError("use_length=True works for softmax only: this operator has no length input")


def _softmax_shapes(a: Any, s: Known) -> dict[str, Any]:
    shape = unify(s.data, s.out[0])
    if shape is None:
        return {}
    axis = normalize_axis(a.axis, len(shape))
    length = s.get("length")
    if len(shape) == 1:  # there are no arrays without dimensions
        return {"data": shape, "out": shape, "length": (1,)}
    if length is not None and len(length) == len(shape) - 1:
        shape = unify(shape, (*length[:axis], None, *length[axis:]))
        assert shape is not None
    return {"data": shape, "out": shape, "length": (*shape[:axis], *shape[axis + 1 :])}


def _softmax_dtypes(a: Any, s: Known) -> dict[str, Any]:
    data = s.data if s.data is not None or a.dtype is not None else s.out[0]
    return {"data": data, "out": [a.dtype if a.dtype is not None else data]}


for _each in (softmax, log_softmax, softmin):
    _each.shape(_softmax_shapes)
    _each.dtype(_softmax_dtypes)
    _each.layout(lambda a, perm: {"axis": perm.index(normalize_axis(a.axis, len(perm)))})


@op("SoftmaxActivation", rows=True)
def softmax_activation(data: Any, *, mode: Literal["instance", "channel"] = "instance") -> Any:
    """Compute the softmax along the last axis (``instance``) or along axis 1 (``channel``, 3 dimensions or more).

    data (N, ...) -> same shape and dtype. MXNet documents ``instance`` as one softmax over all but the first axis;
    1.9.1 on CPU runs it along the last one, and its gradient along axis 1, which is all the same for data (N, K).
    """
    if data.ndim < (3 if mode == "channel" else 2):
        raise ValueError(f"mode={mode!r} needs data of {3 if mode == 'channel' else 2} dimensions or more")
    x, result = _scaled(data, None, None)
    return jax.nn.softmax(x, 1 if mode == "channel" else -1).astype(result)


softmax_activation.shape(same)


@softmax_activation.grad
def _(a: Any, heads: Any, *, outputs: Any) -> tuple[Any, ...]:
    p, head = (_wide(each) for each in (outputs[0], heads[0]))
    return ((p * (head - jnp.sum(p * head, 1, keepdims=True, dtype=p.dtype))).astype(outputs[0].dtype),)
