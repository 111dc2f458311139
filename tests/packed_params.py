"""``.params`` files packed by hand, from the description of their layouts, and files that are something else."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile

import pytest

from symjit.base import MXNetError
from symjit.ndarray.serialize import read_arrays

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA


def shape64(dims: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(dims)}q", len(dims), *dims)


def array(version: int, dims: tuple[int, ...], flag: int, data: bytes, device: tuple[int, int] = (1, 0)) -> bytes:
    """One dense array in the given layout."""
    tail = struct.pack("<iii", *device, flag) + data
    if version == 0:
        return struct.pack(f"<I{len(dims)}I", len(dims), *dims) + tail
    magic = {1: V1, 2: V2, 3: V3}[version]
    stype = struct.pack("<i", 0) if version >= 2 else b""
    return struct.pack("<I", magic) + stype + shape64(dims) + tail


def floats(version: int, *values: float) -> bytes:
    return array(version, (len(values),), 0, struct.pack(f"<{len(values)}f", *values))


def row_sparse(stored: tuple[int, ...], dims: tuple[int, ...], rows: list[int], values: list[float]) -> bytes:
    header = struct.pack("<Ii", V2, 1) + shape64(stored) + shape64(dims) + struct.pack("<iii", 1, 0, 0)
    index = struct.pack("<i", 6) + shape64((len(rows),))
    return header + index + struct.pack(f"<{len(values)}f", *values) + struct.pack(f"<{len(rows)}q", *rows)


def csr(dims: tuple[int, ...], indptr: list[int], columns: list[int], values: list[float], stored: int) -> bytes:
    header = struct.pack("<Ii", V2, 2) + shape64((stored,)) + shape64(dims) + struct.pack("<iii", 1, 0, 0)
    index = struct.pack("<i", 6) + shape64((len(indptr),)) + struct.pack("<i", 6) + shape64((len(columns),))
    data = struct.pack(f"<{len(values)}f", *values)
    return header + index + data + struct.pack(f"<{len(indptr) + len(columns)}q", *indptr, *columns)


def listing(*arrays: bytes, names: tuple[str, ...] = ()) -> bytes:
    table = b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in names)
    return struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + table


SMALL = listing(
    floats(0, 1, 2),
    array(1, (2, 1), 1, struct.pack("<2d", 3, 4)),
    array(2, (3,), 3, b"\1\2\3"),
    row_sparse((2, 2), (4, 2), [1, 3], [1, 2, 3, 4]),
    csr((2, 3), [0, 1, 3], [2, 0, 1], [5, 6, 7], stored=3),
    array(3, (), 0, struct.pack("<f", 8)),
    names=("arg:a", "arg:b", "aux:c", "d", "é", "f:g"),
)


def failure(data: object) -> str:
    with pytest.raises(MXNetError) as caught:
        read_arrays(data)  # pyright: ignore[reportArgumentType]
    return str(caught.value)


def compressed_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x.params"))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x", "y")
    return buffer.getvalue()
