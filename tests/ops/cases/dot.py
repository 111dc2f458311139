"""Cases of ``symjit/ops/dot.py``."""

from tests.ops.case import Case, Draw


def product(tag, left, right, op="dot", dtype="float32", **attrs):
    return Case(op, [Draw(left, dtype=dtype), Draw(right, dtype=dtype)], attrs, tag)


CASES = [
    product("matrices", (2, 3), (3, 4)),
    product("tensors", (2, 3, 4), (4, 5, 6)),
    product("a", (2, 3, 4), (2, 5, 6), transpose_a=True),
    product("b", (2, 3, 4), (5, 6, 4), transpose_b=True),
    product("ab", (4, 3, 2), (5, 6, 4), transpose_a=True, transpose_b=True),
    product("matrices-ab", (3, 2), (4, 3), transpose_a=True, transpose_b=True),
    product("vectors", (4,), (4,)),
    product("vector-matrix", (4,), (4, 2)),
    product("matrix-vector", (2, 4), (4,)),
    product("vector-b", (4,), (2, 4), transpose_b=True),
    product("a-vector", (4, 2), (4,), transpose_a=True),
    product("one", (1, 1), (1, 1)),
    product("float64", (2, 3), (3, 4), dtype="float64"),
    product("matrices", (2, 3, 4), (2, 4, 5), "batch_dot"),
    product("a", (2, 4, 3), (2, 4, 5), "batch_dot", transpose_a=True),
    product("b", (2, 3, 4), (2, 5, 4), "batch_dot", transpose_b=True),
    product("ab", (2, 4, 3), (2, 5, 4), "batch_dot", transpose_a=True, transpose_b=True),
    product("4d", (2, 2, 3, 4), (2, 2, 4, 1), "batch_dot"),
    product("float64", (1, 3, 4), (1, 4, 5), "batch_dot", dtype="float64"),
]
