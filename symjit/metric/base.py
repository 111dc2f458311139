"""What every metric has: a name, totals, and a choice of labels and predictions by name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from symjit.ndarray import NDArray
from symjit.registry import get_alias_func, get_create_func, get_register_func

__all__ = ["Accumulation", "EvalMetric", "Total", "alias", "changed", "check_label_shapes", "host", "ratio", "register"]


class Accumulation(NamedTuple):
    """What a metric adds up, as a pure function for compiled programs.

    Attributes:
        key: hashable; metrics of equal keys may share compiled code.
        start: the totals of a metric that has seen nothing, NumPy scalars and arrays; local and global ones.
        add: ``add(state, labels, preds) -> state`` on a tuple like `start` and lists of arrays, in JAX alone. It is to
            be traced under ``jax.enable_x64(True)``, for some totals have 64 bits, and raises what ``update`` raises
            of labels and predictions whose shapes do not fit.
    """

    key: Hashable
    start: tuple[Any, ...]
    add: Callable[[tuple[Any, ...], Sequence[Any], Sequence[Any]], tuple[Any, ...]]


def host(value: Any) -> Any:
    """Return an array of the device as a Python number, or as a NumPy array; anything else as it is."""
    if not isinstance(value, jax.Array):
        return value
    return np.array(value) if value.ndim else value.item()


class Total:
    """An attribute of a metric that may live on the device: reading it waits for it and fetches it.

    It is kept in the instance's ``__dict__`` under its own name, whatever a subclass assigns: numbers, lists, arrays.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, metric: Any, owner: type | None = None) -> Any:
        if metric is None:
            return self
        try:
            return host(metric.__dict__[self.name])
        except KeyError:
            raise AttributeError(
                f"{type(metric).__name__!r} object has no attribute {self.name!r} yet: call reset() or"
                " EvalMetric.__init__() first"
            ) from None

    def __set__(self, metric: Any, value: Any) -> None:
        metric.__dict__[self.name] = value


def ratio(total: Any, count: Any) -> Any:
    """Return ``total / count``, NaN where nothing was counted."""
    return float("nan") if count == 0 else total / count


def changed(metric: EvalMetric, base: type, names: Iterable[str]) -> bool:
    """Return whether a subclass or the instance itself puts its own methods in the place of some of `base`."""
    return any(getattr(getattr(metric, name), "__func__", None) is not getattr(base, name) for name in names)


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """Compare labels with predictions. Source: MXNet ``mx.metric.check_label_shapes``.

    Args:
        labels: an array or a list of arrays.
        preds: an array or a list of arrays.
        wrap: put an array that stands alone into a list.
        shape: compare the shapes; otherwise the lengths.

    Returns:
        `labels` and `preds`.

    Raises:
        ValueError: they differ.
    """
    ours, theirs = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if ours != theirs:
        hint = "; does the batch have labels, under the names that the module and the metric know?" if not ours else ""
        raise ValueError(f"Shape of labels {ours} does not match shape of predictions {theirs}{hint}")
    if wrap:
        labels = [labels] if isinstance(labels, (NDArray, np.ndarray, jax.Array)) else labels
        preds = [preds] if isinstance(preds, (NDArray, np.ndarray, jax.Array)) else preds
    return labels, preds


class EvalMetric:
    """Base class of metrics. Source: MXNet ``mx.metric.EvalMetric``.

    A subclass defines `update`, which adds to ``sum_metric`` and ``num_inst``. Such a metric runs on the host; those
    of this module are `DeviceMetric`.

    Args:
        name: what the value is called when it is shown.
        output_names: the outputs that `update_dict` takes, all if None.
        label_names: the labels that `update_dict` takes, all if None.
        **kwargs: further arguments of the subclass, kept for `get_config`; ``has_global_stats`` tells that `update`
            adds to ``global_sum_metric`` and ``global_num_inst`` as well.

    Attributes:
        sum_metric: sum of the values since `reset` or `reset_local`.
        num_inst: what it is to be divided by.
        global_sum_metric: sum of the values since `reset`.
        global_num_inst: what it is to be divided by.
    """

    sum_metric: Any = Total()
    num_inst: Any = Total()
    global_sum_metric: Any = Total()
    global_num_inst: Any = Total()

    def __init__(
        self,
        name: str,
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = str(name)
        self.output_names = output_names
        self.label_names = label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """Return what ``create(**config)`` makes such a metric from."""
        return self._kwargs | {
            "metric": type(self).__name__,
            "name": self.name,
            "output_names": self.output_names,
            "label_names": self.label_names,
        }

    # Updates ----------------------------------------------------------------------------------------------------------

    def select(self, labels: Mapping[str, Any], preds: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """Return the labels and predictions that `update_dict` hands to `update`; no array is looked at.

        Args:
            labels: labels by name.
            preds: outputs by name.

        Raises:
            KeyError: one of ``label_names`` or ``output_names`` is not there.
            TypeError: there are names to choose by, but no dict.
        """
        return _chosen(labels, self.label_names, "label"), _chosen(preds, self.output_names, "output")

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        """Add a batch, of which ``label_names`` and ``output_names`` are taken.

        Args:
            label: labels by name.
            pred: outputs by name.

        Raises:
            KeyError: one of the names is not there.
            TypeError: there are names to choose by, but no dict.
        """
        labels, preds = self.select(label, pred)
        self.update(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch; for subclasses to define.

        Args:
            labels: list of NDArray.
            preds: list of NDArray, the outputs that belong to the labels.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update(labels, preds)")

    def leaves(self) -> list[EvalMetric]:
        """Return the metrics that this one consists of, itself if it is not a composite."""
        return [self]

    def select_leaves(
        self, labels: Mapping[str, Any], preds: Mapping[str, Any]
    ) -> list[tuple[EvalMetric, list[Any], list[Any]]]:
        """Return each of `leaves` with the labels and predictions that `update_dict` hands to its ``update``."""
        return [(self, *self.select(labels, preds))]

    def accumulation(self) -> Accumulation | None:
        """Return what the metric adds as a pure function; None for one that needs the host, or that has `leaves`."""
        return None

    # Totals -----------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything."""
        self.num_inst = 0
        self.sum_metric = 0.0
        self.global_num_inst = 0
        self.global_sum_metric = 0.0

    def reset_local(self) -> None:
        """Forget the local totals; the global ones stay."""
        self.num_inst = 0
        self.sum_metric = 0.0

    def get(self) -> tuple[Any, Any]:
        """Return name and value of what was added since the last reset, NaN if nothing was."""
        return self.name, ratio(self.sum_metric, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """Return name and value of what was added since `reset`, whatever `reset_local` has forgotten."""
        if self._has_global_stats:
            return self.name, ratio(self.global_sum_metric, self.global_num_inst)
        return self.get()

    def get_name_value(self) -> list[tuple[str, Any]]:
        """Return `get` as a list of pairs."""
        return _pairs(*self.get())

    def get_global_name_value(self) -> list[tuple[str, Any]]:
        """Return `get_global` as a list of pairs."""
        return _pairs(*self.get_global()) if self._has_global_stats else self.get_name_value()


def _chosen(arrays: Mapping[str, Any], names: Sequence[str] | None, what: str) -> list[Any]:
    if names is None:
        return list(arrays.values())
    if not isinstance(arrays, Mapping):
        raise TypeError(f"update_dict: expected a dict of {what}s by name, got a {type(arrays).__name__}")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise KeyError(f"{what}_names: there is no {what} {missing[0]!r}, only {list(arrays)}")
    return [arrays[name] for name in names]


def _pairs(name: Any, value: Any) -> list[tuple[str, Any]]:
    names = name if isinstance(name, list) else [name]
    values = value if isinstance(value, list) else [value]
    return list(zip(names, values, strict=False))


register: Callable[..., Any] = get_register_func(EvalMetric, "metric")
alias: Callable[..., Any] = get_alias_func(EvalMetric, "metric")
create_registered: Callable[..., Any] = get_create_func(EvalMetric, "metric")
