"""Shape and dtype inference, both ways, to a fixpoint.

dtypes come from rules alone and are settled first. Shapes come from the operators' rules, which deduce parameters from
data and let shapes flow backwards, and from tracing the operator itself once all its inputs are known. Unknown is
``None`` here; MXNet's ``0`` and ``-1`` are translated at the border (`read_shape`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from symjit.base import MXNetError, np_dtype
from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.lower import call_node
from symjit.ops.attrs import Tuple, attr_type
from symjit.ops.registry import Op, known_inputs
from symjit.ops.shapes import PartialShape, known, read_shape, show, unify

__all__ = ["Inference", "infer"]

_SHAPE: Tuple = attr_type(tuple[int, ...])  # type: ignore[assignment]


class Inference:
    """What was inferred about a graph.

    Attributes:
        graph: the graph.
        shapes: partial shape of every entry by ``(id(node), index)``.
        dtypes: dtype of every entry.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes: dict[tuple[int, int], PartialShape] = {}
        self.dtypes: dict[tuple[int, int], np.dtype[Any] | None] = {}

    def shape(self, entry: Entry) -> PartialShape:
        """Return the partial shape of an entry."""
        return self.shapes.get((id(entry.node), entry.index))

    def dtype(self, entry: Entry) -> np.dtype[Any] | None:
        """Return the dtype of an entry."""
        return self.dtypes.get((id(entry.node), entry.index))

    def spec(self, entry: Entry) -> jax.ShapeDtypeStruct:
        """Return the known shape and dtype of an entry, as JAX writes them."""
        shape, dtype = self.shape(entry), self.dtype(entry)
        if shape is None or None in shape or dtype is None:
            raise MXNetError(f"the shape of {entry.node.output_name(entry.index)!r} is not known: {shape}")
        return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[arg-type]

    def missing(self) -> list[str]:
        """Return the names of the variables and heads whose shape is not fully known."""
        entries = [Entry(node) for node in self.graph.variables] + list(self.graph.heads)
        return [e.node.output_name(e.index) for e in entries if not known(self.shape(e))]


def infer(
    graph: Graph,
    shapes: Mapping[str, PartialShape] | None = None,
    dtypes: Mapping[str, Any] | None = None,
    *,
    train: bool = True,
    default_dtype: Any = "float32",
    trust: bool = False,
) -> Inference:
    """Infer all shapes and dtypes that follow from those given.

    Args:
        graph: the graph; its operators must be supported.
        shapes: partial shapes of variables by name; ``__shape__`` attributes count as well.
        dtypes: dtypes of variables by name; ``__dtype__`` attributes count where none is given.
        train: infer a training forward.
        trust: take the operators' rules at their word where they tell all shapes, which is many times faster than
            tracing the operators; for a graph that is known to be sound.
        default_dtype: dtype of variables about which nothing else is known; None leaves them open.

    Raises:
        MXNetError: an operator is not supported, or shapes or dtypes contradict each other; the message names the
            operator, the node and the input.
    """
    graph.require_supported()
    result = Inference(graph)
    _seed(result, shapes or {}, dtypes or {})
    users: dict[tuple[int, int], list[Node]] = {}
    for node in graph.nodes:
        for entry in node.inputs:
            users.setdefault((id(entry.node), entry.index), []).append(node)
    operators = [node for node in graph.nodes if node.op is not None]

    _fixpoint(operators, users, result.dtypes, lambda node: _visit_dtypes(node, result))
    if default_dtype is not None:
        for node in graph.variables:
            if result.dtypes[(id(node), 0)] is None:
                result.dtypes[(id(node), 0)] = np_dtype(default_dtype)
                _fixpoint(users.get((id(node), 0), []), users, result.dtypes, lambda node: _visit_dtypes(node, result))
    traced: set[int] = set()
    _fixpoint(operators, users, result.shapes, lambda node: _visit_shapes(node, result, traced, train, trust))
    return result


def _seed(result: Inference, shapes: Mapping[str, PartialShape], dtypes: Mapping[str, Any]) -> None:
    for node in result.graph.nodes:
        if node.op is not None:
            for i in range(node.num_outputs):
                result.shapes[(id(node), i)] = None
                result.dtypes[(id(node), i)] = None
            continue
        given = read_shape(shapes.get(node.name))
        if "__shape__" in node.attrs:
            try:
                noted = read_shape(_SHAPE.parse(node.attrs["__shape__"]))
            except ValueError as error:
                raise MXNetError(f"variable {node.name!r}: __shape__: {error}") from None
            # What the caller says wins over what the file notes: files carry the shapes of their training run.
            try:
                given = unify(given, noted)
            except ValueError:
                given = given or noted
        result.shapes[(id(node), 0)] = given
        dtype = dtypes.get(node.name)
        if dtype is None and "__dtype__" in node.attrs:
            text = node.attrs["__dtype__"]
            dtype = int(text) if text.lstrip("-").isdigit() else text
            dtype = None if dtype == -1 else dtype
        result.dtypes[(id(node), 0)] = None if dtype is None else np_dtype(dtype)


def _fixpoint(
    start: Iterable[Node],
    users: Mapping[tuple[int, int], list[Node]],
    table: dict[tuple[int, int], Any],
    visit: Callable[[Node], list[tuple[tuple[int, int], Any, Node]]],
) -> None:
    """Visit nodes until nothing changes; `visit` returns the changed entries with their new value and producer."""
    queue = deque(start)
    queued = {id(node) for node in queue}
    while queue:
        node = queue.popleft()
        queued.discard(id(node))
        for entry, value, producer in visit(node):
            table[entry] = value
            for other in (producer, *users.get(entry, ())):
                if other is not node and other.op is not None and id(other) not in queued:
                    queued.add(id(other))
                    queue.append(other)


def _entries(node: Node, operator: Op, attrs: Any) -> tuple[list[Entry], list[Entry]]:
    return list(node.inputs), [Entry(node, i) for i in range(operator.num_outputs(attrs))]


def _visit_dtypes(node: Node, result: Inference) -> list[tuple[tuple[int, int], Any, Node]]:
    operator, attrs = node.operator, node.params
    inputs, outputs = _entries(node, operator, attrs)
    have_in = [result.dtype(e) for e in inputs]
    have_out = [result.dtype(e) for e in outputs]
    names = _input_names(node, operator, attrs)
    if operator.dtype_rule is None:
        found = next((d for d in (*have_in, *have_out) if d is not None), None)
        if found is None:
            return []
        new_in, new_out = [found] * len(inputs), [found] * len(outputs)
    else:
        deduced = operator.dtype_rule(attrs, known_inputs(operator, attrs, have_in, have_out))
        new_in, new_out = _spread(deduced, names, len(outputs), operator.variadic)
    changes = []
    for label, entry, old, new in _rows(names, inputs, have_in, new_in, outputs, have_out, new_out):
        if new is None:
            continue
        new = np_dtype(new)
        if old is None:
            changes.append(((id(entry.node), entry.index), new, entry.node))
        elif old != new:
            raise MXNetError(
                f"{_where(node)}, {label}: dtype {new.name} expected, got {old.name} from"
                f" {entry.node.output_name(entry.index)!r}: convert one of the inputs with Cast(dtype=...)"
            )
    return changes


def _visit_shapes(
    node: Node, result: Inference, traced: set[int], train: bool, trust: bool
) -> list[tuple[tuple[int, int], Any, Node]]:
    if id(node) in traced:
        return []
    operator, attrs = node.operator, node.params
    inputs, outputs = _entries(node, operator, attrs)
    names = _input_names(node, operator, attrs)
    changes: dict[tuple[int, int], tuple[Any, Node]] = {}

    def settle(label: str, entry: Entry, new: PartialShape) -> None:
        where = (id(entry.node), entry.index)
        old = changes[where][0] if where in changes else result.shapes[where]
        try:
            merged = unify(old, new)
        except ValueError as error:
            raise MXNetError(
                f"{_where(node)}, {label} ({entry.node.output_name(entry.index)!r}): shape {show(new)} expected,"
                f" got {show(old)}: {error}. {_listing(node, names, result)}{_remedy(entry)}"
            ) from None
        if merged != old:
            changes[where] = (merged, entry.node)

    have_in = [result.shape(e) for e in inputs]
    have_out = [result.shape(e) for e in outputs]
    if operator.shape_rule is not None:
        try:
            deduced = operator.shape_rule(attrs, known_inputs(operator, attrs, have_in, have_out))
        except (ValueError, MXNetError) as error:
            raise MXNetError(f"{_where(node)}: {error}. {_listing(node, names, result)}") from None
        new_in, new_out = _spread(deduced, names, len(outputs), operator.variadic)
        for label, entry, _, new in _rows(names, inputs, have_in, new_in, outputs, have_out, new_out):
            settle(label, entry, new)

    def now(entry: Entry) -> PartialShape:
        where = (id(entry.node), entry.index)
        return changes[where][0] if where in changes else result.shapes[where]

    if trust and all(known(now(e)) and result.dtype(e) is not None for e in (*inputs, *outputs)):
        traced.add(id(node))
    elif (
        not operator.is_open(attrs)
        and all(known(now(e)) for e in inputs)
        and all(result.dtype(e) is not None for e in inputs)
    ):
        specs = tuple((now(e), result.dtype(e)) for e in inputs)
        try:
            traced_outputs = _trace(node, specs, train)
        except (MXNetError, TypeError, ValueError) as error:
            raise MXNetError(f"{_where(node)}: {error}. {_listing(node, names, result)}") from None
        if traced_outputs is not None:
            traced.add(id(node))
            for i, (shape, dtype) in enumerate(traced_outputs):
                settle(f"output {i}", outputs[i], shape)
                result.dtypes[(id(node), i)] = dtype
    return [(where, value, producer) for where, (value, producer) in changes.items()]


def _trace(node: Node, specs: tuple[Any, ...], train: bool) -> Any:
    if node.subgraphs or any(not isinstance(dim, int) for shape, _ in specs for dim in shape):
        return _trace_now(node, specs, train)
    return _trace_cached(_Call(node), specs, train)


class _Call:
    """A node as a key: two nodes of one operator and attributes are traced alike."""

    __slots__ = ("key", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.key = (node.op, node.params)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self.key == other.key


@lru_cache(maxsize=8192)
def _trace_cached(call: _Call, specs: tuple[Any, ...], train: bool) -> Any:
    return _trace_now(call.node, specs, train)


def _trace_now(node: Node, specs: tuple[Any, ...], train: bool) -> Any:
    with jax.enable_x64(True):
        structs = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in specs]
        key = jax.eval_shape(lambda: jax.random.key(0)) if node.operator.needs_key else None
        outputs, _ = jax.eval_shape(lambda key, *xs: call_node(node, xs, key=key, train=train), key, *structs)
    return [(tuple(x.shape), np.dtype(x.dtype)) for x in outputs]


def _input_names(node: Node, operator: Op, attrs: Any) -> tuple[str, ...]:
    names = operator.input_names(attrs)
    if len(names) != len(node.inputs):
        raise MXNetError(f"{_where(node)}: expected {len(names)} inputs {names}, got {len(node.inputs)}")
    return names


def _spread(deduced: Mapping[str, Any], names: tuple[str, ...], outputs: int, variadic: bool) -> tuple[list, list]:
    out = deduced.get("out")
    if out is None:
        out = []
    elif isinstance(out, tuple) or not isinstance(out, list):
        out = [out]
    args = deduced.get("args") if variadic else None
    ins = list(args) if args else [deduced.get(name) for name in names]
    return ins, list(out) + [None] * (outputs - len(out))


def _rows(
    names: Any, inputs: list[Entry], have_in: list, new_in: list, outputs: list[Entry], have_out: list, new_out: list
) -> Iterable[tuple[str, Entry, Any, Any]]:
    for name, entry, old, new in zip(names, inputs, have_in, new_in, strict=True):
        yield f"input {name!r}", entry, old, new
    for i, (entry, old, new) in enumerate(zip(outputs, have_out, new_out, strict=True)):
        yield f"output {i}", entry, old, new


def _where(node: Node) -> str:
    return f"operator {node.op}, node {node.name!r}"


def _listing(node: Node, names: tuple[str, ...], result: Inference) -> str:
    shown = [
        f"{name} {show(result.shape(entry))} from {entry.node.output_name(entry.index)!r}"
        for name, entry in zip(names, node.inputs, strict=True)
    ]
    return "Inputs: " + (", ".join(shown) or "none")


def _remedy(entry: Entry) -> str:
    if entry.node.op is not None:
        return ""
    name = entry.node.name
    return f". Give {name!r} the shape expected (a shape not given is inferred), or mend what it must fit"
