"""Differences that are accepted, each with the reason. A finding that none of these matches is reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.oracle.draw import Request
from tests.oracle.judge import Finding


@dataclass
class Known:
    """An accepted difference.

    Attributes:
        ops: operator names; empty for all.
        kinds: kinds of finding.
        when: narrows it down to attributes and inputs.
        reason: why symjit is not to do the same.
    """

    ops: tuple[str, ...]
    kinds: tuple[str, ...]
    reason: str
    when: Callable[[Request, Finding], bool] = lambda request, finding: True

    def matches(self, request: Request, finding: Finding) -> bool:
        """Return whether a finding is this one."""
        return (not self.ops or request.op in self.ops) and finding.kind in self.kinds and self.when(request, finding)


def reason(request: Request, finding: Finding) -> str | None:
    """Return why a finding is accepted, or None."""
    return next((each.reason for each in KNOWN if each.matches(request, finding)), None)


NUMBERS = ("value", "gradient", "auxiliary state")

_NO_KERNEL = (
    "only support floating point types",
    "Unsupported data type",
    "data type do not match specified type",
    "does not support float16",
    "unknown type for MKLDNN",
    "dot only supports float32/float64 for CPU",
    "float16 fully connected layer is currentlyonly supported by CuDNN version",
    "could not create a descriptor for a dilated convolution",
)


def _in_float64(request: Request, finding: Finding) -> bool:
    """Whether the error is what float32 allows, in an answer in float64."""
    return finding.error < 5e-7 and (
        any(x.dtype.name == "float64" for x in request.inputs) or "float64" in request.values.values()
    )


def _holds_nan(request: Request, finding: Finding) -> bool:
    return any(x.dtype.kind == "f" and np.isnan(x).any() for x in request.inputs)


def _negative(*names: str) -> Callable[[Request, Finding], bool]:
    """Whether an axis is counted from the end."""

    def when(request: Request, finding: Finding) -> bool:
        values = [request.values.get(name) for name in names]
        return any(axis < 0 for value in values for axis in (value if isinstance(value, tuple) else (value or 0,)))

    return when


def _special(request: Request, finding: Finding) -> bool:
    return not all(np.isfinite(x).all() for x in request.inputs)


def _many_ties(request: Request, finding: Finding) -> bool:
    data = request.inputs[0]
    return data.size > 16 and np.unique(data).size < data.size


def _length_out_of_range(request: Request, finding: Finding) -> bool:
    steps, lengths = request.inputs[0].shape[request.values.get("axis", 0)], request.inputs[-1]
    return bool((lengths < 1).any() or (lengths > steps).any())


def _whole_output(request: Request, finding: Finding) -> bool:
    dtype = request.values.get("dtype")
    return bool(dtype) and np.dtype(dtype).kind in "iub"


def _stride_and_dilation(request: Request, finding: Finding) -> bool:
    stride, dilate = request.values.get("stride", ()), request.values.get("dilate", ())
    return any(s > 1 and d > 1 for s, d in zip(stride, dilate, strict=False))


KNOWN: tuple[Known, ...] = (
    Known(
        (),
        ("MXNet has no gradient",),
        "symjit differentiates what MXNet 1.9.1 has no gradient for (or not in this dtype)",
    ),
    Known(
        (),
        ("MXNet raises",),
        "symjit computes in dtypes that MXNet 1.9.1 has no kernel for",
        lambda request, finding: any(text in finding.detail for text in _NO_KERNEL),
    ),
    Known(
        (
            *("erf", "erfinv", "gamma", "gammaln", "softmax", "log_softmax", "softmin"),
            *(
                "BatchNorm",
                "LayerNorm",
                "GroupNorm",
                "L2Normalization",
                "LeakyReLU",
                "SoftmaxOutput",
                "SVMOutput",
            ),
            "RNN",
        ),
        NUMBERS,
        "a constant, attribute or intermediate result of MXNet's is float32 here; symjit keeps float64",
        _in_float64,
    ),
    Known(
        (
            *("relu", "abs", "Activation", "LeakyReLU", "clip", "hard_sigmoid", "smooth_l1"),
            *("_maximum", "broadcast_maximum", "_maximum_scalar", "_minimum", "broadcast_minimum", "_minimum_scalar"),
        ),
        ("gradient",),
        "docs/deviations.md: gradients of piecewise functions where the input is NaN",
        _holds_nan,
    ),
    Known(
        ("gamma",),
        ("value",),
        "docs/deviations.md: symjit rounds the gamma function of an integer, MXNet cuts its fraction",
        lambda request, finding: request.inputs[0].dtype.kind in "iu",
    ),
    Known(
        ("Cast", "amp_cast"),
        ("gradient",),
        "docs/deviations.md: no gradient passes through whole numbers",
        _whole_output,
    ),
    Known(
        ("amp_cast",),
        ("value",),
        "oneDNN rounds and saturates where amp_cast's dtype is an integer, which mixed precision never asks for",
        _whole_output,
    ),
    Known(
        ("Pooling_v1",),
        NUMBERS,
        "tests/ops/cases/pool.py: MXNet divides by a float32 number",
        lambda request, finding: request.values.get("pool_type") == "avg" and finding.error < 1e-6,
    ),
    Known(
        ("IdentityAttachKLSparseReg",),
        ("symjit raises",),
        "tests/ops/test_infer.py: MXNet lets a moving average of the wrong length pass",
        lambda request, finding: request.inputs[1].shape != request.inputs[0].shape[1:2],
    ),
    Known(
        ("_contrib_arange_like",),
        ("symjit raises",),
        "MXNet takes a repeat below 1 and computes nothing that is meant",
        lambda request, finding: "attribute 'repeat': expected an int in [1, inf]" in finding.detail,
    ),
    Known(
        ("stack",),
        ("symjit raises",),
        "tests/ops/test_infer.py: MXNet stacks arrays of different shapes and reads past the end of the shorter ones",
        lambda request, finding: len({x.shape for x in request.inputs}) > 1,
    ),
    Known(
        (),
        ("MXNet raises",),
        "symjit draws from degenerate distributions too: a scale of 0, bounds in the wrong order",
        lambda request, finding: request.op.startswith("_random_") and "Check failed: param." in finding.detail,
    ),
    Known(
        (),
        ("MXNet raises",),
        "symjit takes the empty text for an empty tuple",
        lambda request, finding: "but value=''" in finding.detail,
    ),
    Known(
        ("where",),
        ("symjit raises",),
        "a bound where reads its condition flat, unchecked; mx.nd.where refuses such shapes, as symjit does",
        lambda request, finding: request.inputs[0].shape not in (request.inputs[1].shape, request.inputs[1].shape[:1]),
    ),
    Known(
        ("SoftmaxOutput",),
        ("gradient",),
        "docs/deviations.md: out_grad=True multiplies by the head gradient",
        lambda request, finding: request.values.get("out_grad") is True,
    ),
    Known(
        ("Convolution_v1",),
        ("gradient",),
        "symjit/ops/nn/conv.py: MXNet's is wrong where stride and dilation both exceed 1",
        _stride_and_dilation,
    ),
    Known(
        ("Convolution_v1", "BatchNorm_v1"),
        ("MXNet raises",),
        "the old operators refuse ranks that symjit computes like the new ones",
        lambda request, finding: request.inputs[0].ndim != 4,
    ),
    Known(
        ("Pooling",),
        ("gradient",),
        "symjit/ops/nn/pool.py: oneDNN's gradient of an average divides by the whole kernel for windows that hang over",
        lambda request, finding: (
            request.values.get("pool_type") == "avg" and request.values.get("pooling_convention") == "full"
        ),
    ),
    Known(
        ("Pooling",),
        ("value", "gradient"),
        "an empty window averages to 0, as in MXNet for one and two axes; for three it divides 0 by 0",
        lambda request, finding: request.values.get("pool_type") == "avg" and request.inputs[0].ndim == 5,
    ),
    Known(
        ("Pooling",),
        NUMBERS,
        "symjit/ops/nn/pool.py: a NaN survives a maximum, and a window of -inf stays -inf",
        _special,
    ),
    Known(
        ("Deconvolution",),
        ("MXNet raises",),
        "oneDNN has no such deconvolution: dilated with a target_shape, three axes in float64, channel last",
        lambda request, finding: "deconvolution" in finding.detail.lower() or "layout" in request.values,
    ),
    Known(
        ("reverse", "Dropout", "softmax", "transpose"),
        ("MXNet raises",),
        "symjit counts axes from the end where MXNet fails to",
        _negative("axis", "axes"),
    ),
    Known(
        ("diag",),
        ("symjit raises",),
        "MXNet returns an array without elements for the diagonal next to the matrix; symjit names the error",
        lambda request, finding: "has no diagonal" in finding.detail,
    ),
    Known(
        ("take",),
        ("MXNet raises",),
        "symjit/ops/indexing.py: a compiled program can not raise, so mode='raise' clips",
        lambda request, finding: request.values.get("mode") == "raise",
    ),
    Known(
        ("RNN",),
        NUMBERS,
        "symjit/ops/rnn.py: MXNet's CPU build ignores sequence_length",
        lambda request, finding: request.values.get("use_sequence_length") is True,
    ),
    Known(
        tuple(f"_random_{name}" for name in ("uniform", "normal", "gamma", "exponential", "poisson", "randint")),
        ("MXNet raises",),
        "without a shape symjit draws one number, as the imperative call does; a Symbol of MXNet's needs a shape",
        lambda request, finding: not request.values.get("shape") and "InferShape" in finding.detail,
    ),
    Known(
        tuple(f"_random_{name}" for name in ("uniform", "uniform_like", "exponential_like", "gamma_like")),
        ("MXNet raises",),
        "parameters of distributions are traced arguments; symjit does not look whether they describe one",
        lambda request, finding: "distribution" in finding.detail,
    ),
    Known(
        ("SoftmaxOutput",),
        ("value",),
        "symjit/ops/loss.py: oneDNN's inference on four dimensions takes the last axis; training flattens",
        lambda request, finding: request.inputs[0].ndim in (1, 4) and finding.detail.startswith("predict"),
    ),
    Known(
        ("Reshape",),
        ("symjit raises",),
        "MXNet does not compare sizes with reverse=True, and reads foreign memory where the new shape is larger",
        lambda request, finding: request.values.get("reverse") is True and "can not be reshaped" in finding.detail,
    ),
    Known(
        ("sort", "argsort", "topk"),
        NUMBERS,
        "symjit/ops/sorting.py: beyond 16 elements MXNet's order of equal ones is that of an unstable sort",
        _many_ties,
    ),
    Known(
        ("sort", "argsort", "topk"),
        NUMBERS,
        "symjit/ops/sorting.py: where NaN is sorted to is not defined in MXNet",
        _holds_nan,
    ),
    Known(
        ("nansum", "sum", "mean", "moments", "norm", "prod", "nanprod"),
        NUMBERS,
        "MXNet's compensated sums turn an infinity into NaN",
        _special,
    ),
    Known(
        ("Convolution", "Convolution_v1", "Deconvolution", "UpSampling"),
        NUMBERS,
        "zeros that XLA pads with meet an infinity or NaN of the other operand, where MXNet skips them",
        _special,
    ),
    Known(
        ("softmax", "log_softmax", "softmin"),
        ("MXNet raises",),
        "use_length=None fails in MXNet; symjit reads it as False",
        lambda request, finding: "bad optional access" in finding.detail,
    ),
    Known(
        ("log_softmax",),
        NUMBERS,
        "the only element of an axis has the logarithm 0, which MXNet misses by some units in the last place",
        lambda request, finding: finding.error < 1e-4 and 1 in request.inputs[0].shape,
    ),
    Known(
        (),
        ("symjit raises",),
        "MXNet reads text that is no number ('None') as 0",
        lambda request, finding: "expected a number, got 'None'" in finding.detail,
    ),
    Known(
        (),
        ("MXNet raises",),
        "symjit admits dtypes that MXNet's enumeration for this attribute leaves out",
        lambda request, finding: (
            "Invalid Input: '" in finding.detail
            and any(str(request.attrs.get(name)) in finding.detail for name in ("dtype", "out_dtype"))
        ),
    ),
    Known(
        ("batch_take",),
        ("MXNet raises",),
        "symjit takes indices of any dtype",
        lambda request, finding: "Type inconsistent" in finding.detail,
    ),
    Known(
        ("LRN",),
        ("MXNet raises",),
        "symjit normalises over channels for any number of dimensions, and admits an even nsize in any dtype",
        lambda request, finding: request.inputs[0].ndim != 4 or request.values.get("nsize", 1) % 2 == 0,
    ),
    Known(
        (),
        ("MXNet raises",),
        "symjit reads more spellings: blanks around a value, 64L as Python 2 wrote it, a tuple without brackets",
        lambda request, finding: (
            any(each.startswith("spelling") for each in request.oddities)
            and any(text in finding.detail for text in ("Invalid Parameter format", "trailing char", "Invalid Input"))
        ),
    ),
    Known(
        ("LeakyReLU",),
        ("gradient",),
        "a negative slope: MXNet's float64 kernel tells the branch by the output's sign, oneDNN by the input's",
        lambda request, finding: request.values.get("slope", 0) < 0,
    ),
    Known(
        ("norm",),
        ("value",),
        "symjit/ops/reduce.py: MXNet's norm of integers scales while it sums, in integers",
        lambda request, finding: request.inputs[0].dtype.kind in "iu",
    ),
    Known(
        ("gather_nd",),
        ("MXNet raises",),
        "a compiled program can not raise: an index out of range wraps",
        lambda request, finding: "out of bounds" in finding.detail,
    ),
    Known(
        ("Activation",),
        NUMBERS,
        "oneDNN's float32 relu makes NaN 0; MXNet's float64 kernel, its relu and symjit's keep it",
        _holds_nan,
    ),
    Known(
        (
            *("softmax", "log_softmax", "softmin", "SoftmaxOutput", "SoftmaxActivation", "CTCLoss", "BatchNorm"),
            *("BatchNorm_v1", "LayerNorm", "GroupNorm", "InstanceNorm", "L2Normalization", "LRN", "SVMOutput"),
        ),
        NUMBERS,
        "what becomes of infinities and NaN where they meet in a sum depends on the order of the operations",
        _special,
    ),
    Known(
        ("LRN",),
        NUMBERS,
        "symjit/ops/nn/norm.py: a power as exp(log): the base must be positive, as it is with any sensible attributes",
        lambda request, finding: request.values.get("knorm", 1) < 0 or request.values.get("alpha", 1) < 0,
    ),
    Known(
        ("BatchNorm",),
        ("symjit raises",),
        "MXNet does not compare the sizes of gamma, beta and the moving statistics with an axis other than 1",
        lambda request, finding: "gamma has" in finding.detail,
    ),
    Known(
        ("Convolution", "Deconvolution"),
        ("MXNet raises",),
        "symjit computes in dtypes that oneDNN has no primitive for",
        lambda request, finding: any(x.dtype.name != "float32" for x in request.inputs),
    ),
    Known(
        ("SequenceLast",),
        NUMBERS,
        "MXNet reads foreign memory where a length is 0 or more than there are steps",
        _length_out_of_range,
    ),
    Known(
        ("add_n",),
        ("symjit raises",),
        "MXNet does not compare num_args with the number of inputs; symjit calls such a graph damaged",
        lambda request, finding: request.values.get("num_args") != len(request.inputs),
    ),
    Known(
        ("BatchNorm", "GroupNorm", "LayerNorm", "InstanceNorm"),
        ("symjit raises",),
        "MXNet takes parameters and moving statistics of another shape without comparing it",
        lambda request, finding: "shape of input" in " ".join(request.oddities) and "expected, got" in finding.detail,
    ),
    Known(
        ("BatchNorm",),
        ("auxiliary state",),
        "MXNet takes the variance back from 1 / sqrt(var + eps), and loses it beside a large eps",
        lambda request, finding: request.values.get("eps", 0) > 1,
    ),
    Known(
        ("RNN",),
        ("MXNet raises",),
        "symjit/ops/rnn.py: the state's bounds are honoured as in the cuDNN build; the CPU build may refuse them",
        lambda request, finding: "clipping is only supported" in finding.detail,
    ),
    Known(
        ("softmax", "log_softmax", "softmin"),
        NUMBERS,
        "MXNet subtracts the maximum before it divides by a negative temperature, and overflows",
        lambda request, finding: (request.values.get("temperature") or 0) < 0,
    ),
)
