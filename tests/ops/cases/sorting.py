"""Cases of ``symjit/ops/sorting.py``."""

import numpy as np

from tests.ops.case import CORNER, Case, Draw

BOX = Draw((2, 3, 4), spread=True)
TIES = np.array([[3, 1, 2, 3], [0, 5, 5, -1]], np.float32)
MANY_TIES = np.array([1, 0, 2, 2, 0, 1, 2, 0, 1, 1, 2, 2, 0], np.float32)


def top(tag, data=BOX, grad=False, **attrs):
    return Case("topk", [data], attrs, tag, grad=grad, numeric=data is not TIES, reason=CORNER if data is TIES else "")


CASES = [
    # MXNet loses the default axis on the way to its gradient.
    Case("sort", [BOX], grad=False),
    Case("sort", [BOX], {"axis": -1}, "last"),
    Case("sort", [BOX], {"axis": -1, "is_ascend": False}, "descending"),
    Case("sort", [BOX], {"axis": 0}, "first"),
    Case("sort", [BOX], {"axis": None}, "flat"),
    Case("sort", [BOX], {"axis": 1, "is_ascend": False}, "middle"),
    Case("sort", [TIES], {"axis": 1}, "ties", numeric=False, reason=CORNER),
    Case("sort", [TIES], {"axis": 1, "is_ascend": False}, "ties-descending", numeric=False, reason=CORNER),
    Case("sort", [Draw((2, 5), -9, 9, "int32")], tag="int"),
    Case("sort", [Draw((2, 5), 0, 9, "uint8")], {"is_ascend": False}, "uint8"),
    Case("sort", [Draw((2, 5), dtype="float64", spread=True)], {"axis": -1}, "float64"),
    Case("argsort", [BOX], grad=False),
    Case("argsort", [BOX], {"is_ascend": False, "axis": 0}, "descending", grad=False),
    Case("argsort", [BOX], {"axis": None}, "flat", grad=False),
    Case("argsort", [BOX], {"dtype": "int32"}, "int32", grad=False),
    Case("argsort", [MANY_TIES], tag="ties", grad=False),
    Case("argsort", [MANY_TIES], {"is_ascend": False}, "ties-descending", grad=False),
    Case("argsort", [Draw((2, 5), -99, 99, "int32")], tag="int", grad=False),
    top("default"),
    top("k", k=2),
    top("first", k=2, axis=0),
    top("all", k=0),
    top("negative-k", k=-1),
    top("size", k=4),
    top("ascending", k=2, is_ascend=True),
    top("flat", k=3, axis=None),
    top("int32", k=2, dtype="int32"),
    top("float16-index", k=2, dtype="float16"),
    top("ties", MANY_TIES, k=4),
    top("ties-ascending", MANY_TIES, k=4, is_ascend=True),
    top("ties-all", TIES, k=4),
    top("value", k=2, ret_typ="value", grad=True),
    top("value-ascending", k=2, ret_typ="value", is_ascend=True, axis=1, grad=True),
    top("value-flat", k=5, ret_typ="value", axis=None, grad=True),
    top("value-ties", TIES, k=3, ret_typ="value", grad=True),
    top("value-int", Draw((2, 5), -9, 9, "int32"), k=2, ret_typ="value"),
    top("value-float64", Draw((2, 5), dtype="float64", spread=True), k=2, ret_typ="value", grad=True),
    top("both", k=2, ret_typ="both", grad=True),
    top("both-first", k=1, axis=0, ret_typ="both", is_ascend=True, grad=True),
    top("both-int32", k=2, ret_typ="both", dtype="int32"),
    top("both-float16", Draw((2, 5), dtype="float16", spread=True), k=2, ret_typ="both"),
    top("mask", k=2, ret_typ="mask"),
    top("mask-first", k=1, axis=0, ret_typ="mask", is_ascend=True),
    top("mask-flat", TIES, k=3, axis=None, ret_typ="mask"),
    top("mask-int", Draw((2, 5), -9, 9, "int32"), k=2, ret_typ="mask"),
]
