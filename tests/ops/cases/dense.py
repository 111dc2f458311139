"""Cases of ``symjit/ops/nn/dense.py``."""

from tests.ops.case import Case, Draw

CASES = [
    Case("FullyConnected", [Draw((2, 3, 4)), Draw((5, 12)), Draw((5,))], {"num_hidden": 5}),
    Case("FullyConnected", [Draw((2, 3, 4)), Draw((5, 4))], {"num_hidden": 5, "no_bias": True, "flatten": False}, "last"),
    Case("FullyConnected", [Draw((1, 7)), Draw((2, 7)), Draw((2,))], {"num_hidden": 2}, "flat"),
]
