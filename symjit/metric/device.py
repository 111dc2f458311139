"""Metrics that add up on the device: one cached compiled call for an update, a transfer when they are read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from symjit.context import current_context
from symjit.metric.base import Accumulation, EvalMetric, changed, check_label_shapes, host
from symjit.ndarray import NDArray

__all__ = ["DeviceMetric", "Measure", "added", "pairwise", "readable", "rounded_sum"]

#: ``measure(settings, label, pred) -> (value, count)``, and the number of faulty elements for a metric that has faults.
Measure = Callable[[tuple[Any, ...], Any, Any], tuple[Any, ...]]


class DeviceMetric(EvalMetric):
    """A metric whose totals live on the device.

    `update` runs one compiled function and waits for nothing; it accepts NDArrays and NumPy arrays. Reading a total,
    and so `get`, waits for the value. A subclass states what it adds in ``_add``, from what it is configured by in
    `_settings`. One of a user's that defines `update`, `update_dict` or `select` itself works as in MXNet, but has no
    `accumulation`.

    Deviation from MXNet: an element that can not be counted, such as a label that is no class, raises in `get`, not in
    `update`, since nobody knows of it before; `reset` and `reset_local` forgive it.
    """

    #: ``_add(settings, state, labels, preds) -> state``, a staticmethod.
    _add: ClassVar[Callable[..., tuple[Any, ...]]]

    #: What faulty elements are, as an exception type and a message; None if there are none.
    _fault: ClassVar[tuple[type[Exception], str] | None] = None

    def _settings(self) -> tuple[Any, ...]:
        """Return the static arguments of ``_add``, hashable."""
        return ()

    def _zeros(self) -> dict[str, Any]:
        """Return the name of every total in the order of `state`, and what it starts from, as NumPy values."""
        zeros: dict[str, Any] = {
            "sum_metric": np.float64(0),
            "num_inst": np.int64(0),
            "global_sum_metric": np.float64(0),
            "global_num_inst": np.int64(0),
        }
        return zeros if self._fault is None else zeros | {"_faults": np.int64(0)}

    @property
    def state(self) -> tuple[Any, ...]:
        """The totals as they are, on the device or as NumPy values; the tuple that `accumulation` adds to.

        What is assigned belongs to the metric: its arrays must not be donated while the metric has them.
        """
        return tuple(self._typed(name, zero) for name, zero in self._zeros().items())

    @state.setter
    def state(self, values: Sequence[Any]) -> None:
        names = tuple(self._zeros())
        if len(values) != len(names):
            raise ValueError(f"{type(self).__name__}.state: expected {len(names)} values {names}, got {len(values)}")
        self.__dict__.update(zip(names, values, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        # JAX copies and pickles an array of 64 bits as one of 32 where the process has not enabled them.
        return {name: host(value) for name, value in self.__dict__.items()}

    def _typed(self, name: str, zero: Any) -> Any:
        value = self.__dict__.get(name, zero)
        if isinstance(value, jax.Array):
            return value
        typed = np.asarray(value).astype(zero.dtype)[()]
        if zero.dtype.kind == "i" and np.any(typed != value):
            raise TypeError(f"{type(self).__name__}.{name} counts whole numbers, but was set to {value!r}")
        return typed

    def accumulation(self) -> Accumulation | None:
        """Return what the metric adds as a pure function; None if a subclass changes what an update does."""
        if changed(self, DeviceMetric, ("update", "update_dict", "select")):
            return None
        key = self._key()
        return Accumulation(key, tuple(self._zeros().values()), partial(*key))

    def _key(self) -> tuple[Any, ...]:
        return type(self)._add, self._settings()

    def _lists(self, labels: Any, preds: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        """Return the lists of labels and predictions that `update` was given, one of either or several."""
        return check_label_shapes(labels, preds, True)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch, on the device of the predictions, without waiting for it.

        Args:
            labels: list of arrays.
            preds: list of arrays, as many.

        Raises:
            ValueError: labels and predictions differ in number or shape; see the class for other errors.
            TypeError: something is no array.
        """
        labels, preds = self._lists(labels, preds)
        self.state = _run(self._key(), self.state, [_array(x) for x in labels], [_array(x) for x in preds])

    # Totals -----------------------------------------------------------------------------------------------------------

    def _start(self, names: Callable[[str], bool]) -> None:
        for name, zero in self._zeros().items():
            if names(name):
                self.__dict__[name] = zero if zero.ndim else zero.item()

    def reset(self) -> None:
        """Forget everything."""
        self._start(lambda name: True)

    def reset_local(self) -> None:
        """Forget the local totals; the global ones stay."""
        self._start(lambda name: not name.startswith("global_"))

    def _check_faults(self) -> None:
        if self._fault is not None and (number := host(self.__dict__.get("_faults", 0))):
            kind, text = self._fault
            raise kind(f"{type(self).__name__}: {text} ({number} since the last reset); reset() starts anew")

    def get(self) -> tuple[Any, Any]:
        """Return name and value of what was added since the last reset, NaN if nothing was; waits for it.

        Raises:
            Exception: something that was added can not be counted; the class tells what.
        """
        self._check_faults()
        return super().get()

    def get_global(self) -> tuple[Any, Any]:
        """Return name and value of what was added since `reset`; waits for it. Raises as `get` does."""
        self._check_faults()
        return super().get_global()


# What the metrics' `_add` are made of ---------------------------------------------------------------------------------


def rounded_sum(x: Any) -> Any:
    """Return the sum of all elements, rounded to their dtype as MXNet and NumPy do, as float64.

    The sum itself has 64 bits, so it does not depend on the order: XLA's is another than NumPy's.
    """
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.sum(x, dtype=x.dtype).astype(jnp.float64)
    return jnp.sum(x, dtype=jnp.float64).astype(x.dtype).astype(jnp.float64)


def readable(x: Any) -> Any:
    """Return an array in a dtype that NumPy computes with, and so MXNet's metrics: bfloat16 becomes float32."""
    return x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x


def added(state: tuple[Any, ...], value: Any, count: Any, *faults: Any) -> tuple[Any, ...]:
    """Return the totals of `DeviceMetric` with one more value, in the local and in the global ones."""
    total, number, global_total, global_number, *faulty = state
    return (
        total + value,
        number + count,
        global_total + value,
        global_number + count,
        *(old + more for old, more in zip(faulty, faults, strict=True)),
    )


def pairwise(measure: Measure) -> Any:
    """Return the ``_add`` of a metric to which every pair of a label and a prediction adds a value and a count."""

    def add(
        settings: tuple[Any, ...], state: tuple[Any, ...], labels: Sequence[Any], preds: Sequence[Any]
    ) -> tuple[Any, ...]:
        check_label_shapes(labels, preds)
        for label, pred in zip(labels, preds, strict=True):
            state = added(state, *measure(settings, label, pred))
        return state

    return staticmethod(add)


# Running them ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _compiled(key: tuple[Any, ...], signature: Hashable) -> Callable[..., Any]:
    """Return the compiled function of a metric for arrays of these shapes and dtypes, so that both are bounded."""
    return jax.jit(partial(*key))


def _array(value: Any) -> Any:
    """Return what a compiled function takes: the array of the device, or a copy of the caller's, who may change it."""
    if isinstance(value, NDArray):
        return value.data
    if isinstance(value, jax.Array):
        return value
    if isinstance(value, np.ndarray):
        return np.array(value)
    raise TypeError(
        f"a metric takes lists of NDArrays or NumPy arrays, got a {type(value).__name__}; mx.nd.array makes one of it"
    )


def _run(key: tuple[Any, ...], state: tuple[Any, ...], labels: list[Any], preds: list[Any]) -> tuple[Any, ...]:
    values = [*state, *labels, *preds]
    place = _place([*preds, *labels])
    elsewhere = [i for i, x in enumerate(values) if not isinstance(x, jax.Array) or x.sharding.device_set != place[1]]
    signature = len(labels), tuple([(x.shape, x.dtype) for x in values[len(state) :]])
    with jax.enable_x64(True):
        if elsewhere:
            for i, moved in zip(elsewhere, jax.device_put([values[i] for i in elsewhere], place[0]), strict=True):
                values[i] = moved
        split = len(state), len(state) + len(labels)
        return _compiled(key, signature)(tuple(values[: split[0]]), values[split[0] : split[1]], values[split[1] :])


def _place(arrays: Sequence[Any]) -> tuple[Sharding, Any]:
    """Return where to compute, and its devices: with the first array of a device, else on the current context."""
    for x in arrays:
        if isinstance(x, jax.Array):
            sharding = x.sharding
            if isinstance(sharding, NamedSharding) and len(sharding.device_set) > 1:
                sharding = NamedSharding(sharding.mesh, PartitionSpec())
            return sharding, sharding.device_set
    sharding = SingleDeviceSharding(current_context().device)
    return sharding, sharding.device_set
