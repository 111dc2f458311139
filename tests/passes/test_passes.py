"""Each pass alone and all together: the same numbers, and what a pass is for has happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symjit as mx
from symjit.ir.graph import Graph
from symjit.ir.infer import infer
from symjit.ir.passes.fold import fold_affine
from symjit.ir.passes.idle import drop_idle
from symjit.ir.passes.layout import channels_last
from symjit.ir.passes.parameters import hoist
from symjit.ir.passes.pipeline import for_inference, for_training
from symjit.ir.passes.repeated import merge_repeated
from symjit.ir.passes.slices import slice_batch
from symjit.ir.passes.strategy import applicable, choose_strategies
from tests.compare import close
from tests.passes.evaluate import assert_same, constants, count, outputs, specs_of, values_of
from tests.passes.random_graphs import SHAPE, networks
from tests.test_networks import FOLDER, NAMES

#: Examples of a property: few by default, for each compiles two programs.
FEW, MANY = (settings(max_examples=n, deadline=None, derandomize=True) for n in (5, 15))


def whole(graph: Graph, values: dict[str, np.ndarray]) -> Graph:
    """Run all inference passes but the split."""
    shapes, dtypes = {n: x.shape for n, x in values.items()}, {n: x.dtype for n, x in values.items()}
    return for_inference(graph, constants(graph), shapes, dtypes, "cpu").steps[-1].graph


def sliced(graph: Graph, values: dict[str, np.ndarray], most: int = 1) -> Graph:
    """Cut the batch wherever that is possible."""
    shapes, dtypes = {n: x.shape for n, x in values.items()}, {n: x.dtype for n, x in values.items()}
    return slice_batch(graph, constants(graph), specs_of(graph, values), shapes, dtypes, most)


INFERENCE = {
    "drop idle nodes": lambda graph, values: drop_idle(graph),
    "merge repeated nodes": lambda graph, values: merge_repeated(graph),
    "fold affine maps": lambda graph, values: fold_affine(graph, constants(graph), specs_of(graph, values)),
    "channels last": lambda graph, values: channels_last(graph, specs_of(graph, values)),
    "slice the batch": sliced,
    "all": whole,
}


@pytest.mark.parametrize("name", INFERENCE)
@FEW
@given(graph=networks())
def test_random_networks_infer_the_same(name: str, graph: Graph) -> None:
    infers_the_same(name, graph)


@pytest.mark.slow
@pytest.mark.parametrize("name", INFERENCE)
@MANY
@given(graph=networks())
def test_many_random_networks_infer_the_same(name: str, graph: Graph) -> None:
    infers_the_same(name, graph)


def infers_the_same(name: str, graph: Graph) -> None:
    values = values_of(graph, {"data": SHAPE})
    assert_same(lambda g: INFERENCE[name](g, values), graph, values, tolerance=2e-5)


@FEW
@given(graph=networks())
def test_random_networks_train_the_same(graph: Graph) -> None:
    trains_the_same(graph)


@pytest.mark.slow
@MANY
@given(graph=networks())
def test_many_random_networks_train_the_same(graph: Graph) -> None:
    trains_the_same(graph)


def trains_the_same(graph: Graph) -> None:
    """The arranging passes keep gradients and auxiliary states, in double precision to a hair."""
    values = values_of(graph, {"data": SHAPE}, "float64")
    shapes, dtypes = {n: x.shape for n, x in values.items()}, {n: x.dtype for n, x in values.items()}
    assert_same(lambda g: for_training(g, shapes, dtypes, "cpu")[-1].graph, graph, values, train=True, tolerance=1e-10)


@FEW
@given(graph=networks())
def test_prologue_and_body_make_the_whole(graph: Graph) -> None:
    values = values_of(graph, {"data": SHAPE})
    folded = whole(graph, values)
    split = hoist(folded, constants(graph))
    prepared = dict(zip(split.names, outputs(split.prologue, values), strict=True)) if split.names else {}
    for got, want in zip(outputs(split.graph, {**values, **prepared}), outputs(folded, values), strict=True):
        # Not bit for bit: a product whose right side is given adds up in another order than one that makes it.
        close(np.asarray(got), np.asarray(want), 2e-6, "prologue and body")
    left = {node.name for node in split.graph.variables}
    for node in split.graph.nodes:
        # What is left depends on something that changes.
        assert node.op is None or not node.inputs or any(e.node.op or e.node.name == "data" for e in node.inputs)
    assert "data" in left


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", INFERENCE)
def test_networks_infer_the_same(name: str, which: str) -> None:
    symbol = mx.sym.load(str(FOLDER / f"{name}.json"))
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        values = {key.split(":", 1)[1]: file[key] for key in file.files if key.startswith(("arg:", "aux:"))}
    assert_same(lambda g: INFERENCE[which](g, values), symbol.graph, values)


# What each pass is for -----------------------------------------------------------------------------------------------


def block(x: mx.sym.Symbol, name: str, channels: int) -> mx.sym.Symbol:
    x = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=channels, no_bias=True, name=f"{name}_conv")
    return mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name=f"{name}_bn"), act_type="relu")


def resnet() -> mx.sym.Symbol:
    x = block(mx.sym.var("data"), "a", 8)
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = x + block(x, "b", 8)
    x = mx.sym.Concat(x, block(x, "c", 4), dim=1)
    x = mx.sym.Pooling(mx.sym.Dropout(x), global_pool=True, pool_type="avg", kernel=(1, 1))
    return mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=5, name="fc")


def test_a_convolutional_network_keeps_one_transpose_at_each_end() -> None:
    graph = resnet().graph
    values = values_of(graph, {"data": SHAPE})
    changed = assert_same(lambda g: channels_last(g, specs_of(g, values)), graph, values)
    data = [
        node for node in changed.nodes if node.op == "transpose" and not node.inputs[0].node.name.endswith("weight")
    ]
    assert len(data) == 2
    assert all(node.params.layout == "NHWC" for node in changed.nodes if node.op == "Convolution")


def test_a_batch_norm_that_is_left_does_not_part_the_layers() -> None:
    """As in DenseNet, where the norm comes before the activation."""
    x = block(mx.sym.var("data"), "first", 4)
    for name in "ab":
        norm = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name=f"{name}_bn"), act_type="relu")
        x = mx.sym.Concat(x, mx.sym.Convolution(norm, kernel=(3, 3), pad=(1, 1), num_filter=4, name=name), dim=1)
    graph = x.graph
    values = values_of(graph, {"data": SHAPE})
    changed = assert_same(lambda g: whole(g, values), graph, values)
    body = hoist(changed, constants(graph)).graph
    assert count(body, "BatchNorm@apply") == count(body, "transpose") == 2


def test_every_batch_norm_is_folded() -> None:
    graph = resnet().graph
    values = values_of(graph, {"data": SHAPE})
    changed = assert_same(lambda g: whole(g, values), graph, values)
    assert count(changed, "BatchNorm") == count(changed, "Dropout") == 0
    split = hoist(changed, constants(graph))
    # One weight and one bias for each of the three convolutions, and nothing of the running statistics.
    assert all("moving" not in node.name and "gamma" not in node.name for node in split.graph.variables)


@pytest.mark.parametrize("layer", ["Convolution", "grouped", "Deconvolution", "grouped transpose", "FullyConnected"])
@pytest.mark.parametrize(
    ("no_bias", "fix_gamma"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, False, marks=pytest.mark.slow),
    ],
)
def test_batch_norm_after_a_layer_is_folded(layer: str, no_bias: bool, fix_gamma: bool) -> None:
    data = mx.sym.var("data")
    if layer == "FullyConnected":
        x = mx.sym.FullyConnected(data, num_hidden=6, no_bias=no_bias, name="fc")
    else:
        make = mx.sym.Deconvolution if layer in ("Deconvolution", "grouped transpose") else mx.sym.Convolution
        groups = 2 if "grouped" in layer else 1
        x = make(data, kernel=(3, 2), pad=(1, 0), num_filter=6, num_group=groups, no_bias=no_bias, name="conv")
    graph = mx.sym.BatchNorm(x, fix_gamma=fix_gamma, eps=0.1, name="bn").graph
    values = values_of(graph, {"data": SHAPE})
    changed = assert_same(lambda g: INFERENCE["fold affine maps"](g, values), graph, values)
    assert count(changed, "BatchNorm") == 0 and count(changed, "BatchNorm@affine") == 1


@pytest.mark.parametrize("layer", ["Convolution", "grouped", "NHWC", "FullyConnected", "rows"])
@pytest.mark.parametrize("no_bias", [False, True])
def test_batch_norm_before_a_layer_is_folded(layer: str, no_bias: bool) -> None:
    axis = 3 if layer == "NHWC" else 1
    shape = {"NHWC": (2, 9, 9, 4), "rows": (3, 4)}.get(layer, SHAPE)
    x = mx.sym.BatchNorm(mx.sym.var("data"), fix_gamma=False, axis=axis, name="bn")
    if layer in ("FullyConnected", "rows"):
        x = mx.sym.FullyConnected(x, num_hidden=6, no_bias=no_bias, name="fc")
    else:
        options = {"NHWC": {"layout": "NHWC"}, "grouped": {"num_group": 2}}.get(layer, {})
        x = mx.sym.Convolution(x, kernel=(3, 2), stride=(2, 1), num_filter=6, no_bias=no_bias, name="conv", **options)
    graph = x.graph
    values = values_of(graph, {"data": shape})
    changed = assert_same(lambda g: INFERENCE["fold affine maps"](g, values), graph, values)
    assert count(changed, "BatchNorm") == 0


@pytest.mark.parametrize("obstacle", ["padding", "another user", "a head", "its statistics", "axis", "weight"])
def test_what_must_not_be_folded_is_not(obstacle: str) -> None:
    data = mx.sym.var("data")
    if obstacle == "padding":
        x = mx.sym.BatchNorm(data, fix_gamma=False, name="bn")
        net = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=4, name="conv")
    else:
        weight = mx.sym.var("other") * 2 if obstacle == "weight" else None
        given = {} if weight is None else {"weight": weight}
        x = mx.sym.Convolution(data, kernel=(3, 3), num_filter=7, name="conv", **given)
        options = {"axis": {"axis": 2}, "its statistics": {"output_mean_var": True}}.get(obstacle, {})
        net = mx.sym.BatchNorm(x, fix_gamma=False, name="bn", **options)
        if obstacle == "another user":
            net = net + mx.sym.tanh(x)
        if obstacle == "a head":
            net = mx.sym.Group([net, x])
    graph = net.graph
    values = values_of(graph, {"data": SHAPE, **({"other": (7, 4, 3, 3)} if obstacle == "weight" else {})})
    changed = assert_same(lambda g: INFERENCE["fold affine maps"](g, values), graph, values)
    # It stays a node of its own: a product and a sum, or as it is where more than its result is read.
    assert count(changed, "BatchNorm" if obstacle == "its statistics" else "BatchNorm@apply") == 1


def test_low_precision_is_not_folded() -> None:
    """A float16 weight would be rounded a second time."""
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(1, 1), num_filter=4, no_bias=True, name="conv")
    graph = mx.sym.BatchNorm(x, name="bn").graph
    specs = infer(graph, {"data": SHAPE}, {"data": "float16"})
    assert count(fold_affine(graph, constants(graph), specs), "BatchNorm") == 1


def test_equal_nodes_are_merged_and_dice_are_not() -> None:
    data = mx.sym.var("data")
    same = mx.sym.tanh(data, name="x") + mx.sym.tanh(data, name="y")
    assert count(merge_repeated(same.graph), "tanh") == 1
    other = mx.sym.clip(data, a_min=0, a_max=1) + mx.sym.clip(data, a_min=0, a_max=2)
    assert count(merge_repeated(other.graph), "clip") == 2
    dice = mx.sym.random.uniform(shape=(2,)) + mx.sym.random.uniform(shape=(2,))
    assert len(merge_repeated(dice.graph).nodes) == len(dice.graph.nodes)


def test_idle_nodes_are_dropped_but_for_those_that_always_act() -> None:
    data = mx.sym.var("data")
    net = mx.sym.Dropout(mx.sym.BlockGrad(mx.sym.identity(data)), mode="training")
    assert [node.op for node in drop_idle(net.graph).nodes] == [None]
    always = mx.sym.Dropout(data, mode="always").graph
    assert drop_idle(always).nodes == always.nodes


def test_layers_run_on_slices_up_to_one_that_mixes_rows_or_weighs_more() -> None:
    data = mx.sym.var("data")
    x = mx.sym.Activation(mx.sym.Convolution(data, kernel=(3, 3), num_filter=6, name="conv"), act_type="relu")
    mixed = mx.sym.broadcast_sub(x, mx.sym.mean(x, axis=0, keepdims=True, name="mean"), name="centred")
    dense = mx.sym.FullyConnected(mx.sym.Pooling(x, global_pool=True, kernel=(1, 1)), num_hidden=200, name="fc")
    graph = mx.sym.Group([mixed, mx.sym.tanh(dense, name="last"), x]).graph
    values = values_of(graph, {"data": (6, 4, 9, 9)})
    changed = assert_same(lambda g: sliced(g, values), graph, values)
    pieces = {node.name: node.slices for node in changed.nodes if node.op is not None}
    assert pieces.pop("conv") == 6
    assert {name for name, count in pieces.items() if count == 1} == {"mean", "centred", "fc", "last"}
    # The convolution reads and writes 2,472 bytes for each row.
    assert {node.slices for node in sliced(graph, values, 7_500).nodes} == {1, 2}
    assert sliced(graph, values, 20_000) is graph


def test_batches_that_can_not_be_cut() -> None:
    data, other = mx.sym.var("data"), mx.sym.var("other")
    conv = mx.sym.Convolution(data, kernel=(3, 3), num_filter=4, name="conv")
    for net, shapes in [
        (conv, {"data": (1, 4, 9, 9)}),
        (mx.sym.reshape(conv, shape=(2, 14, 14)), {"data": SHAPE}),  # holds for two rows alone
        (mx.sym.Group([conv, other * 2]), {"data": SHAPE, "other": (3, 4)}),
        (mx.sym.Dropout(data, mode="always"), {"data": SHAPE}),
    ]:
        graph = net.graph
        assert all(node.slices == 1 for node in sliced(graph, values_of(graph, shapes)).nodes)


def test_strategies_are_chosen_for_the_slice() -> None:
    graph = mx.sym.Convolution(mx.sym.var("data"), kernel=(1, 1), layout="NHWC", num_filter=4, name="conv").graph
    values = values_of(graph, {"data": (6, 9, 9, 4)})
    seen = []

    def choice(node: Any, specs: Any) -> None:
        seen.append(specs[0].shape)

    cut = sliced(graph, values)
    choose_strategies(cut, specs_of(cut, values), "cpu", choice)
    assert seen == [(1, 9, 9, 4)]


def test_a_pass_returns_the_graph_it_has_nothing_to_do_in() -> None:
    graph = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc").graph
    values = values_of(graph, {"data": (2, 4)})
    for name, change in INFERENCE.items():
        # All of them together turn the weight round: there is something to do.
        kept = set(map(id, change(graph, values).nodes)) == set(map(id, graph.nodes))
        assert kept == (change is not whole), name


# Strategies ----------------------------------------------------------------------------------------------------------


@FEW
@given(graph=networks(), data=st.data())
def test_any_strategy_gives_the_same(graph: Graph, data: st.DataObject) -> None:
    """Whatever is chosen for each node, if it applies there."""
    values = values_of(graph, {"data": SHAPE})
    moved = channels_last(graph, specs_of(graph, values))

    def choice(node, specs):
        names = [strategy.name for strategy in applicable(node, specs, "cpu")]
        return data.draw(st.sampled_from([None, *names]))

    assert_same(lambda g: choose_strategies(g, specs_of(g, values), "cpu", choice), moved, values, tolerance=2e-5)


def test_a_file_can_not_name_what_passes_make() -> None:
    text = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc").tojson()
    changed = text.replace('"op": "FullyConnected"', '"op": "FullyConnected@transposed"')
    assert changed != text
    with pytest.raises(mx.MXNetError, match="FullyConnected@transposed is an operator of the compiler's own"):
        mx.sym.load_json(changed)
