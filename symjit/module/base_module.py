"""What all modules have in common: their states, and training, scoring and predicting. MXNet: ``mx.mod.BaseModule``."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symjit import metric
from symjit import ndarray as nd
from symjit.base import shown
from symjit.context import cpu
from symjit.initializer import Initializer, Uniform
from symjit.io import DataBatch, DataIter
from symjit.model import BatchEndParam
from symjit.module.callbacks import as_list, tell
from symjit.module.inputs import check_iterator
from symjit.module.interrupt import whole
from symjit.ndarray import NDArray
from symjit.symbol import Symbol

__all__ = ["BaseModule"]

#: What to do about a state that a method needs and the module is not in.
_REMEDIES = {
    "binded": "the module is not bound: call bind(data_shapes, label_shapes) first",
    "params_initialized": "the module has no parameters: call init_params() or set_params() first",
    "optimizer_initialized": "the module has no optimizer: call init_optimizer() first",
    "for_training": "the module is bound for inference: call bind(..., for_training=True, force_rebind=True) first",
    "inputs_need_grad": "no gradients of the inputs are computed: call bind(..., inputs_need_grad=True) first",
}

_BatchCallback = Callable[[BatchEndParam], Any]


class BaseModule:
    """A machine that computes forward and backward and updates parameters. Source: MXNet ``mx.mod.BaseModule``.

    A subclass says what it needs (`data_names`, `output_names`, ...), and how to `bind`, `init_params`,
    `init_optimizer`, `forward`, `backward`, `update`; `fit`, `score`, `predict` and `iter_predict` follow.

    Args:
        logger: where the lines of `fit` go; the module `logging`, or a Logger.

    Attributes:
        binded: shapes are known and memory is allocated.
        for_training: bound for training.
        inputs_need_grad: gradients of the data are computed, too.
        params_initialized: parameters have values.
        optimizer_initialized: `update` may be called.

    A method that is called in a state it does not allow raises AssertionError, which says what to call first.
    """

    def __init__(self, logger: Any = logging) -> None:
        self.logger = logger
        self.binded = False
        self.for_training = False
        self.inputs_need_grad = False
        self.params_initialized = False
        self.optimizer_initialized = False
        self._symbol: Symbol | None = None
        self._total_exec_bytes = 0

    # Training, scoring, predicting ------------------------------------------------------------------------------------

    def forward_backward(self, data_batch: Any) -> None:
        """Run `forward` for training, and `backward`."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        score_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> list[tuple[str, float]]:
        """Predict on data and measure how well.

        Args:
            eval_data: a DataIter. Rows that pad its last batch are counted, as in MXNet.
            eval_metric: an EvalMetric, or what `metric.create` takes; it is reset first.
            num_batch: stop after so many batches.
            batch_end_callback: called after each batch with a BatchEndParam; a list is called one by one.
            score_end_callback: called at the end likewise, ``nbatch`` being the number of batches.
            reset: reset `eval_data` first.
            epoch: the number that callbacks are told.
            sparse_row_id_fn: see `prepare`.

        Returns:
            names and values of the metric.

        Raises:
            AssertionError: the module is not bound or has no parameters.
        """
        self._require("score", "binded", "params_initialized")
        if reset:
            check_iterator("score: eval_data", eval_data, "reset")
            eval_data.reset()
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        eval_metric.reset()
        actual_num_batch = 0
        for nbatch, eval_batch in enumerate(eval_data):
            if num_batch is not None and nbatch == num_batch:
                break
            self.prepare(eval_batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            self._measure(eval_metric, eval_batch)
            if batch_end_callback is not None:
                tell(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            actual_num_batch += 1
        if score_end_callback:
            tell(score_end_callback, BatchEndParam(epoch, actual_num_batch, eval_metric, locals()))
        return eval_metric.get_name_value()

    def iter_predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        reset: bool = True,
        sparse_row_id_fn: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> Iterator[tuple[list[NDArray], int, Any]]:
        """Yield the outputs of each batch without the rows that pad it, its number, and the batch.

        Args:
            eval_data: a DataIter.
            num_batch: stop after so many batches.
            reset: reset `eval_data` first.
            sparse_row_id_fn: see `prepare`.

        Raises:
            AssertionError: the module is not bound or has no parameters (at the first batch).
        """
        self._require("iter_predict", "binded", "params_initialized")
        if reset:
            eval_data.reset()
        for nbatch, eval_batch in enumerate(eval_data):
            if num_batch is not None and nbatch == num_batch:
                break
            self.prepare(eval_batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            pad = eval_batch.pad or 0
            yield [out[0 : out.shape[0] - pad] for out in self.get_outputs()], nbatch, eval_batch

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> Any:
        """Predict, and collect the outputs.

        Args:
            eval_data: a DataIter; or one batch as an array, which runs in the mode that the module is bound for
                (dropout is active if that is training, as in MXNet) and returns its first output.
            num_batch: stop after so many batches.
            merge_batches: join the outputs of all batches; else return a list of the outputs of each batch.
            reset: reset `eval_data` first.
            always_output_list: return a list for a single output, too.
            sparse_row_id_fn: see `prepare`.

        Returns:
            an NDArray for each output, without the rows that pad the last batch; the NDArray itself if there is one
            output only. An empty list if there was no batch.

        Raises:
            AssertionError: the module is not bound or has no parameters, or batches to merge have different numbers
                of outputs.
            ValueError: `eval_data` is neither an array nor a DataIter.
        """
        self._require("predict", "binded", "params_initialized")
        if isinstance(eval_data, (NDArray, np.ndarray)):
            data = nd.array(eval_data) if isinstance(eval_data, np.ndarray) else eval_data
            self.forward(DataBatch([data]))
            return self.get_outputs()[0]
        if not isinstance(eval_data, DataIter):
            raise ValueError(
                f"predict: eval_data must be a DataIter, an NDArray or a NumPy array, got {type(eval_data).__name__};"
                " mx.io.NDArrayIter makes an iterator of arrays"
            )
        batches = [
            [out.copy() for out in outputs]  # the module may write the next batch's outputs into the same arrays
            for outputs, _, _ in self.iter_predict(eval_data, num_batch, reset, sparse_row_id_fn)
        ]
        if not batches or not merge_batches:
            return batches
        count = len(batches[0])
        for number, outputs in enumerate(batches):
            if len(outputs) != count:
                raise AssertionError(
                    f"Cannot merge batches: batch 0 has {count} outputs, batch {number} has {len(outputs)} (a bucket of"
                    " its own?); pass merge_batches=False"
                )
        merged = [nd.concatenate([outputs[i] for outputs in batches]) for i in range(count)]
        return merged[0] if count == 1 and not always_output_list else merged

    def fit(
        self,
        train_data: Any,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        eval_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        eval_batch_end_callback: _BatchCallback | Sequence[_BatchCallback] | None = None,
        initializer: Initializer | None = Uniform(0.01),  # noqa: B008 - never changed; MXNet shows it as the default
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_rebind: bool = False,
        force_init: bool = False,
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,
        monitor: Any = None,
        sparse_row_id_fn: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> None:
        """Train the parameters. Binds, initializes parameters and optimizer where that has not been done.

        Args:
            train_data: a DataIter. Rows that pad its last batch are trained on and counted, as in MXNet.
            eval_data: a DataIter to score on after each epoch.
            eval_metric: an EvalMetric, or what `metric.create` takes, measured while training.
            epoch_end_callback: called after each epoch with ``(epoch, symbol, arg_params, aux_params)``.
            batch_end_callback: called after each batch with a BatchEndParam; its ``locals`` are those of this method.
            kvstore: see `init_optimizer`.
            optimizer: a name, or an Optimizer.
            optimizer_params: arguments of the optimizer.
            eval_end_callback: called after each scoring with a BatchEndParam.
            eval_batch_end_callback: called after each batch of a scoring likewise.
            initializer: gives parameters their first values.
            arg_params: first values of parameters, before what `initializer` gives.
            aux_params: first values of auxiliary states likewise.
            allow_missing: let `initializer` give those that `arg_params` and `aux_params` lack.
            force_rebind: bind anew if the module is bound.
            force_init: initialize anew if the parameters have values.
            begin_epoch: number of the first epoch: that of the checkpoint that training resumes from.
            num_epoch: number of the last epoch plus one.
            validation_metric: what to score `eval_data` with; `eval_metric` by default.
            monitor: a Monitor, which sees outputs and gradients.
            sparse_row_id_fn: see `prepare`.

        After Ctrl-C (KeyboardInterrupt) the module goes on working: a step is done wholly or not at all, and the
        parameters are those of the last one.

        Raises:
            AssertionError: `num_epoch` is not given.
            ValueError: an epoch has no batch (MXNet raises StopIteration).
        """
        if num_epoch is None:
            raise AssertionError("fit: please specify number of epochs, as num_epoch=")
        check_iterator("fit: train_data", train_data, "provide_data")
        self.bind(
            data_shapes=train_data.provide_data,
            label_shapes=train_data.provide_label,
            for_training=True,
            force_rebind=force_rebind,
        )
        if monitor is not None:
            self.install_monitor(monitor)
        self.init_params(
            initializer=initializer,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
        )
        self.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params)
        if validation_metric is None:
            validation_metric = eval_metric
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)

        # Callbacks read the names of this method's variables in `locals`: they are part of the interface.
        for epoch in range(begin_epoch, num_epoch):
            tic = time.time()
            eval_metric.reset()
            nbatch = 0
            data_iter = iter(train_data)
            end_of_batch = False
            next_data_batch = next(data_iter, None)
            if next_data_batch is None:
                raise ValueError(
                    f"fit: train_data gave no batch in epoch {epoch}: is it empty, or at its end? Call its reset()"
                )
            eval_name_vals: list[tuple[str, float]] = []
            self._begin_fit(monitor, as_list(batch_end_callback))
            try:
                while not end_of_batch:
                    data_batch = next_data_batch
                    if monitor is not None:
                        monitor.tic()
                    with whole():
                        self.forward_backward(data_batch)
                        self.update()
                        self._measure(eval_metric, data_batch)
                    # The next batch is fetched while the device works on this one.
                    try:
                        next_data_batch = next(data_iter)
                        self.prepare(next_data_batch, sparse_row_id_fn=sparse_row_id_fn)
                    except StopIteration:
                        end_of_batch = True
                    if monitor is not None:
                        monitor.toc_print()
                    if end_of_batch:
                        eval_name_vals = eval_metric.get_global_name_value()  # before a callback resets the metric
                    if batch_end_callback is not None:
                        tell(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
                    nbatch += 1
            finally:
                self._end_fit()

            for name, val in eval_name_vals:
                self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, val)
            toc = time.time()
            self.logger.info("Epoch[%d] Time cost=%.3f", epoch, toc - tic)

            # Contexts that have drifted apart (statistics of BatchNorm) go on from the average.
            arg_params, aux_params = self.get_params()
            with whole():
                self.set_params(arg_params, aux_params)
            for callback in as_list(epoch_end_callback):
                callback(epoch, self.symbol, arg_params, aux_params)
            if eval_data is not None:
                res = self.score(
                    eval_data,
                    validation_metric,
                    score_end_callback=eval_end_callback,
                    batch_end_callback=eval_batch_end_callback,
                    epoch=epoch,
                )
                for name, val in res:
                    self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, val)
            train_data.reset()

    # What a module is -------------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the data that the module needs."""
        raise self._abstract("data_names")

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        raise self._abstract("output_names")

    @property
    def data_shapes(self) -> Any:
        """Names and shapes of the data, once bound."""
        raise self._abstract("data_shapes")

    @property
    def label_shapes(self) -> Any:
        """Names and shapes of the labels, once bound; empty or None if there are none."""
        raise self._abstract("label_shapes")

    @property
    def output_shapes(self) -> Any:
        """Names and shapes of the outputs, once bound."""
        raise self._abstract("output_shapes")

    @property
    def symbol(self) -> Symbol | None:
        """The network, for modules that have one; it may change from batch to batch."""
        return self._symbol

    # Parameters -------------------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return parameters and auxiliary states by name, on the CPU."""
        raise self._abstract("get_params")

    def init_params(
        self,
        initializer: Initializer | None = Uniform(0.01),  # noqa: B008
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give parameters and auxiliary states their first values.

        Args:
            initializer: gives those that have no value yet; None leaves them.
            arg_params: values of parameters, which come before the initializer.
            aux_params: values of auxiliary states likewise.
            allow_missing: let the initializer give those that `arg_params` and `aux_params` lack; else it is an error.
            force_init: do it even if the parameters have values.
            allow_extra: ignore names that are not of this module.
        """
        raise self._abstract("init_params")

    def set_params(
        self,
        arg_params: Mapping[str, NDArray] | None,
        aux_params: Mapping[str, NDArray] | None,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set parameters and auxiliary states; the arguments are those of `init_params`."""
        self.init_params(
            initializer=None,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
            allow_extra=allow_extra,
        )

    def save_params(self, fname: str | os.PathLike[str]) -> None:
        """Save parameters and auxiliary states to a ``.params`` file, which MXNet loads; it is replaced in one step."""
        arg_params, aux_params = self.get_params()
        saved = {f"arg:{name}": value.as_in_context(cpu()) for name, value in arg_params.items()}
        saved.update({f"aux:{name}": value.as_in_context(cpu()) for name, value in aux_params.items()})
        nd.save(fname, saved)

    def load_params(self, fname: str | os.PathLike[str]) -> None:
        """Set parameters and auxiliary states from a ``.params`` file.

        Raises:
            ValueError: the file holds something else than named parameters (``arg:``) and states (``aux:``).
        """
        loaded = nd.load(fname)
        found: dict[str, dict[str, NDArray]] = {"arg": {}, "aux": {}}
        if not isinstance(loaded, Mapping):
            raise ValueError(
                f"Invalid param file {os.fspath(fname)}: its arrays have no names; save_params writes them"
            )
        for key, value in loaded.items():
            kind, _, name = key.partition(":")
            if kind not in found or not name:
                raise ValueError(
                    f"Invalid param file {os.fspath(fname)}: name {shown(key)} begins with neither 'arg:' nor 'aux:'"
                )
            found[kind][name] = value
        self.set_params(found["arg"], found["aux"])

    # Computation ------------------------------------------------------------------------------------------------------

    def bind(
        self,
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: str | Sequence[str] | Mapping[str, str] = "write",
    ) -> None:
        """Allocate what the computation needs.

        Args:
            data_shapes: DataDesc, or pairs of a name and a shape; what iterators call ``provide_data``.
            label_shapes: labels likewise, ``provide_label``.
            for_training: gradients will be asked for.
            inputs_need_grad: compute gradients of the data, too.
            force_rebind: bind anew if the module is bound; else that is a warning, and nothing happens.
            shared_module: a module to share parameters with.
            grad_req: ``"write"``, ``"add"`` or ``"null"``, for all, or by position or name of the argument.
        """
        raise self._abstract("bind")

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install what `update` does.

        Args:
            kvstore: a name or a KVStore, for training on several devices.
            optimizer: a name or an Optimizer.
            optimizer_params: arguments of the optimizer, as a dict or pairs.
            force_init: do it even if the module has an optimizer.
        """
        raise self._abstract("init_optimizer")

    def prepare(self, data_batch: Any, sparse_row_id_fn: Callable[[Any], Mapping[str, Any]] | None = None) -> None:
        """Get ready for a batch before `forward`: bind what its shapes or its bucket need.

        Args:
            data_batch: the next batch.
            sparse_row_id_fn: tells which rows of row_sparse parameters the batch uses.
        """
        if sparse_row_id_fn is not None:
            warnings.warn(UserWarning("sparse_row_id_fn is not invoked for BaseModule."), stacklevel=2)

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute outputs of a batch, in training mode if `is_train`, which is `for_training` by default."""
        raise self._abstract("forward")

    def backward(self, out_grads: Any = None) -> None:
        """Compute gradients; `out_grads` are those of outputs that are no losses."""
        raise self._abstract("backward")

    def update(self) -> None:
        """Update the parameters with the gradients of the last `backward`."""
        raise self._abstract("update")

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs to a metric.

        Args:
            eval_metric: an EvalMetric.
            labels: the labels of the batch; for `pre_sliced`, a list of them for each context.
            pre_sliced: the labels are divided among the contexts.
        """
        raise self._abstract("update_metric")

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the outputs of the last `forward`, joined over the contexts or as a list for each output."""
        raise self._abstract("get_outputs")

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the gradients of the data of the last `backward`, joined or as a list for each input."""
        raise self._abstract("get_input_grads")

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the states, of which a module has none unless it says so; `merge_multi_context` must be False then."""
        self._require("get_states", "binded", "params_initialized")
        if merge_multi_context:
            raise AssertionError("get_states: this module has no states to merge; pass merge_multi_context=False")
        return []

    def set_states(self, states: Any = None, value: float | None = None) -> None:
        """Set the states, of which a module has none unless it says so."""
        self._require("set_states", "binded", "params_initialized")
        if states or value:
            raise AssertionError("set_states: this module has no states; name some with Module(..., state_names=)")

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor see what is computed."""
        raise self._abstract("install_monitor")

    # For subclasses ---------------------------------------------------------------------------------------------------

    def _begin_fit(self, monitor: Any, callbacks: Sequence[Callable[..., Any]]) -> None:
        """Hear that batches of `fit` begin: nobody but this monitor and these callbacks looks at the module."""

    def _end_fit(self) -> None:
        """Hear that the batches have ended, or an error has ended them."""

    def _settle(self) -> None:
        """Run what has been asked for and put off."""

    def _measure(self, eval_metric: Any, batch: Any) -> None:
        """Add the outputs of a batch, or of a list of one batch for each context, to a metric."""
        if isinstance(batch, list):
            self.update_metric(eval_metric, [part.label for part in batch], pre_sliced=True)
        else:
            self.update_metric(eval_metric, batch.label)

    def _require(self, method: str, *states: str) -> None:
        """Check the states that a method needs.

        Raises:
            AssertionError: the module is not in one of them.
        """
        for state in states:
            if not getattr(self, state):
                raise AssertionError(f"{type(self).__name__}.{method}: {_REMEDIES[state]}")

    def _abstract(self, method: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not define {method}, which every module has to")
