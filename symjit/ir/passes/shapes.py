"""Write down the shapes that users decide, before passes change the users."""

from __future__ import annotations

from collections.abc import Callable

from symjit.base import MXNetError
from symjit.ir.graph import Entry, Graph, Node, with_inputs
from symjit.ir.infer import Inference
from symjit.ir.lower import is_open

__all__ = ["settle_shapes"]


def settle_shapes(graph: Graph, specs: Callable[[Graph], Inference]) -> Graph:
    """Return the graph with a shape given to every node that leaves its own to its users, such as a state of zeros.

    Args:
        graph: the graph.
        specs: infers shapes; called only if there is such a node.
    """
    if not any(is_open(node) for node in graph.nodes):
        return graph
    found = specs(graph)

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node:
        if not is_open(node) or node.operator.sized is None:
            return with_inputs(node, inputs)
        operator = node.operator
        texts = operator.format_attrs(operator.sized(node.params, found.spec(Entry(node)).shape))  # type: ignore[misc]
        try:
            operator.parse_attrs(texts)
        except MXNetError:
            # No attribute states the shape of a range that fills it: that node stays open.
            return node
        kept = {name: text for name, text in node.attrs.items() if name[:2] == "__"}
        return node.replace(attrs={**kept, **texts}, inputs=inputs)

    return graph.rewrite(visit)
