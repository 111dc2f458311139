"""Cases of ``symjit/ops/loss.py``."""

import numpy as np

from tests.ops.case import CORNER, LOSS, Case, Draw


def labels(*values, dtype="float32"):
    """Return class numbers as MXNet takes them."""
    return np.array(values, dtype)


FLAT = Draw((4, 3), -2, 2)
FLAT_LABEL = labels(2, 0, 1, 0)
IMAGE = Draw((2, 3, 2, 2), -2, 2)
IMAGE_LABEL = labels([[0, 1], [2, 2]], [[1, 0], [0, 2]])
STEPS = Draw((2, 4, 3), -2, 2)
STEPS_LABEL = labels([0, 1, 2, 2], [1, 0, 0, 2])


def softmax(data, label, tag, op="SoftmaxOutput", **attrs):
    """Return a case; the gradient is never the derivative of the output."""
    return Case(op, [data, label], attrs, tag, numeric=False, reason=LOSS)


def softmax_reference(axis):
    """Return NumPy's softmax over an axis of the first input."""

    def reference(data, label):
        e = np.exp(data - data.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    return reference


MULTI = {"multi_output": True}
KEEP = {"preserve_shape": True}

CASES = [
    softmax(FLAT, FLAT_LABEL, ""),
    softmax(FLAT, FLAT_LABEL, "alias", "Softmax"),
    softmax(FLAT, FLAT_LABEL, "scale", grad_scale=2.5),
    softmax(FLAT, FLAT_LABEL, "batch", normalization="batch"),
    softmax(FLAT, labels(2, -1, 1, -1), "valid", normalization="valid"),
    softmax(FLAT, labels(-1, -1, -1, -1), "valid-none", normalization="valid", use_ignore=True),
    softmax(FLAT, FLAT_LABEL, "valid-ignore", normalization="valid", use_ignore=True, ignore_label=0),
    softmax(FLAT, FLAT_LABEL, "ignore", use_ignore=True, ignore_label=0, grad_scale=0.5),
    softmax(FLAT, labels(2.9, -0.9, 1.5, 7), "fraction", use_ignore=True, ignore_label=0.7),
    softmax(FLAT, FLAT_LABEL, "smooth", smooth_alpha=0.1),
    softmax(FLAT, labels(2, 0, -1, 9), "smooth-ignore", smooth_alpha=0.3, use_ignore=True, normalization="valid"),
    softmax(FLAT, Draw((4, 3), 0, 1), "probability"),
    softmax(FLAT, Draw((4, 3), 0, 1), "probability-scale", grad_scale=3.0, normalization="batch"),
    softmax(IMAGE, Draw((2, 3, 2, 2), 0, 1), "probability-multi", grad_scale=3.0, normalization="batch", **MULTI),
    softmax(STEPS, Draw((2, 4, 3), 0, 1), "probability-keep", **KEEP),
    softmax(STEPS, labels([3, 1, 2, 2], [1, 0, 0, 2]), "three-axes"),
    softmax(STEPS, STEPS_LABEL, "three-axes-batch", normalization="batch"),
    softmax(STEPS, STEPS_LABEL, "three-axes-valid", normalization="valid", use_ignore=True, ignore_label=0),
    softmax(Draw((3, 1)), labels(0, 0, 1), "one-class"),
    softmax(Draw((1, 5)), labels(4), "one-row"),
    softmax(Draw((4,)), Draw((4,), 0, 1), "vector"),
    softmax(IMAGE, IMAGE_LABEL, "multi", **MULTI),
    softmax(IMAGE, IMAGE_LABEL.reshape(2, 4), "multi-flat", **MULTI),
    softmax(IMAGE, IMAGE_LABEL.reshape(2, 1, 2, 2), "multi-kept", **MULTI),
    softmax(FLAT, FLAT_LABEL, "multi-two-axes", **MULTI),
    softmax(FLAT, FLAT_LABEL.reshape(4, 1), "multi-two-axes-flat", **MULTI),
    softmax(IMAGE, IMAGE_LABEL, "multi-batch", normalization="batch", grad_scale=2.0, **MULTI),
    softmax(IMAGE, IMAGE_LABEL, "multi-valid", normalization="valid", ignore_label=2, **MULTI),
    softmax(IMAGE, IMAGE_LABEL, "multi-ignore", use_ignore=True, ignore_label=0, **MULTI),
    softmax(IMAGE, IMAGE_LABEL, "multi-valid-ignore", normalization="valid", use_ignore=True, ignore_label=0, **MULTI),
    softmax(IMAGE, IMAGE_LABEL, "multi-smooth", smooth_alpha=0.2, **MULTI),
    softmax(STEPS, labels([1, 0, 3], [2, 2, 0]), "multi-three-axes", **MULTI),
    softmax(IMAGE, IMAGE_LABEL, "multi-keep", **MULTI, **KEEP),
    softmax(STEPS, STEPS_LABEL, "keep", **KEEP),
    softmax(STEPS, STEPS_LABEL, "keep-batch", normalization="batch", **KEEP),
    softmax(STEPS, STEPS_LABEL, "keep-valid", normalization="valid", use_ignore=True, ignore_label=2, **KEEP),
    softmax(STEPS, STEPS_LABEL, "keep-smooth", smooth_alpha=0.1, **KEEP),
    softmax(Draw((4, 3), -2, 2, "float16"), labels(2, 0, 1, 0, dtype="float16"), "float16"),
    softmax(Draw((4, 3), -2, 2, "float64"), labels(2, 0, 1, 0, dtype="float64"), "float64", normalization="valid"),
    Case("SoftmaxOutput", [FLAT, FLAT_LABEL], {"smooth_alpha": 0.1}, "predict", grad=False),
    Case(
        "SoftmaxOutput",
        [FLAT, FLAT_LABEL],
        {"out_grad": True},
        "out_grad",
        numeric=False,
        reference=softmax_reference(1),
        reason="MXNet 1.9.1 multiplies by the output instead of the head gradient; tests/ops/test_loss.py has the rest",
    ),
    Case("MakeLoss", [Draw((3, 4))], {}, "", numeric=False, reason=LOSS),
    Case("MakeLoss", [Draw((3, 4))], {"grad_scale": 2.5}, "scale", numeric=False, reason=LOSS),
    Case(
        "MakeLoss", [Draw((3, 4))], {"grad_scale": 2.5, "normalization": "batch"}, "batch", numeric=False, reason=LOSS
    ),
    Case("MakeLoss", [Draw((3, 4))], {"normalization": "valid"}, "valid", numeric=False, reason=LOSS),
    Case(
        "MakeLoss",
        [Draw((3, 4))],
        {"normalization": "valid", "valid_thresh": 0.3},
        "thresh",
        numeric=False,
        reason=LOSS,
    ),
    Case(
        "MakeLoss", [Draw((3, 4))], {"normalization": "valid", "valid_thresh": 3.0}, "none", numeric=False, reason=LOSS
    ),
    Case("MakeLoss", [Draw((5,), dtype="float16")], {"normalization": "batch"}, "float16", numeric=False, reason=LOSS),
    Case("MakeLoss", [Draw((2, 3, 4))], {"normalization": "batch"}, "three-axes", numeric=False, reason=LOSS),
    Case("MakeLoss", [Draw((2, 1, 3, 4))], {"normalization": "batch"}, "four-axes", numeric=False, reason=LOSS),
    Case(
        "MakeLoss",
        [Draw((2, 3, 2), dtype="float64")],
        {"normalization": "valid"},
        "float64",
        numeric=False,
        reason=LOSS,
    ),
    Case("make_loss", [Draw((2, 3))], {}, "", numeric=False, reason=LOSS),
    Case("make_loss", [Draw((1,), dtype="float16")], {}, "float16", numeric=False, reason=LOSS),
    Case("SVMOutput", [Draw((4, 3), -2, 2), FLAT_LABEL], {}, "", numeric=False, reason=LOSS),
    Case("SVMOutput", [Draw((4, 3), -2, 2), FLAT_LABEL], {"use_linear": True}, "linear", numeric=False, reason=LOSS),
    Case("SVMOutput", [np.array([[1.0, -1.0, -1.0]], "float32"), labels(0)], {}, "kink", numeric=False, reason=LOSS),
    Case(
        "SVMOutput",
        [np.array([[1.0, -1.0, -1.0]], "float32"), labels(0)],
        {"use_linear": True},
        "l",
        numeric=False,
        reason=LOSS,
    ),
    Case(
        "SVMOutput",
        [Draw((4, 3), -2, 2), labels(2, -1, 7, 1)],
        {"margin": 0.3, "regularization_coefficient": 2.0},
        "margin",
        numeric=False,
        reason=LOSS,
    ),
    Case(
        "SVMOutput",
        [Draw((4, 3), -2, 2), FLAT_LABEL],
        {"margin": 0.3, "regularization_coefficient": 2.0, "use_linear": True},
        "margin-linear",
        numeric=False,
        reason=LOSS,
    ),
    Case("SVMOutput", [STEPS, STEPS_LABEL], {}, "three-axes", numeric=False, reason=LOSS),
    Case(
        "SVMOutput",
        [Draw((2, 3), dtype="float64"), labels(2, 0, dtype="float64")],
        {},
        "float64",
        numeric=False,
        reason=LOSS,
    ),
    Case(
        "SVMOutput",
        [Draw((2, 3), dtype="float16"), labels(2, 0, dtype="float16")],
        {},
        "float16",
        numeric=False,
        reason=LOSS,
    ),
    Case("softmax_cross_entropy", [FLAT, FLAT_LABEL], {}, "", grad=(0,)),
    Case("softmax_cross_entropy", [Draw((1, 1)), labels(0)], {}, "single", grad=(0,)),
    Case(
        "softmax_cross_entropy",
        [np.array([[50, -50, 0.0]], "float32"), labels(1)],
        {},
        "bound",
        grad=(0,),
        numeric=False,
        reason=CORNER,
    ),
    Case(
        "softmax_cross_entropy",
        [Draw((3, 4), dtype="float64"), labels(3, 0, 1, dtype="float64")],
        {},
        "float64",
        grad=(0,),
    ),
    Case(
        "softmax_cross_entropy",
        [Draw((3, 4), dtype="float16"), labels(3, 0, 1, dtype="float16")],
        {},
        "float16",
        grad=(0,),
    ),
    Case(
        "IdentityAttachKLSparseReg",
        [Draw((4, 3), 0.1, 0.9), np.array([0.2, 0.3, 0.4], "float32")],
        {},
        "",
        train=True,
        numeric=False,
        reason=LOSS,
    ),
    Case(
        "IdentityAttachKLSparseReg",
        [Draw((4, 3), 0.1, 0.9), np.array([0.2, 0.3, 0.4], "float32")],
        {"sparseness_target": 0.3, "penalty": 0.5, "momentum": 0.6},
        "attributes",
        train=True,
        numeric=False,
        reason=LOSS,
    ),
    Case("IdentityAttachKLSparseReg", [Draw((2, 3, 2), 0.1, 0.9), Draw((3,), 0.1, 0.9)], {}, "predict", grad=False),
]

for name in ("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput"):
    CASES += [
        Case(name, [Draw((4, 3), -2, 2), Draw((4, 3), -2, 2)], {}, "", numeric=False, reason=LOSS),
        Case(
            name, [Draw((4, 3), -2, 2), Draw((4, 3), -2, 2)], {"grad_scale": 2.5}, "scale", numeric=False, reason=LOSS
        ),
        Case(name, [Draw((4, 1)), Draw((4,))], {}, "column", numeric=False, reason=LOSS),
        Case(name, [Draw((4, 1)), Draw((4, 1))], {}, "columns", numeric=False, reason=LOSS),
        Case(name, [Draw((4,)), Draw((4, 1))], {}, "vector", numeric=False, reason=LOSS),
        Case(name, [Draw((2, 3, 2)), Draw((2, 6))], {}, "reshaped", numeric=False, reason=LOSS),
        Case(name, [Draw((1, 2, 3, 2)), Draw((1, 2, 3, 2))], {}, "four-axes", numeric=False, reason=LOSS),
        Case(
            name,
            [np.array([[1, 2.0, 3]], "float32"), np.array([[1, 3.0, 2]], "float32")],
            {},
            "equal",
            numeric=False,
            reason=LOSS,
        ),
        Case(
            name,
            [Draw((2, 3), dtype="float64"), Draw((2, 3), dtype="float64")],
            {},
            "float64",
            numeric=False,
            reason=LOSS,
        ),
        Case(
            name,
            [Draw((2, 3), dtype="float16"), Draw((2, 3), dtype="float16")],
            {},
            "float16",
            numeric=False,
            reason=LOSS,
        ),
    ]
