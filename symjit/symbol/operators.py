"""Python operators between symbols and numbers, and the methods of Symbol that are operators of their own kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Number
from typing import Any, Self

import numpy as np

from symjit import attribute
from symjit import name as naming
from symjit.base import MXNetError
from symjit.ir.graph import Entry, Node
from symjit.ops import registry
from symjit.symbol import compose

__all__ = ["NotImplementedForSymbol", "Operators"]


class NotImplementedForSymbol(MXNetError):
    """A method of NDArray was called on a Symbol, which has no values."""


def _binary(array: str, scalar: str, hints: tuple[str, str]) -> Callable[..., Any]:
    """Return the method for an operator of two symbols, or of a symbol and a number; hints name the result in files."""

    def method(self: Operators, other: Any) -> Any:
        if isinstance(other, Operators):
            return self._apply(array, hints[0], [self, other])
        if isinstance(other, Number):
            return self._apply(scalar, hints[1], [self], {"scalar": other})
        raise TypeError(f"type {type(other)} not supported: use a Symbol or a number")

    return method


def _arithmetic(array: str, word: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the method and its reflection for an operator that commutes with numbers."""
    method = _binary(array, f"_{word}_scalar", (f"_{word}", f"_{word}scalar"))
    return method, method


def _directed(array: str, word: str, reflected: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    method = _binary(array, f"_{word}_scalar", (f"_{word}", f"_{word}scalar"))
    return method, _binary(array, f"_r{word}_scalar", (f"_{word}", reflected))


def _comparison(array: str) -> Callable[..., Any]:
    return _binary(array, f"{array}_scalar", (array, f"{array}_scalar"))


def _absent(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedForSymbol(f"Function {name} is not implemented for Symbol and only available in NDArray.")

    method.__name__ = name
    method.__qualname__ = f"Symbol.{name}"
    method.__doc__ = f"Raise NotImplementedForSymbol: `{name}` is a method of NDArray."
    return method


class Operators(ABC):
    """What Symbol inherits: arithmetic, comparisons, and methods whose arguments are not just an operator's.

    Arithmetic and comparisons are elementwise on equal shapes; unlike NDArray's they do not broadcast.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    # Above numpy.ndarray, so that number_of_numpy * Symbol asks this class.
    __array_priority__ = 1000.0

    @classmethod
    @abstractmethod
    def of(cls, node: Node) -> Self:
        """Return the symbol of all visible outputs of a node."""

    @abstractmethod
    def entry(self, where: str) -> Entry:
        """Return the only output; errors begin with `where`."""

    def _apply(
        self,
        op: str,
        hint: str,
        symbols: Sequence[Operators],
        attrs: Mapping[str, Any] | None = None,
        name: str | None = None,
        attr: Mapping[str, str] | None = None,
    ) -> Self:
        texts = {key: compose.attribute_text(key, value) for key, value in (attrs or {}).items()}
        texts.update(attribute.current().get(attr))
        inputs = [symbol.entry(f"{hint}: input {i}") for i, symbol in enumerate(symbols)]
        return self.of(compose.apply(registry.get(op), naming.current().get(name, hint), texts, inputs))

    __add__, __radd__ = _arithmetic("elemwise_add", "plus")
    __sub__, __rsub__ = _directed("elemwise_sub", "minus", "_rminusscalar")
    __mul__, __rmul__ = _arithmetic("elemwise_mul", "mul")
    __truediv__, __rtruediv__ = _directed("elemwise_div", "div", "_rdivscalar")
    __mod__, __rmod__ = _directed("_mod", "mod", "_rmodscalar")
    __pow__, __rpow__ = _directed("_power", "power", "_rpower_scalar")
    __eq__ = _comparison("_equal")
    __ne__ = _comparison("_not_equal")
    __gt__ = _comparison("_greater")
    __ge__ = _comparison("_greater_equal")
    __lt__ = _comparison("_lesser")
    __le__ = _comparison("_lesser_equal")

    def __neg__(self) -> Self:
        return self._apply("_mul_scalar", "_mulscalar", [self], {"scalar": -1.0})

    def __abs__(self) -> Self:
        return self._apply("abs", "abs", [self])

    def __bool__(self) -> bool:
        raise NotImplementedForSymbol("a Symbol has no truth value: it is computed later; compare with `is`, not ==")

    def reshape(
        self, *shape: Any, name: str | None = None, attr: Mapping[str, str] | None = None, **kwargs: Any
    ) -> Self:
        """Return ``mx.sym.reshape(self, shape)``; the shape is one tuple or several numbers."""
        if shape:
            alone = len(shape) == 1 and not isinstance(shape[0], (int, np.integer))
            kwargs["shape"] = shape[0] if alone else shape
        return self._apply("Reshape", "reshape", [self], kwargs, name, attr)

    def astype(self, dtype: Any, name: str | None = None, attr: Mapping[str, str] | None = None) -> Self:
        """Return ``mx.sym.cast(self, dtype)``."""
        return self._apply("Cast", "cast", [self], {"dtype": dtype}, name, attr)

    def squeeze(
        self,
        axis: int | Sequence[int] | None = None,
        inplace: bool = False,
        name: str | None = None,
        attr: Mapping[str, str] | None = None,
    ) -> Self:
        """Return ``mx.sym.squeeze(self, axis)``; `inplace` is without effect."""
        return self._apply("squeeze", "squeeze", [self], {"axis": axis}, name, attr)

    def expand_dims(
        self, axis: int, inplace: bool = False, name: str | None = None, attr: Mapping[str, str] | None = None
    ) -> Self:
        """Return ``mx.sym.expand_dims(self, axis)``; `inplace` is without effect."""
        return self._apply("expand_dims", "expand_dims", [self], {"axis": axis}, name, attr)

    def flatten(self, inplace: bool = False, name: str | None = None, attr: Mapping[str, str] | None = None) -> Self:
        """Return ``mx.sym.flatten(self)``; `inplace` is without effect."""
        return self._apply("Flatten", "flatten", [self], None, name, attr)

    as_in_context = _absent("as_in_context")
    asnumpy = _absent("asnumpy")
    asscalar = _absent("asscalar")
    backward = _absent("backward")
    copy = _absent("copy")
    detach = _absent("detach")
    wait_to_read = _absent("wait_to_read")
