"""Upgrade rules: what MXNet 1.9.1 changes in a Symbol JSON file that an older version wrote.

One function per rule, in MXNet's order. A rule works on drafts, the nodes of the file before they are frozen, and
returns whether it changed one. What it needs to know of an operator it reads from the registry, so a rule passes over
the nodes whose operator is not registered: those are reported together by `Graph.require_supported`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from symjit.base import MXNetError, shown
from symjit.ir.graph import Graph, Node
from symjit.ops import registry
from symjit.ops.registry import Op

__all__ = ["CURRENT", "RULES", "Draft", "Link", "Rule", "attributes", "upgrade"]

CURRENT = 10901
"""The version of MXNet whose files symjit writes: major * 10000 + minor * 100 + patch."""

_HIDDEN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")

# Old files leave inputs out, and a rule adds them: so many of a node, and in all so much memory for their names and
# attributes. Auxiliary states of a real network take a few hundred bytes each.
_MOST_LEFT_OUT = 64
_MOST_ADDED = 8 << 20

_LISTED = 10


@dataclass(slots=True, eq=False)
class Draft:
    """A node of a file: `symjit.ir.graph.Node`, still open to changes.

    Attributes:
        op: name of the operator, None for a variable.
        name: the node's name.
        attrs: attribute texts.
        param: the operator's attributes where the file keeps them apart (0.8 and before).
        inputs: what the operator is applied to.
        control_deps: nodes that come before it.
        subgraphs: finished graphs of a control-flow operator.
        made: the node that it became.
    """

    op: str | None
    name: str
    attrs: dict[str, str] = field(default_factory=dict)
    param: dict[str, str] | None = None
    inputs: list[Link] = field(default_factory=list, repr=False)
    control_deps: Sequence[Draft] = field(default=(), repr=False)
    subgraphs: tuple[Graph, ...] = ()
    made: Node | None = None


class Link(NamedTuple):
    """Output `index` of a draft."""

    node: Draft
    index: int = 0
    version: int = 0


class Rule(NamedTuple):
    """An upgrade rule.

    Attributes:
        name: name of its function.
        below: it applies to files of versions below this one, None for files of every version.
        apply: changes the drafts, given with inputs before users; returns whether it changed any.
    """

    name: str
    below: int | None
    apply: Callable[[list[Draft]], bool]


RULES: list[Rule] = []
"""Every rule, in the order in which they are applied."""


def upgrade(nodes: list[Draft], version: int) -> tuple[str, ...]:
    """Apply to the drafts of a file the rules that its version calls for.

    Args:
        nodes: the drafts that the heads depend on, inputs before users; changed in place.
        version: the version of MXNet that wrote the file.

    Returns:
        Names of the rules that changed something.

    Raises:
        MXNetError: an operator does not accept its attributes.
    """
    return tuple(rule.name for rule in RULES if (rule.below is None or version < rule.below) and rule.apply(nodes))


def attributes(operator: Op, attrs: dict[str, str]) -> Any:
    """Return the typed attributes of a node, as MXNet reads them.

    An operator without attributes has no parser in MXNet: whatever stands there is kept and has no effect.

    Raises:
        MXNetError: the operator does not accept them.
    """
    return operator.parse_attrs(attrs if operator.attrs or operator.ignored else {}, passing=True)


def _rule(below: int | None) -> Callable[[Callable[[list[Draft]], bool]], Callable[[list[Draft]], bool]]:
    def declare(apply: Callable[[list[Draft]], bool]) -> Callable[[list[Draft]], bool]:
        RULES.append(Rule(apply.__name__, below, apply))
        return apply

    return declare


@_rule(below=None)
def merge_param(nodes: list[Draft]) -> bool:
    """Put the ``param`` of a 0.8 file among the attributes; an attribute of the same name stays."""
    changed = False
    for node in nodes:
        if node.param:
            before = len(node.attrs)
            for key, text in node.param.items():
                node.attrs.setdefault(key, text)
            changed |= len(node.attrs) > before
        node.param = None
    return changed


@_rule(below=CURRENT)
def restore_hidden_keys(nodes: list[Draft]) -> bool:
    """Spell ``lr_mult`` and its kin ``__lr_mult__``, on the variable they were meant for.

    ``lr_mult`` itself is the node's own. ``weight_lr_mult`` goes to the variable that is the operator's input
    ``weight``; where there is none it stays as it is, for `parse_attributes` to refuse.
    """
    changed = False
    for node in nodes:
        hidden = [(key, key.removesuffix(end), end) for key in node.attrs for end in _HIDDEN if key.endswith(end)]
        if not hidden:
            continue
        texts = [node.attrs.pop(key) for key, _, _ in hidden]
        variables = _input_variables(node) if any(len(prefix) > 1 for _, prefix, _ in hidden) else {}
        for (key, prefix, end), text in zip(hidden, texts, strict=True):
            owner = node if not prefix else variables.get(prefix[:-1])
            if owner is None:
                node.attrs[key] = text
            else:
                owner.attrs[f"__{end}__"] = text
                changed = True
    return changed


@_rule(below=None)
def parse_attributes(nodes: list[Draft]) -> bool:
    """Refuse attributes that their operators do not accept, those of all nodes at once; change nothing."""
    refused = []
    for node in _with_subgraphs(nodes):
        operator = _operator(node)
        if operator is not None:
            try:
                attributes(operator, node.attrs)
            except MXNetError as error:
                refused.append(f"node {shown(node.name)}: {error}")
    if refused:
        more = [f"and {len(refused) - _LISTED} more"] if len(refused) > _LISTED else []
        count = "a node has" if len(refused) == 1 else f"{len(refused)} nodes have"
        listed = "; ".join([*refused[:_LISTED], *more])
        own = " An attribute of your own must be spelled __name__." if ": unknown attribute " in listed else ""
        raise MXNetError(
            f"{count} attributes that MXNet does not accept: {listed}.{own} Correct them in the file, or save it again"
            " where it was made"
        )
    return False


@_rule(below=900)
def add_hidden_variables(nodes: list[Draft]) -> bool:
    """Add the auxiliary states, which files before 0.9.0 leave out, as variables ``<node>_<input>``.

    They carry the node's attributes, as the variables do that MXNet adds when a symbol is composed.
    """
    complete: list[Draft] = []
    added = 0
    for node in nodes:
        operator = _operator(node)
        if operator is not None:
            for name in _input_names(node, operator)[len(node.inputs) :]:
                added += 512 + 4 * len(node.name) + 64 * len(node.attrs)
                if added > _MOST_ADDED:
                    raise MXNetError(
                        f"node {shown(node.name)}: the variables that the file leaves out up to here take more than"
                        f" {_MOST_ADDED} bytes"
                    )
                variable = Draft(None, f"{node.name}_{name}" if node.name else name, dict(node.attrs))
                node.inputs.append(Link(variable))
                complete.append(variable)
        complete.append(node)
    changed = len(complete) > len(nodes)
    nodes[:] = complete
    return changed


@_rule(below=904)
def set_initial_values(nodes: list[Draft]) -> bool:
    """Give the variables their ``__init__``, which MXNet kept in its Python code before 0.9.4."""
    changed = False
    for node in nodes:
        operator = _operator(node)
        if operator is None or not operator.init:
            continue
        for name, variable in _input_variables(node).items():
            if name in operator.init and "__init__" not in variable.attrs:
                variable.attrs["__init__"] = operator.init[name]
                changed = True
    return changed


@_rule(below=905)
def flatten_argmax(nodes: list[Draft]) -> bool:
    """Drop ``axis=-1`` of ``argmax`` and ``argmin``: before 0.9.5 it meant the flattened array."""
    changed = False
    for node in nodes:
        if node.op in ("argmax", "argmin") and node.attrs.get("axis") == "-1":
            del node.attrs["axis"]
            changed = True
    return changed


def _operator(node: Draft | Node) -> Op | None:
    return None if node.op is None else registry.lookup(node.op)


def _input_names(node: Draft, operator: Op) -> Sequence[str]:
    params = attributes(operator, node.attrs)
    count = getattr(params, operator.count) if operator.variadic else 0
    if count is not None and count > len(node.inputs) + _MOST_LEFT_OUT:
        raise MXNetError(
            f"node {shown(node.name)}: {operator.name}: {operator.count}={count}, but the node has {len(node.inputs)}"
            f" inputs: a file may leave out {_MOST_LEFT_OUT}"
        )
    return operator.input_names(params)


def _input_variables(node: Draft) -> dict[str, Draft]:
    """Return the inputs that are variables, by the operator's names of them."""
    operator = _operator(node)
    if operator is None:
        return {}
    try:
        names = _input_names(node, operator)
    except MXNetError:
        return {}  # parse_attributes refuses the node, together with others of its kind
    return {name: link.node for name, link in zip(names, node.inputs, strict=False) if link.node.op is None}


def _with_subgraphs(nodes: list[Draft]) -> Iterator[Draft | Node]:
    for node in nodes:
        yield node
        for graph in node.subgraphs:
            yield from graph.walk()
