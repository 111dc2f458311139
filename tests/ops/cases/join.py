"""Cases of ``symjit/ops/join.py``."""

from tests.ops.case import Case, Draw

BOX = Draw((2, 3, 4))
IMAGE = Draw((1, 2, 3, 4))


def split(tag, data, **attrs):
    return Case("SliceChannel", [data], attrs, tag)


def padded(tag, data, mode, widths, **attrs):
    return Case("Pad", [data], {"mode": mode, "pad_width": widths, **attrs}, tag)


CASES = [
    Case("Concat", [Draw((2, 3)), Draw((2, 1))], {"num_args": 2}),
    Case("Concat", [Draw((2, 3)), Draw((1, 3)), Draw((3, 3))], {"num_args": 3, "dim": 0}, "first"),
    Case("Concat", [BOX, Draw((2, 3, 1))], {"num_args": 2, "dim": -1}, "last"),
    Case("Concat", [BOX], {"num_args": 1}, "one"),
    Case("Concat", [Draw((2,)), Draw((3,))], {"num_args": 2, "dim": 0}, "1d"),
    Case("Concat", [Draw((1, 2, 1, 2, 2)), Draw((1, 2, 3, 2, 2))], {"num_args": 2, "dim": 2}, "5d"),
    Case("Concat", [Draw((2, 3), -9, 9, "int32"), Draw((2, 1), -9, 9, "int32")], {"num_args": 2}, "int"),
    Case("Concat", [Draw((2, 3), dtype="float16"), Draw((2, 1), dtype="float16")], {"num_args": 2}, "float16"),
    Case("concat", [BOX, BOX], {"num_args": 2, "dim": 2}),
    Case("stack", [BOX, BOX], {"num_args": 2}),
    Case("stack", [BOX, BOX, BOX], {"num_args": 3, "axis": 1}, "1"),
    Case("stack", [BOX, BOX], {"num_args": 2, "axis": -1}, "last"),
    Case("stack", [BOX, BOX], {"num_args": 2, "axis": -4}, "negative"),
    Case("stack", [Draw((3,), -9, 9, "int64"), Draw((3,), -9, 9, "int64")], {"num_args": 2, "axis": 1}, "int64"),
    split("channels", BOX, num_outputs=3),
    split("squeezed", BOX, num_outputs=3, squeeze_axis=True),
    split("one", BOX, num_outputs=1),
    split("one-squeezed", Draw((1, 2)), num_outputs=1, axis=0, squeeze_axis=True),
    split("last", BOX, num_outputs=2, axis=-1),
    split("first-squeezed", BOX, num_outputs=2, axis=0, squeeze_axis=True),
    split("last-squeezed", BOX, num_outputs=4, axis=-1, squeeze_axis=True),
    split("float64", Draw((2, 4), dtype="float64"), num_outputs=2),
    Case("split", [Draw((4,))], {"num_outputs": 2, "axis": 0}),
    Case("_split_v2", [BOX], {"indices": (0, 1)}),
    Case("_split_v2", [BOX], {"indices": (0, 2, 3), "axis": -1}, "last"),
    Case("_split_v2", [BOX], {"indices": (0,), "axis": 2}, "whole"),
    Case("_split_v2", [BOX], {"indices": (0, 1, 2), "squeeze_axis": True}, "squeezed"),
    Case("_split_v2", [BOX], {"indices": (), "sections": 3}, "sections"),
    Case("_split_v2", [BOX], {"indices": (), "sections": 3, "squeeze_axis": True}, "sections-squeezed"),
    Case("_split_v2", [Draw((5, 2))], {"indices": (), "sections": 3, "axis": 0}, "sections-uneven"),
    Case("_split_v2", [Draw((5, 2))], {"indices": (0, 4), "sections": 5, "axis": 0}, "sections-win"),
    Case("tile", [Draw((2, 3))], {"reps": (2, 2)}),
    Case("tile", [BOX], {"reps": (2,)}, "fewer"),
    Case("tile", [Draw((3,))], {"reps": (2, 1, 2)}, "more"),
    Case("tile", [BOX], {"reps": ()}, "none"),
    Case("tile", [Draw((2, 3), -9, 9, "int32")], {"reps": (1, 3)}, "int"),
    Case("repeat", [BOX], {"repeats": 2}),
    Case("repeat", [BOX], {"repeats": 3, "axis": 1}, "1"),
    Case("repeat", [BOX], {"repeats": 2, "axis": -1}, "last"),
    Case("repeat", [BOX], {"repeats": 1, "axis": 0}, "once"),
    Case("repeat", [BOX], {"repeats": 0, "axis": 1}, "never", grad=False),
    Case("repeat", [Draw((2, 3), -9, 9, "int32")], {"repeats": 2, "axis": 0}, "int"),
    Case("reverse", [BOX], {"axis": 0}),
    Case("reverse", [BOX], {"axis": (0, 2)}, "two"),
    Case("reverse", [BOX], {"axis": ()}, "none"),
    Case("flip", [Draw((3,))], {"axis": 0}),
    Case("flip", [Draw((2, 3), -9, 9, "int32")], {"axis": 1}, "int"),
    padded("constant", IMAGE, "constant", (0, 0, 0, 0, 1, 2, 2, 1), constant_value=2.5),
    padded("zero", IMAGE, "constant", (0, 0, 0, 0, 0, 0, 1, 0)),
    padded("edge", IMAGE, "edge", (0, 0, 0, 0, 1, 5, 2, 1)),
    padded("reflect", IMAGE, "reflect", (0, 0, 0, 0, 1, 2, 3, 0)),
    padded("constant-5d", Draw((1, 2, 2, 3, 2)), "constant", (0, 0, 0, 0, 1, 0, 0, 1, 2, 1), constant_value=-1.0),
    padded("edge-5d", Draw((1, 2, 2, 3, 2)), "edge", (0, 0, 0, 0, 1, 0, 0, 1, 2, 1)),
    padded("reflect-5d", Draw((1, 2, 2, 3, 2)), "reflect", (0, 0, 0, 0, 1, 0, 0, 1, 1, 1)),
    padded("float64", Draw((1, 1, 2, 2), dtype="float64"), "constant", (0, 0, 0, 0, 1, 0, 0, 1), constant_value=0.1),
    padded("float16", Draw((1, 1, 2, 2), dtype="float16"), "edge", (0, 0, 0, 0, 1, 0, 0, 1)),
    Case("pad", [IMAGE], {"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 1, 1, 1)}),
]
