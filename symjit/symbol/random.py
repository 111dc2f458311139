"""Symbols of random numbers. MXNet: ``mx.sym.random``.

Each function takes numbers, and then `shape` is the shape of the result, or Symbols, one distribution per element, and
then `shape` is that of the numbers drawn for each. Every forward draws new numbers; `mx.random.seed` seeds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

from symjit.symbol.functions import internal, surface
from symjit.symbol.symbol import Symbol

__all__ = [
    "exponential",
    "gamma",
    "generalized_negative_binomial",
    "multinomial",
    "negative_binomial",
    "normal",
    "poisson",
    "randint",
    "randn",
    "shuffle",
    "uniform",
]

Shape = int | Sequence[int] | None


def _draw(kind: str, parameters: dict[str, Any], shape: Shape, dtype: Any, kwargs: dict[str, Any]) -> Symbol:
    """Call the operator on numbers, or the one on Symbols."""
    options = {key: value for key, value in (("shape", shape), ("dtype", dtype)) if value is not None}
    if all(isinstance(value, Symbol) for value in parameters.values()):
        return internal(f"_sample_{kind}")(*parameters.values(), **options, **kwargs)
    if all(isinstance(value, Number) for value in parameters.values()):
        return internal(f"_random_{kind}")(**parameters, **options, **kwargs)
    got = ", ".join(f"{key} {type(value).__name__}" for key, value in parameters.items())
    raise TypeError(f"{kind}: the parameters must all be numbers or all be Symbols, got {got}")


def uniform(low: Any = 0, high: Any = 1, shape: Shape = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw from the uniform distribution on ``[low, high)``."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, kwargs)


def normal(loc: Any = 0, scale: Any = 1, shape: Shape = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw from the normal distribution of mean `loc` and standard deviation `scale`."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def randn(*shape: int, loc: Any = 0, scale: Any = 1, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw an array of this shape from the normal distribution."""
    return normal(loc, scale, shape, dtype, **kwargs)


def poisson(lam: Any = 1, shape: Shape = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw from the Poisson distribution of rate `lam`."""
    return _draw("poisson", {"lam": lam}, shape, dtype, kwargs)


def exponential(scale: Any = 1, shape: Shape = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw from the exponential distribution of mean `scale`."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, kwargs)


def gamma(alpha: Any = 1, beta: Any = 1, shape: Shape = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw from the gamma distribution of shape `alpha` and scale `beta`."""
    return _draw("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, kwargs)


def negative_binomial(k: Any = 1, p: Any = 1, shape: Shape = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw how many failures come before the `k`-th success of probability `p`."""
    return _draw("negative_binomial", {"k": k, "p": p}, shape, dtype, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Shape = None, dtype: Any = None, **kwargs: Any
) -> Symbol:
    """Draw from the negative binomial distribution of mean `mu` and dispersion `alpha`."""
    return _draw("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, kwargs)


def multinomial(
    data: Symbol, shape: Shape = None, get_prob: bool = True, dtype: Any = "int32", **kwargs: Any
) -> Symbol:
    """Draw indices with the probabilities of the last axis of `data`; with `get_prob` their log-probabilities too."""
    options = {} if shape is None else {"shape": shape}
    return internal("_sample_multinomial")(data, get_prob=get_prob, dtype=dtype, **options, **kwargs)


def shuffle(data: Symbol, **kwargs: Any) -> Symbol:
    """Return `data` with its first axis in random order."""
    return internal("_shuffle")(data, **kwargs)


def randint(low: int, high: int, shape: Shape = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Draw integers of ``[low, high)``."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, kwargs)


def __getattr__(name: str) -> Callable[..., Symbol]:
    return surface.attribute("random", name)


def __dir__() -> list[str]:
    return sorted({*__all__, *surface.listing("random")})
