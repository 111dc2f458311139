"""Cases of ``symjit/ops/create.py``."""

from tests.ops.case import Case, Draw

CASES = [
    *(Case(name, attrs={"shape": (2, 3)}) for name in ("_zeros", "_ones")),
    *(
        Case(name, attrs={"shape": (2, 1, 2), "dtype": dtype}, tag=dtype)
        for name in ("_zeros", "_ones")
        for dtype in ("float16", "float64", "int32", "uint8", "bool")
    ),
    Case("_zeros", attrs={"shape": (2,), "ctx": "cpu(0)"}, tag="ctx"),
    Case("_full", attrs={"shape": (2, 2), "value": 2.7}),
    Case("_full", attrs={"shape": (2,), "value": 2.7, "dtype": "int32"}, tag="int"),
    Case("_full", attrs={"shape": (2,), "value": -1, "dtype": "uint8"}, tag="uint8"),
    Case("_full", attrs={"shape": (1,), "value": 2.7, "dtype": "bool"}, tag="bool"),
    Case("_full", attrs={"shape": (1,), "value": 0.1, "dtype": "float64"}, tag="f64", tol=0.0),
    Case("zeros_like", [Draw((2, 3))]),
    Case("zeros_like", [Draw((2,), 0, 9, "int32")], tag="int", grad=False),
    Case("ones_like", [Draw((2, 1, 2), dtype="float16")], tag="f16"),
    Case("ones_like", [Draw((2, 3))]),
    Case("_arange", attrs={"start": 0, "stop": 5}),
    Case("_arange", attrs={"start": 5}, tag="stop"),
    Case("_arange", attrs={"start": 5, "stop": None}, tag="none"),
    Case("_arange", attrs={"start": 1, "stop": 8, "step": 2}, tag="step"),
    Case("_arange", attrs={"start": 5, "stop": 0, "step": -2}, tag="down"),
    Case("_arange", attrs={"start": 0, "stop": 3, "repeat": 2}, tag="repeat"),
    Case("_arange", attrs={"start": 0.5, "stop": 2.2, "step": 0.3}, tag="fraction"),
    Case("_arange", attrs={"start": 0.1, "stop": 1e7 + 0.1, "step": 1e6 + 0.1}, tag="large", tol=1e-7),
    Case("_arange", attrs={"start": 0, "stop": 3, "infer_range": True}, tag="infer_range"),
    Case("_arange", attrs={"start": 1, "stop": 3.5, "step": 0.5, "dtype": "int32"}, tag="int"),
    Case("_arange", attrs={"start": 250, "stop": 260, "dtype": "uint8"}, tag="uint8"),
    Case("_arange", attrs={"start": 2, "stop": 5, "dtype": "int64"}, tag="int64"),
    Case("_arange", attrs={"start": 0.1, "stop": 2, "step": 0.3, "dtype": "float64"}, tag="f64", tol=1e-15),
    Case("_arange", attrs={"start": 1.5, "stop": 3, "step": 0.5, "dtype": "float16"}, tag="f16"),
    Case("_linspace", attrs={"start": 0, "stop": 1, "num": 5}),
    Case("_linspace", attrs={"start": 0, "stop": 1, "num": 5, "endpoint": False}, tag="open"),
    Case("_linspace", attrs={"start": 0, "stop": 1, "num": 1}, tag="one"),
    Case("_linspace", attrs={"start": 2, "stop": -3, "num": 4, "dtype": "int32"}, tag="int"),
    Case("_linspace", attrs={"start": 0, "stop": 10, "num": 4, "dtype": "float16"}, tag="f16"),
    Case("_eye", attrs={"N": 3}),
    Case("_eye", attrs={"N": 1}, tag="one"),
    Case("_eye", attrs={"N": 3, "M": 4, "k": 1}, tag="above"),
    Case("_eye", attrs={"N": 3, "M": 4, "k": -1, "dtype": "int32"}, tag="below"),
    Case("_eye", attrs={"N": 3, "M": 2, "k": -7}, tag="outside"),
    Case("_eye", attrs={"N": 3, "M": -1}, tag="negative"),
    Case("_contrib_arange_like", [Draw((2, 3))]),
    Case("_contrib_arange_like", [Draw((2, 3))], {"axis": 0}, "axis0"),
    Case("_contrib_arange_like", [Draw((2, 3))], {"axis": -1, "start": 2, "step": 0.5}, "axis"),
    Case("_contrib_arange_like", [Draw((2, 3))], {"repeat": 4}, "repeat"),
    Case("_contrib_arange_like", [Draw((2, 3))], {"axis": 1, "repeat": 2, "ctx": "cpu(0)"}, "repeat-axis"),
    Case("_contrib_arange_like", [Draw((3,), 0, 9, "int32")], {"start": 1.5, "step": 0.5}, "int", grad=False),
    Case("_contrib_arange_like", [Draw((3,), dtype="float16")], {"start": 1.5, "step": 1}, "f16"),
]
