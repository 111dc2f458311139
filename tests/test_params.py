"""Tests of the ``.params`` codec; damaged files are in test_params_damage.py."""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import hypothesis.extra.numpy as hnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symjit as mx
from symjit.base import DTYPE_FLAGS, MXNetError
from symjit.ndarray import atomic, serialize
from symjit.ndarray.mapped import private_copy
from symjit.ndarray.serialize import (
    NamedArrays,
    ParamsWarning,
    SparseArray,
    dump_array,
    dumps,
    read_array,
    read_arrays,
    split_names,
    write_arrays,
)
from tests.packed_params import SMALL, V1, V2, V3, array, csr, failure, floats, listing, row_sparse

FOLDER = Path(__file__).parent / "golden" / "params"
WRITABLE = [flag for flag in DTYPE_FLAGS if flag <= 7 or flag == 12]


def read_golden() -> dict[str, dict[str, np.ndarray]]:
    """Return the entries of expected.npz by file; see tests/golden/generate_params.py."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FOLDER / "expected.npz") as stored:
        for key in stored.files:
            name, _, entry = key.partition(":")
            found.setdefault(name, {})[entry] = stored[key]
    return found


GOLDEN = read_golden()


def present(loaded: NamedArrays) -> list[np.ndarray | SparseArray]:
    items = [item for item in loaded.arrays if item is not None]
    assert len(items) == len(loaded.arrays)
    return items


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
    first, _, odd, shifted = arrays = [item for item in loaded.arrays if isinstance(item, np.ndarray)]
    for item in arrays:
        assert not item.flags.writeable and not owner(item)
        with pytest.raises(ValueError, match="read-only"):
            item[0] = 0
    assert not shifted.flags.aligned
    copy = private_copy(shifted)
    assert copy.flags.aligned and copy.flags.writeable and owner(copy)
    del loaded, arrays, odd
    path.unlink()
    assert first.tolist() == [1, 2] and shifted.tolist() == copy.tolist() == [4]


def owner(item: np.ndarray) -> bool:
    """Whether the memory behind an array is NumPy's own."""
    base: object = item
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return isinstance(base, np.ndarray)


@pytest.mark.parametrize("odd", [0, 1, 3])
@pytest.mark.parametrize("count", [10, 1 << 14, (1 << 20) + 5, (1 << 21) + 77])
def test_private_copies(tmp_path: Path, count: int, odd: int) -> None:
    """Copies are whole whatever the size and alignment, and the map can be read again after them."""
    path = tmp_path / "x.params"
    values = np.random.default_rng(count).standard_normal(count)
    path.write_bytes(listing(array(2, (odd,), 3, b"\0" * odd), array(2, (count,), 1, values.tobytes())))
    view = read_arrays(path).arrays[1]
    assert isinstance(view, np.ndarray)
    for _ in range(2):
        copy = private_copy(view)
        same(copy, values)
        assert not np.may_share_memory(copy, view) and copy.flags.writeable and copy.flags.aligned
    same(private_copy(view[::-2]), values[::-2])
    same(private_copy(view, "float32"), values.astype(np.float32))
    swapped = private_copy(view.astype(">f8"))
    assert swapped.dtype.isnative
    same(swapped, values)


def test_copies_of_copies_and_of_foreign_maps(tmp_path: Path) -> None:
    """Only pages of a file that is mapped for reading are given back: those of other maps would lose what they hold."""
    values = np.arange(1 << 22, dtype=np.float32)
    copy = private_copy(values)
    same(private_copy(copy), values)
    same(copy, values)
    with open(tmp_path / "zeros", "w+b") as file:
        file.truncate(values.nbytes)
    changed = np.memmap(tmp_path / "zeros", np.float32, "c")  # changes stay in memory
    changed[:] = values
    same(private_copy(changed), values)
    same(np.asarray(changed), values)
    same(mx.nd.array(changed).asnumpy(), values)
    same(np.asarray(changed), values)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc, to the page")
def test_loading_holds_the_file_once(tmp_path: Path) -> None:
    """Neither the map nor a second copy stays in memory beside the arrays (measured in a process of its own)."""
    path = tmp_path / "large.params"
    sizes = [100, 1_000, 40_000, 12_000_000, 1_000_000, *[20_000] * 100]
    mx.nd.save(path, [mx.nd.full((size,), 1.5) for size in sizes])
    done = subprocess.run([sys.executable, "-c", GROWTH, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.2 * path.stat().st_size


GROWTH = """
import sys
import symjit as mx

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

(mx.nd.ones(3) + 1).asnumpy()
before = peak()
arrays = mx.nd.load(sys.argv[1])
assert arrays[3].shape == (12_000_000,)
print(peak() - before)
"""


def test_bytes_like_sources() -> None:
    mutable = bytearray(listing(floats(2, 1, 2)))
    loaded = read_arrays(mutable)
    fromview = read_arrays(memoryview(bytes(mutable)))
    mutable[:] = b"\0" * len(mutable)
    for item in (loaded.arrays[0], fromview.arrays[0]):
        same(item, np.array([1, 2], np.float32))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in the file system")
def test_pipe(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_files(name: str) -> None:
    loaded = read_arrays(FOLDER / f"{name}.params")
    expected = GOLDEN[name]
    assert loaded.names == list(expected.get("names", []))
    assert [str(item.dtype) for item in present(loaded)] == list(expected["dtypes"])
    assert [item.stype if isinstance(item, SparseArray) else "default" for item in present(loaded)] == list(
        expected["stypes"]
    )
    for i, item in enumerate(present(loaded)):
        dense = expected[str(i)]
        if item.dtype == ml_dtypes.bfloat16:  # stored as bits
            dense = dense.view(ml_dtypes.bfloat16)
        if isinstance(item, SparseArray):
            same(item.data, expected[f"{i}:data"])
            assert item.indices.tolist() == expected[f"{i}:indices"].tolist()
            assert item.indptr is None or item.indptr.tolist() == expected[f"{i}:indptr"].tolist()
        same(item.todense() if isinstance(item, SparseArray) else item, dense)
    if 3 not in loaded.versions:  # we write V2
        assert dumps(loaded.arrays, loaded.names) == (FOLDER / f"{name}.params").read_bytes()


def test_golden_scalar_fails_clearly() -> None:
    """MXNet 1.9.1 writes a 0-d array in a form that it misreads itself."""
    assert "array 0 has no dimensions" in failure(FOLDER / "rank0_misread.params")


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

    monkeypatch.setattr(atomic.os, broken, fail)
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
        "from symjit.ndarray import atomic, serialize\n"
        "atomic.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
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
    monkeypatch.setattr(atomic.os, "access", lambda *_: False)  # root may write to any file
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
