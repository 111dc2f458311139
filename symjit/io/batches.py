"""What an iterator gives and says of it: ``DataBatch``, ``DataDesc``, and the protocol ``DataIter``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from symjit.ndarray import NDArray

__all__ = ["DataBatch", "DataDesc", "DataIter", "Holding"]


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """Describe an input: a ``(name, shape)`` tuple that also knows a dtype and a layout.

    As in MXNet it unpacks, compares and hashes as the pair; `dtype` and `layout` are attributes beside it.

    Args:
        name: name of the input, as the symbol has it.
        shape: shape of a batch.
        dtype: dtype of a batch.
        layout: one letter per axis; ``N`` marks the axis of the examples.
    """

    dtype: Any
    layout: str | None

    def __new__(
        cls, name: str, shape: tuple[int, ...], dtype: Any = np.float32, layout: str | None = "NCHW"
    ) -> DataDesc:
        """Make the tuple and set the attributes beside it."""
        made = super().__new__(cls, name, shape)
        made.dtype = dtype
        made.layout = layout
        return made

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """Return which axis of a layout counts the examples: 0 if there is no layout, -1 if it has no ``N``."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(shapes: Sequence[tuple[str, tuple[int, ...]]], types: Sequence[tuple[str, Any]] | None) -> list[Any]:
        """Return descriptions of ``(name, shape)`` pairs, with dtypes from ``(name, dtype)`` pairs if there are any.

        Raises:
            KeyError: `types` leaves out one of the names.
        """
        if types is None:
            return [DataDesc(pair[0], pair[1]) for pair in shapes]
        dtypes = dict(types)
        return [DataDesc(pair[0], pair[1], dtypes[pair[0]]) for pair in shapes]


class DataBatch:
    """One batch of examples.

    Args:
        data: arrays of inputs, each ``(batch_size, ...)`` in the usual layouts.
        label: arrays of labels, or None.
        pad: how many examples at the end only fill up the batch.
        index: numbers of the examples, or None.
        bucket_key: which symbol of a `BucketingModule` the batch is for.
        provide_data: descriptions of `data`, where batches differ in shape.
        provide_label: descriptions of `label`.

    Raises:
        AssertionError: `data` or `label` is neither None nor a list or tuple.
    """

    def __init__(
        self,
        data: Sequence[NDArray] | None,
        label: Sequence[NDArray] | None = None,
        pad: int | None = None,
        index: Any = None,
        bucket_key: Any = None,
        provide_data: Sequence[Any] | None = None,
        provide_label: Sequence[Any] | None = None,
    ) -> None:
        for word, arrays in (("data", data), ("label", label)):
            if arrays is not None and not isinstance(arrays, (list, tuple)):
                raise AssertionError(f"DataBatch: expected a list of NDArrays as {word}, got {type(arrays).__name__}")
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self) -> str:
        data = [x.shape for x in self.data or ()]
        label = [x.shape for x in self.label] if self.label else None
        return f"{type(self).__name__}: data shapes: {data} label shapes: {label}"


class DataIter:
    """Base of all iterators over batches, one's own included.

    A subclass gives `provide_data` and `provide_label`, and either overrides `next` or gives `iter_next`, `getdata`,
    `getlabel`, `getpad` and `getindex`. Iteration ends with StopIteration; `reset` starts the next epoch.

    Args:
        batch_size: number of examples in a batch.
    """

    # What subclasses set, as attributes or as properties.
    provide_data: Any
    provide_label: Any

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> DataIter:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def reset(self) -> None:
        """Start over; nothing to do here."""

    def next(self) -> DataBatch:
        """Return the next batch.

        Raises:
            StopIteration: the epoch has ended.
        """
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def iter_next(self) -> Any:
        """Move to the next batch; return whether there is one. None, so no batch, unless a subclass has them."""

    def getdata(self) -> Any:
        """Return the inputs of the current batch."""

    def getlabel(self) -> Any:
        """Return the labels of the current batch."""

    def getindex(self) -> Any:
        """Return the numbers of the examples of the current batch, if the iterator keeps them."""

    def getpad(self) -> Any:
        """Return how many examples only fill up the current batch."""


class Holding(DataIter):
    """Base of iterators that hand on `current_batch`, the batch of another iterator; None before the first."""

    current_batch: DataBatch | None = None

    def getdata(self) -> Any:
        """Return the inputs of the current batch."""
        return self._current().data

    def getlabel(self) -> Any:
        """Return the labels of the current batch."""
        return self._current().label

    def getindex(self) -> Any:
        """Return the numbers of the examples of the current batch; of several iterators, as the first has them."""
        return self._current().index

    def getpad(self) -> Any:
        """Return how many examples only fill up the current batch."""
        return self._current().pad

    def _current(self) -> DataBatch:
        if self.current_batch is None:
            raise AttributeError(f"{type(self).__name__}: there is no batch yet, call next() or iter_next() first")
        return self.current_batch
