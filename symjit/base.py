"""Errors and the dtype table that every layer shares."""

from __future__ import annotations

import reprlib
from typing import Any, cast

import ml_dtypes
import numpy as np

__all__ = ["DTYPE_FLAGS", "MXNetError", "dtype_flag", "dtype_from_flag", "dtype_name", "np_dtype", "plain", "shown"]


class MXNetError(RuntimeError):
    """Any failure that MXNet would report as ``mxnet.base.MXNetError``."""


_LONGEST_SHOWN = 80
_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = _LONGEST_SHOWN
_shortener.maxlevel, _shortener.maxdict = 2, 8
_shortener.maxlist = _shortener.maxtuple = 16


def shown(value: Any) -> str:
    """Return ``repr(value)`` as messages quote it: what is long is cut, because a value in a file may be megabytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value[: _LONGEST_SHOWN + 1])
        return repr(value) if len(value) <= _LONGEST_SHOWN else repr(value[: _LONGEST_SHOWN - 3]) + "..."
    text = _shortener.repr(value)
    return text if len(text) <= 4 * _LONGEST_SHOWN else text[: 4 * _LONGEST_SHOWN - 3] + "..."


def plain(name: str) -> str:
    """Return a name as it stands, or quoted and cut where it is long or would move the cursor of a terminal."""
    return name if len(name) <= _LONGEST_SHOWN and name.isprintable() else shown(name)


#: MXNet's ``type_flag`` numbers, as they stand in files and in the ``__dtype__`` attribute.
DTYPE_FLAGS: dict[int, np.dtype[Any]] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float64),
    2: np.dtype(np.float16),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int32),
    5: np.dtype(np.int8),
    6: np.dtype(np.int64),
    7: np.dtype(np.bool_),
    8: np.dtype(np.int16),
    9: np.dtype(np.uint16),
    10: np.dtype(np.uint32),
    11: np.dtype(np.uint64),
    12: np.dtype(ml_dtypes.bfloat16),
}

_FLAG_OF = {dtype: flag for flag, dtype in DTYPE_FLAGS.items()}
_BY_NAME = {dtype.name: dtype for dtype in DTYPE_FLAGS.values()}


def np_dtype(value: Any) -> np.dtype[Any]:
    """Return the NumPy dtype for anything MXNet accepts as a dtype.

    Args:
        value: a dtype name (``"float32"``), a NumPy scalar type or dtype, or a ``type_flag`` number.

    Raises:
        MXNetError: the value names no dtype that MXNet knows.
    """
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    if isinstance(value, int) and not isinstance(value, bool):
        return dtype_from_flag(value)
    # NumPy evaluates literals in the text of a structured dtype: it gets short plain names alone, such as "<f4".
    plain = not isinstance(value, str) or (len(value) <= 16 and value.lstrip("<>=|").isalnum())
    try:
        dtype = np.dtype(cast(Any, value)) if plain else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or dtype not in _FLAG_OF:
        raise MXNetError(f"unknown dtype {shown(value)}: expected one of {', '.join(sorted(_BY_NAME))}")
    return dtype


def dtype_name(value: Any) -> str:
    """Return MXNet's name of a dtype, for example ``"float32"``."""
    return np_dtype(value).name


def dtype_flag(value: Any) -> int:
    """Return MXNet's ``type_flag`` number of a dtype."""
    return _FLAG_OF[np_dtype(value)]


def dtype_from_flag(flag: int) -> np.dtype[Any]:
    """Return the dtype of a ``type_flag`` number.

    Raises:
        MXNetError: the number is not one of MXNet's.
    """
    try:
        return DTYPE_FLAGS[flag]
    except KeyError:
        raise MXNetError(f"unknown type flag {shown(flag)}: expected one of {sorted(DTYPE_FLAGS)}") from None
