"""mx.io against MXNet 1.9.1: every batch of every mode; and what files can do wrong."""

from __future__ import annotations

import gzip
import json
import struct
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings

import symjit as mx
from symjit.io import lines
from tests.golden import iterator_cases
from tests.test_ndarray import compilations

GOLDEN = Path(__file__).parent / "golden" / "io"
#: What differs on purpose; the docstrings say so.
DEVIATIONS: dict[tuple[str, str], Any] = {
    ("mnist", "larger than the data"): [["error", "MXNetError"]],  # not StopIteration from a constructor
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("io")
    iterator_cases.write_files(made)
    return made


@pytest.mark.parametrize("family", ["arrays", "wrapped", "csv", "libsvm", "mnist"])
def test_as_in_mxnet(family: str, folder: Path) -> None:
    golden = json.loads((GOLDEN / f"{family}.json").read_text())
    cases, places = iterator_cases.families(folder)[family]
    assert cases.keys() == golden.keys()
    wrong = {}
    for name, (make, steps) in cases.items():
        seen = json.loads(json.dumps(iterator_cases.run(mx, make, steps, *places)))
        if seen != DEVIATIONS.get((family, name), golden[name]):
            wrong[name] = seen, golden[name]
    assert not wrong


def test_long_shuffles_as_in_mxnet(tmp_path: Path) -> None:
    golden = json.loads((GOLDEN / "orders.json").read_text())
    for count, seed in iterator_cases.LONG_ORDERS:
        assert iterator_cases.long_order(mx, tmp_path, count, seed) == golden[f"{count} by {seed}"]


def test_signatures_as_in_mxnet() -> None:
    golden = json.loads((GOLDEN / "signatures.json").read_text())
    ours = iterator_cases.signatures(mx)
    assert {name: ours.get(name) for name in golden} == golden


# NDArrayIter ----------------------------------------------------------------------------------------------------------


def epoch(iterator: Any) -> list[tuple[np.ndarray, np.ndarray, int]]:
    return [(x.data[0].asnumpy(), x.label[0].asnumpy(), x.pad) for x in iterator]


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(1, 15), st.booleans())
def test_padded_batches_hold_every_example_once(count: int, size: int, shuffle: bool) -> None:
    iterator = mx.io.NDArrayIter(np.arange(count), np.arange(count) * 2, size, shuffle)
    for _ in range(2):
        batches = epoch(iterator)
        assert len(batches) == -(-count // size)
        data = np.concatenate([x for x, _, _ in batches])
        label = np.concatenate([x for _, x, _ in batches])
        pad = sum(x for _, _, x in batches)
        assert len(data) == count + pad
        np.testing.assert_array_equal(label, 2 * data)
        assert sorted(data[:count]) == list(range(count))
        np.testing.assert_array_equal(data[count:], np.resize(data[:count], pad))
        iterator.reset()


@settings(max_examples=25)
@given(st.integers(1, 12), st.data())
def test_rolled_over_batches_go_round(count: int, draw: st.DataObject) -> None:
    size = draw.draw(st.integers(1, count))
    iterator = mx.io.NDArrayIter(np.arange(count), np.arange(count), size, last_batch_handle="roll_over")
    seen: list[float] = []
    for _ in range(4):
        batches = epoch(iterator)
        assert [x for _, _, x in batches[1:]] == [0] * (len(batches) - 1)
        seen += [x for data, _, _ in batches for x in data]
        iterator.reset()
    np.testing.assert_array_equal(seen, np.resize(np.arange(count), len(seen)))
    assert len(seen) > 4 * count - size


def test_shuffling_keeps_inputs_and_labels_together() -> None:
    data = {"a": np.arange(20), "b": mx.nd.arange(20)}
    iterator = mx.io.NDArrayIter(data, np.arange(20), 5, shuffle=True)
    orders = []
    for _ in range(3):
        for batch in iterator:
            for other in (*batch.data[1:], *batch.label):
                np.testing.assert_array_equal(other.asnumpy(), batch.data[0].asnumpy())
        orders.append(dict(iterator.data)["a"].asnumpy())
        assert dict(iterator.data)["b"].asnumpy().tolist() == orders[-1].tolist()
        iterator.reset()
    assert sorted(orders[0]) == list(range(20))
    assert orders[0].tolist() != orders[1].tolist() != orders[2].tolist()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_is_memory_of_its_own(large: bool, shuffle: bool) -> None:
    shape = (4, 50_000 if large else 3)
    array, ndarray = np.ones(shape, np.float32), mx.nd.ones(shape)
    iterator = mx.io.NDArrayIter({"a": array, "b": ndarray}, None, 2, shuffle)
    first = iterator.next()
    array[:] = 5
    assert first.data[0].asnumpy().max() == 1
    for x in first.data:
        x += 7  # in place: the buffer is given away
        x[:] = 9
    assert [x.asnumpy().max() for x in iterator.next().data] == [1, 1]
    assert ndarray.asnumpy().max() == 1
    if shuffle:  # the iterator has a copy
        ndarray += 5
        ndarray[1] = 8
    iterator.reset()
    assert [x.asnumpy().max() for x in iterator.next().data] == [1, 1]


def test_a_batch_compiles_once() -> None:
    iterator = mx.io.NDArrayIter(np.ones((7, 3)), mx.nd.ones(7), 2)
    with compilations(6):  # of the whole batches, and of the ones that are filled up
        for _ in range(3):
            list(iterator)
            iterator.reset()
    with compilations(0):
        list(iterator)


def test_what_is_written_to_an_ndarray_is_seen() -> None:
    source = mx.nd.zeros((4, 2))
    iterator = mx.io.NDArrayIter(source, None, 2)
    before = iterator.next().data[0]
    source[:] = 3
    assert iterator.next().data[0].asnumpy().max() == 3
    assert before.asnumpy().max() == 0
    assert iterator.data[0][1] is source


def test_batches_are_on_the_context_of_the_iterator() -> None:
    with mx.cpu(3):
        iterator = mx.io.NDArrayIter(np.ones((4, 2)), mx.nd.ones(4, ctx=mx.cpu(1)), 2)
    batch = iterator.next()
    assert batch.data[0].context == mx.cpu(3) and batch.label[0].context == mx.cpu(1)
    assert batch.data[0].data.device == jax.devices("cpu")[3]


def test_next_reads_nothing_back_from_the_device() -> None:
    sources = {"a": np.ones((10, 3)), "b": mx.nd.ones((10, 3))}
    for shuffle in (False, True):
        iterator = mx.io.NDArrayIter(sources, np.ones(10), 3, shuffle)
        with jax.transfer_guard_device_to_host("disallow"):
            assert sum(1 for _ in iterator) == 4
            iterator.reset()


class _Dataset:
    """Behaves like h5py's: slices, or increasing numbers without repetition."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        if not isinstance(key, slice):
            assert (np.diff(key) > 0).all(), "Indexing elements must be in increasing order"
        return self.values[key]


@pytest.mark.parametrize("mode", ["pad", "discard", "roll_over"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_datasets_give_what_arrays_give(mode: str, shuffle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", type("h5py", (), {"Dataset": _Dataset}))
    values = np.arange(14).reshape(7, 2)
    seen = []
    for data in (values, _Dataset(values)):
        np.random.seed(1)
        iterator = mx.io.NDArrayIter({"x": data}, np.arange(7), 3, shuffle, last_batch_handle=mode)
        found = []
        for _ in range(3):
            found += epoch(iterator)
            iterator.reset()
        seen.append(found)
    assert iterator.provide_data[0].dtype == np.int64  # of the dataset, as in MXNet; batches are float32
    for (a, b, pad), (c, d, other) in zip(*seen, strict=True):
        assert a.dtype == c.dtype == np.float32 and pad == other
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


@pytest.mark.parametrize("size", [0, -2, 2.5, "3"])
def test_batches_of_no_size_are_refused(size: Any) -> None:
    with pytest.raises(mx.MXNetError, match=rf"batch_size: expected an int of at least 1, got {size!r}"):
        mx.io.NDArrayIter(np.ones(4), None, size)


def test_sizes_are_ints() -> None:
    iterator = mx.io.NDArrayIter(np.ones(4), None, np.int64(3))
    assert [type(x) for x in (iterator.batch_size, iterator.provide_data[0].shape[0])] == [int, int]
    assert [repr(x.pad) for x in iterator] == ["0", "2"]


def test_sparse_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match="not supported yet"):
        mx.io.NDArrayIter({"a": scipy.sparse.csr_matrix(np.eye(3))})


# Descriptions and batches ---------------------------------------------------------------------------------------------


def test_descriptions() -> None:
    desc = mx.io.DataDesc("x", (2, 3), np.int32, "TNC")
    assert desc == ("x", (2, 3)) and tuple(desc) == ("x", (2, 3))
    assert (desc.dtype, desc.layout) == (np.int32, "TNC")
    assert repr(desc) == "DataDesc[x,(2, 3),<class 'numpy.int32'>,TNC]"
    assert [mx.io.DataDesc.get_batch_axis(x) for x in ("NCHW", "TNC", None, "TC")] == [0, 1, 0, -1]
    shapes = [("a", (1,)), ("b", (2,))]
    found = mx.io.DataDesc.get_list(shapes, [("b", np.int8), ("a", np.float64)])
    assert [(x.name, x.shape, x.dtype) for x in found] == [("a", (1,), np.float64), ("b", (2,), np.int8)]
    assert [x.dtype for x in mx.io.DataDesc.get_list(shapes, None)] == [np.float32] * 2


def test_batches() -> None:
    assert str(mx.io.DataBatch([mx.nd.ones((2, 3))])) == "DataBatch: data shapes: [(2, 3)] label shapes: None"
    with pytest.raises(AssertionError, match="list of NDArrays as label"):
        mx.io.DataBatch([mx.nd.ones(1)], mx.nd.ones(1))


# Files ----------------------------------------------------------------------------------------------------------------


def test_iterators_over_files_are_of_one_kind(folder: Path) -> None:
    found = [
        iterator_cases.csv("four.csv")(mx, folder),
        iterator_cases.svm("four.svm")(mx, folder / "svm"),
        iterator_cases.mnist(7)(mx, folder),
    ]
    assert all(isinstance(x, mx.io.MXDataIter) and isinstance(x, mx.io.DataIter) for x in found)
    for iterator in found:
        assert iterator.iter_next()
        assert iterator.getdata().shape == iterator.provide_data[0].shape
        first = iterator.next()
        iterator.debug_skip_load()
        assert [x.data[0].asnumpy().tolist() for x in (iterator.next(), iterator.next())] == [
            first.data[0].asnumpy().tolist()
        ] * 2


def test_a_reset_in_the_middle_starts_over(folder: Path) -> None:
    iterator = iterator_cases.csv("four.csv")(mx, folder)
    want = iterator.next().data[0].asnumpy().tolist()
    for _ in range(3):
        iterator.reset()
        assert iterator.next().data[0].asnumpy().tolist() == want


def test_blocks_of_any_size_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.RandomState(0)
    values = rng.randint(-9999, 9999, (200, 4)) / 8
    (tmp_path / "x.csv").write_text("\r\n".join(",".join(map(repr, row)) for row in values.tolist()))
    text = "".join(
        f"{i} {' '.join(f'{j}:{x!r}' for j, x in enumerate(row))}\n" for i, row in enumerate(values.tolist())
    )
    (tmp_path / "x.svm").write_text(text)
    for block, kept in ((7, 1 << 30), (1000, 0), (1000, 2000)):
        monkeypatch.setattr(lines, "_BLOCK", block)
        monkeypatch.setattr(lines, "_KEPT", kept)
        for iterator in (
            mx.io.CSVIter(data_csv=tmp_path / "x.csv", data_shape=(2, 2), batch_size=8),
            mx.io.LibSVMIter(data_libsvm=tmp_path / "x.svm", data_shape=(4,), batch_size=8),
        ):
            for _ in range(2):
                found = np.concatenate([x.data[0].asnumpy().reshape(8, 4) for x in iterator])
                np.testing.assert_array_equal(found, values)
                iterator.reset()


CSV_ERRORS = [
    ("1,2,3\n\n2,x,4\n", {}, r"bad.txt, line 3: column 2: expected a number, got 'x'"),
    ("1,2,3\n2,3\n", {}, r"line 2: expected 3 values for data_shape \(3,\), got 2"),
    ("1,2,3,4\n", {}, r"line 1: expected 3 values .* got 4"),
    ("1,2,1_0\n", {}, r"line 1: column 3: expected a number, got '1_0'"),
    ("1,2,99999999999\n", {"dtype": "int32"}, r"line 1: column 3: expected an int32, got '99999999999'"),
    ("1,2,nan\n", {"dtype": "int32"}, r"line 1: column 3: expected an int32, got 'nan'"),
    ("\n\n", {}, r"there are no examples"),
    ("", {}, r"there are no examples"),
    ("1,2,\x003\n", {}, r"expected lines of text, found binary data"),
    ("1,2,3\n" + "7" * 3_000_000, {}, r"line 2: it is longer than 1048576 bytes|line 2: expected 3 values"),
    ("1,2,3\n", {"data_shape": (-1,)}, r"data_shape: expected a tuple of int"),
    ("1,2,3\n", {"batch_size": 0}, r"batch_size: expected an int in \[1, inf\], got 0"),
    ("1,2,3\n", {"dtype": "float16"}, r"dtype float16 is not supported: expected one of float32, int32, int64"),
    ("1,2,3\n", {"data_csv": None}, r"CSVIter: data_csv must be given"),
    ("1,2,3\n", {"batch_size": 10**18}, r"no memory for a batch of 1000000000000000000 inputs of shape \(3,\)"),
    ("1,2,3\n", {"data_shape": (10**19,)}, r"no memory for a batch of 1 inputs of shape \(10000000000000000000,\)"),
    ("1,2,3\n", {"batch_size": 3}, r"number of input must be bigger than batch size"),
]
SVM_ERRORS = [
    ("1 0:1\n# x\n2 3:1\n", {}, r"bad.txt, line 3: index 3 is out of range: data_shape \(3,\) has 0 to 2"),
    ("1 0:1\n2 -1:1\n", {}, r"line 2: index -1 is out of range"),
    ("1 0:1 2:1\n3\n2 2:1 1:3\n", {}, r"line 3: index 1 does not follow 2: they have to increase"),
    ("2 1:1 1:3\n", {}, r"line 1: index 1 does not follow 1"),
    ("2 0.5:1\n", {}, r"line 1: expected an integer as index, got 0.5"),
    ("2 nan:1\n", {}, r"line 1: expected an integer as index, got nan"),
    ("1 0:1\n\nx 1:1\n", {}, r"line 3: expected a number as label, got 'x'"),
    ("1 0:1\n2 1\n", {}, r"line 2: expected index:value, got '1'"),
    ("1:0.5 0:1\n", {}, r"line 1: expected a number as label, got '1:0.5'"),
    ("1 0:1:2\n", {}, r"line 1: expected index:value, got '0:1:2'"),
    ("1 0:\n", {}, r"line 1: expected index:value, got '0:'"),
    ("1 0:1_0\n", {}, r"line 1: expected index:value, got '0:1_0'"),
    ("1 0 :1\n", {}, r"line 1: expected index:value, got '0'"),
    ("1 0:x\n", {}, r"line 1: expected index:value, got '0:x'"),
    ("# nothing\n", {}, r"there are no examples"),
    ("1 0:1\n", {"data_shape": (10**10,)}, r"takes more than 4 GiB"),
    ("1 0:1\n", {"num_parts": 2, "part_index": 2}, r"part_index: expected less than num_parts = 2, got 2"),
    ("1 0:1\n", {"batch_size": 4}, r"number of input must be bigger than batch size"),
]


ROW_ERRORS = [("csv", *x) for x in CSV_ERRORS] + [("svm", *x) for x in SVM_ERRORS]


@pytest.mark.parametrize(("kind", "text", "more", "message"), ROW_ERRORS, ids=range(len(ROW_ERRORS)))
def test_bad_rows(kind: str, text: str, more: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text, newline="")
    make, name = (mx.io.CSVIter, "data_csv") if kind == "csv" else (mx.io.LibSVMIter, "data_libsvm")
    with pytest.raises(mx.MXNetError, match=message):
        list(make(**{name: path, "data_shape": (3,), "batch_size": 1, **more}))


def test_a_bad_row_behind_good_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_BLOCK", 10)
    (tmp_path / "x.csv").write_text("1\n" * 50 + "oops\n")
    iterator = mx.io.CSVIter(data_csv=tmp_path / "x.csv", data_shape=(1,), batch_size=2)
    with pytest.raises(mx.MXNetError, match=r"x.csv, line 51: column 1: expected a number, got 'oops'"):
        list(iterator)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_many_ways(end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_bytes(end.join([b"12,3", b"4,56", b"7,8"]) + end)
    for block in range(1, 12):
        monkeypatch.setattr(lines, "_BLOCK", block)
        iterator = mx.io.CSVIter(data_csv=tmp_path / "x.csv", data_shape=(2,), batch_size=3)
        assert iterator.next().data[0].asnumpy().tolist() == [[12, 3], [4, 56], [7, 8]]


def test_a_part_begins_in_an_endless_line(tmp_path: Path) -> None:
    (tmp_path / "x.svm").write_bytes(b"1 0:1\n2 0:" + b"1" * 5_000_000)
    for part in range(2):
        with pytest.raises(mx.MXNetError, match=r"x.svm, offset \d+: the line is longer than 1048576 bytes"):
            mx.io.LibSVMIter(
                data_libsvm=tmp_path / "x.svm", data_shape=(3,), batch_size=1, num_parts=3, part_index=part
            )


def header(*shape: int, magic: int = 0x0800) -> bytes:
    return struct.pack(f">I{len(shape)}I", magic + len(shape), *shape)


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


LABELS = header(3) + bytes(3)
IDX_ERRORS = [
    (header(3, 2, 2) + bytes(11), LABELS, r"images, offset 4: the header claims 3 x 2 x 2 = 12 bytes, the file has 27"),
    (header(2**32 - 1, 2**32 - 1, 2**32 - 1), LABELS, r"offset 4: the header claims .* bytes, the file has 16 bytes"),
    (packed(header(2**31, 2**10, 1)), LABELS, r"the file has \d+ bytes of gzip data"),
    (packed(header(3, 2, 2) + bytes(11)), LABELS, r"offset 27: the file ends here"),
    (packed(header(3, 2, 2) + bytes(12))[:-8] + bytes(8), LABELS, r"damaged or ends too early: CRC check failed"),
    (packed(header(3, 2, 2) + bytes(12))[:-12], LABELS, r"damaged or ends too early"),
    (b"\x1f\x8b nonsense", LABELS, r"images"),
    (header(3, 2, 2)[:9], LABELS, r"the file ends in its header, after 9 of 16 bytes"),
    (b"", LABELS, r"offset 0: expected the header 00 00 08 03 .* got 0 bytes"),
    (b"<!DOCTYPE html>", LABELS, r"got an HTML page. The download went wrong"),
    (header(3, 2, 2, magic=0x0D00) + bytes(12), LABELS, r"expected the header 00 00 08 03 .* got 00 00 0d 03"),
    (LABELS, LABELS, r"images, offset 0"),
    (header(3, 2, 2) + bytes(12), header(2) + bytes(2), r"expected as many labels as images, got 3 images .* and 2"),
    (header(3, 2, 2) + bytes(12), header(3) + bytes(2), r"labels, offset 4: the header claims 3 = 3 bytes"),
    (header(0, 2, 2), header(0), r"0 images are fewer than batch_size = 1"),
]


@pytest.mark.parametrize(("images", "labels", "message"), IDX_ERRORS, ids=range(len(IDX_ERRORS)))
def test_bad_idx_files(images: bytes, labels: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(images)
    (tmp_path / "labels").write_bytes(labels)
    with pytest.raises(mx.MXNetError, match=message):
        mx.io.MNISTIter(image=tmp_path / "images", label=tmp_path / "labels", batch_size=1, silent=True)


def test_compressed_idx_files(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = [{"image": folder / f"images7{end}", "label": folder / f"labels7{end}"} for end in ("", ".gz")]
    seen = []
    for names in files:
        with caplog.at_level("INFO"):
            iterator = mx.io.MNISTIter(**names, batch_size=2, seed=3, num_parts=2, part_index=1)
        seen.append([(x.data[0].asnumpy().tolist(), x.label[0].asnumpy().tolist()) for x in iterator])
    assert seen[0] == seen[1] and len(seen[0]) == 2
    assert "MNISTIter: load 4 images, shuffle=1, shape=(2, 1, 2, 3)" in caplog.text


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    for path in ("none", "nothing", "none;nothing", ""):
        with pytest.raises(mx.MXNetError):
            mx.io.CSVIter(data_csv=tmp_path / path if path else "", data_shape=(1,), batch_size=1)
        with pytest.raises(mx.MXNetError):
            mx.io.MNISTIter(image=tmp_path / path, label=tmp_path / path)


@settings(max_examples=80)
@given(kind=st.sampled_from(["csv", "svm", "images"]), draw=st.data())
def test_any_bytes_give_batches_or_one_error(tmp_path_factory: Any, kind: str, draw: st.DataObject) -> None:
    words = [
        b"1",
        b"-2.5",
        b"0:1",
        b"1:",
        b":",
        b",",
        b" ",
        b"\n",
        b"\r\n",
        b"#",
        b"nan",
        b"1e999",
        b"x",
        b"\0",
        b"\xff",
        b"_",
    ]
    idx = [header(2, 2, 2), header(1), bytes(8), b"\x1f\x8b\x08", packed(header(1, 1, 1) + b"1"), b"\xff" * 4]
    content = b"".join(draw.draw(st.lists(st.sampled_from(idx if kind == "images" else words), max_size=12)))
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    try:
        if kind == "images":
            iterator = mx.io.MNISTIter(image=path, label=path, batch_size=1, silent=True)
        elif kind == "csv":
            dtype = draw.draw(st.sampled_from(["float32", "int32"]))
            iterator = mx.io.CSVIter(data_csv=path, data_shape=(2,), batch_size=2, dtype=dtype)
        else:
            iterator = mx.io.LibSVMIter(data_libsvm=path, data_shape=(2,), batch_size=2)
        assert all(len(batch.data[0]) == iterator.batch_size for batch in iterator)
    except mx.MXNetError as error:
        assert len(str(error)) < 600
