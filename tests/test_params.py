"""Tests of the ``.params`` codec. The fixtures are packed here by hand, from the description of the layouts."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import hypothesis.extra.numpy as hnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symjit.base import DTYPE_FLAGS, MXNetError
from symjit.ndarray import serialize
from symjit.ndarray.serialize import (
    ParamsWarning,
    SparseArray,
    dump_array,
    dumps,
    read_array,
    read_arrays,
    split_names,
    write_arrays,
)

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
GOLDEN = Path(__file__).parent / "golden" / "params"
WRITABLE = [flag for flag in DTYPE_FLAGS if flag <= 7 or flag == 12]


def shape64(dims: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(dims)}q", len(dims), *dims)


def array(version: int, dims: tuple[int, ...], flag: int, data: bytes, device: tuple[int, int] = (1, 0)) -> bytes:
    """One dense array in the given layout."""
    tail = struct.pack("<iii", *device, flag) + data
    if version == 0:
        return struct.pack(f"<I{len(dims)}I", len(dims), *dims) + tail
    magic = {1: V1, 2: V2, 3: V3}[version]
    stype = struct.pack("<i", 0) if version >= 2 else b""
    return struct.pack("<I", magic) + stype + shape64(dims) + tail


def floats(version: int, *values: float) -> bytes:
    return array(version, (len(values),), 0, struct.pack(f"<{len(values)}f", *values))


def row_sparse(stored: tuple[int, ...], dims: tuple[int, ...], rows: list[int], values: list[float]) -> bytes:
    header = struct.pack("<Ii", V2, 1) + shape64(stored) + shape64(dims) + struct.pack("<iii", 1, 0, 0)
    index = struct.pack("<i", 6) + shape64((len(rows),))
    return header + index + struct.pack(f"<{len(values)}f", *values) + struct.pack(f"<{len(rows)}q", *rows)


def csr(dims: tuple[int, ...], indptr: list[int], columns: list[int], values: list[float], stored: int) -> bytes:
    header = struct.pack("<Ii", V2, 2) + shape64((stored,)) + shape64(dims) + struct.pack("<iii", 1, 0, 0)
    index = struct.pack("<i", 6) + shape64((len(indptr),)) + struct.pack("<i", 6) + shape64((len(columns),))
    data = struct.pack(f"<{len(values)}f", *values)
    return header + index + data + struct.pack(f"<{len(indptr) + len(columns)}q", *indptr, *columns)


def listing(*arrays: bytes, names: tuple[str, ...] = ()) -> bytes:
    table = b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in names)
    return struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + table


SMALL = listing(
    floats(0, 1, 2),
    array(1, (2, 1), 1, struct.pack("<2d", 3, 4)),
    array(2, (3,), 3, b"\1\2\3"),
    row_sparse((2, 2), (4, 2), [1, 3], [1, 2, 3, 4]),
    csr((2, 3), [0, 1, 3], [2, 0, 1], [5, 6, 7], stored=3),
    array(3, (), 0, struct.pack("<f", 8)),
    names=("arg:a", "arg:b", "aux:c", "d", "é", "f:g"),
)


def failure(data: object) -> str:
    with pytest.raises(MXNetError) as caught:
        read_arrays(data)  # pyright: ignore[reportArgumentType]
    return str(caught.value)


def same(left: object, right: object) -> None:
    if isinstance(left, SparseArray) and isinstance(right, SparseArray):
        assert (left.stype, left.shape) == (right.stype, right.shape)
        same(left.data, right.data)
        same(left.todense(), right.todense())
        return
    assert isinstance(left, np.ndarray) and isinstance(right, np.ndarray)
    assert left.dtype == right.dtype.newbyteorder("=") and left.shape == right.shape
    assert left.tobytes() == right.astype(left.dtype).tobytes()  # NaN counts as equal to itself


# --------------------------------------------------------------------------------------------------------------------
# Reading


@pytest.mark.parametrize("flag", DTYPE_FLAGS)
@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_every_dtype_in_every_layout(version: int, flag: int) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(DTYPE_FLAGS[flag])
    loaded = read_arrays(listing(array(version, (2, 3), flag, values.tobytes()), names=("x",)))
    assert loaded.names == ["x"] and loaded.versions == (version,)
    same(loaded.arrays[0], values)


def test_mixed_file() -> None:
    loaded = read_arrays(SMALL)
    assert loaded.versions == (0, 1, 2, 3) and loaded.nbytes == len(SMALL) and loaded.trailing == 0
    items = loaded.as_dict()
    assert list(items) == ["arg:a", "arg:b", "aux:c", "d", "é", "f:g"]
    same(items["arg:a"], np.array([1, 2], np.float32))
    same(items["arg:b"], np.array([[3], [4]], np.float64))
    same(items["aux:c"], np.array([1, 2, 3], np.uint8))
    same(items["f:g"], np.array(8, np.float32))
    rows, compressed = items["d"], items["é"]
    assert isinstance(rows, SparseArray) and isinstance(compressed, SparseArray)
    assert rows.todense().tolist() == [[0, 0], [1, 2], [0, 0], [3, 4]]
    assert compressed.todense().tolist() == [[0, 0, 5], [6, 7, 0]]
    assert compressed.indptr is not None and compressed.indptr.tolist() == [0, 1, 3] and rows.indptr is None


def test_list_file() -> None:
    loaded = read_arrays(listing(floats(2, 1), floats(2, 2)))
    assert loaded.names == [] and len(loaded.arrays) == 2
    with pytest.raises(MXNetError, match="without names"):
        loaded.as_dict()
    assert read_arrays(listing()).as_dict() == {}


@pytest.mark.parametrize("device", [(2, 3), (3, 0), (5, 1), (7, -5)])
def test_device_is_ignored(device: tuple[int, int]) -> None:
    loaded = read_arrays(listing(array(2, (1,), 0, struct.pack("<f", 1), device)))
    same(loaded.arrays[0], np.ones(1, np.float32))


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_empty_arrays(version: int) -> None:
    loaded = read_arrays(listing(array(version, (0, 3), 0, b""), floats(version, 1)))
    same(loaded.arrays[0], np.zeros((0, 3), np.float32))
    same(loaded.arrays[1], np.ones(1, np.float32))


@pytest.mark.parametrize(
    "none",
    [
        struct.pack("<I", 0),
        struct.pack("<Ii", V1, 0),
        struct.pack("<Iii", V2, 0, 0),
        struct.pack("<Iii", V3, 0, -1),
        struct.pack("<Iiiqq", V3, 0, 2, -1, 2),
    ],
)
def test_none_arrays(none: bytes) -> None:
    loaded = read_arrays(listing(none, floats(2, 1), names=("a", "b")))
    assert loaded.arrays[0] is None
    same(loaded.arrays[1], np.ones(1, np.float32))


def test_legacy_scalar_fails_clearly() -> None:
    scalar = array(2, (), 0, struct.pack("<f", 3))
    zero = array(2, (), 0, struct.pack("<f", 0))
    for data in (listing(scalar), listing(floats(2, 1), zero, names=("a", "b")), listing(zero), listing(zero, scalar)):
        assert "has no dimensions" in failure(data) and "(1,)" in failure(data)
    assert "array 1 has no dimensions" in failure(listing(floats(2, 1), zero))
    with pytest.raises(MXNetError, match="has no dimensions"):
        read_array(scalar)


def test_csr_of_dense_leaves_zero_as_stored_shape() -> None:
    # What mx.nd.sparse.csr_matrix(dense array) saves: the indices tell how many values follow.
    loaded = read_arrays(listing(csr((2, 3), [0, 1, 3], [2, 0, 1], [5, 6, 7], stored=0), floats(2, 1)))
    item = loaded.arrays[0]
    assert isinstance(item, SparseArray) and item.todense().tolist() == [[0, 0, 5], [6, 7, 0]]


@pytest.mark.parametrize("indptr", [[], [0, 0, 0]])
def test_sparse_without_values(indptr: list[int]) -> None:
    loaded = read_arrays(listing(csr((2, 3), indptr, [], [], stored=0), row_sparse((0, 2), (4, 2), [], [])))
    for item, shape in zip(loaded.arrays, [(2, 3), (4, 2)], strict=True):
        assert isinstance(item, SparseArray)
        same(item.todense(), np.zeros(shape, np.float32))


def test_boolean_bytes_are_normalised() -> None:
    loaded = read_arrays(listing(array(2, (3,), 7, b"\2\0\xff")))
    same(loaded.arrays[0], np.array([True, False, True]))


def test_zero_copy_and_lifetime(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    # The odd third array pushes the last one off its alignment.
    path.write_bytes(listing(floats(2, 1, 2), floats(0, 3), array(2, (3,), 3, b"\1\2\3"), floats(2, 4)))
    loaded = read_arrays(path)
    assert loaded.source == str(path)
    aligned, _, odd, shifted = arrays = [item for item in loaded.arrays if isinstance(item, np.ndarray)]
    for item in arrays:
        assert item.flags.aligned and not item.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            item[0] = 0
    assert not owner(aligned) and not owner(odd) and owner(shifted)
    del loaded, arrays, odd
    path.unlink()
    assert aligned.tolist() == [1, 2] and shifted.tolist() == [4]


def owner(item: np.ndarray) -> bool:
    """Whether the memory behind an array is NumPy's own."""
    base: object = item
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return isinstance(base, np.ndarray)


def test_bytes_like_sources() -> None:
    mutable = bytearray(listing(floats(2, 1, 2)))
    loaded = read_arrays(mutable)
    fromview = read_arrays(memoryview(bytes(mutable)))
    mutable[:] = b"\0" * len(mutable)
    for item in (loaded.arrays[0], fromview.arrays[0]):
        same(item, np.array([1, 2], np.float32))


def test_pipe(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this platform")
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = subprocess.Popen([sys.executable, "-c", f"open({str(path)!r}, 'wb').write({listing(floats(2, 1))!r})"])
    same(read_arrays(path).arrays[0], np.ones(1, np.float32))
    assert writer.wait() == 0


def test_duplicate_names_keep_the_last() -> None:
    with pytest.warns(ParamsWarning, match="'a'") as caught:
        loaded = read_arrays(listing(floats(2, 1), floats(2, 2), names=("a", "a")))
    assert caught[0].filename == __file__
    same(loaded.as_dict()["a"], np.array([2], np.float32))


def test_trailing_bytes_are_reported() -> None:
    with pytest.warns(ParamsWarning, match="3 bytes after the end"):
        loaded = read_arrays(listing(floats(2, 1)) + b"abc")
    assert loaded.trailing == 3


def test_single_array() -> None:
    raw = floats(2, 1, 2)
    same(read_array(bytearray(raw)), np.array([1, 2], np.float32))
    assert dump_array(np.array([1, 2], np.float32)) == raw
    assert "read_array" in failure(raw)


def test_split_names() -> None:
    split = split_names(["arg:w", "aux:m", "0.weight", "dense0_bias", "arg:a:b", "other:x", "arg", "arg:w"])
    assert split.args == {"w": 7, "a:b": 4}
    assert split.aux == {"m": 1}
    assert split.bare == {"0.weight": 2, "dense0_bias": 3, "other:x": 5, "arg": 6}


# --------------------------------------------------------------------------------------------------------------------
# Files of MXNet 1.9.1

MXNET_WROTE = {
    # nd.save(f, [nd.array([1, 2, 3])])
    "list": (
        "120100000000000000000000000000000100000000000000c9fa93f900000000010000000300000000000000"
        "0100000000000000000000000000803f00000040000040400000000000000000"
    ),
    # nd.save(f, {"r": row_sparse_array(([[0, 1, 2], [3, 4, 5]], [1, 3]), shape=(5, 3))})
    "row_sparse": (
        "120100000000000000000000000000000100000000000000c9fa93f901000000020000000200000000000000"
        "0300000000000000020000000500000000000000030000000000000001000000000000000000000006000000"
        "010000000200000000000000000000000000803f0000004000004040000080400000a0400100000000000000"
        "03000000000000000100000000000000010000000000000072"
    ),
    # nd.save(f, {"z": zeros("csr", (4, 2))})
    "csr": (
        "120100000000000000000000000000000100000000000000c9fa93f902000000010000000000000000000000"
        "0200000004000000000000000200000000000000010000000000000000000000060000000100000005000000"
        "0000000006000000010000000000000000000000000000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000010000000000000001000000000000007a"
    ),
    # nd.save(f, {"é": nd.ones(1)})
    "unicode": (
        "120100000000000000000000000000000100000000000000c9fa93f900000000010000000100000000000000"
        "0100000000000000000000000000803f01000000000000000200000000000000c3a9"
    ),
}
WE_MEAN = {
    "list": ([np.array([1, 2, 3], np.float32)], []),
    "row_sparse": (
        [SparseArray("row_sparse", (5, 3), np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 3]))],
        ["r"],
    ),
    "csr": ([SparseArray("csr", (4, 2), np.zeros(0, np.float32), np.zeros(0, int), np.zeros(5, int))], ["z"]),
    "unicode": ([np.ones(1, np.float32)], ["é"]),
}


@pytest.mark.parametrize("case", MXNET_WROTE)
def test_same_bytes_as_mxnet(case: str) -> None:
    theirs = bytes.fromhex(MXNET_WROTE[case])
    arrays, names = WE_MEAN[case]
    assert dumps(arrays, names) == theirs
    loaded = read_arrays(theirs)
    assert loaded.names == names
    for item, expected in zip(loaded.arrays, arrays, strict=True):
        same(item, expected)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="tests/golden/params has not been generated")
@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.params")), ids=lambda path: path.stem)
def test_golden_files(path: Path) -> None:
    """Every array of a file equals ``<file stem>:<name or position>`` in expected.npz, sparse ones when dense."""
    with np.load(GOLDEN / "expected.npz") as stored:
        expected = {key.partition(":")[2]: stored[key] for key in stored.files if key.startswith(f"{path.stem}:")}
    loaded = read_arrays(path)
    labels = loaded.names or [str(index) for index in range(len(loaded.arrays))]
    assert sorted(labels) == sorted(expected)
    for label, item in zip(labels, loaded.arrays, strict=True):
        same(item.todense() if isinstance(item, SparseArray) else item, expected[label])


# --------------------------------------------------------------------------------------------------------------------
# Damage


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


def compressed_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x.params"))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x", "y")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        (b"\r\n <!DOCTYPE HTML>\n<html>", "HTML page"),
        (b"\xef\xbb\xbf<HTML lang='en'>", "HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML document"),
        (b"404: Not Found", "not found"),
        (zipped(), "zip archive"),
        (gzip.compress(b"x"), "gzip"),
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
    ],
)
def test_impostors(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "net-0000.params"
    path.write_bytes(data)
    message = failure(path)
    assert message.startswith(str(path)) and expected in message


def test_bad_sources(tmp_path: Path) -> None:
    assert "No such file" in failure(tmp_path / "absent.params")
    assert "cannot open" in failure(tmp_path)
    assert "cannot open" in failure("nul\0.params")
    assert "expected a path or the bytes" in failure(3)


# --------------------------------------------------------------------------------------------------------------------
# Writing


def test_bytes_of_every_dtype() -> None:
    for flag in WRITABLE:
        values = np.array([[0, 1, 1]]).astype(DTYPE_FLAGS[flag])
        expected = listing(array(2, (1, 3), flag, values.tobytes()), names=("x",))
        assert dumps([values], ["x"]) == expected
        same(read_arrays(expected).arrays[0], values)
    assert dumps([]) == listing()


def test_bytes_of_sparse_arrays() -> None:
    rows = SparseArray("row_sparse", (4, 2), np.array([[1, 2], [3, 4]], ">f4"), np.array([1, 3], np.int32))
    matrix = SparseArray("csr", (2, 3), np.array([5, 6, 7], np.float32), np.array([2, 0, 1]), np.array([0, 1, 3]))
    expected = listing(
        row_sparse((2, 2), (4, 2), [1, 3], [1, 2, 3, 4]), csr((2, 3), [0, 1, 3], [2, 0, 1], [5, 6, 7], stored=3)
    )
    assert dumps([rows, matrix]) == expected


def test_memory_layouts_are_normalised() -> None:
    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    for other in (
        np.asfortranarray(plain),
        plain.astype(">f4"),
        np.repeat(plain, 2, axis=1)[:, ::2],
        plain[::-1][::-1],
    ):
        assert dumps([other]) == dumps([plain])


writable_arrays = st.sampled_from([DTYPE_FLAGS[flag] for flag in WRITABLE if flag != 12]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4))
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), writable_arrays, max_size=5))
def test_round_trip(arrays: dict[str, np.ndarray]) -> None:
    loaded = read_arrays(dumps(list(arrays.values()), list(arrays)))
    assert loaded.names == list(arrays)
    for item, original in zip(loaded.arrays, arrays.values(), strict=True):
        same(item, original)
    assert dumps(loaded.arrays, loaded.names) == dumps(list(arrays.values()), list(arrays))


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.sampled_from([0, 0, 1, -2.5])))
def test_sparse_round_trip(dense: np.ndarray) -> None:
    nonzero = dense != 0
    indptr = np.concatenate([[0], np.cumsum(nonzero.sum(axis=1))])
    matrix = SparseArray("csr", dense.shape, dense[nonzero], np.nonzero(nonzero)[1], indptr)
    stored = np.flatnonzero(nonzero.any(axis=1))
    rows = SparseArray("row_sparse", dense.shape, dense[stored], stored)
    loaded = read_arrays(dumps([matrix, rows]))
    for item, original in zip(loaded.arrays, (matrix, rows), strict=True):
        same(item, original)
        assert isinstance(item, SparseArray)
        same(item.todense(), dense)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (np.array(3.0), "reshape it to (1,)"),
        (np.zeros((1,) * 33), "at most 32 dimensions"),
        (np.zeros(1, np.uint16), ".astype('int32')"),
        (np.zeros(1, np.int16), ".astype('int32')"),
        (np.zeros(1, np.uint32), ".astype('int64')"),
        (np.zeros(1, np.uint64), "cannot read uint64"),
        (np.zeros(1, np.complex64), "cannot read complex64"),
        (np.zeros(1, object), "cannot read object"),
        (None, "got NoneType"),
        ([1.0, 2.0], "got list"),
        (np.float32(1), "got float32"),
        (SparseArray("row_sparse", (2, 2), np.ones((1, 2)), np.array([2])), "expected indices below 2"),
        (SparseArray("row_sparse", (2, 2), np.ones((1, 3)), np.array([1])), "need values of shape (1, 2)"),
        (SparseArray("csr", (2, 2), np.ones(1), np.array([0])), "'csr' without indptr"),
        (SparseArray("row_sparse", (2, 2), np.ones((1, 2)), np.array([0.0])), "integer index arrays"),
        (SparseArray("row_sparse", (), np.ones(1), np.array([0])), "1 to 32 dimensions"),
        (SparseArray("coo", (2, 2), np.ones(1), np.array([0])), "got 'coo'"),
    ],
)
def test_unwritable_items(tmp_path: Path, item: object, expected: str) -> None:
    path = tmp_path / "x.params"
    with pytest.raises(MXNetError) as caught:
        write_arrays(path, [np.zeros(1), item], ["a", "b"])  # pyright: ignore[reportArgumentType]
    assert "cannot save array 1 ('b')" in str(caught.value) and expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["a"], "got 1 names for 2"), (["a", "a"], "more than one"), (["a", 3], "type str"), (["a", "\ud800"], "UTF-8")],
)
def test_unwritable_names(names: list[str], expected: str) -> None:
    with pytest.raises(MXNetError, match=expected):
        dumps([np.zeros(1), np.zeros(1)], names)


def test_a_huge_sparse_array_is_not_made_dense() -> None:
    item = SparseArray("row_sparse", (2**61,), np.ones(1, np.int8), np.array([2**60]))
    same(read_arrays(dumps([item])).arrays[0].data, np.ones(1, np.int8))  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.raises(MXNetError, match="does not fit into memory"):
        item.todense()


def test_bfloat16_round_trip() -> None:
    values = np.array([1, -2.5, np.inf], ml_dtypes.bfloat16)
    same(read_arrays(dumps([values])).arrays[0], values)


# --------------------------------------------------------------------------------------------------------------------
# Files


def test_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    write_arrays(path, [np.ones(3)], ["a"])
    loaded = read_arrays(path)
    write_arrays(path, [np.zeros(3)], ["a"])  # while the old file is mapped
    same(loaded.arrays[0], np.ones(3))
    same(read_arrays(str(path)).arrays[0], np.zeros(3))
    assert path.read_bytes() == dumps([np.zeros(3)], ["a"])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, error: BaseException
) -> None:
    path = tmp_path / "x.params"
    write_arrays(path, [np.ones(3)])
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(serialize.os, broken, fail)
    expected = MXNetError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_arrays(path, [np.zeros(1000)])
    if expected is MXNetError:
        assert str(path) in str(caught.value) and "No space left" in str(caught.value)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_killed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    write_arrays(path, [np.ones(3)])
    before = path.read_bytes()
    program = (
        "import os, signal, numpy as np\n"
        "from symjit.ndarray import serialize\n"
        "serialize.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"serialize.write_arrays({str(path)!r}, [np.zeros(100000)])\n"
    )
    root = Path(serialize.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    assert done.returncode == -9
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_permissions(tmp_path: Path) -> None:
    path, plain = tmp_path / "x.params", tmp_path / "plain"
    for mask in (0o022, 0o077):
        previous = os.umask(mask)
        try:
            write_arrays(path, [np.ones(1)])
            plain.write_bytes(b"")
        finally:
            os.umask(previous)
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
        path.unlink()
        plain.unlink()
    path.touch()
    path.chmod(0o640)
    write_arrays(path, [np.ones(1)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_write_protected_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.params"
    path.write_bytes(b"keep")
    monkeypatch.setattr(serialize.os, "access", lambda *_: False)  # root may write to any file
    with pytest.raises(MXNetError, match="write-protected"):
        write_arrays(path, [np.ones(1)])
    assert path.read_bytes() == b"keep"


def test_links_and_devices(tmp_path: Path) -> None:
    target, link = tmp_path / "target.params", tmp_path / "link.params"
    target.touch()
    link.symlink_to(target)
    write_arrays(link, [np.ones(1)])
    assert link.is_symlink() and target.read_bytes() == dumps([np.ones(1)])
    write_arrays(os.devnull, [np.ones(1)])
    assert not Path(os.devnull).is_file()


def test_unwritable_places(tmp_path: Path) -> None:
    for path in (tmp_path / "absent" / "x.params", tmp_path, "nul\0.params"):
        with pytest.raises(MXNetError, match="cannot write"):
            write_arrays(path, [np.ones(1)])
