"""Ways to compute a convolution of channel-last data; each suits other shapes.

Every strategy computes what `Convolution` computes, to rounding. It comes in two halves, so that what depends on the
weight alone is done once for inference: ``prepare(attrs, weight)`` turns MXNet's weight (num_filter, *kernel,
C / num_group) into the array that ``run(attrs, data, prepared, bias)`` wants. `choose` names the one that is likely to
be fastest.

`attrs` are the attributes of `Convolution` with a channel-last layout; `specs` are the shapes and dtypes of data and
weight (anything with ``shape`` and ``dtype``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.ops.derived import namespace
from symjit.ops.nn.layouts import image_layout, per_axis
from symjit.ops.shapes import window

__all__ = ["WAYS", "Way", "choose"]

_EXACT = lax.Precision.HIGHEST


class Way(NamedTuple):
    """One way to compute a convolution, in the halves that `symjit.ops.derived.strategy` takes.

    Attributes:
        applies: ``(attrs, specs, platform) -> bool``, whether it computes this convolution at all.
        prepare: ``(attrs, weight) -> array``, the weight as `run` wants it.
        run: ``(attrs, data, prepared, bias or None) -> out``.
    """

    applies: Callable[[Any, Sequence[Any], str], bool]
    prepare: Callable[[Any, Any], Any]
    run: Callable[[Any, Any, Any, Any], Any]


class _Steps(NamedTuple):
    """Stride, dilation and padding, one value per spatial axis."""

    stride: tuple[int, ...]
    dilate: tuple[int, ...]
    pad: tuple[int, ...]

    def out(self, a: Any, data: Any) -> list[int]:
        """Return the spatial sizes of the result."""
        return [
            window(size, k, s, p, d)
            for size, k, s, p, d in zip(data.shape[1:-1], a.kernel, self.stride, self.pad, self.dilate, strict=True)
        ]


def _steps(a: Any) -> _Steps:
    ndim = len(a.kernel)
    return _Steps(
        per_axis("stride", a.stride, ndim, 1), per_axis("dilate", a.dilate, ndim, 1), per_axis("pad", a.pad, ndim, 0)
    )


def _channel_last(a: Any) -> bool:
    return image_layout(a.layout, len(a.kernel))[-1] == "C"


def _plus(out: Any, bias: Any) -> Any:
    return out if bias is None else out + bias


def _padded(data: Any, edges: Sequence[tuple[int, int]]) -> Any:
    """Return data with zeros before and after its spatial axes (a negative number cuts off).

    The barrier keeps XLA from rewriting the taps that lie wholly inside as reads of the unpadded data, which makes the
    loop read both arrays.
    """
    if not any(low or high for low, high in edges):
        return data
    config = [(0, 0, 0), *((low, high, 0) for low, high in edges), (0, 0, 0)]
    return lax.optimization_barrier(lax.pad(data, jnp.zeros((), data.dtype), config))


# Rows of a matrix that lie a multiple of this many elements apart compete for the same lines of the cache.
_CROWDED = 256


def _spaced(a: Any, prepared: Any) -> Any:
    """Return the weight (..., num_filter) with a few filters of zeros more where its rows would be crowded.

    Products with a weight of 512, 1024 or 2048 filters take up to twice the time of one with 8 more: the rows of the
    weight and of the result are powers of two apart.
    """
    if a.num_filter < 2 * _CROWDED or a.num_filter % _CROWDED:
        return prepared
    return namespace(prepared).pad(prepared, [(0, 0)] * (prepared.ndim - 1) + [(0, 8)])


def _filters(a: Any, out: Any) -> Any:
    """Return a result without the filters that `_spaced` added."""
    return out if out.shape[-1] == a.num_filter else lax.slice_in_dim(out, 0, a.num_filter, axis=out.ndim - 1)


# By XLA ---------------------------------------------------------------------------------------------------------------


def _xla_prepare(a: Any, weight: Any) -> Any:
    return namespace(weight).moveaxis(weight, 0, -1)


def _by_xla(a: Any, data: Any, prepared: Any, groups: int) -> Any:
    return _convolved(data, prepared, _steps(a), groups)


def _convolved(data: Any, prepared: Any, steps: _Steps, groups: int) -> Any:
    spatial = "DHW"[-len(steps.pad) :]
    return lax.conv_general_dilated(
        data,
        prepared,
        steps.stride,
        [(p, p) for p in steps.pad],
        rhs_dilation=steps.dilate,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=groups,
        precision=_EXACT,
    )


def _xla_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    return _plus(_by_xla(a, data, prepared, a.num_group), bias)


def _xla_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    return _channel_last(a)


def _spaced_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    return _channel_last(a) and a.num_group == 1 and a.num_filter >= 2 * _CROWDED and a.num_filter % _CROWDED == 0


def _spaced_prepare(a: Any, weight: Any) -> Any:
    return _spaced(a, _xla_prepare(a, weight))


def _spaced_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    return _plus(_filters(a, _by_xla(a, data, prepared, 1)), bias)


# As one matrix product ------------------------------------------------------------------------------------------------


def _dot(x: Any, matrix: Any) -> Any:
    """Return x (..., K) times matrix (K, M)."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return lax.dot(rows, matrix, precision=_EXACT).reshape(*x.shape[:-1], matrix.shape[-1])


def _dot_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    return _channel_last(a) and set(a.kernel) == {1} and a.num_group == 1 and not any(_steps(a).pad)


def _dot_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    stride = _steps(a).stride
    if any(s > 1 for s in stride):
        data = lax.slice(data, (0,) * data.ndim, data.shape, (1, *stride, 1))
    return _plus(_filters(a, _dot(data, prepared)), bias)


def _flat_prepare(a: Any, weight: Any) -> Any:
    """Return the weight as a matrix (every tap and channel of a window, num_filter)."""
    return _spaced(a, weight.reshape(a.num_filter, math.prod(weight.shape[1:])).T)


def _by_image(run: Callable[..., Any], data: Any, prepared: Any, bias: Any, large: bool) -> Any:
    """Return ``run(data, prepared, bias)``, of one image after the other if a batch is `large`."""
    if large and len(data) > 1:
        return lax.map(lambda image: run(image[None], prepared, bias)[0], data)
    return run(data, prepared, bias)


# As the matrix product of all windows ---------------------------------------------------------------------------------


def _tap(x: Any, at: Sequence[int], counts: Sequence[int], steps: Sequence[int]) -> Any:
    """Return `counts` elements of each spatial axis, from `at` on, every `steps`-th."""
    last = [start + (count - 1) * step + 1 for start, count, step in zip(at, counts, steps, strict=True)]
    return lax.slice(x, (0, *at, 0), (x.shape[0], *last, x.shape[-1]), (1, *steps, 1))


# A batch whose windows hold more bytes is faster image by image.
_WINDOWS = 4 << 20


def _im2col_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    return _channel_last(a) and a.num_group == 1


def _im2col_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    windows = data.shape[0] * math.prod(_steps(a).out(a, data)) * prepared.shape[0]
    return _by_image(partial(_im2col, a), data, prepared, bias, windows * np.dtype(data.dtype).itemsize > _WINDOWS)


def _im2col(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    stride, dilate, pad = steps = _steps(a)
    out = steps.out(a, data)
    x = _padded(data, [(p, p) for p in pad])
    # Axis by axis: the copies of the last one are shared by the windows above and below.
    for axis in reversed(range(len(out))):
        if a.kernel[axis] == 1 and stride[axis] == 1:
            continue
        last = stride[axis] * (out[axis] - 1) + 1
        starts = [i * dilate[axis] for i in range(a.kernel[axis])]
        taps = [lax.slice_in_dim(x, i, i + last, stride[axis], axis + 1) for i in starts]
        x = lax.optimization_barrier(lax.concatenate(taps, x.ndim - 1))
    return _plus(_filters(a, _dot(x, prepared)), bias)


# Two results at once --------------------------------------------------------------------------------------------------
#
# Two neighbours along the last spatial axis as one result of twice the filters: the kernel is longer by one and moves
# by two. A third more products for 3 x 3, but of matrices that are not as thin.


def _paired_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    if not _channel_last(a) or a.num_group != 1:
        return False
    steps = _steps(a)
    return steps.stride[-1] == steps.dilate[-1] == 1 and steps.out(a, specs[0])[-1] % 2 == 0


def _paired_prepare(a: Any, weight: Any) -> Any:
    """Return the weight as (*kernel, C, 2 num_filter), the last axis of the kernel longer by one."""
    taps = _xla_prepare(a, weight)
    edges, xp = [(0, 0)] * (taps.ndim - 3), namespace(weight)
    longer = [xp.pad(taps, [*edges, (i, 1 - i), (0, 0), (0, 0)]) for i in range(2)]
    return xp.concatenate(longer, axis=-1)


def _paired_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    steps = _steps(a)
    both = _convolved(data, prepared, steps._replace(stride=(*steps.stride[:-1], 2)), 1)
    return _plus(both.reshape(data.shape[0], *steps.out(a, data), a.num_filter), bias)


# Depthwise: shifted multiply-adds -------------------------------------------------------------------------------------


def _depthwise_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    return _channel_last(a) and a.num_group > 1 and specs[0].shape[-1] == a.num_group


def _depthwise_prepare(a: Any, weight: Any) -> Any:
    """Return the weight as (*kernel, C, filters per channel)."""
    taps = namespace(weight).moveaxis(weight[..., 0], 0, -1)
    return taps.reshape(*a.kernel, a.num_group, a.num_filter // a.num_group)


def _depthwise_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    stride, dilate, pad = steps = _steps(a)
    out = steps.out(a, data)
    x = _padded(data, [(p, p) for p in pad])
    single = prepared.shape[-1] == 1
    if single:
        prepared = prepared[..., 0]
    # Low precision is summed in float32, as XLA's own convolution does.
    wide = jnp.float32 if data.dtype in (jnp.float16, jnp.bfloat16) else data.dtype
    total: Any = None
    for at in np.ndindex(*a.kernel):
        tap = _tap(x, [i * d for i, d in zip(at, dilate, strict=True)], out, stride).astype(wide)
        term = (tap if single else tap[..., None]) * prepared[at].astype(wide)
        total = term if total is None else total + term
    return _plus(total.astype(data.dtype).reshape(data.shape[0], *out, a.num_filter), bias)


# Groups: blocks of them as plain convolutions -------------------------------------------------------------------------

# Input channels of a block: fewer leave the matrix products too thin, more multiply too many zeros.
_BLOCK_CHANNELS = 16
# Each block is a convolution to compile.
_BLOCKS = 64


def _grouped_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    return _channel_last(a) and a.num_group > 1


def _merged(groups: int, channels: int) -> int:
    """Return how many groups of `channels` input channels make a block."""
    wanted = max(-(-_BLOCK_CHANNELS // channels), -(-groups // _BLOCKS))
    return next(k for k in range(1, groups + 1) if groups % k == 0 and k >= min(wanted, groups))


def _grouped_prepare(a: Any, weight: Any) -> Any:
    """Return the weight as (blocks, *kernel, channels, filters of a block); zero between groups of one block."""
    channels = weight.shape[-1]
    many, filters = _merged(a.num_group, channels), a.num_filter // a.num_group
    blocks = a.num_group // many
    taps = math.prod(a.kernel)
    split = weight.reshape(blocks, many, filters, taps, channels)
    xp = namespace(weight)
    # (blocks, taps, groups, channels, groups, filters), where both groups are the same
    own = np.eye(many, dtype=bool)[:, None, :, None]
    square = xp.where(own, split.transpose(0, 3, 1, 4, 2)[..., None, :], xp.zeros((), weight.dtype))
    return square.reshape(blocks, *a.kernel, many * channels, many * filters)


def _grouped_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    blocks, channels = len(prepared), prepared.shape[-2]
    parts = [_by_xla(a, data[..., i * channels : (i + 1) * channels], prepared[i], 1) for i in range(blocks)]
    return _plus(jnp.concatenate(parts, axis=-1), bias)


# Winograd F(2x2, 3x3) -------------------------------------------------------------------------------------------------
#
# Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015): a tile of 2 x 2 results needs 16 products
# per channel pair instead of 36. With d a 4 x 4 tile of data and g a filter, the result is A' [(G g G') * (B' d B)] A.
# Over all tiles and channels the products are 16 matrix products.

# Larger tiles, F(4x4, 3x3), need fewer products still, but err by 2e-6 to 1e-5 and were not faster.
_FILTER = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])

# From this number of tiles on, 16 products of their own beat one batched product, which copies its operands together.
_MANY_TILES = 256

# From this number of bytes between the transforms on, a batch is faster image by image, in the cache.
_CACHED = 32 << 20


def _winograd_applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    steps = _steps(a)
    return (
        _channel_last(a)
        and tuple(a.kernel) == (3, 3)
        and steps.stride == steps.dilate == (1, 1)
        and a.num_group == 1
        and np.dtype(specs[0].dtype) in (np.float32, np.float64)
    )


def _winograd_prepare(a: Any, weight: Any) -> Any:
    """Return the transformed filters (16, C, num_filter or a few more)."""
    taps = _spaced(a, weight.transpose(1, 2, 3, 0).reshape(9, weight.shape[-1], a.num_filter)).swapaxes(0, 1)
    both = np.kron(_FILTER, _FILTER).astype(weight.dtype)
    # Channel by channel, for NumPy runs larger products in threads, which are slow where others use the processors.
    grown = both @ taps if isinstance(taps, np.ndarray) else jnp.matmul(both, taps, precision=_EXACT)
    return grown.swapaxes(0, 1)


def _into_products(d: Sequence[Any]) -> list[Any]:
    # These are many, and `lax` is traced several times as fast as operators are.
    return [lax.sub(d[0], d[2]), lax.add(d[1], d[2]), lax.sub(d[2], d[1]), lax.sub(d[1], d[3])]


def _out_of_products(m: Sequence[Any]) -> list[Any]:
    return [lax.add(lax.add(m[0], m[1]), m[2]), lax.sub(lax.sub(m[1], m[2]), m[3])]


def _tiles(sizes: Sequence[int]) -> tuple[int, int]:
    """Return how many tiles of 2 x 2 results there are, down and across."""
    return -(-sizes[0] // 2), -(-sizes[1] // 2)


def _between(a: Any, data: Any) -> int:
    """Return the bytes of one image's transformed tiles and products."""
    down, across = _tiles(_steps(a).out(a, data))
    return 16 * down * across * (data.shape[-1] + a.num_filter) * np.dtype(data.dtype).itemsize


def _winograd_run(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    return _by_image(partial(_winograd, a), data, prepared, bias, len(data) * _between(a, data) > _CACHED)


def _winograd(a: Any, data: Any, prepared: Any, bias: Any) -> Any:
    steps = _steps(a)
    n, height, width, channels = data.shape
    filters = prepared.shape[-1]
    out_height, out_width = steps.out(a, data)
    down, across = _tiles((out_height, out_width))
    (top, left), counts = steps.pad, (down, across)
    x = _padded(data, [(top, 2 * down + 2 - top - height), (left, 2 * across + 2 - left - width)])
    rows = _into_products([_tap(x, (i, 0), (down, 2 * across + 2), (2, 1)) for i in range(4)])
    tiles = [
        tile.reshape(n * down * across, channels)
        for row in rows
        for tile in _into_products([_tap(row, (0, j), counts, (1, 2)) for j in range(4)])
    ]
    if n * down * across < _MANY_TILES:
        products: Any = jnp.matmul(jnp.stack(tiles), prepared, precision=_EXACT)
    else:
        products = [
            lax.dot(tile, lax.index_in_dim(prepared, k, keepdims=False), precision=_EXACT)
            for k, tile in enumerate(tiles)
        ]
    halves = [_out_of_products([products[4 * i + j] for j in range(4)]) for i in range(4)]
    quarters = [_out_of_products([half[j] for half in halves]) for j in range(2)]
    shape = (n, down, 1, across, 1, filters)
    lines = [jnp.concatenate([quarters[j][i].reshape(shape) for j in range(2)], axis=4) for i in range(2)]
    out = jnp.concatenate(lines, axis=2).reshape(n, 2 * down, 2 * across, filters)
    return _plus(lax.slice(out, (0,) * 4, (n, out_height, out_width, a.num_filter)), bias)


# In training ----------------------------------------------------------------------------------------------------------
#
# Forward and both gradients, each computed in the way that suits its shapes. The gradient of the data is a convolution
# too: for stride 1, of the head with the filters turned around.


class _Turned(NamedTuple):
    """The attributes of a convolution of the head."""

    kernel: tuple[int, ...]
    dilate: tuple[int, ...]
    pad: tuple[int, ...]
    num_filter: int
    layout: str | None
    stride: tuple[int, ...] = ()
    num_group: int = 1


def _turned(a: Any, data: Any) -> _Turned | None:
    """Return the convolution of the head that gives the gradient of `data`, None if none does."""
    steps = _steps(a)
    pad = tuple((k - 1) * d - p for k, d, p in zip(a.kernel, steps.dilate, steps.pad, strict=True))
    if any(s != 1 for s in steps.stride) or min(pad) < 0:
        return None
    return _Turned(a.kernel, steps.dilate, pad, data.shape[-1], a.layout)


def _turn(weight: Any) -> Any:
    """Return the weight (num_filter, *kernel, C) as (C, *kernel, num_filter), its taps in reverse."""
    return jnp.swapaxes(jnp.flip(weight, range(1, weight.ndim - 1)), 0, -1)


def _columns(a: Any, head: Any, weight: Any, sizes: tuple[int, ...]) -> Any:
    """Return the gradient of data with these spatial sizes: one product, each tap of it added in its place."""
    stride, dilate, pad = _steps(a)
    taps, channels = math.prod(a.kernel), weight.shape[-1]
    products = _dot(head, weight.reshape(a.num_filter, taps * channels))
    total: Any = None
    for k, at in enumerate(np.ndindex(*a.kernel)):
        edges = []
        for i, d, p, s, size, count in zip(at, dilate, pad, stride, sizes, head.shape[1:-1], strict=True):
            low = i * d - p
            edges.append((low, size - low - (count - 1) * s - 1, s - 1))
        tap = products[..., k * channels : (k + 1) * channels]
        placed = lax.pad(tap, jnp.zeros((), tap.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
        total = placed if total is None else total + placed
    return total


def _towards_data(a: Any, head: Any, weight: Any, data: Any) -> Any:
    way = _data_gradient(a, data)
    if way == "columns":
        windows = math.prod(head.shape[:-1]) * math.prod(weight.shape[1:])
        return _by_image(
            lambda head, weight, bias: _columns(a, head, weight, data.shape[1:-1]),
            head,
            weight,
            None,
            windows * np.dtype(data.dtype).itemsize > _WINDOWS,
        )
    if way == "winograd":
        turned = _turned(a, data)
        return _winograd_run(turned, head, _winograd_prepare(turned, _turn(weight)), None)
    prepared = _xla_prepare(a, weight)
    return jax.linear_transpose(lambda x: _by_xla(a, x, prepared, 1), data)(head)[0]


def _trained_run(a: Any, data: Any, weight: Any, bias: Any) -> Any:
    way = WAYS[_forward(a, data)]
    spec = jax.ShapeDtypeStruct(data.shape, data.dtype)

    @jax.custom_vjp
    def result(data: Any, weight: Any) -> Any:
        return way.run(a, data, way.prepare(a, weight), None)

    def forward(data: Any, weight: Any) -> tuple[Any, Any]:
        return result(data, weight), (data, weight)

    def backward(kept: Any, head: Any) -> tuple[Any, Any]:
        data, weight = kept
        towards_weight = jax.linear_transpose(lambda w: _by_xla(a, data, _xla_prepare(a, w), 1), weight)
        return _towards_data(a, head, weight, spec), towards_weight(head)[0]

    result.defvjp(forward, backward)
    return _plus(result(data, weight), bias)


WAYS: dict[str, Way] = {
    "xla": Way(_xla_applies, _xla_prepare, _xla_run),
    "spaced": Way(_spaced_applies, _spaced_prepare, _spaced_run),
    "dot": Way(_dot_applies, _flat_prepare, _dot_run),
    "winograd": Way(_winograd_applies, _winograd_prepare, _winograd_run),
    "im2col": Way(_im2col_applies, _flat_prepare, _im2col_run),
    "depthwise": Way(_depthwise_applies, _depthwise_prepare, _depthwise_run),
    "grouped": Way(_grouped_applies, _grouped_prepare, _grouped_run),
    "paired": Way(_paired_applies, _paired_prepare, _paired_run),
    "trained": Way(_im2col_applies, lambda a, weight: weight, _trained_run),
}


# Below this, C * num_filter / (C + num_filter), the transforms cost more than the products that Winograd saves.
_WINOGRAD_GAIN = 16
# Floating-point operations of the plain convolution below which the products do not matter.
_WINOGRAD_LEAST = 12e6
# One image's tiles past this many bytes fall out of the cache, and no order of blocks made up for it.
_WINOGRAD_BYTES = 64 << 20
# A window of at most so many numbers, such as 3 x 3 of three colours, is too thin for XLA's convolution.
_THIN = 64
# YNN leaves convolutions of so few filters to XLA's own code, which is slower in the forward.
_FEW_FILTERS = 16
# Where the data are so many times larger than the result, XLA's gradient of the data multiplies mostly zeros.
_WIDER = 1.5
# On images of so few pixels it is slow too: 0.2 ms against 0.06 for 8 of 1 x 2, 128 channels to 64.
_FEW = 4


def _winograd_pays(a: Any, data: Any) -> bool:
    channels, filters = data.shape[-1], a.num_filter
    products = math.prod(_steps(a).out(a, data)) * data.shape[0] * math.prod(a.kernel) * channels * filters
    return (
        channels * filters >= _WINOGRAD_GAIN * (channels + filters)
        and 2 * products >= _WINOGRAD_LEAST
        and _between(a, data) <= _WINOGRAD_BYTES
    )


def _forward(a: Any, data: Any) -> str:
    """Return the way of a training forward."""

    def can(name: str) -> bool:
        return WAYS[name].applies(a, [data], "cpu")

    if can("winograd") and _winograd_pays(a, data):
        return "winograd"
    if can("paired") and a.num_filter <= _FEW_FILTERS:
        return "paired"
    return "spaced" if can("spaced") else "xla"


def _data_gradient(a: Any, data: Any) -> str:
    """Return the way of the gradient of data."""
    head = jax.ShapeDtypeStruct((data.shape[0], *_steps(a).out(a, data), a.num_filter), data.dtype)
    turned = _turned(a, data)
    if turned is not None and WAYS["winograd"].applies(turned, [head], "cpu") and _winograd_pays(turned, head):
        return "winograd"
    return "columns" if _WIDER * math.prod(head.shape[1:-1]) <= math.prod(data.shape[1:-1]) else "xla"


def choose(a: Any, specs: Sequence[Any], platform: str, train: bool = False) -> str | None:
    """Return the name of the strategy that is likely to be fastest, None for the plain convolution.

    The rules are measured on one core with AVX2, batches of 1 and 8, with XLA's library YNN off; those of training at
    batches of 8 to 64, with it on.
    """

    def can(name: str) -> bool:
        return WAYS[name].applies(a, specs, platform)

    if platform != "cpu":
        return "xla"
    data = specs[0]
    for name in ("depthwise", "grouped", "dot"):
        if can(name):
            return name
    if train:
        if can("trained") and (_forward(a, data), _data_gradient(a, data)) != ("xla", "xla"):
            return "trained"
        return None
    if can("winograd") and _winograd_pays(a, data):
        return "winograd"
    if can("im2col") and (math.prod(a.kernel) * data.shape[-1] <= _THIN or math.prod(_steps(a).out(a, data)) <= _FEW):
        return "im2col"
    return "spaced" if can("spaced") else "xla"
