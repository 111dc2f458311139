"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress

from symjit.base import MXNetError
from symjit.files import reason

__all__ = ["TEMPORARY", "write_file"]

#: How the temporary files begin that :func:`write_file` fills; a process that is killed leaves its own behind.
TEMPORARY = ".symjit-"


def write_file(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> None:
    """Write a file that appears whole or not at all.

    It is written beside its target, flushed to disk and renamed over it, and then the directory is flushed. A new
    file gets the permissions that ``open`` would give it, an existing one keeps its own and, where the process may
    give files away, its owner; a symbolic link is followed. Other hard links keep the old content. A process that is
    killed meanwhile leaves a file ``.symjit-*.tmp`` behind, which nothing reads.

    Args:
        path: where to write.
        chunks: the content.

    Raises:
        MXNetError: the file cannot be written; whatever stood at ``path`` is untouched then.
    """
    try:
        _replace_file(os.path.realpath(path), chunks)
    except (OSError, ValueError) as error:
        raise MXNetError(
            f"cannot write {os.fspath(path)!r}: {reason(error)}. Check the directory, its permissions and its space."
        ) from error


def _replace_file(target: str, chunks: Iterable[bytes | memoryview]) -> None:
    status = None
    if os.path.exists(target):
        status = os.stat(target)
        if not stat.S_ISREG(status.st_mode):  # a device or a pipe has to be written to, not replaced
            with open(target, "wb") as handle:
                handle.writelines(chunks)
            return
        if not os.access(target, os.W_OK):
            raise PermissionError(13, "the file is write-protected")
    directory = os.path.dirname(target)
    temporary = os.path.join(directory, f"{TEMPORARY}{secrets.token_hex(8)}.tmp")
    # Nobody reads the content who may not read the file that it replaces; for a new file the umask decides.
    mode = 0o666 if status is None else 0o600
    try:
        with open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as handle:
            handle.writelines(chunks)
            handle.flush()
            if status is not None:
                _give_owner(temporary, status)
                os.chmod(temporary, stat.S_IMODE(status.st_mode))
            os.fsync(handle.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        _sync_directory(directory)


def _give_owner(path: str, status: os.stat_result) -> None:
    """Give a file the owner and the group of the one that it replaces, as far as the process may."""
    chown = getattr(os, "chown", None)  # Windows has none
    own = os.stat(path)
    if chown is not None and (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        with suppress(PermissionError):
            chown(path, status.st_uid, status.st_gid)


def _sync_directory(directory: str) -> None:
    """Make the rename itself last. Some file systems cannot, and by then the data are safe: no error."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
