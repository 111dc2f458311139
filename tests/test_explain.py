"""`Predictor.explain`, ``symjit explain`` and ``symjit bench``."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import symjit as mx
from symjit.cli import main
from symjit.explain import Explanation, NodeReport
from symjit.ops import registry
from symjit.ops.derived import strategy

PREFIX = str(pathlib.Path(mx.__file__).resolve().parent / "demo" / "digits")
FLOAT = 4


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Return ``(exit code, standard output, standard error)``."""
    code = main(list(argv))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def predictor(symbol: mx.Symbol, **shapes: tuple[int, ...]) -> mx.Predictor:
    """Return a network with random parameters."""
    arg_shapes, _, aux_shapes = symbol.infer_shape(**shapes)
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    rng = np.random.RandomState(0)
    values = {
        name: rng.uniform(0.5, 1.0, shape).astype(np.float32)
        for name, shape in zip(names, [*arg_shapes, *aux_shapes], strict=True)
        if name not in shapes and not name.endswith("label")
    }
    return mx.Predictor(symbol.graph, values)


def small() -> mx.Symbol:
    """Convolution, BatchNorm, ReLU, pooling and a fully connected layer."""
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=8, no_bias=True, name="conv")
    x = mx.sym.BatchNorm(x, fix_gamma=False, name="bn")
    x = mx.sym.Activation(x, act_type="relu", name="relu")
    x = mx.sym.Dropout(x, p=0.5, name="drop")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool")
    return mx.sym.FullyConnected(x, num_hidden=10, name="fc")


SHAPE = (2, 4, 10, 12)  # convolved to (2, 8, 8, 10), pooled to (2, 8, 4, 5)


@pytest.fixture(scope="module")
def found() -> Explanation:
    return predictor(small(), data=SHAPE).explain(data=SHAPE)


def rows(explanation: Explanation) -> dict[str, NodeReport]:
    return {node.name: node for node in explanation.nodes}


def test_flops_and_bytes_of_layers(found: Explanation) -> None:
    conv, fc = rows(found)["conv"], rows(found)["fc"]
    n, c, height, width = SHAPE
    out = n * 8 * (height - 2) * (width - 2)
    # One addition more for each result: the bias that BatchNorm became.
    assert conv.flops == 2 * out * c * 9 + out
    assert conv.bytes == FLOAT * (n * c * height * width + 8 * c * 9 + 8 + out)
    assert sorted(conv.shapes[0]) == sorted((n, 8, 8, 10)) and len(conv.shapes) == 1
    inner = 8 * 4 * 5
    assert fc.flops == 2 * n * inner * 10 + n * 10
    assert fc.bytes == FLOAT * (n * inner + 10 * inner + 10 + n * 10)
    assert rows(found)["relu"].bytes == FLOAT * 2 * out
    assert (conv.operator, conv.strategy) == ("Convolution", conv.strategy)


def test_totals_are_sums(found: Explanation) -> None:
    assert found.flops == sum(node.flops for node in found.nodes)
    assert sum(node.share for node in found.nodes) == pytest.approx(1)
    assert found.seconds == pytest.approx(sum(tally.seconds for tally in found.by_operator))
    assert sum(tally.count for tally in found.by_operator) == len(found.nodes)
    for node in found.nodes:
        assert node.seconds == pytest.approx(max(node.flops / found.peaks["float32"], node.bytes / found.bandwidth))
    assert found.bandwidth > 0 and found.peaks["float32"] > 0
    assert found.measured is None and found.explained is None


def test_passes_tell_what_they_changed(found: Explanation) -> None:
    passes = {item.name: item for item in found.passes}
    assert (passes["drop idle nodes"].before, passes["drop idle nodes"].after) == (6, 5)
    assert passes["drop idle nodes"].changes == ("1 Dropout removed",)
    assert passes["merge repeated nodes"].changes == ()
    folding = passes["fold affine maps"]
    assert (folding.before, folding.after) == (5, 4)
    assert folding.changes[0] == "1 BatchNorm folded into parameters"
    assert folding.changes[1] == "1 BatchNorm@affine, 1 Convolution@after prepared once"
    assert found.passes[-1].after == len(found.nodes)


def test_parameters(found: Explanation) -> None:
    prepared = [item for item in found.parameters if item.computed]
    # The convolution's weight and the other layer's, in whatever layout, and the bias that the first did not have.
    assert sorted(item.bytes for item in prepared) == [8 * FLOAT, 8 * 4 * 9 * FLOAT, 10 * 160 * FLOAT]
    assert [item.name for item in found.parameters if not item.computed] == ["fc_bias"]
    assert found.parameter_bytes == FLOAT * (8 * 4 * 9 + 8 + 10 * 160 + 10)
    assert found.inputs == {"data": (SHAPE, "float32")}


def test_transposes_are_counted() -> None:
    x = mx.sym.var("data")
    for axes in [(0, 2, 3, 1), (0, 3, 1, 2)]:
        x = mx.sym.exp(mx.sym.transpose(x, axes=axes))
    plain = predictor(x, data=(2, 3, 4, 5)).explain((2, 3, 4, 5))
    assert (plain.transposes, plain.transposes_given) == (2, 2)
    image = predictor(small(), data=SHAPE).explain(SHAPE)
    # The CPU computes with the channels last: one transpose at each end.
    assert (image.transposes, image.transposes_given) == (2, 0)


def test_an_input_used_twice_is_read_once_and_a_reshape_moves_nothing() -> None:
    x = mx.sym.var("data")
    net = mx.sym.Reshape(x * x, shape=(0, -1), name="flat")
    found = predictor(net, data=(2, 3, 4)).explain((2, 3, 4))
    product, flat = found.nodes
    assert product.bytes == FLOAT * 2 * 24 and product.flops == 24
    assert (flat.bytes, flat.flops, flat.seconds, flat.bound) == (0, 0, 0.0, "")


def test_flops_of_loops_are_those_of_all_iterations() -> None:
    steps, batch, size, hidden = 11, 2, 5, 7
    net = mx.sym.RNN(
        mx.sym.var("data"), mx.sym.var("rnn_parameters"), mx.sym.var("state"), state_size=hidden, num_layers=1,
        mode="rnn_tanh", name="rnn",
    )  # fmt: skip
    symbol = predictor(net, data=(steps, batch, size), state=(1, batch, hidden))
    products = 2 * steps * batch * hidden * (size + hidden)
    node = rows(symbol.explain(data=(steps, batch, size)))["rnn"]
    # Beside the products: biases and sums, at most a handful for each hidden value.
    assert products <= node.flops <= products + 8 * steps * batch * hidden


def test_strategies_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = registry.get("FullyConnected")
    monkeypatch.setattr(operator, "strategies", {})
    monkeypatch.setattr(operator, "choose", lambda a, specs, platform, train: "turned")

    @strategy(operator, "turned", lambda a, specs, platform: True, prepare=lambda a, weight: weight.T)
    def turned(a: Any, data: Any, weight: Any, bias: Any = None) -> Any:
        out = jnp.matmul(data, weight)
        return out if bias is None else out + bias

    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc")
    network = predictor(net, data=(2, 3))
    found = network.explain((2, 3))
    node = rows(found)["fc"]
    assert (node.operator, node.strategy) == ("FullyConnected", "turned")
    assert node.flops == 2 * 2 * 3 * 4 + 2 * 4
    assert found.passes[-1].changes == (
        "1 FullyConnected as turned",
        "1 FullyConnected@turned.weight prepared once",
    )
    assert [item.shape for item in found.parameters if item.computed] == [(3, 4)]


def test_arguments() -> None:
    network = predictor(small(), data=SHAPE)
    with pytest.raises(mx.MXNetError, match=r"explain\(data=\(1, 3, 224, 224\)\), or run the network first"):
        network.explain()
    by_name = network.explain(data=SHAPE)
    assert network.explain(SHAPE) == network.explain({"data": np.zeros(SHAPE)}) == by_name
    assert network.explain(mx.nd.zeros(SHAPE)) == network.explain(list(SHAPE)) == by_name
    # Without arguments the last call is explained.
    network(np.zeros((4, *SHAPE[1:]), np.float32))
    assert network.explain().inputs == {"data": ((4, *SHAPE[1:]), "float32")}
    with pytest.raises(mx.MXNetError, match="inputs unknown"):
        network.explain(image=SHAPE)
    with pytest.raises(mx.MXNetError, match=r"input 'data': expected a shape such as .*, got 'x'"):
        network.explain("x")
    with pytest.raises(mx.MXNetError, match="Convolution"):
        network.explain((2, 5, 10, 12))


def test_a_padded_batch_is_explained_as_padded() -> None:
    network = predictor(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc"), data=(4, 6))
    assert network.explain((3, 6)).inputs == {"data": ((4, 6), "float32")}


def test_shapes_that_the_file_notes() -> None:
    net = mx.sym.FullyConnected(mx.sym.var("data", shape=(4, 6)), num_hidden=3, name="fc")
    network = predictor(net, data=(4, 6))
    assert network.noted_shapes == {"data": (4, 6)}
    assert network.explain().inputs == {"data": ((4, 6), "float32")}
    partly = predictor(mx.sym.FullyConnected(mx.sym.var("data", shape=(0, 6)), num_hidden=3), data=(4, 6))
    assert partly.noted_shapes == {"data": (None, 6)}
    with pytest.raises(mx.MXNetError, match="notes no shape"):
        partly.explain()


def test_input_specs() -> None:
    network = predictor(small(), data=SHAPE)
    spec = network.input_specs(data=SHAPE)["data"]
    assert (spec.shape, spec.dtype) == (SHAPE, np.float32)
    with pytest.raises(mx.MXNetError, match="Convolution"):
        network.input_specs(data=(1, 2, 3))


def test_explaining_does_not_run_or_compile_the_network() -> None:
    network = predictor(small(), data=SHAPE)
    network.explain(SHAPE)
    assert network.traces == 0
    measured = network.explain(SHAPE, measure=True)
    assert network.traces == 1
    assert measured.measured is not None and measured.measured > 0
    assert measured.explained == pytest.approx(measured.seconds / measured.measured)
    assert "the roofline explains" in str(measured)


def test_text_shows_every_node(found: Explanation) -> None:
    text = str(found)
    for node in found.nodes:
        assert any(line.startswith(f"{node.name} ") and node.operator in line for line in text.splitlines())
    assert "1 BatchNorm folded into parameters" in text
    assert f"transposes left: {found.transposes} (0 in the graph as given)" in text
    assert any(line.split()[:2] == ["total", f"{found.flops / 1e3:.2f}"] for line in text.splitlines())


def test_text_escapes_names() -> None:
    net = mx.sym.FullyConnected(mx.sym.var("da\x1b[2Jta"), num_hidden=2, name="fc\x1b[1A")
    found = predictor(net, **{"da\x1b[2Jta": (1, 3)}).explain((1, 3))
    assert "\x1b" not in str(found)


def test_whole_numbers_and_random_numbers() -> None:
    """An input of whole numbers, and an operator that draws at inference."""
    x = mx.sym.Embedding(mx.sym.var("data", dtype="int32"), input_dim=20, output_dim=6, name="embed")
    x = mx.sym.Dropout(x, p=0.5, mode="always", name="drop")
    network = predictor(x, data=(2, 3))
    found = network.explain((2, 3), measure=True)
    assert found.inputs["data"] == ((2, 3), "int32")
    assert rows(found)["embed"].bytes == 4 * (2 * 3 + 20 * 6 + 2 * 3 * 6)
    assert [node.name for node in found.nodes] == ["embed", "drop"]
    assert found.measured is not None and found.measured > 0


# The command line -----------------------------------------------------------------------------------------------------

EPOCH = ("--epoch", "10")


@pytest.mark.parametrize("shape", ["data=1,1,8,8", "1,8,8", "N,1,8,8", "data=(1x1x8x8)"])
def test_explain_command(capsys: pytest.CaptureFixture[str], shape: str) -> None:
    code, out, _ = run(capsys, "explain", PREFIX, *EPOCH, "--shape", shape)
    assert code == 0
    assert "3 BatchNorm folded into parameters" in out and "inputs: data (1, 1, 8, 8) float32" in out
    assert any(line.split()[:2] == ["stage1b_conv", "Convolution"] for line in out.splitlines())


def test_explain_command_json(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["explain", PREFIX, *EPOCH, "--shape", "1,1,8,8", "--batch", "4", "--json", "--measure"]
    code, out, _ = run(capsys, *argv)
    report = json.loads(out)
    assert code == 0
    assert report["inputs"] == {"data": [[4, 1, 8, 8], "float32"]}
    assert report["flops"] == sum(node["flops"] for node in report["nodes"])
    assert report["measured"] > 0 and report["explained"] > 0
    assert report["by_operator"][0]["operator"] == "Convolution"


def test_bench_command(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    net = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=2, no_bias=True, name="conv")
    net.save(f"{tmp_path}/net-symbol.json")
    mx.nd.save(f"{tmp_path}/net-0000.params", {"arg:conv_weight": mx.nd.ones((2, 1, 3, 3))})
    argv = ["bench", f"{tmp_path}/net", "--shape", "1,8,8", "--batch", "1,4", "--seconds", "0.01"]
    code, out, _ = run(capsys, *argv)
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[1][:3] == ["batch", "median", "p95"]
    assert [line[0] for line in lines[2:]] == ["1", "4"]
    report = json.loads(run(capsys, *argv, "--json")[1])
    assert [row["batch"] for row in report["batches"]] == [1, 4]
    assert report["load"] > 0
    for row in report["batches"]:
        assert row["shapes"] == {"data": [row["batch"], 1, 8, 8]} and row["calls"] >= 3
        assert 0 < row["median"] <= row["p95"] < row["first_call"] and row["rows_per_second"] > 0
        assert row["resident"] is None or row["resident"] >= 0  # of so small a network it may be in freed memory
        assert row["cached"] is False  # tests keep no cache


def test_bench_puts_the_batch_where_the_shape_says(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    net = mx.sym.RNN(
        mx.sym.var("data"), mx.sym.var("rnn_parameters"), mx.sym.var("state"), state_size=3, num_layers=1,
        mode="rnn_tanh", name="rnn",
    )  # fmt: skip
    net.save(f"{tmp_path}/net-symbol.json")
    mx.nd.save(f"{tmp_path}/net-0000.params", {"arg:rnn_parameters": mx.nd.ones((3 * 5 + 3 * 3 + 6,))})
    argv = ["bench", f"{tmp_path}/net", "--shape", "data=7,N,5", "--seconds", "0.01", "--json"]
    report = json.loads(run(capsys, *argv, "--batch", "2")[1])["batches"]
    assert [(row["batch"], row["shapes"]) for row in report] == [(2, {"data": [7, 2, 5]})]
    report = json.loads(run(capsys, *argv)[1])["batches"]
    assert [(row["batch"], row["shapes"]) for row in report] == [(1, {"data": [7, 1, 5]})]


def test_commands_take_shapes_from_the_file(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    net = mx.sym.FullyConnected(mx.sym.var("data", shape=(0, 6)), num_hidden=3, name="fc")
    net.save(f"{tmp_path}/net-symbol.json")
    params = {"arg:fc_weight": mx.nd.ones((3, 6)), "arg:fc_bias": mx.nd.ones((3,))}
    mx.nd.save(f"{tmp_path}/net-0000.params", params)
    code, out, _ = run(capsys, "explain", f"{tmp_path}/net")
    assert code == 0 and "inputs: data (1, 6) float32" in out
    code, out, _ = run(capsys, "bench", f"{tmp_path}/net", "--batch", "5", "--seconds", "0.01", "--json")
    assert code == 0 and json.loads(out)["batches"][0]["shapes"] == {"data": [5, 6]}


@pytest.mark.parametrize("command", ["explain", "bench"])
@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([PREFIX, *EPOCH], "pass --shape data=..., such as data=1,3,224,224"),
        ([PREFIX, *EPOCH, "--shape", "N,N,8,8"], "pass --shape data="),
        ([PREFIX, *EPOCH, "--shape", "image=1,1,8,8"], "no input 'image'"),
        ([PREFIX, *EPOCH, "--shape", "a,b"], "expected numbers"),
        ([PREFIX, *EPOCH, "--shape", "1,3,8,8"], "Convolution"),
        ([PREFIX, "--epoch", "9", "--shape", "1,1,8,8"], "digits-0009.params"),
        (["no/such", "--shape", "1,1,8,8"], "no/such-symbol.json"),
    ],
)
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], command: str, argv: list[str], text: str) -> None:
    code, out, err = run(capsys, command, *argv)
    assert code == 2 and out == ""
    assert err.startswith("symjit: ") and text in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("argv", [["--batch", "0"], ["--batch", "1,x"], ["--seconds", "0"], ["--seconds", "soon"]])
def test_wrong_options_are_told(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", PREFIX, *argv])
    assert stopped.value.code == 2
    assert "expected" in capsys.readouterr().err
