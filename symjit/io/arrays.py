"""``NDArrayIter``: batches of arrays that are in memory, or in an HDF5 file."""

from __future__ import annotations

import sys
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np

from symjit.base import MXNetError, shown
from symjit.context import Context, current_context
from symjit.io.batches import DataBatch, DataDesc, DataIter
from symjit.ndarray import NDArray
from symjit.ndarray.creation import array, placed
from symjit.ndarray.functions import internal
from symjit.ndarray.mapped import fresh, private_copy

__all__ = ["NDArrayIter"]

#: Which examples a batch takes: neighbours, or any by number.
Rows: TypeAlias = slice | np.ndarray


class _Host:
    """An array in host memory that nobody writes to."""

    def __init__(self, values: np.ndarray, where: Context) -> None:
        self.values = values
        self.where = where
        self.shape: tuple[int, ...] = values.shape
        self.dtype: Any = values.dtype.type

    def whole(self, order: np.ndarray | None) -> NDArray:
        """Return all examples, in an order."""
        rows = slice(0, self.shape[0]) if order is None else order
        return placed([self.rows(rows, 0)], self.where, owned=order is not None)[0]

    def rows(self, rows: Rows, axis: int) -> np.ndarray:
        """Return some examples: a view if they are neighbours."""
        if isinstance(rows, slice):
            return self.values[(slice(None),) * (axis % self.values.ndim) + (rows,)]
        shape = list(self.shape)
        shape[axis] = len(rows)
        out = fresh(tuple(shape), self.values.dtype)
        return self.values.take(rows, axis, out=out, mode="clip")  # other modes buffer; the rows have been checked


class _Live:
    """An NDArray of the program, which sees what is written to it."""

    def __init__(self, values: NDArray) -> None:
        self.values = values
        self.where = values.context
        self.shape = values.shape
        self.dtype = values.dtype

    def whole(self, order: np.ndarray | None) -> NDArray:
        """Return all examples, in an order."""
        return self.values if order is None else self.rows(order, 0)

    def rows(self, rows: Rows, axis: int) -> NDArray:
        """Return some examples in memory of their own, on the array's device."""
        if isinstance(rows, slice) and axis == 0:
            return self.values[rows].copy()
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        return internal("take")(self.values, array(numbers, self.where, "int32"), axis=axis)


class _Dataset:
    """An ``h5py.Dataset``; the rows of a batch are read when they are asked for, and become float32."""

    def __init__(self, values: Any, where: Context) -> None:
        self.values = values
        self.where = where
        self.shape = tuple(values.shape)
        self.dtype = values.dtype

    def whole(self, order: np.ndarray | None) -> Any:
        """Return the dataset itself."""
        return self.values

    def rows(self, rows: Rows, axis: int) -> np.ndarray:
        """Return some examples; they are on the first axis whatever the layout says, as in MXNet."""
        if isinstance(rows, slice):
            return self.values[rows].astype(np.float32, copy=False)
        # HDF5 takes numbers in increasing order, each once.
        unique, back = np.unique(rows, return_inverse=True)
        return self.values[unique].astype(np.float32, copy=False)[back]


Source: TypeAlias = _Host | _Live | _Dataset


def _sources(values: Any, default_name: str, where: Context, *, copies: bool) -> list[tuple[str, Source]]:
    """Return named sources in the order of their names, from any input that MXNet takes.

    Args:
        values: an array, a list or a dict of arrays, or None.
        default_name: the name of a single array; of several in a list they are ``_0_NAME``, ``_1_NAME`` ...
        where: the device of arrays that are on none.
        copies: make NDArrays float32, and do not follow what the program writes to them.
    """
    h5py = sys.modules.get("h5py")  # a program that has a dataset has imported it
    datasets: tuple[Any, ...] = () if h5py is None else (h5py.Dataset,)
    if values is None:
        values = []
    if isinstance(values, (np.ndarray, NDArray, *datasets)):
        values = [values]
    if isinstance(values, list):
        names = [default_name] if len(values) == 1 else [f"_{i}_{default_name}" for i in range(len(values))]
        values = dict(zip(names, values, strict=True))
    if not isinstance(values, dict):
        raise TypeError(
            "Input must be NDArray, numpy.ndarray, h5py.Dataset, a list of them or dict with them as values, "
            f"got {type(values).__name__}"
        )
    return [(name, _source(name, values[name], datasets, where, copies)) for name in sorted(values)]


def _source(name: str, values: Any, datasets: tuple[Any, ...], where: Context, copies: bool) -> Source:
    found: Source
    if isinstance(values, NDArray):
        found = _snapshot(values) if copies else _Live(values)
    elif isinstance(values, datasets):
        found = _Dataset(values, where)
    else:
        advice = "should be NDArray, numpy.ndarray or h5py.Dataset"
        if hasattr(values, "tocsr"):
            advice += "; sparse arrays are not supported yet, its toarray() is dense"
        try:
            # What the program writes to its array afterwards must not show up in the batches.
            with np.errstate(invalid="ignore", over="ignore"):
                found = _Host(private_copy(np.asarray(values), np.float32), where)
        except (TypeError, ValueError) as error:
            raise TypeError(f"Invalid type '{type(values)}' for {name}, {advice} ({error})") from None
    if not found.shape:
        raise IndexError(f"NDArrayIter: {shown(name)} is a scalar, expected an array with an axis of examples")
    return found


def _snapshot(values: NDArray) -> Source:
    """Return a source that does not see what is written to an NDArray; float32, as MXNet shuffles by way of NumPy."""
    kept = values.copy() if values.dtype is np.float32 else values.astype(np.float32)
    if values.context.device.platform != "cpu":
        return _Live(kept)
    # The copy shares its buffer until the program writes to the original, which then gets another. So does this view.
    return _Host(np.asarray(kept.asjax()), values.context)


class NDArrayIter(DataIter):
    """Iterate over arrays in batches. Source: MXNet ``mx.io.NDArrayIter``.

    NumPy arrays and what converts to them are copied once, as float32, and stay in host memory; a batch is one
    contiguous copy of each, moved to the context that was current when the iterator was made. NDArrays stay on their
    device, keep their dtype and are not copied, unless `shuffle`, which makes them float32. Every batch is in memory of
    its own.

    Args:
        data: an array, a list of arrays (named ``_0_data``, ``_1_data`` ...) or a dict of them; arrays are served
            in the order of their names. An ``h5py.Dataset`` is read batch by batch.
        label: likewise, or None for no labels.
        batch_size: number of examples in a batch.
        shuffle: draw a new order with NumPy's global generator (``numpy.random.seed``) when made and at every reset.
        last_batch_handle: what happens to examples that do not fill a batch: ``"pad"`` fills it from the beginning
            (of the shuffled order), ``"roll_over"`` puts them at the start of the next epoch, ``"discard"``, and any
            other word, drops them.
        data_name: name of a single input.
        label_name: name of a single label.
        layout: one letter per axis; batches are cut along the axis of ``N``. As in MXNet the number of examples is
            the size of the *first* axis of the first input all the same.

    Attributes:
        num_data: number of examples.
        cursor: where the current batch starts.
        idx: the permutation last drawn; each is applied to the order before it.

    Raises:
        TypeError: something that is not an array, or no `batch_size`.
        AssertionError: `data` is None or an empty list; `next` after the end of a batch that was never made.
        IndexError: with `shuffle`, an array that is shorter than the first input.
        MXNetError: without, at the batch that is not there; a `batch_size` that is no int or below 1; `getdata` and
            `getlabel` before the first batch.

    Deviations from MXNet: a bad `batch_size` is refused at once. `reset` of a shuffled iterator copies nothing. A dict
    given is not changed. Labels longer than the inputs are cut in the last batch too. Shuffling moves examples, also
    where the layout does not have them first, and those of an ``h5py.Dataset`` like those of the arrays beside it.
    Sparse arrays are not supported yet.
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        layout: str = "NCHW",
    ) -> None:
        if batch_size is None or not isinstance(batch_size, Integral) or batch_size < 1:
            kind = TypeError if batch_size is None else MXNetError
            raise kind(f"NDArrayIter: batch_size: expected an int of at least 1, got {batch_size!r}")
        batch_size = int(batch_size)
        super().__init__(batch_size)
        where = current_context()
        self._data = _sources(data, data_name, where, copies=shuffle)
        if not self._data:
            raise AssertionError("NDArrayIter: expected at least one array as data, got none")
        self._label = _sources(label, label_name, where, copies=shuffle)
        self.num_data = self._data[0][1].shape[0]
        self.idx = np.arange(self.num_data)
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.layout = layout
        self.cursor = -batch_size
        self.num_source = len(self._data) + len(self._label)
        self._order: np.ndarray | None = None
        self._left_over: np.ndarray | None = None  # examples of the last epoch that this one starts with
        if shuffle:
            self._check_lengths()
        self.reset()

    @property
    def data(self) -> list[tuple[str, Any]]:
        """Names and arrays of the inputs, in the current order; what is not an NDArray of the program is a copy."""
        return [(name, source.whole(self._order)) for name, source in self._data]

    @property
    def label(self) -> list[tuple[str, Any]]:
        """Names and arrays of the labels, like `data`."""
        return [(name, source.whole(self._order)) for name, source in self._label]

    @property
    def data_list(self) -> list[Any]:
        """The arrays of `data` and `label`."""
        return [values for _, values in self.data + self.label]

    @property
    def provide_data(self) -> list[DataDesc]:
        """Names, shapes, dtypes and layouts of the inputs of a batch."""
        return self._describe(self._data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """Names, shapes, dtypes and layouts of the labels of a batch."""
        return self._describe(self._label)

    def _describe(self, sources: list[tuple[str, Source]]) -> list[DataDesc]:
        axis = self.layout.find("N")
        return [
            DataDesc(name, (*x.shape[:axis], self.batch_size, *x.shape[axis + 1 :]), x.dtype, layout=self.layout)
            for name, x in sources
        ]

    def hard_reset(self) -> None:
        """Start at the first example, whatever was to be rolled over."""
        if self.shuffle:
            self._shuffle()
        self.cursor = -self.batch_size
        self._left_over = None

    def reset(self) -> None:
        """Start the next epoch, with what is rolled over from this one."""
        if self.shuffle:
            self._shuffle()
        ends_in_part = self.num_data - self.batch_size < self.cursor < self.num_data
        if self.last_batch_handle == "roll_over" and ends_in_part:
            self.cursor -= self.num_data + self.batch_size
        else:
            self.cursor = -self.batch_size

    def iter_next(self) -> bool:
        """Move to the next batch; return whether it has any examples."""
        self.cursor += self.batch_size
        return self.cursor < self.num_data

    def next(self) -> DataBatch:
        """Return the next batch.

        Raises:
            StopIteration: the epoch has ended.
            MXNetError: an array has fewer examples than the first.
        """
        if not self.iter_next():
            raise StopIteration
        rows = self._rows()
        self._check(self._data + self._label, rows)
        if _count(rows) != self.batch_size:
            self._left_over = self._numbers(rows)
            raise StopIteration
        found = self._batches(self._data + self._label, rows)
        count = len(self._data)
        return DataBatch(data=found[:count], label=found[count:], pad=self.getpad(), index=None)

    def getdata(self) -> list[NDArray]:
        """Return the inputs of the current batch."""
        return self._checked(self._data)

    def getlabel(self) -> list[NDArray]:
        """Return the labels of the current batch."""
        return self._checked(self._label)

    def getpad(self) -> int:
        """Return how many examples fill up the current batch, or come from the epoch before."""
        if self.last_batch_handle == "pad" and self.cursor + self.batch_size > self.num_data:
            return self.cursor + self.batch_size - self.num_data
        return -self.cursor if self._starts_with_left_over() else 0

    def _starts_with_left_over(self) -> bool:
        return self.last_batch_handle == "roll_over" and -self.batch_size < self.cursor < 0

    def _rows(self) -> Rows:
        """Return which examples the current batch has."""
        start, stop, total = self.cursor, self.cursor + self.batch_size, self.num_data
        if start >= total:
            raise AssertionError("NDArrayIter: the epoch has ended, call reset()")
        if start <= -self.batch_size:
            raise MXNetError("NDArrayIter: there is no batch yet, call next() or iter_next() first")
        if self._starts_with_left_over():
            if self._left_over is None:
                raise AssertionError("NDArrayIter: examples are to be rolled over, but the last batch was never taken")
            if stop > total:
                raise MXNetError(
                    f"NDArrayIter: roll_over can not fill batches of {self.batch_size} from {total} examples: "
                    "make batch_size smaller"
                )
            return np.concatenate([self._left_over, self._numbers(slice(0, stop))])
        if self.last_batch_handle == "pad" and stop > total:
            around = np.arange(start, stop) % total
            return around if self._order is None else self._order[around]
        rows = slice(start, min(stop, total))
        return rows if self._order is None else self._order[rows]

    def _numbers(self, rows: Rows) -> np.ndarray:
        if not isinstance(rows, slice):
            return rows
        return np.arange(rows.start, rows.stop) if self._order is None else self._order[rows]

    def _checked(self, sources: list[tuple[str, Source]]) -> list[NDArray]:
        rows = self._rows()
        self._check(sources, rows)
        return self._batches(sources, rows)

    def _batches(self, sources: list[tuple[str, Source]], rows: Rows) -> list[NDArray]:
        axis = self.layout.find("N")
        found: list[Any] = [source.rows(rows, axis) for _, source in sources]
        to_move: dict[Context, list[int]] = {}
        for i, (_, source) in enumerate(sources):
            if isinstance(found[i], np.ndarray):
                to_move.setdefault(source.where, []).append(i)
        for where, places in to_move.items():
            moved = placed([found[i] for i in places], where, owned=not isinstance(rows, slice))
            for i, values in zip(places, moved, strict=True):
                found[i] = values
        return found

    def _check(self, sources: list[tuple[str, Source]], rows: Rows) -> None:
        """Check that all arrays have the examples of a batch."""
        last = rows.stop - 1 if isinstance(rows, slice) else int(rows.max(initial=0))
        for name, source in sources:
            axis = 0 if isinstance(source, _Dataset) else self.layout.find("N")
            size = source.shape[axis] if axis < len(source.shape) else 0
            if last >= size:
                raise MXNetError(
                    f"NDArrayIter: {shown(name)} of shape {source.shape} has {size} examples along axis {axis} "
                    f"(layout {self.layout}), the batch needs number {last}; the first input has {self.num_data}"
                )

    def _shuffle(self) -> None:
        # MXNet permutes the data in place: the new permutation applies to the order that the last one left.
        np.random.shuffle(self.idx)
        self._order = self.idx.copy() if self._order is None else self._order[self.idx]

    def _check_lengths(self) -> None:
        for name, source in self._data + self._label:
            if source.shape[0] < self.num_data:
                raise IndexError(
                    f"NDArrayIter: {shown(name)} has {source.shape[0]} examples, expected {self.num_data} as in "
                    f"{shown(self._data[0][0])}"
                )


def _count(rows: Rows) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)
