"""Nodes, entries and graphs.

A graph is a tuple of head entries; everything else is reached from them. Nodes are immutable and shared between
graphs, so composing symbols copies nothing. No function here recurses over a graph: an unrolled network is tens of
thousands of nodes deep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple

from symjit.base import MXNetError, plain, shown
from symjit.ops import registry
from symjit.ops.registry import Op

__all__ = ["Entry", "Graph", "Node", "Unsupported", "topological", "with_inputs"]


class Entry(NamedTuple):
    """Output `index` of a node; `version` is carried for JSON alone."""

    node: Node
    index: int = 0
    version: int = 0


# Characters of an attribute's text that a node remembers parsed.
_REMEMBERED = 128


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Node:
    """An operator application, or a variable.

    Attributes:
        op: name of the operator as JSON has it, None for a variable.
        name: the node's name; operator nodes need not have unique ones.
        attrs: attribute texts as given, the operator's own and ``__x__`` ones of the node.
        inputs: what it is applied to, in the operator's order.
        control_deps: nodes that MXNet runs before it; kept for JSON, they carry no data.
        subgraphs: graphs of a control-flow operator.
        slices: into how many pieces the batch is cut where this runs (`symjit.ir.passes.slices`), or, of a variable,
            where nodes that are cut read it; 1 for the batch as a whole. Made by the compiler alone, not kept in JSON.
    """

    op: str | None
    name: str
    attrs: dict[str, str] = field(default_factory=dict)
    inputs: tuple[Entry, ...] = ()
    control_deps: tuple[Node, ...] = ()
    subgraphs: tuple[Graph, ...] = ()
    slices: int = 1
    _params: Any = field(default=None, init=False, repr=False)

    @property
    def is_variable(self) -> bool:
        """Whether this is a variable."""
        return self.op is None

    @property
    def operator(self) -> Op:
        """The operator.

        Raises:
            MXNetError: it is not supported.
        """
        found = registry.lookup(self.op or "")
        if found is None:
            raise MXNetError(f"node {shown(self.name)}: unknown or unsupported operator {shown(self.op)}")
        return found

    @property
    def params(self) -> Any:
        """The typed attributes of the operator.

        Raises:
            MXNetError: an attribute is unknown, missing or out of range; the message names the node.
        """
        if self._params is not None:
            return self._params
        operator = self.operator
        # MXNet has no parser for an operator without attributes, so files may hold anything there.
        attrs = self.attrs if operator.attrs or operator.ignored else {}
        try:
            found = operator.parse_attrs(attrs)
        except MXNetError as error:
            raise MXNetError(f"node {shown(self.name)}: {error}") from None
        # A file may be full of long texts, and what is parsed of them takes several times the room.
        if all(len(text) <= _REMEMBERED for text in attrs.values()):
            object.__setattr__(self, "_params", found)
        return found

    def edit(self, attrs: Mapping[str, str], name: str | None = None) -> None:
        """Change attribute texts and the name in place, for all graphs that share the node."""
        self.attrs.update(attrs)
        object.__setattr__(self, "_params", None)
        if name is not None:
            object.__setattr__(self, "name", name)

    @property
    def num_outputs(self) -> int:
        """Number of outputs, hidden ones included."""
        return 1 if self.op is None else self.operator.num_outputs(self.params)

    @property
    def num_visible(self) -> int:
        """Number of outputs that a user sees."""
        return 1 if self.op is None else self.operator.num_visible(self.params)

    def output_name(self, index: int) -> str:
        """Return MXNet's name of an output, ``fc1_output``."""
        if self.op is None:
            return self.name
        return f"{self.name}_{self.operator.output_names(self.params)[index]}"

    def replace(self, **changes: Any) -> Node:
        """Return a copy with some fields changed."""
        return Node(**{**{x.name: getattr(self, x.name) for x in fields(self) if x.init}, **changes})

    def __repr__(self) -> str:
        return f"<Node {self.op or 'null'} {self.name}>"


# So many operators are described in a message; `Unsupported.nodes` has them all.
_LISTED = 20


class Unsupported(MXNetError):
    """A graph holds operators that are not supported.

    Attributes:
        nodes: node names by operator.
    """

    def __init__(self, nodes: Mapping[str, Sequence[str]], source: str = "this graph") -> None:
        """Describe the operators of `source` with counts and the names of their first nodes."""
        self.nodes = dict(nodes)
        listed = "; ".join(
            f"{plain(op)} x{len(names)} ({', '.join(map(plain, names[:3]))}{', ...' if len(names) > 3 else ''})"
            for op, names in sorted(self.nodes.items())[:_LISTED]
        )
        count = len(self.nodes)
        if count > _LISTED:
            listed += f"; and {count - _LISTED} more operators"
        super().__init__(
            f"{count} operator{'s' * (count != 1)} of {source} {'are' if count != 1 else 'is'} not supported:"
            f" {listed}. See docs/operators.md for the supported operators"
        )


class Graph:
    """A set of head entries and all that they depend on."""

    def __init__(self, heads: Iterable[Entry], attrs: Mapping[str, Any] | None = None) -> None:
        """Make the graph of `heads`; `attrs` are graph-level JSON attributes, kept as they are."""
        self.heads = tuple(heads)
        self.attrs = dict(attrs or {})

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes, heads {', '.join(self.output_names)}>"

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, inputs before users, in the depth-first order that MXNet's files have."""
        return tuple(topological(entry.node for entry in self.heads))

    @cached_property
    def variables(self) -> tuple[Node, ...]:
        """The variables, in order."""
        return tuple(node for node in self.nodes if node.op is None)

    @cached_property
    def aux_nodes(self) -> frozenset[int]:
        """Identities (``id``) of the variables that some operator updates."""
        found = set()
        for node in self.nodes:
            operator = registry.lookup(node.op) if node.op is not None else None
            if operator is None or not operator.aux:
                continue
            for name, entry in zip(operator.input_names(node.params), node.inputs, strict=False):
                if name in operator.aux and entry.node.op is None:
                    found.add(id(entry.node))
        return frozenset(found)

    @cached_property
    def arguments(self) -> tuple[Node, ...]:
        """The variables that are not auxiliary states."""
        return tuple(node for node in self.variables if id(node) not in self.aux_nodes)

    @cached_property
    def aux_states(self) -> tuple[Node, ...]:
        """The variables that operators update in a training forward."""
        return tuple(node for node in self.variables if id(node) in self.aux_nodes)

    @property
    def output_names(self) -> list[str]:
        """MXNet's names of the heads."""
        known: dict[int, Sequence[str]] = {}  # by node, because an operator names all of its outputs at once
        for node, _, _ in self.heads:
            if node.op is not None and id(node) not in known:
                known[id(node)] = node.operator.output_names(node.params)
        return [
            node.name if node.op is None else f"{node.name}_{known[id(node)][index]}" for node, index, _ in self.heads
        ]

    def internals(self) -> Graph:
        """Return the graph whose heads are all visible outputs of all nodes, in order."""
        return Graph([Entry(node, i) for node in self.nodes for i in range(node.num_visible)], self.attrs)

    def unsupported(self) -> dict[str, list[str]]:
        """Return the unsupported operators with the names of their nodes, subgraphs included."""
        found: dict[str, list[str]] = {}
        for node in self.walk():
            if node.op is not None and registry.lookup(node.op) is None:
                found.setdefault(node.op, []).append(node.name)
        return found

    def require_supported(self, source: str = "this graph") -> None:
        """Raise `Unsupported` with every unsupported operator at once, or return; `source` is what messages name."""
        found = self.unsupported()
        if found:
            raise Unsupported(found, source)

    def walk(self) -> Iterator[Node]:
        """Yield all nodes, those of subgraphs too."""
        pending: list[Graph] = [self]
        while pending:
            graph = pending.pop()
            for node in graph.nodes:
                yield node
                pending.extend(node.subgraphs)

    def op_counts(self) -> Counter[str]:
        """Return how many nodes each operator has, subgraphs included."""
        return Counter(node.op for node in self.walk() if node.op is not None)

    def rewrite(self, visit: Callable[[Node, tuple[Entry, ...]], Node | Sequence[Entry]]) -> Graph:
        """Return the graph with every node replaced by what `visit` makes of it.

        Args:
            visit: called with a node and its already rewritten inputs, in topological order; returns the new node, or
                one entry per output of the old one. A node that needs no change is returned as it is.
        """
        made: dict[int, Node | Sequence[Entry]] = {}

        def moved(entry: Entry) -> Entry:
            new = made[id(entry.node)]
            return Entry(new, entry.index, entry.version) if isinstance(new, Node) else new[entry.index]

        for node in self.nodes:
            inputs = tuple(moved(entry) for entry in node.inputs)
            made[id(node)] = visit(node, inputs)
        return Graph([moved(entry) for entry in self.heads], self.attrs)


def with_inputs(node: Node, inputs: tuple[Entry, ...]) -> Node:
    """Return `node` with these inputs, itself if they are its own."""
    same = len(inputs) == len(node.inputs) and all(
        a.node is b.node and a.index == b.index for a, b in zip(inputs, node.inputs, strict=True)
    )
    return node if same else node.replace(inputs=inputs)


def topological(roots: Iterable[Node]) -> list[Node]:
    """Return the nodes that `roots` depend on, inputs first, depth first in input order.

    Raises:
        MXNetError: the nodes depend on each other in a circle.
    """
    order: list[Node] = []
    state: dict[int, bool] = {}  # False while a node's inputs are being visited, True once it is in the order
    for root in roots:
        if id(root) in state:
            continue
        state[id(root)] = False
        stack = [(root, _dependencies(root))]
        while stack:
            node, pending = stack[-1]
            for below in pending:
                seen = state.get(id(below))
                if seen is None:
                    state[id(below)] = False
                    stack.append((below, _dependencies(below)))
                    break
                if not seen:
                    raise MXNetError(f"node {shown(below.name)} depends on itself")
            else:
                state[id(node)] = True
                order.append(node)
                stack.pop()
    return order


def _dependencies(node: Node) -> Iterator[Node]:
    for entry in node.inputs:
        yield entry.node
    yield from node.control_deps
