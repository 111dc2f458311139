"""Numbers in text against Python's ``float``; and that the readers of text files take them from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import symjit as mx
from symjit.io import csv, decimals, libsvm


def as_float32(values: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float64).astype(np.float32)


def between(number: float) -> str:
    """Return the exact decimals of what lies in the middle of two float32 numbers."""
    low = np.float32(number)
    return f"{(float(low) + float(np.nextafter(low, np.float32(np.inf)))) / 2:.24f}"


NUMBERS = st.one_of(
    st.floats(-1e3, 1e3).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.18e}"),
    st.floats(0.125, 1e7).map(between),
    st.integers(-(10**19), 10**19).map(str),
    st.from_regex(r"[+-]?[0-9]{0,10}\.?[0-9]{0,20}([eE][+-]?[0-9]{0,3})?", fullmatch=True),
    st.text("0123.-+eE", max_size=6),
)


@settings(max_examples=80)
@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_numbers_are_those_of_float(words: list[str]) -> None:
    found = decimals.decimals(",".join(words).encode() + b"\n", b",\n")
    if found is None:
        return  # another reader is asked; the next test has what must not end here
    want, got = as_float32([float(word) for word in words]), as_float32(found[0])
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
    assert bytes(found[1]) == b"," * (len(words) - 1) + b"\n"


PLAIN = ["0", "-0", "+7", "007", "1.", ".5", "-.5e1", "1.5", "12345678.87654321", "0.012345678901234567", "1E+3"]
PLAIN += ["-1.234567890123456789e+00", "9007199254740991", "1e-300", "1e300", between(0.1), between(33554430), "1e38"]
NOT_PLAIN = ["", "-", "+-1", "1-", "1-2", ".", "-.", "1.-2", "1.2.3", "1e", "1e+", "e5", "1e2.5", "1e2e3", "1_0", "nan"]
NOT_PLAIN += ["inf", " 1", "1 ", "0x1", "1e999", "1e-999", "1" * 25, "\xb2"]


@pytest.mark.parametrize("word", PLAIN)
def test_plain_numbers(word: str) -> None:
    found = decimals.decimals(f"3,{word}\n".encode(), b",\n")
    assert found is not None
    assert as_float32(found[0]).tolist() == as_float32([3, float(word)]).tolist()


@pytest.mark.parametrize("word", NOT_PLAIN)
def test_other_words(word: str) -> None:
    assert decimals.decimals(f"3,{word}\n".encode("latin-1"), b",\n") is None
    assert decimals.decimals(f"{word},3\n".encode("latin-1"), b",\n") is None


def test_text_without_a_last_separator() -> None:
    assert decimals.decimals(b"", b",\n") is decimals.decimals(b"1,2", b",\n") is None


def forbidden(*_: Any) -> None:
    raise AssertionError("the slow reader was asked")


FILES = {
    "ints": ("CSVIter", "1,-2,3\n4,5,6"),
    "fixed": ("CSVIter", "1.25,-2.5,3.\n.5,5.125,6.0\n"),
    "exponents": ("CSVIter", "1.250000000000000000e+00,-2.5e0,3E-1\n4,5,6\n"),
    "returns": ("CSVIter", "1,2,3\r\n4,5,6\r\n"),
    "pairs": ("LibSVMIter", "1 0:1 2:-.5\n-1\n+2 1:1e-1 \n"),
    "comments": ("LibSVMIter", "1 qid:7 0:1 # one\n2 1:3#two\n3\tqid:8"),
}


@pytest.mark.parametrize("name", FILES)
def test_usual_files_are_read_the_fast_way(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, text = FILES[name]
    (tmp_path / "x").write_text(text, newline="")
    make = getattr(mx.io, kind)
    given = {"data_csv" if kind == "CSVIter" else "data_libsvm": tmp_path / "x", "data_shape": (3,), "batch_size": 1}
    fast = [(x.data[0].asnumpy().tolist(), x.label[0].asnumpy().tolist()) for x in make(**given)]
    with monkeypatch.context() as patch:
        for module in (csv, libsvm):
            patch.setattr(module, "decimals", lambda *_: None)
        slow = [(x.data[0].asnumpy().tolist(), x.label[0].asnumpy().tolist()) for x in make(**given)]
    assert fast == slow and len(fast) == text.rstrip().count("\n") + 1
    for parser in (csv._Parser, libsvm._Parser):
        monkeypatch.setattr(parser, "_usual", forbidden)
    assert len(list(make(**given))) == len(fast)
    if name == "ints":
        assert len(list(make(**given, dtype="int32"))) == len(fast)
