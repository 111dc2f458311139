"""Choose among lowerings of equal meaning, by shape, dtype and platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symjit.ir.graph import Entry, Graph, Node, with_inputs
from symjit.ir.infer import Inference
from symjit.ops.derived import Strategy

__all__ = ["Choice", "applicable", "choose_strategies", "heuristic"]

#: ``(node, specs of its inputs) -> name of the strategy``, None for the operator's own lowering.
Choice = Callable[[Node, Sequence[Any]], str | None]


def applicable(node: Node, specs: Sequence[Any], platform: str, train: bool = False) -> list[Strategy]:
    """Return the strategies that apply to a node on inputs of these specs."""
    if node.op is None:
        return []
    found = node.operator.strategies.values()
    return [s for s in found if (s.trains or not train) and s.when(node.params, specs, platform)]


def heuristic(platform: str, train: bool) -> Choice:
    """Return the choice that the operator's own rule makes (the fact ``choose``)."""

    def choose(node: Node, specs: Sequence[Any]) -> str | None:
        rule = node.operator.choose
        return None if rule is None else rule(node.params, specs, platform, train)

    return choose


def _specs(node: Node, specs: Inference) -> list[Any]:
    """Return the specs of a node's inputs as it runs: on a slice of the batch, if that is cut."""
    names = node.operator.input_names(node.params)
    found = [specs.spec(entry) for entry in node.inputs]
    if node.slices == 1:
        return found
    return [
        spec if name in node.operator.params else spec.update(shape=(spec.shape[0] // node.slices, *spec.shape[1:]))
        for name, spec in zip(names, found, strict=True)
    ]


def choose_strategies(graph: Graph, specs: Inference, platform: str, choice: Choice, *, train: bool = False) -> Graph:
    """Return the graph with the lowering of every node that has several chosen by `choice`.

    A strategy that wants its weight prepared gets a node for that, which depends on the weight alone.

    Args:
        graph: the graph, its layout settled.
        specs: shapes and dtypes of `graph`.
        platform: ``"cpu"``, ``"gpu"`` or ``"tpu"``.
        choice: names the strategy; a name that does not apply to the node leaves it as it is.
        train: whether for a training forward.
    """

    def visit(node: Node, inputs: tuple[Entry, ...]) -> Node:
        made = with_inputs(node, inputs)
        if node.op is None or not node.operator.strategies:
            return made
        found = _specs(node, specs)
        possible = {strategy.name: strategy for strategy in applicable(node, found, platform, train)}
        chosen = possible.get(choice(node, found) or "") if possible else None
        if chosen is None:
            return made
        rest = list(inputs)
        if chosen.prepare is not None:
            prepared = Node(chosen.prepare.name, node.name, node.attrs, (inputs[1],))
            rest[1:2] = [Entry(prepared, i) for i in range(prepared.num_outputs)]
        return made.replace(op=chosen.op.name, inputs=tuple(rest))

    return graph.rewrite(visit)
