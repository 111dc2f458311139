"""The functions of ``mx.nd`` and the operator methods of NDArray, derived from the registry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax

from symjit.base import MXNetError
from symjit.context import Context
from symjit.ndarray import array as array_module
from symjit.ndarray.array import NDArray
from symjit.ndarray.invoke import invoke
from symjit.ops import registry
from symjit.ops.registry import Op
from symjit.ops.signature import FLUENT, describe, public_name, split_arguments

__all__ = ["Namespace", "function", "listing"]

array_module._invoke = invoke


def make(op: Op, name: str) -> Callable[..., Any]:
    """Return the imperative function of an operator under one of its names."""

    def call(*args: Any, out: Any = None, name: str | None = None, ctx: Context | None = None, **kwargs: Any) -> Any:
        inputs, named, attrs = split_arguments(op, label, args, kwargs, NDArray)
        if op.variadic:
            attrs[op.count] = len(inputs)
        if ctx is not None:
            ctx = ctx if isinstance(ctx, Context) else _read_context(ctx)
        return invoke(op, _ordered(op, label, inputs, named, attrs), attrs, out=out, ctx=ctx)

    label = name
    signature, doc = describe(op, name, NDArray, symbolic=False)
    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__module__ = "symjit.ndarray"
    return call


def _ordered(
    op: Op, name: str, inputs: Sequence[Any], named: dict[str, Any], attrs: dict[str, Any]
) -> Sequence[NDArray]:
    if op.variadic:
        return inputs
    wanted = op.input_names(op.parse_attrs(attrs))
    given = dict(zip(op.inputs, inputs, strict=False))
    for key, value in named.items():
        if key not in op.inputs:
            raise TypeError(f"{name}() got an unexpected array argument {key!r}; its inputs are {op.inputs}")
        if given.get(key) is not None:
            raise TypeError(f"{name}() got multiple values for argument {key!r}")
        given[key] = value
    missing = [each for each in wanted if given.get(each) is None]
    if missing:
        raise MXNetError(f"operator {op.name}: the inputs {missing} are not given; it needs {wanted}")
    return [given[each] for each in wanted]


def _read_context(text: str) -> Context:
    kind, _, number = text.rstrip(")").partition("(")
    return Context(kind, int(number or 0))


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
def function(namespace: str, name: str) -> Callable[..., Any] | None:
    """Return the function of an operator by public name, or None."""
    full = _names().get(namespace, {}).get(name)
    return None if full is None else make(registry.get(full), name)


def listing(namespace: str) -> list[str]:
    """Return the public names of a namespace."""
    return sorted(_names().get(namespace, {}))


class Namespace:
    """A group of operator functions, such as ``mx.nd.contrib``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found = function(self._name, name)
        if found is None:
            raise AttributeError(f"mx.nd.{self._name or 'op'} has no operator {name!r}")
        return found

    def __dir__(self) -> list[str]:
        return listing(self._name)

    def __repr__(self) -> str:
        return f"<operators mx.nd.{self._name or 'op'}: {len(listing(self._name))}>"


def _method(name: str) -> Callable[..., Any]:
    def method(self: NDArray, *args: Any, **kwargs: Any) -> Any:
        found = function("", name)
        if found is None:
            raise AttributeError(f"NDArray has no method {name!r}")
        return found(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Return ``mx.nd.{name}(self, ...)``."
    return method


for _name in FLUENT:
    if not hasattr(NDArray, _name):
        setattr(NDArray, _name, _method(_name))
