"""Memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["peak_resident", "resident", "restart_peak"]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _status(field: str) -> int | None:
    """Return a size that Linux keeps of this process, in bytes."""
    try:
        text = _STATUS.read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f"{field}:")]
    return int(found[0]) * 1024 if found else None


def resident() -> int | None:
    """Return the bytes that the process has in memory; where that is unknown, the most it has had."""
    return _status("VmRSS") or peak_resident()


def peak_resident() -> int | None:
    """Return the most bytes that the process has had in memory since `restart_peak`, or since it started."""
    found = _status("VmHWM")
    if found is None:
        try:
            import resource
        except ImportError:  # Windows
            return None
        # macOS counts bytes, others kilobytes.
        found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return found or None


def restart_peak() -> None:
    """Begin the count of `peak_resident` anew, where the system has a way to (Linux)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return
