"""A limit on the memory of this process, and how much of it is used. Linux alone counts what this needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ALLOWANCE", "bounded_memory", "data_size"]

#: What reading may take beyond the size of the file.
ALLOWANCE = 64 << 20


def data_size() -> int:
    """Return the private writable memory of this process, reserved or used: what ``RLIMIT_DATA`` is compared with."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def bounded_memory(size: int) -> Iterator[None]:
    """Let this process grow by `size` and the allowance.

    A limit of the data segment counts memory that is reserved and never touched, such as an empty array of 8 GiB. It
    does not count files that are mapped for reading, so a map costs nothing, as it should.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data_size() + size + ALLOWANCE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
