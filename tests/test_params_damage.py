"""Tests of the ``.params`` reader on files that are cut short, damaged, made up or something else."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symjit import ndarray as nd
from symjit import symbol as sym
from symjit.base import MXNetError
from symjit.ndarray.serialize import ParamsWarning, SparseArray, dumps, read_array, read_arrays
from symjit.predictor import match_parameters
from tests.packed_params import (
    SMALL,
    V1,
    V2,
    V3,
    array,
    compressed_tar,
    csr,
    failure,
    floats,
    listing,
    row_sparse,
    shape64,
    zipped,
)


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "cut.params"
    for length in range(len(SMALL)):
        path.write_bytes(SMALL[:length])
        message = failure(path)
        assert str(path) in message
        assert "empty" in message if length == 0 else f"of {length}:" in message
        assert failure(SMALL[:length]).startswith("<bytes>")


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(SMALL)))
def test_damaged_bytes_raise_nothing_else(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(SMALL)
    for position, value in changes:
        data[position] = value
    for candidate in (bytes(data), bytes(data[:length]), bytes(data[length:])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ParamsWarning)
            try:
                loaded = read_arrays(candidate)
            except MXNetError:
                continue
        assert sum(item.nbytes for item in loaded.arrays if isinstance(item, np.ndarray)) <= len(candidate)


@given(st.binary(max_size=80))
def test_random_arrays_raise_nothing_else(tail: bytes) -> None:
    for start in (b"", *(struct.pack("<I", magic) for magic in (V1, V2, V3))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ParamsWarning)
            try:
                read_array(start + tail)
            except MXNetError:
                continue


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            array(2, (2**40, 2**40), 0, b""),
            "shape (1099511627776, 1099511627776): expected 4835703278458516698824704 bytes",
        ),
        (array(0, (2**32 - 1,) * 4, 1, b""), "data of shape"),
        (array(2, (2**31,), 0, bytes(16)), "expected 8589934592 bytes, but 24 remain"),
        (array(2, (0, 2**62), 0, b""), "beyond what can be addressed"),
        (row_sparse((0, 2**40), (2**40, 2**40), [], []), "beyond what can be addressed"),
        (struct.pack("<Iii", V2, 0, 33) + bytes(400), "expected at most 32 dimensions, got 33"),
        (struct.pack("<Iii", V2, 0, 2**31 - 1), "expected at most 32 dimensions, got 2147483647"),
        (struct.pack("<Iii", V2, 0, -1), "expected at most 32 dimensions, got -1"),
        (struct.pack("<I", 33) + bytes(400), "got 0x00000021"),
        (array(2, (-1, 4), 0, b""), "expected dimensions >= 0, got (-1, 4)"),
        (array(3, (-2, 4), 0, b""), "expected dimensions >= 0, got (-2, 4)"),
        (array(2, (1,), 13, bytes(8)), "unknown dtype number 13"),
        (array(2, (1,), -1, bytes(8)), "unknown dtype number -1"),
        (struct.pack("<Ii", V2, -1) + shape64((1,)), "0 (default) or 1 (row_sparse) or 2 (csr), got -1"),
        (struct.pack("<Ii", V2, 3) + shape64((1,)), "got 3"),
        (struct.pack("<Ii", V3, 1) + shape64((1,)), "storage type of layout V3"),
    ],
)
def test_bad_arrays(data: bytes, expected: str) -> None:
    message = failure(listing(floats(2, 1), data))
    assert "array 1 of 2, at byte" in message and expected in message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (row_sparse((1, 2), (4, 2), [4], [1, 2]), "expected indices below 4"),
        (row_sparse((1, 2), (4, 2), [-1], [1, 2]), "got -1 to -1"),
        (csr((2, 3), [0, 1, 1], [3], [1], stored=1), "expected indices below 3"),
        (csr((2, 3), [0, 2, 1], [1], [1], stored=1), "a step down"),
        (csr((2, 3), [0, 1, 2], [1], [1], stored=1), "rises from 0 to the number of values, 1"),
        (csr((2, 3), [0, 1], [1], [1], stored=1), "expected an indptr of 3 entries"),
        (csr((2**40, 3), [0, 1], [1], [1], stored=1), "expected an indptr of 1099511627777 entries"),
        (csr((2,), [0, 1, 1], [1], [1], stored=1), "two dimensions"),
    ],
)
def test_inconsistent_sparse_arrays(data: bytes, expected: str) -> None:
    message = failure(listing(floats(2, 1), data, names=("a", "b")))
    assert "array 1 ('b')" in message and expected in message


def test_inconsistent_sparse_headers() -> None:
    assert "stored shape" in failure(listing(row_sparse((1, 3), (4, 2), [0], [1, 2])))
    floating = bytearray(row_sparse((1, 2), (4, 2), [0], [1, 2]))
    struct.pack_into("<i", floating, 4 + 4 + 20 + 20 + 12, 0)
    assert "expected int64 and one dimension, got float32" in failure(listing(bytes(floating)))


@pytest.mark.parametrize("count", [2**34, 2**63, 2**64 - 1, 20])
def test_absurd_counts(count: int) -> None:
    head = struct.pack("<QQ", 0x112, 0)
    assert f"{count} arrays need" in failure(head + struct.pack("<Q", count) + bytes(64))
    table = listing(floats(2, 1))[:-8] + struct.pack("<Q", count) + bytes(64)
    assert f"expected 0 or 1 names, one per array, got {count}" in failure(table)
    table = listing(floats(2, 1))[:-8] + struct.pack("<QQ", 1, max(count, 65)) + bytes(64)
    assert "the name of array 0" in failure(table) and "64 remain" in failure(table)


def test_names_must_be_text() -> None:
    data = listing(floats(2, 1), names=("ab",))[:-2] + b"\xff\xfe"
    assert "expected UTF-8 text, got b'\\xff\\xfe'" in failure(data)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


IMPOSTORS = [
    (b"", "the file is empty"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    (b"\r\n <!DOCTYPE HTML>\n<html>", "HTML page"),
    (b"\xef\xbb\xbf<HTML lang='en'>", "HTML page"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML document"),
    (b"404: Not Found", "not found"),
    (zipped(), "zip archive"),
    (gzip.compress(b"x", mtime=0), "gzip"),
    (compressed_tar(), "tar archive"),
    (b"BZh91AY&SY", "bzip2"),
    (b"\xfd7zXZ\x00\x00", "xz data"),
    *((pickle.dumps({0: [1]}, protocol), "pickle") for protocol in (2, 3, 4, 5)),
    (json.dumps({"nodes": []}).encode(), "-symbol.json"),
    (npy(), "numpy.load"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (struct.pack("<II", 0xCED7230A, 3), "RecordIO"),
    (struct.pack(">QQQ", 0x112, 0, 0), "big-endian"),
    (b"\x13" + SMALL[1:], "wrong magic: expected 12 01 00 00 00 00 00 00, got 13 01 00 00"),
]


@pytest.mark.parametrize(("data", "expected"), IMPOSTORS, ids=[expected for _, expected in IMPOSTORS])
def test_impostors(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "net-0000.params"
    path.write_bytes(data)
    message = failure(path)
    assert message.startswith(str(path)) and expected in message


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="Windows has no devices in the file system")
def test_a_device_is_not_read() -> None:
    message = failure("/dev/zero")  # as a link in an archive may name it; it never ends
    assert message == "cannot open '/dev/zero': it is a device, not a file. Check the path and its permissions."


def test_many_small_arrays_are_refused() -> None:
    none = struct.pack("<I", 0)
    assert len(read_arrays(listing(*[none] * 32768)).arrays) == 32768
    message = failure(listing(*[none] * 32769))
    assert "the header, at byte 16 of" in message
    assert "expected at most 32768 arrays, got 32769. Save them in several files." in message


def test_the_names_of_a_file_are_bounded() -> None:
    none = struct.pack("<I", 0)
    names = ("a" * (8 << 20), "b")
    assert read_arrays(listing(none, names=names[:1])).names == [names[0]]
    message = failure(listing(none, none, names=names))
    assert "the name of array 1, at byte" in message
    assert "expected at most 8388608 bytes of names in all, got 1 more. Shorten the names." in message
    assert len(failure(listing(none, names=("c" * (9 << 20),)))) < 400


MOST = 48 << 20


def test_sparse_arrays_that_are_far_larger_when_dense() -> None:
    """20 values may stand for any amount of zeros: they are not made unless asked for."""
    few = row_sparse((1, 1), (MOST // 8 - 100, 1), [5], [1.5])
    data = listing(few, names=("arg:w",))
    loaded = nd.load_frombuffer(data)
    assert isinstance(loaded, dict) and loaded["arg:w"].shape == (MOST // 8 - 100, 1)
    for shape in ((MOST // 8 + 100, 1), (2**40, 1)):
        data = listing(floats(2, 1), row_sparse((1, 1), shape, [5], [1.5]), names=("arg:a", "arg:w"))
        found = read_arrays(data)
        assert isinstance(found.arrays[1], SparseArray)
        for load, what in ((nd.load_frombuffer, data), (partial(match_parameters, sym.Variable("w").graph), found)):
            with pytest.raises(MXNetError) as caught:
                load(what)
            message = str(caught.value)
            assert (
                f"<bytes>: array 1 ('arg:w') is row_sparse of shape {shape} and takes {4 * shape[0]} bytes" in message
            )
            assert "of which the file holds 12. " in message and "read_arrays" in message and "todense()" in message


def test_sparse_arrays_that_the_file_holds_are_no_zeros() -> None:
    """A row_sparse array all of whose rows are stored is as large as it is; and the order of arrays does not matter."""
    rows = 1 << 20
    full = SparseArray("row_sparse", (rows, 16), np.ones((rows, 16), np.float32), np.arange(rows))
    loaded = nd.load_frombuffer(dumps([full]))[0]
    assert loaded.shape == (rows, 16) and 4 * loaded.size > MOST and loaded[rows - 1].asnumpy().sum() == 16
    few, large = row_sparse((1, 1), (MOST // 8 + 100, 1), [5], [1.5]), array(2, (MOST,), 5, b"\0" * MOST)
    for arrays in ((few, large), (large, few)):
        with pytest.raises(MXNetError, match="is row_sparse of shape"):
            nd.load_frombuffer(listing(*arrays))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of memory is Linux's")
def test_making_arrays_dense_stays_within_the_size_of_the_file_and_64_mib() -> None:
    program = (
        "import numpy as np, symjit as mx\n"
        "from tests.fuzz.limits import bounded_memory\n"
        "from tests.packed_params import listing, row_sparse\n"
        "mx.nd.array(np.zeros(1 << 20)).asnumpy()  # start JAX and its threads\n"
        f"data = listing(row_sparse((1, 1), ({MOST // 8 - 100}, 1), [5], [1.5]))\n"
        "with bounded_memory(len(data)):\n"
        "    found = mx.nd.load_frombuffer(data)[0]\n"
        "print(found[5:6].asnumpy())\n"
    )
    root = Path(__file__).parent.parent
    environ = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", program], cwd=root, env=environ, capture_output=True, text=True)
    assert done.stdout == "[[1.5]]\n", done.stderr


def test_long_names_are_cut_in_messages() -> None:
    data = listing(csr((2, 3), [0, 1, 1], [3], [1], stored=1), names=("n" * 100_000,))
    assert "array 0 ('nnn" in failure(data) and len(failure(data)) < 500
    with pytest.warns(ParamsWarning, match="more than once: 'nnn") as caught:
        read_arrays(listing(floats(2, 1), floats(2, 1), names=("n" * 100_000,) * 2))
    assert len(str(caught[0].message)) < 500


def test_bad_sources(tmp_path: Path) -> None:
    assert "No such file" in failure(tmp_path / "absent.params")
    assert "cannot open" in failure(tmp_path)
    assert "cannot open" in failure("nul\0.params")
    assert "expected a path or the bytes" in failure(3)
