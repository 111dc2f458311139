"""Scenes that give every argument of the other modules' methods, and call them in the wrong order.

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

from tests.training.module_calls import OTHER, RATE, contexts, numbers, step, sums, warned
from tests.training.scenes import (
    CLASSES,
    POINTS,
    SHAPES,
    batch,
    described,
    flags,
    iterator,
    logged,
    network,
    outcome,
    ramps,
    shapes,
)

# BucketingModule ------------------------------------------------------------------------------------------------------


def rows_of(mx: ModuleType, key: int, rows: int = 4) -> Any:
    """Return a batch for the bucket of so many repetitions of the features."""
    return mx.io.DataBatch(
        [mx.nd.array(np.stack([POINTS[:rows]] * key, axis=1))],
        [mx.nd.array(CLASSES[:rows])],
        pad=0,
        bucket_key=key,
        provide_data=[("data", (rows, key, 5))],
        provide_label=[("softmax_label", (rows,))],
    )


def buckets(mx: ModuleType, with_state: bool = False, **how: Any) -> Any:
    """Return a BucketingModule whose buckets differ in length."""

    def generate(key: int) -> Any:
        x = mx.sym.sum(mx.sym.Variable("data"), axis=1)
        if with_state:
            x = x + mx.sym.Variable("st", shape=(4, 5))
        x = mx.sym.FullyConnected(x, num_hidden=4, name="fc1")
        x = mx.sym.BatchNorm(x, name="bn", fix_gamma=False)
        x = mx.sym.FullyConnected(mx.sym.Activation(x, act_type="tanh"), num_hidden=3, name="fc2")
        return mx.sym.SoftmaxOutput(x, name="softmax"), ["data"], ["softmax_label"]

    return mx.mod.BucketingModule(generate, 3, **how)


def at_buckets(mx: ModuleType, stage: str = "ready", bind: Mapping[str, Any] | None = None, **how: Any) -> Any:
    module = buckets(mx, **how)
    one = rows_of(mx, 3)
    if stage != "fresh":
        module.bind(one.provide_data, one.provide_label, **(bind or {}))
    if stage in ("initialized", "ready"):
        module.init_params(mx.init.One(), arg_params=ramps(mx, network(mx)), allow_missing=True)
    if stage == "ready":
        module.init_optimizer(optimizer_params=RATE)
    return module


def buckets_constructor(mx: ModuleType) -> Any:
    """Contexts, loads, fixed parameters, groups and compression reach every bucket."""
    found = []
    for how in (
        {"fixed_param_names": ["fc1_weight", "fc1_bias"]},
        {"context": contexts(mx, 2), "work_load_list": [1, 3]},
        {"group2ctxs": {"dev": mx.cpu(0)}, "compression_params": {"type": "2bit", "threshold": 0.5}},
    ):
        module = at_buckets(mx, **how)
        for key in (3, 2, 1, 2):
            module.forward_backward(rows_of(mx, key))
            module.update()
        found += [sums(module), shapes(module.get_outputs(merge_multi_context=False))]
    for how in ({"fixed_param_names": ["nope"]}, {"state_names": ["nope"]}, {"work_load_list": [1, 2]}):
        found.append(outcome(lambda how=how: at_buckets(mx, "bound", **how)))
    return found


def buckets_states(mx: ModuleType) -> Any:
    """States belong to a bucket."""
    module = at_buckets(mx, "initialized", with_state=True, state_names=["st"])
    found = []
    for key, given in ((3, {"value": 2}), (2, {"states": [[mx.nd.array(POINTS[:4])]]}), (3, None)):
        one = rows_of(mx, key)
        module.switch_bucket(key, one.provide_data, one.provide_label)
        if given is not None:
            module.set_states(**given)
        module.forward(one, is_train=False)
        found += [numbers(module.get_outputs()[0]), shapes(module.get_states(merge_multi_context=False))]
    return [*found, outcome(module.get_states), outcome(module.set_states)]


def buckets_initialized(mx: ModuleType) -> Any:
    """Parameters and optimizer a second time, forced or not, while another bucket is the current one."""
    module = at_buckets(mx)
    module.forward_backward(rows_of(mx, 2))
    module.update()
    found = [sums(module)]
    args, aux = ({n: mx.nd.ones(v.shape) * 0.3 for n, v in part.items()} for part in module.get_params())
    found += [warned(lambda: module.set_params(args, aux, force_init=False)), sums(module)]
    found += [warned(lambda: module.set_params(args, aux, allow_missing=True, force_init=False)), sums(module)]
    found += [warned(lambda: module.init_params(mx.init.Zero())), sums(module)]
    few = {"fc1_bias": args["fc1_bias"]}
    found += [outcome(lambda: module.set_params(few, aux)), sums(module)]
    module.set_params(few, {}, allow_missing=True)
    found.append(sums(module))
    extra = {**few, "unknown": mx.nd.ones((1,))}
    found.append(outcome(lambda: module.set_params(extra, {}, allow_missing=True)))
    module.set_params(extra, {}, allow_missing=True, allow_extra=True)
    found.append(sums(module))
    module.init_params(mx.init.One(), few, aux, allow_missing=True, force_init=True, allow_extra=True)
    found.append(sums(module))
    for key in (3, 2):
        module.forward(rows_of(mx, key), is_train=False)
        found.append(numbers(module.get_outputs()[0]))
    found.append(logged(lambda: module.init_optimizer(optimizer="adam")))
    module.init_optimizer("device", "nag", RATE, force_init=True)
    for key in (2, 3, 1):
        module.forward_backward(rows_of(mx, key))
        module.update()
        found.append(sums(module))
    return found


def buckets_bound(mx: ModuleType) -> Any:
    """`bind` for prediction, with requests, anew."""
    module = at_buckets(mx, "initialized", bind={"for_training": False})
    module.forward(rows_of(mx, 2))
    found = [flags(module), numbers(module.get_outputs()[0]), outcome(module.backward)]
    one = rows_of(mx, 3)
    found.append(logged(lambda: module.bind(one.provide_data)))
    # In MXNet buckets add up the gradients of their data in the same memory: asked for with "write" alone.
    for how in (
        {"grad_req": "add"},
        {"grad_req": {"fc1_weight": "null", "fc1_bias": "null"}, "inputs_need_grad": True},
    ):
        module = at_buckets(mx, bind=how)
        for key in (3, 2, 3):
            module.forward(rows_of(mx, key), is_train=True)
            module.backward()
        module.update()
        found += [sums(module), flags(module)]
    found += [numbers(module.get_input_grads()[0]), shapes(module.get_input_grads(merge_multi_context=False))]
    return found


def buckets_switched(mx: ModuleType) -> Any:
    """Switching by hand shares parameters and optimizer; `prepare` leaves the current bucket."""
    module = at_buckets(mx)
    found = [outcome(lambda: at_buckets(mx, "fresh").switch_bucket(2, [("data", (4, 2, 5))]))]
    for key in (2, 3, 1, 2):
        one = rows_of(mx, key)
        module.switch_bucket(key, one.provide_data, one.provide_label)
        found += [described(module.data_shapes), described(module.label_shapes), described(module.output_shapes)]
        module.prepare(rows_of(mx, 1))
        found.append(described(module.data_shapes))
        module.forward(one, is_train=True)
        module.backward()
        module.update()
        found.append(sums(module))
    # Another batch size in a bucket that is known.
    module.forward(rows_of(mx, 3, rows=6), is_train=False)
    found += [described(module.data_shapes), shapes(module.get_outputs())]
    found.append(outcome(lambda: module.forward(rows_of(mx, 4, rows=0))))
    module.forward_backward(rows_of(mx, 3))
    module.update()
    found.append(sums(module))
    asked = []
    found.append(warned(lambda: module.prepare(rows_of(mx, 2), lambda one: asked.append(1) or {})))
    return [*found, len(asked), described(module.data_shapes)]


def buckets_measured(mx: ModuleType) -> Any:
    """Labels divided among the contexts, head gradients, batches without a bucket."""
    module = at_buckets(mx, context=contexts(mx, 2))
    metric, one = mx.metric.create("acc"), rows_of(mx, 2)
    module.forward(one, is_train=False)
    module.update_metric(metric, [[one.label[0][:2]], [one.label[0][2:]]], pre_sliced=True)
    found = [metric.get(), outcome(lambda: module.forward(batch(mx)))]

    def plain(key: int) -> Any:
        return mx.sym.sum(mx.sym.Variable("data"), axis=1), ["data"], None

    module = mx.mod.BucketingModule(plain, 2)
    module.bind([("data", (4, 2, 5))], inputs_need_grad=True)
    module.init_params()
    one = rows_of(mx, 3)
    one.provide_label = None
    module.forward(one, is_train=True)
    module.backward([mx.nd.array(POINTS[:4])])
    found.append(numbers(module.get_input_grads()[0]))
    found += [outcome(module.update), described(module.data_shapes), module.label_shapes]
    return found


def buckets_fitted(mx: ModuleType) -> Any:
    """A batch without a key, or without shapes, in `fit`; the module goes on with good ones."""

    class Batches(mx.io.DataIter):
        """Three batches, the second of which may lack something."""

        default_bucket_key = 3
        provide_data = (("data", (4, 3, 5)),)
        provide_label = (("softmax_label", (4,)),)

        def __init__(self, lacks: str | None) -> None:
            super().__init__(4)
            self.lacks, self.position = lacks, 0

        def reset(self) -> None:
            self.position = 0

        def next(self) -> Any:
            if self.position == 3:
                raise StopIteration
            self.position += 1
            one = rows_of(mx, self.position)
            if self.position == 2 and self.lacks:
                setattr(one, self.lacks, None)
            return one

    found = []
    for lacks in ("bucket_key", "provide_data", None):
        module = at_buckets(mx, "initialized")
        found.append(outcome(lambda module=module, lacks=lacks: module.fit(Batches(lacks), num_epoch=1)) is None)
        found.append(flags(module))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module.fit(Batches(None), num_epoch=1)
        found.append(shapes(module.predict(Batches(None), merge_batches=False)))
    return found


def buckets_files(mx: ModuleType) -> Any:
    """A checkpoint of buckets, loaded with other arguments, and trained on."""
    module = at_buckets(mx, context=contexts(mx, 2))
    module.forward_backward(rows_of(mx, 2))
    module.update()
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "b")
        module.save_checkpoint(prefix, 4, remove_amp_cast=True)
        found = [sorted(os.listdir(folder))]
        loaded = mx.mod.BucketingModule.load(
            prefix, 4, module._sym_gen, 3, fixed_param_names=["fc1_weight", "fc1_bias"], context=contexts(mx, 2)
        )
        found += [flags(loaded), sums(loaded), outcome(lambda: loaded.forward(rows_of(mx, 2)))]
        one = rows_of(mx, 3)
        loaded.bind(one.provide_data, one.provide_label)
        loaded.init_optimizer(optimizer_params=RATE)
        for key in (2, 1, 3):
            loaded.forward_backward(rows_of(mx, key))
            loaded.update()
        found += [flags(loaded), sums(loaded)]
        found.append(outcome(lambda: mx.mod.BucketingModule.load(prefix, 9, module._sym_gen, 3)))
    return found


# SequentialModule -----------------------------------------------------------------------------------------------------


def links(mx: ModuleType, count: int = 1) -> list[Any]:
    """Return two modules that fit together: a hidden layer, and a classifier on it."""
    hidden = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc1")
    hidden = mx.sym.BatchNorm(hidden, name="bn", fix_gamma=False)
    top = mx.sym.FullyConnected(mx.sym.Variable("hidden"), num_hidden=3, name="fc2")
    top = mx.sym.SoftmaxOutput(top, name="softmax")
    return [
        mx.mod.Module(hidden, label_names=None, context=contexts(mx, count)),
        mx.mod.Module(top, data_names=["hidden"], context=contexts(mx, count)),
    ]


def at_chain(mx: ModuleType, stage: str = "ready", bind: Mapping[str, Any] | None = None, count: int = 1) -> Any:
    module = mx.mod.SequentialModule()
    first, second = links(mx, count)
    module.add(first).add(second, take_labels=True, auto_wiring=True)
    if stage != "fresh":
        module.bind(**SHAPES, **(bind or {}))
    if stage in ("initialized", "ready"):
        module.init_params(mx.init.One(), arg_params=ramps(mx, network(mx)), allow_missing=True)
    if stage == "ready":
        module.init_optimizer(optimizer_params=RATE)
    return module


CHAINED: Mapping[str, Callable[[ModuleType, Any], Any]] = {
    "data_shapes": lambda mx, m: m.data_shapes,
    "label_shapes": lambda mx, m: m.label_shapes,
    "output_shapes": lambda mx, m: m.output_shapes,
    "get_params": lambda mx, m: m.get_params(),
    "init_params": lambda mx, m: m.init_params(),
    "init_optimizer": lambda mx, m: m.init_optimizer(),
    "forward": lambda mx, m: m.forward(batch(mx)),
    "backward": lambda mx, m: m.backward(),
    "update": lambda mx, m: m.update(),
    "update_metric": lambda mx, m: m.update_metric(mx.metric.create("acc"), [mx.nd.array(CLASSES[:4])]),
    "get_outputs": lambda mx, m: m.get_outputs(),
    "get_input_grads": lambda mx, m: m.get_input_grads(),
    "get_states": lambda mx, m: m.get_states(),
    "set_states": lambda mx, m: m.set_states(value=0),
    "install_monitor": lambda mx, m: m.install_monitor(mx.mon.Monitor(1)),
    "score": lambda mx, m: m.score(iterator(mx), "acc"),
    "predict": lambda mx, m: m.predict(iterator(mx)),
    "save_params": lambda mx, m: m.save_params(os.path.join(tempfile.mkdtemp(), "x")),
    "prepare": lambda mx, m: m.prepare(batch(mx)),
    "symbol": lambda mx, m: m.symbol,
}


def too_early(mx: ModuleType, make: Callable[[str], Any], actions: Mapping[str, Callable[..., Any]]) -> Any:
    """Return what each action comes to at two early stages, and that the module trains afterwards."""
    found = {}
    for name, action in actions.items():
        row = []
        for stage in ("fresh", "bound"):
            came = outcome(lambda action=action, stage=stage: action(mx, make(stage)))
            row.append(came if isinstance(came, str) and came.startswith("!") else "ok")
        found[name] = row
    return found


def chain_order(mx: ModuleType) -> Any:
    """What a chain refuses before it is bound and has parameters."""
    return too_early(mx, lambda stage: at_chain(mx, stage), CHAINED)


def buckets_order(mx: ModuleType) -> Any:
    """What a BucketingModule refuses before it is bound and has parameters."""
    actions = {
        **CHAINED,
        "forward": lambda mx, m: m.forward(rows_of(mx, 3)),
        "prepare": lambda mx, m: m.prepare(rows_of(mx, 3)),
        "switch_bucket": lambda mx, m: m.switch_bucket(2, [("data", (4, 2, 5))], SHAPES["label_shapes"]),
    }
    return too_early(mx, lambda stage: at_buckets(mx, stage), actions)


def chain_initialized(mx: ModuleType) -> Any:
    """Parameters and optimizers of a chain, forced or not, missing or too many."""
    module = at_chain(mx)
    args, aux = ({n: mx.nd.ones(v.shape) * 0.3 for n, v in part.items()} for part in module.get_params())
    found = [warned(lambda: module.init_params(mx.init.Zero())), sums(module)]
    found += [warned(lambda: module.set_params(args, aux, force_init=False)), sums(module)]
    module.set_params({**args, "unknown": mx.nd.ones((1,))}, aux, allow_extra=True)
    found.append(sums(module))
    few = {"fc1_bias": mx.nd.ones((4,))}
    # (`for_training` and `inputs_need_grad` of a chain stay False in MXNet.)
    found += [outcome(lambda: module.set_params(few, aux)), flags(module)[0], flags(module)[3:]]
    module.init_params(mx.init.One(), few, aux, allow_missing=True, force_init=True, allow_extra=True)
    found.append(sums(module))
    found.append(logged(lambda: module.init_optimizer(optimizer="adam")))
    module.init_optimizer(None, "nag", RATE, force_init=True)
    return [*found, step(module, batch(mx)), step(module, batch(mx))]


def chain_bound(mx: ModuleType) -> Any:
    """A chain bound for prediction, anew, with requests, on two contexts; with gradients from above."""
    module = at_chain(mx)
    found = [step(module, batch(mx)), logged(lambda: module.bind(**OTHER))]
    module.get_params()
    module.bind(**OTHER, for_training=False, force_rebind=True)
    module.forward(batch(mx, 2), is_train=False)
    found += [shapes(module.get_outputs()), sums(module), described(module.data_shapes)]
    module.bind(**SHAPES, force_rebind=True, grad_req="add")
    module.forward_backward(batch(mx))
    found.append(step(module, batch(mx)))
    module = at_chain(mx, count=2)
    found += [step(module, batch(mx)), shapes(module.get_outputs(merge_multi_context=False))]
    found.append(outcome(lambda: module.bind(**SHAPES, shared_module=module, force_rebind=True)))
    metric = mx.metric.create("acc")
    module.update_metric(metric, [[mx.nd.array(CLASSES[:2])], [mx.nd.array(CLASSES[2:4])]], pre_sliced=True)
    return [*found, metric.get()]


def chain_heads(mx: ModuleType) -> Any:
    """A chain without a loss: gradients come from above; labels go to several modules, or to none."""
    module = mx.mod.SequentialModule()
    for i in range(2):
        x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name=f"fc{i}", no_bias=True)
        module.add(mx.mod.Module(x, label_names=None), auto_wiring=True)
    module.bind(SHAPES["data_shapes"])
    weights = {f"fc{i}_weight": mx.nd.array(POINTS[5 * i : 5 * i + 5]) for i in range(2)}
    module.init_params(arg_params=weights)
    module.init_optimizer(optimizer_params=RATE)
    module.forward(batch(mx), is_train=True)
    found = [outcome(module.backward), described(module.label_shapes)]
    module.forward(batch(mx), is_train=True)
    module.backward([mx.nd.array(POINTS[4:8])])
    module.update()
    found.append(sums(module))
    metric = mx.metric.create("mse")
    module.update_metric(metric, [mx.nd.array(POINTS[:4])])
    found.append(str(metric.get()[1]))
    both = mx.mod.SequentialModule()
    data = mx.sym.Variable("data")
    both.add(mx.mod.Module(mx.sym.SoftmaxOutput(data, name="softmax")), take_labels=True)
    both.add(mx.mod.Module(mx.sym.SoftmaxOutput(data, name="softmax")), take_labels=True, auto_wiring=True)
    both.bind(**SHAPES)
    both.init_params()
    both.forward(batch(mx), is_train=False)
    metric = mx.metric.create("ce")
    both.update_metric(metric, [mx.nd.array(CLASSES[:4])])
    return [*found, described(both.label_shapes), metric.get(), metric.num_inst]


def chain_grown(mx: ModuleType) -> Any:
    """A module is added to a chain that is trained already; metas."""
    module, (first, second) = mx.mod.SequentialModule(), links(mx)
    module.add(first)
    module.bind(SHAPES["data_shapes"])
    module.init_params(mx.init.One())
    module.add(second, take_labels=True, auto_wiring=True)
    found = [flags(module)[0], flags(module)[3:], outcome(lambda: module.forward(batch(mx)))]
    found.append(len(logged(lambda: module.bind(**SHAPES))))
    found.append(warned(lambda: module.init_params(mx.init.One())))
    module.init_optimizer()
    found += [step(module, batch(mx)), [mx.mod.SequentialModule.META_TAKE_LABELS, module.META_AUTO_WIRING]]
    wrong = mx.mod.SequentialModule()
    wrong.add(links(mx)[0]).add(links(mx)[1], take_labels=True)
    found.append(outcome(lambda: wrong.bind(**SHAPES)))
    return found


def chain_of_buckets(mx: ModuleType) -> Any:
    """A BucketingModule in a chain with a loss in Python."""
    module = mx.mod.SequentialModule()

    def generate(key: int) -> Any:
        x = mx.sym.sum(mx.sym.Variable("data"), axis=1)
        return mx.sym.FullyConnected(x, num_hidden=3, name="fc"), ["data"], None

    module.add(mx.mod.BucketingModule(generate, 3))
    loss = mx.mod.PythonLossModule(grad_func=lambda scores, labels: scores - 1)
    module.add(loss, take_labels=True, auto_wiring=True)
    module.bind([("data", (4, 3, 5))], SHAPES["label_shapes"])
    module.init_params(arg_params={"fc_weight": mx.nd.array(POINTS[:3]), "fc_bias": mx.nd.zeros((3,))})
    module.init_optimizer(optimizer_params=RATE)
    found = []
    for key in (3, 2, 3):
        one = rows_of(mx, key)
        one.provide_label = None
        module.forward_backward(one)
        module.update()
        found += [sums(module), numbers(module.get_outputs()[0]), numbers(loss.get_input_grads()[0])]
    return found


# Modules in Python ----------------------------------------------------------------------------------------------------


def python_calls(mx: ModuleType) -> Any:
    """Every argument of a PythonLossModule's methods."""
    loss = mx.mod.PythonLossModule("top", ["x"], ["y"], grad_func=lambda scores, labels: scores.asnumpy() * 2)
    found = [list(loss.data_names), list(loss.output_names), loss.symbol]
    found.append(outcome(lambda: loss.bind([("x", (4, 5)), ("z", (1,))], [("y", (4,))])))
    found.append(outcome(lambda: loss.bind([("x", (4, 5))], [("z", (4,))])))
    loss.bind([("x", (4, 5))], [("y", (4,))], True, True, False, None, "write")
    found += [described(loss.data_shapes), described(loss.label_shapes), described(loss.output_shapes)]
    found += [loss.for_training, loss.inputs_need_grad]
    loss.init_params(mx.init.One(), {}, {}, True, True, True)
    loss.init_optimizer("device", "adam", {"learning_rate": 1}, True)
    one = batch(mx)
    loss.forward(one, is_train=True)
    loss.backward()
    loss.update()
    found += [numbers(loss.get_input_grads(merge_multi_context=True)[0]), shapes(loss.get_outputs(True))]
    found += [outcome(lambda: loss.get_outputs(False)), outcome(lambda: loss.get_input_grads(False))]
    loss.forward(one, is_train=False)
    metric = mx.metric.create("acc")
    loss.update_metric(metric, one.label)
    found += [metric.get(), outcome(lambda: loss.update_metric(metric, [one.label], pre_sliced=True))]
    found.append(outcome(lambda: loss.install_monitor(None)))
    found.append(outcome(lambda: mx.mod.PythonLossModule().backward()))
    plain = mx.mod.PythonLossModule()
    plain.bind(**SHAPES)
    plain.forward(one)
    found += [outcome(plain.backward), [len(part) for part in plain.get_params()]]
    found.append(outcome(lambda: mx.mod.PythonLossModule(label_names=())))
    found.append(outcome(lambda: mx.mod.PythonModule(["data"], None, ["out"]).bind([("data", (4, 5))])))
    return found


# The old model --------------------------------------------------------------------------------------------------------


def checkpoint_lines(mx: ModuleType) -> Any:
    """What is logged of a checkpoint that is saved, and of one without parameters."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "m")
        found = [logged(lambda: mx.model.save_checkpoint(prefix, 1, network(mx), ramps(mx, network(mx)), {}))]
        mx.nd.save(f"{prefix}-0002.params", {})
        found.append(logged(lambda: mx.model.load_params(prefix, 2)))
        return [*found, sorted(os.listdir(folder))]


def old_model(mx: ModuleType) -> Any:
    """Arguments of FeedForward and its methods."""
    told: list[Any] = []

    def tell(param: Any) -> None:
        told.append([param.epoch, param.nbatch, float(param.eval_metric.get()[1])])

    data, how = iterator(mx), {"arg_params": ramps(mx, network(mx)), "aux_params": {}, "learning_rate": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = mx.model.FeedForward(network(mx), contexts(mx, 2), 3, None, "nag", begin_epoch=1, momentum=0.9, **how)
        made.fit(data, eval_metric="ce", kvstore=None, work_load_list=[1, 3], batch_end_callback=tell)
        found = [{name: numbers(value) for name, value in sorted(made.arg_params.items())}]
        data.reset()
        data.next()
        # The batch after the last one that is counted has been fetched as well, so none is left.
        found += [made.score(data, "ce", 1, tell, False), outcome(lambda: made.predict(data, reset=False))]
        data.reset()
        data.next()
        found.append(made.predict(data, reset=False).tolist())
        with tempfile.TemporaryDirectory() as folder:
            made.save(os.path.join(folder, "m"), 7, remove_amp_cast=False)
            found.append(sorted(os.listdir(folder)))
            loaded = mx.model.FeedForward.load(os.path.join(folder, "m"), 7, mx.cpu(1), numpy_batch_size=5)
        found += [loaded.begin_epoch, loaded.predict(POINTS).tolist()]
        also = mx.model.FeedForward.create(
            network(mx),
            iterator(mx),
            ctx=contexts(mx, 2),
            num_epoch=2,
            epoch_size=2,
            optimizer="nag",
            initializer=mx.init.One(),
            eval_data=iterator(mx),
            eval_metric="ce",
            epoch_end_callback=lambda epoch, symbol, args, aux: told.append([epoch, sorted(args)]),
            batch_end_callback=[tell],
            kvstore="device",
            work_load_list=[1, 1],
            eval_end_callback=tell,
            eval_batch_end_callback=tell,
            **how,
        )
    return [*found, {name: numbers(value) for name, value in sorted(also.arg_params.items())}, told]


SCENES: Mapping[str, Callable[[ModuleType], Any]] = {
    scene.__name__: scene
    for scene in (
        buckets_constructor,
        buckets_states,
        buckets_initialized,
        buckets_bound,
        buckets_switched,
        buckets_measured,
        buckets_fitted,
        buckets_files,
        buckets_order,
        chain_order,
        chain_initialized,
        chain_bound,
        chain_heads,
        chain_grown,
        chain_of_buckets,
        python_calls,
        checkpoint_lines,
        old_model,
    )
}
