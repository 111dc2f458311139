"""Files as memory maps, and private copies of the arrays in them.

A parameter file is mapped, not read: its arrays are views, and loading one means copying it once, straight from the
page cache to where it stays. Pages that have been copied are given back, so that the file and its copy are never in
the process's memory both.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any

import numpy as np

from symjit.files import unreadable

__all__ = ["fresh", "open_map", "private_copy"]

#: XLA's CPU backend takes a NumPy buffer over, instead of copying it again, from this alignment on.
_ALIGNMENT = 64
#: Below this size a second copy costs less than an aligned allocation.
_SMALL = 1 << 16
#: How much of a mapped file is copied before its pages are given back.
_CHUNK = 1 << 23
_THREADS = min(4, os.cpu_count() or 1)


class _File(mmap.mmap):
    """A file mapped for reading: its pages can be given back at any time. Those of other maps can hold changes."""


def open_map(path: str) -> bytes | mmap.mmap:
    """Map a file read-only; return the contents of what can not be mapped (an empty file, a pipe).

    Raises:
        MXNetError: the file can not be opened or read.
    """
    try:
        with open(path, "rb") as handle:
            try:
                return _File(handle.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # an empty file, a pipe, a file system without maps
                if stat.S_ISCHR(os.fstat(handle.fileno()).st_mode):  # such as /dev/zero, which never ends
                    raise OSError(errno.EINVAL, "it is a device, not a file") from None
                return handle.read()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def private_copy(source: np.ndarray[Any, Any], dtype: Any = None) -> np.ndarray[Any, Any]:
    """Return a contiguous copy that nothing else refers to, for ``jax.device_put``.

    A large copy is aligned so that the CPU backend uses it in place. Of a view of a mapped file the pages are given
    back while it is copied.

    Args:
        source: an array of any layout, alignment and byte order.
        dtype: the dtype of the copy, that of `source` in native byte order if None.
    """
    target = source.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    nbytes = source.size * target.itemsize
    if nbytes < _SMALL:
        return source.astype(target, order="C")
    copy = fresh(source.shape, target)
    mapped = _map_behind(source)
    if mapped is None:
        np.copyto(copy, source, casting="unsafe")
    else:
        _copy_out(copy.reshape(-1), source.reshape(-1), mapped)
    return copy


def fresh(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Return an array whose values are not set, for ``jax.device_put``: the CPU backend uses a large one in place."""
    target = np.dtype(dtype)
    nbytes = prod(shape) * target.itemsize
    return np.empty(shape, target) if nbytes < _SMALL else _aligned(nbytes).view(target).reshape(shape)


def _aligned(nbytes: int) -> np.ndarray[Any, Any]:
    """Return new memory that XLA's CPU backend takes over."""
    if nbytes >= _CHUNK and hasattr(mmap, "MAP_ANONYMOUS"):
        # Not from NumPy, which asks for huge pages: those cost more than they save where a virtual machine's host has
        # to find them first (measured: 0.2 to 1.7 s instead of 0.18 s for 553 MB).
        pages = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return np.frombuffer(pages, np.uint8, nbytes)
    memory = np.empty(nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + nbytes]


def _map_behind(array: np.ndarray[Any, Any]) -> _File | None:
    """Return the file that a contiguous array is a view of."""
    if not array.flags.c_contiguous or not hasattr(mmap.mmap, "madvise"):
        return None
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, _File) else None


def _copy_out(target: np.ndarray[Any, Any], source: np.ndarray[Any, Any], mapped: _File) -> None:
    origin = np.frombuffer(mapped, np.uint8).ctypes.data
    step = _CHUNK // source.itemsize

    def copy(first: int) -> None:
        chunk = source[first : first + step]
        np.copyto(target[first : first + step], chunk, casting="unsafe")
        begin = chunk.ctypes.data - origin
        page = begin - begin % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_DONTNEED, page, begin + chunk.nbytes - page)

    starts = range(0, source.size, step)
    if len(starts) < 4:
        for first in starts:
            copy(first)
    else:  # most of the time goes into the kernel's work on new pages, which threads share
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(copy, starts))
