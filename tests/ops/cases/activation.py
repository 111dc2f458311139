"""Cases of ``symjit/ops/nn/activation.py``."""

import numpy as np

from tests.ops.case import Case, Draw

KINK = np.array([[-2, -1, -0.5, 0, 0.5, 1, 2]], np.float32)
LARGE = np.array([[-100, -30, 30, 100]], np.float32)
INFINITE = np.array([[-np.inf, 0, 1], [-np.inf, -np.inf, -np.inf]], np.float32)
LENGTHS = np.array([[1, 3, 0], [2, 0, 4]], np.int32)
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
            Case("Activation", [KINK], {"act_type": act}, f"{act}-kink", numeric=False),
            Case("Activation", [LARGE], {"act_type": act}, f"{act}-large", numeric=False),
            Case("Activation", [Draw((5,), dtype="float64", spread=True)], {"act_type": act}, f"{act}-64", tol=1e-12),
            Case("Activation", [Draw((5,), dtype="float16", spread=True)], {"act_type": act}, f"{act}-16", tol=2e-3),
        )
    ),
    # LeakyReLU
    *(
        case
        for act in ("leaky", "elu", "selu", "gelu")
        for case in (
            Case("LeakyReLU", [Draw((2, 3, 2), -2, 2, spread=True)], {"act_type": act}, act),
            Case("LeakyReLU", [KINK], {"act_type": act}, f"{act}-kink", numeric=False),
            Case("LeakyReLU", [LARGE], {"act_type": act}, f"{act}-large", numeric=False),
            Case("LeakyReLU", [Draw((5,), -2, 2, "float64", spread=True)], {"act_type": act}, f"{act}-64", tol=1e-6),
            Case("LeakyReLU", [Draw((5,), -2, 2, "float16", spread=True)], {"act_type": act}, f"{act}-16", tol=2e-3),
        )
    ),
    Case("LeakyReLU", [Draw((2, 3), spread=True)], {}, "default"),
    Case("LeakyReLU", [Draw((2, 3), spread=True)], {"slope": 0.1}, "slope"),
    Case("LeakyReLU", [Draw((2, 3), spread=True)], {"act_type": "elu", "slope": 1.5}, "elu-slope"),
    Case("LeakyReLU", [Draw((2, 3, 2), spread=True), Draw((3,))], {"act_type": "prelu"}, "prelu"),
    Case("LeakyReLU", [Draw((2, 3), spread=True), Draw((3,))], {"act_type": "prelu"}, "prelu-2d"),
    Case("LeakyReLU", [Draw((2, 3, 2, 2), spread=True), Draw((1,))], {"act_type": "prelu"}, "prelu-shared"),
    Case("LeakyReLU", [Draw((5,), spread=True), Draw((1,))], {"act_type": "prelu"}, "prelu-1d"),
    Case("LeakyReLU", [Draw((2, 3), spread=True), Draw((1, 3))], {"act_type": "prelu"}, "prelu-broadcast"),
    Case("LeakyReLU", [KINK, Draw((7,))], {"act_type": "prelu"}, "prelu-kink", numeric=False),
    Case(
        "LeakyReLU",
        [Draw((2, 3), dtype="float64", spread=True), Draw((3,), dtype="float64")],
        {"act_type": "prelu"},
        "prelu-64",
        tol=1e-7,
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
            Case(op, [Draw((2, 3, 4))], {}, "last"),
            Case(op, [Draw((2, 3, 4))], {"axis": 1}, "axis-1"),
            Case(op, [Draw((2, 3))], {"axis": 0}, "axis-0"),
            Case(op, [Draw((2, 3, 2, 2))], {"axis": -3}, "axis-negative"),
            Case(op, [Draw((5,))], {}, "1d"),
            # oneDNN's log_softmax is off by 1e-6 in absolute terms
            Case(op, [Draw((2, 1))], {}, "single", numeric=False, tol=5e-3),
            Case(op, [Draw((2, 3))], {"temperature": 2.5}, "temperature"),
            Case(op, [Draw((2, 3), -80, 80)], {}, "large", numeric=False, tol=1e-4),
            Case(op, [Draw((2, 3))], {"dtype": "float64"}, "to-64"),
            Case(op, [Draw((2, 3))], {"dtype": "float16"}, "to-16", tol=1e-2, numeric=False),
            Case(op, [Draw((2, 3), dtype="float16")], {"dtype": "float32"}, "from-16", numeric=False, tol=1e-2),
            Case(op, [Draw((2, 3), dtype="float16")], {}, "float16", tol=1e-2),
            Case(op, [Draw((2, 3), dtype="float64")], {"temperature": 0.5}, "float64", tol=1e-10),
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
    ),
    Case("SoftmaxActivation", [Draw((3, 4))], {}, "2d"),
    Case("SoftmaxActivation", [Draw((2, 3, 2, 2))], {}, "instance"),
    Case("SoftmaxActivation", [Draw((2, 3, 2))], {"mode": "channel"}, "channel-3d"),
    Case("SoftmaxActivation", [Draw((2, 3, 2, 2))], {"mode": "channel"}, "channel"),
    Case("SoftmaxActivation", [Draw((1, 2, 2, 1, 3))], {"mode": "channel"}, "channel-5d"),
]
