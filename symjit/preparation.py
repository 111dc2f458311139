"""Prepare parameters: the prologue of a graph (`symjit.ir.passes.parameters.hoist`).

On CPU it runs in NumPy as far as its operators can (the fact ``numpy``). It runs once for each set of parameters, so
compiling it does not pay: the transposes and products of ResNet-50's take 0.1 s there, and take XLA's compiler 2.5 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np

from symjit.ir.graph import Entry, Graph
from symjit.ir.lower import lower
from symjit.ndarray.mapped import private_copy

__all__ = ["Preparation"]


class Preparation:
    """A prologue that can be run.

    Attributes:
        graph: the prologue.
        parameters: names of the variables that it reads, in order.
        in_numpy: positions of the heads that NumPy computes; the others are compiled.
    """

    def __init__(self, graph: Graph, platform: str) -> None:
        self.graph = graph
        self.parameters = [node.name for node in (*graph.arguments, *graph.aux_states)]
        able = _able(graph) if platform == "cpu" else frozenset()
        self.in_numpy = [i for i, head in enumerate(graph.heads) if id(head.node) in able]

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """Return the values of the heads, on the device of the parameters.

        Args:
            values: the values of `parameters`, JAX or NumPy arrays.
        """
        given = dict(zip(self.parameters, values, strict=True))
        heads: list[Any] = [None] * len(self.graph.heads)
        compiled = [i for i in range(len(heads)) if i not in set(self.in_numpy)]
        if compiled:
            names, run = self._compiled
            for i, value in zip(compiled, run([given[name] for name in names]), strict=True):
                heads[i] = value
        if self.in_numpy:
            devices = {device for x in values if isinstance(x, jax.Array) for device in x.devices()}
            found = _by_numpy([self.graph.heads[i] for i in self.in_numpy], given)
            device = min(devices, key=lambda d: d.id) if devices else None
            for i, value in zip(self.in_numpy, jax.device_put(found, device), strict=True):
                heads[i] = value
        return heads

    @cached_property
    def _compiled(self) -> tuple[list[str], Callable[[list[Any]], Sequence[Any]]]:
        """Return what computes the heads that NumPy does not, and the names of what it takes."""
        lowered = lower(Graph([head for i, head in enumerate(self.graph.heads) if i not in set(self.in_numpy)]))
        count = len(lowered.arguments)
        return [*lowered.arguments, *lowered.aux_states], jax.jit(
            lambda values: lowered(values[:count], values[count:])[0]
        )


def _able(graph: Graph) -> frozenset[int]:
    """Return ``id`` of the nodes that NumPy can compute."""
    found: set[int] = set()
    for node in graph.nodes:
        if node.op is None or (node.operator.numpy and all(id(entry.node) in found for entry in node.inputs)):
            found.add(id(node))
    return frozenset(found)


def _by_numpy(heads: Sequence[Entry], given: Mapping[str, Any]) -> list[np.ndarray[Any, Any]]:
    """Return the values of heads, as arrays of their own that the CPU backend takes over.

    A value is freed after its last use, so that memory holds the results and one parameter on its way.
    """
    graph = Graph(heads)
    uses = Counter((id(e.node), e.index) for node in graph.nodes for e in node.inputs)
    positions: dict[tuple[int, int], list[int]] = {}
    for i, head in enumerate(heads):
        positions.setdefault((id(head.node), head.index), []).append(i)
    values: dict[tuple[int, int], Any] = {}
    results: list[Any] = [None] * len(heads)
    with np.errstate(all="ignore"):  # zeros and infinities are the checkpoint's, and XLA says nothing either
        for node in graph.nodes:
            if node.op is None:
                outputs: Sequence[Any] = (np.asarray(given[node.name]),)
            else:
                places = [(id(e.node), e.index) for e in node.inputs]
                outputs = node.operator.call(node.params, [values[place] for place in places])[0]
                for place in places:
                    uses[place] -= 1
                    if not uses[place]:
                        del values[place]
            for index, value in enumerate(outputs):
                place = (id(node), index)
                for i in positions.get(place, ()):
                    results[i] = private_copy(np.asarray(value))
                if uses[place]:
                    values[place] = value
    return results
