"""Applying operators to entries of graphs, and putting graphs in place of variables.

What MXNet's files show is made here: attribute texts, the variables that missing inputs become, and the versions of
variables that operators write to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from symjit.base import MXNetError, np_dtype
from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.upgrade import attributes
from symjit.ops import registry
from symjit.ops.registry import Op

__all__ = ["HIDDEN", "apply", "attribute_text", "duplicate", "stored_key", "substitute", "version"]

#: Attributes of a node that are written without underscores and stored with them.
HIDDEN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")

# How often operators write to a variable; MXNet counts it and stores the count in every entry that reads the variable.
_versions: WeakKeyDictionary[Node, int] = WeakKeyDictionary()


def version(node: Node) -> int:
    """Return how many operators write to a variable; 0 for operator nodes."""
    return _versions.get(node, 0)


def attribute_text(key: str, value: Any) -> str:
    """Return an attribute as MXNet stores it: what Python shows of the value, or the name of a dtype."""
    if isinstance(value, str):
        return np_dtype(value).name if key == "dtype" else value
    return np_dtype(value).name if key == "dtype" else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        # Not str(value): NumPy 2 shows its numbers as np.int64(3) there.
        items = ", ".join(repr(item) if isinstance(item, str) else _text(item) for item in value)
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"
    return str(value.item()) if isinstance(value, np.ndarray) and value.ndim == 0 else str(value)


def stored_key(key: str) -> str:
    """Return the name under which a node stores an attribute.

    Raises:
        MXNetError: the name is of the form ``weight_lr_mult``, by which MXNet 0.8 set attributes of an input.
    """
    if key in HIDDEN:
        return f"__{key}__"
    for hidden in HIDDEN:
        if key.endswith(hidden):
            owner = key[: -len(hidden)].rstrip("_")
            raise MXNetError(
                f"the attribute {key!r} of an input is no longer set on the operator: make the input yourself,"
                f" w = mx.sym.Variable(...), w._set_attr({hidden}=...), and pass it: {owner or 'weight'}=w"
            )
    return key


def apply(
    op: Op, name: str, attrs: Mapping[str, str], inputs: Sequence[Entry | None] | Mapping[str, Entry | None]
) -> Node:
    """Return the node that applies an operator; inputs that are not given become variables ``<name>_<input>``.

    Args:
        op: the operator.
        name: name of the node.
        attrs: attribute texts, the operator's own and the node's.
        inputs: entries in the operator's order, or by input name; None where there is none.

    Raises:
        MXNetError: an attribute is not valid, an input does not exist, or a state is not a variable.
    """
    texts = {stored_key(key): value for key, value in attrs.items()}
    try:
        names = op.input_names(attributes(op, texts))
    except MXNetError as error:
        raise MXNetError(f"node {name!r}: {error}") from None
    if not isinstance(inputs, Mapping):
        if len(inputs) > len(names):
            raise MXNetError(f"operator {op.name}, node {name!r}: expected {len(names)} inputs, got {len(inputs)}")
        inputs = dict(zip(names, inputs, strict=False))
    for given, entry in inputs.items():
        if entry is not None and given not in names:
            raise MXNetError(
                f"operator {op.name}, node {name!r}: there is no input {given!r} with these attributes; the inputs are"
                f" {', '.join(names) or 'none'}"
            )
    entries = []
    for each in names:
        entry = inputs.get(each)
        # As in MXNet a variable made for an operator carries all attributes of the operator.
        entry = Entry(Node(None, f"{name}_{each}", dict(texts))) if entry is None else entry
        if each in op.init and entry.node.op is None:
            entry.node.attrs.setdefault("__init__", op.init[each])
        entries.append(entry)
    return Node(op.name, name, texts, _versioned(op, name, names, entries))


def _versioned(op: Op, name: str, names: Sequence[str], entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries with the versions of their variables, counting those up that the operator writes to."""
    found = [entry if entry.node.op else entry._replace(version=version(entry.node)) for entry in entries]
    for position, each in enumerate(names):
        if each not in op.aux:
            continue
        node = found[position].node
        if node.op is not None:
            raise MXNetError(
                f"operator {op.name}, node {name!r}: the input {each!r} is a state that the operator writes to: it must"
                f" be a variable, but {node.name!r} is the result of {node.op}"
            )
        _versions[node] = version(node) + 1
        found[position] = found[position]._replace(version=_versions[node])
    return tuple(found)


def duplicate(heads: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return heads of a copy of their graph, whose attributes can be changed by themselves."""
    return substitute(heads, {}, None)


def substitute(heads: Iterable[Entry], replacements: Mapping[str, Entry], name: str | None) -> tuple[Entry, ...]:
    """Return heads of a copy of their graph, with entries in place of variables.

    Args:
        heads: the heads.
        replacements: entries by the names of the variables that they replace.
        name: new name of the node of the first head; None keeps the old one.

    Raises:
        MXNetError: a variable does not exist, or is a state and its replacement is not a variable.
    """
    graph = Graph(heads)
    present = {node.name for node in graph.variables}
    for given in replacements:
        if given not in present:
            listed = ", ".join(dict.fromkeys(node.name for node in graph.variables))
            raise MXNetError(f"there is no variable {given!r} to be replaced; the variables are: {listed or 'none'}")
    copies: dict[int, Node] = {}

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node | Sequence[Entry]:
        if node.op is None and node.name in replacements:
            return [replacements[node.name]]
        renamed = name if name and node is graph.heads[0].node else node.name
        op = registry.lookup(node.op) if node.op is not None else None
        if op is not None and any(e.node.op is None and e.node.name in replacements for e in node.inputs):
            inputs = _versioned(op, node.name, op.input_names(node.params), inputs)
        deps = tuple(copies.get(id(dep), dep) for dep in node.control_deps)
        made = copies[id(node)] = node.replace(name=renamed, attrs=dict(node.attrs), inputs=inputs, control_deps=deps)
        if node.op is None and node in _versions:
            _versions[made] = _versions[node]
        return made

    return graph.rewrite(visit).heads
