"""Mistakes of programs that train: each is one error that says what to do, and the module goes on training after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit.base import MXNetError

RNG = np.random.RandomState(4)
X, Y = RNG.uniform(-1, 1, (16, 6)).astype(np.float32), RNG.randint(0, 3, 16).astype(np.float32)
WEIGHTS = {
    "bn_beta": np.zeros(4),
    "bn_gamma": np.ones(4),
    "fc1_bias": np.zeros(4),
    "fc1_weight": RNG.uniform(-1, 1, (4, 6)),
    "fc2_bias": np.zeros(3),
    "fc2_weight": RNG.uniform(-1, 1, (3, 4)),
}
STATISTICS = {"bn_moving_mean": np.zeros(4), "bn_moving_var": np.ones(4)}


def data(**inputs: Any) -> Any:
    return mx.io.NDArrayIter(**{"data": X, "label": Y, "batch_size": 8, **inputs})


def network() -> Any:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc1")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name="bn"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc2"), name="softmax")


def parameters(**changed: Any) -> dict[str, Any]:
    """Return the parameters as arrays; one given as None is left out."""
    named = {**WEIGHTS, **changed}
    return {name: mx.nd.array(value) for name, value in named.items() if value is not None}


def statistics() -> dict[str, Any]:
    return {name: mx.nd.array(value) for name, value in STATISTICS.items()}


def ready() -> Any:
    module = mx.mod.Module(network())
    module.bind(data().provide_data, data().provide_label)
    module.init_params(None, parameters(), statistics())
    module.init_optimizer(optimizer_params={"learning_rate": 0.05, "momentum": 0.5})
    return module


def train(module: Any) -> None:
    for batch in data():
        module.forward_backward(batch)
        module.update()


def values(module: Any) -> dict[str, np.ndarray]:
    return {name: x.asnumpy() for found in module.get_params() for name, x in found.items()}


@pytest.fixture(scope="module")
def modules() -> tuple[Any, Any]:
    """A module for mistakes, and its twin that makes none."""
    both = ready(), ready()
    for module in both:
        train(module)
    return both


def assert_trains_on(modules: tuple[Any, Any]) -> None:
    for module in modules:
        train(module)
    wanted = values(modules[1])
    for name, value in values(modules[0]).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-6, err_msg=name)


def batch(x: Any, y: Any) -> Any:
    return mx.io.DataBatch([mx.nd.array(x)], None if y is None else [mx.nd.array(y)])


def step(module: Any, x: Any, y: Any) -> None:
    module.forward_backward(batch(x, y))
    module.get_outputs()


def third(name: Any, array: Any) -> None:
    """An initializer that fails at the third parameter."""
    if name == "fc1_bias":
        raise ZeroDivisionError("own error")
    array[:] = 7


NUMBERS: Any = [[1, 2]]


def other_initializer(initializer: Any) -> Callable[[Any], None]:
    return lambda m: m.init_params(initializer, force_init=True)


#: What is done to a module that has been trained for an epoch, the error, and what its text has to say.
MISTAKES: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "features": (
        lambda m: step(m, np.ones((8, 9)), Y[:8]),
        MXNetError,
        r"bound for data \(8, 6\).* can not take data \(8, 9\).*only the batch size may differ.*fc1_weight",
    ),
    "features to predict": (lambda m: m.predict(data(data=X[:, :5])), MXNetError, r"can not take data \(8, 5\)"),
    "length of labels": (lambda m: step(m, X[:8], Y[:5]), MXNetError, r"'softmax_label'.*\(8,\).*\(5,\)"),
    "no data": (lambda m: m.forward(mx.io.DataBatch([], [])), ValueError, r"0 arrays of data.*\['data'\]"),
    "lists of numbers": (lambda m: m.forward(mx.io.DataBatch(NUMBERS, [])), AttributeError, "DataBatch"),
    "an array": (lambda m: m.forward(mx.nd.array(X)), AttributeError, "DataBatch"),
    "no labels for a metric": (
        lambda m: (m.forward(batch(X[:8], None), is_train=False), m.update_metric(mx.metric.Accuracy(), None)),
        ValueError,
        "does the batch have labels",
    ),
    "labels that a metric refuses": (
        lambda m: m.score(data(label=None), "acc"),
        ValueError,
        "does the batch have labels",
    ),
    "reshape": (
        lambda m: m.reshape([("data", (8, 9))], [("softmax_label", (8,))]),
        MXNetError,
        "only the batch size may differ",
    ),
    "missing": (
        lambda m: m.set_params(parameters(fc2_weight=None), statistics()),
        RuntimeError,
        "fc2_weight is not presented",
    ),
    "missing statistics": (lambda m: m.set_params(parameters(), {}), RuntimeError, "bn_moving_mean is not presented"),
    "no statistics": (lambda m: m.set_params(parameters(), None), TypeError, "bn_moving_mean.*no initializer"),
    "unknown": (
        lambda m: m.set_params(parameters(fc9_weight=[1]), statistics(), allow_missing=True),
        ValueError,
        "'fc9_weight'",
    ),
    "another shape": (
        lambda m: m.set_params(parameters(fc2_weight=np.ones((3, 5))), statistics()),
        MXNetError,
        r"'fc2_weight' has shape \(3, 5\), the network takes \(3, 4\)",
    ),
    "another shape of a part": (
        lambda m: m.set_params({**parameters(), "fc2_weight": mx.nd.ones((3, 5))}, {}, allow_missing=True),
        MXNetError,
        "another network",
    ),
    "a list": (lambda m: m.set_params(list(parameters().values()), {}), TypeError, "dict of NDArrays"),
    "NumPy arrays": (lambda m: m.set_params(WEIGHTS, STATISTICS), TypeError, "bn_beta.*mx.nd.array"),
    "initializer that matches nothing": (
        other_initializer(mx.init.Mixed(["zz"], [mx.init.One()])),
        ValueError,
        "no pattern matches bn_beta",
    ),
    "initializer that fails half-way": (other_initializer(third), ZeroDivisionError, "own error"),
    "name of an initializer": (other_initializer("xavier"), TypeError, "mx.init.create"),
    "neither values nor initializer": (other_initializer(None), TypeError, "pass the one or the other"),
    "no iterator to score": (lambda m: m.score(X, "acc"), AttributeError, "NDArrayIter"),
    "no iterator to fit": (lambda m: m.fit(X, num_epoch=1), AttributeError, "NDArrayIter"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained_and_leaves_the_module_as_it_was(name: str, modules: tuple[Any, Any]) -> None:
    mistake, kind, text = MISTAKES[name]
    module, before = modules[0], values(modules[0])
    with pytest.raises(kind, match=text):
        mistake(module)
    for parameter, value in values(module).items():
        np.testing.assert_array_equal(value, before[parameter], err_msg=parameter)
    assert_trains_on(modules)


UNBOUND: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no shapes": (lambda: mx.mod.Module(network()).bind(None), TypeError, r"\[\('data', \(32, 10\)\)\], got None"),
    "a name": (lambda: mx.mod.Module(network()).bind("data"), TypeError, "list of names and shapes"),
    "a scalar": (
        lambda: mx.mod.Module(network(), label_names=None).bind([("data", ())]),
        IndexError,
        "rows of a batch",
    ),
    "a frozen parameter": (
        lambda: mx.mod.Module(network(), fixed_param_names=["fc9_weight"]),
        ValueError,
        "Its parameters are .*fc1_weight",
    ),
}


@pytest.mark.parametrize("name", UNBOUND)
def test_a_mistake_before_training_is_explained(name: str) -> None:
    mistake, kind, text = UNBOUND[name]
    with pytest.raises(kind, match=text):
        mistake()


def test_data_that_the_module_does_not_know_are_passed_over(modules: tuple[Any, Any]) -> None:
    first = next(data())
    modules[0].forward(mx.io.DataBatch([*first.data, *first.data], first.label), is_train=False)
    modules[1].forward(first, is_train=False)
    found, wanted = (module.get_outputs()[0].asnumpy() for module in modules)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("way", [{"label": None}, {"label": {"y": Y}}], ids=["none", "another name"])
def test_labels_that_the_network_lacks_stop_training_before_it_begins(way: dict[str, Any]) -> None:
    module = mx.mod.Module(network())
    kind, text = (AssertionError, "needs the labels") if way["label"] is None else (KeyError, r"no label \['y'\]")
    with pytest.warns(UserWarning, match="label_names"), pytest.raises(kind, match=text):
        module.fit(data(**way), num_epoch=1)
    module.bind(data().provide_data, data().provide_label)
    assert module.output_shapes == [("softmax_output", (8, 3))]


def test_a_metric_that_refuses_a_batch_does_not_undo_its_step(modules: tuple[Any, Any]) -> None:
    before = values(modules[0])
    for module in modules:
        module.forward_backward(next(data()))
        module.update()
    with pytest.raises(ValueError, match="labels"):
        modules[0].update_metric(mx.metric.Accuracy(), [])
    assert not np.array_equal(values(modules[0])["fc1_weight"], before["fc1_weight"])
    assert_trains_on(modules)


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (
            (mx.nd.ones((4, 6)), mx.nd.ones((4, 6))),
            r"parameter 'fc1_weight' .* a state '\(4, 6\)' of SGD .* got \['\(4, 6\)', '\(4, 6\)'\]",
        ),
        (None, "of SGD with its present settings, got None"),
        (mx.nd.ones((9, 6)), r"of shape \(4, 6\): expected a state '\(4, 6\)' .* got '\(9, 6\)'.*the network that"),
    ],
    ids=["Adam", "no momentum", "network"],
)
def test_states_of_something_else(first: Any, text: str, tmp_path: Path, modules: tuple[Any, Any]) -> None:
    other = mx.optimizer.get_updater(mx.optimizer.create("test"))
    other.states = {0: first}
    (tmp_path / "other.states").write_bytes(other.get_states())
    with pytest.raises(MXNetError, match=text):
        modules[0].load_optimizer_states(tmp_path / "other.states")
    assert_trains_on(modules)


def test_a_damaged_file_of_states_is_named(tmp_path: Path, modules: tuple[Any, Any]) -> None:
    (tmp_path / "cut.states").write_bytes(b"hello")
    with pytest.raises(MXNetError, match=r"cut\.states: at byte 0 of 5"):
        modules[0].load_optimizer_states(tmp_path / "cut.states")
    assert_trains_on(modules)
