"""Cases of ``symjit/ops/elemwise.py``."""

from tests.ops.case import Case, Draw

CASES = [
    Case("sqrt", [Draw((2, 3), 0.1, 2.0)]),
    Case("exp", [Draw((2, 3))]),
    Case("elemwise_add", [Draw((2, 3)), Draw((2, 3))]),
    Case("broadcast_add", [Draw((2, 1)), Draw((2, 3))]),
    Case("_plus_scalar", [Draw((2, 3))], {"scalar": 2.5}),
    Case("_plus_scalar", [Draw((2, 3), -9, 9, "int32")], {"scalar": 2.5}, "int"),
]
