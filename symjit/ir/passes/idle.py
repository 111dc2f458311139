"""Take out what does nothing at inference: Dropout, BlockGrad, copies."""

from __future__ import annotations

from collections.abc import Sequence

from symjit.ir.graph import Entry, Graph, Node, with_inputs

__all__ = ["drop_idle"]


def drop_idle(graph: Graph) -> Graph:
    """Return an inference graph without the nodes that return their first input (the fact ``idle``).

    Source: MXNet keeps these nodes and runs them as copies.
    """

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node | Sequence[Entry]:
        idle = None if node.op is None else node.operator.idle
        if idle is not None and idle(node.params) and node.num_outputs == 1:
            return inputs[:1]
        return with_inputs(node, inputs)

    return graph.rewrite(visit)
