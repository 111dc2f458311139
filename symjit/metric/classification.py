"""Metrics that count which predictions are right: accuracy, and F1 and MCC of two classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import jax.numpy as jnp
import numpy as np

from symjit.base import MXNetError
from symjit.metric.base import alias, check_label_shapes, host, ratio, register
from symjit.metric.device import DeviceMetric, pairwise
from symjit.ops import registry
from symjit.ops.casting import convert

__all__ = ["F1", "MCC", "Accuracy", "TopKAccuracy"]


def _accuracy(settings: tuple[Any, ...], label: Any, pred: Any) -> tuple[Any, Any]:
    (axis,) = settings
    if pred.shape != label.shape:
        pred = _argmax(pred, axis)
    if pred.size != label.size:
        raise ValueError(f"Shape of labels {label.size} does not match shape of predictions {pred.size}")
    right = convert(pred.reshape(-1), np.int32) == convert(label.reshape(-1), np.int32)
    return jnp.sum(right, dtype=jnp.float64), right.size


def _argmax(pred: Any, axis: int | None) -> Any:
    op = registry.get("argmax")
    try:
        return op.call(op.parse_attrs({"axis": axis}), [pred])[0][0]
    except (TypeError, ValueError) as error:
        raise MXNetError(f"Accuracy: axis={axis} does not fit predictions of shape {pred.shape}: {error}") from None


@register
@alias("acc")
class Accuracy(DeviceMetric):
    """The fraction of right predictions. Source: MXNet ``mx.metric.Accuracy``.

    Predictions of another shape than the labels are scores, of which the largest along `axis` tells the class;
    otherwise they are classes. Both are truncated to whole numbers.

    Args:
        axis: the axis of the classes.
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.

    Raises:
        ValueError: in `update`: there are more labels than predictions or fewer.
        MXNetError: in `update`: the predictions have no such axis.
    """

    _add = pairwise(_accuracy)

    def __init__(
        self,
        axis: int = 1,
        name: str = "accuracy",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, axis=axis, output_names=output_names, label_names=label_names, has_global_stats=True)
        self.axis = axis

    def _settings(self) -> tuple[Any, ...]:
        return (self.axis,)


def _top_k(settings: tuple[Any, ...], state: tuple[Any, ...], labels: Any, preds: Any) -> tuple[Any, ...]:
    top_k = index(settings[0])
    check_label_shapes(labels, preds)
    total, number, global_total, global_number = state
    for label, pred in zip(labels, preds, strict=True):
        if pred.ndim > 2:
            raise AssertionError(f"Predictions should be no more than 2 dims, got {pred.shape}")
        if pred.shape[-1] < top_k:
            raise ValueError(f"top_k={top_k} is out of bounds for {pred.shape[-1]} classes, shape {pred.shape}")
        check_label_shapes(label, pred)
        label, pred = convert(label.reshape(-1), np.int32), pred.astype(jnp.float32)
        if label.size != pred.shape[0]:
            raise ValueError(f"Shape of labels {label.shape} does not match shape of predictions {pred.shape[:1]}")
        if pred.ndim == 1:
            total = total + jnp.sum(jnp.argsort(pred).astype(label.dtype) == label, dtype=jnp.float64)
        else:
            right = jnp.sum(_among_first(pred, label, top_k), dtype=jnp.float64)
            total, global_total = total + right, global_total + right
        number, global_number = number + label.size, global_number + label.size
    return total, number, global_total, global_number


def _among_first(pred: Any, label: Any, top_k: int) -> Any:
    """Return which labels are among the `top_k` largest scores of their row: fewer than `top_k` come before theirs."""
    classes = jnp.arange(pred.shape[1], dtype=jnp.int32)[None]
    known = (label >= 0) & (label < pred.shape[1])
    at = jnp.where(known, label, 0)[:, None]
    score = jnp.take_along_axis(pred, at, axis=1)
    larger = (pred > score) | (jnp.isnan(pred) & ~jnp.isnan(score))  # NumPy sorts NaN to the end
    equal = (pred == score) | (jnp.isnan(pred) & jnp.isnan(score))
    before = jnp.sum(larger | (equal & (classes < at)), axis=1, dtype=jnp.int32)
    return known & (before < top_k)


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(DeviceMetric):
    """The fraction of labels that are among the k largest scores. Source: MXNet ``mx.metric.TopKAccuracy``.

    Args:
        top_k: k, at least 2.
        name: what the value is called, followed by ``_k``.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.

    Raises:
        AssertionError: `top_k` is less than 2, or in `update`: predictions have more than two dimensions.
        ValueError: in `update`: fewer than `top_k` classes, or the numbers of labels and predictions differ.
        TypeError: in `update`: `top_k` is no whole number.

    Of equal scores at the border the first classes count. As in MXNet, predictions of one dimension are compared with
    the order that sorts them, and add to the local total alone.

    Deviation from MXNet: there, which of equal scores count, and the order of predictions of one dimension, are what
    ``numpy.argpartition`` happens to leave.
    """

    _add = staticmethod(_top_k)

    def __init__(
        self,
        top_k: int = 1,
        name: str = "top_k_accuracy",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, top_k=top_k, output_names=output_names, label_names=label_names, has_global_stats=True)
        if top_k <= 1:
            raise AssertionError(f"Please use Accuracy if top_k is no more than 1; top_k is {top_k}")
        self.top_k = top_k
        self.name += f"_{int(top_k)}"

    def _settings(self) -> tuple[Any, ...]:
        return (self.top_k,)


# Two classes ----------------------------------------------------------------------------------------------------------

_COUNTS = ("true_positives", "false_negatives", "false_positives", "true_negatives")


def _counted(label: Any, pred: Any) -> tuple[Any, ...]:
    """Return the four numbers of `_COUNTS` of a batch, and how many labels are of a third class."""
    if pred.ndim < 2:
        raise np.exceptions.AxisError(1, pred.ndim, f"predictions need scores of two classes, got {pred.shape}")
    check_label_shapes(label, pred)
    said, label = jnp.argmax(pred, axis=1) == 1, convert(label, np.int32)
    try:
        np.broadcast_shapes(said.shape, label.shape)
    except ValueError:
        raise ValueError(f"labels of shape {label.shape} do not fit predictions of shape {pred.shape}") from None
    extremes = (jnp.min(label), jnp.max(label)) if label.size else (0, 0)
    third = jnp.sum((label != extremes[0]) & (label != extremes[1]), dtype=jnp.int64)
    true = label == 1
    return *(
        jnp.sum(x, dtype=jnp.int64) for x in (said & true, ~said & true, said & ~true, ~said & ~true)
    ), third  # fmt: skip


def _over(total: Any, count: Any) -> Any:
    """Return ``total / count`` as float64, 0 where `count` is 0."""
    total, count = (jnp.asarray(x).astype(jnp.float64) for x in (total, count))
    return jnp.where(count > 0, total / jnp.where(count > 0, count, 1), 0)


def _fscore(tp: Any, fn: Any, fp: Any, tn: Any) -> Any:
    precision, recall = _over(tp, tp + fp), _over(tp, tp + fn)
    return _over(2 * precision * recall, precision + recall)


def _matthews(tp: Any, fn: Any, fp: Any, tn: Any) -> Any:
    tp, fn, fp, tn = (jnp.asarray(x).astype(jnp.float64) for x in (tp, fn, fp, tn))
    product: Any = jnp.float64(1)
    for sum_of_two in (tp + fp, tp + fn, tn + fp, tn + fn):
        product = product * jnp.where(sum_of_two == 0, 1, sum_of_two)
    return (tp * tn - fp * fn) / jnp.sqrt(product)  # 0 where nothing was counted


def _binary(score: Callable[..., Any]) -> Any:
    """Return the ``_add`` of a score of the four counts: the mean over updates (macro), or that of all (micro)."""

    def add(settings: tuple[Any, ...], state: tuple[Any, ...], labels: Any, preds: Any) -> tuple[Any, ...]:
        (macro,) = settings
        check_label_shapes(labels, preds)
        total, number, global_total, global_number, faults, *held = state
        counts: list[Any] = [jnp.int64(0)] * len(_COUNTS)
        for label, pred in zip(labels, preds, strict=True):
            *more, third = _counted(label, pred)
            counts, faults = [a + b for a, b in zip(counts, more, strict=True)], faults + third
        if macro:
            value = score(*counts)
            return total + value, number + 1, global_total + value, global_number + 1, faults
        held = [old + new for old, new in zip(held, counts * 2, strict=True)]
        parts = []
        for four, old in ((held[:4], number), (held[4:], global_number)):
            examples: Any = sum(four)
            parts += [score(*four) * examples.astype(jnp.float64), examples.astype(old.dtype)]
        return *parts, faults, *held

    return staticmethod(add)


class _BinaryMetric(DeviceMetric):
    """A score of the counts of right and wrong answers to a question of yes (class 1) and no."""

    _fault = ValueError, "supports binary classification only, but a batch had labels of a third class"

    def __init__(
        self, name: str, output_names: Sequence[str] | None, label_names: Sequence[str] | None, average: str
    ) -> None:
        self.average = average  # tells which totals there are, and so comes before they are reset
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def _settings(self) -> tuple[Any, ...]:
        return (self.average == "macro",)

    def _zeros(self) -> dict[str, Any]:
        zeros = super()._zeros()
        if self.average != "macro":
            zeros |= {scope + name: np.int64(0) for scope in ("", "global_") for name in _COUNTS}
        return zeros


class _BinaryStatistics:
    """What `F1` has counted with ``average="micro"``, as of now; zeros with ``"macro"``, which keeps no counts."""

    def __init__(self, metric: DeviceMetric) -> None:
        self._metric = metric

    def __getattr__(self, name: str) -> int:
        if name.removeprefix("global_") in _COUNTS:
            return host(self._metric.__dict__.get(name, 0))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _four(self, scope: str) -> list[int]:
        return [getattr(self, scope + name) for name in _COUNTS]

    def _precision(self, scope: str) -> float:
        tp, _, fp, _ = self._four(scope)
        return ratio(tp, tp + fp) if tp + fp else 0.0

    def _recall(self, scope: str) -> float:
        tp, fn, _, _ = self._four(scope)
        return ratio(tp, tp + fn) if tp + fn else 0.0

    def _fscore(self, scope: str) -> float:
        precision, recall = self._precision(scope), self._recall(scope)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    precision = property(lambda self: self._precision(""), doc="The fraction of positive answers that are right.")
    recall = property(lambda self: self._recall(""), doc="The fraction of positive labels that were found.")
    fscore = property(lambda self: self._fscore(""), doc="The harmonic mean of precision and recall.")
    total_examples = property(lambda self: sum(self._four("")), doc="How many answers were counted.")
    global_precision = property(lambda self: self._precision("global_"), doc="`precision` since ``reset``.")
    global_recall = property(lambda self: self._recall("global_"), doc="`recall` since ``reset``.")
    global_fscore = property(lambda self: self._fscore("global_"), doc="`fscore` since ``reset``.")
    global_total_examples = property(lambda self: sum(self._four("global_")), doc="Answers since ``reset``.")


@register
class F1(_BinaryMetric):
    """The F1 score of two classes. Source: MXNet ``mx.metric.F1``.

    F1 = 2 precision recall / (precision + recall), of class 1. Predictions are scores of shape (N, 2).

    Args:
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.
        average: ``"macro"`` is the mean of the scores of the updates, ``"micro"`` the score of all together.

    Raises:
        ValueError: in `update`: lengths differ or the predictions have one dimension; in `get`: the labels of a batch
            are of more than two classes (in MXNet `update` raises it).

    Labels of shape (N, 1) are broadcast against the N answers, as in MXNet, which counts N * N of them.
    """

    _add = _binary(_fscore)

    def __init__(
        self,
        name: str = "f1",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)

    @property
    def metrics(self) -> Any:
        """The counts, and precision and recall, that ``average="micro"`` has come to; reading them waits for them."""
        return _BinaryStatistics(self)


@register
class MCC(_BinaryMetric):
    """The Matthews correlation coefficient of two classes. Source: MXNet ``mx.metric.MCC``.

    MCC = (TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)), where factors of 0 are left out. Predictions
    are scores of shape (N, 2).

    Args:
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.
        average: ``"macro"`` is the mean of the scores of the updates, ``"micro"`` the score of all together.

    Raises:
        ValueError: as `F1`.
    """

    _add = _binary(_matthews)

    def __init__(
        self,
        name: str = "mcc",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)

    def _zeros(self) -> dict[str, Any]:
        return super()._zeros() | {"num_inst": np.float64(0), "global_num_inst": np.float64(0)}
