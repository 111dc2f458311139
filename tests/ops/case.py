"""One row of the operator table.

This module and the tables in ``tests/ops/cases/`` import NumPy only: the same rows feed the tests and
``tests/golden/generate_ops.py``, which runs them in MXNet 1.9.1 and writes the reference arrays.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

#: The largest error of a compared array, relative to its largest value; integers and truth values are exact.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "float16": 2e-3}

#: What every operator is tried in, beside the float32 that its rows are written in.
DTYPES = ("float16", "float64", "int32", "int8", "uint8", "int64")

#: Reasons that many rows share.
CORNER = "corners, ties and infinities have no derivative that differences could find"
SINGLE = "MXNet computes a part of it in float32 even then; symjit, in float64, is closer to the true value"
CLOSER = "MXNet's own rounding: symjit is closer to the same in float64"
LOSS = "the gradient is that of a loss and passes the head gradient over"


@dataclass(frozen=True)
class Draw:
    """An input drawn from a seeded generator when the case runs.

    Attributes:
        shape: the array's shape.
        low: lower bound of the uniform distribution.
        high: upper bound.
        dtype: the array's dtype; integers are drawn from ``[low, high)``.
        spread: keep values at least this far apart and away from zero, so that no kink or tie is hit.
    """

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0
    dtype: str = "float32"
    spread: bool = False

    def array(self, seed: int) -> np.ndarray:
        """Return the array of a seed (`numpy.random.RandomState` streams never change)."""
        rng = np.random.RandomState(seed & 0x7FFFFFFF)
        size = int(np.prod(self.shape, dtype=np.int64))
        if np.dtype(self.dtype).kind in "iub":
            return rng.randint(int(self.low), int(self.high), size=self.shape).astype(self.dtype)
        if self.spread:
            # A permutation of an even grid that has no point at zero.
            grid = self.low + (self.high - self.low) * (np.arange(size) + 0.37) / max(size, 1)
            return rng.permutation(grid).reshape(self.shape).astype(self.dtype)
        return rng.uniform(self.low, self.high, size=self.shape).astype(self.dtype)


@dataclass(frozen=True)
class Case:
    """One operator, its attributes and inputs.

    Attributes:
        op: name or alias, as in JSON.
        inputs: arrays or `Draw` in the operator's order, auxiliary states last.
        attrs: attributes as Python values.
        tag: distinguishes cases of one operator.
        train: run a training forward.
        grad: compare gradients of all floating inputs with MXNet's (heads are drawn); False where MXNet defines none;
            a tuple of input positions restricts the comparison.
        numeric: also compare with finite differences in float64; False where MXNet's gradient is deliberately another.
        tol: largest relative error, where it is not that of `TOLERANCE`; a dict gives it for the row
            in other dtypes.
        reference: NumPy function of the inputs that returns the outputs, where MXNet 1.9.1 can not be asked (of random
            operators it returns True: there is nothing to compare but shapes and dtypes).
        reason: why a row asks for less: a larger `tol`, ``numeric=False``, a `reference` in place of MXNet's answer.
        dtype: what `cast` turned the row's float32 inputs into.
    """

    op: str
    inputs: Sequence[Any] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    tag: str = ""
    train: bool = False
    grad: bool | tuple[int, ...] = True
    numeric: bool = True
    tol: float | dict[str, float] | None = None
    reference: Callable[..., Any] | None = None
    reason: str = ""
    dtype: str = ""

    @property
    def row(self) -> str:
        """Name of the row that the case comes from."""
        return f"{self.op}-{self.tag}" if self.tag else self.op

    @property
    def id(self) -> str:
        """Name of the case, unique in its family."""
        return f"{self.row}@{self.dtype}" if self.dtype else self.row

    def tolerance(self, dtype: Any) -> float:
        """Return the largest relative error of an array of a dtype: no better than the row's own dtype allows."""
        if isinstance(self.tol, float):
            return self.tol
        usual = max(TOLERANCE.get(np.dtype(dtype).name, 0.0), TOLERANCE.get(self.dtype, 0.0))
        if self.tol is None:
            return usual
        first = self.inputs[0].dtype if self.inputs else dtype
        return self.tol.get(self.dtype or np.dtype(first).name, usual)

    def arrays(self) -> list[np.ndarray]:
        """Return the input arrays."""
        seed = zlib.crc32(self.row.encode())
        return [
            each.array(seed + 7919 * i) if isinstance(each, (Draw, Stretched)) else np.asarray(each)
            for i, each in enumerate(self.inputs)
        ]

    def head(self, shape: tuple[int, ...], dtype: Any, index: int) -> np.ndarray:
        """Return the head gradient that is fed to output `index`."""
        seed = zlib.crc32(f"{self.id}/head{index}".encode()) & 0x7FFFFFFF
        return np.random.RandomState(seed).uniform(0.5, 1.5, size=shape).astype(dtype)

    def gradient_inputs(self, arrays: Sequence[np.ndarray], num_args: int) -> list[int]:
        """Return the positions of the inputs whose gradient is compared."""
        floating = [i for i, a in enumerate(arrays[:num_args]) if a.dtype.kind == "f"]
        return (
            [i for i in floating if i in self.grad] if isinstance(self.grad, tuple) else floating if self.grad else []
        )

    @property
    def castable(self) -> tuple[int, ...]:
        """Positions of the inputs that `cast` changes; empty if the row is not written in float32."""
        found = [i for i, a in enumerate(self.arrays()) if a.dtype.kind == "f"]
        return tuple(found) if all(self.arrays()[i].dtype == np.float32 for i in found) else ()

    @property
    def variety(self) -> tuple[Any, ...]:
        """What a row is a first of: the operator with these names and flags, whatever its numbers."""
        flags = {k: v for k, v in self.attrs.items() if isinstance(v, (str, bool)) and k not in ("dtype", "ctx")}
        return (self.op, *sorted(flags.items()))

    def cast(self, dtype: str, positions: Sequence[int] = (), grad: bool = True) -> Case:
        """Return the row in another dtype.

        Args:
            dtype: the dtype's name.
            positions: the inputs to be cast; of a row without any, the attribute ``dtype`` is set instead.
            grad: whether gradients are compared, if the row compares any.
        """
        inputs = [converted(each, dtype) if i in positions else each for i, each in enumerate(self.inputs)]
        attrs = self.attrs if positions else {**self.attrs, "dtype": dtype}
        tol = self.tol if isinstance(self.tol, dict) else None
        return replace(self, inputs=inputs, attrs=attrs, grad=grad and self.grad, tol=tol, dtype=dtype)


def converted(value: Any, dtype: str) -> Any:
    """Return an input in another dtype: integers are twice as large, and none of them is 0."""
    if np.dtype(dtype).kind == "f":
        with np.errstate(over="ignore"):
            return replace(value, dtype=dtype) if isinstance(value, Draw) else np.asarray(value).astype(dtype)
    if isinstance(value, Draw):
        return Stretched(value, dtype)
    whole = np.clip(np.rint(np.nan_to_num(np.asarray(value, np.float64))), -100, 100)
    return (np.abs(whole) if np.dtype(dtype).kind == "u" else whole).astype(dtype)


@dataclass(frozen=True)
class Stretched:
    """A `Draw` in an integer dtype."""

    draw: Draw
    dtype: str

    def array(self, seed: int) -> np.ndarray:
        """Return the array of a seed."""
        whole = converted(2.0 * self.draw.array(seed), self.dtype)
        return whole + (whole == 0)  # MXNet ends the process on an integer division by 0
