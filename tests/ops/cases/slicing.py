"""Cases of ``symjit/ops/slicing.py``."""

from tests.ops.case import Case, Draw

BOX = Draw((2, 3, 4))
IMAGE = Draw((2, 3, 5, 6))


def cut(tag, begin, end, step=(), data=BOX):
    attrs = {"begin": begin, "end": end}
    return Case("slice", [data], {**attrs, "step": step} if step else attrs, tag)


def axis(tag, number, begin, end, data=BOX):
    return Case("slice_axis", [data], {"axis": number, "begin": begin, "end": end}, tag)


def assign(tag, rhs, begin, end, step=(), dtype="float32"):
    attrs = {"begin": begin, "end": end, **({"step": step} if step else {})}
    low = -9 if "int" in dtype else -1.0
    # MXNet registers no gradient.
    return Case(
        "_slice_assign", [Draw((2, 3, 4), low, -low, dtype), Draw(rhs, low, -low, dtype)], attrs, tag, grad=False
    )


CASES = [
    cut("plain", (0, 1), (2, 3)),
    cut("none", (None, 1), (None, 3)),
    cut("negative", (-1,), (None,)),
    cut("negative-end", (0, -2, 1), (2, -1, -1)),
    cut("clipped", (-9, -5), (9, 9)),
    cut("backward", (None,), (None,), (-1,)),
    cut("backward-bounds", (0, 0, 3), (None, None, 0), (None, None, -2)),
    cut("backward-clipped", (None, None, 5), (None, None, -9), (1, 1, -1)),
    cut("backward-one", (1, None, None), (0, None, None), (-1, None, None)),
    cut("strided", (None, None, None), (None, None, None), (2, 2, -3)),
    cut("strided-inside", (0, 0, 1), (2, 3, 4), (1, 2, 2)),
    cut("vector", (1,), (4,), (2,), Draw((5,))),
    cut("5d", (0, 0, 1), (1, 1, 2), (), Draw((2, 1, 2, 1, 2))),
    cut("int", (0, 1), (2, 3), (), Draw((2, 3), -9, 9, "int32")),
    cut("float64", (0, 1), (2, 3), (1, -1), Draw((2, 3), dtype="float64")),
    Case("crop", [BOX], {"begin": (0, 1), "end": (1, 3)}),
    axis("first", 0, 0, 1),
    axis("last-end", -1, 1, None),
    axis("negative", 1, -2, -1),
    axis("negative-to-end", 2, -1, None),
    axis("whole", 1, 0, 3),
    axis("int", 0, 1, 3, Draw((3, 2), -9, 9, "int64")),
    Case("slice_like", [BOX, Draw((1, 2, 3))]),
    Case("slice_like", [BOX, Draw((1, 2))], {"axes": (0, 1)}, "axes"),
    Case("slice_like", [BOX, Draw((1, 9, 2))], {"axes": (-1,)}, "last"),
    Case("slice_like", [BOX, Draw((1, 9, 2, 7))], {"axes": (2, 0)}, "two"),
    Case("slice_like", [Draw((4,)), Draw((4,))], tag="1d"),
    Case("slice_like", [Draw((4, 2)), Draw((3, 1), 0, 9, "int32")], tag="int"),
    Case("Crop", [IMAGE], {"num_args": 1, "h_w": (2, 3)}),
    Case("Crop", [IMAGE], {"num_args": 1, "h_w": (2, 3), "offset": (1, 2)}, "offset"),
    Case("Crop", [IMAGE], {"num_args": 1, "h_w": (2, 3), "center_crop": True}, "center"),
    Case("Crop", [IMAGE], {"num_args": 1, "h_w": (4, 3), "offset": (1, 0), "center_crop": True}, "center-offset"),
    Case("Crop", [IMAGE], {"num_args": 1, "h_w": (5, 6)}, "whole"),
    Case("Crop", [IMAGE, Draw((2, 1, 2, 2))], {"num_args": 2}, "like"),
    Case("Crop", [IMAGE, Draw((2, 1, 4, 3))], {"num_args": 2, "offset": (1, 2)}, "like-offset"),
    Case("Crop", [IMAGE, Draw((1, 4, 3, 3))], {"num_args": 2, "center_crop": True}, "like-center"),
    Case("Crop", [IMAGE, Draw((2, 1, 2, 2))], {"num_args": 2, "h_w": (3, 3)}, "like-wins"),
    assign("row", (1, 3, 4), (1,), (2,)),
    assign("strided", (2, 1, 2), (None, 1, 3), (None, 2, None), (None, None, -2)),
    assign("backward", (2, 3, 4), (None,), (None,), (-1,)),
    assign("int", (2, 2, 4), (0, 0), (2, 3), (1, 2), "int32"),
    Case("_crop_assign", [Draw((3,)), Draw((2,))], {"begin": (1,), "end": (9,)}, grad=False),
    Case("_slice_assign_scalar", [BOX], {"scalar": 7.5, "begin": (1,), "end": (2,)}, grad=False),
    Case(
        "_slice_assign_scalar", [BOX], {"begin": (None, 2), "end": (None, 0), "step": (1, -1)}, "backward", grad=False
    ),
    Case(
        "_slice_assign_scalar",
        [Draw((2, 3), -9, 9, "int32")],
        {"scalar": 7.7, "begin": (1, 0), "end": (2, 9), "step": (1, 2)},
        "int",
        grad=False,
    ),
    Case("_crop_assign_scalar", [Draw((3,))], {"scalar": -1.0, "begin": (1,), "end": (None,)}, grad=False),
]
