"""Attribute types: how an operator's attributes are parsed, range-checked and written back as text.

An operator declares its attributes as keyword-only parameters. The annotation names the type:

==============================  =========================================================
annotation                      meaning
==============================  =========================================================
``bool  int  float  str``       the plain types
``Literal["max", "avg"]``       an enumeration
``T | None``                    optional, the text ``None``
``tuple[int, ...]``             a tuple of integers; ``tuple[int | None, ...]`` admits ``None``
``PositiveInt  NonNegativeInt``  ranged integers
``Fraction``                    a float of [0, 1]
``Scalar``                      a float that imperative calls pass as a traced argument
``DType``                       a dtype's name
==============================  =========================================================

Values come from Python or from the strings of a Symbol JSON file; both take the same path. Nothing is evaluated: the
tuple grammar is a bracketed list of integers.
"""

from __future__ import annotations

import math
import operator
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union

from symjit.base import MXNetError, dtype_name, shown

# More than any shape, list of sizes or list of learning rates has; it bounds what a text can make of itself.
_MOST_ITEMS = 65536

__all__ = [
    "AttrType",
    "Bool",
    "DType",
    "DTypeName",
    "Enum",
    "Float",
    "Fraction",
    "Int",
    "NonNegativeInt",
    "Optional",
    "PositiveInt",
    "Scalar",
    "Text",
    "Tuple",
    "attr_type",
    "python_text",
]


class AttrType:
    """Base of the attribute types.

    Attributes:
        dynamic: whether imperative calls trace the value instead of compiling it in.
        doc: how the type reads in a docstring.
    """

    dynamic: bool = False
    doc: str = "value"

    def parse(self, value: Any) -> Any:
        """Return the canonical, hashable value of a Python object or a JSON string.

        Raises:
            ValueError: the value is not of this type; the message says what was expected.
        """
        raise TypeError(f"{type(self).__name__} does not define parse")

    def format(self, value: Any) -> str:
        """Return the text that `parse` reads back as `value`."""
        return python_text(value)


def python_text(value: Any) -> str:
    """Return the text MXNet's Python front end stores for an attribute value."""
    if isinstance(value, str):
        return value
    if isinstance(value, type) or type(value).__module__ == "numpy.dtypes" or hasattr(value, "newbyteorder"):
        return dtype_name(value)
    return str(value)


def _edge(value: float | None, infinite: str) -> str:
    return infinite if value is None else str(value)


class Bool(AttrType):
    """``True/true/1`` and ``False/false/0``."""

    doc = "bool"
    _values: typing.ClassVar[dict[str, bool]] = {"true": True, "1": True, "false": False, "0": False}

    def parse(self, value: Any) -> bool:
        """Return the truth value."""
        found = self._values.get(str(value).strip().lower())
        if found is None:
            raise ValueError(f"expected True or False, got {shown(value)}")
        return found


class Int(AttrType):
    """An integer, optionally bounded; ``64L`` of Python 2 is admitted."""

    def __init__(self, low: int | None = None, high: int | None = None) -> None:
        """Bound the value to ``low <= value <= high``."""
        self.low, self.high = low, high
        self.doc = "int" if low is None and high is None else f"int in [{_edge(low, '-inf')}, {_edge(high, 'inf')}]"

    def parse(self, value: Any) -> int:
        """Return the integer."""
        number = _integer(value)
        if number is None:
            raise ValueError(f"expected an integer, got {shown(value)}")
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise ValueError(f"expected an {self.doc}, got {number}")
        return number


class Float(AttrType):
    """A floating-point number, optionally bounded (bounds inclusive)."""

    def __init__(self, low: float | None = None, high: float | None = None, *, dynamic: bool = False) -> None:
        """Bound the value to ``low <= value <= high``."""
        self.low, self.high, self.dynamic = low, high, dynamic
        self.doc = "float" if low is None and high is None else f"float in [{_edge(low, '-inf')}, {_edge(high, 'inf')}]"

    def parse(self, value: Any) -> float:
        """Return the number."""
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and text[-1:] in ("f", "F") and text[-2:-1].isdigit():
            text = text[:-1]  # C's float suffix, 0.5f
        try:
            number = float(text)
        except (TypeError, ValueError):
            raise ValueError(f"expected a number, got {shown(value)}") from None
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise ValueError(f"expected a {self.doc}, got {number}")
        return number


class Text(AttrType):
    """Any text."""

    doc = "str"

    def parse(self, value: Any) -> str:
        """Return the text."""
        return str(value)


class Enum(AttrType):
    """One of a fixed set of names."""

    def __init__(self, choices: Sequence[str]) -> None:
        """Admit exactly `choices`."""
        self.choices = tuple(choices)
        self.doc = "{" + ", ".join(repr(choice) for choice in self.choices) + "}"

    def parse(self, value: Any) -> str:
        """Return the name."""
        text = str(value).strip()
        if text not in self.choices:
            raise ValueError(f"expected one of {self.doc}, got {shown(value)}")
        return text


class DTypeName(AttrType):
    """The name of a dtype; NumPy types and MXNet's ``type_flag`` numbers are admitted."""

    doc = "dtype"

    def parse(self, value: Any) -> str:
        """Return the dtype's name."""
        number = _integer(value) if isinstance(value, str) else None
        try:
            return dtype_name(number if number is not None else value.strip() if isinstance(value, str) else value)
        except MXNetError as error:
            raise ValueError(str(error)) from None

    def format(self, value: Any) -> str:
        """Return the dtype's name."""
        return dtype_name(value)


class Tuple(AttrType):
    """A tuple of values of one type: ``(2, 2)``, ``[2,2]``, ``(2L, 2L)``, ``2`` or ``()``."""

    def __init__(self, item: AttrType) -> None:
        """Hold items of type `item`."""
        self.item = item
        self.doc = f"tuple of {item.doc}"

    def parse(self, value: Any) -> tuple[Any, ...]:
        """Return the tuple."""
        if isinstance(value, str):
            text = value.strip()
            if text[:1] in ("(", "["):
                if text[-1:] != {"(": ")", "[": "]"}[text[0]] or len(text) < 2:
                    raise ValueError(f"expected a {self.doc}, got {shown(value)}: brackets do not match")
                text = text[1:-1]
            if text.count(",") >= _MOST_ITEMS:
                raise ValueError(f"expected a {self.doc} of at most {_MOST_ITEMS} items, got {shown(value)}")
            items: Sequence[Any] = [part.strip() for part in text.split(",")]
            if items and items[-1] == "":
                items = items[:-1]
        elif isinstance(value, (str, bytes)) or value is None:
            raise ValueError(f"expected a {self.doc}, got {shown(value)}")
        else:
            items = list(value) if isinstance(value, Sequence) or hasattr(value, "__iter__") else [value]
        try:
            return tuple(self.item.parse(item) for item in items)
        except ValueError as error:
            raise ValueError(f"expected a {self.doc}, got {shown(value)}: {error}") from None

    def format(self, value: Any) -> str:
        """Return the text of the tuple, in Python's spelling."""
        inner = [self.item.format(item) for item in value]
        return f"({inner[0]},)" if len(inner) == 1 else "(" + ", ".join(inner) + ")"


class Optional(AttrType):
    """A value of another type, or ``None``."""

    def __init__(self, inner: AttrType) -> None:
        """Admit ``None`` beside `inner`."""
        self.inner = inner
        self.dynamic = inner.dynamic
        self.doc = f"{inner.doc} or None"

    def parse(self, value: Any) -> Any:
        """Return the value, or ``None`` for ``None`` and its text."""
        if value is None or (isinstance(value, str) and value.strip() in ("None", "")):
            return None
        return self.inner.parse(value)

    def format(self, value: Any) -> str:
        """Return the text of the value."""
        return "None" if value is None else self.inner.format(value)


PositiveInt = Annotated[int, Int(1)]
NonNegativeInt = Annotated[int, Int(0)]
Fraction = Annotated[float, Float(0.0, 1.0)]
Scalar = Annotated[float, Float(dynamic=True)]
DType = Annotated[str, DTypeName()]

_PLAIN: dict[Any, AttrType] = {bool: Bool(), int: Int(), float: Float(), str: Text()}


def attr_type(annotation: Any) -> AttrType:
    """Return the attribute type that an annotation names.

    Raises:
        TypeError: the annotation names none; raised while the operator is being registered.
    """
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        for extra in args[1:]:
            if isinstance(extra, AttrType):
                return extra
    if origin is Literal:
        return Enum(args)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return Tuple(attr_type(args[0]))
    if origin in (Union, types.UnionType):
        rest = [arg for arg in args if arg is not type(None)]
        if len(rest) == 1 and len(args) == 2:
            return Optional(attr_type(rest[0]))
    raise TypeError(f"{annotation!r} names no attribute type")


def _integer(value: Any) -> int | None:
    if isinstance(value, str):
        text = value.strip()
        if text[-1:] in ("L", "l"):
            text = text[:-1]
        digits = text[1:] if text[:1] in ("+", "-") else text
        return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) else None
    try:
        return operator.index(value)
    except TypeError:
        return None
