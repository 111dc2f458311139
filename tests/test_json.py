"""Symbol JSON: every dialect, every upgrade rule, the bytes that MXNet 1.9.1 writes, and files that are broken."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symjit import symbol
from symjit.base import MXNetError
from symjit.ir.graph import Entry, Graph, Node, Unsupported
from symjit.ir.serialize import Loaded, dumps, load, loads
from symjit.ir.upgrade import RULES
from symjit.predictor import read_graph
from tests.fuzz.strategies import anything, graph_like
from tests.packed_params import SMALL, compressed_tar, zipped

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
CHECKPOINTS = ROOT.parent / "shared" / "checkpoints"

WRITTEN = sorted(p for d in ("json", "networks") for p in (GOLDEN / d).glob("*.json") if p.name != "expected.json")
CONTROL_FLOW = {"_foreach", "_while_loop", "_cond"}
LEGACY = sorted((GOLDEN / "legacy").glob("*.in.json"))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def loaded_as(given: bytes | str, wanted: str, label: str) -> Loaded:
    """Load `given` and check that it is written as `wanted` and that this is a fixed point."""
    loaded = loads(given, label)
    written = dumps(loaded.graph)
    if loaded.graph.unsupported():  # the outputs of an unknown operator can only be guessed
        assert without_row_ptr(written) == without_row_ptr(wanted)
    else:
        assert written == wanted
    assert dumps(loads(written).graph) == written
    return loaded


def without_row_ptr(text: str) -> str:
    return re.sub(r'"node_row_ptr": \[[^]]*\]', "", text)


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_a_file_of_mxnet_191_is_written_with_the_same_bytes(path: Path) -> None:
    text = path.read_bytes()
    loaded = loaded_as(text, text.decode(), path.name)
    assert (loaded.version, loaded.rules) == (10901, ())


@pytest.mark.parametrize("path", LEGACY, ids=name_of)
def test_an_older_file_is_written_as_mxnet_191_does(path: Path) -> None:
    case = path.name.removesuffix(".in.json")
    wanted = path.with_name(f"{case}.out.json")
    if not wanted.exists():
        check_refused(path.read_text("utf-8"), case)
        return
    missing = set(loads(path.read_bytes()).graph.unsupported()) - CONTROL_FLOW
    assert not missing, f"aliases and rules need the facts of these operators: {sorted(missing)}"
    loaded_as(path.read_bytes(), wanted.read_text("utf-8"), path.name)


def check_refused(text: str, case: str) -> None:
    if case == "fix_parsing.bad_value_long":  # a long of Python 2: MXNet reads 3L in tuples only, symjit everywhere
        assert loads(text).graph.heads[0].node.params.num_hidden == 3
        return
    if case == "dialect.unknown_operator":  # a graph with unknown operators can be inspected; it is refused later
        with pytest.raises(Unsupported, match="NoSuchOperator x1"):
            loads(text).graph.require_supported()
        return
    with pytest.raises(MXNetError, match=re.escape(case)):
        loads(text, case)


def checkpoints() -> list[Path]:
    return sorted(CHECKPOINTS.glob("*/*.json"))


@pytest.mark.skipif(not checkpoints(), reason="no third-party checkpoints in ../shared/checkpoints")
@pytest.mark.parametrize("path", checkpoints(), ids=name_of)
def test_third_party_files_load_and_their_upgrade_is_a_fixed_point(path: Path) -> None:
    loaded = loads(path.read_bytes(), path.name)
    written = dumps(loaded.graph)
    again = loads(written)
    assert (again.version, again.rules) == (10901, ())
    assert dumps(again.graph) == written
    assert again.graph.op_counts() == loaded.graph.op_counts()
    if path.stem.startswith("bmxnet"):
        with pytest.raises(Unsupported, match=r"QActivation x2 .*QConvolution x1 .*QFullyConnected x1 "):
            loaded.graph.require_supported()


# Dialects and rules ---------------------------------------------------------------------------------------------------


def variable(name: str, **fields: Any) -> dict[str, Any]:
    return {"op": "null", "name": name, "inputs": [], **fields}


def node(op: str, name: str, *inputs: int | list[int], **fields: Any) -> dict[str, Any]:
    return {"op": op, "name": name, "inputs": [[i, 0, 0] if isinstance(i, int) else i for i in inputs], **fields}


def document(nodes: list[Any], version: int | None = 10901, heads: Any = None, **fields: Any) -> dict[str, Any]:
    made = {
        "nodes": nodes,
        "arg_nodes": [i for i, each in enumerate(nodes) if isinstance(each, dict) and each.get("op") == "null"],
        "heads": [[len(nodes) - 1, 0, 0]] if heads is None else heads,
    }
    if version is not None:
        made["attrs"] = {"mxnet_version": ["int", version]}
    return {**made, **fields}


def dense(version: int | None, **fields: Any) -> dict[str, Any]:
    inputs = [variable("data"), variable("w"), variable("b")]
    return document([*inputs, node("FullyConnected", "fc", 0, 1, 2, **fields)], version)


def read(raw: Any) -> Loaded:
    return loads(json.dumps(raw), "net.json")


def attrs_of(loaded: Loaded) -> dict[str, dict[str, str]]:
    return {each.name: each.attrs for each in loaded.graph.nodes}


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (None, {"param": {"num_hidden": "3"}, "attr": {"__mood__": "calm"}, "backward_source_id": -1}),
        (903, {"attr": {"num_hidden": "3", "__mood__": "calm"}}),
        (10200, {"attrs": {"num_hidden": "3", "__mood__": "calm"}}),
        (20000, {"attrs": {"num_hidden": "3", "__mood__": "calm"}}),
    ],
)
def test_dialects(version: int | None, fields: dict[str, Any]) -> None:
    raw = dense(version, **fields)
    if version is None:
        raw["heads"] = [[3, 0]]
        raw["nodes"][3]["inputs"] = [[0, 0], [1, 0], [2, 0]]
    loaded = read(raw)
    assert loaded.version == (version or 800)
    assert loaded.rules == (("merge_param",) if version is None else ())
    head = loaded.graph.heads[0]
    assert (head.node.op, head.node.name, head.index, head.version) == ("FullyConnected", "fc", 0, 0)
    assert head.node.attrs == {"num_hidden": "3", "__mood__": "calm"}
    assert [entry.node.name for entry in head.node.inputs] == ["data", "w", "b"]
    assert loaded.graph.attrs == raw.get("attrs", {})


def test_param_does_not_override() -> None:
    loaded = read(dense(None, param={"num_hidden": "3", "no_bias": "True"}, attr={"num_hidden": "7"}))
    assert attrs_of(loaded)["fc"] == {"num_hidden": "7", "no_bias": "True"}


def test_of_attr_and_attrs_the_last_counts() -> None:
    first, last = {"attrs": {"a": "1"}}, {"attr": {"b": "2"}}
    assert attrs_of(read(document([variable("x", **first, **last)])))["x"] == {"b": "2"}
    assert attrs_of(read(document([variable("x", **last, **first)])))["x"] == {"a": "1"}


def test_rules_are_in_order_and_each_has_its_versions() -> None:
    assert [(rule.name, rule.below) for rule in RULES] == [
        ("merge_param", None),
        ("restore_hidden_keys", 10901),
        ("parse_attributes", None),
        ("add_hidden_variables", 900),
        ("set_initial_values", 904),
        ("flatten_argmax", 905),
    ]


@pytest.mark.parametrize("version", [None, 903, 905, 10900])
def test_hidden_keys_go_to_the_node_and_to_its_variables(version: int | None) -> None:
    loaded = read(dense(version, attr={"num_hidden": "3", "ctx_group": "a", "weight_lr_mult": "2"}))
    assert loaded.rules == ("restore_hidden_keys",)
    assert attrs_of(loaded) == {
        "data": {},
        "w": {"__lr_mult__": "2"},
        "b": {},
        "fc": {"num_hidden": "3", "__ctx_group__": "a"},
    }


@pytest.mark.parametrize("version", [10901, 20000])
def test_hidden_keys_are_refused_where_the_rule_does_not_apply(version: int) -> None:
    with pytest.raises(MXNetError, match=r"^net.json: a node has attributes .* node 'fc': FullyConnected: .*'lr_mult'"):
        read(dense(version, attrs={"num_hidden": "3", "lr_mult": "2"}))


@pytest.mark.parametrize("key", ["foo_lr_mult", "lr_mult_weight", "weight_lr_mults", "profiler_scope", "mood"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(MXNetError, match=key):
        read(dense(None, attr={"num_hidden": "3", key: "2"}))


def test_a_hidden_key_of_an_input_that_is_no_variable_is_refused() -> None:
    raw = document(
        [
            variable("data"),
            variable("w"),
            node("sqrt", "r", 0),
            node("FullyConnected", "fc", 2, 1, attrs={"num_hidden": "3", "no_bias": "1", "data_lr_mult": "2"}),
        ],
        905,
    )
    with pytest.raises(MXNetError, match="data_lr_mult"):
        read(raw)


def test_an_operator_without_attributes_keeps_what_it_was_given() -> None:
    raw = document([variable("x"), node("sqrt", "r", 0, attrs={"mood": "calm"})])
    text = dumps(read(raw).graph)
    assert json.loads(text)["nodes"][1]["attrs"] == {"mood": "calm"}


def test_all_refused_attributes_are_named_at_once() -> None:
    layers = [node("FullyConnected", f"fc{i}", 0, attrs={"num_hidden": "many"}) for i in range(12)]
    raw = document([variable("x"), *layers], heads=[[i, 0] for i in range(1, 13)])
    with pytest.raises(MXNetError, match=r"12 nodes .*'fc0': FullyConnected: attribute 'num_hidden'.*fc9.*and 2 more"):
        read(raw)


def test_missing_inputs_become_variables_before_090() -> None:
    raw = document([variable("data"), node("FullyConnected", "fc", 0, attrs={"num_hidden": "3", "__a__": "b"})], None)
    loaded = read(raw)
    assert loaded.rules == ("add_hidden_variables",)
    carried = {"num_hidden": "3", "__a__": "b"}
    assert attrs_of(loaded) == {"data": {}, "fc_weight": carried, "fc_bias": carried, "fc": carried}
    assert [each.name for each in read({**raw, "attrs": {"mxnet_version": ["int", 900]}}).graph.nodes] == ["data", "fc"]


@pytest.mark.parametrize("version", [None, 900, 903, 904])
def test_initial_values_before_094(version: int | None) -> None:
    inputs = [variable("data"), variable("g"), variable("b"), variable("m", attr={"__init__": "mine"}), variable("v")]
    loaded = read(document([*inputs, node("BatchNorm", "bn", 0, 1, 2, 3, 4)], version))
    applies = version != 904
    assert loaded.rules == (("set_initial_values",) if applies else ())
    given = {name: attrs for name, attrs in attrs_of(loaded).items() if attrs}
    assert given == {"m": {"__init__": "mine"}, **({"v": {"__init__": '["one", {}]'}} if applies else {})}


@pytest.mark.parametrize(("version", "axis"), [(None, None), (904, None), (905, "-1"), (10901, "-1")])
def test_argmax_over_all_before_095(version: int | None, axis: str | None) -> None:
    loaded = read(document([variable("x"), node("argmax", "a", 0, attr={"axis": "-1"})], version))
    assert loaded.graph.heads[0].node.attrs.get("axis") == axis
    assert loaded.rules == (("flatten_argmax",) if axis is None else ())


def test_a_rule_does_not_name_a_billion_inputs() -> None:
    with pytest.raises(MXNetError, match=r"node 'sum': _rnn_param_concat: num_args=1000000000, but .* 1 inputs"):
        read(document([variable("x"), node("_rnn_param_concat", "sum", 0, attrs={"num_args": "1000000000"})], None))


def test_rules_pass_over_unknown_operators() -> None:
    raw = document([variable("x"), node("Mystery", "m", 0, attrs={"weight_lr_mult": "2", "mood": "calm"})], None)
    loaded = read(raw)
    assert loaded.rules == ()
    assert attrs_of(loaded)["m"] == {"weight_lr_mult": "2", "mood": "calm"}
    with pytest.raises(Unsupported, match=r"Mystery x1 \(m\)"):
        loaded.graph.require_supported()


# Graphs ---------------------------------------------------------------------------------------------------------------


def test_any_order_of_nodes_is_read_and_written_depth_first() -> None:
    raw = document(
        [node("sqrt", "r", 2), node("exp", "e", 0), variable("x"), variable("unused")], heads=[[1, 0]], arg_nodes=[2, 3]
    )
    assert [each.name for each in read(raw).graph.nodes] == ["x", "r", "e"]


def test_names_may_repeat() -> None:
    raw = document([variable("x"), variable("x"), node("elemwise_add", "x", 0, 1)])
    graph = read(raw).graph
    assert [each.name for each in graph.nodes] == ["x", "x", "x"]
    assert json.loads(dumps(graph))["nodes"] == raw["nodes"]


def test_aliases_are_written_as_primary_names() -> None:
    graph = read(document([variable("a"), variable("b"), node("_Plus", "s", 0, 1)])).graph
    assert graph.heads[0].node.op == "_Plus"
    assert json.loads(dumps(graph))["nodes"][2]["op"] == "elemwise_add"


def test_control_dependencies_and_subgraphs_are_kept() -> None:
    inner = document([variable("i"), node("sqrt", "ir", 0, attrs={"__subgraph_name__": "loop"})], None)
    loop = node("Loop", "l", 0, control_deps=[1], subgraphs=[inner, inner])
    raw = document([variable("x"), node("exp", "e", 0), loop])
    graph = read(raw).graph
    head = graph.heads[0].node
    assert [dep.name for dep in head.control_deps] == ["e"]
    assert [[each.name for each in sub.nodes] for sub in head.subgraphs] == [["i", "ir"]] * 2
    written = json.loads(dumps(graph))
    assert written["nodes"][2]["control_deps"] == [1]
    assert written["nodes"][2]["subgraphs"] == [{**inner, "node_row_ptr": [0, 1, 2]}] * 2
    assert written["attrs"] == {"mxnet_version": ["int", 10901]}


def test_subgraphs_are_not_upgraded_but_their_attributes_are_checked() -> None:
    inner = dense(None, param={"num_hidden": "3"}, attr={"lr_mult": "2"})
    with pytest.raises(MXNetError, match=r"node 'fc': FullyConnected: .*lr_mult"):
        read(document([variable("x"), node("Loop", "l", 0, subgraphs=[inner])], None))


def test_casts_between_nodes_are_left_out() -> None:
    raw = document(
        [
            variable("x"),
            node("amp_cast", "c0", 0, attrs={"dtype": "float16"}),
            node("amp_cast", "c1", 1, attrs={"dtype": "float32"}),
            variable("y"),
            node("amp_multicast", "m", 2, 3, attrs={"num_outputs": "2"}),
            node("elemwise_sub", "s", [4, 1], [4, 0]),
            node("amp_cast", "last", 5, attrs={"dtype": "float32"}),
        ]
    )
    graph = read(raw).graph
    assert [each["name"] for each in json.loads(dumps(graph))["nodes"]] == ["y", "x", "s", "last"]
    assert len(json.loads(dumps(graph, remove_amp_cast=False))["nodes"]) == 7


def test_a_graph_without_heads() -> None:
    assert dumps(read(document([], heads=[])).graph) == (
        '{\n  "nodes": [], \n  "arg_nodes": [], \n  "node_row_ptr": [0], \n  "heads": [], \n'
        '  "attrs": {"mxnet_version": ["int", 10901]}\n}'
    )


def test_text_is_kept_byte_for_byte() -> None:
    strange = 'quote " backslash \\ tab \t newline \n bell \x07 \u00e9 \u4e2d \U0001f600 </script>'
    written = dumps(Graph([Entry(Node(None, strange, {"__note__": strange}))]))
    assert "\\u" not in written and "\x07" in written
    assert dumps(loads(written.encode()).graph) == written
    assert loads("\ufeff" + written).graph.nodes[0].name == strange


@pytest.mark.parametrize(
    ("op", "attrs", "count"),
    [
        ("Dropout", {}, 2),
        ("BatchNorm", {}, 3),
        ("LeakyReLU", {"act_type": "rrelu"}, 2),
        ("Pooling", {"kernel": "(2, 2)"}, 2),
        ("Pooling", {"kernel": "(2, 2)", "pool_type": "avg"}, 1),
        ("Pooling", {"kernel": "(2, 2)", "layout": "NHWC"}, 1),
        ("Pooling", {"global_pool": "True"}, 1),
    ],
)
def test_hidden_outputs_are_counted(op: str, attrs: dict[str, str], count: int) -> None:
    written = json.loads(dumps(read(document([variable("x"), node(op, "n", 0, attrs=attrs)])).graph))
    assert written["node_row_ptr"] == [0, 1, 1 + count]


@pytest.mark.parametrize("count", [1, 10, 11])
def test_long_arrays_take_a_line_per_item(count: int) -> None:
    names = [variable(f"x{i}") for i in range(count)]
    raw = document([*names, node("add_n", "s", *range(count), attrs={"num_args": str(count)})])
    written = dumps(read(raw).graph)
    assert ('"inputs": [[0, 0, 0]' in written) == (count <= 10)
    assert ('"inputs": [\n        [0, 0, 0]' in written) == (count > 10)
    assert ('"arg_nodes": [\n    0' in written) == (count > 10)


@pytest.mark.parametrize("count", [10_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_a_long_chain(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMJIT_JSON_MEMORY", "128")
    nodes = [variable("x"), *(node("sqrt", f"r{i}", i) for i in range(count))]
    order = list(range(count + 1))
    random.Random(0).shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    for each in nodes:
        each["inputs"] = [[place[i], 0, 0] for i, _, _ in each["inputs"]]
    shuffled = document([nodes[old] for old in order], 800, heads=[[place[count], 0, 0]], arg_nodes=[place[0]])
    limit = sys.getrecursionlimit()
    graph = read(shuffled).graph
    assert len(graph.nodes) == count + 1
    written = dumps(graph)
    assert json.loads(written)["heads"] == [[count, 0, 0]]
    assert dumps(loads(written).graph) == written
    assert sys.getrecursionlimit() == limit


# Broken files ---------------------------------------------------------------------------------------------------------

GOOD = document([variable("x"), node("sqrt", "r", 0), node("exp", "e", 1)])


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    """Return `GOOD` with one place set to `value`, or removed for ``...``."""
    copy: Any = json.loads(json.dumps(GOOD))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty: copy or download it again"),
        (b" \n\t", "the file is empty"),
        (b"<!DOCTYPE html><html>", "an HTML page\\. .*: fetch the file itself"),
        (b"\xef\xbb\xbf<script>", "is HTML or XML"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b"404: Not Found", "a server's 'not found' answer\\. Correct the address"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer.*Run `git lfs pull`"),
        (zipped(), "zip archive .*Unpack it"),
        (compressed_tar(), "tar archive.*Unpack it"),
        (gzip.compress(b"{}", mtime=0), "gzip data.*Unpack it"),
        (bz2.compress(b"{}"), "bzip2 data.*Unpack it"),
        (lzma.compress(b"{}"), "xz data.*Unpack it"),
        (SMALL, r"is a list of MXNet arrays \(\.params\)\. The graph is in the -symbol\.json file beside it"),
        (b"\x12\x01\0\0\0\0\0\0\0\0", r"\(\.params\).*-symbol\.json"),
        (b"Not found", "starts with 'Not found'"),
        (b'{"nodes": "\xff"}', "byte 11 is not UTF-8"),
        (json.dumps(GOOD)[:-1], "ends too early"),
        (json.dumps(GOOD)[:12], "ends too early"),
        (json.dumps(GOOD) + "}", "not valid JSON: Extra data"),
        ("[" * 100_000, "nested too deeply"),
        ('{"nodes": ' + "9" * 5000 + "}", "not valid JSON: Exceeds the limit"),
        ("[]", r"expected an object with nodes, arg_nodes, heads, got \[\]"),
        ("3", "expected an object with nodes"),
        (json.dumps(document([variable("\ud800")])), "node 0 .*: name: .* surrogate"),
    ],
)
def test_what_is_no_symbol_json(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(MXNetError, match=rf"^net\.json: .*{message}"):
        loads(text, "net.json")
    path = tmp_path / "net-symbol.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for read in (load, symbol.load, read_graph):
        with pytest.raises(MXNetError, match=rf"^{path}: .*{message}"):
            read(path)


def test_truncation_at_every_byte() -> None:
    text = json.dumps(GOOD)
    for length in range(len(text)):
        with pytest.raises(MXNetError, match=r"^net\.json: .*(copy or download it again|fetch it again)$"):
            loads(text[:length], "net.json")


def test_damaged_graphs_say_what_to_do() -> None:
    for path, value in ((["nodes", 1, "inputs", 0, 0], 9), (["heads"], ...), (["nodes", 1, "inputs", 0, 0], 1)):
        with pytest.raises(
            MXNetError, match=r"\. The graph is damaged or was edited: copy or download the file again, or"
        ):
            read(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["nodes"], ..., r"no nodes \(it has \['arg_nodes', 'attrs', 'heads'\]\)"),
        (["arg_nodes"], ..., "no arg_nodes"),
        (["heads"], ..., "no heads"),
        (["colour"], "red", "unknown key 'colour'"),
        (["nodes"], {}, r"nodes: expected an array, got \{\}"),
        (["nodes", 1], 7, "node 1: expected an object with op, name, inputs, got 7"),
        (["nodes", 1, "op"], ..., "node 1 'r': no op"),
        (["nodes", 1, "op"], 7, "node 1 'r': op: expected a string, got 7"),
        (["nodes", 1, "name"], None, "node 1: name: expected a string, got None"),
        (["nodes", 1, "inputs"], ..., "node 1 'r': no inputs"),
        (["nodes", 1, "colour"], "red", "node 1 'r': unknown key 'colour'"),
        (["nodes", 1, "attrs"], [], r"node 1 'r': attrs: expected an object of strings, got \[\]"),
        (["nodes", 1, "attrs"], {"a": 1}, "node 1 'r': attribute 'a': expected a string in quotes, got 1"),
        (["nodes", 1, "attr"], {"a": True}, "expected a string in quotes, got True"),
        (["nodes", 1, "param"], {"a": None}, "expected a string in quotes, got None"),
        (["nodes", 1, "inputs"], 0, "node 1 'r': inputs: expected an array, got 0"),
        (["nodes", 1, "inputs", 0], 0, r"inputs: expected \[node, output\] or \[node, output, version\], got 0"),
        (["nodes", 1, "inputs", 0], [0], r"got \[0\]"),
        (["nodes", 1, "inputs", 0], [0, 0, 0, 0], r"got \[0, 0, 0, 0\]"),
        (["nodes", 1, "inputs", 0, 0], 3, "inputs: there is no node 3: the graph has 3"),
        (["nodes", 1, "inputs", 0, 0], -1, "there is no node -1"),
        (["nodes", 1, "inputs", 0, 0], True, "expected the number of a node, got True"),
        (["nodes", 1, "inputs", 0, 0], 0.0, r"expected the number of a node, got 0\.0"),
        (["nodes", 1, "inputs", 0, 1], -1, "numbers from 0 on"),
        (["nodes", 1, "inputs", 0, 2], 2**32, "numbers from 0 on"),
        (["nodes", 1, "inputs", 0, 1], 1, "node 'r' uses output 1 of node 'x', which has 1"),
        (["nodes", 2, "inputs", 0, 1], 1, "node 'e' uses output 1 of node 'r', which has 1"),
        (["heads", 0, 1], 1, "the graph uses output 1 of node 'e', which has 1"),
        (["nodes", 0, "inputs"], [[1, 0]], "node 0 'x': a variable .* has no inputs, got 1"),
        (["nodes", 1, "inputs", 0, 0], 1, "node 'r' depends on itself"),
        (["nodes", 1, "inputs", 0, 0], 2, "depends on itself"),
        (["nodes", 1, "control_deps"], [2], "depends on itself"),
        (["nodes", 1, "control_deps"], [3], "control_deps: there is no node 3"),
        (["nodes", 1, "subgraphs"], {}, "node 1 'r': subgraphs: expected an array"),
        (["nodes", 1, "subgraphs"], [{}], "node 1 'r': subgraph 0: no nodes and no arg_nodes and no heads"),
        (["arg_nodes"], [0, 1], "node 1 'r': arg_nodes has it, but it is no variable: sqrt"),
        (["arg_nodes"], [9], "arg_nodes: there is no node 9"),
        (["node_row_ptr"], 1, "node_row_ptr: expected an array"),
        (["heads"], None, "heads: expected an array"),
        (["heads"], [[3, 0]], "heads: there is no node 3"),
        (["attrs"], [], r"attrs: expected an object, got \[\]"),
        (["attrs", "mxnet_version"], 10901, r"mxnet_version: expected \[\"int\", 10901\]"),
        (["attrs", "mxnet_version"], ["str", "10901"], "mxnet_version: expected"),
        (["nodes", 1, "op"], "_Native", "node 1 'r': the operator _Native holds an address"),
        (["nodes", 1, "op"], "_NDArray", "_NDArray holds an address"),
        (["nodes", 1, "op"], "_CustomFunction", "_CustomFunction holds an address"),
    ],
)
def test_broken_graphs(path: list[Any], value: Any, message: str) -> None:
    with pytest.raises(MXNetError, match=rf"^net\.json.*{message}"):
        read(changed(path, value))


@pytest.mark.parametrize(("op", "attrs"), [("Dropout", {}), ("Pooling", {"kernel": "(2, 2)"})])
def test_work_spaces_are_no_outputs(op: str, attrs: dict[str, str]) -> None:
    raw = document([variable("x"), node(op, "n", 0, attrs=attrs)], heads=[[1, 1, 0]])
    with pytest.raises(MXNetError, match=r"^net\.json: the graph uses output 1 of node 'n', which has 1"):
        read(raw)


def test_nesting_of_subgraphs_is_bounded() -> None:
    def nested(depth: int) -> dict[str, Any]:
        raw = document([variable("x")], None)
        for _ in range(depth):
            raw = document([node("Loop", "l", subgraphs=[raw])], None)
        return raw

    assert read(nested(32)).graph.op_counts() == {"Loop": 32}
    with pytest.raises(MXNetError, match="nested more than 32 deep"):
        read(nested(33))


def survives(text: str | bytes) -> None:
    """Check that a text is either refused with an `MXNetError` or has a fixed point."""
    try:
        graph = loads(text).graph
    except MXNetError:
        return
    written = dumps(graph)
    assert dumps(loads(written).graph) == written


@given(anything)
def test_no_json_value_breaks_the_reader(value: Any) -> None:
    survives(json.dumps(value))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(graph_like)
def test_no_graph_like_value_breaks_the_reader(value: Any) -> None:
    survives(json.dumps(value))


def places(value: Any) -> list[list[Any]]:
    """Return the paths of all places inside a JSON value."""
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path for key, inner in items for path in ([key], *([key, *rest] for rest in places(inner)))]


@settings(max_examples=300)
@given(st.sampled_from(places(GOOD)), anything)
def test_no_change_of_one_value_breaks_the_reader(path: list[Any], value: Any) -> None:
    survives(json.dumps(changed(path, value)))


@given(st.binary(max_size=64) | st.text(max_size=64))
def test_no_text_breaks_the_reader(text: str | bytes) -> None:
    survives(text)


@given(st.integers(0, len(json.dumps(GOOD)) - 1), st.binary(max_size=3))
def test_no_damage_breaks_the_reader(at: int, put: bytes) -> None:
    good = json.dumps(GOOD).encode()
    survives(good[:at])
    survives(good[:at] + put + good[at + len(put) :])
