"""Small convolutional networks, built on the module given as ``mx`` (MXNet or symjit)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from network import Network


def _conv(
    mx: ModuleType,
    data: Any,
    filters: int,
    name: str,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    act: str | None = "relu",
    fix_gamma: bool = False,
) -> Any:
    """Return convolution, BatchNorm and, unless ``act`` is None, an activation."""
    half = kernel // 2
    x = mx.sym.Convolution(
        data,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(half, half),
        num_filter=filters,
        num_group=groups,
        no_bias=True,
        name=f"{name}_conv",
    )
    x = mx.sym.BatchNorm(x, fix_gamma=fix_gamma, eps=1e-3, name=f"{name}_bn")
    if act == "relu6":
        return mx.sym.clip(x, a_min=0, a_max=6, name=f"{name}_clip")
    return x if act is None else mx.sym.Activation(x, act_type=act, name=f"{name}_{act}")


def convolutional(mx: ModuleType) -> Network:
    """LeNet-like: fix_gamma both ways, max and average pooling, a convolution with bias, dropout of nothing."""
    x = mx.sym.Variable("data")
    x = mx.sym.Convolution(x, kernel=(3, 3), num_filter=6, name="conv1")
    x = mx.sym.BatchNorm(x, name="bn1")  # fix_gamma is True by default: the file's gamma counts for nothing
    x = mx.sym.Activation(x, act_type="relu", name="relu1")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool1")
    x = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), dilate=(1, 1), num_filter=8, no_bias=True, name="conv2")
    x = mx.sym.BatchNorm(x, fix_gamma=False, eps=2e-5, momentum=0.8, name="bn2")
    x = mx.sym.Activation(x, act_type="tanh", name="tanh2")
    x = mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", name="pool2")
    x = mx.sym.Flatten(x, name="flatten")
    x = mx.sym.Dropout(x, p=0.0, name="drop")
    x = mx.sym.FullyConnected(x, num_hidden=12, name="fc1")
    x = mx.sym.BatchNorm(x, fix_gamma=False, use_global_stats=True, name="bn3")
    x = mx.sym.Activation(x, act_type="sigmoid", name="sigmoid3")
    x = mx.sym.FullyConnected(x, num_hidden=5, name="fc2")
    x = mx.sym.SoftmaxOutput(x, name="softmax")
    return Network(x, {"data": (4, 3, 12, 12)}, labels={"softmax_label": 5})


def residual(mx: ModuleType) -> Network:
    """ResNet-like: identity and projection shortcuts, global average pooling, pre-activation at the end."""
    x = mx.sym.Variable("data")
    x = mx.sym.BatchNorm(x, fix_gamma=True, eps=2e-5, name="bn_data")
    x = _conv(mx, x, 6, "stem")
    branch = _conv(mx, _conv(mx, x, 6, "unit1_a"), 6, "unit1_b", act=None)
    x = mx.sym.Activation(branch + x, act_type="relu", name="unit1_relu")
    branch = _conv(mx, _conv(mx, _conv(mx, x, 4, "unit2_a", 1, 2), 4, "unit2_b"), 8, "unit2_c", 1, act=None)
    shortcut = _conv(mx, x, 8, "unit2_sc", 1, 2, act=None)
    x = mx.sym.Activation(mx.sym.elemwise_add(branch, shortcut, name="unit2_add"), act_type="relu", name="unit2_relu")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name="bn_last"), act_type="relu", name="relu_last")
    x = mx.sym.Pooling(x, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool_last")
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=4, name="fc")
    x = mx.sym.SoftmaxOutput(x, name="softmax", normalization="batch")
    return Network(x, {"data": (3, 3, 8, 8)}, labels={"softmax_label": 4})


def depthwise(mx: ModuleType) -> Network:
    """MobileNet-like: depthwise and grouped convolutions, relu6 as clip, an inverted residual, 1x1 classifier."""
    x = _conv(mx, mx.sym.Variable("data"), 8, "first", 3, 2, act="relu6")
    x = _conv(mx, _conv(mx, x, 8, "dw1", 3, 1, groups=8, act="relu6"), 6, "pw1", 1, act=None)
    y = _conv(mx, _conv(mx, x, 12, "expand2", 1, act="relu6"), 12, "dw2", 5, 1, groups=12, act="relu6")
    x = x + _conv(mx, y, 6, "project2", 1, act=None)
    x = _conv(mx, x, 12, "grouped3", 3, 2, groups=3, act="relu6")
    x = mx.sym.Pooling(x, global_pool=True, kernel=(1, 1), pool_type="avg", name="pool")
    x = mx.sym.Convolution(x, kernel=(1, 1), num_filter=5, name="fc")
    x = mx.sym.Reshape(x, shape=(0, -1), name="reshape")
    x = mx.sym.SoftmaxOutput(x, name="softmax", smooth_alpha=0.1, grad_scale=0.5)
    return Network(x, {"data": (3, 3, 12, 12)}, labels={"softmax_label": 5})


def inception(mx: ModuleType) -> Network:
    """Inception-like: Concat of 1x1, 3x3, 5x5 and pooled branches, 1xN and Nx1 kernels, twice."""
    x = _conv(mx, mx.sym.Variable("data"), 6, "stem")
    for i in (1, 2):
        one = _conv(mx, x, 4, f"in{i}_1x1", 1)
        three = _conv(mx, _conv(mx, x, 3, f"in{i}_3x3r", 1), 4, f"in{i}_3x3")
        five = _conv(mx, _conv(mx, x, 2, f"in{i}_5x5r", 1), 3, f"in{i}_5x5", 5, fix_gamma=True)
        line = mx.sym.Convolution(x, kernel=(1, 3), pad=(0, 1), num_filter=2, name=f"in{i}_1x3")
        line = mx.sym.Convolution(line, kernel=(3, 1), pad=(1, 0), num_filter=2, name=f"in{i}_3x1")
        pooled = mx.sym.Pooling(
            x, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="max" if i == 1 else "avg", name=f"in{i}_pool"
        )
        pooled = _conv(mx, pooled, 3, f"in{i}_proj", 1)
        x = mx.sym.Concat(one, three, five, line, pooled, name=f"in{i}_concat")
    x = mx.sym.Pooling(x, global_pool=True, kernel=(8, 8), pool_type="avg", name="global_pool")
    x = mx.sym.FullyConnected(x, num_hidden=6, name="fc")
    x = mx.sym.SoftmaxOutput(x, name="softmax", normalization="valid", use_ignore=True, ignore_label=2)
    return Network(x, {"data": (3, 2, 6, 6)}, labels={"softmax_label": 6})


def segmentation(mx: ModuleType) -> Network:
    """Encoder-decoder: Deconvolution, UpSampling both ways, Crop both ways, a softmax per pixel with some ignored."""
    data = mx.sym.Variable("data")
    low = _conv(mx, data, 6, "down1", 3, 2)
    deep = _conv(mx, low, 8, "down2", 3, 2)
    up = mx.sym.Deconvolution(
        deep, kernel=(4, 4), stride=(2, 2), num_filter=6, adj=(1, 1), no_bias=False, name="up_deconv"
    )
    up = mx.sym.Crop(up, low, offset=(1, 1), name="up_crop")
    nearest = mx.sym.UpSampling(deep, scale=2, sample_type="nearest", name="up_nearest")
    bilinear = mx.sym.UpSampling(
        mx.sym.Convolution(deep, kernel=(1, 1), num_filter=4, name="score_deep"),
        scale=2,
        sample_type="bilinear",
        num_filter=4,
        num_args=2,
        name="up_bilinear",
    )
    x = mx.sym.Concat(up + low, nearest, bilinear, dim=1, name="skip")
    x = _conv(mx, x, 5, "fuse")
    x = mx.sym.Deconvolution(
        x, kernel=(2, 2), stride=(2, 2), pad=(0, 0), num_filter=5, num_group=5, no_bias=True, name="up_last"
    )
    x = mx.sym.Crop(x, h_w=(10, 9), center_crop=True, name="score")
    x = mx.sym.SoftmaxOutput(
        x, multi_output=True, use_ignore=True, ignore_label=255, normalization="valid", name="softmax"
    )
    return Network(x, {"data": (2, 3, 12, 12)}, labels={"softmax_label": 5}, ignored=255)


def activations(mx: ModuleType) -> Network:
    """PReLU, leaky, ELU, LRN, L2Normalization, SliceChannel, Pad three ways, pooling that rounds up, sums and norms."""
    x = mx.sym.Variable("data")
    x = mx.sym.Pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 2, 2), name="pad_reflect")
    x = mx.sym.Convolution(x, kernel=(3, 3), num_filter=8, name="conv1")
    x = mx.sym.LeakyReLU(x, act_type="prelu", name="prelu1")
    x = mx.sym.LRN(x, nsize=5, alpha=0.3, beta=0.6, knorm=1.5, name="lrn1")
    x = mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pool_type="max", pooling_convention="full", name="pool_full")
    parts = mx.sym.SliceChannel(x, num_outputs=4, axis=1, name="slice")
    leaky = mx.sym.LeakyReLU(parts[0], act_type="leaky", slope=0.2, name="leaky")
    elu = mx.sym.LeakyReLU(parts[1], act_type="elu", slope=0.7, name="elu")
    padded = mx.sym.Pad(parts[2], mode="constant", constant_value=0.3, pad_width=(0, 0, 0, 0, 1, 0, 0, 1), name="pad_c")
    padded = mx.sym.Pooling(padded, kernel=(2, 2), stride=(1, 1), pool_type="sum", name="pool_sum")
    edged = mx.sym.Pad(parts[3], mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 1, 1), name="pad_edge")
    edged = mx.sym.Pooling(edged, kernel=(3, 3), stride=(1, 1), pool_type="lp", p_value=2, name="pool_lp")
    x = mx.sym.Concat(leaky, elu, padded, edged, name="joined")
    x = mx.sym.L2Normalization(x, mode="channel", name="l2_channel")
    x = mx.sym.Pooling(
        x,
        kernel=(2, 2),
        stride=(2, 2),
        pad=(1, 1),
        pool_type="avg",
        pooling_convention="full",
        count_include_pad=False,
        name="pool_avg_full",
    )
    x = mx.sym.LeakyReLU(mx.sym.FullyConnected(x, num_hidden=7, name="fc1"), act_type="selu", name="selu")
    x = mx.sym.LeakyReLU(mx.sym.FullyConnected(x, num_hidden=6, name="fc2"), act_type="gelu", name="gelu")
    x = mx.sym.L2Normalization(x, mode="instance", name="feature")
    return Network(x, {"data": (2, 3, 8, 9)})


def style(mx: ModuleType) -> Network:
    """Style transfer: reflection padding, InstanceNorm, a residual block, upsampling, tanh, and a Gram matrix."""
    x = mx.sym.Variable("data")

    def block(x: Any, filters: int, name: str, stride: int = 1, relu: bool = True) -> Any:
        x = mx.sym.Pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
        # No bias: InstanceNorm takes it out again and its gradient would be rounding noise.
        x = mx.sym.Convolution(
            x, kernel=(3, 3), stride=(stride, stride), num_filter=filters, no_bias=True, name=f"{name}_conv"
        )
        x = mx.sym.InstanceNorm(x, eps=1e-3, name=f"{name}_in")
        return mx.sym.relu(x, name=f"{name}_relu") if relu else x

    x = block(x, 6, "down", 2)
    x = x + block(block(x, 6, "res_a"), 6, "res_b", relu=False)
    x = mx.sym.broadcast_add(x, mx.sym.GroupNorm(x, num_groups=3, name="gn") * 0.5)
    flat = mx.sym.Reshape(x, shape=(-3, -1), name="flat")
    gram = mx.sym.dot(flat, flat, transpose_b=True, name="gram") / 18.0
    x = mx.sym.UpSampling(x, scale=2, sample_type="nearest", name="up")
    x = block(x, 3, "last", relu=False)
    image = 0.5 - mx.sym.tanh(x) * 0.5
    return Network(mx.sym.Group([image, gram]), {"data": (2, 3, 8, 8)})


NETWORKS = {f.__name__: f for f in (convolutional, residual, depthwise, inception, segmentation, activations, style)}
