"""``PrefetchingIter``: the next batch is made by a thread while the current one is computed with."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

from symjit.io.batches import DataBatch, DataDesc, DataIter, Holding

__all__ = ["PrefetchingIter"]

# How long closing waits for threads that are inside of somebody else's iterator; they are daemons, so they may be left.
_PATIENCE = 5.0


class _Worker:
    """A thread that asks one iterator for one batch at a time, when told to.

    The thread holds this object and the iterator, never the PrefetchingIter, so that the latter can be collected.
    """

    def __init__(self, source: DataIter) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._wanted = False  # a batch is to be made
        self._closed = False
        self._batch: DataBatch | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="symjit-prefetch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._closed)
                if self._closed:
                    return
            batch, error = None, None
            try:
                batch = self._source.next()
            except StopIteration:
                pass  # no batch is the end
            except BaseException as raised:  # whatever it is, the consumer is to see it
                error = raised
            with self._changed:
                self._batch, self._error, self._wanted = batch, error, False
                self._changed.notify_all()

    def want(self) -> None:
        """Have the next batch made."""
        with self._changed:
            self._batch = self._error = None
            self._wanted = True
            self._changed.notify_all()

    def idle(self) -> None:
        """Wait until nothing is being made."""
        with self._changed:
            self._changed.wait_for(lambda: not self._wanted or self._closed)

    def made(self) -> tuple[DataBatch | None, BaseException | None]:
        """Wait for the batch and return it, or None at the end, and what the iterator raised."""
        self.idle()
        return self._batch, self._error

    def close(self) -> None:
        """Have the thread end; a batch that is being made is finished first."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until the thread has ended, but not for long."""
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, seconds))


def _close(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.close()
    until = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.wait(until - time.monotonic())


class PrefetchingIter(Holding):
    """Make the next batch of other iterators in background threads. Source: MXNet ``mx.io.PrefetchingIter``.

    One thread per iterator is one batch ahead, so that reading files, copying and the transfer to the device happen
    while the device computes. Several iterators are served side by side, as one batch with all their arrays.

    The iterators belong to this one: nobody else may call them meanwhile. The threads end with `close`, when this
    object is no longer used, or with the program.

    Args:
        iters: an iterator, or a list of iterators that give equally many batches with equal pads.
        rename_data: for each iterator a dict from the names of its inputs to new ones; all have to be there.
        rename_label: the same for labels.

    Raises:
        AssertionError: there are no iterators; from `next`, they end at different batches or differ in pad.
        KeyError: from `provide_data` and `provide_label`, a name has no new name.

    What an iterator raises in its thread, `next` raises here; of several iterators, until `reset`.

    Deviations from MXNet, which waits for ever then: `close` is new, batches without labels are taken, and batches keep
    a `bucket_key` and descriptions of their own, those of the first iterator deciding for all.
    """

    def __init__(
        self,
        iters: DataIter | list[DataIter],
        rename_data: list[dict[str, str]] | None = None,
        rename_label: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self.iters = iters if isinstance(iters, list) else [iters]
        self.n_iter = len(self.iters)
        if not self.iters:
            raise AssertionError("PrefetchingIter: expected at least one iterator, got none")
        self.rename_data = rename_data
        self.rename_label = rename_label
        self.batch_size = self.provide_data[0][1][0]
        if hasattr(self.iters[0], "default_bucket_key"):
            self.default_bucket_key = self.iters[0].default_bucket_key  # type: ignore[attr-defined]
        self.current_batch: DataBatch | None = None
        self._ended = False
        self._workers = [_Worker(source) for source in self.iters]
        # Runs when this object is collected and when the program ends, whichever comes first.
        self._finalizer = weakref.finalize(self, _close, self._workers)
        self._want()

    @property
    def provide_data(self) -> list[Any]:
        """Descriptions of all inputs, under their new names."""
        return _renamed([source.provide_data for source in self.iters], self.rename_data)

    @property
    def provide_label(self) -> list[Any]:
        """Descriptions of all labels, under their new names."""
        return _renamed([source.provide_label for source in self.iters], self.rename_label)

    def close(self) -> None:
        """End the threads. There are no batches afterwards."""
        self._finalizer()

    def reset(self) -> None:
        """Start the next epoch of all iterators; the batch that is already made is dropped."""
        self._check_open()
        for worker in self._workers:
            worker.idle()
        self._ended = True  # there are no batches should one of the iterators fail
        for source in self.iters:
            source.reset()
        self._ended = False
        self._want()

    def iter_next(self) -> bool:
        """Move to the next batch; return whether there is one."""
        self._check_open()
        if self._ended:
            return False
        made = []
        for worker in self._workers:
            batch, error = worker.made()
            if error is not None:
                # Who calls again gets what comes after it. Not beside another iterator: which of that one's batches it
                # belongs to is unknown, so the error stays until reset.
                if self.n_iter == 1:
                    worker.want()
                raise error
            made.append(batch)
        batches = [batch for batch in made if batch is not None]
        if len({() if batch is None else batch.pad for batch in made}) > 1:
            seen = ", ".join("the end" if batch is None else f"pad {batch.pad}" for batch in made)
            raise AssertionError(f"PrefetchingIter: the iterators differ in their number of examples: {seen}")
        if not batches:
            self._ended = True
            return False
        described = (
            [
                getattr(batch, word, None) or getattr(source, word)
                for batch, source in zip(batches, self.iters, strict=True)
            ]
            for word in ("provide_data", "provide_label")
        )
        self.current_batch = DataBatch(
            [x for batch in batches for x in batch.data or ()],
            [x for batch in batches for x in batch.label or ()],
            batches[0].pad,
            batches[0].index,
            getattr(batches[0], "bucket_key", None),
            *map(_renamed, described, (self.rename_data, self.rename_label)),
        )
        self._want()
        return True

    def next(self) -> DataBatch:
        """Return the next batch.

        Raises:
            StopIteration: the epoch has ended.
            AssertionError: the iterators end at different batches or differ in pad.
        """
        if not self.iter_next():
            raise StopIteration
        return self._current()

    def _want(self) -> None:
        for worker in self._workers:
            worker.want()

    def _check_open(self) -> None:
        if not self._finalizer.alive:
            raise ValueError("PrefetchingIter: it has been closed")


def _renamed(described: list[list[Any]], names: list[dict[str, str]] | None) -> list[Any]:
    if names is None:
        return [item for items in described for item in items]
    return [
        DataDesc(new[item.name], item.shape, item.dtype) if isinstance(item, DataDesc) else DataDesc(*item)
        for new, items in zip(names, described, strict=False)
        for item in items
    ]
