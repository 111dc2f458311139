"""What reading a Symbol JSON may take: measured, bounded, and refused beyond it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from symjit import config
from symjit import symbol as sym
from symjit.base import MXNetError
from symjit.ir.graph import Unsupported
from symjit.ir.serialize import dumps, load, loads
from symjit.ir.text import survey
from tests.json_bombs import BOMBS

ROOT = Path(__file__).resolve().parent.parent
_NESTED = ("deep arrays", "deep objects", "long integers")


def refusal(text: str | bytes) -> str:
    with pytest.raises(MXNetError) as caught:
        loads(text, "net.json")
    message = str(caught.value)
    assert message.startswith("net.json: ") and len(message) < 10_000
    return message


def network(count: int) -> dict[str, Any]:
    """Return an unrolled network as MXNet 1.9.1 writes it, of about `count` nodes."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "data", "inputs": []}]
    last = 0
    while len(nodes) < count:
        at = len(nodes)
        attrs = {"num_hidden": "64", "__lr_mult__": "1.0"}
        nodes += [
            {"op": "null", "name": f"step{at}_{part}", "attrs": attrs, "inputs": []} for part in ("weight", "bias")
        ]
        inputs = [[last, 0, 0], [at, 0, 0], [at + 1, 0, 0]]
        nodes.append({"op": "FullyConnected", "name": f"step{at}", "attrs": {"num_hidden": "64"}, "inputs": inputs})
        nodes.append(
            {"op": "Activation", "name": f"act{at}", "attrs": {"act_type": "relu"}, "inputs": [[at + 2, 0, 0]]}
        )
        last = at + 3
    arguments = [i for i, node in enumerate(nodes) if node["op"] == "null"]
    rows = list(range(len(nodes) + 1))
    version = {"mxnet_version": ["int", 10901]}
    return {"nodes": nodes, "arg_nodes": arguments, "node_row_ptr": rows, "heads": [[last, 0, 0]], "attrs": version}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("count", [1_000, pytest.param(12_000, marks=pytest.mark.slow)])
def test_the_survey_bounds_what_reading_takes(kind: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMJIT_JSON_MEMORY", "100000")
    text = BOMBS[kind](count // 100 if kind in _NESTED else count).encode()
    for given in (text, text.decode())[: 1 + (count < 10_000)]:
        bound = survey(given).memory
        tracemalloc.start()
        try:
            loads(given)
        except MXNetError as error:
            assert len(str(error)) < 10_000
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak <= bound


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 16])
def test_the_survey_counts_what_stands_outside_strings(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symjit.ir.text._CHUNK", chunk)
    value = {"a[": ['"{', "\\", '\\"[', "é", [], {}, [[1, 22]]], "b": [-1.5e3, None, "x" * 20, "[" * 5 + "\\\\"]}
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=1)):
        for given in (text, text.encode()):
            found = survey(given)
            counts = {character: found.count(character) for character in '{}[]:"'}
            assert counts == {"{": 2, "}": 2, "[": 5, "]": 5, ":": 2, '"': 8}
            assert found.depth == 4 and found.escapes and found.unicode == ("\\u" in text)
            assert found.width == (0 if "\\u" in text else 1)
            assert found.numbers == 3 if chunk > len(text) else found.numbers >= 3


@pytest.mark.parametrize(("letter", "width"), [("a", 0), ("é", 1), ("ÿ", 1), ("Ā", 2), ("中", 2), ("😀", 4)])
def test_the_survey_knows_the_width_of_text(letter: str, width: int) -> None:
    for given in (f'["{letter}"]', f'["{letter}"]'.encode()):
        assert survey(given).width == width


def test_real_networks_of_20000_nodes_load() -> None:
    graph = loads(json.dumps(network(20_000))).graph
    assert 20_000 <= len(graph.nodes) < 20_010
    assert survey(dumps(graph)).memory < 64 << 20


def test_what_takes_too_much_is_refused_and_the_setting_admits_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYMJIT_JSON_MEMORY", "16")
    text = json.dumps(network(8_000))
    message = refusal(text)
    assert "may take" in message and "8001 arrays" not in message and "objects" in message
    assert "At most 16 MiB" in message and "raise the environment variable SYMJIT_JSON_MEMORY" in message
    path = tmp_path / "net-symbol.json"
    path.write_text(text)
    for read in (load, sym.load):
        with pytest.raises(MXNetError, match=rf"^{path}: reading it may take"):
            read(path)
    monkeypatch.setenv("SYMJIT_JSON_MEMORY", "32")
    assert len(load(path).graph.nodes) == len(json.loads(text)["nodes"])


def test_a_small_file_takes_little(tmp_path: Path) -> None:
    path = tmp_path / "net-symbol.json"
    path.write_text(variable())
    tracemalloc.start()
    assert sym.load(path).name == "x"
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "net-symbol.json"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # sparse: it takes no room
    tracemalloc.start()
    with pytest.raises(MXNetError, match=rf"^{path}: reading it has more than 67108864 bytes\. At most 64 MiB"):
        sym.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2 * (64 << 20)
    tracemalloc.stop()


def variable(**attrs: str) -> str:
    node = {"op": "null", "name": "x", "inputs": [], "attrs": attrs}
    return json.dumps({"nodes": [node], "arg_nodes": [0], "heads": [[0, 0]]})


@pytest.mark.parametrize("count", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_attributes_of_100_megabytes_are_refused(count: int) -> None:
    message = refusal(variable(**{f"__{i}__": "a" * ((100 << 20) // count) for i in range(count)}))
    assert "may take" in message and "SYMJIT_JSON_MEMORY" in message


def operator(op: str, attrs: dict[str, str], inputs: int = 1, version: int = 10901, outputs: int = 1) -> str:
    nodes = [{"op": "null", "name": f"x{i}", "inputs": []} for i in range(max(inputs, 1))]
    nodes.append({"op": op, "name": "n", "attrs": attrs, "inputs": [[i, 0] for i in range(inputs)]})
    heads = [[len(nodes) - 1, i] for i in range(outputs)]
    attributes = {"mxnet_version": ["int", version]}
    return json.dumps({"nodes": nodes, "arg_nodes": [], "heads": heads, "attrs": attributes})


@pytest.mark.parametrize("key", ["axis", "keepdims", "mood"])
def test_long_values_are_cut_in_messages(key: str) -> None:
    message = refusal(operator("sum", {key: "x" * 1_000_000}))
    assert f"node 'n': sum: {'unknown ' * (key == 'mood')}attribute '{key}'" in message and len(message) < 1000
    assert ("An attribute of your own" in message) == (key == "mood") and "Correct them in the file" in message


@pytest.mark.parametrize(
    ("op", "key"),
    [("sum", "axis"), ("sum", "keepdims"), ("Activation", "act_type"), ("clip", "a_min"), ("Cast", "dtype")],
)
@pytest.mark.parametrize(
    "value", ["x" * 200_000, "9x" * 100_000, "(" * 200_000, "1," * 100_000, "\u0130" * 200_000, "[" * 99]
)
def test_no_attribute_type_quotes_a_long_value(op: str, key: str, value: str) -> None:
    message = refusal(operator(op, {key: value, **({"a_max": "1"} if op == "clip" else {})}))
    assert "'n'" in message and f"'{key}'" in message and len(message) < 2000


def test_the_text_of_an_attribute_is_bounded() -> None:
    message = refusal(operator("Reshape", {"shape": "1," * (1 << 20)}))
    assert "attribute 'shape': expected at most 1048576 characters, got 2097152: '1,1," in message
    message = refusal(operator("Reshape", {"shape": "(" + "1," * 70_000 + ")"}))
    assert "attribute 'shape': expected a tuple of int of at most 65536 items, got '(1,1," in message
    assert len(loads(operator("Reshape", {"shape": "1," * 1000})).graph.heads[0].node.params.shape) == 1000


def test_texts_of_structured_dtypes_do_not_reach_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("(9999999999,)f4", "f4," * 10_000, "((((((1))))))f4", "f4,f4", "4f4", "O", "V99"):
        assert "unknown dtype" in refusal(operator("Cast", {"dtype": text}))
    assert loads(operator("Cast", {"dtype": "<f2"})).graph.heads[0].node.params.dtype == "float16"


@pytest.mark.parametrize("version", [800, 10901])
@pytest.mark.parametrize("count", [3, 70, 10**9, 2**62])
def test_counts_of_inputs_must_agree_with_the_inputs(count: int, version: int) -> None:
    text = operator("Concat", {"num_args": str(count)}, inputs=2, version=version)
    if version == 800 and count < 66:  # files of that time leave inputs out
        assert [node.name for node in loads(text).graph.variables] == ["x0", "x1", "n_arg2"]
        return
    assert f"node 'n': Concat: num_args={count}" in refusal(text) and "2" in refusal(text)


def test_too_few_counted_inputs() -> None:
    message = refusal(operator("Concat", {"num_args": "2"}, inputs=3))
    assert "node 'n': Concat: num_args=2 does not agree with its inputs, which are 3" in message


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("SliceChannel", {"num_outputs": str(2**31)}),
        ("SliceChannel", {"num_outputs": "100000"}),
        ("_split_v2", {"indices": "()", "sections": "1000000"}),
    ],
)
def test_counts_of_outputs_are_bounded(op: str, attrs: dict[str, str]) -> None:
    message = refusal(operator(op, attrs))
    assert f"node 'n': {op} has" in message and "the graph may have 65536, and 16 more per node" in message


def test_names_of_many_outputs_are_made_once() -> None:
    symbol = sym.load_json(operator("SliceChannel", {"num_outputs": "60000"}, outputs=60_000))
    names = symbol.list_outputs()
    assert (len(names), names[-1]) == (60_000, "n_output59999")
    assert len(json.loads(symbol.tojson())["heads"]) == 60_000


@pytest.mark.parametrize("part", ["name", "op", "key"])
def test_names_are_bounded(part: str) -> None:
    long = "n" * 5000
    node: dict[str, Any] = {"op": "Mystery", "name": "n", "inputs": []}
    node |= {"attrs": {long: "1"}} if part == "key" else {part: long}
    message = refusal(json.dumps({"nodes": [node], "arg_nodes": [], "heads": [[0, 0]]}))
    assert "node 0 'n" in message and "expected at most 4096 characters, got 5000: 'nnnn" in message


def test_thousands_of_unknown_operators_make_a_short_message() -> None:
    nodes = [{"op": f"Op{i % 3000:04}" + "x" * (i % 2 * 2000), "name": "n" * 2000, "inputs": []} for i in range(6000)]
    graph = loads(json.dumps({"nodes": nodes, "arg_nodes": [], "heads": [[i, 0] for i in range(6000)]})).graph
    with pytest.raises(
        Unsupported, match=r"^3000 operators .* Op0000 x2 \('n.*; and 2980 more operators\. See"
    ) as caught:
        graph.require_supported()
    assert len(str(caught.value)) < 10_000 and len(caught.value.nodes) == 3000


def test_variables_that_old_files_leave_out_are_bounded() -> None:
    nodes = [{"op": "BatchNorm", "name": "n" * 4000, "inputs": []} for _ in range(300)]
    text = json.dumps({"nodes": nodes, "arg_nodes": [], "heads": [[i, 0] for i in range(300)]})
    assert "the variables that the file leaves out up to here take more than 8388608 bytes" in refusal(text)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python bounds the recursion of C code by itself")
def test_deep_nesting_does_not_depend_on_the_recursion_limit() -> None:
    program = (
        "import sys; sys.setrecursionlimit(10**8)\n"
        "from symjit.ir.serialize import loads\n"
        "for text in ('[' * 10**5, '[\"]\",' * 10**5, '{\"a\":' * 10**5):\n"
        "    try: loads(text, 'net.json')\n"
        "    except Exception as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and all(line.startswith("net.json: not Symbol JSON: brackets are nested") for line in lines)


def test_what_is_remembered_of_a_file_is_bounded() -> None:
    from symjit.ops import registry

    slices = registry.get("slice_axis")
    before = slices.parse.cache_info().currsize
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "x", "inputs": []}]
    for i in range(3000):
        nodes.append(
            {"op": "slice_axis", "name": "s", "inputs": [[i, 0]], "attrs": {"axis": "0", "begin": str(i), "end": "9"}}
        )
    graph = loads(json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[3000, 0]]})).graph
    assert slices.parse.cache_info().currsize == before
    long = slices.parse_attrs({"axis": "0", "begin": " " * 1000 + "1", "end": "9"})
    assert long.begin == 1 and slices.parse.cache_info().currsize == before
    assert graph.heads[0].node.params.begin == 2999


def test_the_setting_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMJIT_JSON_MEMORY", "much")
    with pytest.raises(MXNetError, match=r"SYMJIT_JSON_MEMORY='much': expected a whole number of MiB"):
        loads(variable())
    assert config.SETTINGS["SYMJIT_JSON_MEMORY"] is config.JSON_MEMORY
    assert os.environ["SYMJIT_JSON_MEMORY"] == "much"
