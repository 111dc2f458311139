"""Read and write MXNet's ``.params`` files (``nd.save``) as NumPy arrays.

A file is a list of arrays followed by a list of names, which is empty or as long as the list of arrays. Four layouts
of an array have existed, and one file may mix them:

====== ============ ==============================================================================
layout written by   after its magic number
====== ============ ==============================================================================
V0     <= 0.10      no magic: its number of dimensions stands there; 32-bit dims, context, dtype, data
V1     0.11         shape with 64-bit dims, context, dtype, data
V2     0.12 - 1.9   storage type, [stored shape], shape, context, dtype, [index dtypes and shapes], data, [indices]
V3     1.5 -, numpy as V2, dense only; a shape without dimensions is a scalar instead of "no array"
====== ============ ==============================================================================

Files are read as if a stranger had written them: every size is compared with the bytes that remain before anything is
allocated, and nothing in a file is ever executed. Data are not copied: they are read-only views of the mapped file.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from symjit.base import DTYPE_FLAGS, MXNetError, shown
from symjit.files import recognized
from symjit.ndarray.atomic import write_file
from symjit.ndarray.mapped import open_map
from symjit.ndarray.stored import MAX_NDIM, Item, NamedArrays, NameSplit, SparseArray, split_names

__all__ = [
    "Item",
    "NameSplit",
    "NamedArrays",
    "ParamsWarning",
    "SparseArray",
    "dump_array",
    "dumps",
    "read_array",
    "read_arrays",
    "split_names",
    "write_arrays",
]

_LIST_MAGIC = struct.pack("<Q", 0x112)
_VERSION_OF_MAGIC = {0xF993FAC8: 1, 0xF993FAC9: 2, 0xF993FACA: 3}
_ARRAY_MAGICS = {struct.pack("<I", magic) for magic in _VERSION_OF_MAGIC}
_STYPES = {0: "default", 1: "row_sparse", 2: "csr"}
_STYPE_FLAGS = {name: flag for flag, name in _STYPES.items()}
#: What MXNet 1.9.1 can load; flags 8-11 have names there, but loading them fails with "Unknown type enum".
_WRITABLE = {dtype: flag for flag, dtype in DTYPE_FLAGS.items() if flag <= 7 or dtype == ml_dtypes.bfloat16}
_CAST_TO = {"int16": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}

# An array of a few bytes takes a thousand bytes of Python objects, and UTF-8 up to four times its length as text.
_MOST_ARRAYS = 1 << 15
_MOST_NAME_BYTES = 8 << 20

_FETCH_AGAIN = "The file is cut short or damaged: copy or download it again."


class ParamsWarning(UserWarning):
    """A ``.params`` file that can be read, but that is not quite as MXNet writes it."""


# --------------------------------------------------------------------------------------------------------------------
# Reading


def read_arrays(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> NamedArrays:
    """Read an array list, as ``mx.nd.save`` writes it.

    A path is mapped into memory. Dense data are read-only views of the map (they keep it alive), little-endian and not
    always aligned for their dtype; :func:`symjit.ndarray.mapped.private_copy` makes a copy that is neither.
    ``bytes`` are viewed likewise; buffers that can change are copied first. As with any map, the file must not be
    truncated in place while arrays of it are in use; :func:`write_arrays` replaces files, which does no harm.

    Bytes after the names, and names that occur twice, are accepted as in MXNet, with a :class:`ParamsWarning`. The
    device that an array was saved from is ignored. Deviations from MXNet 1.9.1: layouts V2 and V3 are read
    regardless of numpy semantics, dtypes int16 to uint64 are read, and sizes, sparse indices and names are checked.

    Args:
        source: a path, or the contents of a file.

    Raises:
        MXNetError: the file is missing, is something else, is cut short or damaged. The message names the file, the
            array, the position, and what to do.
    """
    reader = _Reader(*_open_source(source))
    with reader.suspecting_scalars():
        return reader.read_list()


def read_array(data: bytes | bytearray | memoryview) -> Item:
    """Read one array without a list around it, as in the pickle of an MXNet NDArray.

    Args:
        data: the bytes under ``"handle"`` of the pickled state.

    Raises:
        MXNetError: as for :func:`read_arrays`.
    """
    reader = _Reader(bytes(memoryview(data)), "<bytes>")
    with reader.suspecting_scalars():
        return reader.read_single()


def _open_source(source: Any) -> tuple[bytes | mmap.mmap, str]:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), "<bytes>"  # no copy when it is bytes already
    if not isinstance(source, str | os.PathLike):
        raise MXNetError(f"expected a path or the bytes of an array file, got {type(source).__name__}")
    path = os.fspath(source)
    return open_map(path), path


class _Reader:
    """A position in a buffer, and the checks that come before every read."""

    def __init__(self, buffer: bytes | mmap.mmap, label: str) -> None:
        self.buffer = buffer
        self.label = label
        self.size = len(buffer)
        self.offset = 0
        self.part = "the header"
        self.versions: set[int] = set()
        self.dimensionless: int | None = None  # the first V2 array whose shape has no dimensions

    @contextmanager
    def suspecting_scalars(self) -> Iterator[None]:
        """Blame an earlier array of no dimensions, if there is one, for a failure."""
        try:
            yield
        except MXNetError as error:
            if self.dimensionless is None:
                raise
            raise self.unreadable_scalar() from error

    def unreadable_scalar(self) -> MXNetError:
        return MXNetError(
            f"{self.label}: array {self.dimensionless} has no dimensions, and what follows it cannot be told apart. "
            "MXNet writes 0-d arrays outside numpy semantics in a form that nothing can read back, MXNet included "
            "(apache/mxnet issue 15988). Save the arrays again where they were made, with this one reshaped to (1,)."
        )

    def error(self, problem: str, advice: str = _FETCH_AGAIN, at: int | None = None) -> MXNetError:
        where = self.offset if at is None else at
        return MXNetError(f"{self.label}: {self.part}, at byte {where} of {self.size}: {problem}. {advice}")

    def need(self, count: int, what: str) -> None:
        if count > self.size - self.offset:
            raise self.error(f"{what}: expected {count} bytes, but {self.size - self.offset} remain")

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        count = struct.calcsize(layout)
        self.need(count, what)
        values = struct.unpack_from(layout, self.buffer, self.offset)
        self.offset += count
        return values

    # -- the list

    def read_list(self) -> NamedArrays:
        self.check_magic()
        self.unpack("<QQ", "magic and reserved words")
        (count,) = self.unpack("<Q", "number of arrays")
        # The shortest array takes 4 bytes, and the number of names follows them.
        if 4 * count + 8 > self.size - self.offset:
            raise self.error(
                f"{count} arrays need {4 * count + 8} bytes or more, but {self.size - self.offset} remain",
                at=self.offset - 8,
            )
        if count > _MOST_ARRAYS:
            raise self.error(
                f"expected at most {_MOST_ARRAYS} arrays, got {count}", "Save them in several files.", self.offset - 8
            )
        arrays: list[Item] = []
        for index in range(count):
            self.part = f"array {index} of {count}"
            arrays.append(self.read_item(index))
        names = self.read_names(count)
        self.check_sparse(arrays, names)
        trailing = self.check_end()
        return NamedArrays(arrays, names, self.label, self.size, tuple(sorted(self.versions)), trailing)

    def read_single(self) -> Item:
        self.part = "the array"
        item = self.read_item(0)
        self.check_sparse([item], [])
        self.check_end()
        return item

    def check_magic(self) -> None:
        head = self.buffer[:512]
        if head.startswith(_LIST_MAGIC):
            return
        if not head:
            raise MXNetError(f"{self.label}: expected MXNet arrays, but the file is empty. {_FETCH_AGAIN}")
        found = recognized(head)
        if found is None and head[:4] in _ARRAY_MAGICS:
            found = ("one array without a list around it", "Read it with symjit.ndarray.serialize.read_array.")
        if found:
            raise MXNetError(
                f"{self.label}: expected a list of MXNet arrays (.params), but this is {found[0]}. {found[1]}"
            )
        if _LIST_MAGIC.startswith(head):
            raise self.error(f"expected 24 bytes of header, got {self.size}")
        raise self.error(
            f"wrong magic: expected {_LIST_MAGIC.hex(' ')}, got {head[:8].hex(' ')}",
            "This is not a file of MXNet arrays: check that the path is that of the .params file.",
        )

    def read_names(self, count: int) -> list[str]:
        self.part = "the name table"
        start = self.offset
        (found,) = self.unpack("<Q", "number of names")
        if found not in (0, count):
            raise self.error(f"expected 0 or {count} names, one per array, got {found}", at=start)
        if 8 * found > self.size - self.offset:
            raise self.error(f"{found} names need {8 * found} bytes or more, but {self.size - self.offset} remain")
        names: list[str] = []
        for index in range(found):
            self.part = f"the name of array {index}"
            (length,) = self.unpack("<Q", "its length")
            self.need(length, "its text")
            if self.offset + length - start - 8 * (index + 2) > _MOST_NAME_BYTES:
                raise self.error(
                    f"expected at most {_MOST_NAME_BYTES} bytes of names in all, got {length} more",
                    "Shorten the names.",
                )
            raw = self.buffer[self.offset : self.offset + length]
            try:
                names.append(raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise self.error(f"expected UTF-8 text, got {shown(raw)}") from error
            self.offset += length
        if len(set(names)) < len(names):
            twice = [shown(name) for name, times in Counter(names).items() if times > 1]
            listed = ", ".join(twice[:5]) + (", ..." if len(twice) > 5 else "")
            self.warn(f"{self.label}: names that occur more than once: {listed}. The last array of each counts.")
        return names

    def check_sparse(self, arrays: Sequence[Item], names: Sequence[str]) -> None:
        """Check sparse arrays once their names are known, so that errors can give them."""
        for index, item in enumerate(arrays):
            if isinstance(item, SparseArray):
                try:
                    item.check()
                except MXNetError as error:
                    name = f" ({shown(names[index])})" if names else ""
                    raise MXNetError(f"{self.label}: array {index}{name}: {error}. {_FETCH_AGAIN}") from error

    def check_end(self) -> int:
        trailing = self.size - self.offset
        if trailing and self.dimensionless is not None:
            raise self.unreadable_scalar()
        if trailing:
            self.warn(f"{self.label}: {trailing} bytes after the end, at byte {self.offset}, were ignored.")
        return trailing

    def warn(self, message: str) -> None:
        warnings.warn(message, ParamsWarning, stacklevel=5)  # at the caller of read_arrays

    # -- one array

    def read_item(self, index: int) -> Item:
        start = self.offset
        (magic,) = self.unpack("<I", "its magic number")
        version = _VERSION_OF_MAGIC.get(magic, 0)
        if version == 0 and magic > MAX_NDIM:
            raise self.error(
                f"expected the start of an array (0xf993fac8 to 0xf993faca, or at most {MAX_NDIM} dimensions), "
                f"got {magic:#010x}",
                at=start,
            )
        self.versions.add(version)
        stype = self.read_stype(version) if version >= 2 else 0
        stored = self.read_shape(version, "stored shape") if stype else None
        shape = self.read_shape(version, "shape") if version else self.read_shape_v0(magic)
        if shape is None:
            if version == 2 and self.dimensionless is None:
                self.dimensionless = index
            return None
        self.unpack("<ii", "its device")
        dtype = self.read_dtype("dtype")
        if stype == 0:
            return self.read_data(shape, dtype, f"{dtype} data of shape {shape}")
        return self.read_sparse(_STYPES[stype], stored, shape, dtype)

    def read_stype(self, version: int) -> int:
        (stype,) = self.unpack("<i", "its storage type")
        allowed = _STYPES if version == 2 else {0: "default"}
        if stype not in allowed:
            raise self.error(
                f"expected a storage type of layout V{version}, "
                f"{' or '.join(f'{flag} ({name})' for flag, name in allowed.items())}, got {stype}",
                at=self.offset - 4,
            )
        return stype

    def read_shape_v0(self, ndim: int) -> tuple[int, ...] | None:
        return self.unpack(f"<{ndim}I", f"a shape of {ndim} dimensions") if ndim else None

    def read_shape(self, version: int, what: str) -> tuple[int, ...] | None:
        """Read a shape; None means that the array has none, and that nothing more of it follows."""
        start = self.offset
        (ndim,) = self.unpack("<i", f"the {what}")
        if ndim == (-1 if version == 3 else 0):
            return None
        if not 0 <= ndim <= MAX_NDIM:
            raise self.error(f"{what}: expected at most {MAX_NDIM} dimensions, got {ndim}", at=start)
        dims = self.unpack(f"<{ndim}q", f"a {what} of {ndim} dimensions")
        if any(dim < (-1 if version == 3 else 0) for dim in dims):
            raise self.error(f"{what}: expected dimensions >= 0, got {dims}", at=start)
        return None if -1 in dims else dims

    def read_dtype(self, what: str) -> np.dtype[Any]:
        (flag,) = self.unpack("<i", f"its {what}")
        if flag not in DTYPE_FLAGS:
            known = ", ".join(f"{number} {dtype}" for number, dtype in DTYPE_FLAGS.items())
            raise self.error(f"unknown {what} number {flag}: expected one of {known}", at=self.offset - 4)
        return DTYPE_FLAGS[flag]

    def read_data(self, dims: tuple[int, ...], dtype: np.dtype[Any], what: str) -> np.ndarray[Any, Any]:
        count = prod(dims)
        self.need(count * dtype.itemsize, what)
        self.check_addressable(dims, dtype)
        if count:
            flat = np.frombuffer(self.buffer, dtype.newbyteorder("<"), count, self.offset)
        else:
            flat = np.empty(0, dtype)  # frombuffer refuses an empty buffer
        self.offset += count * dtype.itemsize
        if dtype == np.bool_ and count and flat.view(np.uint8).max() > 1:
            flat = flat.view(np.uint8) != 0  # NumPy's booleans misbehave on any byte but 0 and 1
        flat.flags.writeable = False
        return flat.reshape(dims)

    def check_addressable(self, dims: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Refuse shapes that an empty or sparse payload makes possible, but that no array can have."""
        if prod(dim for dim in dims if dim) * dtype.itemsize > sys.maxsize:
            raise self.error(f"a {dtype} array of shape {dims} is beyond what can be addressed")

    def read_sparse(
        self, stype: str, stored: tuple[int, ...] | None, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> SparseArray:
        """Read what follows the dtype.

        The indices tell how many values there are, as in MXNet: ``csr_matrix(dense)`` leaves 0 in the stored shape.
        """
        self.check_addressable(shape, dtype)
        if stype == "row_sparse" and stored is not None and stored[1:] != shape[1:]:
            raise self.error(
                f"expected a stored shape of (k, *{shape[1:]}) for a row_sparse shape {shape}, got {stored}"
            )
        specs = []
        for role in ("indices",) if stype == "row_sparse" else ("indptr", "indices"):
            kind = self.read_dtype(f"{role} dtype")
            dims = self.read_shape(2, f"{role} shape")
            if kind not in (np.int64, np.int32) or dims is None or len(dims) != 1:
                raise self.error(f"{role}: expected int64 and one dimension, got {kind} of shape {dims}")
            specs.append((role, kind, dims))
        count = specs[-1][2][0]
        stored = (count, *shape[1:]) if stype == "row_sparse" else (count,)
        data = self.read_data(stored, dtype, f"{dtype} data of stored shape {stored}")
        index = {role: self.read_data(dims, kind, f"{role} of shape {dims}") for role, kind, dims in specs}
        return SparseArray(stype, shape, data, **index)


# --------------------------------------------------------------------------------------------------------------------
# Writing


def write_arrays(path: str | os.PathLike[str], arrays: Sequence[Item], names: Sequence[str] = ()) -> None:
    """Write an array list, byte for byte as MXNet 1.9.1's ``nd.save`` does (layout V2, device ``cpu(0)``).

    The file appears whole or not at all; see :func:`symjit.ndarray.atomic.write_file`.

    Args:
        path: where to write.
        arrays: NumPy arrays of any memory layout and byte order, and sparse arrays.
        names: one name per array, or none for a plain list.

    Raises:
        MXNetError: MXNet could not read an array back (0-d, None, int16, uint16, uint32, uint64, ...), names are
            missing or repeated, or the file cannot be written; whatever stood at ``path`` is untouched then.
    """
    _check_writable(arrays, names)
    write_file(path, _encode_list(arrays, names))


def dumps(arrays: Sequence[Item], names: Sequence[str] = ()) -> bytes:
    """Return the bytes that :func:`write_arrays` writes.

    Args:
        arrays: as for :func:`write_arrays`.
        names: as for :func:`write_arrays`.

    Raises:
        MXNetError: as for :func:`write_arrays`.
    """
    _check_writable(arrays, names)
    return b"".join(_encode_list(arrays, names))


def dump_array(item: Item) -> bytes:
    """Return the bytes of one array without a list around it, as MXNet pickles an NDArray.

    Args:
        item: a NumPy or sparse array.

    Raises:
        MXNetError: MXNet could not read the array back.
    """
    _check_writable([item], ())
    return b"".join(_encode_item(item))


def _check_writable(arrays: Sequence[Item], names: Sequence[str]) -> None:
    if len(names) not in (0, len(arrays)):
        raise MXNetError(f"expected one name per array or none, got {len(names)} names for {len(arrays)} arrays")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise MXNetError(f"expected names of type str, got {shown(name)} ({type(name).__name__})")
        if name in seen:
            raise MXNetError(f"the name {shown(name)} is given to more than one array: only the last could be loaded")
        seen.add(name)
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            raise MXNetError(f"the name {shown(name)} cannot be written as UTF-8: {error.reason}") from error
    for index, item in enumerate(arrays):
        try:
            _check_item(item)
        except MXNetError as error:
            name = f" ({shown(names[index])})" if names else ""
            raise MXNetError(f"cannot save array {index}{name}: {error}") from error


def _check_item(item: Item) -> None:
    if isinstance(item, SparseArray):
        item.check()
    elif isinstance(item, np.ndarray):
        if item.ndim == 0:
            raise MXNetError("MXNet cannot read 0-d arrays back; reshape it to (1,)")
        if item.ndim > MAX_NDIM:
            raise MXNetError(f"expected at most {MAX_NDIM} dimensions, got {item.ndim}")
    else:
        raise MXNetError(f"expected a numpy.ndarray or a SparseArray, got {type(item).__name__}")
    dtype = item.dtype.newbyteorder("=")
    if dtype not in _WRITABLE:
        raise MXNetError(
            f"MXNet 1.9.1 cannot read {dtype} (it reads {', '.join(str(known) for known in _WRITABLE)}); "
            f"cast it first, for example with .astype({_CAST_TO.get(dtype.name, 'float32')!r})"
        )


def _encode_list(arrays: Sequence[Item], names: Sequence[str]) -> Iterator[bytes | memoryview]:
    yield _LIST_MAGIC + struct.pack("<QQ", 0, len(arrays))
    for item in arrays:
        yield from _encode_item(item)
    yield struct.pack("<Q", len(names))
    for name in names:
        raw = name.encode("utf-8")
        yield struct.pack("<Q", len(raw)) + raw


def _encode_item(item: Item) -> Iterator[bytes | memoryview]:
    assert item is not None  # _check_item has seen to it
    sparse = item if isinstance(item, SparseArray) else None
    values = item.data if isinstance(item, SparseArray) else item
    header = struct.pack("<Ii", 0xF993FAC9, _STYPE_FLAGS[sparse.stype] if sparse else 0)
    if sparse:
        header += _encode_shape(values.shape)
    header += _encode_shape(item.shape)
    header += struct.pack("<iii", 1, 0, _WRITABLE[item.dtype.newbyteorder("=")])  # device cpu(0)
    index_arrays = []
    if sparse:
        parts = [sparse.indices] if sparse.indptr is None else [sparse.indptr, sparse.indices]
        index_arrays = [np.asarray(part, np.int64) for part in parts]
    for array in index_arrays:
        header += struct.pack("<i", 6) + _encode_shape(array.shape)  # 6: int64
    yield header
    for array in (values, *index_arrays):
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        yield little.reshape(-1).view(np.uint8).data


def _encode_shape(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)
