"""Symbol JSON: from a file of any MXNet version to a `Graph`, and back to the bytes that MXNet 1.9.1 writes.

The reader trusts nothing: types, indices, cycles, nesting and attribute texts are checked before anything uses them,
nothing is evaluated, and every refusal is an `MXNetError` that names the file and the node.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from symjit.base import MXNetError
from symjit.ir.graph import Entry, Graph, Node, topological, with_inputs
from symjit.ir.upgrade import CURRENT, Draft, Link, attributes, merge_param, upgrade
from symjit.ops import registry

__all__ = ["Loaded", "dumps", "loads"]

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

_FOREIGN = (
    (b"<", "is HTML or XML, perhaps the error page of a failed download"),
    (b"version https://git-lfs", "is a git-lfs pointer and not the file itself: run `git lfs pull`"),
    (b"PK\x03\x04", "is a zip archive: unpack it first"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it first"),
    (b"\x12\x01\0\0\0\0\0\0", "is a .params file: the graph is in the -symbol.json file beside it"),
)

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 80
_short = _shortened.repr


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
    drafts, heads, attrs = _read(_decode(text, source), source, depth=0)
    version = _version(attrs, source)
    nodes = _ordered(drafts, heads, source)
    try:
        rules = upgrade(nodes, version)
    except MXNetError as error:
        raise MXNetError(f"{source}: {error}") from None
    graph = _freeze(nodes, heads, attrs)
    _check_outputs(graph, source)
    return Loaded(graph, version, rules)


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


def _decode(text: str | bytes, source: str) -> Any:
    head = text[:64].encode("utf-8", "replace") if isinstance(text, str) else bytes(text[:64])
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.strip():
        raise MXNetError(f"{source}: expected Symbol JSON, but the file is empty")
    for magic, meaning in _FOREIGN:
        if head.startswith(magic):
            raise MXNetError(f"{source}: expected Symbol JSON, but the file {meaning}")
    try:
        decoded = text if isinstance(text, str) else bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise MXNetError(f"{source}: expected Symbol JSON, but byte {error.start} is not UTF-8 text") from None
    decoded = decoded.removeprefix("\ufeff")
    try:
        return json.loads(decoded, strict=False)  # MXNet writes control characters as they are
    except RecursionError:
        raise MXNetError(f"{source}: not Symbol JSON: brackets are nested too deeply") from None
    except json.JSONDecodeError as error:
        if not head.startswith(b"{"):
            start = _short(decoded[:40])
            raise MXNetError(f"{source}: expected Symbol JSON, but the file starts with {start}") from None
        cut = error.pos >= len(decoded.rstrip()) or error.msg.startswith("Unterminated string")
        hint = "; the file ends too early, perhaps the download was cut off" if cut else ""
        raise MXNetError(f"{source}: not valid JSON: {error}{hint}") from None
    except ValueError as error:  # a number of thousands of digits
        raise MXNetError(f"{source}: not valid JSON: {error}") from None


def _read(raw: Any, source: str, depth: int) -> tuple[list[Draft], list[Link], dict[str, Any]]:
    """Return all nodes of a raw graph, its heads and its attributes."""
    if depth > _DEEPEST:
        raise MXNetError(f"{source}: subgraphs are nested more than {_DEEPEST} deep")
    _fields(raw, ("nodes", "arg_nodes", "heads"), ("node_row_ptr", "attrs"), source)
    drafts: list[Draft] = []
    wheres: list[str] = []
    for number, node in enumerate(_list(raw["nodes"], f"{source}: nodes")):
        where = f"{source}: node {number}"
        _fields(node, ("op", "name", "inputs"), _OPTIONAL, where)
        name = _text(node["name"], f"{where}: name")
        wheres.append(f"{where} {_short(name)}")
        drafts.append(_draft(node, name, wheres[-1], depth))
    for node, draft, where in zip(raw["nodes"], drafts, wheres, strict=True):
        draft.inputs = _links(node["inputs"], drafts, f"{where}: inputs")
        deps = _list(node.get("control_deps", []), f"{where}: control_deps")
        draft.control_deps = [drafts[_index(dep, len(drafts), f"{where}: control_deps")] for dep in deps]
        if draft.op is None and draft.inputs:
            raise MXNetError(f"{where}: a variable (op 'null') has no inputs, got {len(draft.inputs)}")
    for number in _list(raw["arg_nodes"], f"{source}: arg_nodes"):
        argument = drafts[_index(number, len(drafts), f"{source}: arg_nodes")]
        if argument.op is not None:
            raise MXNetError(f"{wheres[number]}: arg_nodes has it, but it is no variable: {argument.op}")
    _list(raw.get("node_row_ptr", []), f"{source}: node_row_ptr")
    attrs = raw.get("attrs", {})
    if not isinstance(attrs, dict):
        raise MXNetError(f"{source}: attrs: expected an object, got {_short(attrs)}")
    return drafts, _links(raw["heads"], drafts, f"{source}: heads"), attrs


_OPTIONAL = ("attrs", "attr", "param", "control_deps", "subgraphs", "backward_source_id")


def _draft(raw: dict[str, Any], name: str, where: str, depth: int) -> Draft:
    op = _text(raw["op"], f"{where}: op")
    if op in _POINTERS:
        raise MXNetError(
            f"{where}: the operator {op} holds an address in the memory of the process that wrote the file:"
            " it can not be loaded. Write the network with operators that MXNet itself has"
        )
    draft = Draft(None if op == "null" else op, name)
    for key, value in raw.items():
        if key in ("attrs", "attr"):
            draft.attrs = _texts(value, where)  # of a node that has both MXNet keeps the last
        elif key == "param":
            draft.param = _texts(value, where)
    draft.subgraphs = tuple(
        _subgraph(graph, f"{where}: subgraph {number}", depth + 1)
        for number, graph in enumerate(_list(raw.get("subgraphs", []), f"{where}: subgraphs"))
    )
    return draft


def _subgraph(raw: Any, source: str, depth: int) -> Graph:
    # MXNet upgrades the main graph alone: subgraphs are younger than every rule but the first.
    drafts, heads, attrs = _read(raw, source, depth)
    nodes = _ordered(drafts, heads, source)
    merge_param(nodes)
    return _freeze(nodes, heads, attrs)


def _ordered(drafts: list[Draft], heads: list[Link], source: str) -> list[Draft]:
    roots: list[Any] = [head.node for head in heads]
    try:
        nodes: list[Any] = topological(roots)  # drafts have what it reads of a node
    except MXNetError as error:
        raise MXNetError(f"{source}: {error}") from None
    return nodes


def _freeze(nodes: list[Draft], heads: list[Link], attrs: dict[str, Any]) -> Graph:
    made: dict[int, Node] = {}

    def entries(links: list[Link]) -> tuple[Entry, ...]:
        return tuple(Entry(made[id(node)], index, version) for node, index, version in links)

    for draft in nodes:
        deps = tuple(made[id(dep)] for dep in draft.control_deps)
        made[id(draft)] = Node(draft.op, draft.name, draft.attrs, entries(draft.inputs), deps, draft.subgraphs)
    return Graph(entries(heads), attrs)


def _check_outputs(graph: Graph, source: str) -> None:
    for user, entry in _uses(graph):
        node, index, _ = entry
        # The outputs of an unknown operator can not be counted; every node has output 0.
        if index == 0 or (node.op is not None and registry.lookup(node.op) is None):
            continue
        count = _num_outputs(node, 0)
        if index >= count:
            raise MXNetError(f"{source}: {user} uses output {index} of node {_short(node.name)}, which has {count}")


def _uses(graph: Graph) -> Iterator[tuple[str, Entry]]:
    for head in graph.heads:
        yield "the graph", head
    for node in graph.walk():
        user = f"node {_short(node.name)}"
        for entry in (*node.inputs, *(head for inner in node.subgraphs for head in inner.heads)):
            yield user, entry


def _version(attrs: dict[str, Any], source: str) -> int:
    stored = attrs.get("mxnet_version", ["int", _NO_VERSION])
    if not (isinstance(stored, list) and len(stored) == 2 and stored[0] == "int" and type(stored[1]) is int):
        raise MXNetError(f'{source}: attrs: mxnet_version: expected ["int", {CURRENT}] or so, got {_short(stored)}')
    return stored[1]


def _fields(raw: Any, required: Sequence[str], optional: Sequence[str], where: str) -> None:
    if not isinstance(raw, dict):
        raise MXNetError(f"{where}: expected an object with {', '.join(required)}, got {_short(raw)}")
    missing = [key for key in required if key not in raw]
    if missing:
        raise MXNetError(f"{where}: no {' and no '.join(missing)} (it has {_short(sorted(raw))})")
    for key in raw:
        if key not in required and key not in optional:
            raise MXNetError(f"{where}: unknown key {_short(key)}: expected {', '.join((*required, *optional))}")


def _list(raw: Any, where: str) -> list[Any]:
    if not isinstance(raw, list):
        raise MXNetError(f"{where}: expected an array, got {_short(raw)}")
    return raw


def _index(raw: Any, count: int, where: str) -> int:
    if type(raw) is not int:
        raise MXNetError(f"{where}: expected the number of a node, got {_short(raw)}")
    if not 0 <= raw < count:
        raise MXNetError(f"{where}: there is no node {raw}: the graph has {count}")
    return raw


def _links(raw: Any, drafts: list[Draft], where: str) -> list[Link]:
    links = []
    for item in _list(raw, where):
        if not isinstance(item, list) or len(item) not in (2, 3):
            raise MXNetError(f"{where}: expected [node, output] or [node, output, version], got {_short(item)}")
        number, index, version = item if len(item) == 3 else (*item, 0)
        for value in (index, version):
            if type(value) is not int or not 0 <= value <= _LARGEST_INDEX:
                raise MXNetError(f"{where}: expected [node, output, version] of numbers from 0 on, got {_short(item)}")
        links.append(Link(drafts[_index(number, len(drafts), where)], index, version))
    return links


def _text(raw: Any, where: str) -> str:
    if not isinstance(raw, str):
        raise MXNetError(f"{where}: expected a string, got {_short(raw)}")
    if not raw.isascii():
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise MXNetError(f"{where}: {_short(raw)} holds half of a surrogate pair") from None
    return raw


def _texts(raw: Any, where: str) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise MXNetError(f"{where}: attrs: expected an object of strings, got {_short(raw)}")
    for key, value in raw.items():
        if not isinstance(value, str):
            raise MXNetError(f"{where}: attribute {_short(key)}: expected a string in quotes, got {_short(value)}")
        _text(key, f"{where}: attribute")
        _text(value, f"{where}: attribute {_short(key)}")
    return dict(raw)


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
        raise MXNetError(f"node {node.name!r}: {error}") from None


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
