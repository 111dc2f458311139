"""Several metrics as one, and metrics by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symjit.metric.base import EvalMetric, alias, changed, create_registered, register
from symjit.metric.custom import CustomMetric

__all__ = ["CompositeEvalMetric", "create"]


def create(metric: Any, *args: Any, **kwargs: Any) -> EvalMetric:
    """Return a metric. Source: MXNet ``mx.metric.create``.

    Args:
        metric: a name such as ``"acc"``, ``"mse"`` or ``"ce"``; a function, which becomes a `CustomMetric`; a list of
            any of these, which becomes a `CompositeEvalMetric`; what `EvalMetric.get_config` returned; or a metric,
            which is returned as it is.
        *args: arguments of the metric's constructor.
        **kwargs: keywords of it.

    Raises:
        AssertionError: no metric has that name; the message lists those that there are.
    """
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    if isinstance(metric, list):
        composite = CompositeEvalMetric()
        for child in metric:
            composite.add(create(child, *args, **kwargs))
        return composite
    return create_registered(metric, *args, **kwargs)


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics as one. Source: MXNet ``mx.metric.CompositeEvalMetric``.

    Args:
        metrics: metrics, or what `create` makes one of.
        name: accepted for compatibility; the values keep the names of the metrics.
        output_names: the outputs among which the metrics choose, all if None.
        label_names: the labels among which the metrics choose, all if None.
    """

    def __init__(
        self,
        metrics: Sequence[Any] | None = None,
        name: str = "composite",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)
        self.metrics: list[EvalMetric] = [create(metric) for metric in metrics or []]

    def add(self, metric: Any) -> None:
        """Append a metric, or what `create` makes one of."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> EvalMetric | ValueError:
        """Return a metric by its number; as in MXNet a ValueError is returned, not raised, if there is none."""
        try:
            return self.metrics[index]
        except IndexError:
            return ValueError(f"Metric index {index} is out of range 0 and {len(self.metrics)}")

    def leaves(self) -> list[EvalMetric]:
        """Return the metrics in it, those of composites in it too; itself if a subclass changes what an update does."""
        if changed(self, CompositeEvalMetric, ("update", "update_dict", "select")):
            return [self]
        return [leaf for metric in self.metrics for leaf in metric.leaves()]

    def _filtered(
        self, labels: Mapping[str, Any], preds: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        if self.label_names is not None:
            labels = {name: x for name, x in labels.items() if name in self.label_names}
        if self.output_names is not None:
            preds = {name: x for name, x in preds.items() if name in self.output_names}
        return labels, preds

    def select(self, labels: Mapping[str, Any], preds: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """Return the labels and predictions among which the metrics choose; see `select_leaves` for what they do."""
        labels, preds = self._filtered(labels, preds)
        return list(labels.values()), list(preds.values())

    def select_leaves(
        self, labels: Mapping[str, Any], preds: Mapping[str, Any]
    ) -> list[tuple[EvalMetric, list[Any], list[Any]]]:
        """Return each of `leaves` with the labels and predictions that `update_dict` hands to its ``update``."""
        if changed(self, CompositeEvalMetric, ("update", "update_dict", "select")):
            return super().select_leaves(labels, preds)
        labels, preds = self._filtered(labels, preds)
        return [found for metric in self.metrics for found in metric.select_leaves(labels, preds)]

    def update_dict(self, labels: Mapping[str, Any], preds: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Add a batch to every metric, each of which takes its own labels and outputs.

        Args:
            labels: labels by name.
            preds: outputs by name.
        """
        labels, preds = self._filtered(labels, preds)
        for metric in self.metrics:
            metric.update_dict(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch to every metric.

        Args:
            labels: list of arrays.
            preds: list of arrays.
        """
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self) -> None:
        """Forget everything, in every metric."""
        for metric in self.__dict__.get("metrics", []):  # EvalMetric.__init__ resets before there are any
            metric.reset()

    def reset_local(self) -> None:
        """Forget the local totals of every metric."""
        for metric in self.__dict__.get("metrics", []):
            metric.reset_local()

    def get(self) -> tuple[list[str], list[Any]]:
        """Return names and values of all metrics since the last reset."""
        return _joined([metric.get() for metric in self.metrics])

    def get_global(self) -> tuple[list[str], list[Any]]:
        """Return names and values of all metrics since `reset`."""
        return _joined([metric.get_global() for metric in self.metrics])

    def get_config(self) -> dict[str, Any]:
        """Return what ``create(**config)`` makes such metrics from."""
        return super().get_config() | {"metrics": [metric.get_config() for metric in self.metrics]}


def _joined(parts: list[tuple[Any, Any]]) -> tuple[list[str], list[Any]]:
    names: list[str] = []
    values: list[Any] = []
    for name, value in parts:
        names += [name] if isinstance(name, str) else name
        values += [value] if isinstance(value, (float, int, np.generic)) else value
    return names, values
