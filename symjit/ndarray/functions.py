"""The functions of ``mx.nd`` and the operator methods of NDArray, derived from the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjit.base import MXNetError
from symjit.context import Context
from symjit.ndarray.array import NDArray
from symjit.ndarray.invoke import run, split_dynamic
from symjit.ops.attrs import Optional
from symjit.ops.registry import Op
from symjit.ops.signature import FLUENT
from symjit.ops.surface import Surface, assign, slots

__all__ = ["internal", "surface"]


def make(op: Op, published: str) -> Callable[..., Any]:
    """Return the imperative function of an operator under one of its names.

    Positional arguments fill the inputs, then the attributes, then ``out`` and ``name``, as in MXNet. An attribute
    given as None counts as not given, unless None is one of its values.
    """
    names = None if op.variadic else [*slots(op), "out", "name"]

    def call(*args: Any, out: Any = None, name: Any = None, ctx: Any = None, **kwargs: Any) -> Any:
        if names is None:
            inputs, attrs = _variadic(op, published, args, kwargs)
        else:
            given = assign(published, names, args, kwargs)
            out = given.pop("out", out)
            given.pop("name", None)
            inputs, attrs = _fixed(op, published, given)
        static, dynamic = split_dynamic(op, attrs)
        return run(op, static, dynamic, inputs, out=out, ctx=None if ctx is None else _context(ctx))

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


surface = Surface("mx.nd", NDArray, make)
surface.attach_methods(FLUENT)
internal = surface.internal
