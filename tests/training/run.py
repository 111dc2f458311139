"""Train a case through ``mx.mod`` and note what came out; the module is an argument, MXNet or symjit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tests.training.models import MODELS, Arrays, Batch, Model


@dataclass(frozen=True)
class Case:
    """How a model is trained.

    Attributes:
        model: key of ``MODELS``.
        optimizer: name of the optimizer.
        options: what it is given.
        schedule: class name in ``mx.lr_scheduler`` and its arguments; ``base_lr`` is ``options["learning_rate"]``.
        steps: number of batches.
        rows: rows of a batch; 0 is the model's own number.
        cut: rows of every third batch, to which the module reshapes itself; 0 is no fewer than the others.
        contexts: number of contexts ``mx.cpu(0)``, ``mx.cpu(1)``...
        work_load: ``work_load_list`` of the module.
        kvstore: ``kvstore`` of ``init_optimizer``.
        fixed: ``fixed_param_names`` of the module.
    """

    model: str
    optimizer: str
    options: Mapping[str, Any]
    schedule: tuple[str, Mapping[str, Any]] | None = None
    steps: int = 50
    rows: int = 0
    cut: int = 0
    contexts: int = 1
    work_load: tuple[float, ...] | None = None
    kvstore: str | None = "local"
    fixed: tuple[str, ...] = ()


def module_of(mx: ModuleType, case: Case, model: Model) -> Any:
    """Return the module of a case, not bound yet."""
    contexts = [mx.cpu(i) for i in range(case.contexts)]
    first = model.batches(case.model, model.rows)[0]
    names = {"data_names": list(first.data), "label_names": list(first.labels)}
    loads = None if case.work_load is None else list(case.work_load)
    options = {"context": contexts, "work_load_list": loads, "fixed_param_names": list(case.fixed)}
    if model.default_bucket is None:
        return mx.mod.Module(model.build(mx, None), **names, **options)

    def generate(bucket: int) -> tuple[Any, list[str], list[str]]:
        return model.build(mx, bucket), names["data_names"], names["label_names"]

    return mx.mod.BucketingModule(generate, default_bucket_key=model.default_bucket, **options)


def data_batch(mx: ModuleType, batch: Batch) -> Any:
    """Return a batch as the module takes it."""
    return mx.io.DataBatch(
        [mx.nd.array(v) for v in batch.data.values()],
        [mx.nd.array(v) for v in batch.labels.values()],
        bucket_key=batch.bucket,
        provide_data=[mx.io.DataDesc(n, v.shape) for n, v in batch.data.items()],
        provide_label=[mx.io.DataDesc(n, v.shape) for n, v in batch.labels.items()],
    )


def options_of(mx: ModuleType, case: Case) -> dict[str, Any]:
    """Return the parameters of the optimizer, with a scheduler of its own."""
    options = dict(case.options)
    if case.schedule is not None:
        kind, settings = case.schedule
        options["lr_scheduler"] = getattr(mx.lr_scheduler, kind)(base_lr=options["learning_rate"], **settings)
    return options


def prepared(mx: ModuleType, case: Case, nudge: float = 0.0) -> tuple[Any, list[Batch]]:
    """Return the module of a case, ready for its first step, and its batches.

    Args:
        mx: MXNet or symjit.
        case: what to train.
        nudge: moves every initial parameter by up to this, relatively: how much do rounding errors grow?
    """
    model = MODELS[case.model]
    batches = model.batches(case.model, case.rows or model.rows)
    args, aux = model.initial(mx, batches[0])
    if nudge:
        rng = np.random.RandomState(0)
        args = {n: (v * (1 + rng.uniform(-nudge, nudge, v.shape))).astype(np.float32) for n, v in args.items()}
    module = module_of(mx, case, model)
    first = data_batch(mx, batches[0])
    module.bind(data_shapes=first.provide_data, label_shapes=first.provide_label)
    module.init_params(
        arg_params={n: mx.nd.array(v) for n, v in args.items()},
        aux_params={n: mx.nd.array(v) for n, v in aux.items()},
    )
    module.init_optimizer(kvstore=case.kvstore, optimizer=case.optimizer, optimizer_params=options_of(mx, case))
    return module, batches


def parameters_of(module: Any) -> Arrays:
    """Return all parameters of a module by their names in a checkpoint."""
    args, aux = module.get_params()
    return {f"arg:{n}": v.asnumpy() for n, v in args.items()} | {f"aux:{n}": v.asnumpy() for n, v in aux.items()}


def train(mx: ModuleType, case: Case, nudge: float = 0.0, between: bool = False) -> Arrays:
    """Return ``loss``, that of every step, and ``arg:NAME`` and ``aux:NAME`` after the last.

    Args:
        mx: MXNet or symjit.
        case: what to train.
        nudge: see ``prepared``.
        between: look at the outputs before ``update`` instead of after it; the numbers are the same.
    """
    module, batches = prepared(mx, case, nudge)
    model = MODELS[case.model]
    losses = []
    for step in range(case.steps):
        batch = batches[step % len(batches)]
        if case.cut and step % 3 == 2:
            batch = batch.first(case.cut)
        module.forward_backward(data_batch(mx, batch))
        if between:
            losses.append(model.loss(module.get_outputs()[0].asnumpy(), batch))
        module.update()
        if not between:
            losses.append(model.loss(module.get_outputs()[0].asnumpy(), batch))
    # Before any prediction: MXNet writes ones into a fixed gamma whenever it runs forward.
    result = {"loss": np.float32(losses)} | parameters_of(module)
    if case.contexts > 1:
        # Every context still has moving averages of its own here; afterwards all have the mean.
        result |= predictions(mx, module, batches[0], "own")
        module.set_params(*module.get_params())
        result |= predictions(mx, module, batches[0], "mean")
    return result


def fit(mx: ModuleType, case: Case, **how: Any) -> tuple[list[float], Arrays]:
    """Train a case by ``fit`` on an iterator over its batches in their order: the trajectory is that of ``train``.

    Args:
        mx: MXNet or symjit.
        case: what to train, a whole number of epochs of a model that classifies.
        how: more arguments for ``fit``.

    Returns:
        The mean loss of every epoch, from the metric ``ce``, and the parameters at the end.
    """
    model = MODELS[case.model]
    batches = model.batches(case.model, case.rows or model.rows)
    args, aux = model.initial(mx, batches[0])
    data = {n: np.concatenate([batch.data[n] for batch in batches]) for n in batches[0].data}
    labels = {n: np.concatenate([batch.labels[n] for batch in batches]) for n in batches[0].labels}
    rows = len(data["data"]) // len(batches)
    module = module_of(mx, case, model)
    metric = mx.metric.create("ce")
    losses: list[float] = []
    module.fit(
        mx.io.NDArrayIter(data, labels, batch_size=rows),
        eval_metric=metric,
        epoch_end_callback=lambda *_: losses.append(metric.get()[1]),
        kvstore=case.kvstore,
        optimizer=case.optimizer,
        optimizer_params=options_of(mx, case),
        arg_params={n: mx.nd.array(v) for n, v in args.items()},
        aux_params={n: mx.nd.array(v) for n, v in aux.items()},
        num_epoch=case.steps // len(batches),
        **how,
    )
    return losses, parameters_of(module)


def predictions(mx: ModuleType, module: Any, batch: Batch, states: str) -> Arrays:
    """Return ``predicted:STATES``, the outputs of a prediction."""
    module.forward(data_batch(mx, batch), is_train=False)
    return {f"predicted:{states}": module.get_outputs()[0].asnumpy()}
