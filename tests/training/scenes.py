"""Short scenes with modules, whose outcome is plain data; the module is an argument, MXNet or symjit.

What MXNet 1.9.1 answers is in ``tests/golden/training/scenes.json``. Scenes use public names only.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

SHAPES = {"data_shapes": [("data", (4, 5))], "label_shapes": [("softmax_label", (4,))]}
POINTS = np.random.RandomState(0).standard_normal((10, 5)).astype(np.float32)
CLASSES = np.float32(np.arange(10) % 3)
STAGES = ("fresh", "bound", "initialized", "ready")


def network(mx: ModuleType, normed: bool = False) -> Any:
    """Return two layers and a softmax over three classes."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc1")
    if normed:
        x = mx.sym.BatchNorm(x, name="bn")
    x = mx.sym.FullyConnected(mx.sym.Activation(x, act_type="tanh", name="act"), num_hidden=3, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def ramps(mx: ModuleType, symbol: Any) -> dict[str, Any]:
    """Return arguments to start from: numbers from -1 to 1 in even steps."""
    inputs = {name: shape for descriptions in SHAPES.values() for name, shape in descriptions}
    known = {name: shape for name, shape in inputs.items() if name in symbol.list_arguments()}
    found = dict(zip(symbol.list_arguments(), symbol.infer_shape(**known)[0], strict=True))
    values = {n: np.linspace(-1, 1, int(np.prod(s))).reshape(s) for n, s in found.items() if n not in inputs}
    return {name: mx.nd.array(value) for name, value in values.items()}


def at(mx: ModuleType, stage: str, symbol: Any = None, bind: Mapping[str, Any] | None = None, **how: Any) -> Any:
    """Return a module that has come to a stage, with ramps for parameters."""
    symbol = network(mx) if symbol is None else symbol
    module = mx.mod.Module(symbol, **how)
    reached = STAGES.index(stage)
    if reached > 0:
        module.bind(**SHAPES, **(bind or {}))
    if reached > 1:
        module.init_params(mx.init.One(), arg_params=ramps(mx, symbol), allow_missing=True)
    if reached > 2:
        module.init_optimizer()
    return module


def batch(mx: ModuleType, rows: int = 4, **how: Any) -> Any:
    """Return a labelled batch of the first points."""
    return mx.io.DataBatch([mx.nd.array(POINTS[:rows])], [mx.nd.array(CLASSES[:rows])], **how)


def iterator(mx: ModuleType) -> Any:
    """Return an iterator over all ten points in batches of four."""
    return mx.io.NDArrayIter(POINTS, CLASSES, 4)


def flags(module: Any) -> list[bool]:
    """Return the states of a module."""
    names = ("binded", "for_training", "inputs_need_grad", "params_initialized", "optimizer_initialized")
    return [bool(getattr(module, name)) for name in names]


def described(descriptions: Any) -> Any:
    """Return names and shapes of inputs or outputs."""
    return None if descriptions is None else [[item[0], list(item[1])] for item in descriptions]


def shapes(arrays: Any) -> Any:
    """Return the shapes of arrays in lists of any depth."""
    return [shapes(x) for x in arrays] if isinstance(arrays, (list, tuple)) else list(arrays.shape)


def firsts(module: Any) -> dict[str, float]:
    """Return the first number of every parameter."""
    return {name: round(float(value.asnumpy().flat[0]), 5) for name, value in module.get_params()[0].items()}


def outcome(action: Callable[[], Any]) -> Any:
    """Return what an action returns, or the class of its exception."""
    try:
        return action()
    except Exception as error:
        # A class of symjit's own that is also one of MXNet's counts as that one.
        names = [c.__name__ for c in type(error).__mro__]
        known = (
            "MXNetError",
            "AssertionError",
            "AttributeError",
            "TypeError",
            "KeyError",
            "ValueError",
            "RuntimeError",
        )
        return next((f"!{name}" for name in known if name in names), f"!{names[0]}")


#: What may be called at which stage.
ACTIONS: Mapping[str, Callable[[ModuleType, Any], Any]] = {
    "data_shapes": lambda mx, m: m.data_shapes,
    "label_shapes": lambda mx, m: m.label_shapes,
    "output_shapes": lambda mx, m: m.output_shapes,
    "get_params": lambda mx, m: m.get_params(),
    "init_params": lambda mx, m: m.init_params(),
    "set_params": lambda mx, m: m.set_params({}, {}),
    "init_optimizer": lambda mx, m: m.init_optimizer(),
    "forward": lambda mx, m: m.forward(batch(mx)),
    "forward_backward": lambda mx, m: m.forward_backward(batch(mx)),
    "backward": lambda mx, m: m.backward(),
    "get_outputs": lambda mx, m: m.get_outputs(),
    "get_input_grads": lambda mx, m: m.get_input_grads(),
    "get_states": lambda mx, m: m.get_states(),
    "reshape": lambda mx, m: m.reshape(**SHAPES),
    "prepare": lambda mx, m: m.prepare(batch(mx)),
    "install_monitor": lambda mx, m: m.install_monitor(mx.mon.Monitor(1)),
    "score": lambda mx, m: m.score(iterator(mx), "acc"),
    "predict": lambda mx, m: m.predict(iterator(mx)),
    "iter_predict": lambda mx, m: next(m.iter_predict(iterator(mx))),
    "fit": lambda mx, m: m.fit(iterator(mx)),
    "save_params": lambda mx, m: m.save_params(os.path.join(tempfile.mkdtemp(), "x.params")),
    "save_optimizer_states": lambda mx, m: m.save_optimizer_states(os.path.join(tempfile.mkdtemp(), "x.states")),
    "save_checkpoint": lambda mx, m: m.save_checkpoint(os.path.join(tempfile.mkdtemp(), "x"), 1),
    "borrow_optimizer": lambda mx, m: m.borrow_optimizer(at(mx, "initialized")),
    "bind_shared": lambda mx, m: m.bind(**SHAPES, shared_module=at(mx, "bound"), force_rebind=True),
    "bind_for_inputs": lambda mx, m: m.bind(**SHAPES, for_training=False, inputs_need_grad=True, force_rebind=True),
}


def allowed(mx: ModuleType, action: str, stage: str) -> str:
    """Return ``ok`` or the class of the exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = outcome(lambda: ACTIONS[action](mx, at(mx, stage)))
    return found if isinstance(found, str) and found.startswith("!") else "ok"


def logged(action: Callable[[], Any]) -> list[str]:
    """Return the lines that an action logs, times and folders taken out, and the classes of its warnings."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # A loss has its last digits from the order of a sum.
            text = re.sub(r"cost=[\d.]+", "cost=", record.getMessage())
            text = re.sub(r"=\d+\.\d{6}$", lambda number: f"={float(number[0][1:]):.4f}", text)
            lines.append(f"{record.levelname} {re.sub('/.*/', '', text)}")

    handler, root = Keep(), logging.getLogger()
    level, disabled = root.level, root.manager.disable
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.disable(logging.NOTSET)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            action()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.disable(disabled)
    return lines + ["UserWarning" for w in caught if w.category is UserWarning]


def fitted(mx: ModuleType, **how: Any) -> Any:
    """Return a module trained by ``fit`` from ramps."""
    module = mx.mod.Module(network(mx))
    module.fit(iterator(mx), **({"num_epoch": 1, "arg_params": ramps(mx, network(mx)), "aux_params": {}} | how))
    return module


def told_twice(mx: ModuleType) -> Any:
    """Everything a second time: what is logged and warned of, and what stays."""
    module = at(mx, "ready")
    optimizer = logged(lambda: module.init_optimizer(optimizer="adam"))
    bound = logged(lambda: module.bind([("data", (7, 5))]))
    params = len(logged(lambda: module.init_params(mx.init.Zero())))
    return [bound, described(module.data_shapes), optimizer, params, firsts(module), flags(module)]


def rebound(mx: ModuleType) -> Any:
    """A trained module bound anew for prediction keeps its parameters.

    They are fetched before: MXNet goes back to those it handed out last, and forgets what it has trained since.
    """
    module = at(mx, "ready")
    module.forward_backward(batch(mx))
    module.update()
    module.get_params()
    shapes_now = {"data_shapes": [("data", (7, 5))], "label_shapes": [("softmax_label", (7,))]}
    module.bind(**shapes_now, for_training=False, force_rebind=True)
    return [flags(module), firsts(module), described(module.data_shapes), described(module.label_shapes)]


def batches_of_other_sizes(mx: ModuleType) -> Any:
    """The module takes the shape of its batch."""
    module, found = at(mx, "initialized"), []
    for rows in (4, 2, 6, 4):
        module.forward(batch(mx, rows), is_train=False)
        found.append([described(module.data_shapes), described(module.label_shapes), described(module.output_shapes)])
        found.append(shapes(module.get_outputs()))
    return found


def given_parameters(mx: ModuleType) -> Any:
    """Parameters with a name too few or too many, under every choice of what is allowed."""
    whole = {name: mx.nd.ones(value.shape) * 2 for name, value in at(mx, "initialized").get_params()[0].items()}
    given = {
        "whole": whole,
        "missing": {name: value for name, value in whole.items() if name != "fc1_bias"},
        "extra": whole | {"unknown": mx.nd.ones((2,))},
    }
    found = {}
    for kind, arrays in given.items():
        for missing in (False, True):
            for extra in (False, True):
                allow = {"allow_missing": missing, "allow_extra": extra}

                def initialize(arrays: Any = arrays, allow: Any = allow) -> Any:
                    module = at(mx, "bound")
                    module.init_params(mx.init.One(), arg_params=arrays, **allow)
                    return firsts(module)

                def assign(arrays: Any = arrays, allow: Any = allow) -> Any:
                    module = at(mx, "initialized")
                    module.set_params(arrays, {}, **allow)
                    return firsts(module)

                found[f"{kind} {missing} {extra}"] = [outcome(initialize), outcome(assign)]
    return found


def parameters_handed_out(mx: ModuleType) -> Any:
    """``get_params`` hands out the same dictionary; arrays handed in are copied."""
    module = at(mx, "ready")
    first = module.get_params()[0]
    given = {name: mx.nd.ones(value.shape) for name, value in first.items()}
    module.set_params(given, {})
    given["fc1_bias"][:] = 9
    module.forward_backward(batch(mx))
    module.update()
    return [module.get_params()[0] is first, firsts(module), [list(arrays) for arrays in module.get_params()]]


def optimizers_given(mx: ModuleType) -> Any:
    """Rates, names and multipliers that an optimizer gets from the module, and what is refused."""
    found = []
    for optimizer in (mx.optimizer.SGD(wd=0.1), mx.optimizer.SGD(rescale_grad=0.25), "sgd"):
        module = at(mx, "initialized")
        found.append(logged(lambda module=module, optimizer=optimizer: module.init_optimizer(optimizer=optimizer)))
        if not isinstance(optimizer, str):
            names = {str(key): name for key, name in optimizer.idx2name.items()}
            found.append([optimizer.rescale_grad, names, optimizer.wd_mult, optimizer.lr_mult])
    several = [mx.cpu(0), mx.cpu(1)]
    for refused in ({"optimizer": "nope"}, {"optimizer": 3}, {"kvstore": 3}, {"optimizer_params": {"nope": 1}}):
        found.append(outcome(lambda refused=refused: at(mx, "initialized", context=several).init_optimizer(**refused)))
    return found


def merged(mx: ModuleType) -> Any:
    """Outputs and gradients of two contexts, merged and apart; an output without a batch is joined all the same."""
    contexts = [mx.cpu(0), mx.cpu(1)]
    module = at(mx, "initialized", bind={"inputs_need_grad": True}, context=contexts)
    found = []
    for rows in (4, 5):
        module.forward_backward(batch(mx, rows))
        found += [shapes(module.get_outputs()), shapes(module.get_outputs(merge_multi_context=False))]
        found += [shapes(module.get_input_grads()), shapes(module.get_input_grads(merge_multi_context=False))]
    found.append(outcome(lambda: module.forward(batch(mx, 1))))
    total = mx.mod.Module(mx.sym.sum(mx.sym.Variable("data")), label_names=None, context=contexts)
    total.bind(SHAPES["data_shapes"])
    total.init_params()
    total.forward(mx.io.DataBatch([mx.nd.array(POINTS[:4])], None))
    return [*found, shapes(total.get_outputs()), shapes(total.get_outputs(merge_multi_context=False))]


def time_major(mx: ModuleType) -> Any:
    """A layout says which axis is divided."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, flatten=False, name="fc")
    module = mx.mod.Module(x, label_names=None, context=[mx.cpu(0), mx.cpu(1)])
    module.bind([mx.io.DataDesc("data", (6, 4, 5), layout="TNC")])
    module.init_params()
    module.forward(mx.io.DataBatch([mx.nd.ones((6, 4, 5))], None))
    return shapes(module.get_outputs(merge_multi_context=False))


def states(mx: ModuleType) -> Any:
    """States keep their value from batch to batch."""
    module = mx.mod.Module(mx.sym.Variable("data") + mx.sym.Variable("st"), label_names=None, state_names=["st"])
    module.bind([("data", (2, 3))])
    module.init_params()
    found = []
    for given in (None, {"value": 3}, {"states": [[mx.nd.ones((2, 3))]]}):
        if given is not None:
            module.set_states(**given)
        module.forward(mx.io.DataBatch([mx.nd.ones((2, 3))], None))
        found += [module.get_outputs()[0].asnumpy().tolist(), shapes(module.get_states(merge_multi_context=False))]
    return [*found, outcome(module.set_states), outcome(lambda: module.set_states([], 1)), outcome(module.get_states)]


def requests(mx: ModuleType) -> Any:
    """Which parameters move: fixed ones and those without a gradient do not, an added gradient counts twice."""
    found = []
    for how, bind in (
        ({}, {"grad_req": {"fc1_weight": "null", "fc1_bias": "null"}}),
        ({"fixed_param_names": ["fc2_weight", "fc2_bias"]}, {}),
        ({}, {"grad_req": "add"}),
        ({}, {"grad_req": ["null", "write", "write", "null", "null", "null"]}),
    ):
        module = at(mx, "ready", bind=bind, **how)
        for _ in range(2):
            module.forward_backward(batch(mx))
        module.update()
        found.append(firsts(module))
    wrong = [{"grad_req": ["write"]}, {"grad_req": 3}]
    return found + [outcome(lambda how=how: mx.mod.Module(network(mx)).bind(**SHAPES, **how)) for how in wrong]


def heads(mx: ModuleType) -> Any:
    """Gradients of outputs are given in a list, and have to be where there is no loss."""
    found = []
    for gradients in (None, [mx.nd.ones((4, 3))], [mx.nd.ones((2, 3))]):
        module = mx.mod.Module(mx.sym.tanh(mx.sym.Variable("data")), label_names=None)
        module.bind([("data", (4, 3))], inputs_need_grad=True)
        module.init_params()
        module.forward(mx.io.DataBatch([mx.nd.zeros((4, 3))], None), is_train=True)

        def backward(module: Any = module, gradients: Any = gradients) -> Any:
            module.backward(gradients)
            return module.get_input_grads()[0].asnumpy().tolist()

        found.append(outcome(backward))
    module = at(mx, "initialized", bind={"for_training": False})
    module.forward(batch(mx))
    return [*found, outcome(module.backward)]


def predicted(mx: ModuleType) -> Any:
    """What ``predict``, ``iter_predict`` and ``score`` return."""
    module = at(mx, "initialized")

    def predict(**how: Any) -> Any:
        return shapes(module.predict(iterator(mx), **how))

    return [
        predict(),
        predict(merge_batches=False),
        predict(always_output_list=True),
        predict(num_batch=2),
        module.predict(iterator(mx), num_batch=0),
        shapes(module.predict(mx.nd.array(POINTS[:4]))),
        outcome(lambda: module.predict([1])),
        [[shapes(out), number, one.pad] for out, number, one in module.iter_predict(iterator(mx))],
        [[name, round(float(value), 5)] for name, value in module.score(iterator(mx), ["acc", "ce"])],
        [[name, round(float(value), 5)] for name, value in module.score(iterator(mx), "acc", num_batch=1)],
    ]


def fit_tells(mx: ModuleType) -> Any:
    """What ``fit`` logs with one metric, with two, with another one for validation, and from a later epoch."""
    data = iterator(mx)
    return [
        logged(lambda: fitted(mx, num_epoch=2)),
        logged(lambda: fitted(mx, eval_data=data, eval_metric=["acc", "ce"])),
        logged(lambda: fitted(mx, eval_data=data, validation_metric="ce")),
        logged(lambda: fitted(mx, begin_epoch=3, num_epoch=4)),
        logged(lambda: fitted(mx, batch_end_callback=mx.callback.ProgressBar(3, 10))),
        logged(lambda: fitted(mx, batch_end_callback=mx.callback.log_train_metric(2))),
        outcome(lambda: fitted(mx, num_epoch=None)),
        flags(fitted(mx, begin_epoch=1, num_epoch=1)),
    ]


def fit_calls(mx: ModuleType) -> Any:
    """In which order ``fit`` calls back, and with what."""
    metric, seen = mx.metric.create("acc"), []

    def note(what: str) -> Callable[[Any], None]:
        def call(param: Any) -> None:
            value = round(float(param.eval_metric.get()[1]), 5)
            seen.append([what, param.epoch, param.nbatch, value, param.eval_metric is metric, list(param._fields)])

        return call

    module = fitted(
        mx,
        eval_data=iterator(mx),
        eval_metric=metric,
        batch_end_callback=[note("batch")],
        epoch_end_callback=lambda epoch, symbol, args, aux: seen.append(["epoch", epoch, sorted(args), sorted(aux)]),
        eval_batch_end_callback=note("eval batch"),
        eval_end_callback=[note("eval")],
    )
    return [seen, flags(module)]


def checkpoints(mx: ModuleType) -> Any:
    """The files of a checkpoint and of callbacks, and a module loaded from them."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "m")
        module = at(mx, "initialized", symbol=network(mx, normed=True))
        options = {"learning_rate": 0.1, "momentum": 0.9}
        module.init_optimizer(optimizer_params=options)
        module.forward_backward(batch(mx))
        module.update()
        found.append(logged(lambda: module.save_checkpoint(prefix, 3, save_optimizer_states=True)))
        found.append(sorted(os.listdir(folder)))
        found.append(list(mx.nd.load(f"{prefix}-0003.params")))
        loaded = mx.mod.Module.load(prefix, 3, load_optimizer_states=True)
        found.append(flags(loaded))
        loaded.bind(**SHAPES)
        loaded.init_optimizer(optimizer_params=options)
        for one in (module, loaded):
            one.forward_backward(batch(mx))
            one.update()
        found += [flags(loaded), firsts(loaded) == firsts(module)]
        found.append(outcome(lambda: mx.mod.Module.load(prefix, 9)))
        mx.nd.save(f"{prefix}.other", {"foo:x": mx.nd.ones((1,))})
        found.append(outcome(lambda: loaded.load_params(f"{prefix}.other")))
    with tempfile.TemporaryDirectory() as folder:
        module = mx.mod.Module(network(mx))
        saved = mx.callback.module_checkpoint(module, os.path.join(folder, "m"), 2, True)
        also = mx.callback.do_checkpoint(os.path.join(folder, "d"))
        module.fit(iterator(mx), num_epoch=4, epoch_end_callback=[saved, also])
        found.append(sorted(os.listdir(folder)))
    return found


def names_refused(mx: ModuleType) -> Any:
    """Names that the network does not have, and shapes that do not belong together."""
    symbol = network(mx)
    wrong = [{"data_names": ["nope"]}, {"fixed_param_names": ["nope"]}, {"state_names": ["nope"]}]
    found = [outcome(lambda how=how: mx.mod.Module(symbol, **how)) for how in wrong]
    found.append(len(logged(lambda: mx.mod.Module(symbol, label_names=["nope"]))))
    found.append(outcome(lambda: mx.mod.Module(symbol, work_load_list=[1, 2])))
    for data, label in ((("x", (4, 5)), ("softmax_label", (4,))), (("data", (4, 5)), ("softmax_label", (5,)))):
        found.append(outcome(lambda data=data, label=label: mx.mod.Module(symbol).bind([data], [label])))
    module = mx.mod.Module(symbol)
    found.append(len(logged(lambda: module.bind(SHAPES["data_shapes"]))))
    return [*found, described(module.label_shapes), outcome(lambda: at(mx, "bound").reshape([("x", (2, 5))]))]


def bucketing(mx: ModuleType) -> Any:
    """A BucketingModule before and after each step, with its files."""
    module = mx.mod.BucketingModule(lambda key: (network(mx), ("data",), ("softmax_label",)), default_bucket_key=5)
    found = [list(module.data_names), list(module.output_names), flags(module)]
    found.append(outcome(lambda: module.data_shapes))
    found.append(outcome(lambda: module.switch_bucket(5, *SHAPES.values())))
    module.bind(**SHAPES)
    found.append(outcome(lambda: module.forward(batch(mx, bucket_key=5))))
    module.init_params(mx.init.One())
    found += [logged(module.init_params), outcome(module.update)]
    module.init_optimizer()
    found.append(logged(module.init_optimizer))
    module.forward_backward(
        batch(mx, bucket_key=7, provide_data=SHAPES["data_shapes"], provide_label=SHAPES["label_shapes"])
    )
    module.update()
    found += [described(module.data_shapes), shapes(module.get_outputs()), flags(module)]
    with tempfile.TemporaryDirectory() as folder:
        module.save_checkpoint(os.path.join(folder, "b"), 2)
        found.append(sorted(os.listdir(folder)))
    return found


def sequential(mx: ModuleType) -> Any:
    """Two modules in a row, trained; and what ``add`` refuses."""
    first = mx.mod.Module(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="a"), label_names=None)
    second = mx.mod.Module(network(mx))
    module = mx.mod.SequentialModule()
    found = [outcome(lambda: module.bind(**SHAPES)), module.add(first) is module]
    found.append(outcome(lambda: mx.mod.SequentialModule().add(second, nope=True)))
    module.add(second, take_labels=True, auto_wiring=True)
    module.bind(**SHAPES)
    found += [list(module.data_names), list(module.output_names), described(module.output_shapes)]
    found.append(outcome(module.get_params))
    module.init_params(mx.init.One())
    module.init_optimizer()
    module.forward_backward(batch(mx))
    module.update()
    return [*found, module.params_initialized, module.optimizer_initialized, firsts(module)]


def python_loss(mx: ModuleType) -> Any:
    """A loss written in Python on top of a network."""
    symbol = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    loss = mx.mod.PythonLossModule(grad_func=lambda score, label: score.asnumpy() - 1)
    module = mx.mod.SequentialModule()
    module.add(mx.mod.Module(symbol, label_names=None)).add(loss, take_labels=True, auto_wiring=True)
    module.bind(**SHAPES)
    module.init_params(mx.init.One())
    module.init_optimizer()
    module.forward_backward(batch(mx))
    module.update()
    refused = mx.mod.PythonLossModule()
    return [
        firsts(module),
        shapes(loss.get_input_grads()),
        outcome(lambda: loss.backward([1])),
        outcome(lambda: refused.bind([("x", (4, 5))], SHAPES["label_shapes"])),
        outcome(lambda: refused.bind(**SHAPES, grad_req="add")),
        outcome(lambda: mx.mod.PythonLossModule(grad_func=3)),
    ]


SCENES: Mapping[str, Callable[[ModuleType], Any]] = {
    scene.__name__: scene
    for scene in (
        told_twice,
        rebound,
        batches_of_other_sizes,
        given_parameters,
        parameters_handed_out,
        optimizers_given,
        merged,
        time_major,
        states,
        requests,
        heads,
        predicted,
        fit_tells,
        fit_calls,
        checkpoints,
        names_refused,
        bucketing,
        sequential,
        python_loss,
    )
}
