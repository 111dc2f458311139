"""Partial shapes and the inference rules that many operators share.

A partial shape is ``None`` (nothing known) or a tuple whose unknown dimensions are ``None``. A rule reads what is known
of an operator's inputs and outputs and returns deductions; `symjit.ir.infer` alone unifies them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = [
    "Deductions",
    "Known",
    "PartialShape",
    "Rule",
    "agreed",
    "broadcast_shapes",
    "known",
    "normalize_axis",
    "prod",
    "rank",
    "read_shape",
    "replace",
    "same",
    "same_as",
    "show",
    "unify",
    "window",
    "window_input",
]

PartialShape = tuple[int | None, ...] | None


class Known(dict[str, Any]):
    """What is known of an operator's inputs and outputs, by input name.

    ``s.data`` or ``s["data"]`` is an input's partial shape (or dtype, in a dtype rule); ``s.args`` is the list of a
    variadic operator's inputs; ``s.out`` is the list of outputs. Absent optional inputs are not there: use ``get``.
    """

    args: list[Any]
    out: list[Any]

    def __getattr__(self, name: str) -> Any:
        """Return what is known of the input called `name`."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


#: What a rule returns: input names, ``"args"`` (a list, variadic inputs) and ``"out"`` (a list, or one output's shape).
Deductions = dict[str, Any]
Rule = Callable[[Any, Known], Deductions]


def read_shape(shape: Iterable[int | None] | None) -> PartialShape:
    """Return a shape of the API or of an attribute as a partial shape: 0 and -1 mean unknown, and so does ``()``."""
    if shape is None:
        return None
    dims = tuple(shape)
    # Before NumPy semantics MXNet has no arrays without dimensions.
    return tuple(None if d is None or (isinstance(d, int) and d <= 0) else d for d in dims) if dims else None


def show(shape: PartialShape) -> str:
    """Return a partial shape as messages write it: ``(2, ?)``."""
    if shape is None:
        return "(unknown)"
    dims = ["?" if dim is None else str(dim) for dim in shape]
    return f"({dims[0]},)" if len(dims) == 1 else f"({', '.join(dims)})"


def known(shape: PartialShape) -> bool:
    """Return whether every dimension of a partial shape is known."""
    return shape is not None and None not in shape


def rank(shape: PartialShape) -> int | None:
    """Return the number of dimensions, or None."""
    return None if shape is None else len(shape)


def prod(dims: Iterable[int | None]) -> Any:
    """Return the product of dimensions, or None if one is unknown."""
    total: Any = 1
    for dim in dims:
        if dim is None:
            return None
        total = total * dim
    return total


def normalize_axis(axis: int, ndim: int) -> int:
    """Return `axis` as a non-negative index into `ndim` dimensions.

    Raises:
        ValueError: the axis lies outside of the dimensions.
    """
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} is out of range for {ndim} dimension{'s' * (ndim != 1)}")
    return axis % ndim


def unify(left: PartialShape, right: PartialShape) -> PartialShape:
    """Return the partial shape that holds all that two partial shapes know.

    Raises:
        ValueError: they contradict each other.
    """
    if left is None or left is right:
        return right
    if right is None:
        return left
    if len(left) != len(right):
        raise ValueError(f"rank {len(left)} against {len(right)}")
    merged = []
    for position, (a, b) in enumerate(zip(left, right, strict=True)):
        if a is not None and b is not None and a != b:
            raise ValueError(f"dimension {position} is {a} against {b}")
        merged.append(b if a is None else a)
    return tuple(merged)


def agreed(what: str, named: Iterable[tuple[str, PartialShape]]) -> PartialShape:
    """Return what the shapes of several inputs or outputs know together.

    Args:
        what: what must be equal, ``"shape"``, ``"batch size"`` ...
        named: what each is called, and its shape or a part of it.

    Raises:
        ValueError: two contradict each other; the message names them.
    """
    merged: PartialShape = None
    told: list[str] = []
    for name, shape in named:
        try:
            merged = unify(merged, shape)
        except ValueError:
            text, other = (show(x)[1:-2] if what != "shape" and x and len(x) == 1 else show(x) for x in (shape, merged))
            raise ValueError(
                f"the {what} of {name} is {text}, that of {', '.join(told)} {other}: they must be equal"
            ) from None
        if shape is not None and any(dim is not None for dim in shape):
            told.append(name)
    return merged


def broadcast_shapes(left: PartialShape, right: PartialShape) -> PartialShape:
    """Return the shape of a broadcast between two partial shapes.

    Raises:
        ValueError: two known dimensions can not be broadcast.
    """
    if left is None or right is None:
        return None
    ndim = max(len(left), len(right))
    left = (1,) * (ndim - len(left)) + left
    right = (1,) * (ndim - len(right)) + right
    out: list[int | None] = []
    for position, (a, b) in enumerate(zip(left, right, strict=True)):
        if a == 1:
            out.append(b)
        elif b == 1 or b == a:
            out.append(a)
        elif a is None or b is None:
            out.append(a if b is None else b)
        else:
            raise ValueError(
                f"{show(left)} and {show(right)} can not be broadcast: dimension {position} is {a} against {b}, and"
                " neither is 1"
            )
    return tuple(out)


def same(attrs: Any, s: Known) -> Deductions:
    """Rule: every input and every output has one shape."""
    merged: PartialShape = None
    try:
        for shape in (*s.values(), *s.args, *s.out):
            merged = unify(merged, shape)
    except ValueError:
        _refuse(s)
    if merged is None:
        return {}
    found: Deductions = {name: merged for name in s}
    found["args"] = [merged] * len(s.args)
    found["out"] = [merged] * len(s.out)
    return found


def _refuse(s: Known) -> None:
    """Raise the error that names which of the inputs and outputs, all of one shape, contradict each other."""
    inputs = [*s.items(), *((f"arg{i}", shape) for i, shape in enumerate(s.args))]
    try:
        agreed("shape", [*inputs, *_outputs(s)])
    except ValueError as error:
        hint = "; only the operators called broadcast_... repeat dimensions of size 1" if len(inputs) > 1 else ""
        raise ValueError(f"{error}{hint}") from None


def _outputs(s: Known) -> list[tuple[str, PartialShape]]:
    return [("the output" if i == 0 else f"output {i}", shape) for i, shape in enumerate(s.out)]


def same_as(*names: str) -> Rule:
    """Return the rule that the named inputs and every output have one shape; other inputs are left alone."""

    def rule(attrs: Any, s: Known) -> Deductions:
        merged = agreed("shape", [*((name, s[name]) for name in names if name in s), *_outputs(s)])
        if merged is None:
            return {}
        return {**{name: merged for name in names if name in s}, "out": [merged] * len(s.out)}

    return rule


def window(size: Any, kernel: int, stride: int = 1, pad: int = 0, dilate: int = 1) -> Any:
    """Return the number of positions of a sliding window (floor convention), or None for an unknown size."""
    return None if size is None else (size + 2 * pad - (dilate * (kernel - 1) + 1)) // stride + 1


def window_input(size: Any, count: Any, kernel: int, stride: int = 1, pad: int = 0, dilate: int = 1) -> Any:
    """Return the input size of a sliding window that takes `count` positions, where only one size gives that many.

    A size that is known already is returned as it is; with a stride several sizes give the same count.
    """
    if size is not None or count is None or stride != 1:
        return size
    return count + dilate * (kernel - 1) - 2 * pad


def replace(shape: Sequence[int | None], axis: int, dim: int | None) -> tuple[int | None, ...]:
    """Return `shape` with the dimension at `axis` replaced.

    Raises:
        ValueError: the shape has no such axis.
    """
    out = list(shape)
    if not -len(out) <= axis < len(out):
        raise ValueError(f"axis {axis} is out of range for the shape {tuple(shape)}")
    out[axis] = dim
    return tuple(out)
