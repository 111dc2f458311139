"""Which nodes treat the rows of a batch one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symjit.base import MXNetError
from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.infer import infer

__all__ = ["row_wise", "rows_independent"]

#: A batch size that no layer is likely to have as one of its own dimensions.
_PROBE = 29


def rows_independent(
    graph: Graph, inputs: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]]
) -> bool:
    """Return whether row i of every output depends on row i of the inputs alone, so that a batch may be padded.

    Args:
        graph: the graph.
        inputs: shapes of the batched inputs by name; their first dimension is the batch.
        shapes: shapes of all other variables.
    """
    found = row_wise(graph, inputs, shapes)
    return all(id(head.node) in found for head in graph.heads)


def row_wise(
    graph: Graph,
    inputs: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, Any] | None = None,
) -> frozenset[int]:
    """Return ``id`` of the nodes, inputs included, row i of whose outputs depends on row i of the inputs alone.

    Args:
        graph: the graph.
        inputs: shapes of the batched inputs by name; their first dimension is the batch.
        shapes: shapes of all other variables.
        dtypes: dtypes of variables.

    Returns:
        Nodes that depend on no input are not among them, but for constants of one row for each row of the batch, such
        as a state of zeros. Nothing if the graph holds for one batch size only.
    """
    try:
        probe = {name: (_PROBE, *shape[1:]) for name, shape in inputs.items()}
        found = infer(graph, {**shapes, **probe}, dtypes or {}, train=False, trust=True)
        if found.missing():
            return frozenset()
    except MXNetError:
        return frozenset()
    read = {(id(e.node), e.index) for e in (*graph.heads, *(e for node in graph.nodes for e in node.inputs))}
    batched: set[int] = set()
    mixed: set[int] = set()
    for node in graph.nodes:
        if node.op is None:
            if node.name in inputs:
                batched.add(id(node))
            continue
        # What nobody reads (the statistics of BatchNorm) may have any shape.
        outputs = [Entry(node, i) for i in range(node.num_outputs) if (id(node), i) in read]
        verdict = _visit(node, batched, outputs, lambda entry: found.shape(entry) or ())
        if verdict is None or any(id(entry.node) in mixed for entry in node.inputs):
            mixed.add(id(node))
        elif verdict:
            batched.add(id(node))
    return frozenset(batched)


def _visit(node: Node, batched: set[int], read: list[Entry], shape: Callable[[Entry], tuple[Any, ...]]) -> bool | None:
    """Return whether the outputs that are read are batched, None if the node mixes rows."""
    outputs = [shape(entry) for entry in read]
    operator, attrs = node.operator, node.params
    carried = [entry for entry in node.inputs if id(entry.node) in batched]
    if not carried:
        # A constant whose first dimension was left to inference (an initial state) is the same in every row.
        wanted = getattr(attrs, "shape", None)
        return not node.inputs and bool(wanted) and wanted[0] == 0 and outputs[0][:1] == (_PROBE,)
    if not operator.keeps_rows(attrs) or any(out[:1] != (_PROBE,) for out in outputs):
        return None
    if operator.layout_kind == "agnostic" and any(len(shape(e)) != len(outputs[0]) for e in carried):
        return None
    return True
