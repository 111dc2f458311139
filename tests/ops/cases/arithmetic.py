"""Cases of ``symjit/ops/arithmetic.py``."""

import numpy as np

from tests.ops.case import CORNER, Case, Draw

NAN = np.nan

SMOOTH = "add sub mul div hypot".split()
KINKED = "mod power maximum minimum".split()
LOGIC = "equal not_equal greater greater_equal lesser lesser_equal logical_and logical_or logical_xor".split()
CURVED = ["div", "hypot", *KINKED, "logical_and"]
FUNCTIONS = [*SMOOTH, *KINKED, *LOGIC]


def elementwise(name: str) -> str:
    """Return the operator without broadcasting."""
    return f"elemwise_{name}" if name in ("add", "sub", "mul", "div") else f"_{name}"


def scalar(name: str) -> str:
    """Return the operator with a scalar."""
    return f"_{({'add': 'plus', 'sub': 'minus'}).get(name, name)}_scalar"


def operands(name: str, left: tuple, right: tuple, dtype: str = "float32") -> list:
    """Return inputs inside the function's domain."""
    low = 0.3 if name == "power" else -2.0
    return [Draw(left, low, 2.0, dtype, spread=True), Draw(right, -2.0, 2.2, dtype, spread=True)]


# Ties, zeros, negative bases: where conventions show.
LEFT = np.array([1, 2, 3, 0, 0, -2, -2, 5.5, -5.5, 5.5, 0, 2, 7, -7, 0.5, 4], "float32")
RIGHT = np.array([1, 3, 2, 0, 2, 2, 1.5, 2, 2, -2, -1, 0, 0, 0, 0.5, -0.5], "float32")
INT_LEFT = np.array([7, -7, 7, -7, 5, 1, -1, 3, 0, 12], "int32")
INT_RIGHT = np.array([2, 2, -2, -2, 3, -2, 3, 3, 4, 0], "int32")
POINTS = np.array([0, 1, 2, -2, 3.5, -3.5, -1.5, 0.5], "float32")
CASES = [
    *(Case(elementwise(name), operands(name, (2, 3), (2, 3))) for name in FUNCTIONS),
    *(Case(f"broadcast_{name}", operands(name, (2, 1, 4), (1, 3, 4))) for name in FUNCTIONS),
    *(Case(f"broadcast_{name}", [LEFT, RIGHT], tag="points", numeric=False, reason=CORNER) for name in FUNCTIONS),
    *(Case(f"broadcast_{name}", operands(name, (5,), (5,), "float16"), tag="f16") for name in (*SMOOTH, *KINKED)),
    *(Case(f"broadcast_{name}", operands(name, (3,), (3,), "float64"), tag="f64") for name in ("div", "power", "mod")),
    *(Case(f"broadcast_{name}", [INT_LEFT[:-1], INT_RIGHT[:-1]], tag="int", grad=False) for name in FUNCTIONS),
    Case("broadcast_mod", [INT_LEFT, INT_RIGHT], tag="int-zero", grad=False),
    *(
        Case(
            f"broadcast_{name}",
            [np.array([7, 200, 5], "uint8"), np.array([3, 100, 200], "uint8")],
            tag="uint8",
            grad=False,
        )
        for name in ("add", "sub", "mul", "div", "mod", "power", "maximum")
    ),
    Case("broadcast_power", [np.array([10, -3, 2], "int64"), np.array([9, 5, 20], "int64")], tag="int64", grad=False),
    Case("broadcast_maximum", [np.array([1, NAN], "float32"), np.array([NAN, 1], "float32")], tag="nan", grad=False),
    Case("broadcast_minimum", [np.array([1, NAN], "float32"), np.array([NAN, 1], "float32")], tag="nan", grad=False),
    Case(
        "broadcast_logical_and", [np.array([NAN, 0.2], "float32"), np.array([1, -3], "float32")], tag="nan", grad=False
    ),
    # Shapes: other ranks, size 1, five dimensions.
    Case("broadcast_add", [Draw((2, 3)), Draw((3,))], tag="rank"),
    Case("broadcast_mul", [Draw((3,)), Draw((2, 1, 3, 1))], tag="rank"),
    Case("broadcast_power", [Draw((3,), 0.5, 2), Draw((2, 1, 3, 1), 0.5, 2)], tag="rank"),
    Case("broadcast_hypot", [Draw((1,)), Draw((1, 2))], tag="rank"),
    Case("broadcast_sub", [Draw((1, 2, 1, 2, 1)), Draw((2, 1, 3, 1, 2))], tag="5d"),
    Case("broadcast_div", [Draw((1, 1)), Draw((1, 1), 1, 2)], tag="ones"),
    Case("broadcast_greater", [Draw((2, 1)), Draw((1, 3))], tag="outer"),
    *(Case(name, [Draw((2, 2)), Draw((2, 2), 1, 2)]) for name in ("_Plus", "_minus", "_Mul", "_Div", "broadcast_plus")),
    *(Case(name, [Draw((2, 2)), Draw((2, 2), 1, 2)]) for name in ("_Maximum", "_Greater_Equal", "_Logical_And")),
    Case("_grad_add", [Draw((2, 2)), Draw((2, 2))], grad=False),
    # With a scalar.
    *(
        Case(scalar(name), [POINTS], {"scalar": 2.7}, numeric=name not in ("mod", "power"), reason=CORNER)
        for name in FUNCTIONS
    ),
    *(Case(scalar(name), [POINTS], {"scalar": -1.5}, "negative", numeric=False, reason=CORNER) for name in CURVED),
    *(Case(scalar(name), [POINTS], {"scalar": 0.0}, "zero", numeric=False, reason=CORNER) for name in CURVED),
    *(Case(scalar(name), [INT_LEFT], {"scalar": 2.7}, "int", grad=False) for name in FUNCTIONS),
    *(Case(scalar(name), [INT_LEFT], {"scalar": 2.5, "is_int": False}, "int-float", grad=False) for name in FUNCTIONS),
    *(
        Case(scalar(name), [np.array([0, 5, 200], "uint8")], {"scalar": value}, f"uint8{value}", grad=False)
        for name in ("add", "sub", "mul", "maximum", "greater")
        for value in (-1.0, 300.0)
    ),
    *(Case(scalar(name), [POINTS.astype("float16")], {"scalar": 2.7}, "f16") for name in ("add", "div")),
    Case("_power_scalar", [Draw((4,), 0.5, 2, "float16")], {"scalar": 2.7}, "f16"),
    Case("_power_scalar", [POINTS], {"scalar": 2.0}, "square"),
    Case("_plus_scalar", [np.array([1.0])], {"scalar": 0.1}, "f64", tol=1e-15),
    Case("_plus_scalar", [Draw((2, 3))], {}, "default"),
    Case("_mod_scalar", [Draw((5,), -4, 4, spread=True)], {"scalar": 1.7}, "smooth"),
    *(
        Case(
            f"_{name}_scalar",
            [np.array([0, 1, 2, -2, 3.5, -3.5], "float32")],
            {"scalar": value},
            str(value),
            numeric=False,
            reason=CORNER,
        )
        for name in ("rminus", "rdiv", "rpower", "rmod")
        for value in (0.0, 2.0, -1.5)
    ),
    *(Case(f"_{name}_scalar", [Draw((4,), 0.5, 2)], {"scalar": 1.7}) for name in ("rminus", "rdiv", "rpower", "rmod")),
    *(
        Case(
            f"_{name}_scalar",
            [np.array([1, 2, -3, 5], "int32")],
            {"scalar": 7.9, "is_int": False},
            "int-float",
            grad=False,
        )
        for name in ("rminus", "rdiv", "rpower", "rmod")
    ),
    *(
        Case(f"_{name}_scalar", [np.array([1, 2, -3, 5], "int32")], {"scalar": 7.9}, "int", grad=False)
        for name in ("rminus", "rdiv", "rpower", "rmod")
    ),
    *(
        Case("_rdiv_scalar", [np.array([0, 1, 2, 3, 100], dtype)], {"scalar": value}, f"{dtype}-{value}", grad=False)
        for dtype in ("uint8", "int8", "int32", "int64")
        for value in (7.0, -3.0, 0.0, 33554433.0)
        if abs(value) < 128 or dtype in ("int32", "int64")
    ),
    Case("_plus_scalar", [np.array([True, False])], {"scalar": 2.7}, "bool", grad=False),
    Case("_mul_scalar", [np.array([True, False])], {"scalar": 2.7, "is_int": False}, "bool", grad=False),
    *(
        Case(name, [Draw((2, 2), 0.5, 2)], {"scalar": 1.5})
        for name in "_PlusScalar _RMinusScalar _RDivScalar _RModScalar _NotEqualScalar _LogicalXorScalar".split()
    ),
    # Many arrays.
    Case("add_n", [Draw((2, 3)), Draw((2, 3)), Draw((2, 3))], {"num_args": 3}),
    Case("add_n", [Draw((2,))], {"num_args": 1}, "one"),
    Case("add_n", [Draw((3,), -9, 9, "int32"), Draw((3,), -9, 9, "int32")], {"num_args": 2}, "int", grad=False),
    Case("ElementWiseSum", [Draw((2, 1)), Draw((2, 1))], {"num_args": 2}),
    Case("where", [np.array([[1, 0, -2], [0, 0.5, 0]], "float32"), Draw((2, 3)), Draw((2, 3))], grad=(1, 2)),
    Case("where", [np.array([1, 0], "int32"), Draw((2, 3)), Draw((2, 3))], tag="rows", grad=(1, 2)),
    Case("where", [np.array([0, NAN, -0.0]), Draw((3,)), Draw((3,))], tag="nan", grad=(1, 2)),
    Case("where", [np.array([0, 1, 2], "uint8"), np.array([1, 2, 3]), np.array([4, 5, 6])], tag="int", grad=False),
]
