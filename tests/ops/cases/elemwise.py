"""Cases of ``symjit/ops/elemwise.py``."""

import numpy as np

from tests.ops.case import Case, Draw

INF, NAN = np.inf, np.nan

#: Domain in which the function and its slope are moderate.
DOMAINS = {
    "abs": (-2, 2),
    "negative": (-2, 2),
    "relu": (-2, 2),
    "sign": (-2, 2),
    "floor": (-4, 4),
    "ceil": (-4, 4),
    "trunc": (-4, 4),
    "fix": (-4, 4),
    "round": (-4, 4),
    "rint": (-4, 4),
    "logical_not": (-2, 2),
    "sigmoid": (-4, 4),
    "tanh": (-3, 3),
    "softsign": (-3, 3),
    "erf": (-2, 2),
    "sin": (-7, 7),
    "cos": (-7, 7),
    "arctan": (-4, 4),
    "arcsinh": (-4, 4),
    "sqrt": (0.1, 4),
    "cbrt": (0.1, 4),
    "degrees": (-3, 3),
    "radians": (-180, 180),
    "exp": (-3, 3),
    "expm1": (-3, 3),
    "log": (0.1, 4),
    "log2": (0.1, 4),
    "log10": (0.1, 4),
    "log1p": (-0.8, 4),
    "square": (-3, 3),
    "rsqrt": (0.1, 4),
    "rcbrt": (0.1, 4),
    "reciprocal": (0.2, 4),
    "tan": (-1.2, 1.2),
    "arcsin": (-0.9, 0.9),
    "arccos": (-0.9, 0.9),
    "sinh": (-3, 3),
    "cosh": (-3, 3),
    "arccosh": (1.1, 4),
    "arctanh": (-0.9, 0.9),
    "erfinv": (-0.9, 0.9),
    "gamma": (0.4, 5),
    "gammaln": (0.4, 6),
    "_copy": (-2, 2),
    "BlockGrad": (-2, 2),
}

#: Points where conventions show: zeros of both signs, ties of rounding, corners, NaN.
POINTS = [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.0, 0.25, NAN]
INTEGERS = [0, 1, -1, 2, 3, -3, 4, 9, -27]
NATIVE = "abs negative relu sign floor ceil trunc fix round rint logical_not".split()
THROUGH_FLOAT = "sqrt cbrt log square gamma log2".split()
HALF = "relu sigmoid tanh softsign exp log gammaln".split()

CASES = [
    # True slopes, and those that are 0 almost everywhere.
    *(
        Case(name, [Draw((2, 3, 2), *domain, spread=True)], numeric=name != "BlockGrad")
        for name, domain in DOMAINS.items()
    ),
    *(
        Case(name, [Draw((5,), *DOMAINS[name], "float64", spread=True)], tag="f64")
        for name in ("log2", "gamma", "erfinv")
    ),
    *(Case(name, [Draw((5,), *DOMAINS[name], "float16", spread=True)], tag="f16", tol=2e-3) for name in HALF),
    # NaN last: what a slope is there differs, so it takes part in the values alone.
    *(Case(name, [np.array(POINTS, "float32")], tag="points", grad=False) for name in NATIVE),
    *(Case(name, [np.array(POINTS[:-1], "float32")], tag="corners", numeric=False) for name in NATIVE),
    Case("softsign", [np.array([0.0, -2.0, 100.0], "float32")], tag="corners", numeric=False),
    Case("sqrt", [np.array([0.0, -1.0, INF, NAN], "float32")], tag="points", numeric=False),
    Case("rsqrt", [np.array([0.0, -1.0, INF, 4.0], "float32")], tag="points", numeric=False),
    Case("cbrt", [np.array([-8.0, 27.0, INF], "float32")], tag="points", numeric=False),
    Case("log", [np.array([0.0, -1.0, INF, 1e-30], "float32")], tag="points", numeric=False),
    Case("log2", [2.0 ** np.arange(-20, 25).astype("float32")], tag="powers", tol=0.0, grad=False),
    Case("log2", [np.array([0.0, -1.0, INF, NAN, 0.9999, 1.0001, 1e-30], "float32")], tag="points", numeric=False),
    Case("gamma", [np.array([-0.5, -1.5, -2.3, 5.0, 6.0], "float32")], tag="negative"),
    Case("gamma", [np.array([0.0, -0.0, -1.0, -2.0, 20.0], "float32")], tag="points", grad=False),
    Case("gammaln", [np.array([-0.5, -1.5, -2.3, 0.0, 50.0], "float32")], tag="negative", grad=False),
    *(
        Case(
            name,
            [np.array([0.0, -0.0, -1.0, -2.0, -2.5, 1.0, INF], dtype)],
            tag=f"poles-{dtype}",
            numeric=False,
            tol=tol,
        )
        for name in ("gamma", "gammaln")
        for dtype, tol in (("float32", 1e-5), ("float16", 2e-3))
    ),
    Case("erfinv", [np.array([-1.0, 1.0, 0.0, 1.5, 0.999], "float32")], tag="points", grad=False),
    Case("arccosh", [np.array([1.0, 0.5, 10.0], "float32")], tag="points", grad=False),
    Case("reciprocal", [np.array([0.0, -4.0, INF], "float32")], tag="points", numeric=False),
    *(Case(name, [np.array(INTEGERS, "int32")], tag="int", grad=False) for name in (*NATIVE, *THROUGH_FLOAT)),
    *(
        Case(name, [np.array([0, 1, 3, 200], "uint8")], tag="uint8", grad=False)
        for name in ("negative", "square", "exp")
    ),
    Case("abs", [np.array([-128, -3, 127], "int8")], tag="int8", grad=False),
    Case("exp", [np.array([1, 5, -2], "int8")], tag="int8", grad=False),
    *(Case(name, [np.array([2**24 + 1, -7], "int32")], tag="large", grad=False) for name in ("floor", "abs", "relu")),
    # Aliases.
    Case("identity", [Draw((2, 1, 3, 1, 2))]),
    Case("stop_gradient", [Draw((3,))], numeric=False),
    # Functions with attributes.
    Case("clip", [Draw((3, 4), -2, 2, spread=True)], {"a_min": -0.7, "a_max": 1.1}),
    Case("clip", [np.array([-1, 0, 1, 2, 3], "float32")], {"a_min": 0, "a_max": 2}, "bounds", numeric=False),
    Case("clip", [np.array([-1, 0, 1, 2, 3, NAN], "float32")], {"a_min": 2, "a_max": 0}, "swapped", numeric=False),
    Case("clip", [np.array([0.0, 30.0])], {"a_min": 0.1, "a_max": 0.7}, "f64", tol=1e-12, numeric=False),
    Case("clip", [Draw((6,), -2, 2, "float16", spread=True)], {"a_min": -0.5, "a_max": 0.5}, "f16"),
    Case("clip", [np.array([1, -5, 200, 2**24 + 1], "int32")], {"a_min": -1.5, "a_max": 2.0**30}, "int", grad=False),
    Case("clip", [np.array([1, 5, 200], "uint8")], {"a_min": -1.0, "a_max": 100.0}, "uint8", grad=False),
    Case("clip", [np.array([1, 5, 200], "uint8")], {"a_min": 3.0, "a_max": 300.0}, "uint8-wide", grad=False),
    Case("hard_sigmoid", [Draw((2, 5), -4, 4, spread=True)]),
    Case("hard_sigmoid", [Draw((2, 5), -4, 4, spread=True)], {"alpha": 0.5, "beta": 0.1}, "attributes"),
    Case("hard_sigmoid", [np.array([-3.0, -2.5, 0.0, 2.5, 3.0], "float32")], {}, "corners", numeric=False),
    Case("hard_sigmoid", [np.array([1.0, 0.3])], {"alpha": 0.1, "beta": 0.3}, "f64", tol=1e-12),
    Case("smooth_l1", [Draw((3, 4), -3, 3, spread=True)]),
    Case("smooth_l1", [Draw((3, 4), -1, 1, spread=True)], {"scalar": 3.0}, "sharp"),
    Case("smooth_l1", [Draw((3, 4), -5, 5, spread=True)], {"scalar": 0.5}, "blunt"),
    Case("smooth_l1", [np.array([-1.0, 0.0, 1.0, INF], "float32")], {"scalar": 1.0}, "corners", numeric=False),
    Case("smooth_l1", [np.array([-1.0, 0.0, 1.0], "float32")], {"scalar": 0.0}, "zero", numeric=False),
    Case("smooth_l1", [np.array([0.5, 30.0])], {"scalar": 0.1}, "f64", tol=1e-12, numeric=False),
    Case("smooth_l1", [Draw((6,), -3, 3, "float16", spread=True)], {"scalar": 1.5}, "f16", tol=2e-3),
    Case("smooth_l1", [np.array([1, 3, -2], "int32")], {"scalar": 1.0}, "int", grad=False),
]
