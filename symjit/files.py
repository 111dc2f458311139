"""What a file is that is not what its reader expects, and why one can not be opened."""

from __future__ import annotations

import os
import struct

from symjit.base import MXNetError

__all__ = ["reason", "recognized", "unreadable"]

_UNPACK = "Unpack it and load the file inside."
_WRONG_DOWNLOAD = "The download went wrong: fetch the file itself, not the page about it."

# First bytes in lower case, what it is, what to do; what comes first counts.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
        "Run `git lfs pull` in the repository it comes from.",
    ),
    (b"<!doctype html", "an HTML page", _WRONG_DOWNLOAD),
    (b"<html", "an HTML page", _WRONG_DOWNLOAD),
    (b"<?xml", "an XML document, perhaps a server's error message", _WRONG_DOWNLOAD),
    (b"<", "HTML or XML, perhaps a server's error message", _WRONG_DOWNLOAD),
    (b"404: not found", "a server's 'not found' answer", "Correct the address and download the file again."),
    (b"pk\x03\x04", "a zip archive (.zip, .mar, .npz and PyTorch files are)", _UNPACK),
    (b"\x1f\x8b", "gzip data", "Unpack it (`tar xzf` or `gunzip`) and load the file inside."),
    (b"bzh", "bzip2 data", _UNPACK),
    (b"\xfd7zxz\x00", "xz data", _UNPACK),
    (b"\x93numpy", "a NumPy .npy array", "Load it with numpy.load."),
    (b"\x89hdf\r\n", "an HDF5 file", "It was not written by MXNet: convert it first."),
    (struct.pack("<I", 0xCED7230A), "a RecordIO file", "Open it with mx.recordio."),
    (struct.pack(">Q", 0x112), "an array list of a big-endian machine", "Save it again on a little-endian machine."),
    (struct.pack("<Q", 0x112), "a list of MXNet arrays (.params)", "The graph is in the -symbol.json file beside it."),
    (b"{", "JSON text, as in a -symbol.json file", "The parameters are in the .params file beside it."),
)
_PICKLE = (
    "a Python pickle",
    "It is not opened, because that can run code. Optimizer states: use load_optimizer_states.",
)


def recognized(head: bytes) -> tuple[str, str] | None:
    """Return what a file is and what to do about it, or None.

    Args:
        head: its first bytes, 512 or all.
    """
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return _PICKLE
    lowered = head.lower(), head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next(((what, advice) for start, what, advice in _KINDS if any(x.startswith(start) for x in lowered)), None)


def unreadable(path: str | os.PathLike[str], error: OSError | ValueError) -> MXNetError:
    """Return the error that says why a file can not be opened or read."""
    return MXNetError(f"cannot open {os.fspath(path)!r}: {reason(error)}. Check the path and its permissions.")


def reason(error: OSError | ValueError) -> str:
    """Return what went wrong, without the error number."""
    return getattr(error, "strerror", None) or str(error)  # ValueError: a NUL character in the path
