"""Hypothesis strategies for what the readers are given: mostly valid, with defects in any place."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from symjit.base import DTYPE_FLAGS
from symjit.ops import registry
from tests.packed_params import V1, V2, V3, csr, row_sparse, shape64

__all__ = ["anything", "graph_like", "json_texts", "params_files"]

# JSON -----------------------------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_operators = st.sampled_from([*sorted(registry.names()), "null", "null", "null", "Mystery", "_Native", "amp_cast"])
_texts = st.sampled_from(["1", "-1", "(1, 2)", "True", "None", "float32", "1e9", "999999999999", "x", "max", ""])
_keys = st.sampled_from(["num_hidden", "num_args", "num_outputs", "axis", "lr_mult", "weight_lr_mult", "__a__", "mode"])
_indices = st.integers(-1, 6)
_entries = st.lists(_indices, min_size=2, max_size=3)
_node_like = st.fixed_dictionaries(
    {"op": _operators, "name": st.text(max_size=3), "inputs": st.lists(_entries, max_size=3)},
    optional={
        "attrs": st.dictionaries(_keys, _texts, max_size=3),
        "param": st.dictionaries(_keys, _texts, max_size=3),
        "control_deps": st.lists(_indices, max_size=2),
    },
)
graph_like = st.fixed_dictionaries(
    {
        "nodes": st.lists(_node_like, max_size=6),
        "arg_nodes": st.lists(_indices, max_size=2),
        "heads": st.lists(_entries, max_size=2),
    },
    optional={
        "attrs": st.fixed_dictionaries(
            {"mxnet_version": st.tuples(st.just("int"), st.sampled_from([800, 903, 10000, 10901]))}
        ),
        "node_row_ptr": anything,
    },
)


@st.composite
def _valid_graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Graphs whose nodes have the right number of inputs, from earlier nodes, and often the attributes they need."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "x", "inputs": []}]
    for number in range(draw(st.integers(1, 5))):
        name = draw(st.sampled_from(sorted(registry.names())))
        operator = registry.get(name)
        attrs = {}
        for attr in operator.attrs.values():
            if attr.default is registry.REQUIRED or draw(st.integers(0, 9)) == 0:
                attrs[attr.name] = draw(_texts)
        try:
            count = len(operator.input_names(operator.parse_attrs(attrs))) if not operator.variadic else 2
        except Exception:  # attributes that do not fit, or that ask for a billion inputs; the reader has to tell
            count = 1
        inputs = [[draw(st.integers(0, number)), 0, 0] for _ in range(count)]
        nodes.append({"op": name, "name": f"n{number}", "attrs": attrs, "inputs": inputs})
    version = draw(st.sampled_from([800, 903, 10000, 10901]))
    heads = [[len(nodes) - 1, 0, 0]]
    graph = {"nodes": nodes, "arg_nodes": [0], "heads": heads, "attrs": {"mxnet_version": ["int", version]}}
    if draw(st.booleans()):
        node = {"op": "_foreach", "name": "loop", "inputs": [], "subgraphs": [graph]}
        graph = {"nodes": [node], "arg_nodes": [], "heads": [[0, 0, 0]]}
    return graph


def _spoiled(graphs: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Replace one value, anywhere."""

    @st.composite
    def spoil(draw: st.DrawFn) -> Any:
        graph = draw(graphs)
        at: Any = graph
        for _ in range(draw(st.integers(1, 6))):
            places = list(at) if isinstance(at, dict) else list(range(len(at))) if isinstance(at, list) else []
            if not places:
                break
            key = draw(st.sampled_from(places))
            if not isinstance(at[key], (dict, list)) or draw(st.integers(0, 3)) == 0:
                at[key] = draw(anything)
                break
            at = at[key]
        return graph

    return spoil()


json_texts: st.SearchStrategy[bytes] = (
    st.one_of(_valid_graphs(), _spoiled(_valid_graphs()), graph_like, anything).map(
        lambda value: json.dumps(value).encode()
    )
    | st.binary(max_size=64)
    | st.text(max_size=64).map(lambda text: text.encode("utf-8", "surrogatepass"))
)

# Parameters -----------------------------------------------------------------------------------------------------------

_odd = st.sampled_from([0, 1, 2, 33, 2**31 - 1, 2**31, 2**32 - 1, 2**34, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
_small = st.integers(0, 3)


def _or_odd(draw: st.DrawFn, value: int, width: int = 8) -> int:
    """Return `value`, or in one of thirty cases a number that is hard to bear."""
    return value if draw(st.integers(0, 29)) else draw(_odd) % 2 ** (8 * width)


def _signed(value: int, width: int) -> int:
    return (value + 2 ** (8 * width - 1)) % 2 ** (8 * width) - 2 ** (8 * width - 1)


@st.composite
def _dense(draw: st.DrawFn) -> bytes:
    version = draw(st.integers(0, 3))
    dims = tuple(draw(st.lists(_small, min_size=0 if version == 3 else 1, max_size=4)))
    flag = draw(st.sampled_from(list(DTYPE_FLAGS)))
    count = DTYPE_FLAGS[flag].itemsize
    for dim in dims:
        count *= dim
    data = draw(st.binary(min_size=count, max_size=count)) if draw(st.booleans()) else bytes(count)
    ndim = _or_odd(draw, len(dims), 4)
    if version == 0:
        head = struct.pack(f"<I{len(dims)}I", ndim, *(_or_odd(draw, dim, 4) for dim in dims))
    else:
        sizes = [_signed(_or_odd(draw, dim), 8) for dim in dims]
        shape = struct.pack(f"<i{len(dims)}q", _signed(ndim, 4), *sizes)
        stype = struct.pack("<i", _signed(_or_odd(draw, 0, 4), 4)) if version >= 2 else b""
        head = struct.pack("<I", {1: V1, 2: V2, 3: V3}[version]) + stype + shape
    return head + struct.pack("<iii", 1, 0, _signed(_or_odd(draw, flag, 4), 4)) + data


@st.composite
def _sparse(draw: st.DrawFn) -> bytes:
    rows, columns = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    values = draw(st.lists(st.integers(0, 9), max_size=4))
    if draw(st.booleans()):
        indices = draw(st.lists(st.integers(-1, 4), max_size=3))
        stored = (_signed(_or_odd(draw, len(indices)), 8), columns)
        wanted = (values * 16 + [0] * 16)[: len(indices) * columns]
        return row_sparse(stored, (_signed(_or_odd(draw, rows), 8), columns), indices, [float(v) for v in wanted])
    indptr = draw(st.one_of(st.just([]), st.lists(st.integers(0, 4), min_size=rows + 1, max_size=rows + 1).map(sorted)))
    columns_of = draw(st.lists(st.integers(-1, 4), min_size=len(values), max_size=len(values)))
    dims = (rows, _signed(_or_odd(draw, columns), 8))
    return csr(dims, indptr, columns_of, [float(v) for v in values], stored=_signed(_or_odd(draw, len(values)), 8))


_none = st.sampled_from([struct.pack("<I", 0), struct.pack("<Ii", V1, 0), struct.pack("<Ii", V2, 0) + shape64(())])


@st.composite
def _listing(draw: st.DrawFn) -> bytes:
    arrays = draw(st.lists(st.one_of(_dense(), _dense(), _sparse(), _none), max_size=4))
    names = (
        draw(st.lists(st.text(max_size=6), min_size=len(arrays), max_size=len(arrays))) if draw(st.booleans()) else []
    )
    text = struct.pack("<QQQ", 0x112, draw(_odd), _or_odd(draw, len(arrays))) + b"".join(arrays)
    text += struct.pack("<Q", _or_odd(draw, len(names)))
    for name in names:
        raw = name.encode("utf-8", "surrogatepass")
        text += struct.pack("<Q", _or_odd(draw, len(raw))) + raw
    return text + (draw(st.binary(max_size=9)) if draw(st.integers(0, 5)) == 0 else b"")


@st.composite
def _cut(draw: st.DrawFn) -> bytes:
    data = draw(_listing())
    return data[: draw(st.integers(0, len(data)))]


_header: Callable[[bytes], bytes] = struct.pack("<QQ", 0x112, 0).__add__

params_files: st.SearchStrategy[bytes] = st.one_of(
    _listing(), _listing(), _cut(), st.binary(max_size=80), st.binary(max_size=80).map(_header)
)
