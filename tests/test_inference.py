"""Inference over whole graphs: nothing false follows from less, more never gives less, and what errors tell."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symjit as mx
from symjit.base import MXNetError
from symjit.ir.infer import infer
from tests.test_networks import FOLDER, NAMES

Shape = tuple[int, ...]
Partial = dict[str, tuple[int | None, ...]]


# Any part of what is known -------------------------------------------------------------------------------------------


def lenet() -> mx.sym.Symbol:
    net = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), pad=(1, 1), num_filter=4, name="conv")
    net = mx.sym.BatchNorm(net, name="bn")
    net = mx.sym.Pooling(mx.sym.Activation(net, act_type="relu"), kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = mx.sym.FullyConnected(mx.sym.Dropout(mx.sym.Flatten(net)), num_hidden=5, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def residual() -> mx.sym.Symbol:
    data = mx.sym.var("data")
    left = mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=3, no_bias=True, name="a")
    right = mx.sym.Deconvolution(data, kernel=(3, 3), pad=(1, 1), num_filter=3, name="b")
    net = mx.sym.LeakyReLU(left + right, act_type="prelu", name="slope")
    parts = mx.sym.SliceChannel(mx.sym.Concat(net, data, dim=1), num_outputs=2, axis=1)
    return parts[0] * parts[1] + mx.sym.UpSampling(mx.sym.var("small"), scale=2, sample_type="nearest", num_args=1)


def language_model() -> mx.sym.Symbol:
    words = mx.sym.Embedding(mx.sym.var("data"), input_dim=11, output_dim=6, name="embed")
    states = {"state": mx.sym.zeros((2, 0, 4)), "state_cell": mx.sym.var("cell")}
    net = mx.sym.RNN(words, state_size=4, num_layers=2, mode="lstm", name="lstm", **states)
    net = mx.sym.FullyConnected(mx.sym.reshape(net, shape=(-3, 0)), num_hidden=11, name="out")
    return mx.sym.SoftmaxOutput(net, mx.sym.reshape(mx.sym.var("label"), shape=(-1,)))


def attention() -> mx.sym.Symbol:
    query, key, value = (mx.sym.var(name) for name in ("query", "key", "value"))
    scores = mx.sym.softmax(mx.sym.batch_dot(query, key, transpose_b=True) / 2)
    context = mx.sym.transpose(mx.sym.batch_dot(scores, value), axes=(1, 0, 2))
    return mx.sym.LayerNorm(context + mx.sym.random.normal(), name="norm")


def shuffled() -> mx.sym.Symbol:
    net = mx.sym.expand_dims(mx.sym.var("data"), axis=1)
    net = mx.sym.tile(mx.sym.SwapAxis(net, dim1=0, dim2=2), reps=(1, 3, 1))
    cut = mx.sym.slice_axis(net, axis=1, begin=0, end=2) + mx.sym.arange(0, infer_range=True)
    pads = (0, 0, 0, 0, 1, 1, 2, 0)
    return mx.sym.Pad(mx.sym.expand_dims(cut, axis=0), mode="constant", pad_width=pads) + mx.sym.var("like")


GRAPHS: dict[str, tuple[Callable[[], mx.sym.Symbol], dict[str, Shape]]] = {
    "lenet": (lenet, {"data": (2, 3, 6, 8)}),
    "residual": (residual, {"data": (2, 3, 4, 4), "small": (2, 3, 2, 2)}),
    "language_model": (language_model, {"data": (5, 3), "cell": (2, 3, 4), "label": (5, 3)}),
    "attention": (attention, {"query": (2, 3, 4), "key": (2, 5, 4), "value": (2, 5, 6)}),
    "shuffled": (shuffled, {"data": (4, 2), "like": (1, 2, 4, 6)}),
}


#: The slope of PReLU may have one number or one per channel; as in MXNet it is chosen where nothing is known of it.
CHOSEN = {"slope_gamma"}


def whole(name: str) -> tuple[mx.sym.Symbol, dict[str, Shape], dict[str, Shape]]:
    """Return a graph, the true shapes of its inputs, and those of its internal outputs."""
    build, data = GRAPHS[name]
    net = build().get_internals()
    arguments, outputs, states = net.infer_shape(**data)
    names = net.list_arguments() + net.list_auxiliary_states()
    return net, dict(zip(names, arguments + states, strict=True)), dict(zip(net.list_outputs(), outputs, strict=True))


def deduced(net: mx.sym.Symbol, known: Partial) -> dict[str, tuple[int | None, ...]]:
    """Return all shapes of inputs and internal outputs that follow, unknown dimensions as 0."""
    arguments, outputs, states = net.infer_shape_partial(**{k: tuple(d or 0 for d in v) for k, v in known.items()})
    found = dict(zip(net.list_arguments() + net.list_auxiliary_states(), arguments + states, strict=True))
    return found | dict(zip(net.list_outputs(), outputs, strict=True))


def contains(more: tuple[int | None, ...], less: tuple[int | None, ...]) -> bool:
    """Return whether a partial shape knows all that another one knows."""
    return not less or (len(more) == len(less) and all(b in (0, None, a) for a, b in zip(more, less, strict=True)))


@pytest.mark.parametrize("name", GRAPHS)
@given(data=st.data())
@settings(max_examples=60)
def test_any_part_of_the_shapes(name: str, data: st.DataObject) -> None:
    """From any part of the true shapes nothing false follows; from a larger part at least as much follows."""
    net, inputs, outputs = whole(name)
    large: Partial = {}
    small: Partial = {}
    for each, shape in inputs.items():
        if not data.draw(st.booleans(), label=f"give {each}"):
            continue
        mask = data.draw(st.lists(st.integers(0, 2), min_size=len(shape), max_size=len(shape)), label=each)
        if each in CHOSEN:
            mask = [2] * len(shape)
        large[each] = tuple(dim if m else None for dim, m in zip(shape, mask, strict=True))
        if data.draw(st.booleans(), label=f"keep {each}"):
            small[each] = tuple(dim if m == 2 else None for dim, m in zip(shape, mask, strict=True))
    more, less = deduced(net, large), deduced(net, small)
    true = inputs | outputs
    for each, shape in true.items():
        assert contains(shape, more[each]), f"{each}: {more[each]} follows from {large}, but it is {shape}"
        assert contains(more[each], less[each]), f"{each}: {more[each]} from {large}, {less[each]} from {small}"


@pytest.mark.parametrize("name", GRAPHS)
def test_the_data_suffices(name: str) -> None:
    """What the test above calls the true shapes are those of a forward pass."""
    build, data = GRAPHS[name]
    net = build()
    executor = net.simple_bind(mx.cpu(), grad_req="null", **data)
    assert [x.shape for x in executor.forward()] == net.infer_shape(**data)[1]


# MXNet's networks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_networks(name: str) -> None:
    """Parameters and states follow from the data; with each shape hidden in turn nothing false follows."""
    net = mx.sym.load(FOLDER / f"{name}.json")
    with np.load(FOLDER / f"{name}.npz") as file:
        run = {key: file[key].shape for key in file.files}
    inputs = {each: run.get(f"arg:{each}", run.get(f"aux:{each}")) for each in net.list_inputs()}
    outputs = {each: run[f"out_predict:{i}"] for i, each in enumerate(net.list_outputs())}
    learned = {
        entry.node.name
        for node in net.graph.nodes
        if node.op is not None
        for port, entry in zip(node.operator.input_names(node.params), node.inputs, strict=True)
        if port in node.operator.params or port in node.operator.aux
    }
    data = {each: shape for each, shape in inputs.items() if each not in learned}
    assert deduced(net, data) == inputs | outputs
    for hidden in inputs:
        found = deduced(net, {each: shape for each, shape in inputs.items() if each != hidden})
        for each, shape in (inputs | outputs).items():
            assert contains(shape, found[each]), (
                f"{each}: {found[each]} without the shape of {hidden}, but it is {shape}"
            )


# Shapes that users of a result decide --------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["uniform", "normal", "gamma", "exponential", "poisson", "randint"])
@pytest.mark.parametrize("shape", [(), pytest.param((0, 3), marks=pytest.mark.slow)])
def test_random_numbers_of_the_size_needed(draw: str, shape: Shape) -> None:
    """As in MXNet, random numbers without a shape get that of their users, anew in every forward."""
    given = {"name": "drawn", **({"shape": shape} if shape else {})}
    numbers = getattr(mx.sym.random, draw)(*((0, 1000) if draw == "randint" else ()), **given)
    x = mx.sym.var("x", dtype="int32" if draw == "randint" else "float32")
    executor = (numbers + x).simple_bind(mx.cpu(), x=(4, 3), grad_req="null")
    first, second = (executor.forward()[0].asnumpy() for _ in range(2))
    assert first.shape == (4, 3) and np.unique(first).size > 1
    assert draw == "poisson" or (first != second).any()
    with pytest.raises(MXNetError, match=r"drawn_output.*give shape="):
        numbers.simple_bind(mx.cpu())
    assert numbers.infer_shape_partial() == ([], [shape], [])


@pytest.mark.parametrize(
    ("attrs", "shape", "values"),
    [
        ({"start": 2}, (4,), [2, 3, 4, 5]),
        ({"start": 2}, (2, 3), [[2, 3, 4], [5, 6, 7]]),
        ({"start": 2, "step": 3, "repeat": 2}, (2, 3), [[2, 2, 5], [5, 8, 8]]),
        ({"start": 2, "stop": 6}, (4,), [2, 3, 4, 5]),
    ],
)
def test_ranges_of_the_size_needed(attrs: dict[str, int], shape: Shape, values: list) -> None:
    """``arange(infer_range=True)``; the values are MXNet's."""
    numbers = mx.sym.arange(infer_range=True, name="range", **attrs)
    executor = (numbers + mx.sym.var("x")).simple_bind(mx.cpu(), x=shape, grad_req="null")
    np.testing.assert_array_equal(executor.forward()[0].asnumpy(), np.array(values, np.float32))
    assert infer(numbers.graph).missing() == ([] if "stop" in attrs else ["range_output"])


# What the user is told -----------------------------------------------------------------------------------------------


def test_unknown_outputs_are_named() -> None:
    """Where no argument is missing, the warning names the outputs."""
    with pytest.warns(UserWarning, match=r"\tdrawn_output: \(\) \(an output\)"):
        assert mx.sym.random.uniform(name="drawn").infer_shape() == (None, None, None)


V = mx.sym.var


def conv(**kwargs) -> mx.sym.Symbol:
    return mx.sym.Convolution(V("data"), kernel=(3, 3), num_filter=8, name="conv1", **kwargs)


def classifier() -> mx.sym.Symbol:
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(V("data"), num_hidden=10, name="fc1"), name="softmax")


def lstm() -> mx.sym.Symbol:
    return mx.sym.RNN(V("data"), V("params"), V("h"), V("c"), state_size=8, num_layers=1, mode="lstm", name="lstm")


def bn() -> mx.sym.Symbol:
    return mx.sym.BatchNorm(V("data"), name="bn")


def two(op: Callable, **kwargs) -> mx.sym.Symbol:
    return op(V("a"), V("b"), name="pair", **kwargs)


#: What is wrong: symbol, shapes given, and what the message must hold, in this order.
MISTAKES = {
    "rank of the data": (conv, {"data": (4, 10)}, "Convolution 'conv1' 4 dimensions (NCHW) got 2 data (4, 10) 'data'"),
    "channels of the weight": (
        conv, {"data": (4, 1, 28, 28), "conv1_weight": (8, 3, 3, 3)},
        "Convolution 'conv1' 'weight' 'conv1_weight' (8, 1, 3, 3) expected (8, 3, 3, 3) data (4, 1, 28, 28) Give",
    ),
    "kernel": (conv, {"data": (4, 1, 2, 2)}, "'conv1' kernel spans 3 padded input 2 + 2 * 0"),
    "groups": (lambda: conv(num_group=3), {"data": (4, 4, 8, 8)}, "'conv1' channels 4 num_group=3"),
    "label length": (
        classifier, {"data": (4, 6), "softmax_label": (5,)},
        "SoftmaxOutput 'softmax' label (5,) expected (4,) or (4, 10) 'fc1_output' 'softmax_label'",
    ),
    "regression label": (
        lambda: mx.sym.LinearRegressionOutput(V("data"), name="lr"), {"data": (4, 3), "lr_label": (4,)},
        "LinearRegressionOutput 'lr' label (4,) expected (4, 3) 4 rows with 3 values",
    ),
    "dense weight": (
        classifier, {"data": (4, 6), "fc1_weight": (10, 20)},
        "FullyConnected 'fc1' 'weight' 'fc1_weight' (10, 6) expected (10, 20) Give 'fc1_weight' mend",
    ),
    "concatenated sizes": (
        lambda: two(mx.sym.Concat, dim=1), {"a": (2, 3, 4), "b": (2, 3, 5)},
        "Concat 'pair' dim=1 arg1 (2, ?, 5) arg0 (2, ?, 4) equal arg0 (2, 3, 4) from 'a', arg1 (2, 3, 5) from 'b'",
    ),
    "concatenated ranks": (
        lambda: two(mx.sym.Concat, dim=1), {"a": (2, 3, 4), "b": (2, 3)}, "Concat 'pair' arg1 (2, ?) arg0 (2, ?, 4)"
    ),
    "sum": (
        lambda: two(mx.sym.elemwise_add), {"a": (2, 3), "b": (2, 1)},
        "elemwise_add 'pair' rhs (2, 1) lhs (2, 3) equal broadcast_ 'a' 'b'",
    ),
    "broadcast": (lambda: two(mx.sym.broadcast_mul), {"a": (2, 3), "b": (2, 4)}, "'pair' (2, 3) (2, 4) 3 against 4"),
    "reshape": (
        lambda: mx.sym.reshape(V("data"), shape=(-1, 7), name="flat"), {"data": (4, 10)},
        "Reshape 'flat' (4, 10) shape=(-1, 7) 40 elements (?, 7)",
    ),
    "state of BatchNorm": (
        bn, {"data": (4, 3, 8, 8), "bn_moving_mean": (4,)},
        "BatchNorm 'bn' moving_mean 4 expected 3 channel axis 1 'bn_moving_mean'",
    ),
    "embedding": (
        lambda: mx.sym.Embedding(V("data"), input_dim=10, output_dim=4, name="embed"),
        {"data": (4, 2), "embed_weight": (10, 5)},
        "Embedding 'embed' 'embed_weight' (10, 4) expected (10, 5)",
    ),
    "parameters of a recurrent layer": (
        lstm, {"data": (5, 2, 4), "params": (100,)}, "RNN 'lstm' 'parameters' 'params' (448,) expected (100,) Give"
    ),
    "state of a recurrent layer": (
        lstm, {"data": (5, 2, 4), "h": (1, 3, 8)}, "RNN 'lstm' batch size of state 3 data 2"
    ),
    "split": (
        lambda: mx.sym.SliceChannel(V("data"), num_outputs=3, name="cut"), {"data": (4, 10)},
        "SliceChannel 'cut' axis 1 size 10 3 equal parts",
    ),
    "matrices": (lambda: two(mx.sym.dot), {"a": (2, 3), "b": (4, 5)}, "dot 'pair' lhs (2, 3) rhs (4, 5)"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_messages(mistake: str) -> None:
    """The three ways in say the same: operator, node, inputs with their origins, what was expected, what came."""
    build, shapes, words = MISTAKES[mistake]
    net = build()
    pattern = "(.|\n)*".join(re.escape(word) for word in words.split())
    with pytest.raises(MXNetError, match=pattern):
        net.infer_shape(**shapes)
    with pytest.raises(MXNetError, match=pattern):
        net.infer_shape_partial(**shapes)
    with pytest.raises(MXNetError, match=pattern):
        net.simple_bind(mx.cpu(), **shapes)


def test_bind_tells_the_same() -> None:
    """Arrays of wrong shapes and dtypes are refused by bind."""
    arrays = {name: mx.nd.zeros(3) for name in ("bn_gamma", "bn_beta")} | {"data": mx.nd.zeros((2, 3))}
    states = {"bn_moving_mean": mx.nd.zeros(4), "bn_moving_var": mx.nd.zeros(3)}
    with pytest.raises(MXNetError, match=r"BatchNorm, node 'bn': moving_mean has 4 numbers, expected 3"):
        bn().bind(mx.cpu(), arrays, aux_states=states)
    weight = {"fc1_weight": mx.nd.zeros((10, 7)), "fc1_bias": mx.nd.zeros(10), "softmax_label": mx.nd.zeros(2)}
    with pytest.raises(MXNetError, match=r"'fc1_weight'.*\(10, 3\) expected, got \(10, 7\)"):
        classifier().bind(mx.cpu(), weight | {"data": mx.nd.zeros((2, 3))})
    weight["fc1_weight"] = mx.nd.zeros((10, 3), dtype="float64")
    with pytest.raises(MXNetError, match=r"'fc1'.*'weight': dtype float32 expected, got float64.*Cast"):
        classifier().bind(mx.cpu(), weight | {"data": mx.nd.zeros((2, 3))})


def test_simple_bind_names_what_is_unknown() -> None:
    """Without the data's shape, and with a name that does not exist."""
    with pytest.raises(MXNetError, match=r"'data' \(unknown\), 'fc1_weight' \(10, \?\).*such as data=") as caught:
        classifier().simple_bind(mx.cpu(), softmax_label=(4,))
    assert "softmax_label' (" not in str(caught.value) and "no inputs" not in str(caught.value)
    with pytest.raises(MXNetError, match=r"\['dta'\] are no inputs of this symbol"):
        classifier().simple_bind(mx.cpu(), dta=(4, 10))


# Rules taken at their word --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if i % 5 == 0 else pytest.mark.slow) for i, n in enumerate(NAMES)]
)
@pytest.mark.parametrize("train", [False, True])
def test_trust_changes_nothing(name: str, train: bool) -> None:
    """What the rules say without tracing the operators is what tracing them gives."""
    graph = mx.sym.load(str(FOLDER / f"{name}.json")).graph
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        values = {key.split(":", 1)[1]: file[key] for key in file.files if key.startswith(("arg:", "aux:"))}
    given = {n: x.shape for n, x in values.items()}, {n: x.dtype for n, x in values.items()}
    traced, trusted = infer(graph, *given, train=train), infer(graph, *given, train=train, trust=True)
    assert trusted.shapes == traced.shapes
    assert trusted.dtypes == traced.dtypes
