"""Cases of ``symjit/ops/ctc.py``."""

import numpy as np

from tests.ops.case import CLOSER, Case, Draw

DATA = Draw((6, 3, 5), -2, 2)
FIRST = np.array([[1, 2, 3], [2, 2, 0], [4, 0, 0]], "float32")
LAST = np.array([[0, 1, 2], [1, 1, -1], [3, -1, -1]], "float32")
UNSET = "MXNet 1.9.1 returns unset memory where every label of the batch is empty"


def plain(label, blank):
    """Return a NumPy function that sums over all alignments, for dtypes that MXNet refuses."""

    def losses(data, _label):
        out = []
        for n in range(data.shape[1]):
            x = data[:, n].astype(np.float64)
            p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
            total = 0.0
            for path in np.ndindex(*(data.shape[2],) * data.shape[0]):
                merged = [k for i, k in enumerate(path) if i == 0 or k != path[i - 1]]
                if [k for k in merged if k != blank] == label[n]:
                    total += np.prod([p[t, k] for t, k in enumerate(path)])
            out.append(-np.log(total))
        return np.array(out).astype(data.dtype)

    return losses


CASES = [
    Case(alias, [DATA, FIRST], {}, "" if alias == "CTCLoss" else "alias", grad=(0,))
    for alias in ("CTCLoss", "ctc_loss", "_contrib_CTCLoss", "_contrib_ctc_loss")
] + [
    Case("CTCLoss", [DATA, LAST], {"blank_label": "last"}, "last", grad=(0,)),
    Case("CTCLoss", [DATA, np.array([[1, 2, 3], [0, 0, 0], [4, 0, 0]], "float32")], {}, "one-empty", grad=(0,)),
    Case(
        "CTCLoss",
        [DATA, np.array([[0, 1, 2], [-1, -1, -1], [3, -1, -1]], "float32")],
        {"blank_label": "last"},
        "one-empty-last",
        grad=(0,),
    ),
    Case(
        "CTCLoss",
        [Draw((3, 2, 4)), np.zeros((2, 1), "float32")],
        {},
        "empty",
        reference=plain([[], []], 0),
        reason=UNSET,
    ),
    # What follows the first padding value is not read.
    Case("CTCLoss", [DATA, np.array([[1, 0, 2], [3, 4, 0], [0, 1, 1]], "float32")], {}, "padded", grad=(0,)),
    Case("CTCLoss", [DATA, FIRST.astype("int32")], {}, "int", grad=(0,)),
    Case("CTCLoss", [DATA, FIRST.astype("uint8")], {}, "uint8", grad=(0,)),
    # MXNet rounds labels, halves up.
    Case(
        "CTCLoss",
        [DATA, np.array([[0.5, 2.4, 3.4], [1.6, 2, 0], [3.5, 0, 0]], "float32")],
        {},
        "fraction",
        grad=(0,),
    ),
    Case(
        "CTCLoss",
        [DATA, FIRST, np.array([6, 4, 1], "float32")],
        {"use_data_lengths": True},
        "data_lengths",
        grad=(0,),
    ),
    Case(
        "CTCLoss",
        [DATA, np.array([[1, 2, 3], [2, 2, 4], [4, 3, 2]], "float32"), np.array([2.5, 2.4, 0], "float32")],
        {"use_label_lengths": True},
        "label_lengths",
        grad=(0,),
    ),
    Case(
        "CTCLoss",
        [DATA, LAST, np.array([6, 3, 4], "float32"), np.array([3, 1, 1], "float32")],
        {"use_data_lengths": True, "use_label_lengths": True, "blank_label": "last"},
        "both_lengths",
        grad=(0,),
    ),
    # MXNet leaves the gradient of a label that does not fit unset.
    Case("CTCLoss", [Draw((3, 2, 4)), np.array([[1, 1, 2], [1, 2, 3]], "float32")], {}, "long", grad=False),
    Case("CTCLoss", [Draw((1, 1, 2)), np.array([[1]], "float32")], {}, "one-step", grad=(0,)),
    Case(
        "CTCLoss",
        [Draw((40, 2, 7), -4, 4), Draw((2, 12), 1, 7, "int32")],
        {},
        "many-steps",
        grad=(0,),
        tol=5e-5,
        reason=CLOSER,
    ),
    Case("CTCLoss", [Draw((5, 2, 4), -60, 60), np.array([[1, 2], [3, 3]], "float32")], {}, "peaked", grad=(0,)),
    Case(
        "CTCLoss",
        [Draw((4, 2, 3), dtype="float64"), np.array([[1, 1], [2, 0]], "float32")],
        {},
        "float64",
        reference=plain([[1, 1], [2]], 0),
        reason="MXNet 1.9.1 takes float32 data only",
        tol=1e-12,
    ),
    Case(
        "CTCLoss",
        [Draw((4, 2, 3), dtype="float16"), np.array([[1, 1], [0, -1]], "float16")],
        {"blank_label": "last"},
        "float16",
        reference=plain([[1, 1], [0]], 2),
        reason="MXNet 1.9.1 takes float32 data only",
        tol=2e-3,
    ),
]
