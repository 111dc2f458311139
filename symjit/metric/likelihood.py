"""Metrics of the probability that predictions give to the labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from symjit.base import MXNetError
from symjit.metric.base import alias, register
from symjit.metric.device import DeviceMetric, added, pairwise, readable, rounded_sum
from symjit.ops import registry
from symjit.ops.casting import convert
from symjit.ops.shapes import prod

__all__ = ["CrossEntropy", "NegativeLogLikelihood", "Perplexity"]


def _perplexity(settings: tuple[Any, ...], state: tuple[Any, ...], labels: Any, preds: Any) -> tuple[Any, ...]:
    ignore_label, axis = settings
    if len(labels) != len(preds):
        raise AssertionError(f"Perplexity: {len(labels)} labels, but {len(preds)} predictions")
    loss: Any = jnp.float64(0)
    number: Any = jnp.float64(0)
    for label, pred in zip(labels, preds, strict=True):
        if label.size != prod(pred.shape[:-1]):
            raise AssertionError(f"shape mismatch: {label.shape} vs. {pred.shape}")
        label = label.reshape(-1)
        found = _picked(readable(pred), label, axis)
        if ignore_label is not None:
            ignored = (label == np.asarray(ignore_label).astype(label.dtype)).astype(found.dtype)
            number = number - rounded_sum(ignored)
            found = found * (1 - ignored) + ignored
        # MXNet's operators, for what they make of whole numbers.
        loss = loss - rounded_sum(_called("log", {}, _called("_maximum_scalar", {"scalar": 1e-10}, found)))
        number = number + found.size
    return added(state, loss, number)


def _picked(pred: Any, label: Any, axis: int) -> Any:
    """Return the probability of every label; labels outside of the classes count as the nearest one."""
    if pred.ndim > 2:
        raise MXNetError(
            f"Perplexity: predictions must have two dimensions, (labels, classes), got {pred.shape}; reshape them"
        )
    try:
        return _called("pick", {"axis": axis}, pred, convert(label, np.int32))
    except (TypeError, ValueError) as error:
        raise MXNetError(
            f"Perplexity: along axis={axis}, predictions of shape {pred.shape} have no class for each of"
            f" {label.size} labels: {error}"
        ) from None


def _called(name: str, attrs: dict[str, Any], *inputs: Any) -> Any:
    op = registry.get(name)
    return op.call(op.parse_attrs(attrs), inputs)[0][0]


@register
class Perplexity(DeviceMetric):
    """The exponential of `NegativeLogLikelihood`. Source: MXNet ``mx.metric.Perplexity``.

    Predictions are probabilities of shape (N, classes), labels of any shape with N elements. Probabilities below
    1e-10 count as 1e-10.

    Args:
        ignore_label: labels of this value are not counted; None counts all.
        axis: the axis of the classes.
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.

    Raises:
        AssertionError: in `update`: the numbers of labels and predictions differ.
        MXNetError: in `update`: the predictions have more than two dimensions, or `axis` does not fit them.
    """

    _add = staticmethod(_perplexity)

    def __init__(
        self,
        ignore_label: int | None,
        axis: int = -1,
        name: str = "perplexity",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            name, ignore_label=ignore_label, output_names=output_names, label_names=label_names, has_global_stats=True
        )
        self.ignore_label = ignore_label
        self.axis = axis

    def _settings(self) -> tuple[Any, ...]:
        return self.ignore_label, self.axis

    def _zeros(self) -> dict[str, Any]:
        # Fractions do not occur, but MXNet takes the ignored ones off as floats.
        return super()._zeros() | {"num_inst": np.float64(0), "global_num_inst": np.float64(0)}

    def _lists(self, labels: Any, preds: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        return labels, preds  # MXNet takes lists alone here

    def get(self) -> tuple[Any, Any]:
        """Return name and perplexity since the last reset, NaN if nothing was counted; waits for it."""
        name, mean = super().get()
        return name, _exp(mean)

    def get_global(self) -> tuple[Any, Any]:
        """Return name and perplexity since `reset`, NaN if nothing was counted; waits for it."""
        name, mean = super().get_global()
        return name, _exp(mean)


def _exp(mean: float) -> float:
    return mean if math.isnan(mean) else math.exp(mean)


def _negative_log(settings: tuple[Any, ...], label: Any, pred: Any) -> tuple[Any, Any, Any]:
    (eps,) = settings
    label = label.reshape(-1)
    if label.size != pred.shape[0]:
        raise AssertionError(f"{label.size} labels, but {pred.shape[0]} predictions (shape {pred.shape})")
    if pred.ndim < 2:
        raise IndexError(f"predictions need an axis of classes, got {pred.shape}")
    classes = pred.shape[1]
    at = convert(label, np.int64)
    faults = jnp.sum((at < -classes) | (at >= classes), dtype=jnp.int64)
    probability = readable(pred)[jnp.arange(label.size), jnp.clip(jnp.where(at < 0, at + classes, at), 0, classes - 1)]
    if not jnp.issubdtype(probability.dtype, jnp.inexact):
        probability = probability.astype(jnp.float64)
    return rounded_sum(-jnp.log(probability + jnp.asarray(eps, probability.dtype))), label.size, faults


class _NegativeLog(DeviceMetric):
    """The mean of ``-log(p + eps)``, p the probability that a prediction gives to its label."""

    _add = pairwise(_negative_log)
    _fault = IndexError, "labels are out of bounds of the classes that the predictions have"
    eps: float

    def _settings(self) -> tuple[Any, ...]:
        return (self.eps,)


@register
@alias("ce")
class CrossEntropy(_NegativeLog):
    """The mean cross entropy of labels and predicted probabilities. Source: MXNet ``mx.metric.CrossEntropy``.

    The mean of ``-log(p + eps)``, p the probability of the label. Predictions have shape (N, classes), labels N
    elements; negative labels count from the last class, as in MXNet.

    Args:
        eps: what is added to probabilities.
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.

    Raises:
        AssertionError: in `update`: the numbers of labels and predictions differ.
        IndexError: in `update`: the predictions have one dimension; in `get`: a label is no class (in MXNet `update`
            raises it).
    """

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "cross-entropy",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, eps=eps, output_names=output_names, label_names=label_names, has_global_stats=True)
        self.eps = eps


@register
@alias("nll_loss")
class NegativeLogLikelihood(_NegativeLog):
    """The mean negative log-likelihood of the labels. Source: MXNet ``mx.metric.NegativeLogLikelihood``.

    The same number as `CrossEntropy`, with the same arguments and errors.
    """

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "nll-loss",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, eps=eps, output_names=output_names, label_names=label_names, has_global_stats=True)
        self.eps = eps
