"""One network unrolled to several lengths, with one set of parameters. MXNet: ``mx.mod.BucketingModule``."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symjit import ndarray as nd
from symjit import symbol as sym
from symjit.base import MXNetError, shown
from symjit.context import Context, cpu
from symjit.initializer import Initializer, Uniform
from symjit.model import load_params
from symjit.module.base_module import BaseModule
from symjit.module.inputs import check_input_names
from symjit.module.module import Module
from symjit.name import NameManager
from symjit.ndarray import NDArray
from symjit.symbol import Symbol

__all__ = ["BucketingModule"]

#: What `sym_gen` returns: the network, the names of its data, the names of its labels.
_Bucket = tuple[Symbol, Any, Any]


class BucketingModule(BaseModule):
    """A module for inputs of varying length: one network for each bucket. Source: MXNet ``mx.mod.BucketingModule``.

    Each batch names its bucket, ``data_batch.bucket_key``. All buckets share parameters, auxiliary states and the
    optimizer; each is compiled once.

    Args:
        sym_gen: a function of a bucket key that returns ``(symbol, data_names, label_names)``. It runs under a
            NameManager of its own, so automatic names are the same for each bucket.
        default_bucket_key: the key of the bucket that `bind` binds. Its symbol has every parameter.
        logger: where the lines of `fit` go.
        context: a Context, or a list of them to share each batch among.
        work_load_list: share of a batch that each context gets.
        fixed_param_names: parameters that are not trained.
        state_names: arguments that are neither data nor parameters; see `set_states`.
        group2ctxs: contexts of groups of operators.
        compression_params: how gradients are compressed.

    Raises:
        AssertionError: there is no default key.
        ValueError: a name is not among the arguments of the symbol.
    """

    def __init__(
        self,
        sym_gen: Callable[[Any], _Bucket],
        default_bucket_key: Hashable = None,
        logger: Any = logging,
        context: Context | Sequence[Context] = cpu(),  # noqa: B008
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Iterable[str] | None = None,
        state_names: Iterable[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(logger=logger)
        if default_bucket_key is None:
            raise AssertionError("BucketingModule: pass default_bucket_key, a key that sym_gen takes")
        self._default_bucket_key = default_bucket_key
        self._sym_gen = sym_gen
        self._settings: dict[str, Any] = {
            "context": context,
            "work_load_list": work_load_list,
            "fixed_param_names": list(fixed_param_names or ()),
            "state_names": list(state_names or ()),
            "group2ctxs": group2ctxs,
            "compression_params": compression_params,
        }
        symbol, data_names, label_names = self._call_sym_gen(default_bucket_key)
        check_input_names(symbol, list(data_names or ()), "data", True)
        check_input_names(symbol, list(label_names or ()), "label", False)
        check_input_names(symbol, self._settings["state_names"], "state", True)
        check_input_names(symbol, self._settings["fixed_param_names"], "fixed_param", True)
        self._buckets: dict[Hashable, Module] = {}
        self._curr_module: Any = None
        self._curr_bucket_key: Hashable = None
        self._monitor: Any = None
        self._grad_req: Any = None
        self._fitting: tuple[Any, Sequence[Any]] | None = None

    # The buckets ------------------------------------------------------------------------------------------------------

    def _call_sym_gen(self, bucket_key: Hashable) -> _Bucket:
        try:
            with NameManager():
                found = self._sym_gen(bucket_key)
        except Exception as error:
            if bucket_key is None:
                error.add_note(
                    "The batch has no bucket_key, so sym_gen was called with None: use an iterator of buckets, or"
                    " DataBatch(..., bucket_key=)"
                )
            raise
        if not isinstance(found, (tuple, list)) or len(found) != 3:
            raise ValueError(f"sym_gen must return (symbol, data_names, label_names), got {shown(found)}")
        return found[0], found[1], found[2]

    def _new_module(self, symbol: Symbol, data_names: Any, label_names: Any) -> Module:
        return Module(symbol, data_names, label_names, logger=self.logger, **self._settings)

    def _bind_bucket(self, module: Module, data_shapes: Any, label_shapes: Any) -> None:
        """Bind a bucket's module with the parameters and the optimizer of the default bucket."""
        module.bind(
            data_shapes,
            label_shapes,
            self.for_training,
            self.inputs_need_grad,
            force_rebind=False,
            shared_module=self._buckets[self._default_bucket_key],
            grad_req=self._grad_req,
        )
        if self._monitor is not None:
            module.install_monitor(self._monitor)
        if self._fitting is not None:
            module._begin_fit(*self._fitting)

    def switch_bucket(self, bucket_key: Hashable, data_shapes: Any, label_shapes: Any = None) -> None:
        """Make another bucket the current one, binding it if this is its first time.

        Args:
            bucket_key: the key of the bucket.
            data_shapes: shapes of the data, of use where the bucket is new.
            label_shapes: shapes of the labels likewise.

        Raises:
            AssertionError: the module is not bound.
        """
        self._require("switch_bucket", "binded")
        module = self._buckets.get(bucket_key)
        if module is self._curr_module:
            return
        self._settle()
        if module is None:
            module = self._new_module(*self._call_sym_gen(bucket_key))
        if not module.binded:
            self._bind_bucket(module, data_shapes, label_shapes)
            self._buckets[bucket_key] = module
        self._curr_module, self._curr_bucket_key = module, bucket_key

    def _reset_bind(self) -> None:
        self.binded = False
        self._buckets = {}
        self._curr_module = self._curr_bucket_key = None

    def _begin_fit(self, monitor: Any, callbacks: Sequence[Callable[..., Any]]) -> None:
        self._fitting = (monitor, callbacks)
        for module in self._bound():
            module._begin_fit(monitor, callbacks)

    def _end_fit(self) -> None:
        self._fitting = None
        for module in self._bound():
            module._end_fit()

    def _settle(self) -> None:
        if self._curr_module is not None:
            self._curr_module._settle()

    def _bound(self) -> list[Module]:
        return [module for module in self._buckets.values() if module.binded]

    # What the module is -----------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the data: of the current bucket, or of the default one before `bind`."""
        return self._curr_module.data_names if self.binded else self._call_sym_gen(self._default_bucket_key)[1]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: of the current bucket, or of the default one before `bind`."""
        if self.binded:
            return self._curr_module.output_names
        return self._call_sym_gen(self._default_bucket_key)[0].list_outputs()

    @property
    def data_shapes(self) -> Any:
        """Names and shapes of the current bucket's data."""
        self._require("data_shapes", "binded")
        return self._curr_module.data_shapes

    @property
    def label_shapes(self) -> Any:
        """Names and shapes of the current bucket's labels; None without labels."""
        self._require("label_shapes", "binded")
        return self._curr_module.label_shapes

    @property
    def output_shapes(self) -> Any:
        """Names and shapes of the current bucket's outputs."""
        self._require("output_shapes", "binded")
        return self._curr_module.output_shapes

    @property
    def symbol(self) -> Symbol:
        """The network of the current bucket."""
        self._require("symbol", "binded")
        return self._curr_module.symbol

    # Parameters -------------------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return parameters and auxiliary states by name, on the CPU."""
        self._require("get_params", "params_initialized")
        # The buckets share the arrays on the CPU, too: these are stale if any bucket has changed the parameters.
        modules = self._bound()
        self._curr_module._params_dirty = any(module._params_dirty for module in modules)
        params = self._curr_module.get_params()
        for module in modules:
            module._params_dirty = False
        return params

    def set_params(
        self,
        arg_params: Mapping[str, NDArray] | None,
        aux_params: Mapping[str, NDArray] | None,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set parameters and auxiliary states of all buckets; see `Module.set_params`."""
        if self.params_initialized and not force_init:
            if allow_missing:
                warnings.warn(
                    "Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2
                )
            return
        self._require("set_params", "binded")
        self._curr_module.set_params(
            arg_params, aux_params, allow_missing=allow_missing, force_init=force_init, allow_extra=allow_extra
        )
        self.params_initialized = True

    def init_params(
        self,
        initializer: Initializer | None = Uniform(0.01),  # noqa: B008
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters of all buckets their first values; see `Module.init_params`."""
        if self.params_initialized and not force_init:
            return
        self._require("init_params", "binded")
        self._curr_module.init_params(
            initializer=initializer,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
            allow_extra=allow_extra,
        )
        self.params_initialized = True

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
        """Bind the default bucket; the others are bound when their first batch comes. See `BaseModule.bind`.

        Raises:
            AssertionError: there is a `shared_module`, which is not supported.
        """
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if shared_module is not None:
            raise AssertionError(
                "BucketingModule.bind: shared_module is not supported; its buckets share by themselves"
            )
        params = self.get_params() if self.params_initialized else None
        previous = self._curr_module
        module = self._buckets.get(self._default_bucket_key)
        if force_rebind or module is None:
            module = self._new_module(*self._call_sym_gen(self._default_bucket_key))
        module.bind(data_shapes, label_shapes, for_training, inputs_need_grad, grad_req=grad_req)
        if force_rebind:
            self._reset_bind()
        self.for_training, self.inputs_need_grad, self._grad_req = for_training, inputs_need_grad, grad_req
        self._buckets[self._default_bucket_key] = module
        self._curr_module, self._curr_bucket_key = module, self._default_bucket_key
        self.binded = True
        if params is not None and not module.params_initialized:
            self.set_params(*params)
        if self.optimizer_initialized and module is not previous:
            module.borrow_optimizer(previous)

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install one optimizer for all buckets; see `BaseModule.init_optimizer`."""
        self._require("init_optimizer", "binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        self._curr_module.init_optimizer(kvstore, optimizer, optimizer_params, force_init=force_init)
        for module in self._bound():
            if module is not self._curr_module:
                module.borrow_optimizer(self._curr_module)
        self.optimizer_initialized = True

    def prepare(self, data_batch: Any, sparse_row_id_fn: Callable[[Any], Mapping[str, Any]] | None = None) -> None:
        """Bind the bucket of a batch if it is new; the current bucket stays."""
        self._require("prepare", "binded", "params_initialized")
        current, current_key = self._curr_module, self._curr_bucket_key
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        try:
            self._curr_module.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
        finally:
            self._curr_module, self._curr_bucket_key = current, current_key

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Switch to the bucket of a batch and compute its outputs."""
        self._require("forward", "binded", "params_initialized")
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.forward(data_batch, is_train=is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients in the current bucket."""
        self._require("backward", "binded", "params_initialized")
        self._curr_module.backward(out_grads=out_grads)

    def update(self) -> None:
        """Update the parameters of all buckets with the gradients of the current one."""
        self._require("update", "binded", "params_initialized", "optimizer_initialized")
        self._curr_module.update()

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs of the current bucket to a metric."""
        self._require("update_metric", "binded", "params_initialized")
        self._curr_module.update_metric(eval_metric, labels, pre_sliced)

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the outputs of the current bucket."""
        self._require("get_outputs", "binded", "params_initialized")
        return self._curr_module.get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the gradients of the current bucket's data."""
        self._require("get_input_grads", "binded", "params_initialized", "inputs_need_grad")
        return self._curr_module.get_input_grads(merge_multi_context=merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the states of the current bucket."""
        self._require("get_states", "binded", "params_initialized")
        return self._curr_module.get_states(merge_multi_context=merge_multi_context)

    def set_states(self, states: Any = None, value: float | None = None) -> None:
        """Set the states of the current bucket."""
        self._require("set_states", "binded", "params_initialized")
        self._curr_module.set_states(states, value)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor see all buckets, those that are bound later included."""
        self._require("install_monitor", "binded")
        self._monitor = mon
        for module in self._bound():
            module.install_monitor(mon)

    # Files ------------------------------------------------------------------------------------------------------------

    def save_checkpoint(self, prefix: str | os.PathLike[str], epoch: int, remove_amp_cast: bool = False) -> None:
        """Save parameters, the network of each bucket, and the list of buckets.

        Args:
            prefix: path of the files without their endings: ``prefix-EPOCH.params``, ``prefix-KEY-symbol.json``,
                ``prefix.buckets``.
            epoch: a number that becomes part of the name.
            remove_amp_cast: leave out the casts of mixed precision.

        MXNet 1.9.1 generates the symbols anew, under other automatic names than those of the parameters; here they are
        the symbols that run. No optimizer states are saved, as in MXNet.

        Raises:
            AssertionError: no bucket is bound.
            MXNetError: a key is not a whole number (nor a tuple of them), which the list of buckets could hold.
        """
        if not self._buckets:
            raise AssertionError("Empty BucketingModule cannot be saved: call bind first")
        prefix = os.fspath(prefix)
        keys = list(self._buckets)
        try:
            listed = np.array(keys)
        except ValueError:
            listed = np.array(None)
        if listed.dtype.kind not in "iu" or listed.size == 0:
            raise MXNetError(
                f"save_checkpoint: bucket keys must be whole numbers, or tuples of as many of them, got {shown(keys)}"
            )
        self.save_params(f"{prefix}-{epoch:04d}.params")
        for key, module in self._buckets.items():
            symbol = module.symbol
            assert symbol is not None  # a Module has one
            symbol.save(f"{prefix}-{key}-symbol.json", remove_amp_cast=remove_amp_cast)
        nd.save(f"{prefix}.buckets", nd.array(listed, dtype=np.int32))

    @staticmethod
    def load(
        prefix: str | os.PathLike[str],
        epoch: int,
        sym_gen: Callable[[Any], _Bucket] | None = None,
        default_bucket_key: Hashable = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """Return the module that `save_checkpoint` saved. It has parameters, and is yet to be bound.

        Args:
            prefix: path of the files without their endings.
            epoch: the epoch that was saved.
            sym_gen: see BucketingModule; tells the names of data and labels, and the networks of further buckets.
            default_bucket_key: the key of the bucket that `bind` binds.
            kwargs: further arguments of BucketingModule.

        Raises:
            AssertionError: `sym_gen` or `default_bucket_key` is missing, or it is no bucket that was saved.
            MXNetError: a file can not be read or is damaged.
        """
        if sym_gen is None:
            raise AssertionError("sym_gen is required for loading BucketingModule")
        if default_bucket_key is None:
            raise AssertionError("default_bucket_key is required for loading BucketingModule")
        prefix = os.fspath(prefix)
        file = f"{prefix}.buckets"
        saved: Any = nd.load(file)
        if not isinstance(saved, list) or len(saved) != 1 or saved[0].ndim not in (1, 2):
            raise MXNetError(f"{file}: expected one array, the keys of the buckets, got {shown(saved)}")
        keys = [key if isinstance(key, int) else tuple(key) for key in saved[0].asnumpy().astype(np.int32).tolist()]
        symbols = {key: sym.load(f"{prefix}-{key}-symbol.json") for key in keys}
        arg_params, aux_params = load_params(prefix, epoch)
        return _loaded(BucketingModule(sym_gen, default_bucket_key, **kwargs), symbols, arg_params, aux_params)

    @staticmethod
    def load_dict(
        sym_dict: Mapping[Any, Symbol] | None = None,
        sym_gen: Callable[[Any], _Bucket] | None = None,
        default_bucket_key: Hashable = None,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """Return a module of given networks and parameters. It is yet to be bound.

        Args:
            sym_dict: the networks by bucket key, the default one among them.
            sym_gen: see BucketingModule; it tells the names of data and labels, and the networks of further buckets.
            default_bucket_key: the key of the bucket that `bind` binds.
            arg_params: values of the parameters.
            aux_params: values of the auxiliary states.
            kwargs: further arguments of BucketingModule.

        Raises:
            AssertionError: an argument is missing, or the default key is not in `sym_dict`.
        """
        given = {
            "sym_dict": sym_dict,
            "sym_gen": sym_gen,
            "default_bucket_key": default_bucket_key,
            "arg_params": arg_params,
            "aux_params": aux_params,
        }
        for name, value in given.items():
            if value is None:
                raise AssertionError(f"{name} needs to be provided for BucketingModule.load_dict")
        assert sym_dict is not None and sym_gen is not None and arg_params is not None and aux_params is not None
        return _loaded(BucketingModule(sym_gen, default_bucket_key, **kwargs), sym_dict, arg_params, aux_params)


def _loaded(
    bucketing: BucketingModule,
    symbols: Mapping[Any, Symbol],
    arg_params: Mapping[str, NDArray],
    aux_params: Mapping[str, NDArray],
) -> BucketingModule:
    """Give a new module its networks and parameters."""
    default = bucketing._default_bucket_key
    if default not in symbols:
        raise AssertionError(f"default_bucket_key {default!r} is none of the buckets {shown(list(symbols))}")
    for key, symbol in symbols.items():
        _, data_names, label_names = bucketing._call_sym_gen(key)
        bucketing._buckets[key] = bucketing._new_module(symbol, data_names, label_names)
    module = bucketing._buckets[default]
    module._arg_params, module._aux_params = dict(arg_params), dict(aux_params)
    module.params_initialized = True
    bucketing._curr_module, bucketing._curr_bucket_key = module, default
    bucketing.params_initialized = True
    return bucketing
