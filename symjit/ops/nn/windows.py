"""Sums and maxima over the windows of an image, with gradients that XLA runs fast.

XLA's own window reductions are slow on CPU, and its gradient of a maximum (select-and-scatter) is slower by two orders
of magnitude. Here a reduction is elementwise arithmetic of strided slices, one for every position in a window. The
gradient is one elementwise pass over the image, whose axes are cut into blocks of `stride` positions: all windows that
reach a position are then shifts by whole blocks. Between the two a maximum keeps the number of the position that won,
one byte for every window.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial, reduce
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["Span", "window_max", "window_sum"]

#: Positions of a window up to which one pass over all of them beats one pass for each axis.
_AT_ONCE = 16
#: Positions along one axis up to which slices stand in for XLA's reduction.
_UNROLLED = 64


class Span(NamedTuple):
    """The windows along one axis.

    Attributes:
        at: the axis.
        size: the image's size.
        kernel: size of a window.
        stride: step between windows.
        low: padding at the start; that at the end follows from `out`.
        out: number of windows.
    """

    at: int
    size: Any
    kernel: int
    stride: int
    low: int
    out: Any

    @property
    def high(self) -> Any:
        """The padding at the end; negative where no window holds the last positions."""
        return (self.out - 1) * self.stride + self.kernel - self.low - self.size

    @property
    def blocks(self) -> Any:
        """How many blocks the image takes, the padding at the start included."""
        return -(-(self.size + self.low) // self.stride)

    @property
    def reach(self) -> int:
        """How many blocks a window reaches beyond its first one."""
        return (self.kernel - 1) // self.stride

    @property
    def is_whole(self) -> bool:
        """Whether one window holds the whole image."""
        return self.kernel == self.size and self.low == 0 and self.out == 1


Spans = tuple[Span, ...]


def window_max(x: Any, spans: Spans) -> Any:
    """Return the maximum of every window; its gradient goes to the first of equal elements, row by row.

    A NaN survives, and is the element that the gradient goes to. A window of padding alone gives -inf, or an integer's
    lowest value.
    """
    if all(span.is_whole for span in spans):
        return _whole_max(x, tuple(span.at for span in spans))
    if not _is_unrolled(spans):
        return _reduce_window(x, spans, _lowest(x.dtype), lax.max)
    if len(spans) > 1 and prod(span.kernel for span in spans) > _AT_ONCE:
        # The last axis first: of equal rows the first one wins, and in it the first element.
        for span in reversed(spans):
            x = window_max(x, (span,))
        return x
    return _window_max(x, spans)


def window_sum(x: Any, spans: Spans) -> Any:
    """Return the sum of every window."""
    if all(span.is_whole for span in spans):
        return jnp.sum(x, [span.at for span in spans], keepdims=True, dtype=x.dtype)
    if not _is_unrolled(spans):
        return _reduce_window(x, spans, np.zeros((), x.dtype), lax.add)
    if len(spans) > 1 and prod(span.kernel for span in spans) > _AT_ONCE:
        for span in spans:
            x = window_sum(x, (span,))
        return x
    return _window_sum(x, spans)


def _is_unrolled(spans: Spans) -> bool:
    return all(isinstance(span.size, int) and span.kernel <= _UNROLLED for span in spans)


def _lowest(dtype: Any) -> np.ndarray:
    return np.asarray(-np.inf if jnp.issubdtype(dtype, np.inexact) else np.iinfo(dtype).min, dtype)


def _per_axis(ndim: int, spans: Spans, value: Callable[[Span], Any], otherwise: Any) -> list[Any]:
    """Return one value per axis: of the span on it, or `otherwise`."""
    found = [otherwise] * ndim
    for span in spans:
        found[span.at] = value(span)
    return found


def _reduce_window(x: Any, spans: Spans, start: Any, combine: Any) -> Any:
    window = _per_axis(x.ndim, spans, lambda span: span.kernel, 1)
    strides = _per_axis(x.ndim, spans, lambda span: span.stride, 1)
    padding = _per_axis(x.ndim, spans, lambda span: (span.low, span.high), (0, 0))
    return lax.reduce_window(x, start, combine, window, strides, padding)


def _padded(x: Any, fill: Any, config: list[tuple[int, int, int]]) -> Any:
    return x if all(each == (0, 0, 0) for each in config) else lax.pad(x, np.asarray(fill, x.dtype), config)


def _slices(x: Any, spans: Spans, fill: Any) -> list[Any]:
    """Return, for every position in a window, row by row, the elements that stand there."""
    x = _padded(x, fill, _per_axis(x.ndim, spans, lambda span: (span.low, span.high, 0), (0, 0, 0)))
    found = []
    for offsets in itertools.product(*(range(span.kernel) for span in spans)):
        start, limit, step = [0] * x.ndim, list(x.shape), [1] * x.ndim
        for span, offset in zip(spans, offsets, strict=True):
            start[span.at], step[span.at] = offset, span.stride
            limit[span.at] = offset + (span.out - 1) * span.stride + 1
        found.append(lax.slice(x, start, limit, step))
    return found


# The maximum ----------------------------------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _window_max(x: Any, spans: Spans) -> Any:
    return reduce(jnp.maximum, _slices(x, spans, _lowest(x.dtype)))


def _window_max_forward(x: Any, spans: Spans) -> tuple[Any, Any]:
    parts = _slices(x, spans, _lowest(x.dtype))
    out = reduce(jnp.maximum, parts)
    winner = jnp.full(out.shape, len(parts) - 1, jnp.uint8)
    for number, part in reversed(list(enumerate(parts[:-1]))):
        winner = jnp.where((part == out) | (part != part), np.uint8(number), winner)
    return out, winner


def _window_max_backward(spans: Spans, winner: Any, head: Any) -> tuple[Any]:
    return (_spread(head, winner, spans),)


_window_max.defvjp(_window_max_forward, _window_max_backward)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _whole_max(x: Any, axes: tuple[int, ...]) -> Any:
    return jnp.max(x, axes, keepdims=True)


def _whole_max_forward(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    out = jnp.max(x, axes, keepdims=True)
    numbers = _numbers(x.shape, axes)
    won = jnp.where((x == out) | (x != x), numbers, np.int32(np.iinfo(np.int32).max))
    return out, (numbers, jnp.min(won, axes, keepdims=True))


def _whole_max_backward(axes: tuple[int, ...], kept: Any, head: Any) -> tuple[Any]:
    numbers, first = kept
    return (jnp.where(numbers == first, head, np.zeros((), head.dtype)),)


def _numbers(shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Return every element's number along `axes`, row by row, with size 1 along the others."""
    sizes = [shape[i] if i in axes else 1 for i in range(len(shape))]
    return jnp.arange(prod(sizes), dtype=jnp.int32).reshape(sizes)


_whole_max.defvjp(_whole_max_forward, _whole_max_backward)


# The sum --------------------------------------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _window_sum(x: Any, spans: Spans) -> Any:
    return reduce(jnp.add, _slices(x, spans, 0))


def _window_sum_forward(x: Any, spans: Spans) -> tuple[Any, None]:
    return _window_sum(x, spans), None


def _window_sum_backward(spans: Spans, kept: None, head: Any) -> tuple[Any]:
    return (_spread(head, None, spans),)


_window_sum.defvjp(_window_sum_forward, _window_sum_backward)


# Their gradient -------------------------------------------------------------------------------------------------------


def _spread(head: Any, winner: Any, spans: Spans) -> Any:
    """Return an image that every window's head is added to, at the window's `winner` or, without one, everywhere."""
    sizes = head.shape
    config = _per_axis(head.ndim, spans, lambda span: (span.reach, span.blocks - span.out, 0), (0, 0, 0))
    head = _padded(head, 0, config)
    winner = None if winner is None else _padded(winner, 0, config)
    # The axis of a span becomes two: the block and the position in it.
    shape: list[Any] = []
    outer, inner = [], []
    for size, span in zip(sizes, _per_axis(head.ndim, spans, lambda span: span, None), strict=True):
        outer.append(len(shape))
        shape.append(size if span is None else span.blocks)
        if span is not None:
            inner.append(len(shape))
            shape.append(span.stride)
    within = [lax.broadcasted_iota(jnp.int32, shape, axis) for axis in inner]
    zero = np.zeros((), head.dtype)

    def moved(x: Any, shifts: tuple[int, ...]) -> Any:
        for span, shift in zip(spans, shifts, strict=True):
            start = span.reach - shift
            x = lax.slice_in_dim(x, start, start + span.blocks, axis=span.at)
        return lax.broadcast_in_dim(x, shape, outer)

    def share(shifts: tuple[int, ...]) -> Any:
        """Return what windows give that start so many blocks before the one they give to."""
        conditions, number = [], 0
        for span, shift, position in zip(spans, shifts, within, strict=True):
            offset = position + shift * span.stride
            number = number * span.kernel + offset
            if (shift + 1) * span.stride > span.kernel:
                conditions.append(offset < span.kernel)
        if winner is not None:
            conditions.append(moved(winner, shifts).astype(jnp.int32) == number)
        given = moved(head, shifts)
        return jnp.where(reduce(jnp.logical_and, conditions), given, zero) if conditions else given

    total = reduce(jnp.add, map(share, itertools.product(*(range(span.reach + 1) for span in spans))))
    merged = _per_axis(head.ndim, spans, lambda span: span.blocks * span.stride, None)
    image = total.reshape([size if whole is None else whole for size, whole in zip(sizes, merged, strict=True)])
    cut = _per_axis(
        head.ndim, spans, lambda span: (-span.low, span.low + span.size - span.blocks * span.stride, 0), (0, 0, 0)
    )
    return _padded(image, 0, cut)
