"""Cases of ``symjit/ops/casting.py``."""

import numpy as np

from tests.ops.case import Case, Draw

FLOATS = [-1, 300, 2.9, -2.9, 1e10, np.nan, -1e10, np.inf, -np.inf, 70000, 0, -0.2, 40000.7]
ROUNDED = "differences cannot see through float16"
BROKEN = "MXNet 1.9.1 converts nothing but float32 here on the CPU"


def widest(*arrays: np.ndarray) -> list[np.ndarray]:
    """Return the arrays in float32 if one is, the others as they are."""
    return [x.astype("float32") if x.dtype == np.float16 else x for x in arrays]


def narrowest(*arrays: np.ndarray) -> list[np.ndarray]:
    """Return the arrays in float16 if one is, the others as they are."""
    return [x.astype("float16") if x.dtype == np.float32 else x for x in arrays]


CASES = [
    *(
        Case("Cast", [np.array(FLOATS, "float32")], {"dtype": dtype}, dtype, grad=False)
        for dtype in ("float16", "float64", "uint8", "int8", "int32", "int64", "bool")
    ),
    *(
        Case("Cast", [np.array(values, source)], {"dtype": dtype}, f"{source}-{dtype}", grad=False)
        for source, values in (("float16", [x for x in FLOATS if not 65504 < abs(x) < np.inf]), ("float64", FLOATS))
        for dtype in ("uint8", "int32")
    ),
    *(
        Case("Cast", [np.array([-1, 300, 70000, 0], "int32")], {"dtype": dtype}, f"int32-{dtype}", grad=False)
        for dtype in ("uint8", "int8", "int64", "float16", "float32", "bool")
    ),
    Case("Cast", [np.array([0, 1, 200], "uint8")], {"dtype": "int8"}, "uint8-int8", grad=False),
    Case("Cast", [np.array([True, False])], {"dtype": "float32"}, "bool-float32", grad=False),
    Case("Cast", [Draw((2, 3))], {"dtype": "float64"}, "gradient"),
    Case("Cast", [Draw((2, 3), dtype="float64")], {"dtype": "float16"}, "gradient16", numeric=False, reason=ROUNDED),
    Case("cast", [Draw((2, 3))], {"dtype": "float16"}, numeric=False, reason=ROUNDED),
    Case("amp_cast", [Draw((2, 3))], {"dtype": "float16"}, numeric=False, reason=ROUNDED),
    Case("amp_cast", [Draw((2, 3), dtype="float16")], {"dtype": "float32"}, "wide"),
    Case("amp_cast", [Draw((3,), 0, 9, "int32")], {"dtype": "float16"}, "int", grad=False),
    Case("amp_cast", [Draw((3,), dtype="float64")], {"dtype": "float16"}, "f64", reference=lambda x: x, reason=BROKEN),
    Case("amp_multicast", [Draw((2, 3)), Draw((4,))], {"num_outputs": 2}),
    Case("amp_multicast", [Draw((2,)), Draw((2,), 0, 9, "int32")], {"num_outputs": 2}, "int", grad=False),
    Case(
        "amp_multicast",
        [Draw((2, 3), dtype="float16"), Draw((4,)), Draw((2,), 0, 9, "int32")],
        {"num_outputs": 3},
        "widest",
        reference=widest,
        reason=BROKEN,
    ),
    Case(
        "amp_multicast",
        [Draw((2, 3)), Draw((4,), dtype="float16"), Draw((2,), dtype="float64")],
        {"num_outputs": 3, "cast_narrow": True},
        "narrowest",
        reference=narrowest,
        reason=BROKEN,
    ),
    Case(
        "amp_multicast",
        [Draw((2,), dtype="float64"), Draw((2,), dtype="float16")],
        {"num_outputs": 2},
        "first",
        reference=lambda x, y: [x, y.astype("float64")],
        reason=BROKEN,
    ),
]
