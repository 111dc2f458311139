"""``ResizeIter``: epochs of a given number of batches."""

from __future__ import annotations

from symjit.io.batches import DataBatch, DataIter, Holding

__all__ = ["ResizeIter"]


class ResizeIter(Holding):
    """Cut or stretch the epochs of another iterator to a number of batches.

    Where the other ends, it is reset and goes on. Source: MXNet ``mx.io.ResizeIter``.

    Args:
        data_iter: the iterator.
        size: batches per epoch.
        reset_internal: whether `reset` also resets `data_iter`; if not, the next epoch goes on where this one ended.

    Deviations from MXNet: batches in buckets keep their `bucket_key` and descriptions, so that a `BucketingModule` can
    train on them. A `size` of 2.5 makes three batches, a negative one none; there both make an epoch without end.
    """

    def __init__(self, data_iter: DataIter, size: int, reset_internal: bool = True) -> None:
        super().__init__()
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.current_batch: DataBatch | None = None
        self.provide_data = data_iter.provide_data
        self.provide_label = data_iter.provide_label
        self.batch_size = data_iter.batch_size
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key  # type: ignore[attr-defined]

    def reset(self) -> None:
        """Start the next epoch."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        """Move to the next batch; return whether there is one."""
        if self.cur >= self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True

    def next(self) -> DataBatch:
        """Return the next batch.

        Raises:
            StopIteration: the epoch has ended, or the other iterator has no batch even after its reset.
        """
        made, now = super().next(), self._current()
        for word in ("bucket_key", "provide_data", "provide_label"):
            setattr(made, word, getattr(now, word, None))  # a program's own batches may be without
        return made
