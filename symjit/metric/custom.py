"""Metrics that a function of the user's computes, on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symjit.metric.base import EvalMetric, check_label_shapes, register
from symjit.ndarray import NDArray

__all__ = ["CustomMetric", "np"]


@register
class CustomMetric(EvalMetric):
    """What a function computes from labels and predictions. Source: MXNet ``mx.metric.CustomMetric``.

    The function gets NumPy arrays, so every update waits for the outputs and fetches them.

    Args:
        feval: ``feval(label, pred)`` returns a value, which counts as one instance, or a tuple ``(sum, instances)``.
        name: what the value is called, the function's name if None.
        allow_extra_outputs: there may be more outputs than labels; the first ones are taken.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.

    Raises:
        ValueError: in `update`: the numbers of labels and predictions differ, unless `allow_extra_outputs`.
    """

    def __init__(
        self,
        feval: Callable[[Any, Any], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        if name is None:
            name = feval.__name__
            if "<" in name:
                name = f"custom({name})"
        super().__init__(
            name,
            feval=feval,
            allow_extra_outputs=allow_extra_outputs,
            output_names=output_names,
            label_names=label_names,
            has_global_stats=True,
        )
        self._feval = feval
        self._allow_extra_outputs = allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        """Add what the function returns for every pair of a label and a prediction; waits for them.

        Args:
            labels: list of arrays.
            preds: list of arrays.
        """
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds, strict=False):
            found = self._feval(_fetched(label), _fetched(pred))
            value, count = found if isinstance(found, tuple) else (found, 1)
            self.sum_metric += value
            self.global_sum_metric += value
            self.num_inst += count
            self.global_num_inst += count

    def get_config(self) -> dict[str, Any]:
        """Raise, since functions can not be written down.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("CustomMetric cannot be serialized: create it from its function instead")


def _fetched(array: Any) -> Any:
    return array.asnumpy() if isinstance(array, NDArray) else array


def np(
    numpy_feval: Callable[[Any, Any], Any], name: str | None = None, allow_extra_outputs: bool = False
) -> CustomMetric:
    """Return a metric from a function of NumPy arrays. Source: MXNet ``mx.metric.np``.

    Args:
        numpy_feval: ``numpy_feval(label, pred)`` returns a value, or a tuple ``(sum, instances)``.
        name: what the value is called, the function's name if None.
        allow_extra_outputs: there may be more outputs than labels.
    """

    def feval(label: Any, pred: Any) -> Any:
        return numpy_feval(label, pred)

    feval.__name__ = numpy_feval.__name__
    return CustomMetric(feval, name, allow_extra_outputs)
