"""The functions of ``mx.nd`` and the operator methods of NDArray, derived from the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from symjit.base import MXNetError
from symjit.context import Context
from symjit.ndarray.array import NDArray
from symjit.ndarray.invoke import run, split_dynamic
from symjit.ops import registry
from symjit.ops.attrs import Optional
from symjit.ops.registry import Op
from symjit.ops.signature import FLUENT, describe, public_name

__all__ = ["Namespace", "function", "internal", "listing"]


def make(op: Op, published: str) -> Callable[..., Any]:
    """Return the imperative function of an operator under one of its names.

    Positional arguments fill the inputs, then the attributes, then ``out`` and ``name``, as in MXNet. An attribute
    given as None counts as not given, unless None is one of its values.
    """
    slots = None if op.variadic else [*op.inputs, *(attr.name for attr in op.signature_attrs()), "out", "name"]

    def call(*args: Any, out: Any = None, name: Any = None, ctx: Any = None, **kwargs: Any) -> Any:
        if slots is None:
            inputs, attrs = _variadic(op, published, args, kwargs)
        else:
            if len(args) > len(slots):
                raise TypeError(f"{published}() takes at most {len(slots)} positional arguments, got {len(args)}")
            given = dict(zip(slots, args, strict=False))
            for key, value in kwargs.items():
                if key in given:
                    raise TypeError(f"{published}() got multiple values for argument {key!r}")
                given[key] = value
            out = given.pop("out", out)
            given.pop("name", None)
            inputs, attrs = _fixed(op, published, given)
        static, dynamic = split_dynamic(op, attrs)
        return run(op, static, dynamic, inputs, out=out, ctx=None if ctx is None else _context(ctx))

    signature, doc = describe(op, published, NDArray, symbolic=False)
    call.__name__ = call.__qualname__ = published
    call.__doc__ = doc
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__module__ = "symjit.ndarray"
    return call


def _fixed(op: Op, published: str, given: dict[str, Any]) -> tuple[Sequence[NDArray], Any]:
    """Sort arguments into the inputs that the attributes call for, and the typed attributes."""
    arrays: dict[str, NDArray] = {}
    for name in op.inputs:
        value = given.pop(name, None)
        if value is not None:
            arrays[name] = _checked(published, name, value)
    attrs = op.parse_attrs(_attributes(op, published, given))
    wanted = op.input_names(attrs)
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise MXNetError(f"operator {op.name}: the inputs {missing} are not given; it needs {list(wanted)}")
    if len(arrays) > len(wanted):
        surplus = [name for name in arrays if name not in wanted]
        raise MXNetError(
            f"operator {op.name}: the inputs {surplus} are not wanted with these attributes; leave them out"
        )
    return [arrays[name] for name in wanted], attrs


def _variadic(op: Op, published: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[NDArray], Any]:
    """Sort the arguments of an operator of any number of inputs; its count is one of the attributes."""
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = tuple(args[0])
    named = [value for value in kwargs.values() if isinstance(value, NDArray)]
    if args and named:
        raise TypeError(f"{published}(): give the arrays by position or by name, not both")
    attrs = _attributes(op, published, {k: v for k, v in kwargs.items() if not isinstance(v, NDArray)})
    inputs = [_checked(published, str(i), value) for i, value in enumerate(args)] or named
    attrs.setdefault(op.count, len(inputs))
    return inputs, op.parse_attrs(attrs)


def _attributes(op: Op, published: str, given: Mapping[str, Any]) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, NDArray):
            known = f"its inputs are {list(op.inputs)}" if key not in op.attrs else "it is an attribute, not an input"
            raise TypeError(f"{published}() got an unexpected array argument {key!r}; {known}")
        if value is not None or (key in op.attrs and isinstance(op.attrs[key].type, Optional)):
            attrs[key] = value
    return attrs


def _checked(published: str, name: str, value: Any) -> NDArray:
    if not isinstance(value, NDArray):
        hint = "; wrap it: mx.nd.array(x)" if hasattr(value, "__array__") or isinstance(value, (list, tuple)) else ""
        raise TypeError(f"{published}(): argument {name} must be an NDArray, got {type(value).__name__}{hint}")
    return value


def _context(ctx: Any) -> Context:
    if isinstance(ctx, Context):
        return ctx
    kind, _, number = str(ctx).rstrip(")").partition("(")
    if number and not number.isdigit():
        raise MXNetError(f"ctx: expected a Context or text such as 'cpu(0)', got {ctx!r}")
    return Context(kind, int(number or 0))


def internal(name: str) -> Callable[..., Any]:
    """Return the function of an operator under the name that files hold, such as ``_zeros``.

    Raises:
        MXNetError: there is no such operator.
    """
    return _internal(name)


@lru_cache(maxsize=4096)
def _internal(name: str) -> Callable[..., Any]:
    return make(registry.get(name), public_name(name)[1])


def function(namespace: str, name: str) -> Callable[..., Any] | None:
    """Return the function of an operator by public name, or None."""
    full = name if namespace in ("", "_internal") else f"_{namespace}_{name}"
    if registry.lookup(full) is None or (namespace == "" and name.startswith("_")):
        return None
    return _internal(full)


def listing(namespace: str) -> list[str]:
    """Return the public names of a namespace."""
    found = (public_name(full) for full in registry.names())
    return sorted(name for where, name in found if where == namespace)


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
            raise AttributeError(f"NDArray has no method {name!r}: the operator is not supported")
        return found(self, *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"NDArray.{name}"
    method.__doc__ = f"Return ``mx.nd.{name}(self, ...)``."
    return method


for _name in FLUENT:
    if not hasattr(NDArray, _name):
        setattr(NDArray, _name, _method(_name))
