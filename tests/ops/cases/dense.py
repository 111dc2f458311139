"""Cases of ``symjit/ops/nn/dense.py``."""

import numpy as np

from tests.ops.case import Case, Draw

HALF = "MXNet has no float16 matrix product on CPU"


def affine(data, weight, bias):
    """Return ``x W^T + b`` of float16 arrays, accumulated wide."""
    x, w, b = (np.asarray(each, np.float64) for each in (data, weight, bias))
    return (x.reshape(len(x), -1) @ w.T + b).astype(data.dtype)


CASES = [
    Case("FullyConnected", [Draw((2, 3, 4)), Draw((5, 12)), Draw((5,))], {"num_hidden": 5}),
    Case(
        "FullyConnected", [Draw((2, 3, 4)), Draw((5, 4))], {"num_hidden": 5, "no_bias": True, "flatten": False}, "last"
    ),
    Case("FullyConnected", [Draw((1, 7)), Draw((2, 7)), Draw((2,))], {"num_hidden": 2}, "flat"),
    Case("FullyConnected", [Draw((2, 2, 1, 3, 2)), Draw((3, 12)), Draw((3,))], {"num_hidden": 3}, "5d"),
    Case(
        "FullyConnected",
        [Draw((2, 1, 3, 2, 4)), Draw((3, 4)), Draw((3,))],
        {"num_hidden": 3, "flatten": False},
        "5d-last",
    ),
    Case("FullyConnected", [Draw((3, 1)), Draw((1, 1)), Draw((1,))], {"num_hidden": 1}, "one"),
    Case("FullyConnected", [Draw((3, 4)), Draw((2, 4)), Draw((2,))], {"num_hidden": 2, "flatten": False}, "2d-last"),
    Case("FullyConnected", [Draw((4, 2, 3)), Draw((2, 6))], {"num_hidden": 2, "no_bias": True}, "no-bias"),
    Case("FullyConnected", [Draw((4,)), Draw((3, 1)), Draw((3,))], {"num_hidden": 3}, "1d"),
    Case("FullyConnected", [Draw((4,)), Draw((3, 4)), Draw((3,))], {"num_hidden": 3, "flatten": False}, "1d-last"),
    Case(
        "FullyConnected",
        [Draw((2, 3), dtype="float64"), Draw((4, 3), dtype="float64"), Draw((4,), dtype="float64")],
        {"num_hidden": 4},
        "float64",
    ),
    Case(
        "FullyConnected",
        [Draw((2, 3, 4), dtype="float16"), Draw((5, 12), dtype="float16"), Draw((5,), dtype="float16")],
        {"num_hidden": 5},
        "float16",
        reference=affine,
        reason=HALF,
    ),
]
