"""Symbol JSON: from a file of any MXNet version to a `Graph`, and back to the bytes that MXNet 1.9.1 writes.

The reader trusts nothing: types, indices, cycles, nesting and attribute texts are checked before anything uses them,
nothing is evaluated, and every refusal is an `MXNetError` that names the file and the node.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from symjit.base import MXNetError, shown
from symjit.ir.graph import Entry, Graph, Node, topological, with_inputs
from symjit.ir.text import parse, read_file
from symjit.ir.upgrade import CURRENT, Draft, Link, attributes, merge_param, upgrade
from symjit.ops import registry
from symjit.ops.registry import Op

__all__ = ["Loaded", "dumps", "load", "loads"]

_NO_VERSION = 800
_DEEPEST = 32
_LARGEST_INDEX = 2**32 - 1

# Their attributes are addresses in the memory of the process that wrote the file.
_POINTERS = frozenset(
    f"{prefix}{name}" for name in ("_Native", "_NDArray", "_CustomFunction") for prefix in ("", "_backward_")
) | {"_backward_CustomFunction"}

# Work spaces of MXNet's kernels, which node_row_ptr counts as outputs; nothing can refer to them, so the registry has
# none of them.
_WORK_SPACES: dict[str, Callable[[Any], int]] = {
    "Dropout": lambda a: 1,
    "InstanceNorm": lambda a: 2,
    "L2Normalization": lambda a: 1,
    "LRN": lambda a: 1,
    "Pooling": lambda a: int(a.pool_type == "max" and bool(a.kernel) and not (a.layout or "").endswith("C")),
}

# Names and keys are quoted by messages and inherited by added variables; MXNet's own stay below a few hundred.
_LONGEST_NAME = 4096

# Outputs are counted by attributes (`num_outputs`), which a graph need not back; genuine nodes have a handful.
_MOST_OUTPUTS = 65536
_OUTPUTS_PER_NODE = 16


@dataclass(frozen=True)
class Loaded:
    """What `loads` read.

    Attributes:
        graph: the graph, upgraded to MXNet 1.9.1.
        version: the version of MXNet that wrote the file, 10901 for 1.9.1; 800 if the file does not say.
        rules: names of the upgrade rules that changed something, in order.
    """

    graph: Graph
    version: int
    rules: tuple[str, ...]


def loads(text: str | bytes, source: str = "<json>") -> Loaded:
    """Read the Symbol JSON of any MXNet version, 0.8 to 2.0, and upgrade it as MXNet 1.9.1 does.

    Operators that are not supported pass; `Graph.require_supported` reports them. Nodes that no head depends on are
    left out, as in MXNet. MXNet also reads a file that ends too early or goes on with other text; here it is refused.

    Args:
        text: the file's content.
        source: what error messages call it.

    Raises:
        MXNetError: the text is no Symbol JSON, a node refers to what is not there, or MXNet would refuse an attribute.
    """
    raw = parse(text, source)
    try:
        loaded = _load(raw)
        del raw
        _check_counts(loaded.graph)
    except _Damaged as error:
        raise MXNetError(f"{source}: {error}. {_MEND}") from None
    except MXNetError as error:
        raise MXNetError(f"{source}: {error}") from None
    return loaded


def load(path: str | os.PathLike[str]) -> Loaded:
    """Read a Symbol JSON file; see `loads`.

    Raises:
        MXNetError: the file can not be read; else as `loads`.
    """
    return loads(read_file(path), os.fspath(path))


def dumps(graph: Graph, *, remove_amp_cast: bool = True) -> str:
    """Return the JSON of a graph, byte for byte what ``Symbol.tojson`` of MXNet 1.9.1 writes.

    Args:
        graph: the graph. Its own attributes are left out but for the version, which is always 1.9.1's. Operators
            stand under their primary names.
        remove_amp_cast: leave out the casts that automatic mixed precision put in, except where one is a head.

    Raises:
        MXNetError: the attributes of a node are not valid.
    """
    if remove_amp_cast:
        graph = _without_amp_cast(graph)
    return _graph_text(graph, 0, [("attrs", f'{{"mxnet_version": ["int", {CURRENT}]}}')])


# Reading --------------------------------------------------------------------------------------------------------------


_MEND = "The graph is damaged or was edited: copy or download the file again, or save it again where it was made"


class _Damaged(MXNetError):
    """What stands in a file is no graph; the message lacks the file, and what to do."""


def _load(raw: Any) -> Loaded:
    drafts, heads, attrs = _read(raw, depth=0)
    version = _version(attrs)
    nodes = _ordered(drafts, heads)
    rules = upgrade(nodes, version)
    return Loaded(_freeze(nodes, heads, attrs), version, rules)


def _read(raw: Any, depth: int) -> tuple[list[Draft], list[Link], dict[str, Any]]:
    """Return all nodes of a raw graph, its heads and its attributes; `raw` is taken apart on the way."""
    if depth > _DEEPEST:
        raise _Damaged(f"subgraphs are nested more than {_DEEPEST} deep")
    _fields(raw, ("nodes", "arg_nodes", "heads"), ("node_row_ptr", "attrs"))
    _list(raw.pop("node_row_ptr", []), "node_row_ptr")
    nodes = _list(raw["nodes"], "nodes")
    drafts: list[Draft] = []
    links: list[tuple[Any, Any]] = []
    for number, node in enumerate(nodes):
        try:
            drafts.append(_draft(node, depth))
            links.append((node["inputs"], node.get("control_deps", ())))
        except MXNetError as error:
            raise type(error)(f"{_label(number, node)}: {error}") from None
        nodes[number] = None
    for number, (draft, (inputs, deps)) in enumerate(zip(drafts, links, strict=True)):
        try:
            draft.inputs = _links(inputs, drafts, "inputs")
            if deps != ():
                draft.control_deps = [
                    drafts[_index(dep, len(drafts), "control_deps")] for dep in _list(deps, "control_deps")
                ]
            if draft.op is None and draft.inputs:
                raise _Damaged(f"a variable (op 'null') has no inputs, got {len(draft.inputs)}")
        except MXNetError as error:
            raise type(error)(f"node {number} {shown(draft.name)}: {error}") from None
        links[number] = _READ
    for number in _list(raw.pop("arg_nodes"), "arg_nodes"):
        argument = drafts[_index(number, len(drafts), "arg_nodes")]
        if argument.op is not None:
            name = shown(argument.name)
            raise _Damaged(f"node {number} {name}: arg_nodes has it, but it is no variable: {argument.op}")
    attrs = raw.get("attrs", {})
    if not isinstance(attrs, dict):
        raise _Damaged(f"attrs: expected an object, got {shown(attrs)}")
    return drafts, _links(raw["heads"], drafts, "heads"), attrs


_OPTIONAL = ("attrs", "attr", "param", "control_deps", "subgraphs", "backward_source_id")
_READ = ((), ())


def _label(number: int, raw: Any) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return f"node {number} {shown(name)}" if isinstance(name, str) else f"node {number}"


def _draft(raw: Any, depth: int) -> Draft:
    _fields(raw, ("op", "name", "inputs"), _OPTIONAL)
    name = _name(raw["name"], "name")
    op = _name(raw["op"], "op")
    if op in _POINTERS:
        raise MXNetError(
            f"the operator {op} holds an address in the memory of the process that wrote the file:"
            " it can not be loaded. Write the network with operators that MXNet itself has"
        )
    draft = Draft(None if op == "null" else op, name)
    for key, value in raw.items():
        if key in ("attrs", "attr"):
            draft.attrs = _texts(value)  # of a node that has both MXNet keeps the last
        elif key == "param":
            draft.param = _texts(value)
        elif key == "subgraphs":
            draft.subgraphs = tuple(
                _subgraph(graph, number, depth + 1) for number, graph in enumerate(_list(value, "subgraphs"))
            )
    return draft


def _subgraph(raw: Any, number: int, depth: int) -> Graph:
    # MXNet upgrades the main graph alone: subgraphs are younger than every rule but the first.
    try:
        drafts, heads, attrs = _read(raw, depth)
        nodes = _ordered(drafts, heads)
        merge_param(nodes)
        return _freeze(nodes, heads, attrs)
    except MXNetError as error:
        raise type(error)(f"subgraph {number}: {error}") from None


def _ordered(drafts: list[Draft], heads: list[Link]) -> list[Draft]:
    roots: list[Any] = [head.node for head in heads]
    try:
        nodes: list[Any] = topological(roots)  # drafts have what it reads of a node
    except MXNetError as error:
        raise _Damaged(str(error)) from None
    return nodes


def _freeze(nodes: list[Draft], heads: list[Link], attrs: dict[str, Any]) -> Graph:
    """Return the graph of drafts, which are taken apart on the way."""

    def entries(links: list[Link]) -> tuple[Entry, ...]:
        return tuple([Entry(_made(draft), index, version) for draft, index, version in links])

    for draft in nodes:
        deps = tuple([_made(dep) for dep in draft.control_deps])
        draft.made = Node(draft.op, draft.name, draft.attrs, entries(draft.inputs), deps, draft.subgraphs)
        draft.inputs = []
    return Graph(entries(heads), attrs)


def _made(draft: Draft) -> Node:
    assert draft.made is not None  # what a draft depends on stands before it
    return draft.made


def _check_counts(graph: Graph) -> None:
    """Check that nodes have the inputs and outputs that their attributes and their users tell of."""
    outputs = nodes = 0
    for node in graph.walk():
        operator = None if node.op is None else registry.lookup(node.op)
        if operator is None:
            continue
        if registry.is_derived(node.op or ""):
            raise _Damaged(f"node {shown(node.name)}: {node.op} is an operator of the compiler's own, in no file")
        params = attributes(operator, node.attrs)
        if operator.variadic:
            _check_variadic(node, operator, params)
        nodes += 1
        outputs += operator.num_outputs(params)
        if outputs > _MOST_OUTPUTS + _OUTPUTS_PER_NODE * nodes:
            raise _Damaged(
                f"node {shown(node.name)}: {operator.name} has {operator.num_outputs(params)} outputs; the graph may"
                f" have {_MOST_OUTPUTS}, and {_OUTPUTS_PER_NODE} more per node"
            )
    for user, entry in _uses(graph):
        node, index, _ = entry
        operator = None if node.op is None else registry.lookup(node.op)
        # The outputs of an unknown operator can not be counted; every node has output 0.
        if index == 0 or (node.op is not None and operator is None):
            continue
        count = 1 if operator is None else operator.num_outputs(attributes(operator, node.attrs))
        if index >= count:
            where = "the graph" if user is None else f"node {shown(user.name)}"
            raise _Damaged(f"{where} uses output {index} of node {shown(node.name)}, which has {count}")


def _check_variadic(node: Node, operator: Op, params: Any) -> None:
    """Check an operator that counts its inputs by an attribute; what makes a name per input relies on it."""
    count, found = getattr(params, operator.count), len(node.inputs)
    if count is not None and (count > found or len(operator.input_names(params)) != found):
        raise _Damaged(
            f"node {shown(node.name)}: {operator.name}: {operator.count}={count} does not agree with its inputs, which"
            f" are {found}"
        )


def _uses(graph: Graph) -> Iterator[tuple[Node | None, Entry]]:
    for head in graph.heads:
        yield None, head
    for node in graph.walk():
        for entry in (*node.inputs, *(head for inner in node.subgraphs for head in inner.heads)):
            yield node, entry


def _version(attrs: dict[str, Any]) -> int:
    stored = attrs.get("mxnet_version", ["int", _NO_VERSION])
    if not (isinstance(stored, list) and len(stored) == 2 and stored[0] == "int" and type(stored[1]) is int):
        raise _Damaged(f'attrs: mxnet_version: expected ["int", {CURRENT}] or so, got {shown(stored)}')
    return stored[1]


def _fields(raw: Any, required: Sequence[str], optional: Sequence[str]) -> None:
    if not isinstance(raw, dict):
        raise _Damaged(f"expected an object with {', '.join(required)}, got {shown(raw)}")
    for key in required:
        if key not in raw:
            missing = " and no ".join(key for key in required if key not in raw)
            raise _Damaged(f"no {missing} (it has {shown(sorted(raw))})")
    for key in raw:
        if key not in required and key not in optional:
            raise _Damaged(f"unknown key {shown(key)}: expected {', '.join((*required, *optional))}")


def _list(raw: Any, where: str) -> list[Any]:
    if not isinstance(raw, list):
        raise _Damaged(f"{where}: expected an array, got {shown(raw)}")
    return raw


def _index(raw: Any, count: int, where: str) -> int:
    if type(raw) is not int:
        raise _Damaged(f"{where}: expected the number of a node, got {shown(raw)}")
    if not 0 <= raw < count:
        raise _Damaged(f"{where}: there is no node {shown(raw)}: the graph has {count}")
    return raw


def _links(raw: Any, drafts: list[Draft], where: str) -> list[Link]:
    links = []
    for item in _list(raw, where):
        if not isinstance(item, list) or len(item) not in (2, 3):
            raise _Damaged(f"{where}: expected [node, output] or [node, output, version], got {shown(item)}")
        number, index, version = item if len(item) == 3 else (*item, 0)
        for value in (index, version):
            if type(value) is not int or not 0 <= value <= _LARGEST_INDEX:
                raise _Damaged(f"{where}: expected [node, output, version] of numbers from 0 on, got {shown(item)}")
        links.append(Link(drafts[_index(number, len(drafts), where)], index, version))
    return links


def _text(raw: Any, where: str) -> str:
    if not isinstance(raw, str):
        raise _Damaged(f"{where}: expected a string, got {shown(raw)}")
    if not raw.isascii():
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise _Damaged(f"{where}: {shown(raw)} holds half of a surrogate pair") from None
    return raw


def _name(raw: Any, where: str) -> str:
    if len(_text(raw, where)) > _LONGEST_NAME:
        raise _Damaged(f"{where}: expected at most {_LONGEST_NAME} characters, got {len(raw)}: {shown(raw)}")
    return raw


def _texts(raw: Any) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise _Damaged(f"attrs: expected an object of strings, got {shown(raw)}")
    for key, value in raw.items():
        if not isinstance(value, str):
            raise _Damaged(f"attribute {shown(key)}: expected a string in quotes, got {shown(value)}")
        if len(key) > _LONGEST_NAME or not key.isascii():
            _name(key, "attribute")
        if not value.isascii():
            _text(value, f"attribute {shown(key)}")
    return raw


# Writing --------------------------------------------------------------------------------------------------------------

_ESCAPES = str.maketrans({"\r": "\\r", "\n": "\\n", "\\": "\\\\", "\t": "\\t", '"': '\\"'})


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _object(fields: Sequence[tuple[str, str]], level: int) -> str:
    """Return an object, one field per line; `level` is the number of brackets that it stands in."""
    inner = "\n" + "  " * (level + 1)
    lines = [f"{inner}{_quoted(key)}: {text}" for key, text in fields]
    return "{" + ", ".join(lines) + "\n" + "  " * level + "}"


def _array(items: Sequence[str], level: int, *, lines: bool = False) -> str:
    """Return an array, on one line while it has at most ten items and `lines` does not ask otherwise."""
    if not items or (len(items) <= 10 and not lines):
        return "[" + ", ".join(items) + "]"
    inner = "\n" + "  " * (level + 1)
    return "[" + ", ".join([inner + item for item in items]) + "\n" + "  " * level + "]"


def _graph_text(graph: Graph, level: int, extra: Sequence[tuple[str, str]] = ()) -> str:
    numbers = {id(node): number for number, node in enumerate(graph.nodes)}
    used: dict[int, int] = {}
    for entry in (*graph.heads, *(entry for node in graph.nodes for entry in node.inputs)):
        used[id(entry.node)] = max(used.get(id(entry.node), 0), entry.index + 1)
    offsets = [0]
    for node in graph.nodes:
        offsets.append(offsets[-1] + _num_outputs(node, used.get(id(node), 1)))
    nodes = [_node_text(node, numbers, level + 2) for node in graph.nodes]
    arguments = [str(number) for number, node in enumerate(graph.nodes) if node.op is None]
    fields = [
        ("nodes", _array(nodes, level + 1, lines=True)),
        ("arg_nodes", _array(arguments, level + 1)),
        ("node_row_ptr", _array([str(offset) for offset in offsets], level + 1)),
        ("heads", _entries_text(graph.heads, numbers, level + 1)),
    ]
    return _object([*fields, *extra], level)


def _node_text(node: Node, numbers: dict[int, int], level: int) -> str:
    operator = None if node.op is None else registry.lookup(node.op)
    op = "null" if node.op is None else node.op if operator is None else operator.name
    fields = [("op", _quoted(op)), ("name", _quoted(node.name))]
    if node.attrs:
        texts = [(key, _quoted(node.attrs[key])) for key in sorted(node.attrs)]
        alone = f"{{{_quoted(texts[0][0])}: {texts[0][1]}}}"
        fields.append(("attrs", alone if len(texts) == 1 else _object(texts, level + 1)))
    fields.append(("inputs", _entries_text(node.inputs, numbers, level + 1)))
    if node.control_deps:
        fields.append(("control_deps", _array([str(numbers[id(dep)]) for dep in node.control_deps], level + 1)))
    if node.subgraphs:
        graphs = [_graph_text(graph, level + 2) for graph in node.subgraphs]
        fields.append(("subgraphs", _array(graphs, level + 1, lines=True)))
    return _object(fields, level)


def _entries_text(entries: Iterable[Entry], numbers: dict[int, int], level: int) -> str:
    return _array([f"[{numbers[id(e.node)]}, {e.index}, {e.version}]" for e in entries], level)


def _num_outputs(node: Node, used: int) -> int:
    """Return how many outputs MXNet counts; of an unknown operator what its attributes or its `used` outputs tell."""
    if node.op is None:
        return 1
    operator = registry.lookup(node.op)
    if operator is None:
        declared = node.attrs.get("num_outputs", "")
        return max(used, int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 10 else 1)
    try:
        params = attributes(operator, node.attrs)
        spaces = _WORK_SPACES.get(operator.name)
        return operator.num_outputs(params) + (0 if spaces is None else spaces(params))
    except MXNetError as error:
        raise MXNetError(f"node {shown(node.name)}: {error}") from None


def _without_amp_cast(graph: Graph) -> Graph:
    """Return the graph without casts between nodes; heads and control dependencies keep theirs, as in MXNet."""
    if not any(node.op in ("amp_cast", "amp_multicast") for node in graph.nodes):
        return graph
    made: dict[int, Node] = {}

    def source(entry: Entry) -> Entry:
        node = made[id(entry.node)]
        behind = {"amp_cast": 0, "amp_multicast": entry.index}.get(node.op or "")
        if behind is None or behind >= len(node.inputs):
            return Entry(node, entry.index, entry.version)
        return node.inputs[behind]

    for node in graph.nodes:
        new = with_inputs(node, tuple(source(entry) for entry in node.inputs))
        if any(made[id(dep)] is not dep for dep in node.control_deps):
            new = new.replace(control_deps=tuple(made[id(dep)] for dep in node.control_deps))
        made[id(node)] = new
    return Graph([Entry(made[id(head.node)], head.index, head.version) for head in graph.heads], graph.attrs)
