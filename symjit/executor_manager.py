"""How a batch is shared among contexts. MXNet: ``mx.executor_manager``."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["split_input_slice"]


def split_input_slice(batch_size: int, work_load_list: Sequence[float]) -> list[slice]:
    """Return the slice of a batch that each context gets, in proportion to its work load. Source: MXNet's Module.

    Raises:
        ValueError: a context would get nothing.
    """
    total = sum(work_load_list)
    counts = [round(load * batch_size / total) for load in work_load_list]
    counts[-1] += batch_size - sum(counts)
    slices, end = [], 0
    for count in counts:
        begin, end = min(end, batch_size), min(end + count, batch_size)
        if begin >= end:
            raise ValueError(
                f"Too many slices: a batch of {batch_size} rows over {len(work_load_list)} contexts leaves one without"
                " any; use a larger batch or fewer contexts"
            )
        slices.append(slice(begin, end))
    return slices


#: MXNet's name of it.
_split_input_slice = split_input_slice
