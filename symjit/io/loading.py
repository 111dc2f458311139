"""``MXDataIter``, the base of the iterators over files, and how rows of text files become batches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from symjit.base import MXNetError
from symjit.context import Context
from symjit.io.batches import DataBatch, DataDesc, DataIter
from symjit.io.lines import RowStream
from symjit.ndarray.creation import placed
from symjit.ndarray.mapped import fresh
from symjit.ops.attrs import AttrType, Bool, DTypeName, Int, Optional, Text, Tuple

__all__ = ["MXDataIter", "RowIter", "given", "required"]

_TYPES: dict[str, AttrType] = {
    "batch_size": Int(1),
    "data_shape": Tuple(Int(1)),
    "label_shape": Tuple(Int(1)),
    "round_batch": Bool(),
    "num_parts": Int(1),
    "part_index": Int(0),
    "shuffle": Bool(),
    "flat": Bool(),
    "silent": Bool(),
    "seed": Int(),
    "prefetch_buffer": Int(0),
    "dtype": Optional(DTypeName()),
}
_TEXT = Text()


def given(iterator: str, **values: Any) -> list[Any]:
    """Return the values of parameters, given as Python values or as text.

    Raises:
        MXNetError: a value is not of the parameter's type or out of its range.
    """
    found = []
    for name, value in values.items():
        try:
            found.append(_TYPES.get(name, _TEXT).parse(value))
        except ValueError as error:
            raise MXNetError(f"{iterator}: {name}: {error}") from None
    return found


def required(iterator: str, **values: Any) -> None:
    """Check that parameters are given.

    Raises:
        MXNetError: one is None.
    """
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise MXNetError(f"{iterator}: {' and '.join(missing)} must be given")


class MXDataIter(DataIter):
    """Base of `CSVIter`, `LibSVMIter` and `MNISTIter`; in MXNet it wraps the iterators written in C++.

    The first batch is loaded when the iterator is made, because it tells the shapes. `getdata` and `getlabel` return
    one NDArray, not a list; batches are on ``mx.cpu()``, float32 unless a ``dtype`` was given.

    Args:
        data_name: name of the input.
        label_name: name of the label.

    Deviation from MXNet: `iter_next` hands out the first batch once, not again and again until `next` is called.
    """

    def __init__(self, data_name: str = "data", label_name: str = "softmax_label") -> None:
        super().__init__()
        self._debug_skip_load = False
        self._debug_at_begin = True
        self._current: DataBatch | None = None
        self.first_batch: DataBatch | None = None
        if not self._advance():
            raise MXNetError(f"{type(self).__name__}: {self._nothing()}")
        self.first_batch = first = self._batch()
        data, label = first.data[0], first.label[0]  # type: ignore[index]
        self.provide_data = [DataDesc(data_name, data.shape, data.dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, label.dtype)]
        self.batch_size = data.shape[0]

    def _load(self) -> DataBatch | None:
        """Return the next batch, None at the end of an epoch."""
        raise TypeError(f"{type(self).__name__} does not define _load")

    def _rewind(self) -> None:
        """Start the next epoch."""
        raise TypeError(f"{type(self).__name__} does not define _rewind")

    def _nothing(self) -> str:
        """Return why there is no batch at all."""
        return "there are no examples"

    def _advance(self) -> bool:
        loaded = self._load()
        if loaded is not None:
            self._current = loaded
        return loaded is not None

    def _batch(self) -> DataBatch:
        if self._current is None:
            raise MXNetError(f"{type(self).__name__}: there is no batch yet, call next()")
        return self._current

    def debug_skip_load(self) -> None:
        """Give the same batch for ever, which shows how fast a program would be if loading took no time."""
        self._debug_skip_load = True
        logging.info("debug_skip_load: one batch is given for ever")

    def reset(self) -> None:
        """Start the next epoch. See the iterators for what `round_batch` has taken from it."""
        self._debug_at_begin = True
        self.first_batch = None
        self._rewind()

    def next(self) -> DataBatch:
        """Return the next batch.

        Raises:
            StopIteration: the epoch has ended.
            MXNetError: the file is damaged here.
        """
        if self._debug_skip_load and not self._debug_at_begin:
            now = self._batch()
            copies = ([x.copy() for x in arrays or ()] for arrays in (now.data, now.label))
            return DataBatch(*copies, pad=now.pad, index=now.index)
        self._debug_at_begin = False
        if not self.iter_next():
            raise StopIteration
        return self._batch()

    def iter_next(self) -> bool:
        """Move to the next batch; return whether there is one."""
        if self.first_batch is not None:
            self.first_batch = None
            return True
        return self._advance()

    def getdata(self) -> Any:
        """Return the input of the current batch, an NDArray."""
        return self._batch().data[0]  # type: ignore[index]

    def getlabel(self) -> Any:
        """Return the label of the current batch, an NDArray."""
        return self._batch().label[0]  # type: ignore[index]

    def getindex(self) -> Any:
        """Return the numbers of the examples of the current batch: uint64, shape (batch_size,)."""
        return self._batch().index

    def getpad(self) -> Any:
        """Return how many examples only fill up the current batch."""
        return self._batch().pad


class RowIter(MXDataIter):
    """Batches of the rows of text files.

    With `round_batch` the last batch of an epoch is filled up with rows from the beginning, and the next epoch goes on
    after those. Without, it keeps what stood there in the batch before, and the next epoch starts at the first row.

    Args:
        streams: rows, and which arrays they are written to: 0 inputs, 1 labels. Labels that no stream has are 0.
        shapes: shapes of one input and one label.
        dtypes: dtypes of input and label.
        batch_size: number of examples in a batch.
        round_batch: see above.
        names: names of input and label.
    """

    def __init__(
        self,
        streams: Sequence[tuple[RowStream, Sequence[int]]],
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        dtypes: tuple[Any, Any],
        batch_size: int,
        round_batch: bool,
        names: tuple[str, str],
    ) -> None:
        self._streams = streams
        self._shapes = shapes
        self._dtypes = dtypes
        self._size = batch_size
        self._round = round_batch
        self._row = 0  # number of the next row
        self._overflow = 0  # how many rows of the next epoch have been taken by this one
        self._before: list[np.ndarray] | None = None  # the batch before, where the last one needs it
        super().__init__(*names)

    def _rewind(self) -> None:
        if self._overflow:
            self._overflow = 0
        else:
            self._restart()

    def _restart(self) -> None:
        for stream, _ in self._streams:
            stream.rewind()
        self._row = 0

    def _load(self) -> DataBatch | None:
        if self._overflow:
            return None
        try:
            outs = [fresh((self._size, *shape), dtype) for shape, dtype in zip(self._shapes, self._dtypes, strict=True)]
            index = np.zeros(self._size, np.uint64)
        except (OSError, MemoryError, OverflowError, ValueError) as error:
            raise MXNetError(
                f"{type(self).__name__}: there is no memory for a batch of {self._size} inputs of shape "
                f"{self._shapes[0]} and labels of shape {self._shapes[1]} ({error}): make batch_size smaller, or mend "
                "the shapes"
            ) from error
        if not any(1 in places for _, places in self._streams):
            outs[1].fill(0)
        count = self._fill(outs, index, 0)
        if not count:
            return None
        pad = self._size - count
        if pad and self._round:
            self._restart()
            if self._fill(outs, index, count) < pad:
                raise MXNetError(
                    f"{type(self).__name__}: number of input must be bigger than batch size: a batch of {self._size} "
                    f"needs {pad} examples from the beginning, and there are only {self._row}"
                )
            self._overflow = pad
        elif pad:
            for out, before in zip([*outs, index], self._before or [None] * 3, strict=True):
                out[count:] = 0 if before is None else before[count:]
        if not self._round:
            self._before = [out.copy() for out in (*outs, index)]
        data, label = placed(outs, Context("cpu"), owned=True)
        return DataBatch([data], [label], pad=pad, index=index)

    def _fill(self, outs: list[np.ndarray], index: np.ndarray, at: int) -> int:
        """Write rows to the arrays from `at` on; return how many there were."""
        count = self._size - at
        for number, (stream, places) in enumerate(self._streams):
            found = stream.take([outs[place] for place in places], at, count)
            if number and found < count:
                raise MXNetError(
                    f"{type(self).__name__}: the data has more rows than the labels, which end after row "
                    f"{self._row + found}"
                )
            count = found
        index[at : at + count] = np.arange(self._row, self._row + count, dtype=np.uint64)
        self._row += count
        return count
