"""Metrics of how predictions vary with labels: Pearson's coefficient of numbers and of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from symjit.metric.base import alias, check_label_shapes, host, ratio, register
from symjit.metric.device import DeviceMetric, added
from symjit.ops.casting import convert

__all__ = ["PCC", "PearsonCorrelation"]

#: What ``average="micro"`` of PearsonCorrelation keeps: counts, means, sums of squared and of mixed deviations.
_MOMENTS = ("_label_nums", "_mean_l", "_sse_l", "_pred_nums", "_mean_p", "_sse_p", "_conv")


def _pearson(settings: tuple[Any, ...], state: tuple[Any, ...], labels: Any, preds: Any) -> tuple[Any, ...]:
    (macro,) = settings
    check_label_shapes(labels, preds)
    for label, pred in zip(labels, preds, strict=True):
        check_label_shapes(label, pred, False, True)
        label, pred = label.reshape(-1).astype(jnp.float64), pred.reshape(-1).astype(jnp.float64)
        if macro:
            state = added(state, _coefficient(pred, label), 1)
            continue
        total, number, global_total, global_number, *moments = state
        label_count, label_mean, label_squares, pred_count, pred_mean, pred_squares, mixed = moments
        label_count, label_mean, label_squares = _with_batch(label, label_count, label_mean, label_squares)
        mixed = mixed + jnp.sum((label - label_mean) * (pred - pred_mean))
        pred_count, pred_mean, pred_squares = _with_batch(pred, pred_count, pred_mean, pred_squares)
        moments = label_count, label_mean, label_squares, pred_count, pred_mean, pred_squares, mixed
        state = total, number + 1, global_total, global_number + 1, *moments
    return state


def _coefficient(x: Any, y: Any) -> Any:
    """Return Pearson's coefficient of two vectors; NaN where one is constant or has less than two elements."""
    x, y = x - jnp.mean(x), y - jnp.mean(y)
    found = jnp.sum(x * y) / jnp.sqrt(jnp.sum(x * x)) / jnp.sqrt(jnp.sum(y * y))
    return jnp.clip(found if x.size > 1 else found * jnp.nan, -1, 1)


def _with_batch(new: Any, count: Any, mean: Any, squares: Any) -> tuple[Any, Any, Any]:
    """Return count, mean and sum of squared deviations (Welford) after a batch of new values."""
    count = count + new.size
    off = new - mean
    mean = mean + jnp.sum(off / count)
    return count, mean, squares + jnp.sum(off * (new - mean))


@register
@alias("pearsonr")
class PearsonCorrelation(DeviceMetric):
    """Pearson's correlation coefficient. Source: MXNet ``mx.metric.PearsonCorrelation``.

    The covariance of predictions and labels, divided by both standard deviations; NaN where one of them is 0.

    Args:
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.
        average: ``"macro"`` is the mean of the coefficients of the batches, ``"micro"`` one coefficient of all,
            accumulated as in MXNet: `reset_local` does not forget what it is made of, and `get_global` gives 0.

    Raises:
        ValueError: in `update`: label and prediction differ in shape.
    """

    _add = staticmethod(_pearson)

    def __init__(
        self,
        name: str = "pearsonr",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        average: str = "macro",
    ) -> None:
        self.average = average
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def _settings(self) -> tuple[Any, ...]:
        return (self.average == "macro",)

    def _zeros(self) -> dict[str, Any]:
        zeros = super()._zeros()
        return zeros if self.average == "macro" else zeros | {name: np.float64(0) for name in _MOMENTS}

    def reset_local(self) -> None:
        """Forget the local totals; the global ones stay, and the moments of ``average="micro"``."""
        self._start(lambda name: not name.startswith("global_") and name not in _MOMENTS)

    def reset_micro(self) -> None:
        """Forget the moments of ``average="micro"``."""
        self._start(lambda name: name in _MOMENTS)

    def get(self) -> tuple[Any, Any]:
        """Return name and coefficient since the last reset, NaN if nothing was added; waits for it."""
        if self.num_inst == 0 or self.average == "macro":
            return super().get()
        count, _, label_squares, _, _, pred_squares, mixed = (np.float64(host(self.__dict__[n])) for n in _MOMENTS)
        with np.errstate(divide="ignore", invalid="ignore"):
            deviations = np.sqrt(pred_squares / (count - 1)) * np.sqrt(label_squares / (count - 1))
            return self.name, float(mixed / ((count - 1) * deviations))


# Classes --------------------------------------------------------------------------------------------------------------

#: Of how many classes `PCC` keeps counts where the shapes of predictions do not tell of more.
_CLASSES = 1024


def _pcc(settings: tuple[Any, ...], state: tuple[Any, ...], labels: Any, preds: Any) -> tuple[Any, ...]:
    check_label_shapes(labels, preds)
    number, global_number, faults, classes, *held = state
    new: list[Any] = [jnp.zeros_like(x) for x in held[:3]]
    for label, pred in zip(labels, preds, strict=True):
        label = convert(label, np.int32)
        size = new[0].shape[0]
        if pred.shape != label.shape:
            if pred.ndim < 2:
                raise np.exceptions.AxisError(1, pred.ndim, f"predictions need an axis of classes, got {pred.shape}")
            size = max(size, pred.shape[1])
            pred = jnp.argmax(pred, axis=1)
        pred = convert(pred, np.int32)
        if not label.size or not pred.size:
            raise ValueError(f"PCC: nothing to count in labels {label.shape} and predictions {pred.shape}")
        classes = jnp.maximum(classes, jnp.maximum(jnp.max(pred), jnp.max(label)).astype(jnp.int64) + 1)
        said, true, weights, outside = _lines(pred, label, classes, size)
        new = [jnp.pad(x, (0, size - x.shape[0])) if x.ndim else x for x in new]
        new = [
            new[0].at[said].add(weights),
            new[1].at[true].add(weights),
            new[2] + jnp.sum(jnp.where(said == true, weights, 0)),
        ]
        faults = faults + outside
    held = [
        jnp.pad(x, (0, y.shape[0] - x.shape[0])) + y if y.ndim else x + y for x, y in zip(held, new * 2, strict=True)
    ]
    return number + 1, global_number + 1, faults, classes, *held


def _lines(pred: Any, label: Any, classes: Any, size: int) -> tuple[Any, Any, Any, Any]:
    """Return predicted and true classes, what each pair counts, and how many of them are outside of `size`.

    As in MXNet, the longer of the two is cut, negative classes count from the last one seen, and among the pairs of
    one row, where labels have several dimensions, equal ones count once.
    """
    rows = min(pred.shape[0], label.shape[0])
    try:
        inner = np.broadcast_shapes(pred.shape[1:], label.shape[1:])
    except ValueError:
        raise IndexError(f"labels of shape {label.shape} do not fit predictions of shape {pred.shape}") from None
    pair = []
    for x in (pred, label):
        x = x[:rows].astype(jnp.int64)
        x = jnp.where(x < 0, x + classes, x)
        pair.append(jnp.broadcast_to(x.reshape(rows, *(1,) * (len(inner) - x.ndim + 1), *x.shape[1:]), (rows, *inner)))
    outside = jnp.sum((pair[0] < 0) | (pair[0] >= size) | (pair[1] < 0) | (pair[1] >= size), dtype=jnp.int64)
    said, true = (jnp.clip(x.reshape(rows, -1), 0, size - 1) for x in pair)
    if said.shape[1] == 1:
        said, true = said[:, 0], true[:, 0]
        return said, true, jnp.ones_like(said), outside
    codes = jnp.sort(said * size + true, axis=1)
    first = jnp.concatenate([jnp.ones((rows, 1), bool), codes[:, 1:] != codes[:, :-1]], axis=1)
    codes = codes.reshape(-1)
    return codes // size, codes % size, first.reshape(-1).astype(jnp.int64), outside


@register
class PCC(DeviceMetric):
    """Pearson's coefficient of predicted and true classes, MCC of any number of them. Source: MXNet ``mx.metric.PCC``.

    With C the confusion matrix, n its sum, x and y its row and column sums: ``(n tr C - x.y) / sqrt((n^2 - x.x)(n^2 -
    y.y))``; NaN where all predictions or all labels are one class. Predictions are scores of shape (N, classes), or
    classes of the shape of the labels.

    Args:
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.
        has_global_stats: keep global totals too.

    Attributes:
        k: the number of classes seen, at least 2; `reset` does not forget it.

    Raises:
        ValueError: in `update`: nothing to count, or the predictions have one dimension and other than the labels'
            shape.
        IndexError: in `update`: the shapes do not fit; in `get`: a class is out of bounds.

    Deviation from MXNet: classes of 1024 and more are out of bounds, unless predictions are scores of more; the sums of
    the confusion matrix are kept, not the matrix.
    """

    _add = staticmethod(_pcc)
    _fault = IndexError, f"classes are out of bounds: below -k, or {_CLASSES} and more without scores of so many"

    def __init__(
        self,
        name: str = "pcc",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        has_global_stats: bool = True,
    ) -> None:
        super().__init__(
            name=name, output_names=output_names, label_names=label_names, has_global_stats=has_global_stats
        )

    def _zeros(self) -> dict[str, Any]:
        zeros: dict[str, Any] = {
            "num_inst": np.float64(0),
            "global_num_inst": np.float64(0),
            "_faults": np.int64(0),
            "_k": np.int64(2),
        }
        for scope in ("", "global_"):
            zeros |= {f"{scope}predicted": np.zeros(_CLASSES, np.int64), f"{scope}true": np.zeros(_CLASSES, np.int64)}
            zeros[f"{scope}right"] = np.int64(0)
        return zeros

    @property
    def k(self) -> int:
        """The number of classes seen; reading it waits for it."""
        return host(self.__dict__["_k"])

    def reset(self) -> None:
        """Forget everything but `k`."""
        self._start(lambda name: name != "_k" or "_k" not in self.__dict__)

    def reset_local(self) -> None:
        """Forget the local totals; the global ones and `k` stay."""
        self._start(lambda name: not name.startswith("global_") and name != "_k")

    def _coefficient(self, scope: str) -> float:
        held = self.__dict__
        x, y = (np.asarray(host(held[scope + name])).astype(np.float64) for name in ("predicted", "true"))
        right, n = float(host(held[f"{scope}right"])), float(x.sum())
        across, down = np.sum(x * (n - x)), np.sum(y * (n - y))
        if across == 0 or down == 0:
            return float("nan")
        return float((n * right - np.sum(x * y)) / (across * down) ** 0.5)

    @property
    def sum_metric(self) -> float:  # type: ignore[override]
        """The coefficient since the last reset, times ``num_inst``."""
        return self._coefficient("") * self.num_inst

    @property
    def global_sum_metric(self) -> float:  # type: ignore[override]
        """The coefficient since `reset`, times ``global_num_inst``."""
        return self._coefficient("global_") * self.global_num_inst

    def get(self) -> tuple[Any, Any]:
        """Return name and coefficient since the last reset, NaN if nothing was added; waits for it."""
        self._check_faults()
        return self.name, ratio(self.sum_metric, self.num_inst)
