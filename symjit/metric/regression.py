"""Metrics of differences between numbers, and the mean of a loss that a network computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjit.metric.base import register
from symjit.metric.device import DeviceMetric, added, pairwise, readable, rounded_sum
from symjit.ndarray import NDArray

__all__ = ["MAE", "MSE", "RMSE", "Caffe", "Loss", "Torch"]


def _difference(label: Any, pred: Any) -> Any:
    """Return ``label - pred``, broadcast and promoted as NumPy does; what has one dimension is a column."""
    label, pred = (readable(x.reshape(-1, 1) if x.ndim == 1 else x) for x in (label, pred))
    try:
        np.broadcast_shapes(label.shape, pred.shape)
    except ValueError:
        raise ValueError(f"labels of shape {label.shape} do not fit predictions of shape {pred.shape}") from None
    dtype = np.result_type(label.dtype, pred.dtype)
    return label.astype(dtype) - pred.astype(dtype)


def _mean(x: Any) -> Any:
    """Return the mean, rounded to the dtype of `x` as NumPy does; as float64."""
    mean = jnp.mean(x.astype(jnp.float64))
    return mean.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else mean


def _squares(label: Any, pred: Any) -> Any:
    off = _difference(label, pred)
    return jnp.square(off if jnp.issubdtype(off.dtype, jnp.inexact) else off.astype(jnp.float64))


def _mae(settings: tuple[Any, ...], label: Any, pred: Any) -> tuple[Any, int]:
    return _mean(jnp.abs(_difference(label, pred))).astype(jnp.float64), 1


def _mse(settings: tuple[Any, ...], label: Any, pred: Any) -> tuple[Any, int]:
    return _mean(_squares(label, pred)).astype(jnp.float64), 1


def _rmse(settings: tuple[Any, ...], label: Any, pred: Any) -> tuple[Any, int]:
    return jnp.sqrt(_mean(_squares(label, pred))).astype(jnp.float64), 1


@register
class MAE(DeviceMetric):
    """The mean absolute difference, averaged over batches. Source: MXNet ``mx.metric.MAE``.

    Every batch counts the same, whatever its size. Labels and predictions of shape (N,) are taken for (N, 1), then
    broadcast.

    Args:
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.

    Raises:
        ValueError: in `update`: the shapes can not be broadcast.
    """

    _add = pairwise(_mae)

    def __init__(
        self,
        name: str = "mae",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)


@register
class MSE(DeviceMetric):
    """The mean squared difference, averaged over batches. Source: MXNet ``mx.metric.MSE``.

    Shapes, arguments and errors are those of `MAE`.
    """

    _add = pairwise(_mse)

    def __init__(
        self,
        name: str = "mse",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)


@register
class RMSE(DeviceMetric):
    """The root of a batch's mean squared difference, averaged over batches. Source: MXNet ``mx.metric.RMSE``.

    Shapes, arguments and errors are those of `MAE`.
    """

    _add = pairwise(_rmse)

    def __init__(
        self,
        name: str = "rmse",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)


def _loss(settings: tuple[Any, ...], state: tuple[Any, ...], labels: Any, preds: Any) -> tuple[Any, ...]:
    for pred in preds:
        state = added(state, rounded_sum(readable(pred)), pred.size)
    return state


@register
class Loss(DeviceMetric):
    """The mean of the outputs themselves, for networks that compute their loss. Source: MXNet ``mx.metric.Loss``.

    Labels are not looked at.

    Args:
        name: what the value is called.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.
    """

    _add = staticmethod(_loss)

    def __init__(
        self,
        name: str = "loss",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def _lists(self, labels: Any, preds: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        return [], [preds] if isinstance(preds, (NDArray, np.ndarray, jax.Array)) else preds


@register
class Torch(Loss):
    """`Loss` under another name. Source: MXNet ``mx.metric.Torch``."""

    def __init__(
        self,
        name: str = "torch",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)


@register
class Caffe(Loss):
    """`Loss` under another name. Source: MXNet ``mx.metric.Caffe``."""

    def __init__(
        self,
        name: str = "caffe",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)
