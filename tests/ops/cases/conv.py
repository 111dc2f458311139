"""Cases of ``symjit/ops/nn/conv.py``."""

import itertools

import numpy as np

from tests.ops.case import Case, Draw


def correlate(data, weight, bias=None, *, stride=1, pad=0, dilate=1, groups=1, last=False):
    """Convolution from its definition, one output position at a time; equal values on all spatial axes."""
    dtype = data.dtype
    data, weight = np.asarray(data, np.float64), np.asarray(weight, np.float64)
    if last:
        data, weight = np.moveaxis(data, -1, 1), np.moveaxis(weight, -1, 1)
    spatial = data.ndim - 2
    data = np.pad(data, [(0, 0), (0, 0)] + [(pad, pad)] * spatial)
    out = [(n - dilate * (k - 1) - 1) // stride + 1 for n, k in zip(data.shape[2:], weight.shape[2:], strict=True)]
    filters, channels = weight.shape[0] // groups, data.shape[1] // groups
    result = np.zeros((data.shape[0], weight.shape[0], *out))
    for at in itertools.product(*map(range, out)):
        for tap in itertools.product(*map(range, weight.shape[2:])):
            here = data[(slice(None), slice(None), *[p * stride + t * dilate for p, t in zip(at, tap, strict=True)])]
            for g in range(groups):
                rows, columns = slice(g * filters, (g + 1) * filters), slice(g * channels, (g + 1) * channels)
                result[(slice(None), rows, *at)] += here[:, columns] @ weight[(rows, slice(None), *tap)].T
    if bias is not None:
        result += np.asarray(bias, np.float64).reshape(1, -1, *[1] * spatial)
    return (np.moveaxis(result, 1, -1) if last else result).astype(dtype)


def spread(data, weight, *, stride=1, pad=0, dilate=1, adj=0, groups=1, last=False):
    """Deconvolution from its definition: every input element adds its multiple of the filter to the output."""
    dtype = data.dtype
    data, weight = np.asarray(data, np.float64), np.asarray(weight, np.float64)
    if last:
        data, weight = np.moveaxis(data, -1, 1), np.moveaxis(weight, -1, 1)
    spatial, size = data.ndim - 2, data.shape[2:]
    full = [stride * (n - 1) + dilate * (k - 1) + 1 + adj for n, k in zip(size, weight.shape[2:], strict=True)]
    filters, channels = weight.shape[1], data.shape[1] // groups
    result = np.zeros((data.shape[0], filters * groups, *full))
    for at in itertools.product(*map(range, size)):
        for tap in itertools.product(*map(range, weight.shape[2:])):
            place = [p * stride + t * dilate for p, t in zip(at, tap, strict=True)]
            for g in range(groups):
                rows, columns = slice(g * filters, (g + 1) * filters), slice(g * channels, (g + 1) * channels)
                here = data[(slice(None), columns, *at)]
                result[(slice(None), rows, *place)] += here @ weight[(columns, slice(None), *tap)]
    result = result[(slice(None), slice(None), *[slice(pad, n - pad) for n in full])]
    assert result.ndim == spatial + 2
    return (np.moveaxis(result, 1, -1) if last else result).astype(dtype)


NHWC = "MXNet runs channel-last convolutions on GPU only"
HALF = "MXNet has no float16 matrix product on CPU"


def conv(tag, data, filters, kernel, *, op="Convolution", groups=1, bias=True, dtype="float32", **attrs):
    """Return a case with weights of the right shape."""
    inputs = [Draw(data, dtype=dtype), Draw((filters, data[1] // groups, *kernel), dtype=dtype)]
    attrs = {"kernel": kernel, "num_filter": filters, **attrs}
    if groups != 1:
        attrs["num_group"] = groups
    if bias:
        inputs.append(Draw((filters,), dtype=dtype))
    else:
        attrs["no_bias"] = True
    return Case(op, inputs, attrs, tag)


def deconv(tag, data, filters, kernel, *, groups=1, bias=False, dtype="float32", **attrs):
    """Return a case with weights of the right shape."""
    inputs = [Draw(data, dtype=dtype), Draw((data[1], filters // groups, *kernel), dtype=dtype)]
    attrs = {"kernel": kernel, "num_filter": filters, **attrs}
    if groups != 1:
        attrs["num_group"] = groups
    if bias:
        inputs.append(Draw((filters,), dtype=dtype))
        attrs["no_bias"] = False
    return Case("Deconvolution", inputs, attrs, tag)


def last(op, tag, shapes, reference, attrs, dtype="float32", reason=NHWC, **how):
    """Return a case with a NumPy reference."""
    inputs = [Draw(shape, dtype=dtype) for shape in shapes]
    return Case(op, inputs, attrs, tag, reference=lambda *x: reference(*x, **how), reason=reason)


CASES = [
    # Convolution: rank, stride, padding, dilation, groups, bias
    conv("plain", (2, 3, 5, 6), 4, (3, 3)),
    conv("no-bias", (2, 3, 5, 6), 4, (3, 3), bias=False),
    conv("strided", (2, 3, 7, 6), 4, (3, 2), stride=(2, 3), pad=(1, 2)),
    conv("dilated", (1, 2, 8, 9), 3, (3, 2), dilate=(2, 3), pad=(2, 1)),
    conv("everything", (2, 4, 8, 9), 6, (3, 2), groups=2, stride=(2, 1), dilate=(1, 2), pad=(0, 1)),
    conv("wide-pad", (1, 1, 2, 3), 1, (2, 2), pad=(3, 2)),
    conv("pointwise", (2, 3, 4, 4), 5, (1, 1), bias=False),
    conv("pointwise-strided", (2, 3, 5, 4), 5, (1, 1), stride=(2, 2)),
    conv("grouped", (1, 4, 5, 5), 6, (3, 3), groups=2),
    conv("depthwise", (2, 3, 5, 5), 3, (3, 3), groups=3, pad=(1, 1), bias=False),
    conv("depthwise-bias", (2, 3, 5, 5), 3, (3, 3), groups=3, pad=(1, 1), stride=(2, 2)),
    conv("depthwise-multiplier", (1, 3, 5, 5), 6, (3, 3), groups=3, dilate=(2, 2)),
    conv("one-pixel", (1, 1, 1, 1), 1, (1, 1)),
    conv("asymmetric", (1, 2, 4, 7), 2, (1, 7), pad=(0, 3)),
    conv("1d", (2, 3, 8), 4, (3,)),
    conv("1d-everything", (2, 4, 9), 6, (3,), groups=2, stride=(2,), dilate=(2,), pad=(1,), layout="NCW"),
    conv("3d", (1, 2, 4, 5, 3), 3, (2, 3, 2)),
    conv("3d-everything", (1, 4, 4, 5, 6), 2, (2, 3, 2), groups=2, stride=(1, 2, 2), dilate=(2, 1, 1), pad=(1, 0, 1)),
    conv("3d-layout", (1, 2, 3, 3, 3), 2, (2, 2, 2), layout="NCDHW", bias=False),
    conv("layout", (1, 2, 4, 4), 3, (3, 3), layout="NCHW"),
    conv("float64", (1, 2, 4, 4), 3, (3, 3), dtype="float64"),
    conv("ignored", (1, 2, 4, 4), 3, (3, 3), workspace=512, cudnn_tune="off", cudnn_off=True),
    conv("plain", (2, 3, 5, 6), 4, (3, 3), op="Convolution_v1"),
    conv(
        "everything", (2, 4, 7, 8), 6, (3, 2), op="Convolution_v1", groups=2, stride=(2, 1), dilate=(1, 2), pad=(1, 1)
    ),
    conv("no-bias", (1, 2, 4, 4), 3, (2, 2), op="Convolution_v1", bias=False),
    conv("nchw", (1, 2, 4, 4), 3, (2, 2), op="Convolution_v1", layout="NCHW"),
    last(
        "Convolution",
        "nhwc",
        [(2, 5, 6, 3), (4, 3, 3, 3), (4,)],
        correlate,
        {"kernel": (3, 3), "num_filter": 4, "layout": "NHWC", "stride": (2, 2), "pad": (1, 1)},
        stride=2,
        pad=1,
        last=True,
    ),
    last(
        "Convolution",
        "nhwc-grouped",
        [(1, 6, 6, 4), (6, 2, 2, 2)],
        correlate,
        {"kernel": (2, 2), "num_filter": 6, "layout": "NHWC", "num_group": 2, "no_bias": True, "dilate": (2, 2)},
        dilate=2,
        groups=2,
        last=True,
    ),
    last(
        "Convolution",
        "nhwc-depthwise",
        [(1, 5, 5, 3), (3, 3, 3, 1), (3,)],
        correlate,
        {"kernel": (3, 3), "num_filter": 3, "layout": "NHWC", "num_group": 3, "pad": (1, 1)},
        pad=1,
        groups=3,
        last=True,
    ),
    last(
        "Convolution",
        "ndhwc",
        [(1, 3, 4, 5, 2), (3, 2, 3, 2, 2), (3,)],
        correlate,
        {"kernel": (2, 3, 2), "num_filter": 3, "layout": "NDHWC"},
        last=True,
    ),
    last(
        "Convolution_v1",
        "nhwc",
        [(1, 4, 4, 2), (3, 2, 2, 2), (3,)],
        correlate,
        {"kernel": (2, 2), "num_filter": 3, "layout": "NHWC"},
        last=True,
    ),
    last(
        "Convolution_v1",
        "ncdhw",
        [(1, 2, 3, 4, 3), (3, 2, 2, 2, 2), (3,)],
        correlate,
        {"kernel": (2, 2, 2), "num_filter": 3, "layout": "NCDHW"},
        reason="MXNet 1.9.1 runs the old operator on images only",
    ),
    last(
        "Convolution_v1",
        "ndhwc",
        [(1, 3, 3, 4, 2), (3, 2, 2, 2, 2), (3,)],
        correlate,
        {"kernel": (2, 2, 2), "num_filter": 3, "layout": "NDHWC"},
        last=True,
    ),
    last(
        "Convolution",
        "float16",
        [(1, 3, 5, 5), (4, 3, 3, 3), (4,)],
        correlate,
        {"kernel": (3, 3), "num_filter": 4, "pad": (1, 1)},
        dtype="float16",
        reason=HALF,
        pad=1,
    ),
    # Deconvolution
    deconv("plain", (2, 3, 4, 5), 4, (3, 3)),
    deconv("bias", (2, 3, 4, 5), 4, (3, 3), bias=True),
    deconv("strided", (2, 3, 4, 3), 2, (3, 4), stride=(2, 3), pad=(1, 0)),
    deconv("adj", (1, 2, 3, 4), 2, (3, 3), stride=(2, 3), pad=(1, 1), adj=(1, 2)),
    deconv("dilated", (1, 2, 3, 4), 3, (3, 2), dilate=(2, 3), stride=(2, 1), pad=(1, 1)),
    deconv("grouped", (2, 4, 3, 3), 6, (3, 3), groups=2, stride=(2, 2), pad=(1, 1), bias=True),
    deconv("depthwise", (1, 3, 3, 3), 3, (4, 4), groups=3, stride=(2, 2), pad=(1, 1)),
    deconv("kernel-under-stride", (1, 2, 3, 3), 2, (2, 2), stride=(3, 3)),
    deconv("pointwise", (1, 2, 3, 3), 4, (1, 1)),
    # oneDNN refuses target_shape, so these run in float64, which does not go through it.
    deconv("target-even", (1, 2, 3, 4), 2, (4, 4), stride=(2, 2), target_shape=(6, 8), dtype="float64"),
    deconv("target-odd", (1, 2, 3, 4), 2, (4, 4), stride=(2, 2), target_shape=(7, 7), dtype="float64"),
    deconv(
        "target-beats-pad",
        (1, 2, 3, 4),
        2,
        (4, 4),
        stride=(2, 2),
        target_shape=(6, 7),
        pad=(1, 1),
        adj=(1, 1),
        dtype="float64",
    ),
    deconv("target-zero", (1, 2, 3, 4), 2, (4, 4), stride=(2, 2), target_shape=(0, 0), pad=(1, 1)),
    deconv("1d", (2, 3, 5), 4, (3,)),
    deconv("1d-everything", (2, 4, 5), 6, (3,), groups=2, stride=(3,), dilate=(2,), pad=(1,), adj=(1,), bias=True),
    deconv("1d-target", (1, 2, 4), 3, (4,), stride=(2,), target_shape=(8,), layout="NCW", dtype="float64"),
    deconv("3d", (1, 2, 2, 3, 2), 3, (2, 2, 3)),
    deconv("3d-everything", (1, 4, 2, 3, 2), 2, (2, 3, 2), groups=2, stride=(2, 1, 3), pad=(0, 1, 1), adj=(1, 0, 2)),
    deconv("layout", (1, 2, 3, 3), 2, (2, 2), layout="NCHW"),
    deconv("3d-layout", (1, 2, 2, 3, 2), 2, (2, 2, 1), layout="NCDHW"),
    deconv("float64", (1, 2, 3, 3), 2, (2, 2), stride=(2, 2), dtype="float64"),
    deconv("ignored", (1, 2, 3, 3), 2, (2, 2), workspace=256, cudnn_tune="fastest", cudnn_off=False),
    last(
        "Deconvolution",
        "nhwc",
        [(2, 3, 4, 3), (3, 3, 3, 2)],
        spread,
        {"kernel": (3, 3), "num_filter": 2, "layout": "NHWC", "stride": (2, 2), "pad": (1, 1), "adj": (1, 1)},
        stride=2,
        pad=1,
        adj=1,
        last=True,
    ),
    last(
        "Deconvolution",
        "ndhwc-grouped",
        [(1, 2, 3, 2, 4), (4, 2, 2, 3, 3)],
        spread,
        {"kernel": (2, 2, 3), "num_filter": 6, "layout": "NDHWC", "num_group": 2, "dilate": (2, 2, 2)},
        dilate=2,
        groups=2,
        last=True,
    ),
    last(
        "Deconvolution",
        "target-odd-stride-one",
        [(1, 2, 3, 4), (2, 2, 3, 3)],
        lambda data, weight: spread(data, weight, pad=1, adj=1),
        {"kernel": (3, 3), "num_filter": 2, "target_shape": (4, 5)},
        reason="MXNet refuses an odd rest at stride 1",
    ),
    last(
        "Deconvolution",
        "float16",
        [(1, 3, 4, 4), (3, 2, 3, 3)],
        spread,
        {"kernel": (3, 3), "num_filter": 2, "stride": (2, 2)},
        dtype="float16",
        reason=HALF,
        stride=2,
    ),
    # UpSampling
    Case("UpSampling", [Draw((2, 3, 2, 3))], {"scale": 2, "sample_type": "nearest", "num_args": 1}, "nearest"),
    Case("UpSampling", [Draw((1, 2, 2, 1))], {"scale": 3, "sample_type": "nearest", "num_args": 1}, "three"),
    Case("UpSampling", [Draw((1, 2, 2, 3))], {"scale": 1, "sample_type": "nearest", "num_args": 1}, "one"),
    Case(
        "UpSampling",
        [Draw((1, 2, 2, 3)), Draw((1, 1, 4, 6)), Draw((1, 3, 2, 3))],
        {"scale": 2, "sample_type": "nearest", "num_args": 3},
        "concat",
    ),
    Case(
        "UpSampling",
        [Draw((1, 2, 2, 2)), Draw((1, 2, 4, 4)), Draw((1, 2, 1, 1))],
        {"scale": 2, "sample_type": "nearest", "num_args": 3, "multi_input_mode": "sum"},
        "sum",
    ),
    Case(
        "UpSampling",
        [Draw((1, 2, 2, 3), dtype="float64")],
        {"scale": 2, "sample_type": "nearest", "num_args": 1},
        "f64",
    ),
    Case(
        "UpSampling",
        [Draw((1, 2, 2, 3), dtype="float16")],
        {"scale": 2, "sample_type": "nearest", "num_args": 1},
        "f16",
    ),
    Case(
        "UpSampling",
        [Draw((2, 3, 3, 2)), Draw((3, 1, 4, 4))],
        {"scale": 2, "sample_type": "bilinear", "num_args": 2, "num_filter": 3},
        "bilinear",
    ),
    Case(
        "UpSampling",
        [Draw((1, 2, 3, 2)), Draw((2, 1, 5, 5))],
        {"scale": 3, "sample_type": "bilinear", "num_args": 2, "num_filter": 2, "workspace": 256},
        "bilinear-three",
    ),
]
