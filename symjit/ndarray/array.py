"""NDArray: a mutable cell over an immutable ``jax.Array``, and contiguous views of it.

Writing rebinds the cell. A view is ``(cell, start, shape)``; every view of MXNet is contiguous. Only `asnumpy`,
`asscalar`, `wait_to_read` and `waitall` block.

Ownership: a cell's array may be given away (donated) only while the cell is its sole owner. Whoever takes a reference
that outlives the call marks the cell shared; a write then copies, and the fresh array is owned again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjit.base import MXNetError, np_dtype
from symjit.context import Context
from symjit.ndarray import indexing
from symjit.ops import registry

__all__ = ["Cell", "NDArray", "wrap"]

_invoke: Callable[..., Any]


class Cell:
    """Where an array lives: the current ``jax.Array``, its context, and whether somebody else holds it too."""

    __slots__ = ("context", "data", "shared")

    def __init__(self, data: jax.Array, context: Context, shared: bool = False) -> None:
        self.data = data
        self.context = context
        self.shared = shared


class NDArray:
    """An n-dimensional array of one dtype on one device. Source: MXNet ``mx.nd.NDArray``.

    Computation is asynchronous; values are waited for by `asnumpy`, `asscalar` and `wait_to_read` alone.
    ``x[i]``, contiguous slices and `reshape` are views that share memory; other indexing copies.
    """

    __slots__ = ("__weakref__", "_cell", "_shape", "_start")

    # Above numpy.ndarray, so that numpy_array + NDArray asks this class.
    __array_priority__ = 1000.0

    def __init__(self, cell: Cell, start: int | None = None, shape: tuple[int, ...] | None = None) -> None:
        self._cell = cell
        self._start = start
        self._shape = shape

    # What it is --------------------------------------------------------------------------------------------------------

    @property
    def data(self) -> jax.Array:
        """The current value as a ``jax.Array``, without a copy where this is not a view.

        The reference must not outlive the call that takes it; see `asjax` for one that may.
        """
        cell = self._cell
        if self._shape is None:
            return cell.data
        with jax.enable_x64(True):
            return indexing.read_view(cell.data, self._start or 0, self._shape)

    def asjax(self) -> jax.Array:
        """Return the value as a ``jax.Array`` that stays valid and never changes."""
        if self._shape is None:
            self._cell.shared = True
        return self.data

    @property
    def cell(self) -> Cell:
        """The cell behind this array."""
        return self._cell

    @property
    def is_view(self) -> bool:
        """Whether this is a view into a cell of another shape or size."""
        return self._shape is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every dimension."""
        return self._cell.data.shape if self._shape is None else self._shape

    @property
    def dtype(self) -> Any:
        """The NumPy scalar type, for example ``numpy.float32``."""
        return np.dtype(self._cell.data.dtype).type

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def context(self) -> Context:
        """The device that holds the array."""
        return self._cell.context

    ctx = context

    @property
    def stype(self) -> str:
        """Storage type; always ``"default"`` (dense)."""
        return "default"

    @property
    def T(self) -> NDArray:
        """The array with its dimensions reversed; a copy."""
        return _call("transpose", [self])

    def __repr__(self) -> str:
        return f"\n{self.asnumpy()}\n<NDArray {'x'.join(map(str, self.shape))} @{self.context}>"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray]:
        for i in range(len(self)):
            yield self[i]

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")
        return self.size == 1 and bool(self.asscalar())

    def __float__(self) -> float:
        return float(self.asscalar())

    def __int__(self) -> int:
        return int(self.asscalar())

    def __index__(self) -> int:
        value = self.asscalar()
        if not isinstance(value, (int, np.integer)):
            raise TypeError(f"only integer arrays of one element can be an index, this one is {value.dtype}")
        return int(value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self.asnumpy()
        return value if dtype is None else value.astype(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_numpy, (self.asnumpy(), str(self.context.device_type), self.context.device_id)

    # Reading -----------------------------------------------------------------------------------------------------------

    def asnumpy(self) -> np.ndarray:
        """Return the value as a fresh, writable NumPy array; waits for it."""
        return np.array(self.data)

    def asscalar(self) -> Any:
        """Return the only element as a NumPy scalar; waits for it.

        Raises:
            ValueError: the array does not hold exactly one element.
        """
        if self.size != 1:
            raise ValueError(f"The current array is not a scalar: its shape is {self.shape}")
        return self.asnumpy().reshape(-1)[0]

    item = asscalar

    def tolist(self) -> list[Any]:
        """Return the value as nested lists; waits for it."""
        return self.asnumpy().tolist()

    def wait_to_read(self) -> None:
        """Block until the value has been computed; errors of its computation are raised here."""
        self._cell.data.block_until_ready()

    def copy(self) -> NDArray:
        """Return an independent array with the same value, on the same device."""
        if self._shape is not None:
            return wrap(self.data, self.context)
        # Both cells hold one immutable array until one of them is written to.
        self._cell.shared = True
        return NDArray(Cell(self._cell.data, self._cell.context, shared=True))

    def copyto(self, other: NDArray | Context) -> NDArray:
        """Copy to another array of the same shape (converting its dtype), or to a new array on a device.

        Raises:
            ValueError: the shapes differ.
        """
        if isinstance(other, Context):
            data = self.data
            moved = _moved(data, other)
            # cpu(0) and cpu(1) may be one device: then nothing moves and both arrays hold the same buffer.
            shared = moved is data
            self._cell.shared |= shared
            return wrap(moved, other, shared=shared)
        if other.shape != self.shape:
            raise ValueError(f"copyto: the shapes differ: {self.shape} to {other.shape}")
        if other is not self:
            other.assign(self)
        return other

    def as_in_context(self, context: Context) -> NDArray:
        """Return this array if it is on `context`, else a copy there."""
        return self if context == self.context else self.copyto(context)

    as_in_ctx = as_in_context

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        """Return the array converted to `dtype`; itself if nothing changes and ``copy=False``."""
        target = np_dtype(dtype)
        if not copy and target == np.dtype(self.dtype):
            return self
        return _call("Cast", [self], {"dtype": target.name})

    def detach(self) -> NDArray:
        """Return a view of the same memory without gradient history."""
        return NDArray(self._cell, self._start, self._shape)

    def reshape(self, *shape: Any, reverse: bool = False, **kwargs: Any) -> NDArray:
        """Return a view of the same memory with another shape.

        Args:
            *shape: the dimensions, or one tuple; MXNet's special codes 0, -1, -2, -3, -4 are understood.
            reverse: match the codes from the right.
            **kwargs: ``shape=`` as an alternative to `shape`.

        Raises:
            MXNetError: the sizes differ.
        """
        wanted = kwargs.pop("shape", shape)
        if kwargs:
            raise TypeError(f"reshape() got unexpected arguments {sorted(kwargs)}")
        if len(wanted) == 1 and isinstance(wanted[0], (tuple, list)):
            wanted = wanted[0]
        target = _reshaped(self.shape, np.dtype(self.dtype).name, tuple(int(d) for d in wanted), reverse)
        return NDArray(self._cell, self._start or 0, target)

    def reshape_like(self, other: NDArray) -> NDArray:
        """Return a view with the shape of `other`."""
        return self.reshape(other.shape)

    def broadcast_to(self, shape: tuple[int, ...]) -> NDArray:
        """Return a copy broadcast to `shape`; dimensions of size 1 are repeated.

        Raises:
            ValueError: the shapes are not compatible.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        cur = (1,) * (len(shape) - self.ndim) + self.shape
        if len(cur) != len(shape) or any(a not in (1, b) for a, b in zip(cur, shape, strict=True)):
            raise ValueError(f"can not broadcast {self.shape} to {shape}")
        source = self if cur == self.shape else self.reshape(cur)
        return _call("broadcast_to", [source], {"shape": shape})

    # Indexing and writing ------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> NDArray:
        region = indexing.parse_key(key, self.shape)
        if region is None:
            with jax.enable_x64(True):
                return wrap(indexing.read_advanced(self.data, key), self.context)
        offset = region.offset(self.shape)
        if offset is not None:
            return NDArray(self._cell, (self._start or 0) + offset, region.shape)
        with jax.enable_x64(True):
            data = indexing.read_region(self.data, region.starts, region.lengths, region.steps, region.shape)
        return wrap(data, self.context)

    def __setitem__(self, key: Any, value: Any) -> None:
        region = indexing.parse_key(key, self.shape)
        if region is not None and region.offset(self.shape) == 0 and region.lengths == self.shape:
            self.assign(value if region.shape == self.shape else _as_value(value, self))
            return
        value = _as_value(value, self)
        with jax.enable_x64(True):
            try:
                if region is None:
                    self.assign(indexing.write_advanced(self.data, key, value), owned=True)
                elif (offset := region.offset(self.shape)) is not None:
                    NDArray(self._cell, (self._start or 0) + offset, region.shape).assign(value)
                elif self._shape is None:
                    cell = self._cell
                    cell.data = indexing.write_region(cell.data, region, value, donate=not cell.shared)
                    cell.shared = False
                else:
                    self.assign(indexing.write_region(self.data, region, value, donate=False), owned=True)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"can not assign a value of shape {getattr(value, 'shape', ())} to the part {key!r}"
                    f" of an array of shape {self.shape}: {error}"
                ) from None

    def assign(self, value: Any, *, owned: bool = False) -> None:
        """Replace the whole value: an array that broadcasts to this shape, or a number. Views write through.

        Args:
            value: the new value.
            owned: the value is a ``jax.Array`` to which nobody else keeps a reference.

        Raises:
            ValueError: the value's shape does not fit.
        """
        cell = self._cell
        if isinstance(value, NDArray):
            if value._shape is None:
                value._cell.shared = True
            value, owned = value.data, value._shape is not None
        elif not isinstance(value, jax.Array):
            value = _as_value(value, self)
        try:
            with jax.enable_x64(True):
                if isinstance(value, jax.Array) and value.devices() != cell.data.devices():
                    value, owned = jax.device_put(value, cell.context.device), True
                if self._shape is not None:
                    cell.data = indexing.write_view(
                        cell.data, self._start or 0, value, self._shape, donate=not cell.shared
                    )
                    cell.shared = False
                elif isinstance(value, jax.Array) and (value.shape, value.dtype) == (cell.data.shape, cell.data.dtype):
                    cell.data, cell.shared = value, not owned
                else:
                    filled = _filled(value, cell.data.shape, cell.data.dtype)
                    cell.data, cell.shared = _moved(filled, cell.context), False
        except (TypeError, ValueError) as error:
            raise ValueError(f"can not assign {np.shape(value)} to an array of shape {self.shape}: {error}") from None

    # Arithmetic ----------------------------------------------------------------------------------------------------------

    def __neg__(self) -> NDArray:
        return _call("negative", [self])

    def __abs__(self) -> NDArray:
        return _call("abs", [self])

    __hash__ = object.__hash__


def wrap(data: jax.Array, context: Context, *, shared: bool = False) -> NDArray:
    """Return a new NDArray around an array that nobody else holds, unless `shared`."""
    return NDArray(Cell(data, context, shared))


def _call(name: str, inputs: list[NDArray], attrs: dict[str, Any] | None = None, out: NDArray | None = None) -> Any:
    return _invoke(registry.get(name), inputs, attrs or {}, out=out)


def _as_value(value: Any, like: NDArray) -> Any:
    """Return a value to be written: NDArray -> jax.Array, everything else through NumPy."""
    if isinstance(value, NDArray):
        return value.data
    if isinstance(value, (jax.Array, np.ndarray)):
        return value
    # A number is given the array's dtype here; strict promotion would refuse to mix it in later.
    return np.asarray(value).astype(like.dtype)


def _moved(data: jax.Array, context: Context) -> jax.Array:
    with jax.enable_x64(True):
        device = context.device
        return data if data.devices() == {device} and data.committed else jax.device_put(data, device)


@lru_cache(maxsize=4096)
def _reshaped(shape: tuple[int, ...], dtype: str, wanted: tuple[int, ...], reverse: bool) -> tuple[int, ...]:
    op = registry.get("Reshape")
    attrs = op.parse_attrs({"shape": wanted, "reverse": reverse})
    try:
        with jax.enable_x64(True):
            spec = jax.ShapeDtypeStruct(shape, np_dtype(dtype))
            out = jax.eval_shape(lambda x: op.call(attrs, [x])[0][0], spec)
    except (MXNetError, TypeError, ValueError) as error:
        raise MXNetError(f"reshape: can not reshape {shape} to {wanted}: {error}") from None
    return tuple(out.shape)


@lru_cache(maxsize=1024)
def _filler(shape: tuple[int, ...], dtype: Any) -> Callable[[Any], Any]:
    def fill(value: Any) -> Any:
        extra = value.ndim - len(shape)
        if extra > 0 and set(value.shape[:extra]) == {1}:
            value = value.reshape(value.shape[extra:])
        return jnp.broadcast_to(value, shape).astype(dtype)

    return jax.jit(fill)


def _filled(value: Any, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    if isinstance(value, np.ndarray) and value.shape == shape:
        # device_put may alias the caller's buffer on CPU, so the copy is made here.
        return jax.device_put(np.array(value, dtype=dtype, copy=True))
    return _filler(shape, np.dtype(dtype))(value)


def _from_numpy(value: np.ndarray, device_type: str, device_id: int) -> NDArray:
    context = Context(device_type, device_id)
    with jax.enable_x64(True):
        return wrap(jax.device_put(np.array(value), context.device), context)


def _operand(value: Any) -> None:
    raise TypeError(f"type {type(value)} not supported: use an NDArray or a number")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number, bool, np.bool_))


def _binary(array: str, scalar: str) -> Any:
    def method(self: NDArray, other: Any) -> Any:
        if isinstance(other, NDArray):
            return _call(array, [self, other])
        if _is_number(other):
            return _call(scalar, [self], {"scalar": float(other)})
        return _operand(other)

    return method


def _reflected(array: str, scalar: str) -> Any:
    def method(self: NDArray, other: Any) -> Any:
        if _is_number(other):
            return _call(scalar, [self], {"scalar": float(other)})
        return _operand(other)

    return method


def _in_place(array: str, scalar: str) -> Any:
    def method(self: NDArray, other: Any) -> NDArray:
        if isinstance(other, NDArray):
            return _call(array, [self, other], out=self)
        if _is_number(other):
            return _call(scalar, [self], {"scalar": float(other)}, out=self)
        _operand(other)
        return self

    return method


for _name, _array, _scalar, _rscalar in [
    ("add", "broadcast_add", "_plus_scalar", "_plus_scalar"),
    ("sub", "broadcast_sub", "_minus_scalar", "_rminus_scalar"),
    ("mul", "broadcast_mul", "_mul_scalar", "_mul_scalar"),
    ("truediv", "broadcast_div", "_div_scalar", "_rdiv_scalar"),
    ("mod", "broadcast_mod", "_mod_scalar", "_rmod_scalar"),
    ("pow", "broadcast_power", "_power_scalar", "_rpower_scalar"),
]:
    setattr(NDArray, f"__{_name}__", _binary(_array, _scalar))
    setattr(NDArray, f"__r{_name}__", _reflected(_array, _rscalar))
    if _name != "pow":
        setattr(NDArray, f"__i{_name}__", _in_place(_array, _scalar))

for _name, _array, _scalar in [
    ("eq", "broadcast_equal", "_equal_scalar"),
    ("ne", "broadcast_not_equal", "_not_equal_scalar"),
    ("gt", "broadcast_greater", "_greater_scalar"),
    ("ge", "broadcast_greater_equal", "_greater_equal_scalar"),
    ("lt", "broadcast_lesser", "_lesser_scalar"),
    ("le", "broadcast_lesser_equal", "_lesser_equal_scalar"),
]:
    setattr(NDArray, f"__{_name}__", _binary(_array, _scalar))
