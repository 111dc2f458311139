"""Run image networks with the channels last inside, whatever the user sees.

Operators with the fact ``channels_last`` are faster so. Their neighbours follow as far as their layout rule lets them,
so that transposes are left at the borders alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.infer import Inference

__all__ = ["channels_last", "last_axes"]


def last_axes(rank: int) -> tuple[int, ...]:
    """Return the permutation that moves axis 1 to the end."""
    return (0, *range(2, rank), 1)


def _first_axes(rank: int) -> tuple[int, ...]:
    return (0, rank - 1, *range(1, rank - 1))


class _Forms:
    """Entries of the new graph that stand for an old one: as it was, and with the channels last."""

    def __init__(self, specs: Inference) -> None:
        self.specs = specs
        self._plain: dict[tuple[int, int], Entry] = {}
        self._last: dict[tuple[int, int], Entry] = {}

    def rank(self, entry: Entry) -> int | None:
        shape = self.specs.shape(entry)
        return None if shape is None else len(shape)

    def is_last(self, entry: Entry) -> bool:
        """Return whether only the form with the channels last has been computed so far."""
        place = (id(entry.node), entry.index)
        return place in self._last and place not in self._plain

    def put(self, old: Entry, new: Entry, last: bool) -> None:
        (self._last if last else self._plain)[id(old.node), old.index] = new

    def take(self, old: Entry, last: bool) -> Entry:
        """Return a form, transposing the other one if it is not there yet."""
        place = (id(old.node), old.index)
        wanted, other = (self._last, self._plain) if last else (self._plain, self._last)
        if place not in wanted:
            source = other[place]
            rank = self.rank(old)
            assert rank is not None
            axes = last_axes(rank) if last else _first_axes(rank)
            name = f"{source.node.name}_{'last' if last else 'first'}"
            wanted[place] = Entry(Node("transpose", name, {"axes": str(axes)}, (source,)))
        return wanted[place]


def channels_last(graph: Graph, specs: Inference, *, train: bool = False) -> Graph:
    """Return the graph with operators that are faster so, and those between them, on data with the channels last.

    Inputs and outputs keep their layout. Parameters of the data's rank (weights of convolutions) are transposed by
    nodes that depend on them alone.

    Args:
        graph: a graph for inference or training.
        specs: shapes of `graph`.
        train: whether for a training forward. What draws random numbers there stays as it is, or it would draw others.
    """
    forms = _Forms(specs)
    for node in graph.nodes:
        if node.op is None:
            forms.put(Entry(node), Entry(node), False)
            continue
        changed = _moved(node, forms, train)
        if changed is None:
            plain = tuple(forms.take(entry, False) for entry in node.inputs)
            same = all(a.node is b.node for a, b in zip(plain, node.inputs, strict=True))
            made = node if same else node.replace(inputs=plain, control_deps=())
            for i in range(node.num_outputs):
                forms.put(Entry(node, i), Entry(made, i), False)
            continue
        made, rank = changed
        for i in range(node.num_outputs):
            forms.put(Entry(node, i), Entry(made, i), forms.rank(Entry(node, i)) == rank)
    return Graph([forms.take(head, False) for head in graph.heads], graph.attrs)


def _moved(node: Node, forms: _Forms, train: bool) -> tuple[Node, int] | None:
    """Return the node on data with the channels last, and their rank; None where it stays as it is."""
    operator, attrs = node.operator, node.params
    names = operator.input_names(attrs)
    data = [e for name, e in zip(names, node.inputs, strict=True) if name not in operator.params | set(operator.aux)]
    if not data or node.subgraphs or operator.draws(attrs, train):
        return None
    if not (operator.channels_last or any(forms.is_last(entry) for entry in data)):
        return None
    rank = forms.rank(data[0])
    if rank not in (3, 4, 5) or any(forms.rank(entry) != rank for entry in data):
        return None
    moved = operator.relayout(attrs, last_axes(rank))
    if moved is None or forms.rank(Entry(node)) != rank:
        return None
    inputs = [
        _vector(forms.take(entry, False), rank)
        if name in operator.vectors and forms.rank(entry) == 1
        else forms.take(entry, forms.rank(entry) == rank)
        for name, entry in zip(names, node.inputs, strict=True)
    ]
    kept = {name: text for name, text in node.attrs.items() if name[:2] == "__"}
    return node.replace(attrs={**kept, **operator.format_attrs(moved)}, inputs=tuple(inputs), control_deps=()), rank


def _vector(entry: Entry, rank: int) -> Entry:
    """Return a vector of one number per channel, shaped to stand along the last axis."""
    shape: Sequence[int] = (1,) * (rank - 1) + (-1,)
    return Entry(Node("Reshape", f"{entry.node.name}_last", {"shape": str(tuple(shape))}, (entry,)))
