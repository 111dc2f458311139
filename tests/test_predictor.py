"""Predictor: cutting training graphs, matching parameters, padding batches."""

from __future__ import annotations

import numpy as np
import pytest

import symjit as mx
from symjit.ndarray.serialize import read_arrays
from symjit.predictor import Predictor, match_parameters


def weights(symbol: mx.Symbol, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return random values for everything but the named inputs and labels."""
    arg_shapes, _, aux_shapes = symbol.infer_shape(**shapes)
    rng = np.random.RandomState(0)
    named = dict(zip(symbol.list_arguments(), arg_shapes, strict=True))
    named.update(zip(symbol.list_auxiliary_states(), aux_shapes, strict=True))
    return {
        name: rng.uniform(0.1, 1.0, shape).astype(np.float32)
        for name, shape in named.items()
        if name not in shapes and "label" not in name
    }


def mlp(head: str = "SoftmaxOutput", **attrs) -> mx.Symbol:
    x = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc")
    return getattr(mx.sym, head)(x, name="softmax", **attrs)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_label_is_never_asked_for() -> None:
    net = mlp()
    params = weights(net, data=(2, 3))
    predictor = Predictor(net.graph, params)
    assert predictor.inputs == ["data"]
    assert predictor.labels == ["softmax_label"]
    assert predictor.outputs == ["softmax_output"]
    x = np.random.RandomState(1).rand(5, 3).astype(np.float32)
    want = softmax(x @ params["fc_weight"].T + params["fc_bias"])
    np.testing.assert_allclose(predictor(x)[0], want, rtol=1e-5)
    np.testing.assert_allclose(predictor({"data": x})[0], want, rtol=1e-5)
    np.testing.assert_allclose(predictor(data=mx.nd.array(x))[0], want, rtol=1e-5)
    # Old programs hand over the label as well.
    np.testing.assert_allclose(predictor(data=x, softmax_label=np.zeros(5))[0], want, rtol=1e-5)


@pytest.mark.parametrize("name", ["prob1_label", "output", "y"])
def test_labels_are_found_by_role(name: str) -> None:
    label = mx.sym.Reshape(mx.sym.var(name), shape=(-1,))
    x = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc")
    net = mx.sym.SoftmaxOutput(x, label, name="prob")
    params = {"fc_weight": np.ones((4, 3), np.float32), "fc_bias": np.zeros(4, np.float32)}
    predictor = Predictor(net.graph, params)
    assert predictor.inputs == ["data"]
    assert predictor.labels == [name]
    assert predictor(np.ones((2, 3), np.float32))[0].shape == (2, 4)


@pytest.mark.parametrize(
    ("head", "attrs", "reference"),
    [
        ("LinearRegressionOutput", {}, lambda z: z),
        ("MAERegressionOutput", {}, lambda z: z),
        ("LogisticRegressionOutput", {}, lambda z: 1 / (1 + np.exp(-z))),
        ("SVMOutput", {}, lambda z: z),
        ("SoftmaxOutput", {"preserve_shape": True}, softmax),
        ("SoftmaxOutput", {"multi_output": True}, softmax),
    ],
)
def test_every_loss_has_its_prediction(head: str, attrs: dict, reference) -> None:
    net = mlp(head, **attrs)
    params = {"fc_weight": np.eye(4, 3, dtype=np.float32), "fc_bias": np.full(4, 0.25, np.float32)}
    x = np.random.RandomState(1).rand(2, 3).astype(np.float32)
    want = reference(x @ params["fc_weight"].T + params["fc_bias"])
    np.testing.assert_allclose(Predictor(net.graph, params)(x)[0], want, rtol=1e-5)


def test_heads_that_show_the_label_are_dropped() -> None:
    label = mx.sym.var("softmax_label")
    x = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc")
    net = mx.sym.Group([mx.sym.BlockGrad(label), mx.sym.SoftmaxOutput(x, label, name="softmax")])
    params = {"fc_weight": np.ones((4, 3), np.float32), "fc_bias": np.zeros(4, np.float32)}
    predictor = Predictor(net.graph, params)
    assert (predictor.inputs, predictor.outputs, predictor.heads) == (["data"], ["softmax_output"], (1,))


def test_an_autoencoder_keeps_its_input() -> None:
    x = mx.sym.var("data")
    net = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc"), x)
    params = {"fc_weight": np.eye(3, dtype=np.float32), "fc_bias": np.zeros(3, np.float32)}
    predictor = Predictor(net.graph, params)
    assert predictor.inputs == ["data"] and predictor.labels == []


def test_batches_share_programs() -> None:
    net = mlp()
    predictor = Predictor(net.graph, weights(net, data=(2, 3)))
    x = np.random.RandomState(1).rand(16, 3).astype(np.float32)
    whole = predictor(x)[0]
    for rows in range(1, 17):
        np.testing.assert_allclose(predictor(x[:rows])[0], whole[:rows], rtol=1e-6)
    assert predictor.traces == 5  # 1, 2, 4, 8, 16


def test_exact_compiles_every_size() -> None:
    net = mlp()
    predictor = Predictor(net.graph, weights(net, data=(2, 3)), exact=True)
    for rows in (3, 5, 3):
        assert predictor(np.ones((rows, 3), np.float32))[0].shape == (rows, 4)
    assert predictor.traces == 2


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: mx.sym.softmax(x, axis=0),
        lambda x: mx.sym.Reshape(x, shape=(-1,)),
        lambda x: mx.sym.sum(x, axis=0, keepdims=True),
        lambda x: mx.sym.transpose(x),
        lambda x: mx.sym.Concat(x, x, dim=0),
        lambda x: mx.sym.dot(x, x, transpose_a=True),
        lambda x: mx.sym.slice_axis(x, axis=0, begin=0, end=1),
        lambda x: mx.sym.mean(x),
    ],
)
def test_mixed_rows_are_not_padded(mix) -> None:
    """A network that mixes the rows of a batch sees the batch as it is."""
    net = mix(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc", no_bias=True))
    weight = np.random.RandomState(3).rand(4, 3).astype(np.float32)
    x = np.random.RandomState(1).rand(3, 3).astype(np.float32)
    got = Predictor(net.graph, {"fc_weight": weight})(x)[0]
    want = net.eval(data=mx.nd.array(x), fc_weight=mx.nd.array(weight))[0].asnumpy()
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_states_default_to_zeros() -> None:
    net = mx.sym.RNN(mx.sym.var("data"), state_size=3, num_layers=1, mode="lstm", name="rnn")
    params = weights(net, data=(5, 2, 4), rnn_state=(1, 2, 3), rnn_state_cell=(1, 2, 3))
    predictor = Predictor(net.graph, params)
    assert predictor.inputs == ["data", "rnn_state", "rnn_state_cell"]
    x = np.random.RandomState(1).rand(5, 2, 4).astype(np.float32)
    zeros = np.zeros((1, 2, 3), np.float32)
    np.testing.assert_array_equal(predictor(x)[0], predictor(x, zeros, zeros)[0])
    assert np.any(predictor(x)[0] != predictor(x, zeros + 1, zeros)[0])


def test_unrolled_begin_state_gets_its_batch() -> None:
    """An initial state made by ``zeros(shape=(0, H))`` follows the batch, padded batches included."""
    state = mx.sym.zeros(shape=(0, 4))
    x = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="i2h")
    net = mx.sym.Activation(x + mx.sym.FullyConnected(state, num_hidden=4, name="h2h"), act_type="tanh")
    params = weights(net, data=(2, 3))
    predictor = Predictor(net.graph, params)
    data = np.random.RandomState(1).rand(5, 3).astype(np.float32)
    want = np.tanh(data @ params["i2h_weight"].T + params["i2h_bias"] + params["h2h_bias"])
    for rows in (5, 3, 8):
        x = np.resize(data, (rows, 3))
        np.testing.assert_allclose(predictor(x)[0][: min(rows, 5)], want[: min(rows, 5)], rtol=1e-5)
    assert predictor.traces == 2


def test_inputs_are_converted_and_not_changed() -> None:
    net = mlp()
    predictor = Predictor(net.graph, weights(net, data=(2, 3)))
    for dtype in ("uint8", "float64", "int64", "float16"):
        x = np.arange(6).reshape(2, 3).astype(dtype)
        kept = x.copy()
        out = predictor(x)[0]
        np.testing.assert_array_equal(x, kept)
        assert out.dtype == np.float32
        out[:] = 0  # a fresh, writable array
    assert predictor.traces == 1


def test_calls_of_all_kinds_after_one_another() -> None:
    """A call like the last one takes a shorter way, and any other one must not."""
    x = mx.sym.FullyConnected(mx.sym.var("a"), num_hidden=4, name="fc") + mx.sym.var("b")
    params = weights(x, a=(2, 3), b=(2, 4))
    predictor = Predictor(x.graph, params)
    rng = np.random.RandomState(2)

    def want(a, b):
        return np.asarray(a, np.float32) @ params["fc_weight"].T + params["fc_bias"] + np.asarray(b, np.float32)

    for rows in (2, 2, 3, 4, 4, 2):
        a, b = rng.rand(rows, 3).astype(np.float32), rng.rand(rows, 4).astype(np.float32)
        calls = [
            lambda a, b: predictor({"a": a, "b": b}),
            lambda a, b: predictor({"b": b, "a": a}),
            lambda a, b: predictor(a, b),
            lambda a, b: predictor({"a": a}, b=b),
            lambda a, b: predictor({"a": a.astype(np.float64), "b": b.tolist()}),
            lambda a, b: predictor({"a": mx.nd.array(a), "b": b}),
            lambda a, b: predictor({"a": a[::-1][::-1], "b": np.asfortranarray(b)}),
        ]
        for call in calls:
            first = call(a, b)[0]
            np.testing.assert_allclose(first, want(a, b), rtol=1e-5)
            np.testing.assert_allclose(call(a + 1, b)[0], want(a + 1, b), rtol=1e-5)
            np.testing.assert_allclose(first, want(a, b), rtol=1e-5)  # no call writes into another one's result
        for wrong in ({"a": a}, {"a": a, "c": b}, {"a": a, "b": b, "c": b}, {"a": a, "b": b[:, :3]}):
            with pytest.raises(mx.MXNetError, match=r"missing|unknown|shape"):
                predictor(wrong)


def test_errors_say_what_is_wrong() -> None:
    net = mlp()
    params = weights(net, data=(2, 3))
    predictor = Predictor(net.graph, params)
    with pytest.raises(mx.MXNetError, match=r"unknown.*image"):
        predictor(image=np.ones((2, 3)))
    with pytest.raises(mx.MXNetError, match=r"missing.*data"):
        predictor({})
    with pytest.raises(mx.MXNetError, match=r"2 inputs given"):
        predictor(np.ones((2, 3)), np.ones(2))
    with pytest.raises(mx.MXNetError, match=r"FullyConnected.*'fc'.*weight"):
        predictor(np.ones((2, 7)))
    with pytest.raises(mx.MXNetError, match=r"1 parameters are missing: fc_bias"):
        Predictor(net.graph, {"fc_weight": params["fc_weight"]})


@pytest.mark.parametrize("prefix", [("arg:", "aux:"), ("", "")])
def test_names_of_module_and_gluon(tmp_path, prefix: tuple[str, str]) -> None:
    net = mx.sym.BatchNorm(mlp("LinearRegressionOutput"), name="bn")
    params = weights(net, data=(2, 3))
    states = set(net.list_auxiliary_states())
    saved = {(prefix[1] if n in states else prefix[0]) + n: mx.nd.array(v) for n, v in params.items()}
    mx.nd.save(str(tmp_path / "net-0003.params"), saved)
    net.save(str(tmp_path / "net-symbol.json"))
    x = np.ones((2, 3), np.float32)
    got = Predictor.load(tmp_path / "net", 3)(x)[0]
    np.testing.assert_allclose(got, Predictor(net.graph, params)(x)[0], rtol=1e-6)
    _, args, aux = mx.model.load_checkpoint(str(tmp_path / "net"), 3)
    assert set(aux) == states and set(args) == set(params) - states


def test_structured_gluon_names(tmp_path) -> None:
    net = mx.sym.BatchNorm(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="dense0"), name="batchnorm0")
    params = weights(net, data=(2, 3))
    renamed = {
        "0.weight": params["dense0_weight"],
        "0.bias": params["dense0_bias"],
        "1.gamma": params["batchnorm0_gamma"],
        "1.beta": params["batchnorm0_beta"],
        "1.running_mean": params["batchnorm0_moving_mean"],
        "1.running_var": params["batchnorm0_moving_var"],
    }
    mx.nd.save(str(tmp_path / "x.params"), {n: mx.nd.array(v) for n, v in renamed.items()})
    found = match_parameters(net.graph, read_arrays(tmp_path / "x.params"))
    assert not found.missing and not found.left_over
    for name, value in params.items():
        np.testing.assert_array_equal(found.values[name], value)


def test_structured_names_whose_shapes_disagree(tmp_path) -> None:
    """Arrays that would match in order, but that the graph has no place for, are not assigned."""
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, no_bias=True, name="dense0")
    net = mx.sym.FullyConnected(net, num_hidden=2, no_bias=True, name="dense1")
    mx.nd.save(str(tmp_path / "x.params"), {"0.weight": mx.nd.ones((2, 4)), "1.weight": mx.nd.ones((4, 3))})
    found = match_parameters(net.graph, read_arrays(tmp_path / "x.params"))
    assert not found.values
    assert found.missing == ["dense0_weight", "dense1_weight"] and found.left_over == ["0.weight", "1.weight"]


def test_unsupported_operators_name_the_file(tmp_path) -> None:
    text = mlp().tojson().replace('"FullyConnected"', '"QFullyConnected"')
    (tmp_path / "net-symbol.json").write_text(text)
    with pytest.raises(mx.MXNetError, match=r"1 operator of .*net-symbol.json is not supported: QFullyConnected x1"):
        Predictor.load(tmp_path / "net", 0)


def test_parameters_of_the_wrong_shape(tmp_path) -> None:
    """They are refused when loading, whatever the input's shape will be."""
    net = mlp()
    net.save(str(tmp_path / "net-symbol.json"))
    mx.nd.save(
        str(tmp_path / "net-0000.params"), {"arg:fc_weight": mx.nd.ones((4, 3)), "arg:fc_bias": mx.nd.ones((7,))}
    )
    with pytest.raises(mx.MXNetError, match=r"net-0000.params: the parameters do not fit.*'fc_bias'.*\(4,\).*\(7,\)"):
        Predictor.load(tmp_path / "net", 0)


def test_shapes_that_a_file_notes_bind_nobody(tmp_path) -> None:
    data = mx.sym.var("data", shape=(9, 99))
    net = mx.sym.FullyConnected(data, num_hidden=4, name="fc")
    predictor = Predictor(net.graph, {"fc_weight": np.ones((4, 3), np.float32), "fc_bias": np.zeros(4, np.float32)})
    assert predictor(np.ones((2, 3), np.float32))[0].tolist() == [[3.0] * 4] * 2


def test_left_over_and_missing_names_are_shown(tmp_path) -> None:
    net = mlp()
    mx.nd.save(str(tmp_path / "net-0000.params"), {"arg:fc1_weight": mx.nd.ones((4, 3))})
    net.save(str(tmp_path / "net-symbol.json"))
    with pytest.raises(mx.MXNetError, match=r"missing: fc_weight, fc_bias.*fc1_weight"):
        Predictor.load(tmp_path / "net", 0)
