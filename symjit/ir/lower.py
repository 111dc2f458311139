"""Graph -> pure function of arrays."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
from jax import lax

from symjit.base import MXNetError
from symjit.ir.graph import Entry, Graph, Node
from symjit.ops.registry import Op

__all__ = ["Lowered", "call_node", "is_open", "lower"]


def call_node(
    node: Node,
    inputs: Sequence[Any],
    *,
    key: Any = None,
    train: bool = False,
    shape: tuple[int, ...] | None = None,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Run one node on JAX arrays; see `symjit.ops.registry.Op.call`.

    `shape` is the result's, for a node that leaves it to its users (`is_open`).
    """
    operator = node.operator
    attrs = node.params if shape is None or operator.sized is None else operator.sized(node.params, shape)
    subgraphs = [lower(graph) for graph in node.subgraphs] if operator.needs_subgraphs else ()
    return operator.call(attrs, inputs, key=key, train=train, subgraphs=subgraphs)


def is_open(node: Node) -> bool:
    """Return whether a node makes an array from attributes that leave its shape, or a part of it, to its users."""
    return node.op is not None and node.operator.is_open(node.params)


class Lowered:
    """A graph as a pure function.

    Attributes:
        graph: the graph.
        arguments: names of the arguments, in the order of `__call__`.
        aux_states: names of the auxiliary states, in order.
    """

    def __init__(self, graph: Graph) -> None:
        graph.require_supported()
        self.graph = graph
        self.arguments = [node.name for node in graph.arguments]
        self.aux_states = [node.name for node in graph.aux_states]
        # Names of operator nodes may repeat, so the n-th use of a name is part of what tells random streams apart.
        uses: Counter[str] = Counter()
        self._streams: dict[int, int] = {}
        for node in graph.nodes:
            if node.op is not None and node.operator.needs_key:
                self._streams[id(node)] = zlib.crc32(f"{node.name}#{uses[node.name]}".encode())
                uses[node.name] += 1
        self._draws = {
            train: any(n.operator.draws(n.params, train) for n in graph.nodes if id(n) in self._streams)
            for train in (False, True)
        }
        self._open = [node for node in graph.nodes if is_open(node)]
        self._before, self._cut, self._after = _stages(graph)
        self._alike = _alike(graph)

    def draws(self, train: bool) -> bool:
        """Return whether a forward draws random numbers."""
        return self._draws[train]

    def __call__(
        self,
        args: Sequence[Any],
        aux: Sequence[Any] = (),
        key: Any = None,
        train: bool = False,
        tap: Callable[[Node, Sequence[Any]], None] | None = None,
        enter: Callable[[Node, list[Any]], list[Any]] | None = None,
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Evaluate the graph.

        Args:
            args: the arguments in the order of `arguments`.
            aux: the auxiliary states in the order of `aux_states`.
            key: a JAX random key; needed where `draws`.
            train: whether this is a training forward.
            tap: called with every operator node and its outputs, while tracing.
            enter: called with every operator node and its inputs, while tracing; returns what the operator gets.

        Returns:
            ``(outputs, new_aux)``; in inference `new_aux` is `aux`.
        """
        values: dict[tuple[int, int], Any] = {}
        for node, value in zip(self.graph.arguments, args, strict=True):
            values[id(node), 0] = value
        for node, value in zip(self.graph.aux_states, aux, strict=True):
            values[id(node), 0] = value
        shapes = self._open_shapes(args, aux, train) if self._open else {}

        def run(nodes: Sequence[Node], values: dict[tuple[int, int], Any]) -> None:
            for node in nodes:
                self._run(node, values, key, train, shapes.get(id(node)), tap, enter)

        run(self._before, values)
        if self._cut:
            values.update(self._run_slices(values, run))
        run(self._after, values)
        outputs = tuple(values[id(entry.node), entry.index] for entry in self.graph.heads)
        return outputs, tuple(values[id(node), 0] for node in self.graph.aux_states)

    def _run(
        self,
        node: Node,
        values: dict[tuple[int, int], Any],
        key: Any,
        train: bool,
        shape: tuple[int, ...] | None,
        tap: Callable[[Node, Sequence[Any]], None] | None,
        enter: Callable[[Node, list[Any]], list[Any]] | None,
    ) -> None:
        """Run a node on what is in `values`, and put its outputs and new states there."""
        inputs = [values[id(entry.node), entry.index] for entry in node.inputs]
        if enter is not None:
            inputs = enter(node, inputs)
        stream = self._streams.get(id(node))
        node_key = None if stream is None or key is None else jax.random.fold_in(key, stream)
        try:
            with jax.named_scope(node.name or node.op or ""):
                if id(node) in self._alike and not train:
                    outputs, new_aux = _once(node.operator, node.params)(*inputs), ()
                else:
                    outputs, new_aux = call_node(node, inputs, key=node_key, train=train, shape=shape)
        except (MXNetError, TypeError, ValueError) as error:
            shapes = ", ".join(str(getattr(x, "shape", "?")) for x in inputs)
            raise MXNetError(f"operator {node.op}, node {node.name!r}, inputs {shapes}: {error}") from error
        for i, value in enumerate(outputs):
            values[id(node), i] = value
        if tap is not None:
            tap(node, outputs)
        if new_aux and train:
            # A state shared by two operators is updated by both, in order.
            names = node.operator.input_names(node.params)
            states = [e for name, e in zip(names, node.inputs, strict=True) if name in node.operator.aux]
            for entry, value in zip(states, new_aux, strict=True):
                values[id(entry.node), entry.index] = value

    def _run_slices(
        self,
        values: dict[tuple[int, int], Any],
        run: Callable[[Sequence[Node], dict[tuple[int, int], Any]], None],
    ) -> dict[tuple[int, int], Any]:
        """Return what the nodes that are cut hand on to the others, computed slice by slice."""
        count = self._cut[0].slices
        sliced = [(id(node), 0) for node in self.graph.variables if node.slices > 1]
        inside = {id(node) for node in self._cut}
        others = (*self.graph.heads, *(entry for node in self._after for entry in node.inputs))
        wanted = list(dict.fromkeys((id(e.node), e.index) for e in others if id(e.node) in inside))

        def body(rows: Sequence[Any]) -> list[Any]:
            local = {**values, **dict(zip(sliced, rows, strict=True))}
            run(self._cut, local)
            return [local[place] for place in wanted]

        rows = [x.reshape(count, x.shape[0] // count, *x.shape[1:]) for x in map(values.__getitem__, sliced)]
        results = lax.map(body, rows)
        return {place: x.reshape(-1, *x.shape[2:]) for place, x in zip(wanted, results, strict=True)}

    def _open_shapes(self, args: Sequence[Any], aux: Sequence[Any], train: bool) -> dict[int, tuple[int, ...]]:
        from symjit.ir.infer import infer  # infer traces nodes through this module

        values = [*zip(self.arguments, args, strict=True), *zip(self.aux_states, aux, strict=True)]
        found = infer(self.graph, {n: x.shape for n, x in values}, {n: x.dtype for n, x in values}, train=train)
        return {id(node): found.spec(Entry(node)).shape for node in self._open}


def _stages(graph: Graph) -> tuple[list[Node], list[Node], list[Node]]:
    """Return the operator nodes that run before those whose batch is cut, these, and those after them."""
    before: list[Node] = []
    cut: list[Node] = []
    after: list[Node] = []
    late: set[int] = set()
    for node in graph.nodes:
        if node.op is None:
            continue
        if node.slices > 1:
            cut.append(node)
        elif any(id(entry.node) in late for entry in node.inputs):
            after.append(node)
        else:
            before.append(node)
            continue
        late.add(id(node))
    return before, cut, after


@lru_cache(maxsize=1024)
def _once(operator: Op, attrs: Any) -> Callable[..., tuple[Any, ...]]:
    """Return an operator's inference forward as a function that JAX traces once for all inputs of the same shapes.

    XLA puts it back where it is called from, so that it compiles what it would have compiled.
    """

    def run(*inputs: Any) -> tuple[Any, ...]:
        return operator.call(attrs, inputs)[0]

    run.__name__ = operator.name.replace("@", "_")
    return jax.jit(run)


def _alike(graph: Graph) -> frozenset[int]:
    """Return ``id`` of the nodes that share operator and attributes with another one, and can be traced together."""
    groups: dict[Any, list[int]] = {}
    for node in graph.nodes:
        if node.op is None or node.subgraphs or not node.inputs:
            continue
        if not (node.operator.needs_key or node.operator.aux):
            groups.setdefault((node.op, node.params), []).append(id(node))
    return frozenset(key for group in groups.values() if len(group) > 1 for key in group)


def lower(graph: Graph) -> Lowered:
    """Return the graph as a pure function.

    Raises:
        symjit.ir.graph.Unsupported: some operators are not supported.
    """
    return Lowered(graph)
