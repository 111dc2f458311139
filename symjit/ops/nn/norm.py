"""Normalisation layers.

Statistics are two-pass (mean, then mean of squared differences), which stays exact where the mean is large against the
spread, and are kept in float32 at least.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.ops.attrs import PositiveInt
from symjit.ops.derived import affine, namespace
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, normalize_axis, replace, same, show, unify

__all__: list[str] = []


def _wide(x: Any) -> Any:
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


def _moments(x: Any, axes: Sequence[int]) -> tuple[Any, Any]:
    """Return mean and biased variance over `axes`, kept as dimensions of size 1."""
    axes = tuple(axes)
    mean = jnp.mean(x, axes, keepdims=True, dtype=x.dtype)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True, dtype=x.dtype)


def _others(axis: int, ndim: int) -> tuple[int, ...]:
    return tuple(i for i in range(ndim) if i != axis)


def _at(vector: Any, axis: int, ndim: int) -> Any:
    """Return a vector as an array that broadcasts along `axis`."""
    return jnp.expand_dims(vector, _others(axis, ndim))


def _channel_shapes(data: PartialShape, axis: int, s: Known, *vectors: str) -> dict[str, Any]:
    """Unify data's dimension at `axis` with the vectors' only dimension."""
    if data is None:
        return {}
    axis = normalize_axis(axis, len(data))
    size = (data[axis],)
    for name in vectors:
        given = s.get(name)
        if given is not None and len(given) == 1:
            if None not in (size[0], given[0]) and size != given:
                raise ValueError(
                    f"{name} has {given[0]} numbers, expected {size[0]}, one for each channel of the data {show(data)},"
                    f" on axis {axis}"
                )
            size = unify(size, given) or size
    return {**dict.fromkeys(vectors, size), "data": replace(data, axis, size[0])}


# BatchNorm ------------------------------------------------------------------------------------------------------------


def _scale_and_shift(a: Any, gamma: Any, beta: Any, moving_mean: Any, moving_var: Any) -> tuple[Any, Any]:
    """Return the affine map of an inference forward as ``(scale, shift)``, one number each per channel."""
    scale = 1 / namespace(moving_var).sqrt(_wide(moving_var) + a.eps)
    if not a.fix_gamma:
        scale = scale * _wide(gamma)
    shift = _wide(beta) - _wide(moving_mean) * scale
    return scale.astype(beta.dtype), shift.astype(beta.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalized(x: Any, gamma: Any, beta: Any, eps: float, axis: int) -> tuple[Any, Any, Any]:
    """Return ``(output, mean, variance)`` of a batch; no gradient flows through the last two."""
    return _normalized_forward(x, gamma, beta, eps, axis)[0]


def _normalized_forward(x: Any, gamma: Any, beta: Any, eps: float, axis: int) -> tuple[Any, Any]:
    wide = _wide(x)
    mean, var = _moments(wide, _others(axis, x.ndim))
    slope = lax.rsqrt(var + eps)
    scale = slope if gamma is None else slope * _at(gamma.astype(wide.dtype), axis, x.ndim)
    centred = wide - mean
    out = centred * scale + _at(beta.astype(wide.dtype), axis, x.ndim)
    kept = (centred, None) if wide.dtype == x.dtype else (x, mean)
    return (out.astype(x.dtype), mean.reshape(-1), var.reshape(-1)), (*kept, gamma, beta, slope)


def _normalized_backward(eps: float, axis: int, kept: Any, heads: Any) -> tuple[Any, Any, Any]:
    # Written out for the memory's sake: one array is kept of all that lies between x and the output. The differences to
    # the mean, if they take no more than x: the variance needs them as an array in any case, and so do the sums here.
    x, mean, gamma, beta, slope = kept
    others = _others(axis, x.ndim)
    # XLA would compute what makes the head anew for each of its three uses, two of them in slow column sums.
    head = lax.optimization_barrier(heads[0])
    wide, centred = _wide(head), x if mean is None else _wide(x) - mean
    count = x.size // x.shape[axis]
    total = jnp.sum(wide, others, keepdims=True, dtype=wide.dtype)
    product = jnp.sum(wide * centred, others, keepdims=True, dtype=wide.dtype)
    scale = slope if gamma is None else slope * _at(gamma.astype(wide.dtype), axis, x.ndim)
    towards_x = scale * (wide - total / count - centred * (jnp.square(slope) * product / count))
    towards_gamma = None if gamma is None else (product * slope).reshape(-1).astype(gamma.dtype)
    return towards_x.astype(head.dtype), towards_gamma, total.reshape(-1).astype(beta.dtype)


_normalized.defvjp(_normalized_forward, _normalized_backward)


def _batch_norm(
    data: Any,
    gamma: Any,
    beta: Any,
    moving_mean: Any,
    moving_var: Any,
    *,
    eps: float,
    momentum: float,
    fix_gamma: bool,
    use_global_stats: bool,
    axis: int,
    train: bool,
) -> tuple[Any, Any, Any, tuple[Any, Any]]:
    """Return ``(output, mean, variance, new moving statistics)``."""
    axis = normalize_axis(axis, data.ndim)
    if train and not use_global_stats:
        found: Any = _normalized(data, None if fix_gamma else gamma, beta, eps, axis)
        # The states take no part in the gradient.
        out, mean, var = found[0], *map(lax.stop_gradient, found[1:])
        states = [
            (state.astype(m.dtype) * momentum + m * (1.0 - momentum)).astype(state.dtype)
            for state, m in zip((moving_mean, moving_var), (mean, var), strict=True)
        ]
        return out, mean, var, (states[0], states[1])
    x = _wide(data)
    mean, var = moving_mean.astype(x.dtype), moving_var.astype(x.dtype)
    scale = lax.rsqrt(var + eps)
    if not fix_gamma:
        scale = scale * gamma.astype(x.dtype)
    out = (x - _at(mean, axis, x.ndim)) * _at(scale, axis, x.ndim) + _at(beta.astype(x.dtype), axis, x.ndim)
    return out.astype(data.dtype), mean, var, (moving_mean, moving_var)


def _batch_norm_shapes(a: Any, s: Known) -> dict[str, Any]:
    found = _channel_shapes(
        unify(s.data, s.out[0]), getattr(a, "axis", 1), s, "gamma", "beta", "moving_mean", "moving_var"
    )
    return {**found, "out": [found["data"], found["gamma"], found["gamma"]]} if found else {}


def _batch_norm_dtypes(a: Any, s: Known) -> dict[str, Any]:
    data = s.data if s.data is not None else s.out[0]
    if data is None:
        return {}
    params = data if np.dtype(data).itemsize > 2 else np.dtype(np.float32)
    vectors = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_var"), params)
    return {"data": data, **vectors, "out": [data, params, params]}


_STATES = {"moving_mean": '["zero", {}]', "moving_var": '["one", {}]'}


@op(
    "BatchNorm",
    params=("gamma", "beta"),
    aux=("moving_mean", "moving_var"),
    outputs=3,
    visible=lambda a: 3 if a.output_mean_var else 1,
    output_names=lambda a: ("output", "mean", "var"),
    ignored=("cudnn_off", "min_calib_range", "max_calib_range"),
    init=_STATES,
    rows=True,
)
def batch_norm(
    data: Any,
    gamma: Any,
    beta: Any,
    moving_mean: Any,
    moving_var: Any,
    *,
    eps: float = 0.0010000000474974513,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    train: bool,
) -> Any:
    """Normalise every channel: ``gamma (x - mean) / sqrt(var + eps) + beta``.

    data (any shape), the others (data.shape[axis],) -> data's shape and dtype. A training forward uses the batch's mean
    and biased variance and moves the states, ``moving = momentum moving + (1 - momentum) batch``; inference and
    `use_global_stats` use the states and leave them. Under `fix_gamma` gamma counts as 1 and has no gradient.
    With `output_mean_var` two more outputs show the mean and, as MXNet has it, ``1 / sqrt(var + eps)``; no
    gradient flows through these. For float16 data parameters, states and arithmetic are float32.

    MXNet on CPU moves the states in the backward pass and writes 1 into gamma under `fix_gamma`; here the forward pass
    moves them, and it is Module that writes into gamma, when it updates it.
    """
    out, mean, var, states = _batch_norm(
        data,
        gamma,
        beta,
        moving_mean,
        moving_var,
        eps=eps,
        momentum=momentum,
        fix_gamma=fix_gamma,
        use_global_stats=use_global_stats,
        axis=axis,
        train=train,
    )
    shown = [lax.stop_gradient(m).astype(moving_mean.dtype) for m in (mean, lax.rsqrt(var + eps))]
    return (out, *shown), states


batch_norm.pinned = lambda a: {"gamma": 1.0} if a.fix_gamma else {}


@batch_norm.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"axis": perm.index(normalize_axis(a.axis, len(perm)))}


@op(
    "BatchNorm_v1",
    params=("gamma", "beta"),
    aux=("moving_mean", "moving_var"),
    outputs=3,
    visible=lambda a: 3 if a.output_mean_var else 1,
    output_names=lambda a: ("output", "mean", "var"),
    init=_STATES,
    rows=True,
)
def batch_norm_v1(
    data: Any,
    gamma: Any,
    beta: Any,
    moving_mean: Any,
    moving_var: Any,
    *,
    eps: float = 0.001,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    train: bool,
) -> Any:
    """Normalise every channel along axis 1, as `BatchNorm` does; the operator of old files.

    The third output of `output_mean_var` is the variance itself.
    """
    out, mean, var, states = _batch_norm(
        data,
        gamma,
        beta,
        moving_mean,
        moving_var,
        eps=eps,
        momentum=momentum,
        fix_gamma=fix_gamma,
        use_global_stats=use_global_stats,
        axis=1,
        train=train,
    )
    return (out, *(lax.stop_gradient(m).astype(moving_mean.dtype) for m in (mean, var))), states


for _each in (batch_norm, batch_norm_v1):
    _each.shape(_batch_norm_shapes)
    _each.dtype(_batch_norm_dtypes)


affine(batch_norm, lambda a, rank: normalize_axis(a.axis, rank))(_scale_and_shift)
affine(batch_norm_v1, lambda a, rank: 1)(_scale_and_shift)


# Normalisation within one example -------------------------------------------------------------------------------------


@op("InstanceNorm", params=("gamma", "beta"), rows=True)
def instance_norm(data: Any, gamma: Any, beta: Any, *, eps: float = 0.001) -> Any:
    """Normalise every channel of every example over its spatial axes: ``gamma (x - mean) / sqrt(var + eps) + beta``.

    data (N, C, *spatial), gamma and beta (C,) -> data's shape and dtype.
    """
    if data.ndim < 3:
        raise ValueError(f"data must have 3 dimensions or more, got {data.ndim}")
    x = _wide(data)
    mean, var = _moments(x, range(2, x.ndim))
    scale = lax.rsqrt(var + eps) * _at(gamma.astype(x.dtype), 1, x.ndim)
    return ((x - mean) * scale + _at(beta.astype(x.dtype), 1, x.ndim)).astype(data.dtype)


@instance_norm.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found = _channel_shapes(unify(s.data, s.out[0]), 1, s, "gamma", "beta")
    return {**found, "out": found["data"]} if found else {}


def _shown_with(a: Any) -> int:
    return 3 if a.output_mean_var else 1


@op(
    "LayerNorm",
    params=("gamma", "beta"),
    outputs=3,
    visible=_shown_with,
    output_names=lambda a: ("output", "mean", "std"),
    rows=lambda a: a.axis != 0,
)
def layer_norm(
    data: Any, gamma: Any, beta: Any, *, axis: int = -1, eps: float = 1e-5, output_mean_var: bool = False
) -> Any:
    """Normalise along one axis: ``gamma (x - mean) / sqrt(var + eps) + beta``.

    data (any shape), gamma and beta (data.shape[axis],) -> data's shape and dtype. With `output_mean_var` two more
    outputs show the mean and ``sqrt(var + eps)``, with the axis kept at size 1; no gradient flows through these.
    """
    axis = normalize_axis(axis, data.ndim)
    x = _wide(data)
    mean, var = _moments(x, (axis,))
    out = (x - mean) * lax.rsqrt(var + eps) * _at(gamma.astype(x.dtype), axis, x.ndim)
    out = out + _at(beta.astype(x.dtype), axis, x.ndim)
    return out.astype(data.dtype), *(lax.stop_gradient(m).astype(data.dtype) for m in (mean, jnp.sqrt(var + eps)))


@layer_norm.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found = _channel_shapes(unify(s.data, s.out[0]), a.axis, s, "gamma", "beta")
    if not found:
        return {}
    data = found["data"]
    reduced = replace(data, normalize_axis(a.axis, len(data)), 1)
    return {**found, "out": [data, reduced, reduced]}


@layer_norm.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"axis": perm.index(normalize_axis(a.axis, len(perm)))}


@op(
    "GroupNorm",
    params=("gamma", "beta"),
    outputs=3,
    visible=_shown_with,
    output_names=lambda a: ("output", "mean", "std"),
    rows=True,
)
def group_norm(
    data: Any,
    gamma: Any,
    beta: Any,
    *,
    num_groups: PositiveInt = 1,
    eps: float = 1e-5,
    output_mean_var: bool = False,
) -> Any:
    """Normalise groups of channels of every example: ``gamma (x - mean) / sqrt(var + eps) + beta``.

    data (N, C, *spatial), gamma and beta (num_groups,), one number per group in MXNet 1.9.1, not per channel -> data's
    shape and dtype. With `output_mean_var` two more outputs (N, num_groups) show the mean and ``sqrt(var + eps)``; no
    gradient flows through these.
    """
    if data.ndim < 3 or data.shape[1] % num_groups:
        raise ValueError(f"data must be (N, C, ...) with C a multiple of num_groups={num_groups}, got {data.shape}")
    x = _wide(data).reshape(data.shape[0], num_groups, -1)
    mean, var = _moments(x, (2,))
    out = (x - mean) * lax.rsqrt(var + eps) * gamma.astype(x.dtype)[:, None] + beta.astype(x.dtype)[:, None]
    shown = (lax.stop_gradient(m)[..., 0].astype(data.dtype) for m in (mean, jnp.sqrt(var + eps)))
    return out.reshape(data.shape).astype(data.dtype), *shown


@group_norm.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    vector = (a.num_groups,)
    data = unify(s.data, s.out[0])
    groups = None if data is None else (data[0], a.num_groups)
    return {"data": data, "gamma": vector, "beta": vector, "out": [data, groups, groups]}


# Normalisation without parameters -------------------------------------------------------------------------------------


@op("LRN", rows=True)
def lrn(data: Any, *, alpha: float = 1e-4, beta: float = 0.75, knorm: float = 2.0, nsize: PositiveInt) -> Any:
    """Normalise over neighbouring channels: ``x / (knorm + alpha / nsize * sum(x^2 of nsize channels around))^beta``.

    data (N, C, ...) -> same shape and dtype; channels beyond the edge count as 0. An even `nsize` sums over the
    ``nsize - 1`` nearest channels, as MXNet does. What is raised to the power must be positive, or the result is NaN.
    """
    if data.ndim < 2:
        raise ValueError(f"data must have 2 dimensions or more, got {data.ndim}")
    x = _wide(data)
    reach = (nsize - 1) // 2
    window, padding = [1] * x.ndim, [(0, 0)] * x.ndim
    window[1], padding[1] = 2 * reach + 1, (reach, reach)
    total = lax.reduce_window(jnp.square(x), np.zeros((), x.dtype), lax.add, window, [1] * x.ndim, padding)
    # The same as a power, and twice as fast: XLA vectorises exp and log.
    return (x * jnp.exp(-beta * jnp.log(knorm + alpha / nsize * total))).astype(data.dtype)


lrn.shape(same)


@op("L2Normalization", rows=True)
def l2_normalization(
    data: Any, *, eps: float = 1e-10, mode: Literal["instance", "channel", "spatial"] = "instance"
) -> Any:
    """Divide by the Euclidean norm, ``x / sqrt(sum(x^2) + eps)``.

    The sum runs over all axes but the first (``instance``), over axis 1 (``channel``) or over the axes from 2 on
    (``spatial``). data (N, ...), (N, C, ...) for the last two -> same shape and dtype.
    """
    if mode != "instance" and data.ndim < 3:
        raise ValueError(f"mode={mode!r} needs data of 3 dimensions or more, got {data.ndim}")
    x = _wide(data)
    axes = {"instance": tuple(range(1, x.ndim)), "channel": (1,), "spatial": tuple(range(2, x.ndim))}[mode]
    total = jnp.sum(jnp.square(x), axes, keepdims=True, dtype=x.dtype)
    return (x * lax.rsqrt(total + eps)).astype(data.dtype)


l2_normalization.shape(same)
