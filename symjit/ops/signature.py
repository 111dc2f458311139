"""Signatures and docstrings of the functions that ``mx.nd`` and ``mx.sym`` derive from the registry."""

from __future__ import annotations

import inspect

from symjit.ops.registry import REQUIRED, Op

__all__ = ["FLUENT", "describe", "public_name"]

#: Operators that are also methods of NDArray and Symbol, with the array as first input.
FLUENT = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes"
    " broadcast_like cbrt ceil clip cos cosh degrees depth_to_space diag exp expand_dims expm1 fix flatten flip floor"
    " log log10 log1p log2 log_softmax max mean min nanprod nansum norm one_hot ones_like pad pick prod radians rcbrt"
    " reciprocal relu repeat reshape_like rint round rsqrt shape_array sigmoid sign sin sinh size_array slice"
    " slice_axis slice_like softmax softmin sort space_to_depth split split_v2 sqrt square squeeze sum swapaxes take"
    " tan tanh tile topk transpose trunc zeros_like"
).split()

_NAMESPACES = ("contrib", "linalg", "sparse", "image", "random")


class _Required:
    """Stands for the default of an argument that has none, but follows one that has."""

    def __repr__(self) -> str:
        return "<required>"


_REQUIRED = _Required()


def public_name(name: str) -> tuple[str, str]:
    """Return ``(namespace, function)`` under which MXNet publishes an operator name.

    ``_contrib_box_nms`` is ``contrib.box_nms``, ``_linalg_gemm`` is ``linalg.gemm``; other names with a leading
    underscore live in ``_internal``; the rest at the top (namespace ``""``).
    """
    for prefix in _NAMESPACES:
        if name.startswith(f"_{prefix}_"):
            return prefix, name[len(prefix) + 2 :]
    return ("_internal", name) if name.startswith("_") else ("", name)


def describe(op: Op, name: str, kind: type, *, symbolic: bool) -> tuple[inspect.Signature, str]:
    """Return the signature and the docstring of an operator's public function.

    Args:
        op: the operator.
        name: the name or alias under which it is published.
        kind: ``NDArray`` or ``Symbol``, for the annotations.
        symbolic: whether this is a Symbol function (which may be named and leaves inputs to be created).
    """
    make = inspect.Parameter
    parameters, rows = [], []
    if op.variadic:
        parameters.append(make("data", make.VAR_POSITIONAL, annotation=kind))
    for each in op.inputs:
        follows = bool(parameters) and parameters[-1].default is None
        default = None if symbolic or follows or each in op.optional_inputs else make.empty
        parameters.append(make(each, make.POSITIONAL_OR_KEYWORD, annotation=kind, default=default))
    place = make.KEYWORD_ONLY if op.variadic else make.POSITIONAL_OR_KEYWORD
    for attr in op.signature_attrs():
        after_default = parameters and parameters[-1].default is not make.empty and not op.variadic
        default = attr.default
        if default is REQUIRED:
            default = _REQUIRED if after_default else make.empty
        parameters.append(make(attr.name, place, default=default))
        rows.append(f"    {attr.name} ({attr.type.doc}{', required' if attr.default is REQUIRED else ''})")
    for each in op.ignored:
        parameters.append(make(each, make.KEYWORD_ONLY, default=None))
        rows.append(f"    {each}: accepted, without effect here")
    for each in ("name", "attr") if symbolic else ("out",):
        if each not in op.attrs:
            parameters.append(make(each, make.KEYWORD_ONLY, default=None))
    doc = [op.__doc__ or f"Operator {op.name}."]
    if rows:
        doc += ["", "Attributes:", *rows]
    others = [each for each in (op.name, *op.aliases) if each != name]
    if others:
        doc += ["", f"Also known as: {', '.join(others)}."]
    return inspect.Signature(parameters, return_annotation=kind), "\n".join(doc)
