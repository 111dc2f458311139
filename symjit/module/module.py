"""Module: a symbol with its parameters, an optimizer, and the contexts that it runs on."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from symjit import callback
from symjit import optimizer as opt
from symjit.context import Context, cpu
from symjit.executor import Executor
from symjit.initializer import Uniform
from symjit.io import DataDesc
from symjit.metric import EvalMetric
from symjit.model import load_checkpoint
from symjit.module.base_module import BaseModule
from symjit.module.group import ExecutorGroup
from symjit.module.inputs import check_input_names, other_shapes, parse_data_desc, warn_of_rows
from symjit.module.setup import blank, check_contexts, fill, known_kvstore, made_optimizer
from symjit.module.shards import ShardedStep
from symjit.module.states import load_states, preloaded, save_states, states_file
from symjit.module.step import Flight, Step, metering
from symjit.ndarray import NDArray
from symjit.predictor import checkpoint_files
from symjit.symbol import Symbol

__all__ = ["Module"]


class Module(BaseModule):
    """A symbol that can be trained and run. Source: MXNet ``mx.mod.Module``.

    A training step runs as one compiled program. `forward`, `backward` and `update` only note what is to be done; it is
    done when `update_metric` is called, when something is read, or with the next batch. Where somebody looks in between
    (outputs between forward and backward, a monitor, gradients that are summed up, an optimizer or metric in NumPy
    code), forward, backward and update run one by one. The numbers are the same.

    Deviation from MXNet: with several contexts gradients are summed whatever `kvstore` is, unless it is None.
    """

    def __init__(
        self,
        symbol: Symbol,
        data_names: Sequence[str] | None = ("data",),
        label_names: Sequence[str] | None = ("softmax_label",),
        logger: Any = logging,
        context: Context | Sequence[Context] = cpu(0),  # noqa: B008 - MXNet's default, which holds no state
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a module; nothing is computed or allocated yet.

        Args:
            symbol: the network.
            data_names: its arguments that are data.
            label_names: its arguments that are labels.
            logger: gets the messages of `fit`.
            context: the device, or several among which batches are shared.
            work_load_list: how much of a batch each of several contexts gets.
            fixed_param_names: parameters that are not trained.
            state_names: arguments that are neither data nor parameters; zero, or what `set_states` says.
            group2ctxs: accepted, changes nothing.
            compression_params: accepted, changes nothing.

        Raises:
            ValueError: a name is no argument of `symbol` (labels are a warning).
        """
        super().__init__(logger=logger)
        self._context = [context] if isinstance(context, Context) else list(context)
        count = len(self._context)
        self._work_load_list = [1] * count if work_load_list is None else list(work_load_list)
        if len(self._work_load_list) != count:
            raise AssertionError(f"work_load_list has {len(self._work_load_list)} numbers for {count} contexts")
        self._group2ctxs, self._compression_params = group2ctxs, compression_params
        self._symbol = symbol
        self._data_names, self._label_names = list(data_names or ()), list(label_names or ())
        self._state_names, self._fixed_param_names = list(state_names or ()), list(fixed_param_names or ())
        check_input_names(symbol, self._data_names, "data", True)
        check_input_names(symbol, self._label_names, "label", False)
        check_input_names(symbol, self._state_names, "state", True)
        check_input_names(symbol, self._fixed_param_names, "fixed_param", True)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        self._param_names = [name for name in symbol.list_arguments() if name not in inputs]
        self._aux_names, self._output_names = symbol.list_auxiliary_states(), symbol.list_outputs()
        self._arg_params: dict[str, NDArray] | None = None
        self._aux_params: dict[str, NDArray] | None = None
        self._params_dirty = False
        self._optimizer: opt.Optimizer | None = None
        self._updater: opt.Updater | None = None
        self._kvstore: Any = None
        self._update_on_kvstore = False
        self._preload_opt_states: str | None = None
        self._preload_params: str | None = None
        self._grad_req: Any = None
        self._group: ExecutorGroup | None = None
        self._data_shapes: list[DataDesc] | None = None
        self._label_shapes: list[DataDesc] | None = None
        #: What is noted and not done: nothing, ``"forward"``, ``"backward"`` too, or ``"update"`` too.
        self._stage: str | None = None
        self._noted: Step | ShardedStep | None = None
        self._hypers: list[dict[str, float]] = []
        #: Whether `update` leaves the step to `update_metric`, and whether gradients are kept.
        self._metric_follows, self._keeps_gradients = True, True
        self._step: tuple[Executor, Step | ShardedStep] | None = None
        self._compiled: dict[Any, Any] = {}
        self._flight = Flight()
        self._monitors: list[Any] = []

    # Checkpoints ------------------------------------------------------------------------------------------------------

    @staticmethod
    def load(prefix: str | os.PathLike[str], epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """Make a module of a checkpoint; `bind` and `init_params` are still to be called, as in MXNet.

        Args:
            prefix: path of the checkpoint without its endings.
            epoch: the epoch that was saved.
            load_optimizer_states: load ``prefix-EPOCH.states`` when the optimizer is initialized.
            **kwargs: further arguments of the module.

        Raises:
            MXNetError: a file can not be read or is damaged.
        """
        symbol, args, aux = load_checkpoint(prefix, epoch)
        module = Module(symbol, **kwargs)
        module._arg_params, module._aux_params = args, aux
        module.params_initialized = True
        if load_optimizer_states:
            module._preload_opt_states, module._preload_params = preloaded(prefix, epoch)
        return module

    def save_checkpoint(
        self,
        prefix: str | os.PathLike[str],
        epoch: int,
        save_optimizer_states: bool = False,
        remove_amp_cast: bool = True,
    ) -> None:
        """Save ``prefix-symbol.json``, ``prefix-EPOCH.params`` and, if asked for, ``prefix-EPOCH.states``.

        Each file is replaced in one step and in this order, so a save that fails leaves the old one whole.
        """
        symbol_file, params_file = checkpoint_files(prefix, epoch)
        self._symbol.save(symbol_file, remove_amp_cast=remove_amp_cast)  # type: ignore[union-attr]
        self.save_params(params_file)
        logging.info('Saved checkpoint to "%s"', params_file)
        if save_optimizer_states:
            self._require("save_optimizer_states", "optimizer_initialized")
            save_states(self._updater, states_file(prefix, epoch), params_file)
            logging.info('Saved optimizer state to "%s"', states_file(prefix, epoch))

    def save_optimizer_states(self, fname: str | os.PathLike[str]) -> None:
        """Save the optimizer's states, its class, and how many updates it has made."""
        self._require("save_optimizer_states", "optimizer_initialized")
        self._settle()
        save_states(self._updater, fname)

    def load_optimizer_states(self, fname: str | os.PathLike[str]) -> None:
        """Load the optimizer's states, MXNet's too; one that has made no updates takes the counts of ours as well.

        Raises:
            MXNetError: the file is damaged, or of another optimizer or network; the module keeps its own states.
        """
        self._require("load_optimizer_states", "optimizer_initialized")
        self._settle()
        self._optimizer = load_states(self._updater, fname, self._bound, self._kvstore is None)

    # What it is -------------------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the data."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """Names of the labels."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> list[DataDesc]:
        """Names and shapes of the data for which it is bound."""
        self._require("data_shapes", "binded")
        return self._data_shapes  # type: ignore[return-value]

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """Names and shapes of the labels for which it is bound; None if it is bound without any."""
        self._require("label_shapes", "binded")
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the outputs for the whole batch."""
        self._require("output_shapes", "binded")
        return self._bound.output_shapes()

    @property
    def _bound(self) -> ExecutorGroup:
        assert self._group is not None
        return self._group

    @property
    def _exec_group(self) -> ExecutorGroup | None:
        # Programs on MXNet reach for it; what they find there is up to date.
        self._settle()
        return self._group

    # Parameters -------------------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return ``(arg_params, aux_params)``, arrays by name on the CPU.

        They are the same arrays every time; a later call brings them up to date, steps alone do not. Auxiliary states
        of several contexts are averaged.
        """
        self._require("get_params", "params_initialized")
        self._settle()
        if self._params_dirty:
            self._sync_params_from_devices()
        return self._arg_params, self._aux_params  # type: ignore[return-value]

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's default; it holds no state
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Set the parameters and auxiliary states, from given ones or by an initializer.

        Args:
            initializer: called with a name and an array that it fills.
            arg_params: parameters by name.
            aux_params: auxiliary states by name.
            allow_missing: leave what is not given to the initializer.
            force_init: do so even if they have been set before.
            allow_extra: accepted; given names that the network does not have are passed over.

        Raises:
            RuntimeError: a parameter is missing.
            TypeError: what is given is no dict of NDArrays, or the initializer can not be called.
            MXNetError: a parameter has another shape. Nothing is changed then.
        """
        if self.params_initialized and not force_init:
            warnings.warn(
                "Parameters already initialized and force_init=False. init_params call ignored.", stacklevel=2
            )
            return
        self._require("init_params", "binded")
        self._settle()
        kinds: Any = (self._arg_params, arg_params), (self._aux_params, aux_params)
        fill(kinds, initializer, self._symbol.attr_dict(), allow_missing)  # type: ignore[union-attr]
        self.params_initialized = True
        self._params_dirty = False
        self._bound.set_params(self._arg_params, self._aux_params, allow_extra=allow_extra)  # type: ignore[arg-type]

    def set_params(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set parameters and auxiliary states; see `init_params` for the arguments.

        Raises:
            RuntimeError: a parameter is missing.
            ValueError: a given name is not in the network.
        """
        if not allow_missing:
            self.init_params(None, arg_params, aux_params, allow_missing, force_init, allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        self._settle()
        self._bound.set_params(arg_params, aux_params, allow_extra=allow_extra)
        # Those that were not given keep what they have on the devices.
        self._params_dirty = True
        self.params_initialized = True

    def _sync_params_from_devices(self) -> None:
        self._bound.get_params(self._arg_params, self._aux_params)  # type: ignore[arg-type]
        self._params_dirty = False

    # Binding ----------------------------------------------------------------------------------------------------------

    def bind(
        self,
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Module | None = None,
        grad_req: str | Sequence[str] | Mapping[str, str] = "write",
    ) -> None:
        """Allocate the arrays for inputs of given shapes.

        Args:
            data_shapes: ``(name, shape)`` of the data, such as ``DataIter.provide_data``.
            label_shapes: ``(name, shape)`` of the labels.
            for_training: allocate gradients too.
            inputs_need_grad: compute the gradients of the data as well.
            force_rebind: bind again.
            shared_module: a bound module whose parameters, and optimizer if it has one, are shared.
            grad_req: ``"write"``, ``"add"`` or ``"null"``: for all parameters, for every argument, or by name.

        Raises:
            ValueError: the names of data are not those of the module.
            KeyError: the labels have other names than those of the network.
            AssertionError: `label_shapes` is empty, and the network needs labels to train.
            MXNetError: shapes contradict each other.
        """
        if force_rebind:
            self._settle()
            if self.binded and self._params_dirty:
                self._sync_params_from_devices()
            self.binded, self._step, self._group, self._data_shapes, self._label_shapes = False, None, None, None, None
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if inputs_need_grad and not for_training:
            raise AssertionError("bind: inputs_need_grad=True needs for_training=True")
        check_contexts(len(self._context), self._group2ctxs, shared_module, Module)
        self._data_shapes, self._label_shapes = parse_data_desc(
            self._data_names, self._label_names, data_shapes, label_shapes
        )
        self._group = ExecutorGroup(
            self._symbol,  # type: ignore[arg-type]
            self._context,
            self._work_load_list,
            self._data_shapes,
            self._label_shapes,
            self._param_names,
            for_training,
            inputs_need_grad,
            None if shared_module is None else shared_module._exec_group,
            self._fixed_param_names,
            grad_req,
            self._state_names,
        )
        self.for_training, self.inputs_need_grad, self._grad_req = for_training, inputs_need_grad, grad_req
        if shared_module is not None:
            self.params_initialized = True
            self._arg_params, self._aux_params = shared_module._arg_params, shared_module._aux_params
            self._flight = shared_module._flight
        elif self.params_initialized:
            self._group.set_params(self._arg_params, self._aux_params)  # type: ignore[arg-type]
        else:
            self._arg_params = blank(self._param_names, self._group.param_arrays)
            self._aux_params = blank(self._aux_names, self._group.aux_arrays)
        if shared_module is not None and shared_module.optimizer_initialized:
            self.borrow_optimizer(shared_module)
        self.binded = True

    def reshape(self, data_shapes: Sequence[Any], label_shapes: Sequence[Any] | None = None) -> None:
        """Bind for other shapes of the inputs; parameters and optimizer stay.

        Raises:
            ValueError: the names of data are not those of the module.
            MXNetError: shapes contradict each other.
        """
        self._require("reshape", "binded")
        self._settle()
        shapes = parse_data_desc(self._data_names, self._label_names, data_shapes, label_shapes)
        self._bound.reshape(*shapes)
        self._data_shapes, self._label_shapes = shapes

    # Optimizer --------------------------------------------------------------------------------------------------------

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: str | opt.Optimizer = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install an optimizer.

        Args:
            kvstore: how several contexts share gradients: a name that MXNet knows, or None, where each context trains
                alone.
            optimizer: a name or an object.
            optimizer_params: arguments for the optimizer's constructor; `rescale_grad` is one by the batch size unless
                it is among them.
            force_init: do so even if there is one.

        Raises:
            ValueError: the optimizer, or with several contexts the kvstore, has an unknown name.
            TypeError: `kvstore` is neither a name nor None.
        """
        self._require("init_optimizer", "binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        self._settle()
        if self._params_dirty:
            self._sync_params_from_devices()
        kvstore = known_kvstore(kvstore, len(self._context))
        alone = kvstore is None
        updater = opt.get_updater(made_optimizer(optimizer, optimizer_params, self._symbol, self._bound, alone))
        if self._preload_opt_states is not None:
            load_states(updater, self._preload_opt_states, self._bound, alone, self._preload_params)
            self._preload_opt_states = None
        self._kvstore, self._update_on_kvstore = kvstore, not alone
        self._optimizer, self._updater = updater.optimizer, updater
        self.optimizer_initialized = True

    def borrow_optimizer(self, shared_module: Module) -> None:
        """Use the optimizer of another module, and its states."""
        shared_module._require("borrow_optimizer", "optimizer_initialized")
        self._optimizer, self._updater = shared_module._optimizer, shared_module._updater
        self._kvstore, self._update_on_kvstore = shared_module._kvstore, shared_module._update_on_kvstore
        self.optimizer_initialized = True

    # Steps ------------------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run on a batch; one of other shapes binds the module for these.

        Args:
            data_batch: anything with lists of arrays `data` and `label`; a list of one batch for each context.
            is_train: run in training mode; as it is bound if None.

        Raises:
            MXNetError: shapes do not fit the network.
        """
        self._require("forward", "binded", "params_initialized")
        self._settle()
        other = other_shapes(data_batch, self.data_shapes, self.label_shapes)
        if other is not None:
            self.reshape(*other)
        self._bound.load(data_batch)
        train = self.for_training if is_train is None else is_train
        if train and self.for_training and self._step_of() is not None:
            self._stage, self._flight.noting = "forward", self
        else:
            self._bound.forward(train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the last training forward.

        Args:
            out_grads: gradients of the outputs; may be left out where they are losses.

        Raises:
            MXNetError: there was no training forward, or a head gradient is needed and not given.
        """
        self._require("backward", "binded", "params_initialized", "for_training")
        if self._stage == "forward" and out_grads is None:
            self._stage = "backward"
            return
        self._settle()
        self._bound.backward(out_grads)

    def update(self) -> None:
        """Update the parameters by the optimizer and the gradients of the last `backward`."""
        self._require("update", "binded", "params_initialized", "optimizer_initialized")
        self._params_dirty = True
        step = self._step_of() if self._stage == "backward" else None
        if step is None:
            self._settle()
            self._bound.update(self._updater, alone=self._kvstore is None)  # type: ignore[arg-type]
            return
        assert self._optimizer is not None
        self._optimizer._set_current_context(self._context[0].device_id)
        self._hypers = self._optimizer.advance(step.indices)
        self._stage, self._noted = "update", step
        if not self._metric_follows or len(self._context) > 1:
            self._run_step()

    def update_metric(self, eval_metric: EvalMetric, labels: Sequence[Any], pre_sliced: bool = False) -> None:
        """Update a metric by the outputs of the last forward.

        Args:
            eval_metric: the metric.
            labels: the labels, usually ``data_batch.label``.
            pre_sliced: `labels` is a list of labels for each context.
        """
        if self._stage == "update" and not pre_sliced and metering(eval_metric) is not None:
            named, step = dict(zip(self._bound.label_names, labels or (), strict=False)), self._noted
            if all(isinstance(x, NDArray) for x in named.values()):
                try:
                    return self._run_step(eval_metric, named)
                except Exception:
                    self._stage, self._noted = "update", step
                    self._run_step()  # the metric refuses these labels; the parameters are updated all the same
                    raise
        self._settle()
        self._bound.update_metric(eval_metric, labels, pre_sliced)

    def _step_of(self) -> Step | ShardedStep | None:
        """Return what compiles the steps of the present shapes, None where they have to run apart."""
        several = len(self._context) > 1
        if self._optimizer is None or (several and self._kvstore is None):
            return None
        if any(getattr(monitor, "activated", True) for monitor in self._monitors):
            return None
        group = self._bound
        if self._step is None or self._step[0] is not group.execs[0]:
            made = (
                ShardedStep(group, self._param_names, self._flight, self._compiled)
                if several
                else Step(group.execs[0], self._param_names, self._flight, self._compiled)
            )
            self._step = group.execs[0], made
        step = self._step[1]
        return step if step.suits(self._optimizer) else None

    def _run_step(self, metric: EvalMetric | None = None, labels: dict[str, NDArray] | None = None) -> None:
        """Run the step that is noted whole."""
        step, self._stage, self._noted = self._noted, None, None
        optimizer, updater = self._optimizer, self._updater
        assert step is not None and optimizer is not None and updater is not None
        if isinstance(step, ShardedStep):
            step.run(optimizer, updater, self._hypers, self._keeps_gradients)
        else:
            step.run(optimizer, updater, self._hypers, self._keeps_gradients, metric, labels)

    def _settle(self) -> None:
        """Do what is noted, by this module or one that it shares its parameters with."""
        if self._stage is None:
            other, self._flight.noting = self._flight.noting, None
            if other not in (None, self):
                other._settle()
            return
        if self._stage == "update":
            # Nobody waited for: whoever updates without a metric wants the device to start at once.
            self._metric_follows = False
            self._run_step()
            return
        stage, self._stage = self._stage, None
        self._bound.forward(True)
        if stage == "backward":
            self._bound.backward()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the outputs of the last forward, joined over the contexts, or for each output a list of them."""
        self._require("get_outputs", "binded", "params_initialized")
        self._settle()
        return self._bound.get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the gradients of the data, joined over the contexts, or for each a list of them."""
        self._require("get_input_grads", "binded", "params_initialized", "inputs_need_grad")
        self._settle()
        return self._bound.get_input_grads(merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list[list[NDArray]]:
        """Return the states, for each a list over the contexts; `merge_multi_context` has to be False, as in MXNet."""
        self._require("get_states", "binded", "params_initialized")
        if merge_multi_context:
            raise AssertionError("merge_multi_context=True is not supported for get_states yet: pass False")
        self._settle()
        return self._bound.state_arrays

    def set_states(self, states: Sequence[Any] | None = None, value: float | None = None) -> None:
        """Set the states: from arrays, or all to one number."""
        self._require("set_states", "binded", "params_initialized")
        self._settle()
        self._bound.set_states(states, value)

    def install_monitor(self, mon: Any) -> None:
        """Show every operator's outputs to a monitor; steps at which it looks run apart."""
        self._require("install_monitor", "binded")
        self._settle()
        self._monitors.append(mon)
        for executor in self._bound.execs:
            mon.install(executor)

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for a batch; nothing is to be done for dense parameters, as a warning says if rows are named."""
        self._require("prepare", "binded")
        if sparse_row_id_fn is not None:
            warn_of_rows(sparse_row_id_fn, data_batch, self._param_names, self._kvstore)

    def _begin_fit(self, monitor: Any, callbacks: Any) -> None:
        # Our own callbacks read the metric alone; anybody else's may look at gradients.
        strangers = any(getattr(each, "__module__", None) != callback.__name__ for each in callbacks)
        self._metric_follows, self._keeps_gradients = True, monitor is not None or strangers

    def _end_fit(self) -> None:
        self._settle()
        self._metric_follows, self._keeps_gradients = True, True
