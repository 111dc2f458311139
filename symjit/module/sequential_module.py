"""Modules in a chain: the outputs of one are the data of the next. MXNet: ``mx.mod.SequentialModule``."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjit.initializer import Initializer, Uniform
from symjit.module.base_module import BaseModule
from symjit.ndarray import NDArray

__all__ = ["SequentialModule"]


class SequentialModule(BaseModule):
    """A chain of modules. Source: MXNet ``mx.mod.SequentialModule``.

    Each module is compiled for itself: one symbol in one Module is faster.

    Args:
        logger: where the lines of `fit` go.

    Attributes:
        META_TAKE_LABELS: key of `add`: the module gets the labels of the batch, and takes part in metrics.
        META_AUTO_WIRING: key of `add`: the outputs of the module before it get the names of this one's data.

    Unlike MXNet 1.9.1, where they stay False, `for_training` and `inputs_need_grad` tell what `bind` was called with,
    so `get_input_grads` works.
    """

    META_TAKE_LABELS = "take_labels"
    META_AUTO_WIRING = "auto_wiring"

    def __init__(self, logger: Any = logging) -> None:
        super().__init__(logger=logger)
        self._modules: list[BaseModule] = []
        self._metas: list[dict[str, Any]] = []
        self._label_shapes: Any = None
        # A subclass may know more keys.
        self._meta_keys = {getattr(type(self), name) for name in dir(type(self)) if name.startswith("META_")}

    def add(self, module: BaseModule, **kwargs: Any) -> SequentialModule:
        """Append a module.

        Args:
            module: the module.
            kwargs: ``take_labels=True`` and ``auto_wiring=True``, see the class.

        Returns:
            this object, so that calls can be chained. It has to be bound again.

        Raises:
            AssertionError: a keyword is unknown.
        """
        for key in kwargs:
            if key not in self._meta_keys:
                raise AssertionError(f'Unknown meta "{key}", a typo? Expected one of {sorted(self._meta_keys)}')
        self._modules.append(module)
        self._metas.append(kwargs)
        self.binded = False
        self.params_initialized = False
        self.optimizer_initialized = False
        return self

    # What the module is -----------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the first module's data."""
        return self._modules[0].data_names if self._modules else []

    @property
    def output_names(self) -> list[str]:
        """Names of the last module's outputs."""
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self) -> Any:
        """Names and shapes of the first module's data."""
        self._require("data_shapes", "binded")
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> Any:
        """Names and shapes of the labels as given to `bind`; None if no module takes labels."""
        self._require("label_shapes", "binded")
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """Names and shapes of the last module's outputs."""
        self._require("output_shapes", "binded")
        return self._modules[-1].output_shapes

    # Parameters -------------------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return parameters and auxiliary states of all modules by name, on the CPU."""
        self._require("get_params", "binded", "params_initialized")
        arg_params: dict[str, NDArray] = {}
        aux_params: dict[str, NDArray] = {}
        for module in self._modules:
            arg, aux = module.get_params()
            arg_params.update(arg)
            aux_params.update(aux)
        return arg_params, aux_params

    def init_params(
        self,
        initializer: Initializer | None = Uniform(0.01),  # noqa: B008
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters of all modules their first values; see `BaseModule.init_params`.

        Raises:
            AssertionError: the chain is not bound, or two modules have parameters of one name.
        """
        if self.params_initialized and not force_init:
            return
        self._require("init_params", "binded")
        for module in self._modules:
            module.init_params(
                initializer=initializer,
                arg_params=arg_params,
                aux_params=aux_params,
                allow_missing=allow_missing,
                force_init=force_init,
                allow_extra=allow_extra,
            )
        owners: dict[str, dict[str, int]] = {"arg": {}, "aux": {}}
        for i, module in enumerate(self._modules):
            for known, names in zip(owners.values(), module.get_params(), strict=True):
                for name in names:
                    if name in known:
                        raise AssertionError(
                            f'Duplicated parameter names: name "{name}" in layer {i} ({type(module).__name__}) is'
                            f" already used in layer {known[name]} ({type(self._modules[known[name]]).__name__});"
                            " rename one of them"
                        )
                    known[name] = i
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
        """Bind all modules, each to the output shapes of the one before it; see `BaseModule.bind`.

        Raises:
            AssertionError: the chain is empty; there is a `shared_module`, which is not supported; gradients of the
                inputs are asked for without training; or a wired module takes another number of data.
        """
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if inputs_need_grad and for_training is not True:
            raise AssertionError("SequentialModule.bind: inputs_need_grad=True needs for_training=True")
        if shared_module is not None:
            raise AssertionError("SequentialModule.bind: shared_module is not supported")
        if not self._modules:
            raise AssertionError("Attempting to bind an empty SequentialModule: add() modules first")
        shapes = data_shapes
        for i, module in enumerate(self._modules):
            if self._metas[i].get(self.META_AUTO_WIRING, False):
                names = module.data_names
                if len(names) != len(shapes):
                    raise AssertionError(
                        f"SequentialModule.bind: layer {i} ({type(module).__name__}) takes {len(names)} data, {names},"
                        f" and gets {len(shapes)}, {[x[0] for x in shapes]}"
                    )
                shapes = [(name, shape) for name, (_, shape) in zip(names, shapes, strict=True)]
            module.bind(
                data_shapes=shapes,
                label_shapes=label_shapes if self._takes_labels(i) else None,
                for_training=for_training,
                inputs_need_grad=bool(inputs_need_grad or (for_training and i > 0)),
                force_rebind=force_rebind,
                shared_module=None,
                grad_req=grad_req,
            )
            shapes = module.output_shapes
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self._label_shapes = label_shapes if any(map(self._takes_labels, range(len(self._modules)))) else None
        self.binded = True

    def _takes_labels(self, i: int) -> bool:
        return bool(self._metas[i].get(self.META_TAKE_LABELS, False))

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install an optimizer in each module; see `BaseModule.init_optimizer`."""
        self._require("init_optimizer", "binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        for module in self._modules:
            module.init_optimizer(
                kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params, force_init=force_init
            )
        self.optimizer_initialized = True

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run the modules one after another. Each gets the labels, and the outputs of the one before as data."""
        self._require("forward", "binded", "params_initialized")
        batch = copy.copy(data_batch)
        label_shapes = getattr(batch, "provide_label", None)
        for i, module in enumerate(self._modules):
            if label_shapes is not None:  # those who take no labels are not bound for their shapes
                batch.provide_label = label_shapes if self._takes_labels(i) else None
            module.forward(batch, is_train=is_train)
            if i + 1 == len(self._modules):
                break
            batch.data = module.get_outputs()
            if hasattr(batch, "provide_data"):
                wired = self._metas[i + 1].get(self.META_AUTO_WIRING, False)
                names = self._modules[i + 1].data_names if wired else [x[0] for x in module.output_shapes]
                batch.provide_data = [(name, x.shape) for name, x in zip(names, batch.data, strict=True)]

    def backward(self, out_grads: Any = None) -> None:
        """Run the modules backward from the last, each with the gradients of the next one's data."""
        self._require("backward", "binded", "params_initialized")
        for i in reversed(range(len(self._modules))):
            self._modules[i].backward(out_grads=out_grads)
            if i > 0:
                out_grads = self._modules[i].get_input_grads()

    def update(self) -> None:
        """Update the parameters of all modules."""
        self._require("update", "binded", "params_initialized", "optimizer_initialized")
        for module in self._modules:
            module.update()

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs of each module that takes labels to a metric."""
        self._require("update_metric", "binded", "params_initialized")
        for i, module in enumerate(self._modules):
            if self._takes_labels(i):
                module.update_metric(eval_metric, labels, pre_sliced)

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the outputs of the last module."""
        self._require("get_outputs", "binded", "params_initialized")
        return self._modules[-1].get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the gradients of the first module's data."""
        self._require("get_input_grads", "binded", "params_initialized", "inputs_need_grad")
        return self._modules[0].get_input_grads(merge_multi_context=merge_multi_context)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor see all modules."""
        self._require("install_monitor", "binded")
        for module in self._modules:
            module.install_monitor(mon)

    def _begin_fit(self, monitor: Any, callbacks: Sequence[Callable[..., Any]]) -> None:
        for module in self._modules:
            module._begin_fit(monitor, callbacks)

    def _end_fit(self) -> None:
        for module in self._modules:
            module._end_fit()

    def _settle(self) -> None:
        for module in self._modules:
            module._settle()
