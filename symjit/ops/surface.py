"""How a front end, ``mx.nd`` or ``mx.sym``, offers the operators of the registry as functions and methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from symjit.base import MXNetError
from symjit.ops import registry
from symjit.ops.registry import Op
from symjit.ops.signature import describe, public_name

__all__ = ["Namespace", "Surface", "assign", "slots"]


def slots(op: Op) -> list[str]:
    """Return what positional arguments fill: the inputs, then the attributes. Not for variadic operators."""
    return [*op.inputs, *(attr.name for attr in op.signature_attrs())]


def assign(published: str, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, positional ones in the order of `names`.

    Raises:
        TypeError: there are too many, or one is given twice.
    """
    if len(args) > len(names):
        raise TypeError(f"{published}() takes at most {len(names)} positional arguments, got {len(args)}")
    given = dict(zip(names, args, strict=False))
    for key, value in kwargs.items():
        if key in given:
            raise TypeError(f"{published}() got multiple values for argument {key!r}")
        given[key] = value
    return given


@lru_cache(maxsize=1)
def _names() -> dict[str, dict[str, str]]:
    """Return, by namespace, the operator name of every public one."""
    found: dict[str, dict[str, str]] = {}
    for full in registry.names():
        namespace, short = public_name(full)
        found.setdefault(namespace, {})[short] = full
        if namespace not in ("", "_internal"):
            found.setdefault("_internal", {})[full] = full
    return found


class Surface:
    """The functions of one front end, made on first use.

    Attributes:
        label: how users call it, ``"mx.nd"``.
    """

    def __init__(self, label: str, kind: type, make: Callable[[Op, str], Callable[..., Any]]) -> None:
        """Offer what ``make(operator, published name)`` returns.

        Args:
            label: how users call it.
            kind: ``NDArray`` or ``Symbol``.
            make: returns a function; its name, docstring and signature are set here.
        """
        self.label, self._kind, self._make = label, kind, make
        self._made: dict[tuple[str, str], Callable[..., Any]] = {}

    def _published(self, full: str, name: str) -> Callable[..., Any]:
        made = self._made.get((full, name))
        if made is None:
            op = registry.get(full)
            made = self._made[full, name] = self._make(op, name)
            signature, doc = describe(op, name, self._kind, symbolic=self.label == "mx.sym")
            made.__name__ = made.__qualname__ = name
            made.__doc__ = doc
            made.__signature__ = signature  # type: ignore[attr-defined]
            made.__module__ = self._kind.__module__.rpartition(".")[0]
        return made

    def internal(self, name: str) -> Callable[..., Any]:
        """Return the function of an operator under the name that files hold, such as ``_zeros``.

        Raises:
            MXNetError: there is no such operator.
        """
        return self._published(name, name)

    def function(self, namespace: str, name: str) -> Callable[..., Any] | None:
        """Return the function of an operator by public name, or None."""
        full = _names().get(namespace, {}).get(name)
        return None if full is None else self._published(full, name)

    def attribute(self, namespace: str, name: str) -> Callable[..., Any]:
        """Return the function of an operator, for the ``__getattr__`` of a module.

        Raises:
            AttributeError: there is none.
        """
        found = self.function(namespace, name)
        if found is None:
            raise AttributeError(f"{'.'.join(filter(None, [self.label, namespace]))} has no attribute {name!r}")
        return found

    def listing(self, namespace: str) -> list[str]:
        """Return the public names of a namespace."""
        return sorted(_names().get(namespace, {}))

    def attach_methods(self, names: Iterable[str]) -> None:
        """Make operators methods too, with the object as first input, where there is no such method yet."""
        for name in names:
            if not hasattr(self._kind, name):
                setattr(self._kind, name, self._method(name))

    def _method(self, name: str) -> Callable[..., Any]:
        def method(obj: Any, *args: Any, **kwargs: Any) -> Any:
            found = self.function("", name)
            if found is None:
                raise MXNetError(f"{self._kind.__name__}.{name}: the operator {name!r} is not supported")
            return found(obj, *args, **kwargs)

        method.__name__ = name
        method.__qualname__ = f"{self._kind.__name__}.{name}"
        method.__doc__ = f"Return ``{self.label}.{name}(self, ...)``."
        return method


class Namespace:
    """A group of operator functions, such as ``mx.nd.contrib``."""

    def __init__(self, surface: Surface, name: str) -> None:
        self._surface, self._name = surface, name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._surface.attribute(self._name, name)

    def __dir__(self) -> list[str]:
        return self._surface.listing(self._name)

    def __repr__(self) -> str:
        return f"<operators {self._surface.label}.{self._name or 'op'}: {len(dir(self))}>"
