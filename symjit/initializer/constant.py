"""Initializers that draw nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from symjit.base import np_dtype
from symjit.initializer.base import Initializer, alias, register
from symjit.initializer.values import bilinear, fill
from symjit.ndarray import NDArray

__all__ = ["Bilinear", "Constant", "LSTMBias", "One", "Zero"]


@register
@alias("zeros")
class Zero(Initializer):
    """Set weights to 0."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _: str, arr: NDArray) -> None:
        fill(arr, 0)


@register
@alias("ones")
class One(Initializer):
    """Set weights to 1."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _: str, arr: NDArray) -> None:
        fill(arr, 1)


@register
class Constant(Initializer):
    """Set weights to a number, or to an array that broadcasts to their shape.

    Args:
        value: a number, an NDArray, or anything that NumPy takes for an array.
    """

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, _: str, arr: NDArray) -> None:
        if np.isscalar(self.value):
            fill(arr, self.value)
        else:
            arr[:] = self.value

    def dumps(self) -> str:
        """Return the JSON text; an array is written as nested lists."""
        return json.dumps([type(self).__name__.lower(), {"value": np.asarray(self.value).tolist()}])


@register
class Bilinear(Initializer):
    """Set the weights (..., H, W) of an up-sampling layer to those of bilinear interpolation.

    With ``f = ceil(W / 2)`` and ``c = (2 f - 1 - f % 2) / (2 f)`` the value at (y, x) is
    ``(1 - |x / f - c|) (1 - |y / f - c|)``: W alone sets the scale.

    Raises:
        IndexError: when called, the array has less than four dimensions.
    """

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _: str, arr: NDArray) -> None:
        arr[:] = bilinear(arr.shape)


@register
class LSTMBias(Initializer):
    """Set the bias (4 * H,) of an LSTM cell to 0, but for the forget gate's part, the second quarter.

    Args:
        forget_bias: the value there.
    """

    def __init__(self, forget_bias: float = 1.0) -> None:
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, name: str, arr: NDArray) -> None:
        value = np.zeros(arr.shape, np_dtype(arr.dtype))
        size = arr.shape[0] // 4
        value[size : 2 * size] = self.forget_bias
        arr[:] = value
