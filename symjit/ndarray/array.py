"""NDArray: a mutable cell over an immutable ``jax.Array``, and contiguous views of it.

Writing rebinds the cell. A view is ``(cell, start, shape)``; every view of MXNet is contiguous. Only `asnumpy`,
`asscalar`, `wait_to_read` and `waitall` block, and indexing by an NDArray, whose bounds are checked.

Ownership: a cell's array may be given away (donated) only while the cell is its sole owner. Whoever takes a reference
that outlives the call marks the cell shared; a write then copies, and the fresh array is owned again.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from symjit.base import MXNetError, np_dtype
from symjit.context import Context
from symjit.ndarray import indexing
from symjit.ops import registry

__all__ = ["Bound", "Cell", "NDArray", "wrap"]


class Bound:
    """The current values of cells in a list that can be handed to a compiled function as it is.

    An executor of a large network has hundreds of parameters. Collecting them anew for every call takes longer than
    all else that it does, so the cells keep the list up to date when they are written to.
    """

    __slots__ = ("__weakref__", "values")

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.values = [cell.data for cell in cells]
        me: weakref.ref[Bound] = weakref.ref(self)
        for position, cell in enumerate(cells):
            cell.bound = (*(entry for entry in cell.bound if entry[0]() is not None), (me, position))


class Cell:
    """Where an array lives: the current ``jax.Array``, its context, and whether somebody else holds it too.

    `put` alone changes the array, so that the lists in `bound` follow.
    """

    __slots__ = ("bound", "context", "data", "shared")

    def __init__(self, data: jax.Array, context: Context, shared: bool = False) -> None:
        self.data = data
        self.context = context
        self.shared = shared
        self.bound: tuple[tuple[weakref.ref[Bound], int], ...] = ()

    def put(self, data: jax.Array, *, shared: bool = False) -> None:
        """Replace the array; `shared` tells whether somebody else holds the new one."""
        self.data = data
        self.shared = shared
        for reference, position in self.bound:
            bound = reference()
            if bound is not None:
                bound.values[position] = data

    def donates(self, value: Any) -> bool:
        """Return whether the array may be given away to a function that also takes `value`."""
        return not self.shared and value is not self.data


class NDArray:
    """An n-dimensional array of one dtype on one device. Source: MXNet ``mx.nd.NDArray``.

    Computation is asynchronous; values are waited for by `asnumpy`, `asscalar` and `wait_to_read` alone.
    ``x[i]``, contiguous slices and `reshape` are views that share memory; other indexing copies.

    Deviations from MXNet: slices that select nothing are empty arrays, wherever they stand; a negative number in an
    index array counts from the end in assignments, as it does when reading; NumPy functions take an NDArray for an
    array.
    """

    __slots__ = ("__weakref__", "_cell", "_shape", "_start")

    # Above numpy.ndarray, so that numpy_array + NDArray asks this class.
    __array_priority__ = 1000.0

    def __init__(self, cell: Cell, start: int = 0, shape: tuple[int, ...] | None = None) -> None:
        self._cell = cell
        self._start = start
        self._shape = shape

    # What it is -------------------------------------------------------------------------------------------------------

    @property
    def data(self) -> jax.Array:
        """The current value as a ``jax.Array``, without a copy where this is not a view.

        The reference must not outlive the call that takes it; see `asjax` for one that may.
        """
        if self._shape is None:
            return self._cell.data
        with jax.enable_x64(True):
            return indexing.read_view(self._cell.data, self._start, self._shape)

    def asjax(self) -> jax.Array:
        """Return the value as a ``jax.Array`` that stays valid whatever is written to this array.

        No copy is made where this is not a view; the result must not be donated to a function of JAX.
        """
        if self._shape is None:
            self._cell.shared = True
        return self.data

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every dimension."""
        return self._cell.data.shape if self._shape is None else self._shape

    @property
    def dtype(self) -> Any:
        """The NumPy scalar type, for example ``numpy.float32``."""
        return self._cell.data.dtype.type

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

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
        return _apply("transpose", self)

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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an NDArray can not be viewed as a NumPy array, only copied")
        value = self.asnumpy()
        return value if dtype is None else value.astype(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.asnumpy(), self.context.device_type, self.context.device_id)

    def __copy__(self) -> NDArray:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> NDArray:
        return self.copy()

    # Reading ----------------------------------------------------------------------------------------------------------

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

    def wait_to_read(self) -> None:
        """Block until the value has been computed; errors of its computation are raised here."""
        self._cell.data.block_until_ready()

    # Copies, conversions, views ---------------------------------------------------------------------------------------

    def copy(self) -> NDArray:
        """Return an independent array with the same value, on the same device."""
        if self._shape is not None:
            return wrap(self.data, self.context)
        # Both cells hold one immutable array until one of them is written to.
        self._cell.shared = True
        return wrap(self._cell.data, self._cell.context, shared=True)

    def copyto(self, other: NDArray | Context) -> NDArray:
        """Copy to another array of the same shape (converting its dtype), or to a new array on a device.

        Raises:
            MXNetError: the shapes differ.
            TypeError: `other` is neither an NDArray nor a Context.
        """
        if isinstance(other, Context):
            data = self.data
            with jax.enable_x64(True):
                moved = data if data.device == other.device else jax.device_put(data, other.device)
            # cpu(0) and cpu(1) may be one device: then nothing moves and both arrays hold one buffer.
            shared = moved is self._cell.data
            self._cell.shared |= shared
            return wrap(moved, other, shared=shared)
        if not isinstance(other, NDArray):
            raise TypeError(f"copyto does not support type {type(other)}: expected an NDArray or a Context")
        if other.shape != self.shape:
            raise MXNetError(f"copyto: expected a target of shape {self.shape}, got one of shape {other.shape}")
        if other is not self:
            other.assign(self)
        return other

    def as_in_context(self, context: Context) -> NDArray:
        """Return this array if it is on `context`, else a copy there."""
        return self if context == self.context else self.copyto(context)

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        """Return the array converted to `dtype`; itself if nothing changes and ``copy=False``."""
        target = np_dtype(dtype)
        if not copy and target == self._cell.data.dtype:
            return self
        return _apply("Cast", self, dtype=target.name)

    def detach(self) -> NDArray:
        """Return an array of the same memory without gradient history."""
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
        wanted = shape[0] if len(shape) == 1 and not hasattr(shape[0], "__index__") else shape
        wanted = kwargs.pop("shape", wanted)
        if kwargs:
            raise TypeError(f"reshape() accepts the keywords 'shape' and 'reverse', got {sorted(kwargs)}")
        target = tuple(map(operator.index, (wanted,) if hasattr(wanted, "__index__") else wanted))
        if target or self.size != 1:
            target = _reshaped(self.shape, target, reverse)
        return NDArray(self._cell, self._start, target)

    def expand_dims(self, axis: int, inplace: bool = False) -> NDArray:
        """Return a copy with a new axis of size 1 at `axis`; with ``inplace=True`` a view."""
        return self._rearranged(inplace, "expand_dims", axis=axis)

    def squeeze(self, axis: int | Sequence[int] | None = None, inplace: bool = False) -> NDArray:
        """Return a copy without axes of size 1, all of them or those given; with ``inplace=True`` a view."""
        return self._rearranged(inplace, "squeeze", **({} if axis is None else {"axis": axis}))

    def flatten(self, inplace: bool = False) -> NDArray:
        """Return a copy of shape ``(shape[0], -1)``; with ``inplace=True`` a view."""
        return self._rearranged(inplace, "Flatten")

    def _rearranged(self, inplace: bool, name: str, **attrs: Any) -> NDArray:
        made = _apply(name, self, **attrs)
        return NDArray(self._cell, self._start, made.shape) if inplace else made

    def broadcast_to(self, shape: tuple[int, ...]) -> NDArray:
        """Return a copy broadcast to `shape`; dimensions of size 1 are repeated.

        Raises:
            ValueError: the shapes are not compatible.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        have = (1,) * (len(shape) - self.ndim) + self.shape
        if len(have) != len(shape) or any(a not in (1, b) for a, b in zip(have, shape, strict=True)):
            raise ValueError(f"can not broadcast {self.shape} to {shape}")
        source = self if have == self.shape else self.reshape(have)
        return _apply("broadcast_to", source, shape=shape)

    # Indexing and writing ---------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> NDArray:
        if type(key) is int:
            offset, shape = indexing.row(key, self.shape)
            return NDArray(self._cell, self._start + offset, shape)
        if key == () if isinstance(key, tuple) else isinstance(key, slice) and _takes_all(key):
            return self
        part = indexing.parse_key(key, self.shape)
        offset = part.offset(self.shape) if isinstance(part, indexing.Region) else None
        if offset is not None:
            return NDArray(self._cell, self._start + offset, part.shape)
        with jax.enable_x64(True):
            return wrap(indexing.read(self.data, part), self.context)

    def __setitem__(self, key: Any, value: Any) -> None:
        part = indexing.parse_key(key, self.shape)
        offset = part.offset(self.shape) if isinstance(part, indexing.Region) else None
        if offset is not None:
            whole = part.shape == self.shape
            (self if whole else NDArray(self._cell, self._start + offset, part.shape)).assign(value)
            return
        cell = self._cell
        value = self._incoming(value)
        with jax.enable_x64(True), _explained(value, part.shape):
            if self._shape is None:
                cell.put(indexing.write(cell.data, part, value, donate=cell.donates(value)))
            else:
                self.assign(indexing.write(self.data, part, value, donate=True), owned=True)

    def assign(self, value: Any, *, owned: bool = False) -> None:
        """Replace the whole value: an array that broadcasts to this shape, or a number. Views write through.

        Args:
            value: the new value.
            owned: the value is a ``jax.Array`` to which nobody else keeps a reference.

        Raises:
            ValueError: the value's shape does not fit.
            TypeError: the value is no number and no array.
        """
        cell, old = self._cell, self._cell.data
        source = value
        value = self._incoming(value)
        fits = self._shape is None and value.shape == old.shape and value.dtype == old.dtype
        if fits and isinstance(value, jax.Array) and (owned or isinstance(source, NDArray)):
            # A view's value was read for us; a whole array's is its cell's as well.
            shared = isinstance(source, NDArray) and value is source._cell.data
            if shared:
                source._cell.shared = True
            cell.put(value, shared=shared)
            return
        with jax.enable_x64(True), _explained(value, self.shape):
            if self._shape is not None:
                donate = cell.donates(value)
                cell.put(indexing.write_view(old, self._start, value, self._shape, donate=donate))
            elif fits and isinstance(value, np.ndarray):
                cell.put(jax.device_put(value, cell.context.device))
            else:
                cell.put(indexing.fill(value, old.shape, old.dtype, cell.context.device))

    def _incoming(self, value: Any) -> jax.Array | np.ndarray:
        """Return a value to be written: arrays on this device, everything else copied by NumPy in this dtype."""
        if isinstance(value, NDArray):
            value = value.data
        device = self._cell.context.device
        if isinstance(value, jax.Array):
            return value if value.device == device else jax.device_put(value, device)
        dtype = self._cell.data.dtype
        try:
            # A float that an integer dtype can not hold is converted as the processor does, as in MXNet.
            with np.errstate(invalid="ignore", over="ignore"):
                return np.asarray(value).astype(dtype)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"NDArray does not support assignment with a value of type {type(value).__name__}: {error}"
            ) from None

    # Arithmetic is attached by symjit.ndarray.arithmetic, the operators' methods by symjit.ndarray.functions.

    if TYPE_CHECKING:
        __add__: Callable[[Any], NDArray]
        __radd__: Callable[[Any], NDArray]
        __sub__: Callable[[Any], NDArray]
        __rsub__: Callable[[Any], NDArray]
        __mul__: Callable[[Any], NDArray]
        __rmul__: Callable[[Any], NDArray]
        __truediv__: Callable[[Any], NDArray]
        __rtruediv__: Callable[[Any], NDArray]
        __mod__: Callable[[Any], NDArray]
        __rmod__: Callable[[Any], NDArray]
        __pow__: Callable[[Any], NDArray]
        __rpow__: Callable[[Any], NDArray]
        __gt__: Callable[[Any], NDArray]
        __ge__: Callable[[Any], NDArray]
        __lt__: Callable[[Any], NDArray]
        __le__: Callable[[Any], NDArray]
        __neg__: Callable[[], NDArray]
        __abs__: Callable[[], NDArray]

        def __getattr__(self, name: str) -> Any: ...

    __hash__ = object.__hash__


class _explained:
    """Name both shapes in the error of a write that does not fit."""

    __slots__ = ("have", "want")

    def __init__(self, value: Any, want: tuple[int, ...]) -> None:
        self.have, self.want = value.shape, want

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (TypeError, ValueError)):
            raise ValueError(f"can not assign a value of shape {self.have} to shape {self.want}: {error}") from None


def _takes_all(key: slice) -> bool:
    return key.start is None and key.stop is None and key.step is None


def wrap(data: jax.Array, context: Context, *, shared: bool = False) -> NDArray:
    """Return a new NDArray around an array that nobody else holds, unless `shared`."""
    return NDArray(Cell(data, context, shared))


def _apply(name: str, data: NDArray, **attrs: Any) -> NDArray:
    from symjit.ndarray.invoke import invoke  # it builds on this module

    return invoke(registry.get(name), [data], attrs)


@lru_cache(maxsize=4096)
def _reshaped(shape: tuple[int, ...], wanted: tuple[int, ...], reverse: bool) -> tuple[int, ...]:
    op = registry.get("Reshape")
    attrs = op.parse_attrs({"shape": wanted, "reverse": reverse})
    try:
        out = jax.eval_shape(lambda x: op.call(attrs, [x])[0][0], jax.ShapeDtypeStruct(shape, np.float32))
    except (MXNetError, TypeError, ValueError) as error:
        raise MXNetError(f"reshape: can not reshape {shape} to {wanted}: {error}") from None
    return tuple(out.shape)


def _restore(value: np.ndarray, device_type: str, device_id: int) -> NDArray:
    """Return the NDArray that a pickle holds."""
    context = Context(device_type, device_id)
    with jax.enable_x64(True):
        return wrap(jax.device_put(value.copy(), context.device), context)
