"""Initializers that draw random numbers."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from symjit import random
from symjit.base import MXNetError, np_dtype
from symjit.context import Context, current_context
from symjit.initializer.base import Initializer, register
from symjit.ndarray import NDArray

__all__ = ["MSRAPrelu", "Normal", "Orthogonal", "Uniform", "Xavier"]


def draw(
    kind: Literal["uniform", "normal"], first: float, second: float, shape: tuple[int, ...], dtype: Any, ctx: Context
) -> np.ndarray:
    """Return numbers of ``[first, second)``, or of mean `first` and standard deviation `second`.

    float64 has all its digits; everything else is drawn in float32.
    """
    generator = random.next_generator(ctx)
    drawn = np.float64 if dtype == np.float64 else np.float32
    if kind == "uniform":
        x = generator.random(shape, drawn)
        x *= second - first
    else:
        x = generator.standard_normal(shape, drawn)
        x *= second
    x += first
    return x


def _uniform(name: str, arr: NDArray, bound: float) -> None:
    _check_floating(name, arr)
    if not bound >= 0:
        raise MXNetError(f"the bound of a uniform distribution must not be negative, got {bound}, for {name}")
    arr[:] = draw("uniform", -bound, bound, arr.shape, arr.dtype, arr.context)


def _normal(name: str, arr: NDArray, sigma: float) -> None:
    _check_floating(name, arr)
    if not sigma > 0:
        raise MXNetError(
            f"the standard deviation of a normal distribution must be positive, got {sigma}, for {name}; mx.init.Zero()"
            " sets weights to 0"
        )
    arr[:] = draw("normal", 0.0, sigma, arr.shape, arr.dtype, arr.context)


def _check_floating(name: str, arr: NDArray) -> None:
    dtype = np_dtype(arr.dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise MXNetError(
            f"numbers are drawn in floating point, but {name} has dtype {dtype.name}: give it another initializer, or"
            " declare it as float32"
        )


@register
class Uniform(Initializer):
    """Draw weights from the uniform distribution on ``[-scale, scale)``.

    Args:
        scale: the bound.
    """

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _uniform(name, arr, self.scale)


@register
class Normal(Initializer):
    """Draw weights from the normal distribution of mean 0.

    Args:
        sigma: the standard deviation.
    """

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _normal(name, arr, self.sigma)


@register
class Orthogonal(Initializer):
    """Set weights, seen as a matrix (shape[0], the rest), to `scale` times one of orthonormal rows or columns.

    It is the left or right factor of the singular value decomposition of a random matrix, whichever has the shape.
    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks (2013).

    Args:
        scale: the length of each row (or column, of a matrix with more rows than columns).
        rand_type: ``"uniform"`` on [-1, 1) or ``"normal"``: the distribution of the random matrix.

    Raises:
        ValueError: when called, `rand_type` is neither.
        MXNetError: when called, the array has less than two dimensions.
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale = scale
        self.rand_type = rand_type

    def _init_weight(self, name: str, arr: NDArray) -> None:
        if self.rand_type not in ("uniform", "normal"):
            raise ValueError(f"Orthogonal: rand_type must be 'uniform' or 'normal', got {self.rand_type!r}, for {name}")
        if len(arr.shape) < 2:
            raise MXNetError(f"Orthogonal: {name} has shape {arr.shape}, expected at least two dimensions")
        shape = (arr.shape[0], prod(arr.shape[1:]))
        first, kind = (-1.0, "uniform") if self.rand_type == "uniform" else (0.0, "normal")
        drawn = draw(kind, first, 1.0, shape, np.float32, current_context())
        left, _, right = np.linalg.svd(drawn, full_matrices=False)
        found = left if left.shape == shape else right
        arr[:] = self.scale * found.reshape(arr.shape)


@register
class Xavier(Initializer):
    """Draw weights whose variance keeps that of activations and gradients alike in all layers.

    With ``scale = sqrt(magnitude / n)`` they are uniform on ``[-scale, scale)``, or normal of that standard deviation.
    n is the fan-in ``shape[1] * shape[2] * ...`` (`factor_type` ``"in"``), the fan-out ``shape[0] * shape[2] * ...``
    (``"out"``), or their mean (``"avg"``).
    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (2010).

    Args:
        rnd_type: ``"uniform"`` or ``"gaussian"``.
        factor_type: ``"avg"``, ``"in"`` or ``"out"``.
        magnitude: see above.

    Raises:
        ValueError: when called, the array has less than two dimensions, or one of the words is another.
    """

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3) -> None:
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name: str, arr: NDArray) -> None:
        shape = arr.shape
        if len(shape) < 2:
            raise ValueError(
                f"{type(self).__name__} needs weights of at least two dimensions, but {name} has shape {shape}: give"
                " it another initializer, by mx.sym.Variable(name, init=mx.init.Uniform()) or by a pattern of"
                " mx.init.Mixed"
            )
        field = prod(shape[2:])
        fan_in, fan_out = shape[1] * field, shape[0] * field
        factors = {"avg": (fan_in + fan_out) / 2.0, "in": fan_in, "out": fan_out}
        if self.factor_type not in factors:
            raise ValueError(f"Xavier: factor_type must be 'avg', 'in' or 'out', got {self.factor_type!r}, for {name}")
        if self.rnd_type not in ("uniform", "gaussian"):
            raise ValueError(f"Xavier: rnd_type must be 'uniform' or 'gaussian', got {self.rnd_type!r}, for {name}")
        if not self.magnitude >= 0:
            raise MXNetError(f"{type(self).__name__}: magnitude must not be negative, got {self.magnitude}, for {name}")
        scale = sqrt(self.magnitude / (factors[self.factor_type] or 1))  # an empty array has no fan
        (_uniform if self.rnd_type == "uniform" else _normal)(name, arr, scale)


@register
class MSRAPrelu(Xavier):
    """Draw weights for layers before a PReLU: `Xavier` of ``"gaussian"`` and ``magnitude = 2 / (1 + slope ** 2)``.

    Source: He et al., Delving Deep into Rectifiers (2015).

    Args:
        factor_type: as in `Xavier`.
        slope: the initial slope of the PReLU; 0 for a ReLU.
    """

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}
