"""Iterators and what they give: the cases that ``generate_io.py`` runs in MXNet and the tests in symjit.

The module that is asked (``mxnet`` or ``symjit``) is an argument everywhere, so nothing of either is imported here.
"""

from __future__ import annotations

import gzip
import inspect
import itertools
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Case = tuple[Callable[..., Any], str]


def plain(values: Any) -> Any:
    """Return an NDArray as nested lists with its dtype, so that JSON holds it."""
    found = values.asnumpy()
    return [found.dtype.name, found.tolist()]


def described(iterator: Any) -> list[Any]:
    """Return what an iterator says of its batches."""
    return [[repr(x) for x in iterator.provide_data], [repr(x) for x in iterator.provide_label], iterator.batch_size]


def batch(found: Any) -> dict[str, Any]:
    """Return a batch."""
    index = None if found.index is None else [found.index.dtype.name, found.index.tolist()]
    labels = None if found.label is None else [plain(x) for x in found.label]
    return {"data": [plain(x) for x in found.data], "label": labels, "pad": found.pad, "index": index}


def error(raised: Exception) -> list[str]:
    """Return the type of an exception; what it says differs."""
    return ["error", type(raised).__name__]


def play(iterator: Any, steps: str) -> list[Any]:
    """Call an iterator as a word says, and return all it gives.

    Args:
        iterator: the iterator.
        steps: ``e`` the rest of the epoch, ``n`` one batch, ``i`` iter_next and getters, ``g`` getdata alone, ``r``
            reset, ``h`` hard_reset.
    """
    seen: list[Any] = [described(iterator)]
    try:
        for step in steps:
            if step == "r":
                iterator.reset()
            elif step == "h":
                iterator.hard_reset()
            elif step == "g":
                seen.append([plain(x) for x in iterator.getdata()])
            elif step == "i":
                moved = iterator.iter_next()
                parts = [iterator.getdata(), iterator.getlabel()] if moved else []
                parts = [[plain(x) for x in p] if isinstance(p, list) else plain(p) for p in parts]
                seen.append([bool(moved), *parts, iterator.getpad() if moved else None])
            else:
                found = []
                for _ in range(1 if step == "n" else 99):
                    try:
                        found.append(batch(iterator.next()))
                    except StopIteration:
                        found.append("end")
                        break
                seen.append(found)
    except Exception as raised:
        seen.append(error(raised))
    return seen


def run(mx: Any, make: Callable[..., Any], steps: str, *folder: Path) -> list[Any]:
    """Make an iterator and play with it."""
    np.random.seed(3)
    try:
        iterator = make(mx, *folder)
    except Exception as raised:
        return [error(raised)]
    return play(iterator, steps)


# NDArrayIter ----------------------------------------------------------------------------------------------------------


def rows(count: int, start: int = 0) -> np.ndarray:
    """Return float64 rows that tell their number."""
    return np.arange(start, start + 2 * count, dtype=np.float64).reshape(count, 2)


def plain_arrays(count: int, size: int, mode: str, shuffle: bool, labels: bool = True) -> Callable[[Any], Any]:
    """Make an iterator over one input and one label."""
    label = np.arange(count) * 10.0 if labels else None
    return lambda mx: mx.io.NDArrayIter(rows(count), label, size, shuffle, last_batch_handle=mode)


def arrays() -> dict[str, Case]:
    """Return the cases of NDArrayIter."""
    cases: dict[str, Case] = {}
    sizes = [(10, 3), (9, 3), (5, 5), (3, 5), (4, 7), (4, 8), (2, 5), (3, 7), (2, 9), (1, 1)]
    for (count, size), mode in itertools.product(sizes, ["pad", "discard", "roll_over"]):
        cases[f"{count} by {size}, {mode}"] = plain_arrays(count, size, mode, False), "erererer"
    for mode in ["pad", "discard", "roll_over"]:
        cases[f"shuffled, {mode}"] = plain_arrays(7, 3, mode, True), "erererehe"
        cases[f"shuffled, larger than the data, {mode}"] = plain_arrays(3, 5, mode, True), "ererer"
        cases[f"without labels, {mode}"] = plain_arrays(7, 3, mode, False, False), "ererer"
        for steps in ["nrnrnnre", "nnnrrnhe", "ehere", "eere", "iiiiri", "nnhererr", "gn", "nrg", "ngeg"]:
            cases[f"{steps}, {mode}"] = plain_arrays(7, 3, mode, False), steps
    cases["another word"] = plain_arrays(7, 3, "Pad", False), "erer"
    several = {
        "defaults": lambda mx: mx.io.NDArrayIter(rows(3)),
        "list of one": lambda mx: mx.io.NDArrayIter([rows(3)], [np.arange(3)], 2),
        "list of twelve": lambda mx: mx.io.NDArrayIter([rows(3, i) for i in range(12)], batch_size=2),
        "dict": lambda mx: mx.io.NDArrayIter({"z": rows(4), "a": rows(4, 9)}, {"q": np.ones(4), "b": np.zeros(4)}, 3),
        "names": lambda mx: mx.io.NDArrayIter(rows(3), rows(3), 2, data_name="x", label_name="y"),
        "numbers": lambda mx: mx.io.NDArrayIter({"a": [[1, 2], [3, 4]]}, {"b": [True, False]}, 1),
        "list of lists": lambda mx: mx.io.NDArrayIter([[1, 2], [3, 4]], [[5, 6]], 1),
        "integers": lambda mx: mx.io.NDArrayIter(np.arange(4, dtype=np.int64), np.arange(4, dtype=np.uint8), 2),
        "dtypes": lambda mx: mx.io.NDArrayIter(
            [mx.nd.array(rows(3), dtype=d) for d in ("float64", "int32", "uint8", "float16", "int64")], None, 2
        ),
        "dtypes, shuffled": lambda mx: mx.io.NDArrayIter(
            [mx.nd.array(rows(3), dtype=d) for d in ("float64", "int32", "uint8")], None, 2, True
        ),
        "second axis": lambda mx: mx.io.NDArrayIter(
            rows(6).reshape(3, 4, 1), rows(6).reshape(3, 4, 1), 2, layout="TNC"
        ),
        "second axis is short": lambda mx: mx.io.NDArrayIter(rows(6).reshape(4, 3, 1), None, 2, layout="TNC"),
        "no batch axis": lambda mx: mx.io.NDArrayIter(rows(2), None, 1, layout="TC"),
        "inputs longer than the first": lambda mx: mx.io.NDArrayIter({"a": rows(4), "b": rows(6)}, None, 3),
        "labels too short": lambda mx: mx.io.NDArrayIter(rows(4), np.arange(3), 3),
        "labels too short, never reached": lambda mx: mx.io.NDArrayIter(rows(4), np.arange(3), 3, False, "discard"),
        "labels too short, shuffled": lambda mx: mx.io.NDArrayIter(rows(4), np.arange(3), 3, True),
        "no batch_size": lambda mx: mx.io.NDArrayIter(rows(4), None, None),
        "no data": lambda mx: mx.io.NDArrayIter(None),
        "empty list": lambda mx: mx.io.NDArrayIter([]),
        "tuple": lambda mx: mx.io.NDArrayIter((rows(3), rows(3))),
        "text": lambda mx: mx.io.NDArrayIter({"a": "text"}),
        "ragged": lambda mx: mx.io.NDArrayIter([[[1, 2], [3]]]),
    }
    for name, make in several.items():
        cases[name] = make, "erer"
    return cases


def wrapped() -> dict[str, Case]:
    """Return the cases of iterators over iterators."""

    def inner(mx: Any, count: int = 7, mode: str = "pad") -> Any:
        return mx.io.NDArrayIter(rows(count), np.arange(count), 3, last_batch_handle=mode)

    def pair(mx: Any, counts: tuple[int, int], **names: Any) -> Any:
        return mx.io.PrefetchingIter([inner(mx, count) for count in counts], **names)

    renamed = {
        "rename_data": [{"data": "left"}, {"data": "right"}],
        "rename_label": [{"softmax_label": "l"}, {"softmax_label": "r"}],
    }
    return {
        "resized, cut": (lambda mx: mx.io.ResizeIter(inner(mx), 2), "ererer"),
        "resized, stretched": (lambda mx: mx.io.ResizeIter(inner(mx), 5), "ererer"),
        "resized, not reset": (lambda mx: mx.io.ResizeIter(inner(mx), 2, reset_internal=False), "erererer"),
        "resized, roll_over": (lambda mx: mx.io.ResizeIter(inner(mx, mode="roll_over"), 3), "ererer"),
        "resized to nothing": (lambda mx: mx.io.ResizeIter(inner(mx), 0), "erer"),
        "prefetched": (lambda mx: mx.io.PrefetchingIter(inner(mx)), "erernrne"),
        "prefetched, roll_over": (lambda mx: mx.io.PrefetchingIter(inner(mx, mode="roll_over")), "erererer"),
        "prefetched, iter_next": (lambda mx: mx.io.PrefetchingIter(inner(mx)), "iiiiri"),
        "prefetched, past the end": (lambda mx: mx.io.PrefetchingIter(inner(mx)), "eeere"),
        "prefetched, two": (lambda mx: pair(mx, (7, 7)), "erer"),
        "prefetched, two renamed": (lambda mx: pair(mx, (7, 7), **renamed), "ere"),
        "prefetched, of unequal length": (lambda mx: pair(mx, (7, 4)), "e"),
        "prefetched, of unequal pad": (lambda mx: pair(mx, (7, 8)), "e"),
        "prefetched, none": (lambda mx: mx.io.PrefetchingIter([]), "e"),
        "prefetched, not renamed": (lambda mx: pair(mx, (7, 7), rename_data=[{"data": "a"}, {}]), "e"),
    }


# Files ----------------------------------------------------------------------------------------------------------------

CSV = {
    "four.csv": "1,2,3\n2,3,4\n3,4,5\n4,5,6\n",
    "labels.csv": "10\n20\n30\n40\n",
    "labels2.csv": "1,-1\n2,-2\n3,-3\n4,-4\n",
    "short.csv": "10\n20\n30\n",
    "six.csv": "1,2,3,4,5,6\n-1,-2,-3,-4,-5,-6\n",
    "one.csv": "1.5\n2.5\n\n3.5\n",
    "windows.csv": "1,2,3\r\n2,3,4\r\n3,4,5",
    "blank.csv": "1,2,3\n\n\n2,3,4\n\n",
    "spaces.csv": " 1 , 2,3 \n2,\t3,4\n",
    "trailing.csv": "1,2,3,\n2,3,4,\n",
    "numbers.csv": "1e3,-2.5E-2,+.5\n1.,00012,-0\n3.14159274,1e-30,16777217\n",
    "integers.csv": "1,2,3\n2147483647,-2147483648,0\n",
    "long.csv": "9223372036854775807,-9223372036854775808,16777217\n1,2,3\n",
    "fractions.csv": "1.5,2.9,-3.9\n4,5,6\n",
    "returns.csv": "1,2,3\r2,3,4\r3,4,5",
    "signs.csv": "+1,-2,-0\n-.5,+0.25,-inf\n1.5e+3,-2E-1,007\n",
    "mark.csv": "\ufeff1,2,3\n2,3,4\n",
    "empty.csv": "",
    "text.csv": "2,x,4\n1,2,3\n",
    "header.csv": "a,b,c\n1,2,3\n",
    "hole.csv": "1,,3\n2,3,4\n",
    "narrow.csv": "2,3\n1,2,3\n",
    "wide.csv": "2,3,4,5\n1,2,3\n",
    "folder/a.csv": "1,2,3\n2,3,4",
    "folder/b.csv": "3,4,5\n",
}


def csv(data: str, shape: Any = (3,), label: str | None = None, **more: Any) -> Callable[[Any, Path], Any]:
    """Make a CSVIter."""

    def make(mx: Any, folder: Path) -> Any:
        labels = {} if label is None else {"label_csv": str(folder / label)}
        files = ";".join(str(folder / name) for name in data.split(";"))
        return mx.io.CSVIter(**{"data_csv": files, "data_shape": shape, "batch_size": 3, **labels, **more})

    return make


def tables() -> dict[str, Case]:
    """Return the cases of CSVIter."""
    label2 = {"label": "labels2.csv", "label_shape": (2,)}
    cases: dict[str, tuple[Callable[..., Any], str]] = {
        "whole batches": (csv("four.csv", batch_size=2), "ererer"),
        "rounded": (csv("four.csv"), "erererer"),
        "not rounded": (csv("four.csv", round_batch=False), "ererer"),
        "rounded, label": (csv("four.csv", label="labels.csv"), "erererer"),
        "not rounded, label": (csv("four.csv", label="labels.csv", round_batch=False), "ererer"),
        "label of two": (csv("four.csv", **label2), "erer"),
        "past the end": (csv("four.csv"), "eeere"),
        "larger than the data": (csv("four.csv", batch_size=7), "e"),
        "much larger than the data": (csv("four.csv", batch_size=9), "e"),
        "larger, second epoch": (csv("four.csv", batch_size=5), "ere"),
        "as text": (csv("four.csv", "(3,)", batch_size="2", round_batch="0"), "er"),
        "as a list": (csv("four.csv", [3], batch_size=2), "e"),
        "names": (csv("four.csv", batch_size=2, data_name="x", label_name="y"), "n"),
        "unknown parameter": (csv("four.csv", batch_size=2, nonsense=1), "e"),
        "shaped": (csv("six.csv", (3, 2), batch_size=1), "e"),
        "one column": (csv("one.csv", (1,), batch_size=1), "e"),
        "label_shape without labels": (csv("four.csv", batch_size=2, label_shape=(2,)), "e"),
        "folder": (csv("folder", batch_size=1), "e"),
        "two files": (csv("four.csv;folder/b.csv", batch_size=5), "e"),
        "labels too short": (csv("four.csv", label="short.csv", batch_size=4), "e"),
        "labels longer": (csv("folder/b.csv", label="labels.csv", batch_size=1), "er"),
        "label of another width": (csv("four.csv", label="labels2.csv"), "e"),
        "wrong shape": (csv("four.csv", (4,)), "e"),
        "no file": (csv("none.csv"), "e"),
        "label of one by one": (csv("four.csv", label="labels.csv", label_shape=(1, 1)), "n"),
        "label of two by one": (csv("four.csv", label="labels2.csv", label_shape=(2, 1)), "n"),
        "negative batch_size": (csv("four.csv", batch_size=-1), "e"),
        "nothing given": (lambda mx, folder: mx.io.CSVIter(), "e"),
        "no data_shape": (lambda mx, folder: mx.io.CSVIter(data_csv=str(folder / "four.csv"), batch_size=1), "e"),
        "no batch_size": (lambda mx, folder: mx.io.CSVIter(data_csv=str(folder / "four.csv"), data_shape=(3,)), "n"),
        "odd batch_size": (csv("four.csv", batch_size="x"), "e"),
        "odd shape": (csv("four.csv", "x"), "e"),
        "dtype of no use": (csv("four.csv", dtype="float64"), "e"),
        "int32": (csv("integers.csv", batch_size=2, dtype="int32"), "e"),
        "int32, label": (csv("four.csv", batch_size=2, dtype="int32", label="labels.csv"), "e"),
        "int32, no rounding": (csv("four.csv", dtype="int32", round_batch=False), "e"),
        "int64": (csv("long.csv", batch_size=2, dtype="int64"), "e"),
        "float32": (csv("four.csv", batch_size=2, dtype="float32"), "e"),
        "fractions as int32": (csv("fractions.csv", batch_size=2, dtype="int32"), "e"),
    }
    for name in (
        "windows",
        "blank",
        "spaces",
        "trailing",
        "numbers",
        "returns",
        "signs",
        "mark",
        "text",
        "header",
        "hole",
        "narrow",
    ):
        cases[name] = csv(f"{name}.csv", batch_size=1), "e"
    return cases | {name: (csv(f"{name}.csv", batch_size=1), "e") for name in ("wide", "empty")}


SVM = {
    "four.svm": "1.0 0:0.5 2:1.2\n-2.0\n-3.0 0:0.6 1:2.4 2:1.2\n4 2:-1.2\n",
    "labels.svm": "1.0\n-2.0 0:0.125\n-3.0 2:1.2\n4 1:1.0 2:-1.2\n",
    "short.svm": "1.0\n-2.0 0:0.125\n",
    "comments.svm": "# first\n1 0:1 # one\n\n  2  1:2 \n3\t2:3\r\n",
    "parts.svm": "".join(f"{i} {i % 3}:{'1' * (1 + i % 5)}\n" for i in range(20)),
    "queries.svm": "1 qid:1 0:1\n-2 qid:20\n3  qid:3 1:2 2:4\n",
    "signs.svm": "+1 0:+1 1:-1\n-1.5 0:.5 2:5.\n1e1 1:-2.5E-1 \n7",
    "negative.svm": "2 -1:1\n1 0:1\n",
    "empty.svm": "",
    "folder/a.svm": "1 0:1\n2 1:1\n",
    "folder/b.svm": "3 2:1\n",
}


def svm(data: str, label: str | None = None, **more: Any) -> Callable[[Any, Path], Any]:
    """Make a LibSVMIter."""

    def make(mx: Any, folder: Path) -> Any:
        labels = {} if label is None else {"label_libsvm": str(folder / label)}
        known = {"data_libsvm": str(folder / data), "data_shape": (3,), "batch_size": 3}
        return mx.io.LibSVMIter(**{**known, **labels, **more})

    return make


def sparse_rows() -> dict[str, Case]:
    """Return the cases of LibSVMIter."""
    cases: dict[str, Case] = {
        "rounded": (svm("four.svm"), "erererer"),
        "whole batches": (svm("four.svm", batch_size=2), "erer"),
        "labels": (svm("four.svm", "labels.svm", label_shape=(3,)), "erer"),
        "labels too short": (svm("four.svm", "short.svm", label_shape=(3,)), "e"),
        "past the end": (svm("four.svm"), "eere"),
        "comments": (svm("comments.svm", batch_size=1), "e"),
        "folder": (svm("folder", batch_size=1), "e"),
        "names": (svm("four.svm", data_name="x", label_name="y"), "n"),
        "larger than the data": (svm("four.svm", batch_size=9), "e"),
        "no rounding": (svm("four.svm", round_batch=False), "e"),
        "label_shape alone": (svm("four.svm", label_shape=(3,)), "e"),
        "labels of one": (svm("four.svm", "labels.svm", label_shape=(1,)), "e"),
        "shape of two": (svm("four.svm", data_shape=(3, 1)), "e"),
        "no file": (svm("none.svm"), "e"),
        "float64": (svm("four.svm", dtype="float64"), "e"),
        "part out of range": (svm("parts.svm", num_parts=2, part_index=2), "e"),
    }
    for parts in (2, 3, 7):
        for part in range(parts):
            cases[f"part {part} of {parts}"] = svm("parts.svm", num_parts=parts, part_index=part, batch_size=1), "e"
    for name in ("queries", "signs", "negative", "empty"):
        cases[name] = svm(f"{name}.svm", batch_size=1), "e"
    return cases


def idx(values: np.ndarray) -> bytes:
    """Return bytes as an idx file."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def digits(count: int) -> tuple[bytes, bytes]:
    """Return idx files of small images and labels."""
    images = (np.arange(count * 6).reshape(count, 2, 3) * 7 % 256).astype(np.uint8)
    return idx(images), idx(np.arange(count).astype(np.uint8))


def mnist(count: int, **more: Any) -> Callable[[Any, Path], Any]:
    """Make an MNISTIter."""

    def make(mx: Any, folder: Path) -> Any:
        files = {"image": str(folder / f"images{count}"), "label": str(folder / f"labels{count}")}
        return mx.io.MNISTIter(**{**files, "batch_size": 2, "silent": True, **more})

    return make


def images() -> dict[str, Case]:
    """Return the cases of MNISTIter."""
    cases: dict[str, Case] = {
        "in order": (mnist(7, shuffle=False), "erer"),
        "flat": (mnist(7, shuffle=False, flat=True), "e"),
        "reset": (mnist(7, shuffle=False), "nrne"),
        "larger than the data": (mnist(7, batch_size=8), "e"),
        "whole": (mnist(7, batch_size=7), "ere"),
        "float64": (mnist(7, shuffle=False, dtype="float64"), "n"),
        "uint8": (mnist(7, shuffle=False, dtype="uint8"), "n"),
        "part out of range": (mnist(7, num_parts=2, part_index=2), "e"),
        "no file": (mnist(9), "e"),
        "names": (mnist(7, shuffle=False, data_name="x", label_name="y"), "n"),
    }
    for count in (2, 6, 7):
        for seed in (0, 1, 17):
            cases[f"{count} shuffled by {seed}"] = mnist(count, seed=seed, batch_size=1, flat=True), "ere"
    for parts in (2, 3):
        for part in range(parts):
            cases[f"part {part} of {parts}"] = mnist(7, shuffle=False, num_parts=parts, part_index=part), "e"
            cases[f"part {part} of {parts}, shuffled"] = mnist(7, num_parts=parts, part_index=part, batch_size=1), "e"
    return cases


def long_order(mx: Any, folder: Path, count: int, seed: int) -> int:
    """Return a checksum of the order in which MNISTIter shuffles many images, of two bytes that tell their number."""
    numbers = np.arange(count).astype(">u2").view(np.uint8)
    (folder / "many-images").write_bytes(idx(numbers.reshape(count, 1, 2)))
    (folder / "many-labels").write_bytes(idx(numbers[1::2]))
    files = {"image": str(folder / "many-images"), "label": str(folder / "many-labels")}
    found = mx.io.MNISTIter(**files, batch_size=count, seed=seed, flat=True, silent=True).next()
    both = np.concatenate([found.data[0].asnumpy() * 256, found.label[0].asnumpy().reshape(-1, 1)], axis=1)
    return zlib.crc32(both.astype(np.uint8).tobytes())


LONG_ORDERS = [(65535, 5), (65536, 5), (70000, 6)]


def write_files(folder: Path) -> None:
    """Write the files that the cases read."""
    (folder / "folder").mkdir()
    for name, text in CSV.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    (folder / "svm" / "folder").mkdir(parents=True)
    for name, text in SVM.items():
        (folder / "svm" / name).write_text(text, newline="")
    for count in (2, 6, 7):
        files = digits(count)
        for kind, content in zip(("images", "labels"), files, strict=True):
            (folder / f"{kind}{count}").write_bytes(content)
            (folder / f"{kind}{count}.gz").write_bytes(gzip.compress(content))


def families(folder: Path) -> dict[str, tuple[dict[str, Case], tuple[Path, ...]]]:
    """Return all cases by family, and what their makers take beside the module."""
    return {
        "arrays": (arrays(), ()),
        "wrapped": (wrapped(), ()),
        "csv": (tables(), (folder,)),
        "libsvm": (sparse_rows(), (folder / "svm",)),
        "mnist": (images(), (folder,)),
    }


def signatures(mx: Any) -> dict[str, list[list[Any]] | None]:
    """Return the arguments and defaults of all public methods of the classes, or None for what is no method."""
    found: dict[str, Any] = {}
    for kind in ("DataBatch", "DataDesc", "DataIter", "NDArrayIter", "PrefetchingIter", "ResizeIter"):
        thing = getattr(mx.io, kind)
        maker = "__new__" if kind == "DataDesc" else "__init__"
        for name in [maker, *(x for x in dir(thing) if not x.startswith("_") and not hasattr(tuple, x))]:
            value = inspect.getattr_static(thing, name)
            value = value.__func__ if isinstance(value, staticmethod) else value
            found[f"{kind}.{name}"] = arguments(value) if inspect.isfunction(value) else None
    return found


def arguments(function: Callable[..., Any]) -> list[list[Any]]:
    """Return names and defaults of arguments."""
    listed = inspect.signature(function).parameters.values()
    return [[x.name, None if x.default is x.empty else repr(x.default)] for x in listed]
