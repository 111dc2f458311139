"""Cases of ``symjit/ops/elemwise.py``."""

import numpy as np

from tests.ops.case import CORNER, SINGLE, Case, Draw

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

#: What is asked of some of them. MXNet's constants in the slopes of erf, erfinv and the gamma functions have float32's
#: digits.
SPECIAL = {
    "BlockGrad": {"numeric": False, "reason": "no gradient passes, and that is what it is for"},
    **{name: {"tol": {"float64": 1e-7}, "reason": SINGLE} for name in "erf erfinv gamma gammaln".split()},
}

#: Points where conventions show: zeros of both signs, ties of rounding, corners, NaN.
POINTS = [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.0, 0.25, NAN]
INTEGERS = [0, 1, -1, 2, 3, -3, 4, 9, -27]
NATIVE = "abs negative relu sign floor ceil trunc fix round rint logical_not".split()
THROUGH_FLOAT = "sqrt cbrt log square gamma log2".split()
#: Integers at which a result of float32 and one of float64 differ after the fraction is cut off.
INT_POINTS = np.array([1, 2, 3, 5, 8, 12, 15, 16, 18, 20, -2, -9, 27, 1000], "int64")
THROUGH_DOUBLE = "sigmoid tanh exp expm1 sinh cosh cbrt log10 softsign tan gammaln erf".split()
HALF = "relu sigmoid tanh softsign exp log gammaln".split()

CASES = [
    # True slopes, and those that are 0 almost everywhere.
    *(Case(name, [Draw((2, 3, 2), *domain, spread=True)], **SPECIAL.get(name, {})) for name, domain in DOMAINS.items()),
    *(
        Case(name, [Draw((5,), *DOMAINS[name], "float64", spread=True)], tag="f64", tol=1e-7, reason=SINGLE)
        for name in ("log2", "gamma", "erfinv")
    ),
    *(Case(name, [Draw((5,), *DOMAINS[name], "float16", spread=True)], tag="f16") for name in HALF),
    # NaN last: what a slope is there differs, so it takes part in the values alone.
    *(Case(name, [np.array(POINTS, "float32")], tag="points", grad=False) for name in NATIVE),
    *(Case(name, [np.array(POINTS[:-1], "float32")], tag="corners", numeric=False, reason=CORNER) for name in NATIVE),
    Case("softsign", [np.array([0.0, -2.0, 100.0], "float32")], tag="corners", numeric=False, reason=CORNER),
    Case("sqrt", [np.array([0.0, -1.0, INF, NAN], "float32")], tag="points", numeric=False, reason=CORNER),
    Case("rsqrt", [np.array([0.0, -1.0, INF, 4.0], "float32")], tag="points", numeric=False, reason=CORNER),
    Case("cbrt", [np.array([-8.0, 27.0, INF], "float32")], tag="points", numeric=False, reason=CORNER),
    Case("log", [np.array([0.0, -1.0, INF, 1e-30], "float32")], tag="points", numeric=False, reason=CORNER),
    Case("log2", [2.0 ** np.arange(-20, 25).astype("float32")], tag="powers", tol=0.0, grad=False),
    Case(
        "log2",
        [np.array([0.0, -1.0, INF, NAN, 0.9999, 1.0001, 1e-30], "float32")],
        tag="points",
        numeric=False,
        reason=CORNER,
    ),
    Case("gamma", [np.array([-0.5, -1.5, -2.3, 5.0, 6.0], "float32")], tag="negative"),
    Case("gamma", [np.array([0.0, -0.0, -1.0, -2.0, 20.0], "float32")], tag="points", grad=False),
    Case("gammaln", [np.array([-0.5, -1.5, -2.3, 0.0, 50.0], "float32")], tag="negative", grad=False),
    *(
        Case(
            name,
            [np.array([0.0, -0.0, -1.0, -2.0, -2.5, 1.0, INF], dtype)],
            tag=f"poles-{dtype}",
            numeric=False,
            reason=CORNER,
        )
        for name in ("gamma", "gammaln")
        for dtype in ("float32", "float16")
    ),
    Case("erfinv", [np.array([-1.0, 1.0, 0.0, 1.5, 0.999], "float32")], tag="points", grad=False),
    Case("arccosh", [np.array([1.0, 0.5, 10.0], "float32")], tag="points", grad=False),
    Case("reciprocal", [np.array([0.0, -4.0, INF], "float32")], tag="points", numeric=False, reason=CORNER),
    *(Case(name, [np.array(INTEGERS, "int32")], tag="int", grad=False) for name in (*NATIVE, *THROUGH_FLOAT)),
    *(
        Case(name, [np.array([0, 1, 3, 200], "uint8")], tag="uint8", grad=False)
        for name in ("negative", "square", "exp")
    ),
    Case("abs", [np.array([-128, -3, 127], "int8")], tag="int8", grad=False),
    Case("exp", [np.array([1, 5, -2], "int8")], tag="int8", grad=False),
    *(Case(name, [np.array([2**24 + 1, -7], "int32")], tag="large", grad=False) for name in ("floor", "abs", "relu")),
    *(Case(name, [INT_POINTS], tag="int64", grad=False) for name in THROUGH_DOUBLE),
    Case("gamma", [np.array([3, 8, 11, 12, 14, 16], "int64")], tag="int64", grad=False),
    Case("erfinv", [np.array([-2, -1, 0, 1, 2], "int32")], tag="int-outside", grad=False),
    Case("degrees", [np.array([1000000, 2**24 + 1], "int64")], tag="int64", grad=False),
    Case("square", [np.array([2**24 + 1, 46341], "int64")], tag="int64", grad=False),
    # Aliases.
    Case("identity", [Draw((2, 1, 3, 1, 2))]),
    Case("stop_gradient", [Draw((3,))], **SPECIAL["BlockGrad"]),
    # Functions with attributes.
    Case("clip", [Draw((3, 4), -2, 2, spread=True)], {"a_min": -0.7, "a_max": 1.1}),
    Case(
        "clip",
        [np.array([-1, 0, 1, 2, 3], "float32")],
        {"a_min": 0, "a_max": 2},
        "bounds",
        numeric=False,
        reason=CORNER,
    ),
    Case(
        "clip",
        [np.array([-1, 0, 1, 2, 3, NAN], "float32")],
        {"a_min": 2, "a_max": 0},
        "swapped",
        numeric=False,
        reason=CORNER,
    ),
    Case("clip", [np.array([0.0, 30.0])], {"a_min": 0.1, "a_max": 0.7}, "f64"),
    Case("clip", [Draw((6,), -2, 2, "float16", spread=True)], {"a_min": -0.5, "a_max": 0.5}, "f16"),
    Case("clip", [np.array([1, -5, 200, 2**24 + 1], "int32")], {"a_min": -1.5, "a_max": 2.0**30}, "int", grad=False),
    Case("clip", [np.array([1, 5, 200], "uint8")], {"a_min": -1.0, "a_max": 100.0}, "uint8", grad=False),
    Case("clip", [np.array([1, 5, 200], "uint8")], {"a_min": 3.0, "a_max": 300.0}, "uint8-wide", grad=False),
    Case("hard_sigmoid", [Draw((2, 5), -4, 4, spread=True)]),
    Case("hard_sigmoid", [Draw((2, 5), -4, 4, spread=True)], {"alpha": 0.5, "beta": 0.1}, "attributes"),
    Case(
        "hard_sigmoid", [np.array([-3.0, -2.5, 0.0, 2.5, 3.0], "float32")], {}, "corners", numeric=False, reason=CORNER
    ),
    Case("hard_sigmoid", [np.array([1.0, 0.3])], {"alpha": 0.1, "beta": 0.3}, "f64"),
    Case("smooth_l1", [Draw((3, 4), -3, 3, spread=True)]),
    Case("smooth_l1", [Draw((3, 4), -1, 1, spread=True)], {"scalar": 3.0}, "sharp"),
    Case("smooth_l1", [Draw((3, 4), -5, 5, spread=True)], {"scalar": 0.5}, "blunt"),
    Case(
        "smooth_l1",
        [np.array([-1.0, 0.0, 1.0, INF], "float32")],
        {"scalar": 1.0},
        "corners",
        numeric=False,
        reason=CORNER,
    ),
    Case("smooth_l1", [np.array([-1.0, 0.0, 1.0], "float32")], {"scalar": 0.0}, "zero", numeric=False, reason=CORNER),
    Case("smooth_l1", [np.array([0.5, 30.0])], {"scalar": 0.1}, "f64"),
    Case("smooth_l1", [Draw((6,), -3, 3, "float16", spread=True)], {"scalar": 1.5}, "f16"),
    Case("smooth_l1", [np.array([1, 3, -2], "int32")], {"scalar": 1.0}, "int", grad=False),
]
