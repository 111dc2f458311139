"""Cases of ``symjit/ops/nn/activation.py``."""

import numpy as np

from tests.ops.case import CLOSER, CORNER, SINGLE, Case, Draw

SELU = "MXNet's slope of selu is scale (alpha + y) in place of scale alpha + y; constants in float32"

WIDE = {"tol": {"float64": 1e-7}, "reason": SINGLE}
KINK = np.array([[-2, -1, -0.5, 0, 0.5, 1, 2]], np.float32)
LARGE = np.array([[-100, -30, 30, 100]], np.float32)
INFINITE = np.array([[-np.inf, 0, 1], [-np.inf, -np.inf, -np.inf]], np.float32)
LENGTHS = np.array([[1, 3, 0], [2, 0, 4]], np.int32)
#: oneDNN's log_softmax is off by 1e-6 in absolute terms where the true value is 0.
ABSOLUTE = {"tol": 5e-3, "reason": "the true value is 0, which symjit gives; MXNet gives 1e-6"}
COARSE = CLOSER + "; differences cannot see through float16"
NARROW = "float32 data go through float32 arithmetic, in MXNet as in symjit"
UNWRITTEN = "MXNet leaves the mask of inference unwritten"


def rectified(data):
    """rrelu in inference: the slope is the mean of the bounds."""
    return [np.where(data > 0, data, data * np.float32((0.2 + 0.4) / 2)), np.zeros_like(data)]


CASES = [
    *(
        case
        for act in ("relu", "sigmoid", "softrelu", "softsign", "tanh")
        for case in (
            Case("Activation", [Draw((2, 3, 2), -2, 2, spread=True)], {"act_type": act}, act),
            Case("Activation", [KINK], {"act_type": act}, f"{act}-kink", numeric=False, reason=CORNER),
            Case("Activation", [LARGE], {"act_type": act}, f"{act}-large", numeric=False, reason=CORNER),
            Case("Activation", [Draw((5,), dtype="float64", spread=True)], {"act_type": act}, f"{act}-64"),
            Case("Activation", [Draw((5,), dtype="float16", spread=True)], {"act_type": act}, f"{act}-16"),
        )
    ),
    # LeakyReLU
    *(
        case
        for act in ("leaky", "elu", "selu", "gelu")
        for case in (
            Case(
                "LeakyReLU",
                [Draw((2, 3, 2), -2, 2, spread=True)],
                {"act_type": act},
                act,
                numeric=act != "selu",
                **WIDE,
            ),
            Case("LeakyReLU", [KINK], {"act_type": act}, f"{act}-kink", numeric=False, reason=CORNER),
            Case("LeakyReLU", [LARGE], {"act_type": act}, f"{act}-large", numeric=False, reason=CORNER),
            Case(
                "LeakyReLU",
                [Draw((5,), -2, 2, "float64", spread=True)],
                {"act_type": act},
                f"{act}-64",
                numeric=act != "selu",
                tol=1e-6,
                reason=SELU if act == "selu" else SINGLE,
            ),
            Case(
                "LeakyReLU",
                [Draw((5,), -2, 2, "float16", spread=True)],
                {"act_type": act},
                f"{act}-16",
                numeric=act != "selu",
                reason=SELU if act == "selu" else "",
            ),
        )
    ),
    Case("LeakyReLU", [Draw((2, 3), spread=True)], {}, "default", **WIDE),
    Case("LeakyReLU", [Draw((2, 3), spread=True)], {"slope": 0.1}, "slope"),
    Case("LeakyReLU", [Draw((2, 3), spread=True)], {"act_type": "elu", "slope": 1.5}, "elu-slope"),
    Case("LeakyReLU", [Draw((2, 3, 2), spread=True), Draw((3,))], {"act_type": "prelu"}, "prelu", **WIDE),
    Case("LeakyReLU", [Draw((2, 3), spread=True), Draw((3,))], {"act_type": "prelu"}, "prelu-2d"),
    Case("LeakyReLU", [Draw((2, 3, 2, 2), spread=True), Draw((1,))], {"act_type": "prelu"}, "prelu-shared"),
    Case("LeakyReLU", [Draw((5,), spread=True), Draw((1,))], {"act_type": "prelu"}, "prelu-1d"),
    Case("LeakyReLU", [Draw((2, 3), spread=True), Draw((1, 3))], {"act_type": "prelu"}, "prelu-broadcast"),
    Case("LeakyReLU", [KINK, Draw((7,))], {"act_type": "prelu"}, "prelu-kink", numeric=False, reason=CORNER),
    Case(
        "LeakyReLU",
        [Draw((2, 3), dtype="float64", spread=True), Draw((3,), dtype="float64")],
        {"act_type": "prelu"},
        "prelu-64",
        tol=1e-7,
        reason=SINGLE,
    ),
    Case(
        "LeakyReLU",
        [Draw((2, 3), spread=True)],
        {"act_type": "rrelu", "lower_bound": 0.2, "upper_bound": 0.4},
        "rrelu-infer",
        grad=False,
        reference=rectified,
        reason=UNWRITTEN,
    ),
    # softmax and its kin
    *(
        case
        for op in ("softmax", "log_softmax", "softmin")
        for case in (
            Case(op, [Draw((2, 3, 4))], {}, "last", tol={"float16": 5e-3}, reason=CLOSER),
            Case(op, [Draw((2, 3, 4))], {"axis": 1}, "axis-1"),
            Case(op, [Draw((2, 3))], {"axis": 0}, "axis-0"),
            Case(op, [Draw((2, 3, 2, 2))], {"axis": -3}, "axis-negative"),
            Case(op, [Draw((5,))], {}, "1d"),
            Case(op, [Draw((2, 1))], {}, "single", **(ABSOLUTE if op == "log_softmax" else {})),
            Case(op, [Draw((2, 3))], {"temperature": 2.5}, "temperature"),
            Case(op, [Draw((2, 3), -80, 80)], {}, "large", tol=2e-5, reason=CLOSER),
            Case(op, [Draw((2, 3))], {"dtype": "float64"}, "to-64", tol=1e-6, reason=NARROW),
            Case(op, [Draw((2, 3))], {"dtype": "float16"}, "to-16", tol=5e-3, numeric=False, reason=COARSE),
            Case(
                op,
                [Draw((2, 3), dtype="float16")],
                {"dtype": "float32"},
                "from-16",
                tol=5e-3,
                numeric=False,
                reason=COARSE,
            ),
            Case(op, [Draw((2, 3), dtype="float16")], {}, "float16", tol=1e-2, reason=CLOSER),
            Case(op, [Draw((2, 3), dtype="float64")], {"temperature": 0.5}, "float64"),
        )
    ),
    Case("softmax", [INFINITE], {}, "infinite", grad=False),
    Case("softmax", [Draw((2, 3)), np.array([1, 3], np.int32)], {"use_length": True}, "length"),
    Case("softmax", [Draw((4,)), np.array([2], np.int32)], {"use_length": True, "axis": 0}, "length-vector"),
    Case("softmax", [Draw((2, 4, 3)), LENGTHS], {"use_length": True, "axis": 1}, "length-axis-1"),
    Case("softmax", [Draw((3, 2)), np.array([2, 0], np.int64)], {"use_length": True, "axis": 0}, "length-64"),
    Case(
        "softmax",
        [Draw((2, 3, 4)), LENGTHS],
        {"use_length": True, "temperature": 0.5, "dtype": "float64"},
        "length-temperature",
        tol=1e-6,
        reason=NARROW,
    ),
    Case("SoftmaxActivation", [Draw((3, 4))], {}, "2d"),
    Case(
        "SoftmaxActivation",
        [Draw((2, 3, 2, 2))],
        {},
        "instance",
        numeric=False,
        reason="MXNet runs forward along the last axis and backward along axis 1",
    ),
    Case("SoftmaxActivation", [Draw((2, 3, 2))], {"mode": "channel"}, "channel-3d"),
    Case("SoftmaxActivation", [Draw((2, 3, 2, 2))], {"mode": "channel"}, "channel"),
    Case("SoftmaxActivation", [Draw((1, 2, 2, 1, 3))], {"mode": "channel"}, "channel-5d"),
]
