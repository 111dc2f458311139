"""``CSVIter``: batches of the rows of CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symjit.base import MXNetError, shown
from symjit.io.decimals import decimals
from symjit.io.lines import Lines, RowStream, Unparsed, files_of, text_blocks
from symjit.io.loading import RowIter, given, required

__all__ = ["CSVIter"]

_DTYPES = ("float32", "int32", "int64")


@dataclass(frozen=True)
class _Table:
    """Rows of numbers, (rows, width)."""

    values: np.ndarray

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        return self.values.nbytes

    def __len__(self) -> int:
        return len(self.values)

    def write(self, outs: Sequence[np.ndarray], at: int, start: int, stop: int) -> None:
        """Write rows `start` to `stop` to the array of a batch."""
        for out in outs:
            out.reshape(len(out), -1)[at : at + stop - start] = self.values[start:stop]


class _Parser:
    """Makes tables of lines."""

    def __init__(self, width: int, dtype: str, shape: str) -> None:
        self.width = width
        self.dtype = np.dtype(dtype)
        self.shape = shape

    def __call__(self, text: bytes) -> _Table:
        if not text.strip():
            return _Table(np.empty((0, self.width), self.dtype))
        values = self._plain(text if text.endswith(b"\n") else text + b"\n")
        if values is None:
            values = self._usual(text)
        if values is None:
            values = np.array(list(self._by_line(text)), self.dtype).reshape(-1, self.width)
        return _Table(values)

    def _plain(self, text: bytes) -> np.ndarray | None:
        """Return the values if there are no blanks, empty lines and unusual numbers, which is fastest."""
        whole = self.dtype.kind != "f"
        found = None if whole and text.translate(None, b".eE") != text else decimals(text, b",\n")
        if found is None or len(found[0]) % self.width:
            return None
        values, ends = (x.reshape(-1, self.width) for x in found)
        if (ends[:, :-1] != ord(",")).any() or (ends[:, -1] != ord("\n")).any():
            return None
        if whole and np.abs(values).max() > min(2**53 - 1, np.iinfo(self.dtype).max):
            return None
        with np.errstate(over="ignore"):
            return values.astype(self.dtype)

    def _usual(self, text: bytes) -> np.ndarray | None:
        """Return the values if NumPy's reader takes them."""
        try:
            lines = text.decode("latin-1").split("\n")
            values = np.loadtxt(lines, self.dtype, delimiter=",", comments=None, ndmin=2)
        except ValueError:
            return None
        return values if values.shape[1] == self.width else None

    def _by_line(self, text: bytes) -> Iterator[list[Any]]:
        """Parse line by line, to find the one that is wrong, or to take what NumPy's reader does not.

        That is a comma at the end of a line, and among integers a number with a fraction, which is cut off.
        """
        for number, line in enumerate(text.split(b"\n")):
            if not line.strip():
                continue
            cells = line.split(b",")
            if len(cells) > 1 and not cells[-1].strip():
                cells.pop()
            if len(cells) != self.width:
                raise Unparsed(number, f"expected {self.width} values for {self.shape}, got {len(cells)}")
            yield [self._number(cell, number, column) for column, cell in enumerate(cells)]

    def _number(self, cell: bytes, line: int, column: int) -> Any:
        try:
            if b"_" in cell:
                raise ValueError
            if self.dtype.kind == "f":
                return float(cell)
            value = int(float(cell)) if any(c in cell for c in b".eE") else int(cell)
            info = np.iinfo(self.dtype)
            if not info.min <= value <= info.max:
                raise ValueError
            return value
        except (ValueError, OverflowError):
            what = "a number" if self.dtype.kind == "f" else f"an {self.dtype.name}"
            text = shown(cell.strip().decode("latin-1"))
            raise Unparsed(line, f"column {column + 1}: expected {what}, got {text}") from None


class CSVIter(RowIter):
    """Iterate over the rows of CSV files in batches. Source: MXNet ``mx.io.CSVIter``.

    A row of numbers between commas is one example. Files are read in blocks; parsed rows stay in memory from one epoch
    to the next up to 1 GiB.

    Args:
        data_csv: a file, a folder whose files are read by name, or several of them between ``;``.
        data_shape: shape of one example; a row has as many values.
        label_csv: the same for labels; ``"NULL"`` gives labels 0.
        label_shape: shape of one label.
        batch_size: number of examples in a batch.
        round_batch: fill the last batch with rows from the beginning, which the next epoch then leaves out, and say so
            in `pad`. If not, the batch keeps what stood there in the batch before.
        prefetch_buffer: taken and not used: `PrefetchingIter` loads ahead.
        ctx: taken and not used: batches are on ``mx.cpu()``.
        dtype: ``float32``, ``int32`` or ``int64``, of inputs and labels; float32 if None.
        data_name: name of the input.
        label_name: name of the label.
        **unknown: other parameters are ignored, as in MXNet.

    Raises:
        MXNetError: a parameter is missing or wrong; a file can not be read; a row has another number of values, or one
            that is no number (the message says which file, line and column); there are fewer labels than rows, or too
            few rows for `round_batch`.

    Deviations from MXNet: text after a number is an error, and so are values outside of an integer dtype. A file
    without rows is an error when the iterator is made. `reset` in the middle of an epoch always starts at the first
    row, in MXNet that depends on how far its threads are. Numbers are rounded correctly; MXNet's reader can be a unit
    in the last place off, and does not know the smallest and largest ones.
    """

    def __init__(
        self,
        *,
        data_csv: Any = None,
        data_shape: Any = None,
        label_csv: Any = "NULL",
        label_shape: Any = (1,),
        batch_size: Any = None,
        round_batch: Any = True,
        prefetch_buffer: Any = 4,
        ctx: Any = "cpu",
        dtype: Any = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **unknown: Any,
    ) -> None:
        required("CSVIter", data_csv=data_csv, data_shape=data_shape, batch_size=batch_size)
        shape, label_shape, size, whole, _, dtype = given(
            "CSVIter",
            data_shape=data_shape,
            label_shape=label_shape,
            batch_size=batch_size,
            round_batch=round_batch,
            prefetch_buffer=prefetch_buffer,
            dtype=dtype,
        )
        dtype = dtype or "float32"
        if dtype not in _DTYPES:
            raise MXNetError(f"CSVIter: dtype {dtype} is not supported: expected one of {', '.join(_DTYPES)}")
        streams = [(_rows(str(data_csv), f"data_shape {shape}", shape, dtype), (0,))]
        if label_csv is None or str(label_csv) == "NULL":
            label_shape = (1,)
        else:
            streams.append((_rows(str(label_csv), f"label_shape {label_shape}", label_shape, dtype), (1,)))
        if prod(label_shape) == 1:
            label_shape = ()  # as in MXNet, labels of one number have no axis of their own
        super().__init__(streams, (shape, label_shape), (dtype, dtype), size, whole, (data_name, label_name))


def _rows(paths: str, named: str, shape: tuple[int, ...], dtype: str) -> RowStream:
    files = files_of(paths)
    width = prod(shape)
    longest = max(1 << 20, 64 * width)

    def lines() -> Iterator[Lines]:
        for path in files:
            yield from text_blocks(path, longest)

    return RowStream(lines, _Parser(width, dtype, named))
