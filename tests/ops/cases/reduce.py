"""Cases of ``symjit/ops/reduce.py``."""

import numpy as np

from tests.ops.case import CORNER, Case, Draw

NAN = np.nan
REDUCTIONS = "sum mean max min prod nansum nanprod".split()
AXES = {
    "all": {},
    "empty": {"axis": ()},
    "keepdims": {"keepdims": True},
    "axis": {"axis": 1},
    "negative": {"axis": -1, "keepdims": True},
    "tuple": {"axis": (2, 0)},
    "exclude": {"axis": 1, "exclude": True},
    "exclude-negative": {"axis": (-1, 0), "exclude": True, "keepdims": True},
}
TIES = np.array([[1, 2, 2], [3, 3, 3], [0, 0, -1]], "float32")
ZEROS = np.array([[1, 0, 2], [3, 0, 0], [1, 2, 3]], "float32")
NANS = np.array([[1, NAN, 2], [3, 0, NAN], [1, 2, 3], [NAN, NAN, NAN]], "float32")

CASES = [
    *(
        Case(name, [Draw((2, 3, 4), 0.5, 1.5, spread=True)], attrs, tag)
        for name in REDUCTIONS
        for tag, attrs in AXES.items()
        if name == "sum" or tag in ("all", "negative", "exclude")
    ),
    Case("sum", [Draw((1, 1), spread=True)], {"axis": 0}, "ones"),
    *(Case(name, [Draw((5,), 0.5, 1.5, spread=True)], {"axis": 0}, "1d") for name in ("sum", "max", "prod")),
    *(Case(name, [Draw((2, 1, 3, 1, 2), spread=True)], {"axis": (1, -2)}, "5d") for name in ("mean", "min")),
    Case("sum", [Draw((2, 3))], {"axis": (0, 1), "exclude": True}, "nothing"),
    *(Case(name, [Draw((2, 3))], {"axis": 1}) for name in ("sum_axis", "max_axis", "min_axis")),
    # Conventions: ties, zeros, NaN.
    *(Case(name, [TIES], {"axis": 1}, "ties", numeric=False, reason=CORNER) for name in ("max", "min")),
    *(Case(name, [ZEROS], {"axis": 1}, "zeros", numeric=False, reason=CORNER) for name in ("prod", "nanprod")),
    *(Case(name, [NANS], {"axis": 1}, "nan", numeric=False, reason=CORNER) for name in REDUCTIONS),
    # dtypes.
    *(Case(name, [Draw((2, 5), 0.5, 1.5, "float16", spread=True)], {"axis": 1}, "f16") for name in REDUCTIONS),
    *(Case(name, [Draw((2, 5), 0.5, 1.5, "float64", spread=True)], {"axis": 1}, "f64") for name in ("mean", "prod")),
    *(Case(name, [np.array([[-3, -4, 2], [7, 1, 5]], "int32")], {"axis": 1}, "int", grad=False) for name in REDUCTIONS),
    *(Case(name, [np.array([200, 100, 7], "uint8")], {}, "uint8", grad=False) for name in REDUCTIONS),
    *(Case(name, [np.array([100, 100, -7], "int8")], {}, "int8", grad=False) for name in ("sum", "mean", "max")),
    *(Case(name, [np.array([2**40, 7], "int64")], {}, "int64", grad=False) for name in ("sum", "mean", "max")),
    *(
        Case(name, [np.array([[True, True], [True, False], [False, False]])], {"axis": 1}, "bool", grad=False)
        for name in ("sum", "mean", "max", "prod")
    ),
    Case("sum", [Draw((3000,), 0, 1, "float16")], {}, "f16-long"),
    Case("mean", [Draw((3000,), 0, 1, "float16")], {}, "f16-long"),
    Case("mean", [np.full(70000, 0.001, "float16")], {}, "f16-overflow", grad=False),
    # norm.
    *(
        Case("norm", [Draw((2, 3, 4), spread=True)], {"ord": order, **attrs}, f"{order}-{tag}")
        for order in (1, 2)
        for tag, attrs in AXES.items()
        if tag in ("all", "axis", "tuple", "negative")
    ),
    Case("norm", [np.array([[0, 0], [3, -4]], "float32")], {"axis": 1}, "zero", numeric=False, reason=CORNER),
    Case("norm", [np.array([[0, 0], [3, 0]], "float32")], {"axis": 1, "ord": 1}, "zero1"),
    Case("norm", [Draw((2, 3), dtype="float16", spread=True)], {"axis": 1}, "f16"),
    Case("norm", [np.array([300, 300], "float16")], {}, "f16-large", grad=False),
    Case("norm", [Draw((2, 3), dtype="float64", spread=True)], {"axis": 0}, "f64"),
    Case("norm", [np.array([[1, 3, 2]], "int32")], {"axis": 1}, "int", grad=False),
    Case("norm", [np.array([-3, 3], "int32")], {"ord": 1}, "int1", grad=False),
    *(
        Case(
            "norm",
            [np.array([[0, 1, 2], [3, 4, 5]], dtype)],
            {"axis": 1, "out_dtype": out},
            f"{dtype}-{out}",
            grad=False,
            reference=lambda x, dtype=dtype, out=out: np.array(
                [2.2360679, 7.0710678] if dtype != "int32" else [2, 7], "float64"
            ).astype(out),
            tol=2e-3 if out == "float16" else 1e-6,
            reason="MXNet 1.9.1 refuses out_dtype on the CPU unless MXNET_SAFE_ACCUMULATION is set",
        )
        for dtype, out in [
            ("float16", "float32"),
            ("float32", "float16"),
            ("float32", "float64"),
            ("float32", "int32"),
            ("int32", "int64"),
        ]
    ),
    # Indices.
    *(
        Case(name, [Draw((2, 3, 4), spread=True)], attrs, tag)
        for name in ("argmax", "argmin")
        for tag, attrs in [
            ("all", {}),
            ("keepdims", {"keepdims": True}),
            ("negative", {"axis": -1}),
            ("axis-keepdims", {"axis": 1, "keepdims": True}),
        ]
    ),
    *(Case(name, [TIES], {"axis": 1}, "ties", numeric=False, reason=CORNER) for name in ("argmax", "argmin")),
    *(Case(name, [NANS], {"axis": 1}, "nan", grad=False) for name in ("argmax", "argmin")),
    *(Case(name, [Draw((4,), spread=True)], {"axis": 0}, "1d") for name in ("argmax", "argmin")),
    *(
        Case("argmax", [np.array([[1, 5, 2], [3, 0, 3]], dtype)], {"axis": 1}, dtype, grad=False)
        for dtype in ("float16", "float64", "int32", "uint8")
    ),
    Case("argmax_channel", [Draw((2, 3), spread=True)], grad=False),
    Case("argmax_channel", [Draw((2, 3, 2, 2), spread=True)], {}, "4d", grad=False),
    # moments.
    *(
        Case("moments", [Draw((2, 3, 4))], attrs, tag)
        for tag, attrs in [
            ("axis", {"axes": (1,)}),
            ("negative", {"axes": (-1, 0)}),
            ("all", {"axes": (0, 1, 2)}),
            ("keepdims", {"axes": (0, 2), "keepdims": True}),
        ]
    ),
    Case("moments", [Draw((2, 5), dtype="float16")], {"axes": (1,)}, "f16"),
    Case("moments", [np.array([[1, 3, 2], [0, 5, 1]], "int32")], {"axes": (1,)}, "int", grad=False),
]
