"""Short programs on the Module family. Each takes the module ``mx`` and returns what it computed and what happened.

MXNet runs them in `generate_modules.py`, symjit in ``tests/test_module_family.py``; so nothing here imports either. A
run returns arrays by name, and events: the calls, the lines of the log and what callbacks were told, in their order.
Whatever stands in an event is exact (counts, accuracies of few rows); numbers that are not are arrays.
"""

from __future__ import annotations

import inspect
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.recipe import draw

Result = tuple[dict[str, np.ndarray], list[str]]

ROWS, BATCH, FEATURES, CLASSES = 20, 8, 6, 4
SGD = {"learning_rate": 0.2, "momentum": 0.9, "wd": 0.01}


class Log:
    """A logger for modules whose lines become events; durations are left out."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def info(self, text: str, *values: object) -> None:
        self.events.append("info: " + re.sub(r"cost=[\d.]+", "cost=", text % values))

    def warning(self, text: str, *values: object) -> None:
        self.events.append("warning: " + text % values)


class Monitor:
    """A monitor that looks at nothing."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def install(self, executor: object) -> None:
        pass

    def tic(self) -> None:
        self.events.append("tic")

    def toc_print(self) -> None:
        self.events.append("toc_print")


def watched(cls: Any, names: Sequence[str], events: list[str]) -> Any:
    """Return a subclass whose calls become events, without those that the methods make among themselves."""
    inside = []

    def noted(name: str) -> Callable[..., Any]:
        method = getattr(cls, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not inside:
                events.append(name)
            inside.append(name)
            try:
                return method(self, *args, **kwargs)
            finally:
                inside.pop()

        return call

    return type("Watched", (cls,), {name: noted(name) for name in names})


def classifier(mx: Any, hidden: int = 8) -> Any:
    """Return a network with BatchNorm."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="fc1")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name="bn"), act_type="relu", name="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=CLASSES, name="fc2"), name="softmax")


def parameters(mx: Any, symbol: Any, inputs: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return first values of the parameters and auxiliary states, which the names decide."""
    shapes, _, aux_shapes = symbol.infer_shape(**inputs)
    args = dict(zip(symbol.list_arguments(), shapes, strict=True))
    aux = dict(zip(symbol.list_auxiliary_states(), aux_shapes, strict=True))
    return (
        {name: mx.nd.array(draw(name, shape)) for name, shape in args.items() if name not in inputs},
        {name: mx.nd.array(draw(name, shape)) for name, shape in aux.items()},
    )


def rows(count: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Return data and labels that can be learnt."""
    data = draw("rows", (count, FEATURES))
    return data, np.argmax(data @ draw("teacher", (FEATURES, CLASSES)), axis=1).astype(np.float32)


def iterator(mx: Any, count: int = ROWS) -> Any:
    return mx.io.NDArrayIter(*rows(count), batch_size=BATCH)


def collected(module: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Return all parameters and auxiliary states of a module."""
    return {prefix + name: value.asnumpy() for found in module.get_params() for name, value in found.items()}


def telling(events: list[str], kind: str) -> Callable[[Any], None]:
    """Return a batch callback that notes what it is told."""

    def callback(param: Any) -> None:
        metric = dict(param.eval_metric.get_name_value())
        events.append(f"{kind} {param.epoch} {param.nbatch} {metric['accuracy']:.4f} {'eval_metric' in param.locals}")

    return callback


def signature(function: Any) -> list[str] | None:
    """Return the parameters of a method with their kinds and defaults, as text; None for what is no function."""
    if isinstance(function, property):
        return None
    function = function.__func__ if isinstance(function, staticmethod) else function
    return [f"{p.name}|{p.kind.name}|{_default(p.default)}" for p in inspect.signature(function).parameters.values()]


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    if isinstance(value, (type(None), bool, int, float, str, tuple)):
        return repr(value)
    if type(value).__name__ == "Context":
        return str(value)
    if hasattr(value, "dumps"):
        return value.dumps()
    return getattr(value, "__name__", type(value).__name__)


CLASSES_OF_MODULE = (
    "BaseModule",
    "Module",
    "BucketingModule",
    "SequentialModule",
    "PythonModule",
    "PythonLossModule",
)


def signatures(mx: Any) -> dict[str, dict[str, list[str] | None]]:
    """Return the public attributes of each class, constructor included; None stands for a property."""
    classes = {name: getattr(mx.mod, name) for name in CLASSES_OF_MODULE} | {"FeedForward": mx.model.FeedForward}
    found: dict[str, dict[str, list[str] | None]] = {}
    for class_name, cls in classes.items():
        names = [name for name in dir(cls) if not name.startswith("_") or name == "__init__"]
        found[class_name] = {
            name: signature(value)
            for name in names
            if isinstance(value := inspect.getattr_static(cls, name), (property, staticmethod)) or callable(value)
        }
    return found


def shapes_of(iterator: Any) -> dict[str, tuple[int, ...]]:
    return {x[0]: tuple(x[1]) for x in [*iterator.provide_data, *iterator.provide_label]}


# Module ---------------------------------------------------------------------------------------------------------------


def fit(mx: Any) -> Result:
    """Train with a monitor, callbacks and a validation set; the order of everything."""
    events: list[str] = []
    names = (
        "bind",
        "install_monitor",
        "init_params",
        "init_optimizer",
        "forward_backward",
        "update",
        "update_metric",
        "prepare",
        "get_params",
        "set_params",
        "score",
    )
    module = watched(mx.mod.Module, names, events)(classifier(mx), logger=Log(events))
    train, held_out = iterator(mx), iterator(mx, 12)
    args, aux = parameters(mx, classifier(mx), shapes_of(train))
    module.fit(
        train,
        held_out,
        eval_metric=["acc", "ce"],
        validation_metric="acc",
        epoch_end_callback=[
            lambda epoch, symbol, arg, aux: events.append(f"epoch {epoch} {symbol.name} {sorted(arg)} {sorted(aux)}")
        ],
        batch_end_callback=telling(events, "batch"),
        eval_end_callback=telling(events, "score"),
        eval_batch_end_callback=[telling(events, "score batch")],
        optimizer_params=SGD,
        arg_params=args,
        aux_params=aux,
        begin_epoch=1,
        num_epoch=3,
        monitor=Monitor(events),
    )
    lossy = [i for i, event in enumerate(events) if "cross-entropy" in event]
    losses = np.array([float(events[i].rpartition("=")[2]) for i in lossy])
    for i in lossy:
        events[i] = events[i].rpartition("=")[0]
    return {"cross-entropy": losses, **collected(module)}, events


def predict(mx: Any) -> Result:
    """Predict, iterate and score, with a batch that is padded."""
    events: list[str] = []
    data = iterator(mx)
    names = ("prepare", "forward", "get_outputs", "update_metric")
    module = watched(mx.mod.Module, names, events)(classifier(mx), logger=Log(events))
    module.bind(data.provide_data, data.provide_label, for_training=False)
    module.set_params(*parameters(mx, classifier(mx), shapes_of(data)))
    found = {"merged": module.predict(data).asnumpy(), "two": module.predict(data, num_batch=2).asnumpy()}
    (found["list"],) = (x.asnumpy() for x in module.predict(data, always_output_list=True))
    parts = module.predict(data, merge_batches=False)
    events.append(f"parts {[[x.shape for x in outputs] for outputs in parts]}")
    found["array"] = module.predict(rows()[0][:BATCH]).asnumpy()
    for outputs, number, batch in module.iter_predict(data, num_batch=3):
        events.append(f"yields {number} {[x.shape for x in outputs]} {batch.pad}")
        found[f"iterated{number}"] = outputs[0].asnumpy()
    data.reset()
    data.next()
    found["rest"] = module.predict(data, reset=False).asnumpy()
    events.append(f"nothing {module.predict(data, reset=False)}")
    for count in (None, 2):
        found[f"score{count}"] = np.array(
            [
                value
                for _, value in module.score(
                    data,
                    mx.metric.create(["acc", "ce"]),
                    num_batch=count,
                    batch_end_callback=telling(events, "score batch"),
                    score_end_callback=telling(events, "score"),
                    epoch=7,
                )
            ]
        )
    return found, events


# BucketingModule ------------------------------------------------------------------------------------------------------

WORDS, LENGTHS = 10, (5, 3, 5, 3, 3, 5)


def sentence_network(mx: Any) -> Callable[[int], Any]:
    """Return the function of a length that gives the network for it."""

    def sym_gen(length: int) -> Any:
        x = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=WORDS, output_dim=FEATURES, name="embed")
        x = mx.sym.mean(x, axis=1, name=f"mean_of_{length}")
        x = mx.sym.BatchNorm(x, fix_gamma=False, name="bn")
        x = mx.sym.FullyConnected(x, num_hidden=CLASSES, name="fc2")
        return mx.sym.SoftmaxOutput(x, name="softmax"), ("data",), ("softmax_label",)

    return sym_gen


def sentence_iterator(mx: Any) -> Any:
    """Return an iterator over batches of several lengths; the default one is the longest."""

    class Sentences(mx.io.DataIter):
        def __init__(self) -> None:
            super().__init__(BATCH)
            self.default_bucket_key = max(LENGTHS)
            self.provide_data = [mx.io.DataDesc("data", (BATCH, self.default_bucket_key))]
            self.provide_label = [mx.io.DataDesc("softmax_label", (BATCH,))]
            self.position = 0

        def reset(self) -> None:
            self.position = 0

        def next(self) -> Any:
            if self.position == len(LENGTHS):
                raise StopIteration
            length, rng = LENGTHS[self.position], np.random.RandomState(self.position)
            self.position += 1
            words = rng.randint(0, WORDS, (BATCH, length)).astype(np.float32)
            return mx.io.DataBatch(
                [mx.nd.array(words)],
                [mx.nd.array(words[:, 0] % CLASSES)],
                pad=0,
                bucket_key=length,
                provide_data=[mx.io.DataDesc("data", (BATCH, length))],
                provide_label=[mx.io.DataDesc("softmax_label", (BATCH,))],
            )

    return Sentences()


def sentence_parameters(mx: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    length = max(LENGTHS)
    return parameters(mx, sentence_network(mx)(length)[0], {"data": (BATCH, length), "softmax_label": (BATCH,)})


def bucketing(mx: Any, contexts: int = 1) -> Result:
    """Train a network of two lengths, score it and predict."""
    events: list[str] = []
    data = sentence_iterator(mx)
    names = ("switch_bucket", "prepare", "forward", "backward", "update", "get_params", "set_params")
    cls = watched(mx.mod.BucketingModule, names, events)
    module = cls(
        sentence_network(mx),
        default_bucket_key=data.default_bucket_key,
        logger=Log(events),
        context=[mx.cpu(i) for i in range(contexts)],
    )
    events.append(f"{module.data_names} {module.output_names}")
    args, aux = sentence_parameters(mx)

    def note(param: Any) -> None:
        shapes = [tuple(x[1]) for x in module.data_shapes]
        outputs = [(name, tuple(shape)) for name, shape in module.output_shapes]
        events.append(f"batch {param.nbatch} {shapes} {outputs} {module.symbol.name}")

    module.fit(
        data,
        data,
        eval_metric="acc",
        batch_end_callback=note,
        optimizer_params=SGD,
        arg_params=args,
        aux_params=aux,
        num_epoch=2,
    )
    found = collected(module)
    found["predicted"] = module.predict(data).asnumpy()
    events.append(f"{module.data_names} {[x[0] for x in module.label_shapes]}")
    return found, events


def bucketing_two_contexts(mx: Any) -> Result:
    """Train a network of two lengths on two contexts."""
    return bucketing(mx, contexts=2)


def save_bucketing(mx: Any, prefix: str) -> Any:
    """Save a checkpoint of two buckets and return the module."""
    data = sentence_iterator(mx)
    module = mx.mod.BucketingModule(sentence_network(mx), data.default_bucket_key)
    module.bind(data.provide_data, data.provide_label)
    module.init_params(None, *sentence_parameters(mx))
    for batch in data:
        module.forward(batch, is_train=False)
    data.reset()
    module.save_checkpoint(prefix, 3)
    return module


def resumed(mx: Any, prefix: str) -> Result:
    """Load the checkpoint that `save_bucketing` saved, and go on training."""
    events: list[str] = []
    data = sentence_iterator(mx)
    module = mx.mod.BucketingModule.load(
        prefix, 3, sym_gen=sentence_network(mx), default_bucket_key=data.default_bucket_key, logger=Log(events)
    )
    events.append(f"{module.binded} {module.params_initialized} {sorted(module._buckets)}")
    module.fit(data, optimizer_params=SGD, begin_epoch=3, num_epoch=4)
    return collected(module), events


def bucketing_resumed(mx: Any) -> Result:
    """Save, load, go on."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = str(Path(folder) / "model")
        save_bucketing(mx, prefix)
        found, events = resumed(mx, prefix)
        return found, [*events, str(sorted(file.name for file in Path(folder).iterdir()))]


# SequentialModule and Python modules ----------------------------------------------------------------------------------


def chain(mx: Any, events: list[str], *, python_loss: bool, contexts: int = 1) -> Any:
    """Return a chain of a Module and a second Module, or a loss in Python."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=CLASSES if python_loss else 7, name="fc1")
    x = mx.sym.BatchNorm(x, fix_gamma=False, name="bn")
    module = mx.mod.SequentialModule(logger=Log(events))
    context = [mx.cpu(i) for i in range(contexts)]
    x = x if python_loss else mx.sym.Activation(x, act_type="tanh")
    module.add(mx.mod.Module(x, label_names=None, context=context))
    if python_loss:
        second = mx.mod.PythonLossModule(grad_func=lambda scores, labels: hinge(scores.asnumpy(), labels.asnumpy()))
    else:
        y = mx.sym.FullyConnected(mx.sym.Variable("hidden"), num_hidden=CLASSES, name="fc2")
        second = mx.mod.Module(mx.sym.SoftmaxOutput(y, name="softmax"), data_names=["hidden"], context=context)
    return module.add(second, take_labels=True, auto_wiring=True)


def hinge(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the gradient of a hinge loss of each class against the others."""
    signs = np.where(np.arange(CLASSES) == labels[:, None], 1, -1)
    return np.where(signs * scores < 1, -signs, 0).astype(np.float32)


def _chained(mx: Any, *, python_loss: bool, contexts: int = 1) -> Result:
    events: list[str] = []
    module, data = chain(mx, events, python_loss=python_loss, contexts=contexts), iterator(mx)
    events.append(f"{module.data_names} {module.output_names}")
    shapes = {"fc1_weight": (CLASSES if python_loss else 7, FEATURES)}
    width = shapes["fc1_weight"][0]
    for name in ("fc1_bias", "bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var"):
        shapes[name] = (width,)
    if not python_loss:
        shapes |= {"fc2_weight": (CLASSES, width), "fc2_bias": (CLASSES,)}
    values = {name: mx.nd.array(draw(name, shape)) for name, shape in shapes.items()}
    args = {name: value for name, value in values.items() if "moving" not in name}
    aux = {name: value for name, value in values.items() if "moving" in name}
    module.fit(
        data,
        data,
        optimizer_params=SGD,
        arg_params=args,
        aux_params=aux,
        num_epoch=2,
        batch_end_callback=telling(events, "batch"),
    )
    found = collected(module)
    found["predicted"] = module.predict(data).asnumpy()
    outputs = [(name, tuple(shape)) for name, shape in module.output_shapes]
    events.append(f"{outputs} {[x[0] for x in module.data_shapes]} {[x[0] for x in module.label_shapes]}")
    return found, events


def sequential(mx: Any) -> Result:
    """Train two Modules in a chain."""
    return _chained(mx, python_loss=False)


def python_loss(mx: Any) -> Result:
    """Train a Module with a loss in Python."""
    return _chained(mx, python_loss=True)


def sequential_two_contexts(mx: Any) -> Result:
    """Train two Modules in a chain, each on two contexts."""
    return _chained(mx, python_loss=False, contexts=2)


def python_loss_two_contexts(mx: Any) -> Result:
    """Train a Module on two contexts with a loss in Python, which sees the whole batch."""
    return _chained(mx, python_loss=True, contexts=2)


# FeedForward ----------------------------------------------------------------------------------------------------------


def _fed(mx: Any, contexts: int, *, monitored: bool = False, **settings: Any) -> Result:
    events: list[str] = []
    data = iterator(mx)
    args, aux = parameters(mx, classifier(mx), shapes_of(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = mx.model.FeedForward(
            classifier(mx),
            ctx=[mx.cpu(i) for i in range(contexts)],
            arg_params={**args, "stranger": mx.nd.zeros((2,))},
            aux_params=aux,
            allow_extra_params=True,
            **SGD,
            **settings,
        )
    model.fit(
        data,
        eval_data=data,
        batch_end_callback=telling(events, "batch"),
        epoch_end_callback=lambda epoch, symbol, arg, aux: events.append(f"epoch {epoch} {sorted(arg)} {sorted(aux)}"),
        eval_batch_end_callback=telling(events, "score batch"),
        eval_end_callback=telling(events, "score"),
        logger=Log(events),
        monitor=Monitor(events) if monitored else None,
    )
    found = {name: value.asnumpy() for values in (model.arg_params, model.aux_params) for name, value in values.items()}
    found["predicted"] = model.predict(data)
    outputs, inputs, labels = model.predict(data, num_batch=2, return_data=True)
    found |= {"outputs": outputs, "inputs": inputs, "labels": labels, "array": model.predict(rows(5)[0])}
    events.append(f"score {model.score(data):.4f} {model.score(data, num_batch=2):.4f}")
    return found, events


def feed_forward(mx: Any) -> Result:
    """Train a FeedForward."""
    return _fed(mx, 1, num_epoch=2)


def feed_forward_epoch_size(mx: Any) -> Result:
    """Train a FeedForward whose epochs are shorter than the data."""
    return _fed(mx, 1, num_epoch=3, epoch_size=2)


def feed_forward_long_epoch(mx: Any) -> Result:
    """Train a FeedForward, under a Monitor, whose epochs are longer than the data."""
    return _fed(mx, 1, num_epoch=2, epoch_size=5, monitored=True)


def feed_forward_two_contexts(mx: Any) -> Result:
    """Train a FeedForward on two contexts."""
    return _fed(mx, 2, num_epoch=2)


RUNS: dict[str, Callable[[Any], Result]] = {
    run.__name__: run
    for run in (
        fit,
        predict,
        bucketing,
        bucketing_two_contexts,
        bucketing_resumed,
        sequential,
        python_loss,
        sequential_two_contexts,
        python_loss_two_contexts,
        feed_forward,
        feed_forward_epoch_size,
        feed_forward_long_epoch,
        feed_forward_two_contexts,
    )
}
