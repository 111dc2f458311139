"""Values that are computed on the host."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from symjit.base import np_dtype
from symjit.ndarray import NDArray

__all__ = ["bilinear", "fill"]


def fill(arr: NDArray, value: Any) -> None:
    """Write a number to every element, converted as the processor does."""
    # Made on the host: a program that fills is compiled anew for each shape, which takes longer.
    with np.errstate(invalid="ignore", over="ignore"):
        arr[:] = np.full(arr.shape, np.asarray(value).astype(np_dtype(arr.dtype)))


def bilinear(shape: tuple[int, ...]) -> np.ndarray:
    """Return the weights of `Bilinear`, float32."""
    if len(shape) < 4:
        raise IndexError(f"Bilinear initializes weights of four dimensions (out, in, height, width), got {shape}")
    height, width = shape[2:4]
    half = np.ceil(width / 2.0)
    centre = (2 * half - 1 - half % 2) / (2.0 * half)
    # As in MXNet positions are counted along the flattened array, also where there are more than four dimensions.
    position = np.arange(prod(shape))
    x, y = position % width, position // width % height
    value = (1 - abs(x / half - centre)) * (1 - abs(y / half - centre))
    return value.astype(np.float32).reshape(shape)
