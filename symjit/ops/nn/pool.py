"""Pooling over windows of an image."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.ops.casting import is_inexact
from symjit.ops.nn.layouts import image_layout, moved_layout, per_axis, spatial_axes
from symjit.ops.nn.windows import Span, window_max, window_sum
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape

__all__: list[str] = []

_LAYOUTS = ("NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC")


class _Axis:
    """The windows along one spatial axis.

    Attributes:
        at: the axis.
        size: the input's size, None if unknown.
        kernel: size of a window.
        stride: step between windows.
        pad: padding at the start, and at the end.
        out: number of windows.
    """

    def __init__(self, at: int, size: Any, kernel: int, stride: int, pad: int, convention: str) -> None:
        self.at, self.size, self.kernel, self.stride, self.pad = at, size, kernel, stride, pad
        self.out: Any = None
        if size is None:
            return
        if convention == "same":
            self.out = -(-size // stride)
            return
        if isinstance(size, int) and kernel > size + 2 * pad:
            raise ValueError(f"kernel size {kernel} exceeds the padded input: {size} + 2 * {pad} on axis {at}")
        span = size + 2 * pad - kernel
        self.out = (span + stride - 1 if convention == "full" else span) // stride + 1

    @property
    def overhang(self) -> Any:
        """How far the last window reaches beyond the padded input."""
        reach = (self.out - 1) * self.stride + self.kernel - self.size - 2 * self.pad
        return max(0, reach)

    @property
    def has_empty(self) -> bool:
        """Whether a window holds padding and overhang only."""
        return (self.out - 1) * self.stride - self.pad >= self.size

    def counts(self, with_padding: bool) -> np.ndarray:
        """Return how many positions every window holds, overhang excluded."""
        start = np.arange(self.out) * self.stride - self.pad
        end = np.minimum(start + self.kernel, self.size + (self.pad if with_padding else 0))
        return end - (start if with_padding else np.maximum(start, 0))


def _axes(
    shape: PartialShape,
    layout: str | None,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...],
    convention: str,
    global_pool: bool,
) -> list[_Axis]:
    """Return the spatial axes of data of a shape."""
    assert shape is not None
    if not global_pool and len(kernel) not in (1, 2, 3):
        raise ValueError(f"kernel must have 1, 2 or 3 values unless global_pool=True, got {kernel}")
    spatial = len(shape) - 2 if global_pool else len(kernel)
    if spatial not in (1, 2, 3):
        raise ValueError(f"data must have 3, 4 or 5 dimensions, got {len(shape)}")
    order = image_layout(layout, spatial)
    if len(shape) != len(order):
        raise ValueError(f"data must have {len(order)} dimensions ({order}) for a {spatial}-D kernel, got {len(shape)}")
    where = spatial_axes(order)
    if global_pool:
        return [_Axis(at, shape[at], shape[at] or 1, 1, 0, "valid") for at in where]
    steps = per_axis("stride", stride, spatial, 1)
    if convention == "same":
        if spatial != 1 or any(pad):
            raise ValueError(f"pooling_convention='same' takes 3-D data and no padding, got {len(shape)}-D, pad {pad}")
        pad = ()
    pads = per_axis("pad", pad, spatial, 0)
    if any(p >= k for p, k in zip(pads, kernel, strict=True)):
        raise ValueError(f"pad {pads} must be smaller than kernel {kernel}")
    rows = zip(where, kernel, steps, pads, strict=True)
    return [_Axis(at, shape[at], k, s, p, convention) for at, k, s, p in rows]


def _spans(axes: list[_Axis], *, padded: bool = False) -> tuple[Span, ...]:
    """Return the windows; `padded` says that the data has its padding already."""
    return tuple(
        Span(axis.at, axis.size + 2 * axis.pad, axis.kernel, axis.stride, 0, axis.out)
        if padded
        else Span(axis.at, axis.size, axis.kernel, axis.stride, axis.pad, axis.out)
        for axis in axes
    )


def _divisor(axes: list[_Axis], ndim: int, with_padding: bool, dtype: Any) -> Any:
    """Return the number of elements of every window: one number where all windows agree."""
    total = np.ones((1,) * ndim, np.int64)
    for axis in axes:
        total = total * axis.counts(with_padding).reshape([-1 if i == axis.at else 1 for i in range(ndim)])
    # An empty window sums to 0 and averages to 0.
    total = np.maximum(total, 1)
    return (total.flat[0] if np.all(total == total.flat[0]) else total).astype(dtype)


def _lp(x: Any, axes: list[_Axis], p: int | None) -> Any:
    if p not in (1, 2, 3):
        raise ValueError(f"pool_type='lp' needs p_value 1, 2 or 3, got {p}")
    total = window_sum(x**p, _spans(axes))
    if p == 1:
        return total
    # The root's slope at zero is infinite; MXNet passes no gradient there.
    zero = total == 0
    safe = jnp.where(zero, jnp.ones_like(total), total)
    return jnp.where(zero, jnp.zeros_like(total), jnp.sqrt(safe) if p == 2 else jnp.cbrt(safe))


def _shapes(a: Any, s: Known, layout: str | None) -> dict[str, Any]:
    out: PartialShape = s.out[0]
    data: PartialShape = s.data
    if data is None:
        if a.global_pool or not a.kernel:
            return {}
        data = (None,) * (len(a.kernel) + 2)
    axes = {
        axis.at: axis for axis in _axes(data, layout, a.kernel, a.stride, a.pad, a.pooling_convention, a.global_pool)
    }
    if out is not None and len(out) == len(data):
        data = tuple(o if d is None and at not in axes else d for at, (d, o) in enumerate(zip(data, out, strict=True)))
    sizes = [(1 if a.global_pool else axes[at].out) if at in axes else d for at, d in enumerate(data)]
    return {"data": data, "out": tuple(sizes)}


@op("Pooling", ignored=("cudnn_off",), cast="any", rows=True)
def pooling(
    data: Any,
    *,
    kernel: tuple[int, ...] = (),
    pool_type: Literal["max", "avg", "sum", "lp"] = "max",
    global_pool: bool = False,
    pooling_convention: Literal["valid", "full", "same"] = "valid",
    stride: tuple[int, ...] = (),
    pad: tuple[int, ...] = (),
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: Literal["NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"] | None = None,
) -> Any:
    """Reduce every window to its maximum, average, sum or p-norm, over 1, 2 or 3 spatial axes.

    data (N, C, *spatial), or channel last -> the same rank with ``out = floor((in + 2 pad - kernel) / stride) + 1``;
    ``full`` rounds up, and ``same`` (one spatial axis, no padding) gives ``ceil(in / stride)``: their last windows may
    hang over the end. `global_pool` takes the whole image and ignores kernel, stride and pad.

    Maximum: the gradient goes to the first of equal elements; a window without an element gives the lowest finite
    number. Average: the divisor counts the padding (unless ``count_include_pad=False``) but not the overhang. p-norm:
    `p_value` is 1, 2 or 3 and the powers keep their sign, so that ``p_value=1`` is the plain sum. float16 accumulates
    in float32.

    Unlike in MXNet on CPU, a NaN survives a maximum, and a window of -inf only stays -inf. The gradient of an average
    is the true one; oneDNN's float32 kernel divides by the whole kernel for windows that hang over.
    """
    axes = _axes(data.shape, layout, kernel, stride, pad, pooling_convention, global_pool)
    if pool_type == "max":
        out = window_max(data, _spans(axes))
        if any(axis.has_empty for axis in axes):
            out = jnp.maximum(out, jnp.finfo(data.dtype).min)
        return out
    wide = data if data.dtype == jnp.float64 else data.astype(jnp.float32)
    if pool_type == "lp":
        return _lp(wide, axes, p_value).astype(data.dtype)
    out = window_sum(wide, _spans(axes))
    if pool_type == "avg":
        out = out / _divisor(axes, data.ndim, count_include_pad is not False, wide.dtype)
    return out.astype(data.dtype)


@pooling.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return _shapes(a, s, a.layout)


@pooling.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return moved_layout(a.layout, perm, _LAYOUTS)


pooling.channels_last = True


# Pooling_v1 -----------------------------------------------------------------------------------------------------------


@op("Pooling_v1", cast="any", rows=True)
def pooling_v1(
    data: Any,
    *,
    kernel: tuple[int, ...] = (),
    pool_type: Literal["max", "avg", "sum"] = "max",
    global_pool: bool = False,
    pooling_convention: Literal["valid", "full"] = "valid",
    stride: tuple[int, ...] = (),
    pad: tuple[int, ...] = (),
) -> Any:
    """Reduce every window of (N, C, H, W) to its maximum, average or sum: the operator of old files.

    It differs from `Pooling` in that padding holds zeros for the maximum too (one of negative numbers at the border is
    0, and a window of nothing but overhang gives -inf), the average always divides by the kernel's size, and the
    maximum passes its gradient to every one of equal elements.

    Raises:
        ValueError: the data are integers.
    """
    if not is_inexact(data):
        raise ValueError(f"expected floating-point data, got {np.dtype(data.dtype).name}; Cast it first")
    axes = _axes_v1(data.shape, kernel, stride, pad, pooling_convention, global_pool)
    if pool_type == "max":
        return window_max(_zero_padded(data, axes), _spans(axes, padded=True))
    wide = data if data.dtype == jnp.float64 else data.astype(jnp.float32)
    out = window_sum(wide, _spans(axes))
    if pool_type == "avg":
        out = out / float(np.prod([axis.kernel for axis in axes]))
    return out.astype(data.dtype)


def _axes_v1(shape: PartialShape, *options: Any) -> list[_Axis]:
    if shape is not None and len(shape) != 4:
        raise ValueError(f"data must have 4 dimensions, got {len(shape)}")
    return _axes(shape, None, *options)


def _zero_padded(x: Any, axes: list[_Axis]) -> Any:
    pads = {axis.at: axis.pad for axis in axes}
    return lax.pad(x, np.zeros((), x.dtype), [(pads.get(i, 0), pads.get(i, 0), 0) for i in range(x.ndim)])


@pooling_v1.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    return _shapes(a, s, None)


@pooling_v1.grad
def _(a: Any, heads: Any, *, inputs: Any, outputs: Any) -> tuple[Any, ...]:
    (data,), (out,), (head,) = inputs, outputs, heads
    if a.pool_type != "max":
        return jax.vjp(lambda x: pooling_v1(x, **a._asdict()), data)[1](head)
    axes = _axes_v1(data.shape, a.kernel, a.stride, a.pad, a.pooling_convention, a.global_pool)
    rows, columns = axes
    # One pass per position in the window: where that element is the maximum, the head flows to it.
    padded, unpad = jax.vjp(lambda x: _overhung(_zero_padded(x, axes), axes), data)
    total = jnp.zeros_like(padded)
    for y, x in itertools.product(range(rows.kernel), range(columns.kernel)):
        place = (
            slice(None),
            slice(None),
            slice(y, y + (rows.out - 1) * rows.stride + 1, rows.stride),
            slice(x, x + (columns.out - 1) * columns.stride + 1, columns.stride),
        )
        total = total.at[place].add(jnp.where(padded[place] == out, head, jnp.zeros_like(head)))
    return unpad(total)


def _overhung(x: Any, axes: list[_Axis]) -> Any:
    extra = {axis.at: axis.overhang for axis in axes}
    return lax.pad(x, np.asarray(-np.inf, x.dtype), [(0, extra.get(i, 0), 0) for i in range(x.ndim)])
