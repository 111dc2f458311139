"""Scenes that give every argument of Module's methods, and call them in the wrong order.

Like those of ``tests/training/scenes.py``: the module is an argument, MXNet or symjit, and the outcome is plain data.
What MXNet 1.9.1 answers is in ``tests/golden/modules/arguments.json``.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from tests.training.scenes import (
    CLASSES,
    POINTS,
    SHAPES,
    at,
    batch,
    described,
    firsts,
    flags,
    iterator,
    network,
    outcome,
    ramps,
    shapes,
)

OTHER = {"data_shapes": [("data", (2, 5))], "label_shapes": [("softmax_label", (2,))]}
RATE = {"learning_rate": 0.5, "momentum": 0.9}


def numbers(array: Any) -> list[float]:
    """Return the numbers of an array in one list."""
    return [float(x) for x in array.asnumpy().ravel()]


def sums(module: Any) -> dict[str, float]:
    """Return the sum of the squares of every parameter; MXNet's moving averages are not the same in every run."""
    found = module.get_params()[0]
    return {name: float(np.square(value.asnumpy()).sum()) for name, value in sorted(found.items())}


def warned(action: Callable[[], Any]) -> list[str]:
    """Return the classes of the warnings of an action, and of its exception if it has one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = outcome(action)
    ends = [found] if isinstance(found, str) and found.startswith("!") else []
    return [w.category.__name__ for w in caught if w.category is not ResourceWarning] + ends


def step(module: Any, one: Any) -> Any:
    """Train on a batch; return what became of the parameters."""
    module.forward_backward(one)
    module.update()
    return sums(module)


def contexts(mx: ModuleType, count: int) -> list[Any]:
    return [mx.cpu(i) for i in range(count)]


# Module ---------------------------------------------------------------------------------------------------------------


def module_constructor(mx: ModuleType) -> Any:
    """Loads of several contexts, groups of contexts, compression: what is taken, what is refused and when."""
    two = {"context": contexts(mx, 2)}
    module = at(mx, "ready", work_load_list=[1, 3], **two)
    module.forward_backward(batch(mx))
    found = [shapes(module.get_outputs(merge_multi_context=False)), step(module, batch(mx))]
    for groups in ({"dev": mx.cpu(0)}, [{"dev": mx.cpu(0)}] * 2, {"dev": [mx.cpu(0)]}, [{}], {"a": [mx.cpu(0)] * 3}, 3):
        found.append(outcome(lambda groups=groups: step(at(mx, "ready", group2ctxs=groups, **two), batch(mx))))
    found.append(step(at(mx, "ready", compression_params={"type": "2bit", "threshold": 0.5}), batch(mx)))
    found.append(outcome(lambda: at(mx, "bound", context=contexts(mx, 5))))
    return found


def module_files(mx: ModuleType) -> Any:
    """`load` takes the arguments of a module; `save_checkpoint` leaves out casts of mixed precision or not."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "m")
        module = at(mx, "ready")
        module.save_checkpoint(prefix, 2, remove_amp_cast=False)
        module.save_checkpoint(prefix, 3, save_optimizer_states=False, remove_amp_cast=True)
        loaded = mx.mod.Module.load(
            prefix, 3, fixed_param_names=["fc1_weight", "fc1_bias"], context=contexts(mx, 2), work_load_list=[1, 3]
        )
        found = [sorted(os.listdir(folder)), flags(loaded), firsts(loaded)]
        found += [outcome(loaded.init_optimizer), warned(lambda: loaded.init_params())]
        loaded.bind(**SHAPES)
        loaded.init_optimizer()
        found += [step(loaded, batch(mx)), shapes(loaded.get_outputs(False))]
        missing = mx.mod.Module.load(prefix, 3, load_optimizer_states=True)
        missing.bind(**SHAPES)
        return [*found, outcome(missing.init_optimizer), sums(missing)]


def module_initialized(mx: ModuleType) -> Any:
    """`init_params`, `set_params` and `init_optimizer` a second time, forced or not."""
    module = at(mx, "ready")
    ones = {name: mx.nd.ones(value.shape) for name, value in module.get_params()[0].items()}
    found = [warned(lambda: module.set_params(ones, {}, force_init=False)), sums(module)]
    found += [warned(lambda: module.set_params(ones, {}, allow_missing=True, force_init=False)), sums(module)]
    module.set_params({"fc1_bias": mx.nd.ones((4,))}, {}, allow_missing=True)
    found.append(sums(module))
    module.init_params(mx.init.One(), arg_params={"fc2_bias": mx.nd.ones((3,))}, allow_missing=True, force_init=True)
    found.append(sums(module))
    module.init_optimizer(optimizer="sgd", optimizer_params=RATE, force_init=True)
    found += [step(module, batch(mx)), step(module, batch(mx))]
    module.init_optimizer(optimizer="adam", optimizer_params={"learning_rate": 0.1}, force_init=True)
    return [*found, step(module, batch(mx)), outcome(lambda: module.init_params(None, force_init=True)), sums(module)]


def module_initialized_before(mx: ModuleType) -> Any:
    """Parameters of a wrong shape or missing are refused; the module takes right ones afterwards."""
    found = []
    for wrong in ({"fc1_bias": mx.nd.ones((9,))}, {"fc1_weight": mx.nd.ones((4, 5))}):
        module = at(mx, "bound")
        found.append(outcome(lambda module=module, wrong=wrong: module.init_params(arg_params=wrong)))
        found += [flags(module), outcome(module.get_params)]
        module.init_params(arg_params=ramps(mx, network(mx)))
        module.init_optimizer()
        found.append(step(module, batch(mx)))
    return found


def module_kvstores(mx: ModuleType) -> Any:
    """Kinds of kvstore, with one context and two."""
    found = []
    for count in (1, 2):
        for kvstore in (None, "local", "device", 3, [], "nope"):

            def run(count: int = count, kvstore: Any = kvstore) -> Any:
                module = at(mx, "initialized", context=contexts(mx, count))
                module.init_optimizer(kvstore=kvstore, optimizer_params=RATE)
                return step(module, batch(mx))

            if (count, kvstore) != (2, "nope"):  # an unknown name is refused here, where MXNet takes it
                found.append(outcome(run))
    return found


def module_refused_optimizer(mx: ModuleType) -> Any:
    """An optimizer that is refused leaves the module as it was."""
    module = at(mx, "initialized")
    found = [outcome(lambda how=how: module.init_optimizer(**how)) for how in ({"optimizer": "nope"}, {"kvstore": 3})]
    found += [flags(module), outcome(module.update)]
    module.init_optimizer()
    return [*found, step(module, batch(mx))]


def module_merged(mx: ModuleType) -> Any:
    """Outputs, gradients and states, joined or apart, on one context and on two."""
    found = []
    for count in (1, 2):
        module = at(mx, "initialized", bind={"inputs_need_grad": True}, context=contexts(mx, count))
        module.forward(batch(mx), is_train=True)
        module.backward()
        for joined in (True, False):
            outputs, grads = module.get_outputs(joined), module.get_input_grads(joined)
            found += [shapes(outputs), shapes(grads)]
        found.append(numbers(module.get_input_grads()[0]))
    return found


def module_states(mx: ModuleType) -> Any:
    """States of two contexts, given as a list for each context, or as one array."""
    symbol = mx.sym.MakeLoss(mx.sym.Variable("data") * mx.sym.Variable("st"), name="loss")
    module = mx.mod.Module(symbol, label_names=None, state_names=["st"], context=contexts(mx, 2))
    module.bind([("data", (2, 3))], inputs_need_grad=True)
    module.init_params()
    found = [module.get_params()]
    one = mx.io.DataBatch([mx.nd.array(POINTS[:2, :3])], None)
    for given in (
        {"value": 2},
        {"states": [[mx.nd.ones((1, 3)), mx.nd.ones((1, 3)) * 3]]},
        {"states": module.get_states(merge_multi_context=False)},
    ):
        found.append(outcome(lambda given=given: module.set_states(**given)))
        module.forward_backward(one)
        found += [numbers(module.get_outputs()[0]), numbers(module.get_input_grads()[0])]
        found.append(shapes(module.get_states(False)))
    return found


def module_metrics(mx: ModuleType) -> Any:
    """Labels that are divided among the contexts already, and batches that come as a list."""
    found = []
    for count in (1, 2):
        module = at(mx, "ready", context=contexts(mx, count))
        metric = mx.metric.create(["acc", "ce"])
        parts = [
            mx.io.DataBatch(
                [mx.nd.array(POINTS[i : i + 4 // count])], [mx.nd.array(CLASSES[i : i + 4 // count])], pad=0
            )
            for i in range(0, 4, 4 // count)
        ]
        module.forward_backward(parts)
        module.update()
        module.update_metric(metric, [part.label for part in parts], pre_sliced=True)
        found += [metric.get_name_value(), sums(module), shapes(module.get_outputs(False))]
        found.append(outcome(lambda module=module, parts=parts: module.forward(parts + parts[:1])))
        module.forward(parts, is_train=False)
        found += [shapes(module.get_outputs(False)), described(module.data_shapes)]
    return found


def module_shared(mx: ModuleType) -> Any:
    """A module bound with another one's parameters, and with its optimizer."""
    first = at(mx, "ready")
    second = mx.mod.Module(network(mx))
    second.bind(**OTHER, shared_module=first)
    found = [flags(second), step(second, batch(mx, 2))]
    # What one of them trains, the other one computes with.
    first.forward(batch(mx), is_train=False)
    found.append(numbers(first.get_outputs()[0]))
    third = at(mx, "initialized")
    found.append(outcome(third.update))
    third.borrow_optimizer(first)
    found += [flags(third), step(third, batch(mx))]
    larger = mx.mod.Module(network(mx))
    larger.bind([("data", (8, 5))], [("softmax_label", (8,))], shared_module=first, for_training=False)
    larger.forward(batch(mx, 8), is_train=False)
    found.append(numbers(larger.get_outputs()[0]))
    wrong = mx.mod.Module(network(mx), context=contexts(mx, 2))
    found.append(outcome(lambda: wrong.bind(**SHAPES, shared_module=first)))
    found.append(outcome(lambda: mx.mod.Module(network(mx)).bind(**SHAPES, shared_module=3)))
    return [*found, sums(first)]


def module_rebound(mx: ModuleType) -> Any:
    """Bound for prediction, and for training again; a bind that fails."""
    module = at(mx, "ready")
    found = [step(module, batch(mx))]
    module.bind(**OTHER, for_training=False, force_rebind=True)
    found += [flags(module), outcome(module.backward), sums(module)]
    module.forward(batch(mx, 2))
    found.append(numbers(module.get_outputs()[0]))
    module.bind(**SHAPES, force_rebind=True, inputs_need_grad=True)
    found += [flags(module), step(module, batch(mx)), numbers(module.get_input_grads()[0])]
    module.bind(**OTHER, grad_req="null", force_rebind=True)
    module.forward(batch(mx, 2), is_train=True)
    found.append(outcome(module.backward))
    found.append(outcome(module.update))
    # A weight's bias goes with it: without the weight's gradient MXNet (oneDNN) leaves that of the bias 0.
    requests = {"fc1_weight": "null", "fc1_bias": "null", "fc2_bias": "add"}
    module.bind(**SHAPES, grad_req=requests, force_rebind=True)
    module.forward_backward(batch(mx))
    return [*found, step(module, batch(mx))]


def module_grad_req(mx: ModuleType) -> Any:
    """Requests as text, list and dict, with the data's gradient, added over two batches."""
    found = []
    for how in (
        {"grad_req": "add", "inputs_need_grad": True},
        {"grad_req": {"data": "write"}},
        {"grad_req": {"data": "add", "fc1_weight": "add", "unknown": "write"}, "inputs_need_grad": True},
        {"grad_req": ["add", "write", "write", "add", "null", "null"], "inputs_need_grad": True},
        {"grad_req": ("write",) * 6},
        {"grad_req": None},
    ):

        def run(how: Any = how) -> Any:
            module = at(mx, "ready", bind=how)
            module.forward_backward(batch(mx))
            after = step(module, batch(mx, 4))
            return [after, numbers(module.get_input_grads()[0]) if module.inputs_need_grad else None]

        found.append(outcome(run))
    return found


def module_reshaped(mx: ModuleType) -> Any:
    """`reshape` and back, in the middle of a step, with names that are wrong, and for other features."""
    module = at(mx, "ready")
    module.reshape(**OTHER)
    found = [described(module.data_shapes), described(module.output_shapes), step(module, batch(mx, 2))]
    module.reshape(**SHAPES)
    found += [step(module, batch(mx)), outcome(lambda: module.reshape([("nope", (2, 5))]))]
    module.forward(batch(mx), is_train=True)
    module.reshape(**OTHER)
    found += [step(module, batch(mx, 2)), outcome(lambda: module.forward(batch(mx, 0)))]
    module.forward(batch(mx), is_train=False)
    return [*found, numbers(module.get_outputs()[0])]


def module_batches(mx: ModuleType) -> Any:
    """Batches with more or fewer arrays, other dtypes, other names, of other shapes while training."""
    module = at(mx, "ready")
    data, label = mx.nd.array(POINTS[:4]), mx.nd.array(CLASSES[:4])
    found = []
    for arrays, labels in (
        ([data.astype("float64")], [label.astype("int32")]),
        ([data, data], [label]),
        ([data], [label, label]),
        ([data], []),
        ([data], None),
        ([], [label]),
        ([data], [label[:3]]),
        ([data[:3]], [label]),
        ([data[:, :3]], [label]),
        ([data.reshape((4, 5, 1))], [label]),
    ):

        def run(arrays: Any = arrays, labels: Any = labels) -> Any:
            module.forward(mx.io.DataBatch(arrays, labels), is_train=True)
            module.backward()
            module.update()
            return sums(module)

        found.append(warned(run))
    module.forward_backward(batch(mx))
    module.update()
    return [*found, described(module.data_shapes), step(module, batch(mx))]


def module_order(mx: ModuleType) -> Any:
    """Steps in unusual orders: twice backward, twice update, update after a prediction, metric before all."""
    found, metric = [], mx.metric.create("acc")
    module = at(mx, "ready")
    module.forward(batch(mx), is_train=True)
    module.backward()
    module.backward()
    module.update()
    found.append(sums(module))
    module.update()
    found.append(sums(module))
    module.forward(batch(mx, 2), is_train=False)
    module.update_metric(metric, [mx.nd.array(CLASSES[:2])])
    module.update()
    found += [sums(module), metric.get()]
    module.forward_backward(batch(mx))
    module.update_metric(metric, [mx.nd.array(CLASSES[:4])])
    module.update()
    module.update_metric(metric, [mx.nd.array(CLASSES[:4])])
    found += [sums(module), metric.get()]
    module.forward_backward(batch(mx))
    module.set_params(ramps(mx, network(mx)), {})
    module.update()
    found.append(sums(module))
    module.forward_backward(batch(mx))
    module.init_optimizer(optimizer_params=RATE, force_init=True)
    module.update()
    return [*found, sums(module)]


def module_fixed(mx: ModuleType) -> Any:
    """Parameters that are fixed, all of them, or by a pattern of requests."""
    names = ["fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    found = []
    for fixed in (names[:2], names):
        module = at(mx, "ready", fixed_param_names=fixed)
        found.append(step(module, batch(mx)))
    module = at(mx, "ready", fixed_param_names=names[:2], bind={"grad_req": "add", "inputs_need_grad": True})
    module.forward_backward(batch(mx))
    return [*found, step(module, batch(mx)), numbers(module.get_input_grads()[0])]


def module_prepared(mx: ModuleType) -> Any:
    """`sparse_row_id_fn` where nothing is sparse."""
    module, asked = at(mx, "ready"), []

    def rows(one: Any) -> dict[str, Any]:
        asked.append(one is not None)
        return {"fc1_weight": mx.nd.array([0])}

    found = [warned(lambda: module.prepare(batch(mx), sparse_row_id_fn=rows)), len(asked)]
    found += [warned(lambda: module.predict(iterator(mx), sparse_row_id_fn=rows)), len(asked)]
    found += [warned(lambda: list(module.iter_predict(iterator(mx), sparse_row_id_fn=rows))), len(asked)]
    found += [warned(lambda: module.score(iterator(mx), "acc", sparse_row_id_fn=rows)), len(asked)]
    several = at(mx, "ready", context=contexts(mx, 2))
    found += [warned(lambda: several.prepare(batch(mx), sparse_row_id_fn=rows)), len(asked)]
    found.append(outcome(lambda: several.prepare(batch(mx), lambda one: [1])))
    found.append(outcome(lambda: several.prepare(batch(mx), lambda one: {"nope": 1})))
    module = at(mx, "initialized")
    found.append(
        warned(lambda: module.fit(iterator(mx), num_epoch=1, sparse_row_id_fn=rows, arg_params=None, force_init=False))
    )
    return [*found, len(asked)]


def module_fit(mx: ModuleType) -> Any:
    """Arguments of `fit`: what is initialized and bound anew, and how."""
    found = []
    some = {name: value for name, value in ramps(mx, network(mx)).items() if name != "fc2_bias"}
    for how in (
        {"allow_missing": True, "arg_params": some, "initializer": mx.init.One()},
        {"arg_params": some},
        {"kvstore": None, "optimizer": "adam", "optimizer_params": {"learning_rate": 0.1}},
        {"optimizer": mx.optimizer.SGD(learning_rate=0.1, rescale_grad=0.25), "kvstore": "device"},
        {"force_rebind": True, "optimizer_params": (("learning_rate", 0.1),)},
        {"force_init": True, "arg_params": ramps(mx, network(mx)), "aux_params": {}},
        {"eval_metric": mx.metric.CompositeEvalMetric(["acc", "ce"]), "validation_metric": "acc"},
        {"eval_metric": lambda label, pred: float((label - pred[:, 0]).sum())},
    ):

        def run(how: Any = how) -> Any:
            module = mx.mod.Module(network(mx))
            module.bind([("data", (4, 5))], [("softmax_label", (4,))])
            if "arg_params" not in how or "force_init" in how:
                module.init_params(arg_params=ramps(mx, network(mx)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module.fit(iterator(mx), num_epoch=2, **how)
            return [sums(module), flags(module)]

        found.append(outcome(run))
    return found


def module_scores(mx: ModuleType) -> Any:
    """Arguments of `score`, `predict` and `iter_predict`: iterators that are not reset, callbacks, few batches."""
    module, data, told = at(mx, "initialized"), iterator(mx), []

    def tell(kind: str) -> Callable[[Any], None]:
        return lambda param: told.append([kind, param.epoch, param.nbatch, param.eval_metric.get()[1]])

    data.next()
    found = [module.score(data, "acc", reset=False)]
    found.append(str(module.score(data, "acc", reset=False)[0][1]))
    found.append(module.score(data, ["acc", "ce"], 1, tell("batch"), [tell("end")], True, 5))
    found.append(module.score(data, mx.metric.create("acc"), num_batch=0, score_end_callback=tell("end"))[0][0])
    data.reset()
    data.next()
    found.append(shapes(module.predict(data, reset=False)))
    found.append([number for _, number, _ in module.iter_predict(data, num_batch=1)])
    found.append([number for _, number, _ in module.iter_predict(data, reset=False)])
    found.append(outcome(lambda: module.score(data, "nope")))
    found.append(outcome(lambda: module.score(3, "acc")))
    found.append(outcome(lambda: module.predict(None)))
    found.append(numbers(module.predict(POINTS[:4])))
    found.append(shapes(module.predict(iterator(mx), 2, True, True, True)))
    found.append(described(module.data_shapes))
    kinds = [type(module.predict(iterator(mx), merge_batches=False)[0][0]).__name__]
    return [*found, kinds, told]


def module_two_outputs(mx: ModuleType) -> Any:
    """Two losses on two labels: predictions in a list, gradients of heads, a metric of its own output."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    symbol = mx.sym.Group(
        [mx.sym.SoftmaxOutput(x, name="softmax"), mx.sym.LinearRegressionOutput(mx.sym.sum(x, axis=1), name="line")]
    )
    labels = {"line_label": CLASSES / 2, "softmax_label": CLASSES}
    data = mx.io.NDArrayIter(POINTS, labels, 4)
    module = mx.mod.Module(symbol, label_names=["line_label", "softmax_label"])
    module.bind(data.provide_data, data.provide_label)
    module.init_params(arg_params={"fc_weight": mx.nd.array(POINTS[:3]), "fc_bias": mx.nd.zeros((3,))})
    module.init_optimizer()
    one = mx.metric.create("acc", output_names=["softmax_output"], label_names=["softmax_label"])
    other = mx.metric.create("mse", output_names=["line_output"], label_names=["line_label"])
    found = [shapes(module.predict(data)), shapes(module.predict(data, merge_batches=False))]
    found.append(module.score(data, mx.metric.CompositeEvalMetric([one, other])))
    data.reset()
    module.fit(data, num_epoch=1, eval_metric=[one, other])
    found += [sums(module), [one.get(), other.get()]]
    return [*found, shapes(module.get_outputs()), [list(x) for x in (module.label_names, module.output_names)]]


SCENES: Mapping[str, Callable[[ModuleType], Any]] = {
    scene.__name__: scene
    for scene in (
        module_constructor,
        module_files,
        module_initialized,
        module_initialized_before,
        module_kvstores,
        module_refused_optimizer,
        module_merged,
        module_states,
        module_metrics,
        module_shared,
        module_rebound,
        module_grad_req,
        module_reshaped,
        module_batches,
        module_order,
        module_fixed,
        module_prepared,
        module_fit,
        module_scores,
        module_two_outputs,
    )
}
