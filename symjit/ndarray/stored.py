"""What a ``.params`` file holds, as NumPy arrays: dense and sparse arrays, and their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from symjit.base import MXNetError, shown

__all__ = ["MAX_NDIM", "Item", "NameSplit", "NamedArrays", "SparseArray", "split_names"]

#: The most dimensions that an array has in MXNet.
MAX_NDIM = 32

# How many bytes of zeros, which the file does not hold, are made when sparse arrays become dense unasked. They count
# twice, as they are there twice on the way to a device; what else the device needs to receive them comes on top.
_MOST_ZEROS = 48 << 20


@dataclass(frozen=True, eq=False)
class SparseArray:
    """A ``row_sparse`` or ``csr`` array as it is stored.

    Attributes:
        stype: ``"row_sparse"`` or ``"csr"``.
        shape: the shape of the whole array.
        data: the stored values: ``(k, *shape[1:])`` for row_sparse, ``(nnz,)`` for csr.
        indices: the stored rows ``(k,)`` of row_sparse, the columns ``(nnz,)`` of csr.
        indptr: ``(rows + 1,)`` for csr: row ``r`` owns the values ``indptr[r]:indptr[r + 1]``; MXNet also leaves it
            empty when there are no values. None for row_sparse.
    """

    stype: str
    shape: tuple[int, ...]
    data: np.ndarray[Any, Any]
    indices: np.ndarray[Any, Any]
    indptr: np.ndarray[Any, Any] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self.data.dtype

    @property
    def nbytes(self) -> int:
        """How many bytes are stored: values and indices."""
        return self.data.nbytes + self.indices.nbytes + (0 if self.indptr is None else self.indptr.nbytes)

    def check(self) -> None:
        """Check that the parts agree with each other and that every index lies inside the shape.

        Raises:
            MXNetError: they do not; the message says what was expected and what came.
        """
        if not 1 <= len(self.shape) <= MAX_NDIM or min(self.shape) < 0:
            raise MXNetError(f"expected a {self.stype} shape of 1 to {MAX_NDIM} dimensions >= 0, got {self.shape}")
        for array in (self.indices, self.indices if self.indptr is None else self.indptr):
            if array.ndim != 1 or array.dtype.kind not in "iu":
                raise MXNetError(f"expected 1-d integer index arrays, got {array.dtype} of shape {array.shape}")
        count = len(self.indices)
        if self.stype == "row_sparse" and self.indptr is None:
            expected, bound = (count, *self.shape[1:]), self.shape[0]
        elif self.stype == "csr" and self.indptr is not None and len(self.shape) == 2:
            expected, bound = (count,), self.shape[1]
            _check_indptr(self.indptr, self.shape[0], count)
        else:
            raise MXNetError(
                "expected storage type 'row_sparse' without indptr, or 'csr' with indptr and two dimensions; "
                f"got {self.stype!r} with{'out' if self.indptr is None else ''} indptr and shape {self.shape}"
            )
        if self.data.shape != expected:
            raise MXNetError(
                f"{count} indices of a {self.stype} array of shape {self.shape} need values of shape {expected}, "
                f"got {self.data.shape}"
            )
        if count and not 0 <= int(self.indices.min()) <= int(self.indices.max()) < bound:
            raise MXNetError(
                f"expected indices below {bound} in a {self.stype} array of shape {self.shape}, got "
                f"{self.indices.min()} to {self.indices.max()}"
            )

    def todense(self) -> np.ndarray[Any, Any]:
        """Return the whole array, zeros included, as a fresh writable array.

        Raises:
            MXNetError: the parts are inconsistent, or the whole array does not fit into memory.
        """
        self.check()
        try:
            dense = np.zeros(self.shape, self.dtype)
        except (MemoryError, ValueError) as error:
            raise MXNetError(
                f"a dense {self.dtype} array of shape {self.shape} does not fit into memory: keep it {self.stype}"
            ) from error
        if self.indptr is None:
            dense[self.indices] = self.data
        elif len(self.indices):
            rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
            dense[rows, self.indices] = self.data
        return dense


def _check_indptr(indptr: np.ndarray[Any, Any], rows: int, count: int) -> None:
    if len(indptr) == count == 0:
        return
    if len(indptr) != rows + 1:
        raise MXNetError(f"expected an indptr of {rows + 1} entries, one more than rows, got {len(indptr)}")
    if indptr[0] != 0 or indptr[-1] != count or bool(np.any(indptr[1:] < indptr[:-1])):
        raise MXNetError(
            f"expected an indptr that rises from 0 to the number of values, {count}; got {indptr[0]} to {indptr[-1]}"
            ", or a step down between them"
        )


#: One entry of a file: a dense array, a sparse array, or MXNet's "none" (an array that never got a shape).
Item = np.ndarray[Any, Any] | SparseArray | None


@dataclass(frozen=True, eq=False)
class NamedArrays:
    """What a ``.params`` file holds.

    Attributes:
        arrays: the arrays in file order; those of NumPy are read-only.
        names: one name per array, or empty when the file is a plain list. A name may occur twice.
        source: the path, or ``"<bytes>"``.
        nbytes: the length of the file.
        versions: the array layouts that occur, 0 to 3, ascending.
        trailing: how many unexplained bytes follow the names.
    """

    arrays: list[Item]
    names: list[str]
    source: str = "<bytes>"
    nbytes: int = 0
    versions: tuple[int, ...] = ()
    trailing: int = 0

    def as_dict(self) -> dict[str, Item]:
        """Return the arrays by name; of equal names the last one counts, as in MXNet.

        Raises:
            MXNetError: the file is a plain list, without names.
        """
        if self.arrays and not self.names:
            raise MXNetError(
                f"{self.source}: expected named arrays, but the file is a list of {len(self.arrays)} arrays without "
                "names. Use `.arrays`, or save a dict."
            )
        return dict(zip(self.names, self.arrays, strict=True))

    def densified(self) -> list[np.ndarray[Any, Any] | None]:
        """Return the arrays with the sparse ones made dense.

        Raises:
            MXNetError: a few sparse values would become far more memory than the file has bytes.
        """
        dense: list[np.ndarray[Any, Any] | None] = []
        zeros = 0
        for index, item in enumerate(self.arrays):
            if isinstance(item, SparseArray):
                own = prod(item.shape) * item.dtype.itemsize
                zeros += 2 * max(0, own - item.nbytes)
                if zeros > _MOST_ZEROS:
                    name = f" ({shown(self.names[index])})" if self.names else ""
                    raise MXNetError(
                        f"{self.source}: array {index}{name} is {item.stype} of shape {item.shape} and takes {own}"
                        f" bytes when it is dense, of which the file holds {item.nbytes}. The sparse arrays of a file"
                        f" may take {_MOST_ZEROS // 2} bytes more than it holds of them. Read it with"
                        " symjit.ndarray.serialize.read_arrays, which leaves it sparse; its method todense() has no"
                        " limit"
                    )
            dense.append(item.todense() if isinstance(item, SparseArray) else item)
        return dense


@dataclass(frozen=True)
class NameSplit:
    """The names of a ``.params`` file by kind, each with its position in the file.

    Attributes:
        args: names that carried ``arg:``, without it.
        aux: names that carried ``aux:``, without it.
        bare: every other name, whole: Gluon's ``dense0_weight`` and ``0.weight``, and unknown prefixes.
    """

    args: dict[str, int] = field(default_factory=dict)
    aux: dict[str, int] = field(default_factory=dict)
    bare: dict[str, int] = field(default_factory=dict)


def split_names(names: Iterable[str]) -> NameSplit:
    """Sort names by their ``arg:`` / ``aux:`` prefix, which ends at the first colon.

    Of equal names the last position counts. Unlike ``mx.model.load_params``, which drops them without a word, names
    with another prefix or none are kept, in ``bare``.

    Args:
        names: the names as they stand in the file.
    """
    split = NameSplit()
    for position, name in enumerate(names):
        prefix, colon, rest = name.partition(":")
        if colon and prefix == "arg":
            split.args[rest] = position
        elif colon and prefix == "aux":
            split.aux[rest] = position
        else:
            split.bare[name] = position
    return split
