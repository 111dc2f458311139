"""MXNet's devices: ``cpu()``, ``gpu()``, ``tpu()`` and the current context, over JAX's devices."""

from __future__ import annotations

import gc
import operator
import os
import threading
import warnings
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

from symjit import config
from symjit.base import MXNetError

__all__ = [
    "Context",
    "cpu",
    "cpu_pinned",
    "current_context",
    "gpu",
    "gpu_memory_info",
    "num_gpus",
    "num_tpus",
    "tpu",
]

Device: TypeAlias = Any  #: a jax.Device; jaxlib carries no types

#: JAX's platform behind each device type. Pinned and shared memory are what MXNet uses to feed other devices and
#: processes; XLA has its own ways, so both are plain host memory here.
_PLATFORM = {"cpu": "cpu", "gpu": "gpu", "cpu_pinned": "cpu", "cpu_shared": "cpu", "tpu": "tpu"}
_DEVICE_TYPE = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu", "rocm": "gpu", "tpu": "tpu"}
_REMEDY = {
    "cpu": "JAX_PLATFORMS must list cpu",
    "gpu": "an NVIDIA driver and pip install 'symjit[cuda13]' bring GPUs, mx.cpu() works without",
    "tpu": "a TPU machine and pip install 'symjit[tpu]' bring TPUs, mx.cpu() works without",
}


class _DefaultContext(type):
    """Gives the class attribute ``Context.default_ctx``, which MXNet deprecated and old programs assign."""

    @property
    def default_ctx(cls) -> Context:
        _warn_default_ctx()
        return _local.stack[-1]

    @default_ctx.setter
    def default_ctx(cls, value: Context) -> None:
        _warn_default_ctx()
        _local.stack[-1] = Context(value)


class Context(metaclass=_DefaultContext):
    """Name a device: a type and a number. Source: MXNet ``mx.context.Context``.

    A context is a value: it may name a device that this machine does not have, it compares and hashes by type and
    number, and it can be entered (``with mx.gpu(1):``) to become the current context of the thread.

    Args:
        device_type: ``"cpu"``, ``"gpu"``, ``"tpu"``, ``"cpu_pinned"``, ``"cpu_shared"``, or a Context to copy.
        device_id: number of the device among those of its type that this process sees.

    Raises:
        MXNetError: the device type is unknown, or the number is not an integer.

    Deviations from MXNet: ``tpu`` is new; a Context cannot be changed once made; an unknown type raises MXNetError,
    not KeyError.
    """

    __slots__ = ("_device_id", "_device_typeid")

    #: MXNet's numbers of the device types, as saved arrays carry them; 6 is symjit's own and is never saved.
    devtype2str: ClassVar[dict[int, str]] = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared", 6: "tpu"}
    devstr2type: ClassVar[dict[str, int]] = {name: number for number, name in devtype2str.items()}

    def __init__(self, device_type: str | Context, device_id: int = 0) -> None:
        if isinstance(device_type, Context):
            self._device_typeid, self._device_id = device_type._device_typeid, device_type._device_id
            return
        if device_type not in self.devstr2type:
            raise MXNetError(f"unknown device type {device_type!r}: expected one of {', '.join(self.devstr2type)}")
        try:
            number = operator.index(device_id)
        except TypeError:
            raise MXNetError(
                f"device number of a {device_type} context: expected an integer, got {device_id!r}"
            ) from None
        self._device_typeid, self._device_id = self.devstr2type[device_type], number

    @classmethod
    def from_device(cls, device: Device) -> Context:
        """Return the context of a JAX device of this process.

        Raises:
            MXNetError: the device is another process's, or of a platform that has no context.
        """
        return _context_of(device)

    @property
    def device_typeid(self) -> int:
        """MXNet's number of the device type."""
        return self._device_typeid

    @property
    def device_type(self) -> str:
        """Name of the device type, such as ``"cpu"``."""
        return self.devtype2str[self._device_typeid]

    @property
    def device_id(self) -> int:
        """Number of the device among those of its type."""
        return self._device_id

    @property
    def device(self) -> Device:
        """The JAX device behind this context.

        ``cpu(i)`` is JAX's i-th CPU device, and the first one where there are fewer: in MXNet every ``cpu(i)`` is
        the same processor.

        Raises:
            MXNetError: this process has no such GPU or TPU.
        """
        return _device_of(_PLATFORM[self.device_type], self._device_id)

    def empty_cache(self) -> None:
        """Free the device memory of arrays that only reference cycles keep alive.

        Deviation from MXNet, which hands its memory pool back to the driver: XLA keeps its pool for the process.
        """
        gc.collect()

    def __enter__(self) -> Context:
        _local.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _local.stack.pop()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Context):
            return NotImplemented
        return self._device_typeid == other._device_typeid and self._device_id == other._device_id

    def __hash__(self) -> int:
        return hash((self._device_typeid, self._device_id))

    def __repr__(self) -> str:
        return f"{self.device_type}({self._device_id})"


class _Local(threading.local):
    """The contexts a thread has entered; below them the thread's default."""

    def __init__(self) -> None:
        self.stack = [Context("cpu", 0)]


_local = _Local()


def _warn_default_ctx() -> None:
    message = "Context.default_ctx is deprecated: use mx.current_context(), or `with` a context"
    warnings.warn(message, DeprecationWarning, stacklevel=3)


def _devices(platform: str) -> list[Device]:
    import jax

    config.choose_engine()
    return jax.local_devices(backend=platform)


def _count(platform: str) -> int:
    try:
        return len(_devices(platform))
    except RuntimeError:  # JAX's way to say that there are none
        return 0


@lru_cache(maxsize=256)  # JAX's devices never change once asked for; errors are not kept
def _device_of(platform: str, number: int) -> Device:
    reason = None
    try:
        devices = _devices(platform)
    except RuntimeError as error:
        devices, reason = [], error
    if 0 <= number < len(devices):
        return devices[number]
    if platform == "cpu" and devices:
        return devices[0]
    sees = f"{len(devices)} {platform.upper()} device{'s' * (len(devices) != 1)}"
    chosen = os.environ.get("JAX_PLATFORMS")
    note = f" (JAX_PLATFORMS={chosen} is set)" if chosen else ""
    raise MXNetError(f"no device {platform}({number}): this process sees {sees}{note}; {_REMEDY[platform]}") from reason


@lru_cache(maxsize=256)
def _context_of(device: Device) -> Context:
    kind = _DEVICE_TYPE.get(device.platform)
    if kind is None:
        raise MXNetError(
            f"device {device} is of platform {device.platform!r}: expected one of {', '.join(_DEVICE_TYPE)}"
        )
    devices = device.client.local_devices()
    if device not in devices:
        raise MXNetError(f"device {device} belongs to process {device.process_index}: a context names a local device")
    return Context(kind, devices.index(device))


def cpu(device_id: int = 0) -> Context:
    """Return a CPU context; the number only tells contexts apart, see :attr:`Context.device`."""
    return Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """Return a context of page-locked host memory, which is plain host memory here."""
    return Context("cpu_pinned", device_id)


def gpu(device_id: int = 0) -> Context:
    """Return the context of a GPU, which need not exist until it is used."""
    return Context("gpu", device_id)


def tpu(device_id: int = 0) -> Context:
    """Return the context of a TPU, which need not exist until it is used. MXNet has none."""
    return Context("tpu", device_id)


def num_gpus() -> int:
    """Return how many GPUs this process sees; 0 without a GPU build of jaxlib."""
    return _count("gpu")


def num_tpus() -> int:
    """Return how many TPU cores this process sees; 0 without a TPU runtime."""
    return _count("tpu")


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Return ``(free, total)`` memory of a GPU in bytes.

    Deviation from MXNet, which asks the driver: total is what XLA's allocator may take of the card
    (``XLA_PYTHON_CLIENT_MEM_FRACTION``), free is the part of it that no array uses.

    Raises:
        MXNetError: there is no such GPU, or its allocator keeps no statistics.
    """
    stats = gpu(device_id).device.memory_stats()
    if not stats or "bytes_limit" not in stats:
        raise MXNetError(f"gpu({device_id}) keeps no memory statistics: XLA's default allocator does")
    return stats["bytes_limit"] - stats["bytes_in_use"], stats["bytes_limit"]


def current_context() -> Context:
    """Return the context that this thread has entered last, ``cpu(0)`` if none."""
    return _local.stack[-1]
