"""Attributes that a scope gives to all symbols made in it. MXNet: ``mx.attribute``."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping

__all__ = ["AttrScope", "current"]


class _Current(type):
    """Gives the class attribute ``AttrScope.current``, which MXNet deprecated and old programs read and assign."""

    @property
    def current(cls) -> AttrScope:
        _warn()
        return current()

    @current.setter
    def current(cls, scope: AttrScope) -> None:
        _warn()
        _local.stack[-1] = scope


class AttrScope(metaclass=_Current):
    """Give attributes to all symbols made inside of ``with AttrScope(...)``. Source: MXNet ``mx.AttrScope``.

    Inner scopes add to outer ones and win over them. ``ctx_group``, ``lr_mult``, ``wd_mult``, ``force_mirroring`` and
    ``mirror_stage`` are stored as ``__ctx_group__`` and so on; other names should look like ``__this__``, since an
    operator takes the rest for its own attributes.

    Args:
        **kwargs: the attributes, as strings.

    Raises:
        ValueError: a value is not a string.
    """

    def __init__(self, **kwargs: str) -> None:
        for key, value in kwargs.items():
            if not isinstance(value, str):
                raise ValueError(f"Attributes need to be string: {key}={value!r} is of type {type(value).__name__}")
        self._attr = dict(kwargs)
        self._outside: list[dict[str, str]] = []

    def get(self, attr: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return this scope's attributes and `attr`, which wins."""
        return {**self._attr, **(attr or {})}

    def __enter__(self) -> AttrScope:
        self._outside.append(self._attr)
        self._attr = {**current()._attr, **self._attr}
        _local.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _local.stack.pop()
        self._attr = self._outside.pop()


class _Local(threading.local):
    """The scopes a thread has entered; below them one without attributes."""

    def __init__(self) -> None:
        self.stack = [AttrScope()]


_local = _Local()


def current() -> AttrScope:
    """Return the scope that this thread has entered last."""
    return _local.stack[-1]


def _warn() -> None:
    message = "AttrScope.current is deprecated: use `with` an AttrScope, or mx.attribute.current()"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
