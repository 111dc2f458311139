"""Prologues: NumPy prepares what a compiled function would, on CPU."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings

import symjit as mx
from symjit.ir.graph import Graph
from symjit.ir.passes.pipeline import for_inference
from symjit.preparation import Preparation
from tests.compare import close
from tests.passes.evaluate import constants, values_of
from tests.passes.random_graphs import SHAPE, networks
from tests.test_networks import FOLDER, LONG, LONG_RECURRENT, NAMES


def prologue(graph: Graph, values: dict[str, np.ndarray]) -> Graph:
    shapes, dtypes = {n: x.shape for n, x in values.items()}, {n: x.dtype for n, x in values.items()}
    return for_inference(graph, constants(graph), shapes, dtypes, "cpu").split.prologue


def prepared(graph: Graph, values: dict[str, np.ndarray], platform: str) -> list[np.ndarray]:
    preparation = Preparation(graph, platform)
    # One for another platform is compiled, and runs here as well.
    assert len(preparation.in_numpy) == (len(graph.heads) if platform == "cpu" else 0)
    with jax.enable_x64(True):
        return [np.asarray(x) for x in preparation([jax.numpy.asarray(values[n]) for n in preparation.parameters])]


def agree(graph: Graph, values: dict[str, np.ndarray]) -> None:
    found = prologue(graph, values)
    for got, want in zip(prepared(found, values, "cpu"), prepared(found, values, "gpu"), strict=True):
        close(got, want, 1e-6, "prepared")


@settings(max_examples=10, deadline=None, derandomize=True)
@given(graph=networks())
def test_random_networks_are_prepared_the_same(graph: Graph) -> None:
    agree(graph, values_of(graph, {"data": SHAPE}))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG | LONG_RECURRENT else []) for n in NAMES]
)
def test_networks_are_prepared_by_numpy_alone(name: str) -> None:
    symbol = mx.sym.load(str(FOLDER / f"{name}.json"))
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        values = {key.split(":", 1)[1]: file[key] for key in file.files if key.startswith(("arg:", "aux:"))}
    agree(symbol.graph, values)


@pytest.mark.parametrize("dtype", ["float16", "float64", "float32"])
def test_every_dtype(dtype: str) -> None:
    data = mx.sym.var("data")
    net = mx.sym.Convolution(data, kernel=(3, 3), num_filter=512, num_group=2, name="a")
    net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=512, name="b")
    if dtype == "float32":  # BatchNorm keeps its parameters in it
        net = mx.sym.BatchNorm(net, name="c")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="d")
    agree(net.graph, values_of(net.graph, {"data": (2, 4, 6, 6)}, dtype))


def test_what_numpy_can_not_do_is_compiled() -> None:
    weight = mx.sym.var("weight")
    net = mx.sym.FullyConnected(mx.sym.var("data"), mx.sym.square(weight), num_hidden=4, no_bias=True, name="a")
    net = mx.sym.FullyConnected(net, mx.sym.var("other"), num_hidden=4, no_bias=True, name="b")
    values = values_of(net.graph, {"data": (3, 2)})
    shapes, dtypes = {n: x.shape for n, x in values.items()}, {n: x.dtype for n, x in values.items()}
    split = for_inference(net.graph, {"weight", "other"}, shapes, dtypes, "cpu").split
    preparation = Preparation(split.prologue, "cpu")
    assert [split.prologue.heads[i].node.inputs[0].node.name for i in preparation.in_numpy] == ["other"]
    made = preparation([values[name] for name in preparation.parameters])
    by_shape = {x.shape: np.asarray(x) for x in made}
    np.testing.assert_allclose(by_shape[2, 4], np.square(values["weight"]).T, rtol=1e-6)
    np.testing.assert_array_equal(by_shape[4, 4], values["other"].T)


def test_zeros_and_infinities_make_no_noise() -> None:
    net = mx.sym.BatchNorm(mx.sym.Convolution(mx.sym.var("data"), kernel=(1, 1), num_filter=2), eps=0.01, name="c")
    values = values_of(net.graph, {"data": (1, 2, 3, 3)})
    values["c_moving_var"][:] = (-0.01, np.inf)
    found = prologue(net.graph, values)
    prepared(found, values, "cpu")


def test_prepared_parameters_share_no_memory_with_the_given_ones() -> None:
    weight = np.ones((64, 512), np.float32)
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=64, no_bias=True, name="a")
    found = prologue(net.graph, {"data": np.ones((2, 512), np.float32), "a_weight": weight})
    made = Preparation(found, "cpu")([weight])
    weight[:] = 2
    np.testing.assert_array_equal(np.asarray(made[0]), np.ones((512, 64), np.float32))
