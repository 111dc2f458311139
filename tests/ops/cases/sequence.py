"""Cases of ``symjit/ops/sequence.py``."""

import numpy as np

from tests.ops.case import Case, Draw

USE = {"use_sequence_length": True}


def lengths(*values, dtype="float32"):
    """Return sequence lengths."""
    # A fraction is cut off; it also keeps finite differences away from the next step.
    fraction = 0.25 if np.dtype(dtype).kind == "f" else 0
    return np.array([value + fraction for value in values], dtype)


CASES = [
    Case("SequenceMask", [Draw((4, 3, 2))]),
    Case("SequenceMask", [Draw((4, 3, 2)), lengths(1, 4, 2)], USE, "lengths"),
    Case("SequenceMask", [Draw((4, 3, 2)), lengths(0, 2, 9)], {**USE, "value": -3.5}, "value"),
    Case("SequenceMask", [Draw((3, 4, 2)), lengths(1, 4, 2)], {**USE, "axis": 1, "value": 2}, "axis"),
    Case("SequenceMask", [Draw((4, 3)), lengths(1, 4, 2)], USE, "two-axes"),
    Case("SequenceMask", [Draw((4, 2, 1, 2, 3)), lengths(1, 3)], USE, "five-axes"),
    Case("SequenceMask", [Draw((4, 2)), lengths(1, 3, dtype="int32")], USE, "int-lengths"),
    Case("SequenceMask", [Draw((4, 2), -9, 9, "int32"), lengths(1, 3, dtype="int32")], {**USE, "value": -3.5}, "int"),
    Case(
        "SequenceMask", [Draw((4, 2), dtype="float16"), lengths(1, 3, dtype="float16")], {**USE, "value": 0.1}, "half"
    ),
    Case("SequenceMask", [Draw((4, 2), dtype="float64"), lengths(1, 3)], {**USE, "value": 0.1}, "float64"),
    Case("SequenceLast", [Draw((4, 3, 2))]),
    Case("SequenceLast", [Draw((3, 4, 2))], {"axis": 1}, "axis-all"),
    Case("SequenceLast", [Draw((4, 3, 2)), lengths(1, 4, 2)], USE, "lengths"),
    Case("SequenceLast", [Draw((3, 4, 2)), lengths(1, 4, 2)], {**USE, "axis": 1}, "axis"),
    Case("SequenceLast", [Draw((4, 3)), lengths(1, 4, 2)], USE, "two-axes"),
    Case("SequenceLast", [Draw((4, 1, 1, 2, 3)), lengths(3)], USE, "five-axes"),
    Case("SequenceLast", [Draw((1, 2, 3)), lengths(1, 1)], USE, "one-step"),
    Case("SequenceLast", [Draw((4, 2), -9, 9, "int32"), lengths(1, 3, dtype="int32")], USE, "int"),
    Case("SequenceLast", [Draw((4, 2, 2), dtype="float16"), lengths(1, 3)], USE, "half"),
    Case("SequenceReverse", [Draw((4, 3, 2))]),
    Case("SequenceReverse", [Draw((4, 3, 2)), lengths(1, 4, 2)], USE, "lengths"),
    Case("SequenceReverse", [Draw((4, 3, 2)), lengths(1, 4, 2)], {**USE, "axis": 0}, "axis"),
    Case("SequenceReverse", [Draw((4, 3)), lengths(3, 0, 2)], USE, "two-axes"),
    Case("SequenceReverse", [Draw((4, 1, 1, 2, 3)), lengths(3)], USE, "five-axes"),
    Case("SequenceReverse", [Draw((4, 2), -9, 9, "int32"), lengths(1, 3, dtype="int32")], USE, "int"),
    Case("SequenceReverse", [Draw((4, 2, 2), dtype="float16"), lengths(1, 3)], USE, "half"),
    Case("SequenceReverse", [Draw((4, 2, 2), dtype="float64"), lengths(1, 3, dtype="int32")], USE, "float64"),
]
