"""Cases of ``symjit/ops/indexing.py``."""

import numpy as np

from tests.ops.case import Case, Draw

TABLE = Draw((3, 2))
BOX = Draw((2, 3, 4))
WILD = np.array([0, 2, 5, -1, 1.9, -0.5], np.float32)


def indices(*values, dtype="float32"):
    return np.array(values, dtype)


def embedded(tag, data, weight=TABLE, **attrs):
    return Case("Embedding", [data, weight], {"input_dim": 3, "output_dim": 2, **attrs}, tag, grad=(1,))


def taken(tag, data, where, **attrs):
    return Case("take", [data, where], attrs, tag, grad=(0,))


def picked(tag, data, where, **attrs):
    return Case("pick", [data, where], attrs, tag, grad=(0,))


def gathered(tag, data, *coordinates, dtype="float32"):
    # MXNet's gradient writes negative coordinates into foreign memory.
    grad = (0,) if np.min(coordinates) >= 0 else False
    return Case("gather_nd", [data, indices(*coordinates, dtype=dtype)], tag=tag, grad=grad)


def scattered(tag, data, coordinates, shape, dtype="float32"):
    return Case("scatter_nd", [data, indices(*coordinates, dtype=dtype)], {"shape": shape}, tag, grad=(0,))


CASES = [
    embedded("clipped", WILD),
    embedded("repeated", indices([0, 0, 2], [2, 9, -4])),
    embedded("int32", indices(0, 2, 5, -7, dtype="int32")),
    embedded("int64", indices(0, 2, 70000, -7, dtype="int64")),
    embedded("uint8", indices(0, 2, 200, dtype="uint8")),
    embedded("float64-data", indices(0, 2, 5, dtype="float64")),
    embedded("float16-data", indices(0, 2, 5, dtype="float16")),
    embedded("float64", indices(0, 2, 1), Draw((3, 2), dtype="float64"), dtype="float64"),
    embedded("float16", indices(0, 2, 1), Draw((3, 2), dtype="float16"), dtype="float16"),
    embedded("other-dtype", indices(0, 2, 1), Draw((3, 2), dtype="float16")),
    # Its gradient is a row_sparse array, which needs a graph that says so.
    Case(
        "Embedding",
        [indices(0, 2, 1), TABLE],
        {"input_dim": 3, "output_dim": 2, "sparse_grad": True},
        "sparse",
        grad=False,
    ),
    Case("Embedding", [indices(0, 3, 1), Draw((4, 3))], {"input_dim": 4, "output_dim": 3}, "wide", grad=(1,)),
    embedded("3d", indices([[0, 1]], [[2, 1]])),
    taken("clip", TABLE, WILD),
    taken("wrap", TABLE, indices(0, 2, 5, -1, -4, 7.9), mode="wrap"),
    taken("raise", TABLE, indices(0, 2, 1), mode="raise"),
    taken("axis", TABLE, indices(0, 1, -1), axis=1),
    taken("axis-wrap", TABLE, indices(0, 1, -1, dtype="int32"), axis=1, mode="wrap"),
    taken("middle", BOX, indices([0, 1], [2, 2]), axis=-2),
    taken("last", BOX, indices([0, 3], [9, 2]), axis=2),
    taken("first", BOX, indices(1, 0, 1, dtype="int32")),
    taken("int64", TABLE, indices(0, 2, -1, dtype="int64"), mode="wrap"),
    taken("uint8", TABLE, indices(0, 200, dtype="uint8"), mode="wrap"),
    taken("float64", Draw((3, 2), dtype="float64"), indices(2, 0)),
    Case("take", [Draw((3, 2), -9, 9, "int32"), indices(2, 0)], tag="int", grad=False),
    Case("batch_take", [TABLE, indices(0, 1, 5, dtype="int32")], grad=False),
    Case("batch_take", [TABLE, indices(0, 1, -1, dtype="int32")], tag="negative", grad=False),
    Case("batch_take", [TABLE, indices(0, 1, 5, dtype="int32").reshape(3, 1)], tag="column", grad=False),
    picked("clip", TABLE, indices(0, -2, 5.7)),
    picked("wrap", TABLE, indices(-1, -2, 5.7), mode="wrap"),
    picked("keepdims", TABLE, indices(0, 1, 7), keepdims=True),
    picked("first", TABLE, indices(0, 9), axis=0),
    picked("middle", BOX, indices([0, 1, 2, 0], [1, 1, 1, 9]), axis=1),
    picked("middle-kept", BOX, indices([0, 1, 2, 0], [1, 1, 1, 9], dtype="int32"), axis=1, keepdims=True),
    picked("float64", Draw((3, 2), dtype="float64"), indices(1, 0, 1, dtype="float64")),
    Case("pick", [Draw((3, 2), -9, 9, "int32"), indices(1, 0, 1)], tag="int", grad=False),
    Case("choose_element_0index", [TABLE, indices(1, 0, 1)], grad=(0,)),
    Case("one_hot", [indices(0, 2, 3, -1, 1.7, -0.5)], {"depth": 3}, grad=False),
    Case("one_hot", [indices([0, 2], [1, 1], dtype="int32")], {"depth": 3}, "2d", grad=False),
    Case("one_hot", [indices(0, 1, dtype="uint8")], {"depth": 300}, "uint8-index", grad=False),
    *(
        Case(
            "one_hot",
            [indices(0, 2, 3, -1)],
            {"depth": 3, "on_value": 2.5, "off_value": -0.5, "dtype": dtype},
            dtype,
            grad=False,
        )
        for dtype in ("float16", "float64", "int32", "int64", "int8", "uint8")
    ),
    gathered("slices", BOX, [0, 1, -1], [1, -1, 2]),
    gathered("elements", BOX, [0, 1], [1, 2], [3, -4]),
    gathered("repeated", TABLE, [0, 1, 0, 0]),
    gathered("fractions", TABLE, [1.9, -0.5], [0, -0.9]),
    gathered("grid", BOX, [[0, 1], [1, 1]], [[2, 1], [0, 0]]),
    gathered("int64", TABLE, [1, 2], [0, 1], dtype="int64"),
    gathered("int32-negative", TABLE, [1, -1], [-2, 1], dtype="int32"),
    Case("gather_nd", [Draw((3,), -9, 9, "int32"), indices([2, 0])], tag="int", grad=False),
    scattered("elements", Draw((3,)), ([0, 1, 1], [1, 0, 1]), (2, 2)),
    scattered("slices", Draw((2, 3)), ([2, 0],), (3, 3)),
    scattered("grid", Draw((2, 2, 2)), ([[0, 1], [2, 3]],), (4, 2)),
    scattered("int64-index", Draw((2,)), ([2, 0],), (3,), "int64"),
    Case("scatter_nd", [Draw((2,), -9, 9, "int32"), indices([2, 0])], {"shape": (3,)}, "int", grad=False),
    Case("scatter_nd", [Draw((2,), dtype="float64"), indices([2, 0])], {"shape": (3,)}, "float64", grad=(0,)),
]
