"""Memory that is freed and wanted again at once.

XLA takes the results and temporaries of a call from malloc and frees them afterwards. What is large, glibc hands back
to the kernel, and the next call gets it as untouched pages, which the kernel has to find and to clear: a fifth of a
training step. See docs/decisions/0020-kept-memory.md.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

from symjit import config

__all__ = ["keep_freed"]

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
# Threads allocate from heaps of 64 MiB, and glibc unmaps one that falls empty unless the padding exceeds it.
_PADDING = 128 << 20


@cache
def keep_freed() -> bool:
    """Let the C library keep what this process frees, up to `symjit.config.KEPT_MEMORY`; only the first call acts.

    Returns:
        Whether anything was set: not outside of glibc, with a setting of 0, or where the environment tells glibc how to
        allocate.

    Raises:
        MXNetError: the setting does not parse.
    """
    limit = min(config.KEPT_MEMORY.get() << 20, 2**31 - 1)
    if not limit or not sys.platform.startswith("linux") or _user_has_decided():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    # Older versions refuse thresholds past 32 MiB; then nothing is mapped on its own.
    done = mallopt(_MMAP_THRESHOLD, limit) or mallopt(_MMAP_MAX, 0)
    return bool(done and mallopt(_TRIM_THRESHOLD, limit) and mallopt(_TOP_PAD, _PADDING))


def _user_has_decided() -> bool:
    set_by_hand = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")
    return any(name in os.environ for name in set_by_hand) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
