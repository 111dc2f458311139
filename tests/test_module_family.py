"""The Module family: what it computes and says in MXNet 1.9.1, and what it does with wrong calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import symjit as mx
from tests.compare import close
from tests.golden import module_runs as runs
from tests.training.modules import FOLDER, TOLERANCE, Halves, Loss, assert_same, bound, values

# A second `fit` says so, as in MXNet.
pytestmark = pytest.mark.filterwarnings("ignore:Parameters already initialized")


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
