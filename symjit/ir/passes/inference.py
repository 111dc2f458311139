"""Cut a training graph down to what inference needs.

Loss heads become what their ``infer_as`` fact says, so their labels are asked for no more. Labels are found by their
role in the loss, whatever they are called and however they are reshaped on the way.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from symjit.ir.graph import Entry, Graph, Node, topological, with_inputs
from symjit.ops import registry

__all__ = ["Inference", "cut", "label_variables", "state_variables"]


@dataclass(frozen=True)
class Inference:
    """A graph cut down to inference.

    Attributes:
        graph: the graph.
        heads: for each of its heads, the number of the original one.
        labels: names of the label variables of the original graph.
    """

    graph: Graph
    heads: tuple[int, ...]
    labels: tuple[str, ...]


def _operator(node: Node) -> registry.Op | None:
    return registry.lookup(node.op) if node.op is not None else None


def _inputs_by_role(graph: Graph, role: str) -> tuple[list[Entry], list[Entry]]:
    """Return the inputs of operators that have the role, and the other inputs of the same operators."""
    having, others = [], []
    for node in graph.nodes:
        operator = _operator(node)
        if operator is None or role not in operator.role.values():
            continue
        for name, entry in zip(operator.input_names(node.params), node.inputs, strict=False):
            (having if operator.role.get(name) == role else others).append(entry)
    return having, others


def _variables_below(entries: list[Entry]) -> dict[int, Node]:
    return {id(node): node for node in topological(e.node for e in entries) if node.op is None}


def label_variables(graph: Graph, parameters: Collection[str] = ()) -> list[Node]:
    """Return the variables that only the label inputs of losses depend on.

    Args:
        graph: the graph.
        parameters: names of variables that are known to be parameters.
    """
    labels, data = _inputs_by_role(graph, "label")
    of_data = _variables_below(data)
    return [
        node for key, node in _variables_below(labels).items() if key not in of_data and node.name not in parameters
    ]


def state_variables(graph: Graph) -> list[Node]:
    """Return the variables that are directly the initial state of a recurrent operator."""
    return [e.node for e in _inputs_by_role(graph, "state")[0] if e.node.op is None]


def cut(graph: Graph, parameters: Collection[str] = ()) -> Inference:
    """Return the part of a graph that inference needs.

    Loss heads are replaced. Of the remaining heads, those that still depend on a label are dropped, unless that would
    leave none.

    Args:
        graph: a training or inference graph.
        parameters: names of variables that have a value already.
    """
    labels = label_variables(graph, parameters)
    label_ids = {id(node) for node in labels}

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node:
        operator = _operator(node)
        if operator is None or operator.infer_as is None:
            return with_inputs(node, inputs)
        name, attrs = operator.infer_as(node.params)
        kept = {key: value for key, value in node.attrs.items() if key[:2] == "__"}
        # A head that stands for itself reads its data in place of the label, at which a forward does not look.
        prediction = registry.get(name)
        count = len(prediction.input_names(prediction.parse_attrs(attrs)))
        return Node(name, node.name, {**kept, **attrs}, inputs[:1] * count)

    rewritten = graph.rewrite(visit)
    kept = [
        (i, head)
        for i, head in enumerate(rewritten.heads)
        if not any(id(node) in label_ids for node in topological([head.node]))
    ]
    if not kept:
        kept = list(enumerate(rewritten.heads))
    return Inference(
        Graph([head for _, head in kept], graph.attrs),
        tuple(i for i, _ in kept),
        tuple(node.name for node in labels),
    )
