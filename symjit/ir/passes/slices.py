"""Run the first layers on a few rows of a batch at a time, where what they hand on would not fit into the caches."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from symjit.ir.graph import Entry, Graph, Node, with_inputs
from symjit.ir.infer import Inference
from symjit.ir.rows import row_wise

__all__ = ["slice_batch"]

# What a node may read and write, in bytes for each core, before its batch is cut. Measured on a core with 0.5 MiB of
# its own and 32 MiB shared: image networks at batch 8 took 0.63 to 0.9 of their time; 3 and 24 MiB gave 0.64 to 0.93.
_MOST = 12 << 20


def slice_batch(
    graph: Graph,
    parameters: Collection[str],
    specs: Inference,
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, Any],
    most: int | None = None,
) -> Graph:
    """Return an inference graph whose first nodes run on slices of the batch, one slice after the other.

    These are the nodes that treat rows one by one, depend on other such nodes alone, and move more data than weights:
    a weight is read once for each slice.

    Args:
        graph: an inference graph, its layout settled.
        parameters: names of the variables that seldom change; all others are expected to have a row for each of the
            batch, or nothing is done.
        specs: shapes of `graph`.
        shapes: shapes of its variables.
        dtypes: dtypes of its variables.
        most: how many bytes a node may read and write at a time.
    """
    inputs = {node.name: tuple(shapes[node.name]) for node in graph.variables if node.name not in parameters}
    sizes = {shape[0] if shape else 0 for shape in inputs.values()}
    if len(sizes) != 1 or max(sizes) < 2:
        return graph
    (batch,) = sizes
    most = _MOST * _cores() if most is None else most
    moved = _Sizes(graph, specs)
    if all(moved.data(node) <= most for node in graph.nodes if node.op is not None):
        return graph
    rest = {name: shape for name, shape in shapes.items() if name not in inputs}
    rows = row_wise(graph, inputs, rest, dtypes)
    marked: set[int] = set()
    for node in graph.nodes:
        if id(node) not in rows:
            continue
        if node.op is None or (_may(node, marked, rows) and moved.weights(node) <= moved.data(node)):
            marked.add(id(node))
    widest = max((moved.data(node) for node in graph.nodes if node.op is not None and id(node) in marked), default=0)
    if widest <= most:
        return graph
    at_once = max(d for d in range(1, batch) if batch % d == 0 and (d == 1 or d * widest <= most * batch))

    def visit(node: Node, entries: tuple[Entry, ...]) -> Node:
        made = with_inputs(node, entries)
        return made.replace(slices=batch // at_once) if id(node) in marked else made

    return graph.rewrite(visit)


def _may(node: Node, marked: set[int], rows: frozenset[int]) -> bool:
    """Return whether a node can run on a slice: what it reads is sliced, or the same for all rows."""
    if node.subgraphs or node.operator.draws(node.params, False):
        return False
    below = [id(entry.node) for entry in node.inputs]
    return any(each in marked for each in below) and all(each in marked or each not in rows for each in below)


class _Sizes:
    """Bytes that nodes read and write."""

    def __init__(self, graph: Graph, specs: Inference) -> None:
        self._specs = specs
        self._read = {(id(e.node), e.index) for e in (*graph.heads, *(e for node in graph.nodes for e in node.inputs))}

    def data(self, node: Node) -> int:
        """Return the bytes of a node's first input and of the outputs that are read."""
        outputs = [Entry(node, i) for i in range(node.num_outputs) if (id(node), i) in self._read]
        return sum(map(self._bytes, (*node.inputs[:1], *outputs)))

    def weights(self, node: Node) -> int:
        """Return the bytes of a node's other inputs."""
        return sum(map(self._bytes, node.inputs[1:])) if node.operator.params else 0

    def _bytes(self, entry: Entry) -> int:
        spec = self._specs.spec(entry)
        return math.prod(spec.shape) * np.dtype(spec.dtype).itemsize


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
