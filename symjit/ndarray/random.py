"""Arrays of random numbers. MXNet: ``mx.nd.random``.

The distributions take numbers, and then `shape` is the shape of the result, (1,) if not given; or NDArrays, one
distribution per element, and then `shape` is that of the numbers drawn for each. `mx.random.seed` seeds them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

from symjit.ndarray.array import NDArray
from symjit.ndarray.functions import internal, surface

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

_REQUIRED = inspect.Parameter.empty


def _distribution(kind: str, parameters: dict[str, Any], doc: str) -> Callable[..., Any]:
    """Return the function of a distribution with these parameters and defaults."""
    options = {"shape": None, "dtype": None, "ctx": None, "out": None}
    signature = inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
            for name, default in {**parameters, **options}.items()
        ]
    )

    def draw(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        values = {name: given.arguments.pop(name) for name in parameters}
        if kind == "exponential":  # the operators take the rate
            values = {"lam": 1.0 / values["scale"]}
        if all(isinstance(value, NDArray) for value in values.values()):
            del given.arguments["ctx"]
            return internal(f"_sample_{kind}")(*values.values(), **given.arguments)
        if all(isinstance(value, Number) for value in values.values()):
            return internal(f"_random_{kind}")(**values, **given.arguments)
        got = ", ".join(f"{name} {type(value).__name__}" for name, value in values.items())
        raise TypeError(f"{kind}: the parameters must all be numbers or all be NDArrays, got {got}")

    draw.__name__ = draw.__qualname__ = kind
    draw.__doc__ = doc
    draw.__signature__ = signature  # type: ignore[attr-defined]
    return draw


uniform = _distribution(
    "uniform", {"low": 0, "high": 1}, "Draw from the uniform distribution on ``[low, high)``; dtype float32."
)
normal = _distribution(
    "normal", {"loc": 0, "scale": 1}, "Draw from the normal distribution of mean `loc` and standard deviation `scale`."
)
poisson = _distribution("poisson", {"lam": 1}, "Draw from the Poisson distribution of rate `lam`; dtype float32.")
exponential = _distribution("exponential", {"scale": 1}, "Draw from the exponential distribution of mean `scale`.")
gamma = _distribution(
    "gamma", {"alpha": 1, "beta": 1}, "Draw from the gamma distribution of shape `alpha` and scale `beta`."
)
negative_binomial = _distribution(
    "negative_binomial", {"k": 1, "p": 1}, "Draw how many failures come before the `k`-th success of probability `p`."
)
generalized_negative_binomial = _distribution(
    "generalized_negative_binomial",
    {"mu": 1, "alpha": 1},
    "Draw from the negative binomial distribution of mean `mu` and dispersion `alpha`.",
)
randint = _distribution(
    "randint", {"low": _REQUIRED, "high": _REQUIRED}, "Draw integers of ``[low, high)``; dtype int32 or int64."
)


def randn(*shape: int, loc: Any = 0, scale: Any = 1, **kwargs: Any) -> NDArray:
    """Draw an array of this shape from the normal distribution of mean `loc` and standard deviation `scale`."""
    return normal(loc, scale, shape, **kwargs)


def multinomial(
    data: NDArray,
    shape: int | Sequence[int] | None = None,
    get_prob: bool = False,
    out: Any = None,
    dtype: Any = "int32",
) -> Any:
    """Draw indices with the probabilities of the last axis of `data`; with `get_prob` their log-probabilities too."""
    return internal("_sample_multinomial")(data, shape=shape, get_prob=get_prob, out=out, dtype=dtype)


def shuffle(data: NDArray, out: NDArray | None = None) -> NDArray:
    """Return a copy of `data` with its first axis in random order."""
    return internal("_shuffle")(data, out=out)


def __getattr__(name: str) -> Callable[..., Any]:
    return surface.attribute("random", name)


def __dir__() -> list[str]:
    return sorted({*__all__, *surface.listing("random")})
