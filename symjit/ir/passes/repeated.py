"""Common subexpressions: what is computed twice is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symjit.ir.graph import Entry, Graph, Node, with_inputs

__all__ = ["merge_repeated"]


def merge_repeated(graph: Graph, *, train: bool = False) -> Graph:
    """Return the graph with nodes of equal operator, attributes and inputs merged.

    Operators that draw random numbers, update auxiliary states in training, or hold subgraphs stay as they are.
    """
    kept: dict[Any, Node] = {}

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node | Sequence[Entry]:
        made = with_inputs(node, inputs)
        if node.op is None:
            return made
        operator, attrs = node.operator, node.params
        if operator.draws(attrs, train) or (operator.aux and train) or node.subgraphs:
            return made
        key = (operator.name, attrs, tuple((id(entry.node), entry.index) for entry in inputs))
        return kept.setdefault(key, made)

    return graph.rewrite(visit)
