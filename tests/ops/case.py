"""One row of the operator table.

This module and the tables in ``tests/ops/cases/`` import NumPy only: the same rows feed the tests and
``tests/golden/generate_ops.py``, which runs them in MXNet 1.9.1 and writes the reference arrays.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


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
        tol: largest relative error, float32.
        reference: NumPy function of the inputs that returns the outputs, where MXNet 1.9.1 can not be asked (random
            operators: a check on the outputs that returns True).
        reason: why there is no golden, for a case with `reference`.
    """

    op: str
    inputs: Sequence[Any] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    tag: str = ""
    train: bool = False
    grad: bool | tuple[int, ...] = True
    numeric: bool = True
    tol: float = 1e-5
    reference: Callable[..., Any] | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        """Name of the case, unique in its family."""
        return f"{self.op}-{self.tag}" if self.tag else self.op

    def arrays(self) -> list[np.ndarray]:
        """Return the input arrays."""
        seed = zlib.crc32(self.id.encode())
        return [
            each.array(seed + 7919 * i) if isinstance(each, Draw) else np.asarray(each)
            for i, each in enumerate(self.inputs)
        ]

    def head(self, shape: tuple[int, ...], dtype: Any, index: int) -> np.ndarray:
        """Return the head gradient that is fed to output `index`."""
        seed = zlib.crc32(f"{self.id}/head{index}".encode()) & 0x7FFFFFFF
        return np.random.RandomState(seed).uniform(0.5, 1.5, size=shape).astype(dtype)

    def gradient_inputs(self, arrays: Sequence[np.ndarray], num_args: int) -> list[int]:
        """Return the positions of the inputs whose gradient is compared."""
        if isinstance(self.grad, tuple):
            return list(self.grad)
        floating = [i for i, a in enumerate(arrays[:num_args]) if a.dtype.kind == "f"]
        return floating if self.grad else []
