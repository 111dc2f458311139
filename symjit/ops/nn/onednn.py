"""Convolution by the oneDNN that jaxlib's x86 wheels contain: an experiment that nothing chooses.

XLA's CPU backend registers oneDNN's convolution as a custom call for its own compiler. It is not an interface that is
promised to stay, a configuration that oneDNN refuses ends the process, an executable that holds it can not be kept in
JAX's compilation cache, and the weight is reordered at every call. It serves as a peer to measure by.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from symjit.ops.nn.layouts import image_layout, per_axis
from symjit.ops.shapes import window

__all__ = ["applies", "prepare", "run"]


def applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    """Return whether this is a float32 convolution of NHWC images on CPU. Whether jaxlib has oneDNN is not asked."""
    return (
        platform == "cpu"
        and len(a.kernel) == 2
        and image_layout(a.layout, 2) == "NHWC"
        and np.dtype(specs[0].dtype) == np.float32
    )


def prepare(a: Any, weight: Any) -> Any:
    """Return the weight as (*kernel, C / num_group, num_filter)."""
    return weight.transpose(1, 2, 3, 0)


def run(a: Any, data: Any, prepared: Any, bias: Any, fused: Sequence[str] = ()) -> Any:
    """Return the convolution, followed by oneDNN's post-operations `fused` (``RELU`` ...)."""
    stride, dilate = per_axis("stride", a.stride, 2, 1), per_axis("dilate", a.dilate, 2, 1)
    pad = per_axis("pad", a.pad, 2, 0)
    axes = zip(data.shape[1:3], a.kernel, stride, pad, dilate, strict=True)
    shape = (data.shape[0], *(window(*axis) for axis in axes), a.num_filter)
    image = {"dims": 4, "data": {"batch_dim": 0, "feature_dim": 3, "spatial_dims": [1, 2]}}
    filters = {"input_feature_dim": 2, "output_feature_dim": 3, "spatial_dims": [0, 1], "shape": list(prepared.shape)}
    config = {
        "dims": 4,
        "input": image,
        "kernel": {"dims": 4, "filter": filters},
        "output": image,
        "window": {
            "size": list(a.kernel),
            "pad_left": list(pad),
            "pad_right": list(pad),
            "strides": list(stride),
            "window_dilations": list(dilate),
        },
        "feature_groups": a.num_group,
        "fusions": {"ops": [*([] if bias is None else ["BIAS"]), *fused]},
    }
    call = jax.ffi.ffi_call(
        "__onednn$convolution",
        jax.ShapeDtypeStruct(shape, data.dtype),
        custom_call_api_version=1,
        legacy_backend_config=json.dumps({"onednn_conv_config": config}),
    )
    return call(data, prepared, *([] if bias is None else [bias]))
