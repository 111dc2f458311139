"""How a module calls what a program gave it to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symjit.model import BatchEndParam

__all__ = ["as_list", "tell"]


def as_list(value: Any) -> Sequence[Any]:
    """Return a list or tuple as it is, None as nothing, and anything else as a list of one."""
    if value is None:
        return []
    return value if isinstance(value, (list, tuple)) else [value]


def tell(callbacks: Any, param: BatchEndParam) -> None:
    """Call one callback or several.

    `param` must not become a variable of the caller: its locals would hold the param of the batch before with its
    locals, and so on, and no batch would ever be freed.
    """
    for callback in as_list(callbacks):
        callback(param)
