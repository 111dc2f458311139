"""The model class that Module replaced, which old programs still use. MXNet: ``mx.model.FeedForward``."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symjit import io, metric
from symjit import ndarray as nd
from symjit.callback import LogValidationMetricsCallback
from symjit.context import Context, cpu
from symjit.executor import Executor
from symjit.initializer import Initializer, Uniform
from symjit.model import BatchEndParam, load_checkpoint, save_checkpoint
from symjit.module.base_module import BaseModule
from symjit.module.bucketing_module import BucketingModule
from symjit.module.callbacks import as_list, tell
from symjit.module.interrupt import whole
from symjit.module.module import Module
from symjit.name import NameManager
from symjit.ndarray import NDArray
from symjit.symbol import Symbol

__all__ = ["FeedForward"]

_BatchCallback = Callable[[BatchEndParam], Any]
_LOG_VALIDATION = LogValidationMetricsCallback()


class FeedForward:
    """A network with its parameters, trained on arrays or iterators. Source: MXNet ``mx.model.FeedForward``.

    Deprecated in MXNet since 0.9: `symjit.module.Module` does more. Training runs in a Module. The inputs of the
    network are what the iterator provides; all other arguments are parameters.

    Args:
        symbol: the network, or a function that returns the one of a bucket key.
        ctx: a Context, or a list of them to share each batch among; cpu() by default.
        num_epoch: number of the last epoch plus one.
        epoch_size: batches of an epoch; all of the iterator by default.
        optimizer: a name or an Optimizer.
        initializer: gives parameters their first values.
        numpy_batch_size: batch size where data are given as arrays.
        arg_params: first values of parameters.
        aux_params: first values of auxiliary states.
        allow_extra_params: drop those of `arg_params` and `aux_params` that the network does not have.
        begin_epoch: number of the first epoch.
        kwargs: further arguments of the optimizer.

    MXNet's class is also a scikit-learn estimator where that is installed; this one is not.

    Raises:
        ValueError: two arguments or two auxiliary states of the network have one name.
    """

    def __init__(
        self,
        symbol: Symbol | Callable[[Any], Symbol],
        ctx: Context | Sequence[Context] | None = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Initializer = Uniform(0.01),  # noqa: B008
        numpy_batch_size: int = 128,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        warnings.warn(
            "mxnet.model.FeedForward has been deprecated. Please use mxnet.mod.Module instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        self.symbol: Any = symbol if isinstance(symbol, Symbol) else None
        self.sym_gen: Any = None if isinstance(symbol, Symbol) else symbol
        if self.symbol is None and not callable(symbol):
            raise AssertionError(f"FeedForward: symbol must be a Symbol or a function, got {type(symbol).__name__}")
        self.arg_params: Any = arg_params
        self.aux_params: Any = aux_params
        self.allow_extra_params = allow_extra_params
        self.argument_checked = False
        if self.symbol is not None:
            self._check_arguments()
        self.ctx = [cpu()] if ctx is None else [ctx] if isinstance(ctx, Context) else list(ctx)
        self.num_epoch = num_epoch
        self.epoch_size = epoch_size
        self.kwargs = dict(kwargs)
        self.optimizer = optimizer
        self.initializer = initializer
        self.numpy_batch_size = numpy_batch_size
        self.begin_epoch = begin_epoch
        self._pred_exec: Executor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pred_exec": None}

    def _check_arguments(self) -> None:
        """Check the names of the network once, and drop extra parameters."""
        if self.argument_checked:
            return
        self.argument_checked = True
        arguments, states = self.symbol.list_arguments(), self.symbol.list_auxiliary_states()
        for kind, names in (("argument", arguments), ("auxiliary state", states)):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f'Find duplicated {kind} name "{name}": give the layers different names')
        if self.allow_extra_params:
            if self.arg_params:
                self.arg_params = {name: value for name, value in self.arg_params.items() if name in arguments}
            if self.aux_params:
                self.aux_params = {name: value for name, value in self.aux_params.items() if name in states}

    def _init_params(self, inputs: Sequence[Any], overwrite: bool = False) -> tuple[list[str], list[str], list[str]]:
        """Make new parameters for inputs of these shapes, with the values there are unless `overwrite`.

        Returns:
            names of arguments, of parameters and of auxiliary states.
        """
        described = [x if isinstance(x, io.DataDesc) else io.DataDesc(*x) for x in inputs]
        arg_shapes, _, aux_shapes = self.symbol.infer_shape(**{x.name: x.shape for x in described})
        arg_dtypes, _, aux_dtypes = self.symbol.infer_type(**{x.name: x.dtype for x in described})
        arg_names, aux_names = self.symbol.list_arguments(), self.symbol.list_auxiliary_states()
        if None in (arg_shapes, aux_shapes, arg_dtypes, aux_dtypes):
            raise AssertionError(f"shapes and dtypes of {arg_names} do not follow from the inputs {described}")
        given = {x.name for x in described}

        def made(names: Sequence[str], shapes: Any, dtypes: Any, values: Any) -> dict[str, NDArray]:
            found = {}
            for name, shape, dtype in zip(names, shapes, dtypes, strict=True):
                if name in given:
                    continue
                found[name] = nd.zeros(shape, dtype=dtype)
                if values and name in values and not overwrite:
                    found[name][:] = values[name]
                else:
                    self.initializer(name, found[name])
            return found

        arg_params = made(arg_names, arg_shapes, arg_dtypes, self.arg_params)
        aux_params = made(aux_names, aux_shapes, aux_dtypes, self.aux_params)
        self.arg_params, self.aux_params = arg_params, aux_params
        return arg_names, list(arg_params), aux_names

    # Data -------------------------------------------------------------------------------------------------------------

    def _init_iter(self, X: Any, y: Any, is_train: bool) -> Any:
        """Return an iterator of arrays; one that is given is returned as it is."""
        if not isinstance(X, (np.ndarray, NDArray)):
            if not isinstance(X, io.DataIter):
                raise TypeError(f"X must be DataIter, NDArray or numpy.ndarray, got {type(X).__name__}")
            return X
        if y is None:
            if is_train:
                raise ValueError("y must be specified when X is numpy.ndarray")
            y = np.zeros(X.shape[0], np.float32)
        if not isinstance(y, (np.ndarray, NDArray)):
            raise TypeError(f"y must be ndarray when X is numpy.ndarray, got {type(y).__name__}")
        if X.shape[0] != y.shape[0]:
            raise ValueError(f"The numbers of data points and labels not equal: {X.shape[0]} and {y.shape[0]}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = y.reshape((-1,))
        if y.ndim != 1:
            raise ValueError(f"Label must be 1D or 2D (with 2nd dimension being 1), got shape {y.shape}")
        size = min(X.shape[0], self.numpy_batch_size)
        if is_train:
            return io.NDArrayIter(X, y, size, shuffle=True, last_batch_handle="roll_over")
        return io.NDArrayIter(X, y, size, shuffle=False)

    def _init_eval_iter(self, eval_data: Any) -> Any:
        if eval_data is None:
            return None
        if isinstance(eval_data, (tuple, list)) and len(eval_data) == 2:
            data, labels = eval_data
            if data is None:
                raise ValueError("Eval data is NONE")
            if labels is None and isinstance(data, io.DataIter):
                return data
            data = np.array(data) if isinstance(data, list) else data
            labels = np.array(labels) if isinstance(labels, list) else labels
            return self._init_iter(data, labels, is_train=True)
        if not isinstance(eval_data, io.DataIter):
            raise TypeError(
                "Eval data must be DataIter, or NDArray/numpy.ndarray/list pair (i.e. tuple/list of length 2), got"
                f" {type(eval_data).__name__}"
            )
        return eval_data

    # Predicting -------------------------------------------------------------------------------------------------------

    def _init_predictor(self, data: Sequence[Any]) -> Executor:
        """Return an executor, on the first context, with the parameters that the model has now."""
        described = [x if isinstance(x, io.DataDesc) else io.DataDesc(*x) for x in data]
        if self.arg_params is None:
            raise AssertionError("FeedForward has no parameters: call fit() first, or pass arg_params")
        arguments = self.symbol.list_arguments()
        known = {name: value for name, value in self.arg_params.items() if name in arguments}
        shapes = {name: tuple(value.shape) for name, value in known.items()}
        shapes.update((x.name, tuple(x.shape)) for x in described)
        executor = self._pred_exec
        if executor is None or any(executor.arg_dict[name].shape != shape for name, shape in shapes.items()):
            dtypes = {name: value.dtype for name, value in known.items()}
            dtypes.update((x.name, x.dtype) for x in described)
            executor = self.symbol.simple_bind(self.ctx[0], grad_req="null", type_dict=dtypes, **shapes)
        executor.copy_params_from(self.arg_params, self.aux_params)
        self._check_arguments()
        self._pred_exec = executor
        return executor

    def predict(self, X: Any, num_batch: int | None = None, return_data: bool = False, reset: bool = True) -> Any:
        """Predict.

        Args:
            X: a DataIter, an NDArray or a NumPy array.
            num_batch: stop after so many batches.
            return_data: return data and labels, too.
            reset: reset the iterator first.

        Returns:
            outputs as NumPy arrays without the rows that pad the last batch, a list if there are several; with
            `return_data` ``(outputs, data, label)``.
        """
        X = self._init_iter(X, None, is_train=False)
        if reset:
            X.reset()
        executor = self._init_predictor(X.provide_data)
        names = [x[0] for x in X.provide_data]
        outputs: list[list[np.ndarray]] = [[] for _ in self.symbol.list_outputs()]
        data: list[list[np.ndarray]] = [[] for _ in X.provide_data]
        labels: list[list[np.ndarray]] = [[] for _ in X.provide_label]
        for i, batch in enumerate(X):
            _run(executor, names, batch)
            rows = X.batch_size - (batch.pad or 0)
            kept = [(outputs, executor.outputs)]
            if return_data:
                kept += [(data, batch.data), (labels, batch.label)]
            for lists, values in kept:
                for found, value in zip(lists, values, strict=True):
                    found.append(value[0:rows].asnumpy())
            if num_batch is not None and i + 1 == num_batch:
                break
        if return_data:
            return _joined(outputs), _joined(data), _joined(labels)
        return _joined(outputs)

    def score(
        self,
        X: Any,
        eval_metric: Any = "acc",
        num_batch: int | None = None,
        batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        reset: bool = True,
    ) -> Any:
        """Predict and measure how well.

        Args:
            X: a DataIter, which has labels. Rows that pad its last batch are counted.
            eval_metric: an EvalMetric, which is not reset, or what `metric.create` takes.
            num_batch: stop after so many batches.
            batch_end_callback: called after each batch with a BatchEndParam.
            reset: reset the iterator first.

        Returns:
            the value of the metric.
        """
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        X = self._init_iter(X, None, is_train=False)
        if reset:
            X.reset()
        executor = self._init_predictor(X.provide_data)
        names = [x[0] for x in X.provide_data]
        for i, batch in enumerate(X):
            if num_batch is not None and i == num_batch:
                break
            _run(executor, names, batch)
            eval_metric.update(batch.label, executor.outputs)
            if batch_end_callback is not None:
                tell(batch_end_callback, BatchEndParam(0, i, eval_metric, locals()))
        return eval_metric.get()[1]

    # Training ---------------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Sequence[float] | None = None,
        monitor: Any = None,
        eval_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = _LOG_VALIDATION,
        eval_batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
    ) -> None:
        """Train. `arg_params` and `aux_params` hold the result, after Ctrl-C that of the last finished step.

        Args:
            X: a DataIter, an NDArray or a NumPy array; arrays are shuffled.
            y: labels, of as many rows, if X is an array.
            eval_data: a DataIter or a pair of data and labels to score after each epoch.
            eval_metric: an EvalMetric, or what `metric.create` takes.
            epoch_end_callback: called after each epoch with ``(epoch, symbol, arg_params, aux_params)``.
            batch_end_callback: called after each batch with a BatchEndParam, whose ``nbatch`` counts from 1 here.
            kvstore: a name or a KVStore.
            logger: where the lines go; the module `logging` by default.
            work_load_list: share of a batch that each context gets.
            monitor: a Monitor, which sees outputs and gradients.
            eval_end_callback: called after each scoring with a BatchEndParam; logs it by default.
            eval_batch_end_callback: called after each batch of a scoring likewise.
        """
        if self.num_epoch is None:
            raise AssertionError("FeedForward.fit: pass num_epoch to FeedForward, the number of epochs")
        data = self._init_iter(X, y, is_train=True)
        eval_data = self._init_eval_iter(eval_data)
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        data_names, label_names = [x[0] for x in data.provide_data], [x[0] for x in data.provide_label]
        if self.sym_gen is None:
            module: BaseModule = Module(
                self.symbol, data_names, label_names, logging, self.ctx, work_load_list=work_load_list
            )
        else:
            sym_gen = self.sym_gen
            with NameManager():
                self.symbol = sym_gen(data.default_bucket_key)
            self._check_arguments()
            module = BucketingModule(
                lambda key: (sym_gen(key), data_names, label_names),
                data.default_bucket_key,
                context=self.ctx,
                work_load_list=work_load_list,
            )
        self._init_params([*data.provide_data, *data.provide_label])
        self._pred_exec = None
        module.bind(data.provide_data, data.provide_label, for_training=True)
        if monitor is not None:
            module.install_monitor(monitor)
        module.init_params(None, self.arg_params, self.aux_params)
        module.init_optimizer(kvstore, self.optimizer, self.kwargs)
        try:
            self._train(
                module,
                data,
                eval_data,
                eval_metric,
                epoch_end_callback,
                batch_end_callback,
                logger or logging,
                monitor,
                eval_end_callback,
                eval_batch_end_callback,
            )
        finally:
            self._keep(module)

    def _keep(self, module: BaseModule) -> None:
        """Write the parameters of the module into those of the model."""
        for mine, trained in zip((self.arg_params, self.aux_params), module.get_params(), strict=True):
            for name, value in trained.items():
                mine[name][:] = value

    def _train(
        self,
        module: BaseModule,
        train_data: Any,
        eval_data: Any,
        eval_metric: Any,
        epoch_end_callback: Any,
        batch_end_callback: Any,
        logger: Any,
        monitor: Any,
        eval_end_callback: Any,
        eval_batch_end_callback: Any,
    ) -> None:
        logger.info("Start training with %s", str(self.ctx))
        train_data.reset()
        for epoch in range(self.begin_epoch, self.num_epoch or 0):
            tic = time.time()
            eval_metric.reset()
            nbatch = empty = 0
            module._begin_fit(monitor, as_list(batch_end_callback))
            try:
                while True:
                    before = nbatch
                    do_reset = True
                    for data_batch in train_data:
                        if monitor is not None:
                            monitor.tic()
                        with whole():
                            module.forward_backward(data_batch)
                            module.update()
                            if monitor is not None:
                                monitor.toc_print()
                            module.update_metric(eval_metric, data_batch.label)
                        nbatch += 1
                        if batch_end_callback is not None:
                            tell(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
                        if self.epoch_size is not None and nbatch >= self.epoch_size:
                            do_reset = False
                            break
                    if do_reset:
                        logger.info("Epoch[%d] Resetting Data Iterator", epoch)
                        train_data.reset()
                    if self.epoch_size is None or nbatch >= self.epoch_size:
                        break
                    # An iterator may be at its end where an epoch begins; after a reset it may not.
                    empty = empty + 1 if nbatch == before else 0
                    if empty > 1:
                        raise ValueError(f"FeedForward.fit: the data have no batch, epoch_size is {self.epoch_size}")
            finally:
                module._end_fit()
            toc = time.time()
            logger.info("Epoch[%d] Time cost=%.3f", epoch, toc - tic)
            if epoch_end_callback:
                self._keep(module)
            for callback in as_list(epoch_end_callback):
                callback(epoch, self.symbol, self.arg_params, self.aux_params)
            if eval_data:
                # MXNet measures the scoring with the metric of the training.
                module.score(
                    eval_data, eval_metric, None, eval_batch_end_callback, eval_end_callback, reset=True, epoch=epoch
                )
                eval_data.reset()

    # Files ------------------------------------------------------------------------------------------------------------

    def save(self, prefix: str | os.PathLike[str], epoch: int | None = None, remove_amp_cast: bool = True) -> None:
        """Save a checkpoint; `epoch` is `num_epoch` by default. See `symjit.model.save_checkpoint`."""
        epoch = self.num_epoch if epoch is None else epoch
        if epoch is None:
            raise AssertionError("FeedForward.save: pass epoch, a number that becomes part of the file name")
        save_checkpoint(
            prefix, epoch, self.symbol, self.arg_params or {}, self.aux_params, remove_amp_cast=remove_amp_cast
        )

    @staticmethod
    def load(
        prefix: str | os.PathLike[str], epoch: int, ctx: Context | Sequence[Context] | None = None, **kwargs: Any
    ) -> FeedForward:
        """Return the model of a checkpoint, which goes on at that epoch; `kwargs` are arguments of FeedForward."""
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        return FeedForward(symbol, ctx=ctx, arg_params=arg_params, aux_params=aux_params, begin_epoch=epoch, **kwargs)

    @staticmethod
    def create(
        symbol: Symbol | Callable[[Any], Symbol],
        X: Any,
        y: Any = None,
        ctx: Context | Sequence[Context] | None = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Initializer = Uniform(0.01),  # noqa: B008
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Sequence[float] | None = None,
        eval_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = _LOG_VALIDATION,
        eval_batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        **kwargs: Any,
    ) -> FeedForward:
        """Return a new model, trained. The arguments are those of FeedForward and of `fit`."""
        model = FeedForward(
            symbol,
            ctx=ctx,
            num_epoch=num_epoch,
            epoch_size=epoch_size,
            optimizer=optimizer,
            initializer=initializer,
            **kwargs,
        )
        model.fit(
            X,
            y,
            eval_data=eval_data,
            eval_metric=eval_metric,
            epoch_end_callback=epoch_end_callback,
            batch_end_callback=batch_end_callback,
            kvstore=kvstore,
            logger=logger,
            work_load_list=work_load_list,
            eval_end_callback=eval_end_callback,
            eval_batch_end_callback=eval_batch_end_callback,
        )
        return model


def _run(executor: Executor, names: Sequence[str], batch: Any) -> None:
    for name, value in zip(names, batch.data, strict=True):
        value.copyto(executor.arg_dict[name])
    executor.forward(is_train=False)


def _joined(lists: Sequence[Sequence[np.ndarray]]) -> Any:
    if not all(lists):
        raise ValueError("FeedForward.predict: X gave no batch: is it empty, or at its end? Pass reset=True")
    joined = [np.concatenate(found) for found in lists]
    return joined[0] if len(joined) == 1 else joined
