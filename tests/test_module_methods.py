"""Every method of the Module family is called, and its signature is that of MXNet 1.9.1."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symjit as mx
from tests.compare import close
from tests.golden import module_runs as runs
from tests.training.modules import FOLDER, Halves, assert_same, values

# A second `fit` says so, as in MXNet.
pytestmark = pytest.mark.filterwarnings("ignore:Parameters already initialized")


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


def recorded(cls: Any, seen: set[str]) -> Any:
    """Return a subclass whose objects note which of their attributes are used."""

    class Recorded(cls):
        def __getattribute__(self, name: str) -> Any:
            seen.add(name)
            return super().__getattribute__(name)

    return Recorded


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
