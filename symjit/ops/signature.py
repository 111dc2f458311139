"""Signatures and docstrings of the functions that ``mx.nd`` and ``mx.sym`` derive from the registry."""

from __future__ import annotations

import inspect
from typing import Any

from symjit.ops.registry import REQUIRED, Op

__all__ = ["FLUENT", "describe", "public_name", "split_arguments"]

#: Operators that are also methods of NDArray and Symbol, with the array as first input.
FLUENT = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes"
    " broadcast_like cbrt ceil clip cos cosh degrees depth_to_space diag exp expand_dims expm1 fix flatten flip floor"
    " log log10 log1p log2 log_softmax max mean min nanprod nansum norm one_hot ones_like pad pick prod radians rcbrt"
    " reciprocal relu repeat reshape_like rint round rsqrt shape_array sigmoid sign sin sinh size_array slice"
    " slice_axis slice_like softmax softmin sort space_to_depth split split_v2 sqrt square squeeze sum swapaxes take"
    " tan tanh tile topk transpose trunc zeros_like"
).split()


def public_name(name: str) -> tuple[str, str]:
    """Return ``(namespace, function)`` under which MXNet publishes an operator name.

    ``_contrib_box_nms`` is ``contrib.box_nms``, ``_linalg_gemm`` is ``linalg.gemm``; other names with a leading
    underscore live in ``_internal``; the rest at the top (namespace ``""``).
    """
    for prefix in ("contrib", "linalg", "sparse", "image", "random", "sample"):
        if name.startswith(f"_{prefix}_"):
            return ("random" if prefix == "sample" else prefix), name[len(prefix) + 2 :]
    return ("_internal", name) if name.startswith("_") else ("", name)


def describe(op: Op, name: str, kind: type, *, symbolic: bool) -> tuple[inspect.Signature, str]:
    """Return the signature and the docstring of an operator's public function.

    Args:
        op: the operator.
        name: the name or alias under which it is published.
        kind: ``NDArray`` or ``Symbol``, for the annotations.
        symbolic: whether this is a Symbol function (which may be named and leaves inputs to be created).
    """
    make, positional, keyword = inspect.Parameter, [], []
    if op.variadic:
        positional.append(make("data", make.VAR_POSITIONAL, annotation=kind))
    for each in op.inputs:
        default = None if symbolic or each in op.optional_inputs else make.empty
        if positional and default is make.empty and positional[-1].default is not make.empty:
            default = None
        positional.append(make(each, make.POSITIONAL_OR_KEYWORD, annotation=kind, default=default))
    rows = []
    for attr in op.signature_attrs():
        default = None if attr.default is REQUIRED and not op.variadic and not positional else attr.default
        keyword.append(make(attr.name, make.KEYWORD_ONLY, default=default))
        rows.append(f"    {attr.name} ({attr.type.doc}{', required' if attr.default is REQUIRED else ''})")
    for each in op.ignored:
        keyword.append(make(each, make.KEYWORD_ONLY, default=None))
        rows.append(f"    {each}: accepted, without effect here")
    extra = ("name", "attr") if symbolic else ("out",)
    keyword += [make(each, make.KEYWORD_ONLY, default=None) for each in extra if each not in op.attrs]
    signature = inspect.Signature([*positional, *keyword], return_annotation=kind)
    doc = [op.__doc__ or f"Operator {op.name}."]
    if rows:
        doc += ["", "Attributes:", *rows]
    others = [each for each in (op.name, *op.aliases) if each != name]
    if others:
        doc += ["", f"Also known as: {', '.join(others)}."]
    return signature, "\n".join(doc)


def split_arguments(
    op: Op, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], kind: type
) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Sort the arguments of a call into inputs and attributes, as MXNet's front end does.

    Positional values that are not arrays fill the attributes in their declared order.

    Returns:
        ``(positional inputs, inputs by name, attributes)``; attributes given as None are left out.

    Raises:
        TypeError: too many positional arguments, or one given twice.
    """
    inputs: list[Any] = []
    named: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    slots = [attr.name for attr in op.signature_attrs()]
    limit = None if op.variadic else len(op.inputs)
    rest: list[Any] = []
    if op.variadic and len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = tuple(args[0])
    for value in args:
        is_input = isinstance(value, kind) or (value is None and not rest)
        if is_input and not rest and (limit is None or len(inputs) < limit):
            inputs.append(value)
        else:
            rest.append(value)
    if len(rest) > len(slots):
        raise TypeError(f"{name}() takes at most {(limit or len(inputs)) + len(slots)} positional arguments")
    for slot, value in zip(slots, rest, strict=False):
        attrs[slot] = value
    for key, value in kwargs.items():
        if isinstance(value, kind) and key not in op.attrs:
            named[key] = value
        elif value is None:
            continue
        elif key in attrs:
            raise TypeError(f"{name}() got multiple values for argument {key!r}")
        else:
            attrs[key] = value
    return inputs, named, {key: value for key, value in attrs.items() if value is not None}
