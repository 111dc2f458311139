"""Fold affine maps of channels (BatchNorm at inference) into the parameters of the layer before or after them.

Those that are left become a product and a sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from symjit.ir.graph import Entry, Graph, Node, with_inputs
from symjit.ir.infer import Inference
from symjit.ir.passes.parameters import constant_nodes
from symjit.ops.derived import Folding

__all__ = ["fold_affine"]

# float16 parameters would be rounded once more, and BatchNorm keeps its own in float32.
_LEAST_BYTES = 4


def fold_affine(graph: Graph, parameters: Collection[str], specs: Inference) -> Graph:
    """Return an inference graph with affine maps folded into the layer before them, or else the one after them.

    A map is folded if its parameters are constant, nothing else reads what it would change, and the layer has channels
    on the same axis (facts ``affine`` and ``absorbs``). The new parameters are nodes that depend
    on `parameters` alone; `symjit.ir.passes.parameters.hoist` computes them once.

    Args:
        graph: an inference graph.
        parameters: names of the variables that count as constant.
        specs: shapes and dtypes of `graph`.
    """
    folded, ranks = _fold_after(graph, parameters, specs)
    return _apply(_fold_before(folded, ranks, parameters), ranks, parameters)


class _Users:
    def __init__(self, graph: Graph) -> None:
        entries = [entry for node in graph.nodes for entry in node.inputs] + list(graph.heads)
        self.counts = Counter((id(entry.node), entry.index) for entry in entries)

    def alone(self, node: Node) -> bool:
        """Return whether output 0 has one user and no other output has any."""
        uses = [self.counts[id(node), i] for i in range(node.num_outputs)]
        return uses[0] == 1 and not any(uses[1:])

    def first_only(self, node: Node) -> bool:
        """Return whether no output but the first is used."""
        return not any(self.counts[id(node), i] for i in range(1, node.num_outputs))


def _affine(node: Node, constant: Collection[int], users: _Users) -> bool:
    return (
        node.op is not None
        and node.operator.affine is not None
        and users.first_only(node)
        and all(id(entry.node) in constant for entry in node.inputs[1:])
    )


def _axis(folding: Folding | None, node: Node, rank: int, constant: Collection[int]) -> int | None:
    if folding is None or any(id(entry.node) not in constant for entry in node.inputs[1:]):
        return None
    return folding.axis(node.params, rank)


def _folded(layer: Node, inputs: tuple[Entry, ...], folding: Folding, maps: Node, data: Entry, name: str) -> Node:
    """Return the layer with new parameters, on `data`."""
    weight, *bias = inputs[1:]
    attrs = {**layer.attrs, **folding.changes}
    params = Node(folding.op.name, layer.name, layer.attrs, (weight, Entry(maps, 0), Entry(maps, 1), *bias))
    return Node(layer.op, name, attrs, (data, Entry(params, 0), Entry(params, 1)))


def _maps(node: Node, inputs: tuple[Entry, ...]) -> Node:
    affine = node.operator.affine
    assert affine is not None
    return Node(affine.op.name, node.name, node.attrs, inputs[1:])


def _fold_after(graph: Graph, parameters: Collection[str], specs: Inference) -> tuple[Graph, dict[int, Any]]:
    """Fold maps into the layer before them; also return the ranks of nodes' outputs in the new graph, where known."""
    constant, users = constant_nodes(graph, parameters), _Users(graph)
    ranks: dict[int, Any] = {}

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node | Sequence[Entry]:
        made = with_inputs(node, inputs)
        shape, dtype = specs.shape(Entry(node)), specs.dtype(Entry(node))
        if shape is not None and dtype is not None:
            ranks[id(made)] = (len(shape), dtype)
        if not _affine(node, constant, users):
            return made
        # `layer` is the old node, whose inputs tell what is constant; `below` is what it has become.
        layer, below = node.inputs[0].node, inputs[0].node
        if layer.op is None or node.inputs[0].index != 0 or not users.alone(layer) or below.op != layer.op:
            return made
        if shape is None or dtype is None or dtype.itemsize < _LEAST_BYTES:
            return made
        folding = layer.operator.absorbs.get("after")
        axis = _axis(folding, layer, len(shape), constant)
        if folding is None or axis is None or axis != node.operator.affine.axis(node.params, len(shape)):  # type: ignore[union-attr]
            return made
        ranks.pop(id(made), None)
        new = _folded(below, below.inputs, folding, _maps(node, inputs), below.inputs[0], layer.name)
        ranks[id(new)] = (len(shape), dtype)
        # The map's other outputs have no user; they are given the first in their place.
        return [Entry(new)] * node.num_outputs

    return graph.rewrite(visit), ranks


def _fold_before(graph: Graph, ranks: dict[int, Any], parameters: Collection[str]) -> Graph:
    """Fold maps into the layer after them."""
    constant, users = constant_nodes(graph, parameters), _Users(graph)

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node | Sequence[Entry]:
        made = with_inputs(node, inputs)
        folding = None if node.op is None else node.operator.absorbs.get("before")
        if folding is None:
            return made
        data = node.inputs[0].node
        if not _affine(data, constant, users) or not users.alone(data) or node.inputs[0].index != 0:
            return made
        rank, dtype = ranks.get(id(data), (None, None))
        if rank is None or dtype.itemsize < _LEAST_BYTES:
            return made
        axis = _axis(folding, node, rank, constant)
        if axis is None or axis != data.operator.affine.axis(data.params, rank):  # type: ignore[union-attr]
            return made
        below = inputs[0].node
        return _folded(node, inputs, folding, _maps(data, below.inputs), below.inputs[0], node.name)

    return graph.rewrite(visit)


def _apply(graph: Graph, ranks: dict[int, Any], parameters: Collection[str]) -> Graph:
    """Compute the scale and shift of the maps that are left outside."""
    constant, users = constant_nodes(graph, parameters), _Users(graph)

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node | Sequence[Entry]:
        made = with_inputs(node, inputs)
        _, dtype = ranks.get(id(node), (None, None))
        if dtype is None or dtype.itemsize < _LEAST_BYTES or not _affine(node, constant, users):
            return made
        maps = _maps(node, inputs)
        apply = node.operator.affine.apply  # type: ignore[union-attr]
        new = Node(apply.name, node.name, node.attrs, (inputs[0], Entry(maps, 0), Entry(maps, 1)))
        return [Entry(new)] * node.num_outputs

    return graph.rewrite(visit)
