"""Cases of ``symjit/ops/nn/dropout.py``; what is random is checked in ``tests/ops/test_dropout.py``."""

import numpy as np

from tests.ops.case import Case, Draw

CASES = [
    Case("Dropout", [Draw((2, 3, 2))], {}, "infer", grad=False),
    Case("Dropout", [Draw((2, 3))], {"p": 0.9, "axes": (0,), "cudnn_off": True}, "infer-axes", grad=False),
    Case("Dropout", [Draw((2, 3, 2))], {"p": 0.0}, "nothing"),
    Case("Dropout", [Draw((2, 3))], {"p": 0.0, "mode": "always"}, "always-nothing"),
    Case("Dropout", [Draw((2, 3), dtype="float16")], {"p": 0.0}, "float16"),
    Case("Dropout", [np.zeros((3, 4), np.float64)], {"p": 0.5}, "zeros-stay-zeros", train=True, grad=False),
]
