"""The functions of ``mx.sym`` and the operator methods of Symbol, derived from the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symjit import attribute
from symjit import name as naming
from symjit.ir.graph import Entry
from symjit.ops.registry import Op
from symjit.ops.signature import FLUENT
from symjit.ops.surface import Surface, assign, slots
from symjit.symbol import compose
from symjit.symbol.symbol import Symbol

__all__ = ["internal", "surface"]


def make(op: Op, published: str) -> Callable[..., Symbol]:
    """Return the symbolic function of an operator under one of its names, which automatic names are made of."""
    hint = published.lower()
    names = None if op.variadic else slots(op)

    def call(
        *args: Any, name: str | None = None, attr: Mapping[str, str] | None = None, out: Any = None, **kwargs: Any
    ) -> Symbol:
        if names is None:
            inputs, attrs = _variadic(op, published, args, kwargs)
        else:
            inputs, attrs = _fixed(op, published, assign(published, names, args, kwargs))
        attrs.update(attribute.current().get(attr))
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{published}(): expected a string for `name`, got {name!r}")
        return Symbol.of(compose.apply(op, naming.current().get(name, hint), attrs, inputs))

    return call


def _fixed(op: Op, published: str, given: Mapping[str, Any]) -> tuple[dict[str, Entry | None], dict[str, str]]:
    """Sort arguments into inputs and attribute texts."""
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


surface = Surface("mx.sym", Symbol, make)
surface.attach_methods(name for name in (*FLUENT, "broadcast_to") if name != "split_v2")
internal = surface.internal
