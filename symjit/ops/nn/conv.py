"""Convolutions and what is made of them: Convolution, Deconvolution, UpSampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from symjit.ops.attrs import NonNegativeInt, PositiveInt
from symjit.ops.derived import absorbs, namespace, strategy
from symjit.ops.nn.layouts import image_layout, moved_layout, per_axis, spatial_axes
from symjit.ops.nn.strategies import WAYS, choose
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, window, window_input

__all__: list[str] = []

_IGNORED = ("workspace", "cudnn_tune", "cudnn_off")
_LAYOUTS = ("NCW", "NCHW", "NCDHW", "NHWC", "NDHWC")


def _convolve(
    data: Any,
    weight: Any,
    layout: str,
    stride: tuple[int, ...],
    dilate: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
    groups: int,
) -> Any:
    # The weight stands as the image does, with O for N and I for C: OIHW beside NCHW, OHWI beside NHWC.
    kernel_layout = layout.replace("N", "O").replace("C", "I")
    return lax.conv_general_dilated(
        data,
        weight,
        stride,
        padding,
        rhs_dilation=dilate,
        dimension_numbers=(layout, kernel_layout, layout),
        feature_group_count=groups,
        precision=lax.Precision.HIGHEST,
    )


def _add_bias(out: Any, bias: Any, layout: str) -> Any:
    return out if bias is None else out + jnp.expand_dims(bias, [i for i in range(out.ndim) if layout[i] != "C"])


def _check_rank(shape: Any, layout: str) -> None:
    if len(shape) != len(layout):
        raise ValueError(
            f"data must have {len(layout)} dimensions ({layout}) for a {len(layout) - 2}-D kernel, got {len(shape)}"
        )


def _arranged(layout: str, batch: Any, channel: Any, spatial: Any) -> tuple[Any, ...]:
    """Return the dimensions in the order of a layout."""
    rest = iter(spatial)
    return tuple(batch if letter == "N" else channel if letter == "C" else next(rest) for letter in layout)


def _divided(channels: Any, groups: int, what: str) -> Any:
    if channels is None:
        return None
    if isinstance(channels, int) and channels % groups:
        raise ValueError(f"{what} {channels} can not be divided into num_group={groups} groups")
    return channels // groups


class _Plan:
    """The attributes of a convolution, one value per spatial axis, checked against data's shape and the result's."""

    def __init__(
        self,
        shape: Any,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        dilate: tuple[int, ...],
        pad: tuple[int, ...],
        num_group: int,
        layout: str | None,
        result: Any = None,
    ) -> None:
        ndim = len(kernel)
        self.order = order = image_layout(layout, ndim)
        _check_rank(shape, order)
        self.stride, self.dilate = per_axis("stride", stride, ndim, 1), per_axis("dilate", dilate, ndim, 1)
        self.pad = per_axis("pad", pad, ndim, 0)
        self.groups, self.channels = num_group, shape[order.index("C")]
        self.per_group = _divided(self.channels, num_group, "the number of channels")
        steps = list(zip(kernel, self.stride, self.pad, self.dilate, strict=True))
        self.sizes = [shape[i] for i in spatial_axes(order)]
        if result is not None and len(result) == len(order):
            counts = [result[i] for i in spatial_axes(order)]
            self.sizes = [window_input(*sizes, *step) for *sizes, step in zip(self.sizes, counts, steps, strict=True)]
        self.out = [window(size, *step) for size, step in zip(self.sizes, steps, strict=True)]
        for size, out, (k, _, p, d) in zip(self.sizes, self.out, steps, strict=True):
            if isinstance(out, int) and out < 1:
                raise ValueError(f"the kernel spans {d * (k - 1) + 1}, more than the padded input: {size} + 2 * {p}")


def _convolution(data: Any, weight: Any, bias: Any, plan: _Plan) -> Any:
    padding = [(p, p) for p in plan.pad]
    out = _convolve(data, weight, plan.order, plan.stride, plan.dilate, padding, plan.groups)
    return _add_bias(out, bias, plan.order)


def _convolution_shapes(a: Any, s: Known) -> dict[str, Any]:
    data: Any = s.data if s.data is not None else (None,) * (len(a.kernel) + 2)
    out, weight = s.out[0], s.get("weight")
    plan = _Plan(data, a.kernel, a.stride, a.dilate, a.pad, a.num_group, a.layout, out)
    order = plan.order
    _divided(a.num_filter, a.num_group, "num_filter")
    batch = data[0] if data[0] is not None or out is None else out[0]
    channels = plan.channels
    if channels is None and weight is not None and len(weight) == len(order):
        per_group = weight[order.index("C")]
        channels = None if per_group is None else per_group * a.num_group
    return {
        "data": _arranged(order, batch, channels, plan.sizes),
        "weight": _arranged(order, a.num_filter, plan.per_group, a.kernel),
        "bias": (a.num_filter,),
        "out": _arranged(order, batch, a.num_filter, plan.out),
    }


def _no_bias(a: Any) -> tuple[str, ...]:
    return ("bias",) if a.no_bias else ()


@op(
    "Convolution",
    params=("weight", "bias"),
    absent=_no_bias,
    ignored=_IGNORED,
    cast="low",
    rows=True,
)
def convolution(
    data: Any,
    weight: Any,
    bias: Any = None,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] = (),
    dilate: tuple[int, ...] = (),
    pad: tuple[int, ...] = (),
    num_filter: PositiveInt,
    num_group: PositiveInt = 1,
    no_bias: bool = False,
    layout: Literal["NCW", "NCHW", "NCDHW", "NHWC", "NDHWC"] | None = None,
) -> Any:
    """Correlate images with filters, over 1, 2 or 3 spatial axes.

    data (N, C, *spatial), weight (num_filter, C / num_group, *kernel), bias (num_filter,) -> (N, num_filter, *out) with
    ``out = floor((in + 2 pad - dilate (kernel - 1) - 1) / stride) + 1``. Under NHWC and NDHWC, data and result have the
    channel last and the weight is (num_filter, *kernel, C / num_group); MXNet runs these on GPU only.
    """
    return _convolution(data, weight, bias, _Plan(data.shape, kernel, stride, dilate, pad, num_group, layout))


@op(
    "Convolution_v1",
    params=("weight", "bias"),
    absent=_no_bias,
    ignored=_IGNORED,
    cast="low",
    rows=True,
)
def convolution_v1(
    data: Any,
    weight: Any,
    bias: Any = None,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] = (),
    dilate: tuple[int, ...] = (),
    pad: tuple[int, ...] = (),
    num_filter: PositiveInt,
    num_group: PositiveInt = 1,
    no_bias: bool = False,
    layout: Literal["NCHW", "NCDHW", "NHWC", "NDHWC"] | None = None,
) -> Any:
    """Correlate images with filters, as `Convolution` does; the operator of old files.

    The gradient is the true one; MXNet's is wrong for data where stride and dilation both exceed 1 on an axis.
    """
    return _convolution(data, weight, bias, _Plan(data.shape, kernel, stride, dilate, pad, num_group, layout))


def _running(run: Callable[[Any, Any, Any, Any], Any]) -> Callable[..., Any]:
    def rule(a: Any, data: Any, weight: Any, bias: Any = None) -> Any:
        return run(a, data, weight, bias)

    return rule


def _channel_axis(a: Any, rank: int) -> int:
    return image_layout(a.layout, len(a.kernel)).index("C")


def _unpadded_channel_axis(a: Any, rank: int) -> int | None:
    # Padding is zero after a map of the data, and its shift before it.
    return None if any(a.pad) else _channel_axis(a, rank)


def _after(a: Any, weight: Any, scale: Any, shift: Any, bias: Any = None) -> tuple[Any, Any]:
    scaled = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return scaled, shift if bias is None else bias * scale + shift


def _before(a: Any, weight: Any, scale: Any, shift: Any, bias: Any = None) -> tuple[Any, Any]:
    # A filter sees the channels of its own group alone.
    groups, out = a.num_group, weight.shape[0]
    channels = _channel_axis(a, weight.ndim)
    xp = namespace(weight)
    last = xp.moveaxis(weight, channels, -1)
    by_group = last.reshape(groups, out // groups, -1, last.shape[-1])
    scale, shift = scale.reshape(groups, 1, 1, -1), shift.reshape(groups, 1, 1, -1)
    scaled = xp.moveaxis((by_group * scale).reshape(last.shape), -1, channels)
    moved = xp.sum(by_group * shift, axis=(2, 3), dtype=weight.dtype).reshape(out)
    return scaled, moved if bias is None else bias + moved


for _each in (convolution, convolution_v1):
    _each.shape(_convolution_shapes)
    _each.layout(lambda a, perm: moved_layout(a.layout, perm, _LAYOUTS))
    _each.channels_last = _each.arranged = True
    _each.choose = choose
    for _name, _way in WAYS.items():
        strategy(_each, _name, _way.applies, prepare=_way.prepare)(_running(_way.run))
    absorbs(_each, "after", _channel_axis, no_bias="False")(_after)
    absorbs(_each, "before", _unpadded_channel_axis, no_bias="False")(_before)


# Deconvolution --------------------------------------------------------------------------------------------------------


def _transposed_axis(size: Any, kernel: int, stride: int, dilate: int, pad: int, adj: int, target: int | None) -> Any:
    """Return ``(pad, adj, output size)`` of one spatial axis; `target` overrides `pad` and `adj`."""
    full = None if size is None else stride * (size - 1) + dilate * (kernel - 1) + 1
    if target is None:
        return pad, adj, None if full is None else full - 2 * pad + adj
    if full is None:
        return pad, adj, target or None
    surplus = full - target
    if isinstance(surplus, int) and surplus < 0:
        raise ValueError(f"target_shape {target} is larger than {full}, all that the input of size {size} reaches")
    return (surplus + 1) // 2, surplus % 2, target


def _transposed_axes(
    sizes: list[Any],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilate: tuple[int, ...],
    pad: tuple[int, ...],
    adj: tuple[int, ...],
    target_shape: tuple[int, ...],
) -> list[Any]:
    ndim = len(kernel)
    stride, dilate = per_axis("stride", stride, ndim, 1), per_axis("dilate", dilate, ndim, 1)
    pad, adj = per_axis("pad", pad, ndim, 0), per_axis("adj", adj, ndim, 0)
    targets: tuple[int | None, ...] = (None,) * ndim
    if any(target_shape):
        targets = per_axis("target_shape", target_shape, ndim, 0)
    elif any(more >= step for more, step in zip(adj, stride, strict=True)):
        raise ValueError(f"adj {adj} must be smaller than stride {stride}")
    return [_transposed_axis(*axis) for axis in zip(sizes, kernel, stride, dilate, pad, adj, targets, strict=True)]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _transposed(data: Any, weight: Any, out: tuple[Any, ...], options: tuple[Any, ...]) -> Any:
    """Return the transpose, in the image, of ``_convolve(image, weight, *options)``; `out` is the image's shape."""
    image = jax.ShapeDtypeStruct(out, data.dtype)
    return jax.linear_transpose(lambda x: _convolve(x, weight, *options), image)(data)[0]


def _transposed_forward(data: Any, weight: Any, out: Any, options: Any) -> tuple[Any, Any]:
    return _transposed(data, weight, out, options), (data, weight)


def _transposed_backward(out: Any, options: Any, kept: Any, head: Any) -> tuple[Any, Any]:
    # <transposed(data, w), head> = <data, convolve(head, w)>: a plain convolution's forward and weight gradient, many
    # times faster than what differentiating the transpose gives.
    data, weight = kept
    towards_data, back = jax.vjp(lambda w: _convolve(head, w, *options), weight)
    return towards_data, back(data)[0]


_transposed.defvjp(_transposed_forward, _transposed_backward)


@op(
    "Deconvolution",
    params=("weight", "bias"),
    absent=_no_bias,
    ignored=_IGNORED,
    cast="low",
    rows=True,
)
def deconvolution(
    data: Any,
    weight: Any,
    bias: Any = None,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] = (),
    dilate: tuple[int, ...] = (),
    pad: tuple[int, ...] = (),
    adj: tuple[int, ...] = (),
    target_shape: tuple[int, ...] = (),
    num_filter: PositiveInt,
    num_group: PositiveInt = 1,
    no_bias: bool = True,
    layout: Literal["NCW", "NCHW", "NCDHW", "NHWC", "NDHWC"] | None = None,
) -> Any:
    """Apply the transpose of `Convolution`, over 1, 2 or 3 spatial axes.

    data (N, C, *spatial), weight (C, num_filter / num_group, *kernel), bias (num_filter,) -> (N, num_filter, *out) with
    ``out = stride (in - 1) + dilate (kernel - 1) + 1 - 2 pad + adj``. A non-zero `target_shape` is the output's size:
    `pad` and `adj` are then ignored and follow from it. There is no bias by default. Under NHWC and NDHWC the
    weight is (C, *kernel, num_filter / num_group).
    """
    ndim = len(kernel)
    order = image_layout(layout, ndim)
    _check_rank(data.shape, order)
    _divided(data.shape[order.index("C")], num_group, "the number of channels")
    sizes = [data.shape[i] for i in spatial_axes(order)]
    axes = _transposed_axes(sizes, kernel, stride, dilate, pad, adj, target_shape)
    steps, gaps = per_axis("stride", stride, ndim, 1), per_axis("dilate", dilate, ndim, 1)
    # adj rows at the end are reached by no window of the convolution unless its padding is shortened by as much.
    padding = tuple((low, low - more) for low, more, _ in axes)
    out = _arranged(order, data.shape[0], num_filter, [size for _, _, size in axes])
    return _add_bias(_transposed(data, weight, out, (order, steps, gaps, padding, num_group)), bias, order)


@deconvolution.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    order = image_layout(a.layout, len(a.kernel))
    c, spatial = order.index("C"), spatial_axes(order)
    data: Any = s.data if s.data is not None else (None,) * len(order)
    _check_rank(data, order)
    _divided(data[c], a.num_group, "the number of channels")
    out, weight = s.out[0], s.get("weight")
    batch = data[0] if data[0] is not None or out is None else out[0]
    channels = data[c] if data[c] is not None or weight is None else weight[0]
    axes = _transposed_axes([data[i] for i in spatial], a.kernel, a.stride, a.dilate, a.pad, a.adj, a.target_shape)
    return {
        "data": _arranged(order, batch, channels, [data[i] for i in spatial]),
        "weight": _arranged(order, channels, _divided(a.num_filter, a.num_group, "num_filter"), a.kernel),
        "bias": (a.num_filter,),
        "out": _arranged(order, batch, a.num_filter, [size for _, _, size in axes]),
    }


@deconvolution.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return moved_layout(a.layout, perm, _LAYOUTS)


deconvolution.channels_last = deconvolution.arranged = True


@absorbs(deconvolution, "after", _channel_axis, no_bias="False")
def _(a: Any, weight: Any, scale: Any, shift: Any, bias: Any = None) -> tuple[Any, Any]:
    # The weight is (C, num_filter / groups, ...): channels of the first group come first on its first axis.
    filters = _channel_axis(a, weight.ndim)
    by_group = weight.reshape(a.num_group, -1, *weight.shape[1:])
    others = tuple(i for i in range(1, by_group.ndim) if i != filters + 1)
    factors = namespace(weight).expand_dims(scale.reshape(a.num_group, -1), others)
    return (by_group * factors).reshape(weight.shape), shift if bias is None else bias * scale + shift


# UpSampling -----------------------------------------------------------------------------------------------------------


def _upsampling_inputs(a: Any) -> tuple[str, ...]:
    if a.sample_type == "bilinear":
        return "data", "weight"
    return tuple(f"arg{i}" for i in range(a.num_args))


def _bilinear_kernel(scale: int) -> tuple[int, int]:
    """Return kernel size and padding of the deconvolution that enlarges by `scale`."""
    return 2 * scale - scale % 2, scale // 2


def _enlarge(data: Any, height: Any, width: Any) -> Any:
    n, c, h, w = data.shape
    by = height // h
    if (h * by, w * by) != (height, width):
        raise ValueError(f"an input of {h} x {w} can not be enlarged to {height} x {width}: not a whole multiple")
    if by == 1:
        return data
    return jnp.broadcast_to(data[:, :, :, None, :, None], (n, c, h, by, w, by)).reshape(n, c, height, width)


@op(
    "UpSampling",
    inputs=_upsampling_inputs,
    params=("weight",),
    init={"weight": '["bilinear", {}]'},
    ignored=("workspace",),
    cast="any",
    rows=True,
)
def upsampling(
    *args: Any,
    scale: PositiveInt,
    num_filter: NonNegativeInt = 0,
    sample_type: Literal["nearest", "bilinear"],
    multi_input_mode: Literal["concat", "sum"] = "concat",
    num_args: PositiveInt,
) -> Any:
    """Enlarge images.

    ``nearest``: every input (N, C, h, w) is repeated up to the first one's height and width times `scale`, then all
    are joined along the channels, or summed. ``bilinear``: data (N, num_filter, h, w) goes through a `Deconvolution`
    of one filter per channel with weight (num_filter, 1, k, k), ``k = 2 scale - scale % 2``, which interpolates only
    if the weight holds the bilinear kernel (its initial value).
    """
    for data in args:
        if data.ndim != 4:
            raise ValueError(f"every input must have 4 dimensions, got {data.ndim}")
    if sample_type == "bilinear":
        k, pad = _bilinear_kernel(scale)
        return deconvolution(
            *args, kernel=(k, k), stride=(scale, scale), pad=(pad, pad), num_filter=num_filter, num_group=num_filter
        )
    height, width = (size * scale for size in args[0].shape[2:])
    grown = [_enlarge(x, height, width) for x in args]
    if len(grown) == 1:
        return grown[0]
    return sum(grown[1:], grown[0]) if multi_input_mode == "sum" else jnp.concatenate(grown, axis=1)


@upsampling.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    out = s.out[0]
    first: PartialShape = s.args[0]
    if first is None or len(first) != 4:
        return {"args": [None, *_weight_shape(a)]} if a.sample_type == "bilinear" else {}
    batch = first[0] if first[0] is not None or out is None else out[0]
    size = [None if d is None else d * a.scale for d in first[2:]]
    if a.sample_type == "bilinear":
        return {"args": [(batch, a.num_filter, *first[2:]), *_weight_shape(a)], "out": (batch, a.num_filter, *size)}
    inputs = [shape if shape is not None and len(shape) == 4 else (None,) * 4 for shape in s.args]
    if a.multi_input_mode == "sum":
        channels = next((shape[1] for shape in inputs if shape[1] is not None), None)
        inputs = [(shape[0], channels, *shape[2:]) for shape in inputs]
    else:
        counts = [shape[1] for shape in inputs]
        channels = None if None in counts else sum(counts)  # type: ignore[arg-type]
    return {"args": [(batch, *shape[1:]) for shape in inputs], "out": (batch, channels, *size)}


def _weight_shape(a: Any) -> list[PartialShape]:
    k, _ = _bilinear_kernel(a.scale)
    return [(a.num_filter, 1, k, k)]
