"""Modules whose computation is written in Python. MXNet: ``mx.mod.PythonModule`` and ``PythonLossModule``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjit import ndarray as nd
from symjit.initializer import Initializer, Uniform
from symjit.module.base_module import BaseModule
from symjit.ndarray import NDArray

__all__ = ["PythonLossModule", "PythonModule"]


class PythonModule(BaseModule):
    """A module without parameters, most of whose methods do nothing. Source: MXNet ``mx.mod.PythonModule``.

    A subclass defines ``_compute_output_shapes()``, `forward`, `get_outputs`, and to be trained through `backward` and
    `get_input_grads`; one with parameters overrides `get_params`, `init_params` and `update`, too.

    Args:
        data_names: names of the data.
        label_names: names of the labels; None if there are none.
        output_names: names of the outputs.
        logger: where warnings go.

    In MXNet 1.9.1 `binded`, `params_initialized` and `optimizer_initialized` stay False, so that `score` and `predict`
    refuse to run; here they tell what has been called. As there, each call of `bind` takes effect, with
    `force_rebind` or without.
    """

    def __init__(
        self,
        data_names: Sequence[str],
        label_names: Sequence[str] | None,
        output_names: Sequence[str],
        logger: Any = logging,
    ) -> None:
        super().__init__(logger=logger)
        self._data_names = list(data_names)
        self._label_names = None if label_names is None else list(label_names)
        self._output_names = list(output_names)
        self._data_shapes: Any = None
        self._label_shapes: Any = None
        self._output_shapes: Any = None

    @property
    def data_names(self) -> list[str]:
        """Names of the data that the module needs."""
        return self._data_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> Any:
        """Names and shapes of the data as given to `bind`; None before."""
        return self._data_shapes

    @property
    def label_shapes(self) -> Any:
        """Names and shapes of the labels as given to `bind`; None before, or without labels."""
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """Names and shapes of the outputs; None before `bind`."""
        return self._output_shapes

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return two empty dicts."""
        return {}, {}

    def init_params(
        self,
        initializer: Initializer | None = Uniform(0.01),  # noqa: B008
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Do nothing: there are no parameters."""
        self.params_initialized = True

    def update(self) -> None:
        """Do nothing: there are no parameters."""

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs to a metric; do nothing if the module is bound without labels.

        Raises:
            RuntimeError: the labels are divided among contexts.
        """
        if self._label_shapes is None:
            return
        if pre_sliced:
            raise RuntimeError("PythonModule does not support presliced labels: pass the labels of the whole batch")
        eval_metric.update(labels, self.get_outputs())

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
        """Note the shapes; see `BaseModule.bind`.

        Raises:
            AssertionError: names are not those of the module, in their order, or `grad_req` is not ``"write"``.
        """
        if grad_req != "write":
            raise AssertionError(f"{type(self).__name__}.bind: grad_req must be 'write', got {grad_req!r}")
        self._check_names("data", data_shapes, self._data_names)
        if label_shapes is not None:
            self._check_names("label", label_shapes, self._label_names)
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self._data_shapes, self._label_shapes = data_shapes, label_shapes
        self._output_shapes = self._compute_output_shapes()
        self.binded = True

    def _check_names(self, kind: str, shapes: Sequence[Any], names: list[str] | None) -> None:
        given = [x[0] for x in shapes]
        if given != names:
            raise AssertionError(
                f"{type(self).__name__}.bind: {kind}_shapes name {given}, the module expects {names} in this order"
            )

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Return names and shapes of the outputs, from ``self._data_shapes``; a subclass defines it."""
        raise self._abstract("_compute_output_shapes")

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Do nothing: there are no parameters."""
        self.optimizer_initialized = True


class PythonLossModule(PythonModule):
    """A loss whose gradient is a Python function; its outputs are its data. Source: MXNet ``mx.mod.PythonLossModule``.

    Args:
        name: the output is named ``name + "_output"``.
        data_names: the name of the scores.
        label_names: the name of the labels.
        logger: where warnings go.
        grad_func: a function of scores and labels, NDArrays, that returns the gradient of the scores, an NDArray or a
            NumPy array. Without it a subclass defines ``_backward_impl``.

    Raises:
        AssertionError: there is not one name of data and one of labels, or `grad_func` cannot be called.
    """

    def __init__(
        self,
        name: str = "pyloss",
        data_names: Sequence[str] = ("data",),
        label_names: Sequence[str] = ("softmax_label",),
        logger: Any = logging,
        grad_func: Callable[[NDArray, NDArray], Any] | None = None,
    ) -> None:
        super().__init__(data_names, label_names, [name + "_output"], logger=logger)
        if len(data_names) != 1 or len(label_names) != 1:
            raise AssertionError(
                f"PythonLossModule takes one name of data and one of labels, got {list(data_names)} and"
                f" {list(label_names)}"
            )
        if grad_func is not None and not callable(grad_func):
            raise AssertionError(f"grad_func must be a function of scores and labels, got {type(grad_func).__name__}")
        self._name = name
        self._scores: Any = None
        self._labels: Any = None
        self._scores_grad: Any = None
        self._grad_func = grad_func

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(self._name + "_output", self._data_shapes[0][1])]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Keep the scores, and the labels if `is_train`, which is `for_training` by default."""
        self._scores = data_batch.data[0]
        if self.for_training if is_train is None else is_train:
            self._labels = data_batch.label[0]

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the scores."""
        self._check_merged("get_outputs", merge_multi_context)
        return [self._scores]

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradient of the scores.

        Raises:
            AssertionError: `out_grads` is given, or the module is not bound for training.
        """
        if out_grads is not None:
            raise AssertionError("PythonLossModule.backward: a loss is the last module, so out_grads must be None")
        self._require("backward", "for_training")
        self._backward_impl()

    def _backward_impl(self) -> None:
        """Set ``self._scores_grad`` from ``self._scores`` and ``self._labels``."""
        if self._grad_func is None:
            raise NotImplementedError("PythonLossModule without grad_func: pass it, or define _backward_impl")
        gradient = self._grad_func(self._scores, self._labels)
        self._scores_grad = gradient if isinstance(gradient, NDArray) else nd.array(gradient)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the gradient of the scores."""
        self._check_merged("get_input_grads", merge_multi_context)
        return [self._scores_grad]

    def _check_merged(self, method: str, merge_multi_context: bool) -> None:
        if merge_multi_context is not True:
            raise AssertionError(f"PythonLossModule.{method}: it runs on one context; merge_multi_context must be True")

    def install_monitor(self, mon: Any) -> None:
        """Not offered, as in MXNet: nothing here is computed by operators."""
        raise self._abstract("install_monitor")
