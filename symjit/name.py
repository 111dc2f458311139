"""Automatic names of symbols. MXNet: ``mx.name``."""

from __future__ import annotations

import threading
import warnings

__all__ = ["NameManager", "Prefix", "current"]


class _Current(type):
    """Gives the class attribute ``NameManager.current``, which MXNet deprecated and old programs read and assign."""

    @property
    def current(cls) -> NameManager:
        _warn()
        return current()

    @current.setter
    def current(cls, manager: NameManager) -> None:
        _warn()
        _local.stack[-1] = manager


class NameManager(metaclass=_Current):
    """Name the symbols that are given no name: ``convolution0``, ``convolution1`` ...

    Source: MXNet ``mx.name.NameManager``. Every thread has a manager of its own. ``with NameManager():`` counts from
    zero inside; entering the same manager again goes on counting. A subclass that overrides `get` names in its own way.
    """

    def __init__(self) -> None:
        self._counter: dict[str, int] = {}

    def get(self, name: str | None, hint: str) -> str:
        """Return the name of a new symbol.

        Args:
            name: the name that the user gave, which is kept; None or empty if there is none.
            hint: the operator's name in lower case, to which a number is appended.
        """
        if name:
            return name
        number = self._counter.get(hint, 0)
        self._counter[hint] = number + 1
        return f"{hint}{number}"

    def __enter__(self) -> NameManager:
        _local.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _local.stack.pop()


class Prefix(NameManager):
    """Put a prefix before all names, those that the user gives included. Source: MXNet ``mx.name.Prefix``.

    Variables keep their names: only operators ask the manager.

    Args:
        prefix: the prefix.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        """Return the prefix and the name that NameManager would give."""
        return self._prefix + super().get(name, hint)


class _Local(threading.local):
    """The managers a thread has entered; below them the thread's own."""

    def __init__(self) -> None:
        self.stack = [NameManager()]


_local = _Local()


def current() -> NameManager:
    """Return the manager that names this thread's symbols now."""
    return _local.stack[-1]


def _warn() -> None:
    message = "NameManager.current is deprecated: use `with` a NameManager, or mx.name.current()"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
