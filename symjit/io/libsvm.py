"""``LibSVMIter``: batches of the rows of LibSVM files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from symjit.base import MXNetError, shown
from symjit.io.decimals import decimals
from symjit.io.lines import Lines, RowStream, Unparsed, files_of, text_blocks
from symjit.io.loading import RowIter, given, required

__all__ = ["LibSVMIter"]

#: All numbers in turn, labels, indices and values; how many pairs every line has that is not empty; their numbers.
_Numbers: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]

_COMMENT = re.compile(rb"#[^\n]*")
_QUERY = re.compile(rb"(?m)^([ \t]*+[^\s:]++)[ \t]++qid:\d++(?=\s)")  # of files for ranking; not used
# A label and pairs. Possessive: what has been matched is never tried another way.
_LINE = rb"[ \t]*+(?:[^\s:]++(?:[ \t]++[^\s:]++:[^\s:]++)*+[ \t]*+)?+\n"
_LINES = re.compile(rb"(?:" + _LINE + rb")*+")

# A batch of dense rows of what is sparse in the file; more is surely not meant.
_LARGEST = 4 << 30


@dataclass(frozen=True)
class _Sparse:
    """Rows in compressed form: row ``r`` has the values ``indptr[r]:indptr[r + 1]`` at `columns`, and a label."""

    labels: np.ndarray
    indptr: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        return self.labels.nbytes + self.indptr.nbytes + self.columns.nbytes + self.values.nbytes

    def __len__(self) -> int:
        return len(self.labels)

    def write(self, outs: Sequence[np.ndarray], at: int, start: int, stop: int) -> None:
        """Write rows `start` to `stop`, and their labels if a second array is given."""
        count = stop - start
        first, last = self.indptr[start], self.indptr[stop]
        rows = np.repeat(np.arange(at, at + count), np.diff(self.indptr[start : stop + 1]))
        outs[0][at : at + count] = 0
        outs[0][rows, self.columns[first:last]] = self.values[first:last]
        for out in outs[1:]:
            out[at : at + count] = self.labels[start:stop]


class _Parser:
    """Makes sparse rows of lines."""

    def __init__(self, width: int, named: str) -> None:
        self.width = width
        self.named = named

    def __call__(self, text: bytes) -> _Sparse:
        if b"#" in text:
            text = _COMMENT.sub(b"", text)
        if not text.endswith(b"\n"):
            text += b"\n"
        if b"qid" in text:
            text = _QUERY.sub(rb"\1", text)
        numbers, pairs, lines = self._plain(text) or self._usual(text)
        indptr = np.concatenate([[0], np.cumsum(pairs)])
        places = 2 * indptr[:-1] + np.arange(len(lines))
        rest = np.delete(numbers, places).reshape(-1, 2)
        self._check(rest[:, 0], indptr, lines)
        with np.errstate(over="ignore"):
            numbers, values = numbers[places].astype(np.float32), rest[:, 1].astype(np.float32)
        return _Sparse(numbers, indptr, rest[:, 0].astype(np.int64), values)

    def _plain(self, text: bytes) -> _Numbers | None:
        """Return the numbers if there are single blanks, no empty lines and no unusual numbers, which is fastest."""
        found = decimals(text.replace(b" \n", b"\n"), b" :\n")
        if found is None:
            return None
        numbers, ends = found
        colons = ends == ord(":")
        if colons[0] or (colons[1:] != (ends[:-1] == ord(" "))).any():
            return None
        pairs = np.diff(np.cumsum(colons)[ends == ord("\n")], prepend=0)
        return numbers, pairs, np.arange(len(pairs))

    def _usual(self, text: bytes) -> _Numbers:
        """Return the numbers in lines of any allowed form."""
        if b"_" in text or _LINES.fullmatch(text) is None:
            self._refuse(text)
        try:
            numbers = np.fromiter(map(float, text.replace(b":", b" ").split()), np.float64)
        except ValueError:
            self._refuse(text)
            raise
        lines = np.flatnonzero([bool(line.strip()) for line in text.split(b"\n")])  # those that are not empty
        characters = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(characters == ord("\n"))
        pairs = np.diff(np.searchsorted(np.flatnonzero(characters == ord(":")), ends), prepend=0)[lines]
        return numbers, pairs, lines

    def _check(self, columns: np.ndarray, indptr: np.ndarray, lines: np.ndarray) -> None:
        follows = np.ones(len(columns), bool)
        follows[indptr[:-1][indptr[:-1] < len(columns)]] = False  # the first of a row follows nothing
        ordered = np.ones(len(columns), bool)
        ordered[1:] = columns[1:] > columns[:-1]
        whole = columns == np.floor(columns)
        good = whole & (columns >= 0) & (columns < self.width) & (ordered | ~follows)
        if good.all():
            return
        place = int(np.argmin(good))
        line = int(lines[np.searchsorted(indptr, place, side="right") - 1])
        index = f"{columns[place]:.15g}"
        if not whole[place]:
            raise Unparsed(line, f"expected an integer as index, got {index}")
        if not 0 <= columns[place] < self.width:
            raise Unparsed(line, f"index {index} is out of range: {self.named} has 0 to {self.width - 1}")
        raise Unparsed(line, f"index {index} does not follow {columns[place - 1]:.15g}: they have to increase")

    def _refuse(self, text: bytes) -> None:
        for number, line in enumerate(text.split(b"\n")):
            tokens = line.split()
            for place, token in enumerate(tokens):
                parts = token.split(b":") if place else [token]
                try:
                    if len(parts) != 1 + (place > 0) or b"_" in token:
                        raise ValueError
                    for part in parts:
                        float(part)
                except ValueError:
                    what = "index:value" if place else "a number as label"
                    raise Unparsed(number, f"expected {what}, got {shown(token.decode('latin-1'))}") from None
        raise Unparsed(0, "expected lines of a label and index:value pairs")


class LibSVMIter(RowIter):
    """Iterate over the rows of LibSVM files in batches. Source: MXNet ``mx.io.LibSVMIter``.

    A line is one example: a label, then ``index:value`` pairs, with indices that start at 0 and increase. What follows
    ``#`` is a comment; ``qid:number`` after the label is passed over.

    Args:
        data_libsvm: a file, a folder whose files are read by name, or several of them between ``;``.
        data_shape: ``(width,)``; an index is smaller than that.
        label_libsvm: a file whose *pairs* are the labels (its own labels are not used); with ``"NULL"`` the labels are
            those in `data_libsvm`.
        label_shape: ``(width,)`` of the labels of `label_libsvm`, more than 1.
        num_parts: cut the bytes of the files into so many parts of about the same size, at the ends of lines.
        part_index: the part that is read.
        batch_size: number of examples in a batch.
        round_batch: must be true: the last batch is filled up with rows from the beginning, which the next epoch then
            leaves out.
        prefetch_buffer: taken and not used: `PrefetchingIter` loads ahead.
        ctx: taken and not used: batches are on ``mx.cpu()``.
        dtype: None or ``float32``.
        data_name: name of the input.
        label_name: name of the label.
        **unknown: other parameters are ignored, as in MXNet.

    Raises:
        MXNetError: a parameter is missing or wrong; a file can not be read; a line is not of this form, or an index out
            of range or not above the one before it (the message says which file and line); there are fewer labels than
            rows, or too few rows to fill a batch.

    Deviations from MXNet: as long as symjit has no sparse arrays, batches are dense, ``(batch_size, width)``, where
    MXNet gives ``csr``; one of more than 4 GiB is refused. Weights (``label:weight``), indices without values and text
    for a number are errors. MXNet looks at neither range nor order of the indices.
    """

    def __init__(
        self,
        *,
        data_libsvm: Any = None,
        data_shape: Any = None,
        label_libsvm: Any = "NULL",
        label_shape: Any = (1,),
        num_parts: Any = 1,
        part_index: Any = 0,
        batch_size: Any = None,
        round_batch: Any = True,
        prefetch_buffer: Any = 4,
        ctx: Any = "cpu",
        dtype: Any = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **unknown: Any,
    ) -> None:
        required("LibSVMIter", data_libsvm=data_libsvm, data_shape=data_shape, batch_size=batch_size)
        shape, label_shape, parts, part, size, whole, _, dtype = given(
            "LibSVMIter",
            data_shape=data_shape,
            label_shape=label_shape,
            num_parts=num_parts,
            part_index=part_index,
            batch_size=batch_size,
            round_batch=round_batch,
            prefetch_buffer=prefetch_buffer,
            dtype=dtype,
        )
        if not whole:
            raise MXNetError("LibSVMIter: round_batch = False is not supported for sparse data iterator")
        if dtype not in (None, "float32"):
            raise MXNetError(f"LibSVMIter: dtype {dtype} is not supported: expected float32")
        if part >= parts:
            raise MXNetError(f"LibSVMIter: part_index: expected less than num_parts = {parts}, got {part}")
        streams = [(_rows(str(data_libsvm), "data_shape", shape, size, (part, parts)), (0, 1))]
        if label_libsvm is None or str(label_libsvm) == "NULL":
            if label_shape != (1,):
                raise MXNetError("label_shape is expected to be (1,) when param_.label_libsvm is NULL")
            label_shape = ()
        else:
            if label_shape == (1,):
                raise MXNetError("label_shape is not expected to be (1,) when param_.label_libsvm is set.")
            streams = [(streams[0][0], (0,))]
            streams.append((_rows(str(label_libsvm), "label_shape", label_shape, size, (part, parts)), (1,)))
        super().__init__(streams, (shape, label_shape), (np.float32, np.float32), size, True, (data_name, label_name))


def _rows(paths: str, name: str, shape: tuple[int, ...], batch: int, part: tuple[int, int]) -> RowStream:
    if len(shape) != 1:
        raise MXNetError(f"LibSVMIter: dimension of {name} is expected to be 1, got {shape}")
    if 4 * batch * shape[0] > _LARGEST:
        raise MXNetError(
            f"LibSVMIter: a dense batch of {batch} x {shape[0]} takes more than {_LARGEST >> 30} GiB, and symjit has "
            "no sparse arrays yet: make batch_size smaller"
        )
    ranges = list(_part(files_of(paths), *part))

    longest = max(1 << 20, 64 * shape[0])

    def lines() -> Iterator[Lines]:
        for path, begin, end in ranges:
            yield from text_blocks(path, longest, begin, end)

    return RowStream(lines, _Parser(shape[0], f"{name} {shape}"))


def _part(files: list[str], part: int, parts: int) -> Iterator[tuple[str, int, int | None]]:
    """Yield which bytes of which files belong to a part; the files are one text that is cut into equal parts."""
    sizes = [os.path.getsize(path) for path in files]
    step = -(-sum(sizes) // parts)
    begin, end = part * step, (part + 1) * step
    at = 0
    for path, size in zip(files, sizes, strict=True):
        low, high = max(0, begin - at), end - at
        if low < size and high > 0:
            yield path, low, high if high < size else None
        at += size
