"""Cases of ``symjit/ops/broadcast.py``."""

from tests.ops.case import Case, Draw

CASES = [
    Case("broadcast_to", [Draw((2, 1, 3, 1))], {"shape": (2, 4, 3, 5)}),
    Case("broadcast_to", [Draw((2, 1, 3, 1))], {"shape": (0, 4, 0, 5)}, "keep"),
    Case("broadcast_to", [Draw((1,), 0, 9, "int32")], {"shape": (3,)}, "int", grad=False),
    Case("broadcast_axis", [Draw((2, 1, 3, 1))], {"axis": (1, 3), "size": (4, 5)}),
    Case("broadcast_axis", [Draw((1, 2), dtype="float16")], {"axis": 0, "size": 3}, "one"),
    Case("broadcast_axis", [Draw((2, 2))], {}, "none"),
    Case("broadcast_axes", [Draw((1, 2))], {"axis": (0,), "size": (2,)}),
    Case("broadcast_like", [Draw((2, 1, 3)), Draw((2, 4, 3))], grad=(0,)),
    Case("broadcast_like", [Draw((1, 3)), Draw((2, 3), 0, 9, "int32")], tag="dtypes"),
    Case(
        "broadcast_like", [Draw((1, 2, 1)), Draw((4, 5))], {"lhs_axes": (0, 2), "rhs_axes": (1, 0)}, "axes", grad=(0,)
    ),
    Case("broadcast_like", [Draw((2, 1)), Draw((4, 5))], {"lhs_axes": (-1,), "rhs_axes": (-1,)}, "negative", grad=(0,)),
    Case("broadcast_like", [Draw((2, 1)), Draw((2, 3))], {"lhs_axes": (1,)}, "lhs_axes", grad=(0,)),
]
