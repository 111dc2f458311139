"""The Module family: what it computes, says and looks like in MXNet 1.9.1, and what it does with wrong calls."""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import jax
import numpy as np
import pytest

import symjit as mx
from symjit.module.interrupt import whole
from tests.compare import close
from tests.golden import module_runs as runs

# A second `fit` says so, as in MXNet.
pytestmark = pytest.mark.filterwarnings("ignore:Parameters already initialized")

FOLDER = Path(__file__).resolve().parent / "golden" / "modules"
TOLERANCE = 1e-5


# Runs of MXNet -------------------------------------------------------------------------------------------------------


#: The others differ from these in little.
USUAL = ("fit", "predict", "bucketing", "python_loss", "feed_forward")


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in runs.RUNS]
)
def test_runs_as_in_mxnet(name: str) -> None:
    with np.load(FOLDER / f"{name}.npz") as file:
        golden = dict(file)
    arrays, events = runs.RUNS[name](mx)
    assert events == golden.pop("events").tolist()
    assert sorted(arrays) == sorted(golden)
    for key, want in golden.items():
        close(np.asarray(arrays[key], want.dtype), want, TOLERANCE, f"{name}: {key}")


@pytest.mark.slow
def test_goes_on_from_a_checkpoint_of_mxnet() -> None:
    with np.load(FOLDER / "bucketing_resumed.npz") as file:
        golden = dict(file)
    arrays, events = runs.resumed(mx, str(FOLDER / "bucketing"))
    assert events == golden.pop("events").tolist()[:-1]
    for key, want in golden.items():
        close(arrays[key], want, TOLERANCE, key)


# Signatures ----------------------------------------------------------------------------------------------------------

#: What MXNet's guides of the Module API name, by class.
GUIDE = {
    "BaseModule": """forward_backward score iter_predict predict fit data_names output_names data_shapes label_shapes
        output_shapes get_params init_params set_params save_params load_params get_states set_states install_monitor
        prepare forward backward get_outputs get_input_grads update update_metric bind init_optimizer symbol""",
    "Module": """load save_checkpoint data_names label_names output_names data_shapes label_shapes output_shapes
        get_params init_params set_params bind reshape init_optimizer borrow_optimizer forward backward update
        get_outputs get_input_grads get_states set_states update_metric save_optimizer_states load_optimizer_states
        install_monitor prepare""",
    "BucketingModule": """data_names output_names data_shapes label_shapes output_shapes get_params set_params
        init_params get_states set_states bind switch_bucket init_optimizer prepare forward backward update get_outputs
        get_input_grads update_metric symbol install_monitor save_checkpoint load load_dict""",
    "SequentialModule": """add data_names output_names data_shapes label_shapes output_shapes get_params init_params
        bind init_optimizer forward backward update get_outputs get_input_grads update_metric install_monitor""",
    "PythonModule": """data_names output_names data_shapes label_shapes output_shapes get_params init_params update
        update_metric bind init_optimizer""",
    "PythonLossModule": "forward get_outputs backward get_input_grads install_monitor",
    "FeedForward": "fit predict score save load create",
}


def test_signatures_are_those_of_mxnet() -> None:
    golden = json.loads((FOLDER / "signatures.json").read_text(encoding="utf-8"))
    found = runs.signatures(mx)
    for name, methods in golden.items():
        assert set(GUIDE[name].split()) <= set(methods), name
        for method, want in methods.items():
            assert found[name].get(method, "missing") == want, f"{name}.{method}"


# Every method, called -------------------------------------------------------------------------------------------------


def recorded(cls: Any, seen: set[str]) -> Any:
    """Return a subclass whose objects note which of their attributes are used."""

    class Recorded(cls):
        def __getattribute__(self, name: str) -> Any:
            seen.add(name)
            return super().__getattribute__(name)

    return Recorded


def values(module: Any) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in runs.collected(module).items()}


def assert_same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert sorted(got) == sorted(want)
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def bound(**settings: Any) -> tuple[Any, Any]:
    """Return a Module of the classifier, bound and with parameters, and its first batch."""
    data = runs.iterator(mx)
    module = mx.mod.Module(runs.classifier(mx))
    module.bind(data.provide_data, data.provide_label, **settings)
    module.init_params(None, *runs.parameters(mx, runs.classifier(mx), runs.shapes_of(data)))
    return module, data.next()


def test_every_method_of_module(tmp_path: Path) -> None:
    seen: set[str] = set()
    data = runs.iterator(mx)
    batch = data.next()
    module = recorded(mx.mod.Module, seen)(runs.classifier(mx))
    assert module.data_names == ["data"] and module.label_names == ["softmax_label"]
    assert module.output_names == ["softmax_output"] == module.symbol.list_outputs()
    module.bind(data.provide_data, data.provide_label, inputs_need_grad=True)
    assert [tuple(x) for x in module.data_shapes] == [("data", (8, 6))]
    assert [tuple(x) for x in module.label_shapes] == [("softmax_label", (8,))]
    assert module.output_shapes == [("softmax_output", (8, 4))]
    module.init_params(mx.init.Uniform(0.5))
    module.init_optimizer(optimizer_params=runs.SGD)
    module.prepare(batch)
    module.forward(batch, is_train=True)
    metric = mx.metric.create("acc")
    module.update_metric(metric, batch.label)
    assert metric.num_inst == 8
    module.backward()
    (probabilities,) = module.get_outputs()
    np.testing.assert_allclose(probabilities.asnumpy().sum(axis=1), np.ones(8), rtol=1e-6)
    assert np.abs(module.get_input_grads()[0].asnumpy()).max() > 0
    before = values(module)
    module.update()
    after = values(module)
    assert all((before[name] != after[name]).any() for name in before)
    assert module.get_states(merge_multi_context=False) == []
    module.set_states(value=0)

    module.save_params(tmp_path / "params")
    module.forward_backward(batch)
    module.update()
    module.load_params(tmp_path / "params")
    assert_same(values(module), after)
    module.set_params(*module.get_params())
    assert_same(values(module), after)

    # What is loaded takes the same next step, momentum included.
    module.save_checkpoint(str(tmp_path / "model"), 7, save_optimizer_states=True)
    module.save_optimizer_states(str(tmp_path / "states"))
    other = recorded(mx.mod.Module, seen).load(str(tmp_path / "model"), 7, load_optimizer_states=True)
    seen.add("load")
    other.bind(data.provide_data, data.provide_label)
    other.init_optimizer(optimizer_params=runs.SGD)
    borrower = recorded(mx.mod.Module, seen)(runs.classifier(mx))
    borrower.bind([("data", (4, 6))], [("softmax_label", (4,))], shared_module=other)
    borrower.borrow_optimizer(other)
    for each in (module, other):
        each.forward_backward(batch)
        each.update()
    assert_same(values(other), values(module))
    module.load_optimizer_states(str(tmp_path / "states"))

    module.reshape([("data", (4, 6))], [("softmax_label", (4,))])
    assert module.output_shapes == [("softmax_output", (4, 4))]
    data.reset()
    assert module.predict(data).shape == (20, 4)
    assert [number for _, number, _ in module.iter_predict(data)] == [0, 1, 2]
    assert [name for name, _ in module.score(data, "acc")] == ["accuracy"]
    events: list[str] = []
    module.install_monitor(runs.Monitor(events))
    data.reset()
    module.fit(data, num_epoch=1)
    assert set(f"{GUIDE['BaseModule']} {GUIDE['Module']}".split()) <= seen


def test_every_method_of_bucketing_module(tmp_path: Path) -> None:
    seen: set[str] = set()
    data = runs.sentence_iterator(mx)
    long, short = data.next(), data.next()
    module = recorded(mx.mod.BucketingModule, seen)(runs.sentence_network(mx), data.default_bucket_key)
    assert list(module.data_names) == ["data"] and module.output_names == ["softmax_output"]
    module.bind(data.provide_data, data.provide_label)
    module.init_params(None, *runs.sentence_parameters(mx))
    module.init_optimizer(optimizer_params=runs.SGD)
    module.prepare(short)
    assert [tuple(x) for x in module.data_shapes] == [("data", (8, 5))]
    module.forward(short, is_train=True)
    assert [tuple(x) for x in module.data_shapes] == [("data", (8, 3))]
    assert [tuple(x) for x in module.label_shapes] == [("softmax_label", (8,))]
    assert module.output_shapes == [("softmax_output", (8, 4))] and len(module.get_outputs()) == 1
    assert "mean_of_3_output" in module.symbol.get_internals().list_outputs()
    metric = mx.metric.create("acc")
    module.update_metric(metric, short.label)
    module.backward()
    before = values(module)
    module.update()
    trained = values(module)
    # The step of the short bucket is seen in the long one, and on the CPU.
    assert (trained["fc2_weight"] != before["fc2_weight"]).any()
    module.switch_bucket(5, long.provide_data, long.provide_label)
    assert_same(values(module), trained)
    module.forward(long, is_train=False)
    seen_before = module.get_outputs()[0].asnumpy()
    module.set_params(*module.get_params(), allow_missing=True)
    module.forward(long, is_train=False)
    np.testing.assert_array_equal(module.get_outputs()[0].asnumpy(), seen_before)
    assert module.get_states(merge_multi_context=False) == []
    module.set_states(value=0)
    events: list[str] = []
    module.install_monitor(runs.Monitor(events))

    prefix = str(tmp_path / "model")
    module.save_checkpoint(prefix, 2)
    loaded = recorded(mx.mod.BucketingModule, seen).load(prefix, 2, runs.sentence_network(mx), 5)
    symbols = {key: mx.sym.load(f"{prefix}-{key}-symbol.json") for key in (3, 5)}
    given = mx.mod.BucketingModule.load_dict(symbols, runs.sentence_network(mx), 5, *module.get_params())
    seen |= {"load", "load_dict"}
    assert_same(values(given), trained)
    assert_same(values(loaded), trained)
    loaded.bind(data.provide_data, data.provide_label)
    for batch in (short, long):
        module.forward(batch, is_train=False)
        loaded.forward(batch, is_train=False)
        np.testing.assert_array_equal(loaded.get_outputs()[0].asnumpy(), module.get_outputs()[0].asnumpy())

    # Gradients of whole numbers are nothing; that they are handed out is what counts here.
    grads = recorded(mx.mod.BucketingModule, seen)(
        lambda key: (mx.sym.MakeLoss(mx.sym.square(mx.sym.Variable("data"))), ["data"], None), 2
    )
    grads.bind([("data", (1, 2))], inputs_need_grad=True)
    grads.init_params()
    grads.forward(mx.io.DataBatch([mx.nd.array([[1, 3]])], None, bucket_key=2, provide_data=[("data", (1, 2))]))
    grads.backward()
    np.testing.assert_array_equal(grads.get_input_grads()[0].asnumpy(), [[2, 6]])
    assert set(GUIDE["BucketingModule"].split()) <= seen


def test_every_method_of_sequential_module() -> None:
    seen: set[str] = set()
    data = runs.iterator(mx)
    batch = data.next()
    parts = runs.chain(mx, [], python_loss=False)._modules
    module = recorded(mx.mod.SequentialModule, seen)()
    assert module.data_names == [] and module.output_names == []
    assert module.add(parts[0]) is module
    module.add(parts[1], take_labels=True, auto_wiring=True)
    assert module.data_names == ["data"] and module.output_names == ["softmax_output"]
    module.bind(data.provide_data, data.provide_label, inputs_need_grad=True)
    assert [tuple(x) for x in module.data_shapes] == [("data", (8, 6))]
    assert [tuple(x) for x in module.label_shapes] == [("softmax_label", (8,))]
    assert module.output_shapes == [("softmax_output", (8, 4))]
    module.init_params(mx.init.Uniform(0.5))
    module.init_optimizer(optimizer_params=runs.SGD)
    module.install_monitor(runs.Monitor([]))
    module.forward(batch, is_train=True)
    metric = mx.metric.create("acc")
    module.update_metric(metric, batch.label)
    assert metric.num_inst == 8
    module.backward()
    before = values(module)
    module.update()
    after = values(module)
    assert all((before[name] != after[name]).any() for name in before if not name.startswith("bn_moving"))

    # One network of both symbols has the same outputs and gradients.
    hidden = parts[0].symbol
    whole_symbol = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(hidden, num_hidden=4, name="fc2"), name="softmax")
    whole_module = mx.mod.Module(whole_symbol)
    whole_module.bind(data.provide_data, data.provide_label, inputs_need_grad=True)
    whole_module.init_params(None, *module.get_params())
    for each in (module, whole_module):
        each.forward(batch, is_train=True)
        each.backward()
    close(module.get_outputs()[0].asnumpy(), whole_module.get_outputs()[0].asnumpy(), 1e-5, "outputs")
    close(module.get_input_grads()[0].asnumpy(), whole_module.get_input_grads()[0].asnumpy(), 1e-4, "gradients")

    # A batch of another size binds the modules anew, under the names of each.
    x, y = runs.rows(5)
    smaller = mx.io.DataBatch([mx.nd.array(x)], [mx.nd.array(y)], provide_data=[("data", (5, 6))])
    smaller.provide_label = [("softmax_label", (5,))]
    module.forward(smaller, is_train=False)
    assert module.get_outputs()[0].shape == (5, 4)
    assert set(GUIDE["SequentialModule"].split()) <= seen


def test_every_method_of_python_modules() -> None:
    seen: set[str] = set()
    loss = recorded(mx.mod.PythonLossModule, seen)(
        "hinge",
        ("scores",),
        ("answer",),
        grad_func=lambda scores, labels: runs.hinge(scores.asnumpy(), labels.asnumpy()),
    )
    assert loss.data_names == ["scores"] and loss.output_names == ["hinge_output"]
    assert loss.data_shapes is None and loss.label_shapes is None and loss.output_shapes is None
    loss.bind([("scores", (2, 4))], [("answer", (2,))], inputs_need_grad=True)
    assert loss.data_shapes == [("scores", (2, 4))] and loss.label_shapes == [("answer", (2,))]
    assert loss.output_shapes == [("hinge_output", (2, 4))]
    loss.init_params()
    loss.init_optimizer()
    assert loss.get_params() == ({}, {})
    scores = np.array([[0.5, 2, 0, -2], [3, 0, 0, 0]], np.float32)
    batch = mx.io.DataBatch([mx.nd.array(scores)], [mx.nd.array([1, 0])])
    loss.forward(batch)
    assert loss.get_outputs() == [batch.data[0]]
    loss.backward()
    np.testing.assert_array_equal(loss.get_input_grads()[0].asnumpy(), [[1, 0, 1, 0], [0, 1, 1, 1]])
    loss.update()
    metric = mx.metric.create("acc")
    loss.update_metric(metric, batch.label)
    assert metric.get()[1] == 1
    with pytest.raises(RuntimeError, match="presliced"):
        loss.update_metric(metric, [batch.label], pre_sliced=True)
    with pytest.raises(NotImplementedError, match="install_monitor"):
        loss.install_monitor(None)
    # Each bind counts, and without labels a metric is left alone.
    loss.bind([("scores", (3, 4))], for_training=False)
    loss.update_metric(metric, batch.label)
    assert metric.num_inst == 2 and loss.output_shapes == [("hinge_output", (3, 4))] and not loss.for_training
    assert set(f"{GUIDE['PythonModule']} {GUIDE['PythonLossModule']}".split()) <= seen


class Halves(mx.mod.PythonModule):
    """Halves its data."""

    def __init__(self) -> None:
        super().__init__(("data",), None, ("half",))

    def _compute_output_shapes(self) -> Any:
        return [("half", self.data_shapes[0][1])]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        self.result = data_batch.data[0] / 2

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        return [self.result]


class Loss(mx.mod.PythonLossModule):
    """A loss that compiles nothing and counts its steps."""

    def __init__(self) -> None:
        super().__init__(grad_func=lambda scores, labels: scores)
        self.steps = 0

    def update(self) -> None:
        self.steps += 1


def test_a_module_in_python_predicts() -> None:
    data = mx.io.NDArrayIter(np.arange(10, dtype=np.float32).reshape(5, 2), batch_size=2)
    module = Halves()
    module.bind(data.provide_data)
    module.init_params()
    np.testing.assert_array_equal(module.predict(data).asnumpy(), np.arange(10).reshape(5, 2) / 2)
    assert module.score(data, "mse") and module.symbol is None


ABSTRACT: dict[str, Callable[[Any], Any]] = {
    "data_names": lambda m: m.data_names,
    "output_names": lambda m: m.output_names,
    "data_shapes": lambda m: m.data_shapes,
    "label_shapes": lambda m: m.label_shapes,
    "output_shapes": lambda m: m.output_shapes,
    "get_params": lambda m: m.get_params(),
    "init_params": lambda m: m.set_params({}, {}),
    "install_monitor": lambda m: m.install_monitor(None),
    "forward": lambda m: m.forward_backward(None),
    "backward": lambda m: m.backward(),
    "get_outputs": lambda m: m.get_outputs(),
    "get_input_grads": lambda m: m.get_input_grads(),
    "update": lambda m: m.update(),
    "update_metric": lambda m: m.update_metric(None, None),
    "bind": lambda m: m.bind([]),
    "init_optimizer": lambda m: m.init_optimizer(),
}


@pytest.mark.parametrize("method", ABSTRACT)
def test_what_a_module_has_to_define(method: str) -> None:
    with pytest.raises(NotImplementedError, match=f"BaseModule does not define {method}"):
        ABSTRACT[method](mx.mod.BaseModule())


# Wrong calls ----------------------------------------------------------------------------------------------------------


def fresh_module() -> Any:
    return mx.mod.Module(runs.classifier(mx))


def bound_module() -> Any:
    module = fresh_module()
    module.bind([("data", (8, 6))], [("softmax_label", (8,))])
    return module


def fresh_bucketing() -> Any:
    return mx.mod.BucketingModule(runs.sentence_network(mx), 5)


def bound_bucketing() -> Any:
    module = fresh_bucketing()
    module.bind([("data", (8, 5))], [("softmax_label", (8,))])
    return module


def ready_bucketing() -> Any:
    module = bound_bucketing()
    module.init_params(None, *runs.sentence_parameters(mx))
    return module


def fresh_chain() -> Any:
    return runs.chain(mx, [], python_loss=False)


def twins() -> Any:
    module = mx.mod.SequentialModule()
    for _ in range(2):
        x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, name="fc")
        module.add(mx.mod.Module(x, label_names=None), auto_wiring=True)
    module.bind([("data", (8, 6))])
    return module


def loss() -> Any:
    module = mx.mod.PythonLossModule()
    module.bind([("data", (2, 3))], [("softmax_label", (2,))], for_training=False)
    return module


WRONG: list[tuple[Callable[[], Any], Callable[[Any], Any], type[Exception], str]] = [
    (fresh_module, lambda m: m.fit(runs.iterator(mx)), AssertionError, "num_epoch="),
    (fresh_module, lambda m: m.score(runs.iterator(mx), "acc"), AssertionError, "call bind"),
    (bound_module, lambda m: m.score(runs.iterator(mx), "acc"), AssertionError, "call init_params"),
    (fresh_module, lambda m: m.predict(runs.iterator(mx)), AssertionError, "call bind"),
    (fresh_module, lambda m: next(m.iter_predict(runs.iterator(mx))), AssertionError, "call bind"),
    (lambda: bound()[0], lambda m: m.predict([1, 2]), ValueError, "NDArrayIter"),
    (lambda: bound()[0], lambda m: m.get_states(), AssertionError, "merge_multi_context"),
    (lambda: None, lambda _: mx.mod.BucketingModule(runs.sentence_network(mx)), AssertionError, "default_bucket_key"),
    (lambda: None, lambda _: mx.mod.BucketingModule(lambda key: mx.sym.var("x"), 1), ValueError, "data_names"),
    (
        lambda: None,
        lambda _: mx.mod.BucketingModule(lambda key: (mx.sym.var("x"), ["data"], None), 1),
        ValueError,
        "data",
    ),
    (fresh_bucketing, lambda m: m.data_shapes, AssertionError, "BucketingModule.data_shapes: .*call bind"),
    (fresh_bucketing, lambda m: m.symbol, AssertionError, "call bind"),
    (fresh_bucketing, lambda m: m.init_params(), AssertionError, "call bind"),
    (fresh_bucketing, lambda m: m.get_params(), AssertionError, "call init_params"),
    (fresh_bucketing, lambda m: m.switch_bucket(3, None), AssertionError, "call bind"),
    (fresh_bucketing, lambda m: m.install_monitor(None), AssertionError, "call bind"),
    (fresh_bucketing, lambda m: m.save_checkpoint("x", 1), AssertionError, "Empty BucketingModule"),
    (fresh_bucketing, lambda m: m.bind([("data", (8, 5))], shared_module=m), AssertionError, "shared_module"),
    (bound_bucketing, lambda m: m.init_optimizer(), AssertionError, "call init_params"),
    (ready_bucketing, lambda m: m.update(), AssertionError, "call init_optimizer"),
    (ready_bucketing, lambda m: m.get_input_grads(), AssertionError, "inputs_need_grad=True"),
    (lambda: None, lambda _: mx.mod.BucketingModule.load("x", 1), AssertionError, "sym_gen is required"),
    (lambda: None, lambda _: mx.mod.BucketingModule.load("x", 1, len), AssertionError, "default_bucket_key is"),
    (lambda: None, lambda _: mx.mod.BucketingModule.load_dict(), AssertionError, "sym_dict needs"),
    (
        lambda: str(FOLDER / "bucketing"),
        lambda prefix: mx.mod.BucketingModule.load(prefix, 3, runs.sentence_network(mx), 6),
        AssertionError,
        r"6 is none of the buckets \[",
    ),
    (fresh_chain, lambda m: m.data_shapes, AssertionError, "SequentialModule.data_shapes: .*call bind"),
    (fresh_chain, lambda m: m.init_params(), AssertionError, "call bind"),
    (fresh_chain, lambda m: m.get_params(), AssertionError, "call bind"),
    (fresh_chain, lambda m: m.add(m, take_label=True), AssertionError, "a typo.*take_labels"),
    (fresh_chain, lambda m: m.bind([("data", (8, 6)), ("x", (1,))]), ValueError, "data_shapes"),
    (mx.mod.SequentialModule, lambda m: m.bind([("data", (8, 6))]), AssertionError, "empty SequentialModule"),
    (
        fresh_chain,
        lambda m: m.bind([("data", (8, 6))], for_training=False, inputs_need_grad=True),
        AssertionError,
        "for_training=True",
    ),
    (twins, lambda m: m.init_params(), AssertionError, 'Duplicated parameter names: name "fc_weight" in layer 1'),
    (lambda: None, lambda _: mx.mod.PythonLossModule(data_names=("a", "b")), AssertionError, "one name of data"),
    (lambda: None, lambda _: mx.mod.PythonLossModule(grad_func=3), AssertionError, "function of scores and labels"),
    (mx.mod.PythonLossModule, lambda m: m.bind([("scores", (2, 3))]), AssertionError, r"\['data'\] in this order"),
    (mx.mod.PythonLossModule, lambda m: m.bind([("data", (2, 3))], grad_req="add"), AssertionError, "'write'"),
    (loss, lambda m: m.backward(), AssertionError, "for_training=True"),
    (loss, lambda m: m.backward([1]), AssertionError, "out_grads must be None"),
    (loss, lambda m: m.get_outputs(merge_multi_context=False), AssertionError, "must be True"),
]


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_wrong_calls_say_what_to_do(row: int) -> None:
    made, call, kind, text = WRONG[row]
    module = made()
    with pytest.raises(kind, match=text):
        call(module)


def test_no_batch_is_an_error() -> None:
    class Empty(mx.io.DataIter):
        provide_data = (("data", (8, 6)),)
        provide_label = (("softmax_label", (8,)),)

        def next(self) -> Any:
            raise StopIteration

    module = Loss()
    with pytest.raises(ValueError, match="no batch in epoch 0"):
        module.fit(Empty(), num_epoch=1)
    module.fit(runs.iterator(mx), num_epoch=1)
    assert module.predict(runs.iterator(mx)).shape == (20, 6)


def test_batches_with_unequal_outputs_do_not_merge() -> None:
    class Growing(Halves):
        def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
            self.count = getattr(self, "count", 0) + 1
            return [self.result] * self.count

    module, data = Growing(), mx.io.NDArrayIter(np.zeros((4, 2), np.float32), batch_size=2)
    module.bind(data.provide_data)
    module.init_params()
    with pytest.raises(AssertionError, match="merge_batches=False"):
        module.predict(data)
    assert [len(x) for x in module.predict(data, merge_batches=False)] == [3, 4]


@pytest.mark.parametrize(
    ("saved", "text"),
    [([mx.nd.zeros((1,))], "no names"), ({"weight": mx.nd.zeros((1,))}, "'weight' begins with neither")],
)
def test_params_of_something_else(saved: Any, text: str, tmp_path: Path) -> None:
    mx.nd.save(str(tmp_path / "x"), saved)
    module, _ = bound()
    before = values(module)
    with pytest.raises(ValueError, match=text):
        module.load_params(tmp_path / "x")
    assert_same(values(module), before)


def test_base_module_warns_of_sparse_rows() -> None:
    with pytest.warns(UserWarning, match="not invoked for BaseModule"):
        mx.mod.BaseModule().prepare(None, sparse_row_id_fn=lambda batch: {})


# Buckets --------------------------------------------------------------------------------------------------------------


def test_a_bucket_is_named_automatically_in_the_same_way() -> None:
    def sym_gen(length: int) -> Any:
        x = mx.sym.FullyConnected(mx.sym.mean(mx.sym.Variable("data"), axis=1), num_hidden=3)
        return mx.sym.SoftmaxOutput(x, name="softmax"), ["data"], ["softmax_label"]

    module = mx.mod.BucketingModule(sym_gen, 4)
    module.bind([("data", (2, 4, 3))], [("softmax_label", (2,))])
    module.init_params(mx.init.Uniform(1))
    label = [("softmax_label", (2,))]
    module.switch_bucket(2, [("data", (2, 2, 3))], label)
    assert sorted(module.get_params()[0]) == ["fullyconnected0_bias", "fullyconnected0_weight"]
    ones = [mx.nd.ones((2, length, 3)) for length in (2, 4)]
    outputs = []
    for x in ones:
        batch = mx.io.DataBatch([x], [mx.nd.zeros((2,))], bucket_key=x.shape[1])
        batch.provide_data, batch.provide_label = [("data", x.shape)], label
        module.forward(batch, is_train=False)
        outputs.append(module.get_outputs()[0].asnumpy())
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-6)


def test_buckets_with_keys_of_any_kind_are_trained_and_whole_numbers_are_saved(tmp_path: Path) -> None:
    def module_of(default: Any) -> Any:
        module = mx.mod.BucketingModule(lambda key: runs.sentence_network(mx)(5), default)
        module.bind([("data", (8, 5))], [("softmax_label", (8,))])
        module.init_params(None, *runs.sentence_parameters(mx))
        return module

    pair = module_of((5, 2))
    pair.save_checkpoint(str(tmp_path / "pair"), 0)
    loaded = mx.mod.BucketingModule.load(
        str(tmp_path / "pair"), 0, sym_gen=lambda key: runs.sentence_network(mx)(key[0]), default_bucket_key=(5, 2)
    )
    assert_same(values(loaded), values(pair))
    with pytest.raises(mx.MXNetError, match=r"whole numbers.*'long'"):
        module_of("long").save_checkpoint(str(tmp_path / "long"), 0)
    assert not list(tmp_path.glob("long*"))


@pytest.mark.slow
def test_rebinding_a_bucketing_module_keeps_parameters_and_optimizer() -> None:
    data = runs.sentence_iterator(mx)
    module = ready_bucketing()
    module.init_optimizer(optimizer_params=runs.SGD)
    module.fit(data, num_epoch=1)
    before = values(module)
    with pytest.raises(ValueError, match="data_shapes"):
        module.bind([("words", (8, 5))], force_rebind=True)
    assert_same(values(module), before)  # a bind that fails changes nothing
    module.bind(data.provide_data, data.provide_label, force_rebind=True)
    assert_same(values(module), before)
    module.forward_backward(data.next())
    module.update()
    assert (values(module)["fc2_weight"] != before["fc2_weight"]).any()


def test_a_batch_without_a_bucket_is_explained() -> None:
    def sym_gen(length: int) -> Any:
        return runs.sentence_network(mx)(length + 0)

    module = mx.mod.BucketingModule(sym_gen, 5)
    module.bind([("data", (8, 5))], [("softmax_label", (8,))])
    module.init_params(None, *runs.sentence_parameters(mx))
    with pytest.raises(TypeError) as caught:
        module.forward(mx.io.DataBatch([mx.nd.zeros((8, 5))], None))
    assert "bucket_key" in caught.value.__notes__[0]


@pytest.mark.slow
def test_the_first_batch_of_each_bucket_compiles_and_no_other() -> None:
    compiled: list[int] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled[-1] += 1

    def count(param: Any) -> None:
        compiled.append(0)

    data = runs.sentence_iterator(mx)
    data.default_bucket_key, data.provide_data = 3, [mx.io.DataDesc("data", (8, 3))]
    module = mx.mod.BucketingModule(runs.sentence_network(mx), 3)
    count(None)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        module.fit(data, num_epoch=2, optimizer_params=runs.SGD, batch_end_callback=count)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    # Buckets 5, 3, 5, 3, 3, 5; the rest of the first epoch's end is in the first batch of the second.
    assert compiled[0] > 0 and compiled[1] > 0
    assert compiled[2:6] == [0] * 4 and compiled[7:] == [0] * 6


# Ctrl-C ---------------------------------------------------------------------------------------------------------------


class Interrupting:
    """Sends Ctrl-C to this process at the n-th call."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def interrupted(at: int) -> Any:
    """Return a Module whose training is interrupted between the backward pass and the update of a step."""
    interrupt = Interrupting(at)

    class Module(mx.mod.Module):
        def backward(self, out_grads: Any = None) -> None:
            super().backward(out_grads)
            interrupt()

    module = Module(runs.classifier(mx))
    args, aux = runs.parameters(mx, runs.classifier(mx), {"data": (8, 6), "softmax_label": (8,)})
    with pytest.raises(KeyboardInterrupt):
        module.fit(runs.iterator(mx), arg_params=args, aux_params=aux, optimizer_params=runs.SGD, num_epoch=9)
    return module


@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)])
def test_ctrl_c_leaves_the_parameters_of_the_last_step(steps: int) -> None:
    module = interrupted(steps)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    plain, _ = bound()
    plain.init_optimizer(optimizer_params=runs.SGD)
    data = runs.iterator(mx)
    for number in range(steps):
        if number % 3 == 0:
            data.reset()
        plain.forward_backward(data.next())
        plain.update()
    found, want = values(module), values(plain)
    for name, value in want.items():
        close(found[name], value, 1e-5, name)
    module.fit(runs.iterator(mx), num_epoch=1)  # and it goes on


def flat(module: Any) -> np.ndarray:
    found = runs.collected(module)
    return np.concatenate([found[name].ravel() for name in sorted(found)])


@pytest.mark.slow
def test_ctrl_c_at_any_moment() -> None:
    epochs, settings = 20, {"optimizer_params": {**runs.SGD, "learning_rate": 0.01}}
    settings["arg_params"], settings["aux_params"] = runs.parameters(
        mx, runs.classifier(mx), {"data": (8, 6), "softmax_label": (8,)}
    )
    plain, data = bound()[0], runs.iterator(mx)
    plain.init_optimizer(optimizer_params=settings["optimizer_params"])
    states = [flat(plain)]
    for _ in range(epochs):
        data.reset()
        for batch in data:
            plain.forward_backward(batch)
            plain.update()
            states.append(flat(plain))

    module, rng, stopped = fresh_module(), Random(1), 0
    module.fit(runs.iterator(mx), runs.iterator(mx), num_epoch=1, **settings)  # compiles
    for _ in range(30):
        module.optimizer_initialized = False
        timer = threading.Timer(rng.uniform(0, 0.15), os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            module.fit(runs.iterator(mx), runs.iterator(mx), num_epoch=epochs, force_init=True, **settings)
            timer.cancel()
            timer.join()
        except KeyboardInterrupt:
            stopped += 1
        assert np.abs(np.stack(states) - flat(module)).max(axis=1).min() < 2e-5
    assert stopped > 0


def test_a_second_ctrl_c_is_not_held_back() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with whole():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the first waits")
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("not here")
    assert reached == ["the first waits"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_ctrl_c_of_a_process() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.interrupted"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for _ in range(25):
        assert child.stdout.readline() == "batch\n"
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    told = json.loads(out.splitlines()[-1])
    assert told["steps"] >= 25 and told["apart"] < 1e-5 and told["then"] == 3


def test_an_error_does_not_swallow_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        with whole():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError("of the step")
    assert isinstance(caught.value.__context__, ValueError)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_that_handles_ctrl_c_keeps_its_handler() -> None:
    heard = []
    mine = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with whole():
            os.kill(os.getpid(), signal.SIGINT)
            assert heard == [1]
    finally:
        signal.signal(signal.SIGINT, mine)


def test_training_in_another_thread() -> None:
    module = Loss()
    thread = threading.Thread(target=module.fit, args=(runs.iterator(mx),), kwargs={"num_epoch": 2})
    thread.start()
    thread.join()
    assert module.steps == 6


def test_hooks_surround_the_batches_of_an_epoch() -> None:
    events: list[Any] = []

    class Hooked(Loss):
        def _begin_fit(self, monitor: Any, callbacks: Any) -> None:
            events.append(("begin", monitor, list(callbacks)))

        def _end_fit(self) -> None:
            events.append("end")

    def stop(param: Any) -> None:
        if param.epoch == 1:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        Hooked().fit(runs.iterator(mx), num_epoch=3, batch_end_callback=stop)
    assert events == [("begin", None, [stop]), "end"] * 2


def test_hooks_reach_the_modules_of_a_chain() -> None:
    events: list[str] = []

    class Hooked(Loss):
        def _begin_fit(self, monitor: Any, callbacks: Any) -> None:
            events.append("begin")

        def _end_fit(self) -> None:
            events.append("end")

    mx.mod.SequentialModule().add(Hooked(), take_labels=True).fit(runs.iterator(mx), num_epoch=2)
    assert events == ["begin", "end"] * 2


def test_batches_are_freed_though_callbacks_get_locals() -> None:
    batches: list[Any] = []

    def keep(param: Any) -> None:
        batches.append(weakref.ref(param.locals["data_batch"]))

    module = Loss()
    module.fit(runs.iterator(mx), num_epoch=3, batch_end_callback=keep)
    module._scores = module._labels = None
    gc.collect()
    assert len(batches) == 9 and all(batch() is None for batch in batches)


# FeedForward ----------------------------------------------------------------------------------------------------------


def feed_forward(**settings: Any) -> Any:
    with pytest.warns(DeprecationWarning, match=r"mxnet\.mod\.Module"):
        return mx.model.FeedForward(runs.classifier(mx), num_epoch=1, **settings)


@pytest.mark.slow
def test_feed_forward_on_arrays_and_files(tmp_path: Path) -> None:
    x, y = runs.rows(40)
    np.random.seed(0)
    mx.random.seed(0)
    with pytest.warns(DeprecationWarning):
        model = mx.model.FeedForward.create(
            runs.classifier(mx),
            x,
            y[:, None],
            num_epoch=20,
            eval_data=(x, y),
            initializer=mx.init.Xavier(),
            numpy_batch_size=8,
            learning_rate=0.2,
            momentum=0.9,
        )
    scores = model.predict(x)
    assert scores.shape == (40, 4) and np.mean(scores.argmax(axis=1) == y) > 0.8
    model.save(str(tmp_path / "model"))
    with pytest.warns(DeprecationWarning):
        loaded = mx.model.FeedForward.load(str(tmp_path / "model"), 20, numpy_batch_size=8)
    assert loaded.begin_epoch == 20
    np.testing.assert_array_equal(loaded.predict(x), scores)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).predict(mx.nd.array(x)), scores)
    # Parameters that are exchanged count at once.
    loaded.arg_params["fc2_weight"][:] = 0
    loaded.arg_params["fc2_bias"][:] = 0
    np.testing.assert_allclose(loaded.predict(x), np.full((40, 4), 0.25), rtol=1e-6)


@pytest.mark.slow
def test_feed_forward_of_buckets() -> None:
    data = runs.sentence_iterator(mx)
    args, aux = runs.sentence_parameters(mx)
    with pytest.warns(DeprecationWarning):
        model = mx.model.FeedForward(
            lambda key: runs.sentence_network(mx)(key)[0], num_epoch=2, arg_params=args, aux_params=aux, **runs.SGD
        )
    model.fit(data)
    with np.load(FOLDER / "bucketing.npz") as golden:
        for name, value in {**model.arg_params, **model.aux_params}.items():
            close(value.asnumpy(), golden[name], TOLERANCE, name)


X, Y = runs.rows(8)
FED_WRONG: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda m: m.fit(X), ValueError, "y must be specified"),
    (lambda m: m.fit(X, list(Y)), TypeError, "y must be ndarray"),
    (lambda m: m.fit(X, Y[:5]), ValueError, "8 and 5"),
    (lambda m: m.fit(X, np.zeros((8, 2))), ValueError, "1D or 2D"),
    (lambda m: m.fit([1]), TypeError, "X must be DataIter"),
    (lambda m: m.fit(X, Y, eval_data=3), TypeError, "Eval data must be"),
    (lambda m: m.fit(X, Y, eval_data=(None, Y)), ValueError, "Eval data is NONE"),
    (lambda m: m.predict(X), AssertionError, "call fit"),
]


@pytest.mark.parametrize("row", range(len(FED_WRONG)))
def test_wrong_data_for_feed_forward(row: int) -> None:
    call, kind, text = FED_WRONG[row]
    model = feed_forward()
    with pytest.raises(kind, match=text):
        call(model)


def test_feed_forward_finds_names_that_occur_twice() -> None:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    x = mx.sym.FullyConnected(x, num_hidden=2, name="fc")
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match='duplicated argument name "fc_weight"'):
        mx.model.FeedForward(x)
