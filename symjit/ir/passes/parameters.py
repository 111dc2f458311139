"""What depends on parameters alone is computed once, outside the compiled function."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from symjit.ir.graph import Entry, Graph, Node, with_inputs
from symjit.ops import registry

__all__ = ["Split", "constant_nodes", "hoist", "parameter_names"]


@dataclass(frozen=True)
class Split:
    """A graph cut in two.

    Attributes:
        graph: what is left; results of `prologue` are variables of it.
        prologue: computes these from the parameters.
        names: the variables that stand for the heads of `prologue`, in order; a parameter that is used as it is keeps
            its name and is no head.
    """

    graph: Graph
    prologue: Graph
    names: tuple[str, ...]
    keys: tuple[Any, ...]


def parameter_names(graph: Graph) -> list[str]:
    """Return the variables that are used as parameters or auxiliary states, and as nothing else."""
    used: dict[int, bool] = {}
    for node in graph.nodes:
        # Unsupported operators are left out rather than refused: `symjit inspect` looks at such graphs too.
        operator = registry.lookup(node.op) if node.op is not None else None
        if operator is None:
            continue
        for name, entry in zip(operator.input_names(node.params), node.inputs, strict=False):
            if entry.node.op is None:
                is_parameter = name in operator.params or name in operator.aux
                used[id(entry.node)] = used.get(id(entry.node), True) and is_parameter
    return [node.name for node in graph.variables if used.get(id(node), False)]


def constant_nodes(graph: Graph, parameters: Collection[str]) -> frozenset[int]:
    """Return ``id`` of the nodes that depend on `parameters` alone and draw no random numbers."""
    found: set[int] = set()
    for node in graph.nodes:
        if node.op is None:
            if node.name in parameters:
                found.add(id(node))
        elif node.inputs and not node.operator.draws(node.params, False):
            if all(id(entry.node) in found for entry in node.inputs):
                found.add(id(node))
    return frozenset(found)


def hoist(graph: Graph, parameters: Collection[str]) -> Split:
    """Split off the part of an inference graph that depends on `parameters` alone.

    Args:
        graph: an inference graph.
        parameters: names of variables whose values seldom change.
    """
    constant = constant_nodes(graph, parameters)
    taken = {node.name for node in graph.variables}
    heads: list[Entry] = []
    variables: dict[tuple[int, int], Entry] = {}

    def border(entry: Entry) -> Entry:
        """Return the variable that stands for a constant entry."""
        if entry.node.op is None:
            return entry
        place = (id(entry.node), entry.index)
        if place not in variables:
            name = f"{entry.node.name}#{entry.node.op}{entry.index}"
            while name in taken:
                name += "'"
            taken.add(name)
            heads.append(entry)
            variables[place] = Entry(Node(None, name))
        return variables[place]

    # Nodes of the constant part are visited too but not changed, so that `inputs` of the others still are the old ones
    # where they are constant.
    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node | Sequence[Entry]:
        if id(node) in constant:
            return node
        return with_inputs(
            node,
            tuple(
                border(old) if id(old.node) in constant else new for old, new in zip(node.inputs, inputs, strict=True)
            ),
        )

    rewritten = graph.rewrite(visit)
    kept = Graph([border(head) if id(head.node) in constant else head for head in rewritten.heads], graph.attrs)
    names = tuple(variables[id(entry.node), entry.index].node.name for entry in heads)
    return Split(kept, Graph(heads), names, _keys(heads))


def _keys(heads: list[Entry]) -> tuple[Any, ...]:
    keys: dict[int, Any] = {}
    for node in Graph(heads).nodes:
        below = tuple((keys[id(entry.node)], entry.index) for entry in node.inputs)
        keys[id(node)] = node.name if node.op is None else (node.op, node.params, below)
    return tuple((keys[id(entry.node)], entry.index) for entry in heads)
