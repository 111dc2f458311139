"""``mx.rnn`` against MXNet 1.9.1: graphs node for node, outputs, weights, checkpoints, batches of sentences."""

from __future__ import annotations

import importlib
import json
import logging
import lzma
import math
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symjit as mx
from tests.compare import close
from tests.golden import recipe
from tests.golden import rnn_cases as cells

GOLDEN = Path(__file__).resolve().parent / "golden"
FOLDER = GOLDEN / "rnn"
SAID = json.loads((FOLDER / "said.json").read_text("utf-8"))
GRAPHS = json.loads(lzma.decompress((FOLDER / "graphs.json.xz").read_bytes()))
#: Cells whose outputs are computed in the default suite; all have MXNet's graphs, of operators with tests of their own.
SHORT = {"bidirectional", "conv_lstm", "fused_gru"}


def golden(name: str, shapes: list[list[int]]) -> list[np.ndarray]:
    """Return the golden arrays of this name."""
    if not shapes:
        return []
    with np.load(FOLDER / "numbers.npz", allow_pickle=False) as file:
        flat = file[name]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    assert len(flat) == ends[-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FusedRNNCell: inputs of layout NTC")
        yield


def cell_of(name: str) -> Any:
    with mx.name.NameManager():
        return cells.CELLS[name](mx)


def graph_of(name: str, *choices: Any) -> mx.Symbol:
    with mx.name.NameManager():
        return cells.unrolled(mx, cells.CELLS[name](mx), *choices)


def values_of(symbol: mx.Symbol, name: str) -> dict[str, np.ndarray]:
    shapes, _, _ = symbol.infer_shape(data=cells.shape_of(name, "NTC"))
    return {n: recipe.draw(n, s) for n, s in zip(symbol.list_arguments(), shapes, strict=True)}


def run(symbol: mx.Symbol, values: dict[str, Any], train: bool = False) -> list[np.ndarray]:
    args = {n: mx.nd.array(v) for n, v in values.items()}
    return [out.asnumpy() for out in symbol.bind(mx.cpu(), args).forward(is_train=train)]


def same_graph(symbol: mx.Symbol, want: str, what: str) -> None:
    """Assert that a symbol is written as MXNet does; tell the first node that differs."""
    got = symbol.tojson()
    if got == want:
        return
    pairs = zip(json.loads(got)["nodes"], json.loads(want)["nodes"], strict=False)
    first = next((pair for pair in pairs if pair[0] != pair[1]), (got[-300:], want[-300:]))
    pytest.fail(f"{what}:\ngot  {first[0]}\nwant {first[1]}")


# Graphs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cells.CELLS)
def test_graphs_are_written_as_mxnet_does(name: str) -> None:
    for choices in (graph[1:] for graph in cells.graphs() if graph[0] == name):
        key = cells.key_of(name, *choices)
        same_graph(graph_of(name, *choices), GRAPHS[key], key)


@pytest.mark.parametrize("name", ["by_hand", "given_states"])
def test_graphs_of_more_than_a_cell(name: str) -> None:
    with mx.name.NameManager():
        same_graph(getattr(cells, name)(mx), GRAPHS[name], name)


@pytest.mark.parametrize(
    "name", ["fused_cell", "unrolled_lstm", "unrolled_gru", "unrolled_rnn", "unrolled_bidirectional"]
)
def test_networks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(GOLDEN)
    networks = importlib.import_module("networks_sequential")
    with mx.name.NameManager():
        symbol = getattr(networks, name)(mx).symbol
    same_graph(symbol, (GOLDEN / "networks" / f"{name}.json").read_text("utf-8"), name)


def test_the_layout_that_costs_transpositions_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="TNC saves that"):
        mx.rnn.FusedRNNCell(2).unroll(2, mx.sym.Variable("data"))


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in SHORT)) for n in cells.CELLS])
def test_outputs(name: str) -> None:
    symbol = graph_of(name)
    want = golden(f"outputs:{name}", SAID["outputs"][name])
    for i, (out, reference) in enumerate(zip(run(symbol, values_of(symbol, name)), want, strict=True)):
        close(out, reference, 1e-5, f"{name} output {i}")


def test_states() -> None:
    cell = mx.rnn.ResidualCell(mx.rnn.LSTMCell(4))
    assert cell.state_info == [{"shape": (0, 4), "__layout__": "NC"}] * 2
    assert cell.state_shape == [(0, 4), (0, 4)]
    assert mx.rnn.FusedRNNCell(3, 2, "gru", True).state_shape == [(4, 0, 3)]
    assert mx.rnn.ConvGRUCell((1, 3, 8, 9), 5, conv_layout="NHWC", i2h_kernel=(1, 1)).state_shape == [(0, 5, 10, 5)]
    # Beyond MXNet, which needs a batch here, and whose modifiers call it init_sym and whose stacks call it func.
    assert mx.rnn.ConvRNNCell((0, 3, 8, 9), 5).state_shape == [(0, 5, 8, 9)]
    with pytest.raises(ValueError, match="all sizes but the batch's"):
        mx.rnn.ConvRNNCell((1, 3, 0, 9), 5)
    stack = cells.stack_of(mx, mx.rnn.ZoneoutCell(mx.rnn.GRUCell(2)))
    assert [s.name for s in stack.begin_state(func=mx.sym.Variable)] == ["gru_begin_state_0"]


@pytest.mark.parametrize("merge", [None, True, False])
def test_the_residual_of_an_empty_stack_is_its_input_twice(merge: bool | None) -> None:
    """MXNet adds up the first step alone if the outputs are not to be merged."""
    cell = mx.rnn.ResidualCell(mx.rnn.SequentialRNNCell())
    for inputs in (mx.sym.Variable("data"), list(mx.sym.split(mx.sym.Variable("data"), num_outputs=3, squeeze_axis=1))):
        outputs, states = cell.unroll(3, inputs, merge_outputs=merge)
        if isinstance(outputs, list):
            outputs = mx.sym.stack(*outputs, axis=1)
        data = recipe.draw("data", (2, 3, 4))
        assert states == []
        np.testing.assert_array_equal(run(outputs, {"data": data})[0], 2 * data)


def test_zoneout_keeps_elements_of_the_step_before() -> None:
    cell = mx.rnn.ZoneoutCell(cells.stack_of(mx, mx.rnn.RNNCell(50)), zoneout_outputs=0.25)
    outputs, _ = cell.unroll(2, mx.sym.Variable("data"), merge_outputs=False)
    inner = mx.sym.Group(outputs).get_internals()
    symbol = mx.sym.Group([*outputs, inner["rnn_t0_out_output"], inner["rnn_t1_out_output"]])
    shapes, _, _ = symbol.infer_shape(data=(20, 2, 3))
    values = {n: recipe.draw(n, s) for n, s in zip(symbol.list_arguments(), shapes, strict=True)}
    first, second, new_first, new_second = run(symbol, values, train=True)
    np.testing.assert_array_equal(np.where(first == 0, 0, new_first), first)
    kept = second != new_second
    np.testing.assert_array_equal(second[kept], first[kept])
    assert 0.2 < kept.mean() < 0.3 and 0.2 < (first == 0).mean() < 0.3


# Weights --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in cells.CELLS if name != "shared"])
def test_weights_are_unpacked_and_packed_as_in_mxnet(name: str) -> None:
    values = values_of(graph_of(name), name)
    values.pop("data")
    names, shapes = [n for n, _ in SAID["weights"][name]], [shape for _, shape in SAID["weights"][name]]
    given = {n: mx.nd.array(v) for n, v in values.items()}
    cell = cell_of(name)
    unpacked = cell.unpack_weights(given)
    assert list(unpacked) == names
    for array, want in zip(unpacked.values(), golden(f"weights:{name}", shapes), strict=True):
        np.testing.assert_array_equal(array.asnumpy(), want)
    packed = cell.pack_weights(unpacked)
    assert set(packed) == set(values) == set(given)
    for n, array in packed.items():
        np.testing.assert_array_equal(array.asnumpy(), values[n])
    assert list(unpacked) == names, "pack_weights takes nothing out of what it is given"


def test_packed_weights_keep_dtype_and_are_copies() -> None:
    cell = mx.rnn.FusedRNNCell(2, mode="gru")
    vector = mx.nd.array(np.arange(48), dtype="float16")
    unpacked = cell.unpack_weights({"gru_parameters": vector})
    unpacked["gru_l0_i2h_r_weight"][:] = 0
    assert vector.asnumpy()[1] == 1
    packed = cell.pack_weights(unpacked)["gru_parameters"]
    assert packed.dtype == np.float16
    np.testing.assert_array_equal(packed.asnumpy(), np.where(np.arange(48) < 8, 0, np.arange(48)))


def test_wrong_weights() -> None:
    gru, fused = mx.rnn.GRUCell(2), mx.rnn.FusedRNNCell(2, mode="gru")
    with pytest.raises(ValueError, match=r"gru_i2h_weight: expected 6 rows .* got shape \(8, 3\)"):
        gru.unpack_weights({"gru_i2h_weight": mx.nd.zeros((8, 3)), "gru_i2h_bias": mx.nd.zeros((6,))})
    with pytest.raises(KeyError, match="gru_i2h_bias"):
        gru.unpack_weights({"gru_i2h_weight": mx.nd.zeros((6, 3))})
    unpacked = fused.unpack_weights({"gru_parameters": mx.nd.zeros((48,))})
    unpacked["gru_l0_h2h_z_bias"] = mx.nd.zeros((3,))
    with pytest.raises(ValueError, match=r"gru_l0_h2h_z_bias: expected shape \(2,\), got \(3,\)"):
        fused.pack_weights(unpacked)


# Checkpoints ----------------------------------------------------------------------------------------------------------


def test_checkpoint(tmp_path: Path) -> None:
    cell = cell_of("fused_lstm")
    symbol, args, aux = mx.rnn.load_rnn_checkpoint(cell, FOLDER / "fused", 3)
    want = values_of(symbol, "fused_lstm")
    want.pop("data")
    assert not aux and set(args) == set(want)
    np.testing.assert_array_equal(args["lstm_parameters"].asnumpy(), want["lstm_parameters"])
    callback = mx.rnn.do_rnn_checkpoint([cell], tmp_path / "fused", period=3)
    for epoch in range(4):
        callback(epoch, symbol, args, aux)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fused-0003.params", "fused-symbol.json"]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()


def test_an_unfused_stack_loads_what_a_fused_cell_saved() -> None:
    cell = cell_of("fused_lstm")
    symbol, args, _ = mx.rnn.load_rnn_checkpoint(cell, FOLDER / "fused", 3)
    stack = cell.unfuse()
    _, unfused, _ = mx.rnn.load_rnn_checkpoint(stack, FOLDER / "fused", 3)
    stepped = cells.unrolled(mx, stack, "NTC", True)
    assert set(unfused) == set(stepped.list_arguments()) - {"data"}
    data = {"data": recipe.draw("data", cells.shape_of("fused_lstm", "NTC"))}
    want = golden("outputs:fused_lstm", SAID["outputs"]["fused_lstm"])[0]
    close(run(stepped, {**unfused, **data})[0], want, 1e-5, "unfused")
    close(run(symbol, {**args, **data})[0], want, 1e-5, "fused")


# Sentences ------------------------------------------------------------------------------------------------------------


def described(descs: list[Any]) -> list[list[Any]]:
    return [[d.name, list(d.shape), np.dtype(d.dtype).name, d.layout] for d in descs]


@pytest.mark.parametrize("name", cells.BATCHES)
def test_batches_of_sentences(name: str) -> None:
    said = SAID["iterators"][name]
    shapes = [desc[1] for epoch in said["batches"] for batch in epoch for desc in batch[2]]
    want = iter(golden(f"batches:{name}", shapes))
    random.seed(11)
    np.random.seed(12)
    given = {k: list(v) if k == "buckets" else v for k, v in cells.BATCHES[name].items()}
    iterator = mx.rnn.BucketSentenceIter(cells.SENTENCES, **given)
    assert iterator.default_bucket_key == said["default_bucket_key"]
    assert described(iterator.provide_data + iterator.provide_label) == said["provide"]
    for epoch, batches in enumerate(said["batches"]):
        if epoch:
            iterator.reset()
        got = list(iterator)
        assert [[b.bucket_key, b.pad, described(b.provide_data + b.provide_label)] for b in got] == batches
        for batch in got:
            for array in (*batch.data, *batch.label):
                reference = next(want)
                assert array.dtype == reference.dtype
                np.testing.assert_array_equal(array.asnumpy(), reference)
    assert list(want) == []


def test_sentences_that_fit_into_no_bucket(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        iterator = mx.rnn.BucketSentenceIter([[1, 2], [3], [4, 5, 6]], 1, buckets=[2, 7, 1])
    assert iterator.buckets == [1, 2, 7] and not caplog.messages
    with caplog.at_level(logging.WARNING):
        iterator = mx.rnn.BucketSentenceIter([[1, 2], [3], [4, 5, 6]], 2, buckets=[2])
    assert caplog.messages == ["1 sentences are longer than the largest bucket and left out"]
    with pytest.raises(ValueError, match="leave empty sentences out"):
        mx.rnn.BucketSentenceIter([[], [], [1], [2]], 2)


@pytest.mark.parametrize("name", cells.ENCODINGS)
def test_encoded_sentences(name: str) -> None:
    given = {k: dict(v) if k == "vocab" else v for k, v in cells.ENCODINGS[name].items()}
    coded, vocab = mx.rnn.encode_sentences(cells.TEXT, **given)
    assert [coded, list(vocab.items())] == [SAID["encoded"][name][0], list(SAID["encoded"][name][1].items())]
    assert vocab is given.get("vocab", vocab)


# The API --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cells.WRONG)
def test_errors(name: str) -> None:
    assert cells.error_of(cells.WRONG[name], mx) == SAID["errors"][name]


def test_signatures() -> None:
    got = cells.signatures(mx)
    assert {name: got.get(name) for name in SAID["signatures"]} == SAID["signatures"]


def test_modules() -> None:
    assert mx.rnn.rnn_cell.LSTMCell is mx.rnn.LSTMCell
    assert mx.rnn.io.encode_sentences is mx.rnn.encode_sentences
    assert mx.rnn.rnn.save_rnn_checkpoint is mx.rnn.save_rnn_checkpoint


def test_rnn_unroll() -> None:
    cell = mx.rnn.RNNCell(2)
    with pytest.warns(UserWarning, match="deprecated"):
        outputs, states = mx.rnn.rnn_unroll(cell, 2, mx.sym.Variable("data"))
    assert [s.name for s in (*outputs, *states)] == ["rnn_t0_out", "rnn_t1_out", "rnn_t1_out"]


def test_a_failed_unroll_leaves_the_modifier_in_charge() -> None:
    cell = mx.rnn.GRUCell(2)
    residual = mx.rnn.ResidualCell(cell)
    with pytest.raises(AssertionError, match="3 steps need as many inputs, got 1"):
        residual.unroll(3, [mx.sym.Variable("data")])
    with pytest.raises(AssertionError, match="call the modifier instead"):
        cell.begin_state()
