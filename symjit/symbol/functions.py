"""The functions of ``mx.sym`` and the operator methods of Symbol, derived from the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from symjit import attribute
from symjit import name as naming
from symjit.base import MXNetError
from symjit.ir.graph import Entry
from symjit.ops import registry
from symjit.ops.registry import Op
from symjit.ops.signature import FLUENT, describe, public_name
from symjit.symbol import compose
from symjit.symbol.symbol import Symbol

__all__ = ["Namespace", "function", "internal", "listing"]


def make(op: Op, published: str) -> Callable[..., Symbol]:
    """Return the symbolic function of an operator under one of its names, which automatic names are made of."""
    hint = published.lower()
    slots = None if op.variadic else [*op.inputs, *(attr.name for attr in op.signature_attrs())]

    def call(
        *args: Any, name: str | None = None, attr: Mapping[str, str] | None = None, out: Any = None, **kwargs: Any
    ) -> Symbol:
        if slots is None:
            inputs, attrs = _variadic(op, published, args, kwargs)
        else:
            inputs, attrs = _fixed(op, published, slots, args, kwargs)
        attrs.update(attribute.current().get(attr))
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{published}(): expected a string for `name`, got {name!r}")
        return Symbol.of(compose.apply(op, naming.current().get(name, hint), attrs, inputs))

    signature, doc = describe(op, published, Symbol, symbolic=True)
    call.__name__ = call.__qualname__ = published
    call.__doc__ = doc
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__module__ = "symjit.symbol"
    return call


def _fixed(
    op: Op, published: str, slots: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Entry | None], dict[str, str]]:
    """Sort arguments into inputs and attribute texts; positional ones fill the inputs, then the attributes."""
    if len(args) > len(slots):
        raise TypeError(f"{published}() takes at most {len(slots)} positional arguments, got {len(args)}")
    given = dict(zip(slots, args, strict=False))
    for key, value in kwargs.items():
        if key in given:
            raise TypeError(f"{published}() got multiple values for argument {key!r}")
        given[key] = value
    inputs: dict[str, Entry | None] = {}
    attrs: dict[str, str] = {}
    for key, value in given.items():
        if isinstance(value, Symbol):
            if key in op.attrs:
                raise TypeError(f"{published}(): the attribute {key!r} can not be a Symbol, got {value!r}")
            inputs[key] = value.entry(f"{published}(): the argument {key!r}")
        elif key not in op.inputs:
            attrs[key] = compose.attribute_text(key, value)
        elif value is not None:
            raise TypeError(f"{published}(): the argument {key!r} must be a Symbol, got {value!r}")
    return inputs, attrs


def _variadic(
    op: Op, published: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Entry | None] | dict[str, Entry | None], dict[str, str]]:
    """Sort the arguments of an operator of any number of inputs; its count is one of the attributes."""
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = tuple(args[0])
    for value in args:
        if not isinstance(value, Symbol):
            raise TypeError(f"{published}(): positional arguments must be Symbols, got {value!r}")
    named = {k: v.entry(f"{published}(): the argument {k!r}") for k, v in kwargs.items() if isinstance(v, Symbol)}
    attrs = {k: compose.attribute_text(k, v) for k, v in kwargs.items() if k not in named}
    if args and named:
        raise TypeError(f"{published}(): give the Symbols by position or by name, not both")
    attrs.setdefault(op.count, str(len(args) + len(named)))
    if named:
        return dict(named), attrs
    return [value.entry(f"{published}(): argument {i}") for i, value in enumerate(args)], attrs


def internal(name: str) -> Callable[..., Symbol]:
    """Return the function of an operator under the name that files hold, such as ``_zeros``.

    Raises:
        MXNetError: there is no such operator.
    """
    return _internal(name)


@lru_cache(maxsize=1024)
def _internal(name: str) -> Callable[..., Symbol]:
    return make(registry.get(name), name)


@lru_cache(maxsize=1)
def _names() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for full in registry.names():
        namespace, short = public_name(full)
        found.setdefault(namespace, {})[short] = full
        if namespace not in ("", "_internal"):
            found.setdefault("_internal", {})[full] = full
    return found


@lru_cache(maxsize=4096)
def function(namespace: str, name: str) -> Callable[..., Symbol] | None:
    """Return the function of an operator by public name, or None."""
    full = _names().get(namespace, {}).get(name)
    return None if full is None else make(registry.get(full), name)


def listing(namespace: str) -> list[str]:
    """Return the public names of a namespace."""
    return sorted(_names().get(namespace, {}))


class Namespace:
    """A group of operator functions, such as ``mx.sym.contrib``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        found = function(self._name, name)
        if found is None:
            raise AttributeError(f"mx.sym.{self._name or 'op'} has no operator {name!r}")
        return found

    def __dir__(self) -> list[str]:
        return listing(self._name)

    def __repr__(self) -> str:
        return f"<operators mx.sym.{self._name or 'op'}: {len(listing(self._name))}>"


def _method(name: str) -> Callable[..., Symbol]:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> Symbol:
        found = function("", name)
        if found is None:
            raise MXNetError(f"Symbol.{name}: the operator {name!r} is not supported")
        return found(self, *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"Symbol.{name}"
    method.__doc__ = f"Return ``mx.sym.{name}(self, ...)``."
    return method


for _name in (*FLUENT, "broadcast_to"):
    if not hasattr(Symbol, _name) and _name != "split_v2":
        setattr(Symbol, _name, _method(_name))
