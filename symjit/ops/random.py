"""Operators that draw random numbers.

The numbers come from the JAX key that the caller injects: distributions are MXNet's, streams can not be. Parameters
follow MXNet: `scale` and `sigma` are standard deviations, `lam` is a rate, `beta` a scale. Samples carry no gradient to
the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from symjit.base import np_dtype
from symjit.ops.attrs import DType, Float, Int, Scalar
from symjit.ops.draws import in_a_row
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, read_shape, unify

__all__: list[str] = []


class _TracedInt(Int):
    """An integer that imperative calls pass as a traced argument."""

    dynamic = True


Bound = Annotated[int, _TracedInt()]
NonNegative = Annotated[float, Float(0.0, dynamic=True)]
Shape = tuple[int, ...] | None
MaybeDType = DType | None


def _float(dtype: str | None) -> np.dtype[Any]:
    """Return the dtype of a result; ``None`` is float32."""
    return np_dtype(dtype or "float32")


def _size(shape: Shape) -> tuple[int, ...]:
    """Return the shape of a result; none at all, in an imperative call, is one number, of shape (1,)."""
    if shape is not None and any(dim < 1 for dim in shape):
        raise ValueError(f"shape {shape} must hold positive sizes")
    return shape or (1,)


def _as(dtype: Any, *values: Any) -> list[Any]:
    """Return parameters, numbers or arrays, as arrays of the sample's dtype, cut off from the gradient."""
    return [lax.stop_gradient(jnp.asarray(value).astype(dtype)) for value in values]


def _uniform(key: Any, shape: tuple[int, ...], dtype: Any, low: Any, high: Any) -> Any:
    low, high = _as(dtype, low, high)
    return low + (high - low) * in_a_row(random.uniform, key, shape, dtype)


def _normal(key: Any, shape: tuple[int, ...], dtype: Any, loc: Any, scale: Any) -> Any:
    loc, scale = _as(dtype, loc, scale)
    return loc + scale * in_a_row(random.normal, key, shape, dtype)


def _gamma(key: Any, shape: tuple[int, ...], dtype: Any, alpha: Any, beta: Any) -> Any:
    # The rejection sampler has no half-precision path.
    wide = dtype if np.dtype(dtype).itemsize >= 4 else np.dtype(np.float32)
    alpha, beta = _as(wide, alpha, beta)
    return (lax.stop_gradient(random.gamma(key, alpha, shape, wide)) * beta).astype(dtype)


def _exponential(key: Any, shape: tuple[int, ...], dtype: Any, lam: Any) -> Any:
    (lam,) = _as(dtype, lam)
    return in_a_row(random.exponential, key, shape, dtype) / lam


def _poisson(key: Any, shape: tuple[int, ...], dtype: Any, lam: Any) -> Any:
    (lam,) = _as(jnp.float32, lam)
    return random.poisson(key, lam, shape, jnp.int32).astype(dtype)


def drawn(name: str, *aliases: str) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator that registers an operator without inputs, whose attributes say shape and dtype.

    In a graph, a shape that is not given, and dimensions given as 0, are those that the users of the result need.
    """

    def declare(fn: Callable[..., Any]) -> Any:
        made = op(name, *aliases, ignored=("ctx",), cast="any", sized=lambda a, shape: a._replace(shape=shape))(fn)

        @made.shape
        def _(a: Any, s: Known) -> dict[str, Any]:
            return {"out": read_shape(a.shape)}

        @made.dtype
        def _(a: Any, s: Known) -> dict[str, Any]:
            return {"out": [np_dtype(a.dtype or ("int32" if name == "_random_randint" else "float32"))]}

        return made

    return declare


@drawn("_random_uniform", "uniform", "random_uniform")
def random_uniform(
    *, key: Any, low: Scalar = 0.0, high: Scalar = 1.0, shape: Shape = None, dtype: MaybeDType = None
) -> Any:
    """Draw from the uniform distribution on [low, high)."""
    return _uniform(key, _size(shape), _float(dtype), low, high)


@drawn("_random_normal", "normal", "random_normal")
def random_normal(
    *, key: Any, loc: Scalar = 0.0, scale: NonNegative = 1.0, shape: Shape = None, dtype: MaybeDType = None
) -> Any:
    """Draw from the normal distribution of mean `loc` and standard deviation `scale`."""
    return _normal(key, _size(shape), _float(dtype), loc, scale)


@drawn("_random_gamma", "random_gamma")
def random_gamma(
    *, key: Any, alpha: NonNegative = 1.0, beta: NonNegative = 1.0, shape: Shape = None, dtype: MaybeDType = None
) -> Any:
    """Draw from the gamma distribution of shape `alpha` and scale `beta`; its mean is ``alpha * beta``."""
    return _gamma(key, _size(shape), _float(dtype), alpha, beta)


@drawn("_random_exponential", "random_exponential")
def random_exponential(*, key: Any, lam: NonNegative = 1.0, shape: Shape = None, dtype: MaybeDType = None) -> Any:
    """Draw from the exponential distribution of rate `lam`; its mean is ``1 / lam``."""
    return _exponential(key, _size(shape), _float(dtype), lam)


@drawn("_random_poisson", "random_poisson")
def random_poisson(*, key: Any, lam: NonNegative = 1.0, shape: Shape = None, dtype: MaybeDType = None) -> Any:
    """Draw from the Poisson distribution of mean `lam`, as floating-point numbers."""
    return _poisson(key, _size(shape), _float(dtype), lam)


@drawn("_random_randint", "random_randint")
def random_randint(*, key: Any, low: Bound, high: Bound, shape: Shape = None, dtype: MaybeDType = None) -> Any:
    """Draw integers from [low, high), all equally likely. dtype is int32 (the default) or int64."""
    integer = np_dtype(dtype or "int32")
    first, end = (jnp.asarray(bound).astype(integer) for bound in (low, high))
    return random.randint(key, _size(shape), first, end, integer)


def alike(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator that registers an operator whose result has the shape and dtype of its input."""

    def declare(fn: Callable[..., Any]) -> Any:
        made = op(name, cast="any")(fn)

        @made.shape
        def _(a: Any, s: Known) -> dict[str, Any]:
            shape = unify(s.data, s.out[0])
            return {"data": shape, "out": shape}

        return made

    return declare


@alike("_random_uniform_like")
def random_uniform_like(data: Any, *, key: Any, low: Scalar = 0.0, high: Scalar = 1.0) -> Any:
    """Draw from the uniform distribution on [low, high), an array like data."""
    return _uniform(key, data.shape, data.dtype, low, high)


@alike("_random_normal_like")
def random_normal_like(data: Any, *, key: Any, loc: Scalar = 0.0, scale: NonNegative = 1.0) -> Any:
    """Draw from the normal distribution of mean `loc` and standard deviation `scale`, an array like data."""
    return _normal(key, data.shape, data.dtype, loc, scale)


@alike("_random_gamma_like")
def random_gamma_like(data: Any, *, key: Any, alpha: NonNegative = 1.0, beta: NonNegative = 1.0) -> Any:
    """Draw from the gamma distribution of shape `alpha` and scale `beta`, an array like data."""
    return _gamma(key, data.shape, data.dtype, alpha, beta)


@alike("_random_exponential_like")
def random_exponential_like(data: Any, *, key: Any, lam: NonNegative = 1.0) -> Any:
    """Draw from the exponential distribution of rate `lam`, an array like data."""
    return _exponential(key, data.shape, data.dtype, lam)


@alike("_random_poisson_like")
def random_poisson_like(data: Any, *, key: Any, lam: NonNegative = 1.0) -> Any:
    """Draw from the Poisson distribution of mean `lam`, an array like data."""
    return _poisson(key, data.shape, data.dtype, lam)


def sampled(name: str, alias: str) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator that registers an operator with one distribution per element of its parameter arrays."""

    def declare(fn: Callable[..., Any]) -> Any:
        made = op(name, alias, cast="any", rows=True)(fn)

        @made.shape
        def _(a: Any, s: Known) -> dict[str, Any]:
            shape: PartialShape = None
            for each in s.values():
                shape = unify(shape, each)
            out, count = s.out[0], len(a.shape)
            if out is not None and len(out) > count:
                shape = unify(shape, out[: len(out) - count])
            if shape is None:
                return {}
            return {**dict.fromkeys(s, shape), "out": shape + a.shape}

        @made.dtype
        def _(a: Any, s: Known) -> dict[str, Any]:
            found = next((dtype for dtype in s.values() if dtype is not None), None)
            return {**dict.fromkeys(s, found), "out": [_float(a.dtype)]}

        return made

    return declare


def _spread(shape: tuple[int, ...], *parameters: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of the samples, and the parameters shaped so that they broadcast over it."""
    if any(each.shape != parameters[0].shape for each in parameters):
        raise ValueError(f"the parameters need one shape, got {[each.shape for each in parameters]}")
    if any(dim < 1 for dim in shape):
        raise ValueError(f"shape {shape} must hold positive sizes")
    whole = parameters[0].shape
    return whole + shape, [each.reshape(whole + (1,) * len(shape)) for each in parameters]


@sampled("_sample_uniform", "sample_uniform")
def sample_uniform(low: Any, high: Any, *, key: Any, shape: tuple[int, ...] = (), dtype: MaybeDType = None) -> Any:
    """Draw `shape` numbers from the uniform distribution on [low[i], high[i]) for every i.

    low, high (any shape S) -> (*S, *shape) of `dtype`, float32 by default whatever the inputs are.
    """
    size, parameters = _spread(shape, low, high)
    return _uniform(key, size, _float(dtype), *parameters)


@sampled("_sample_normal", "sample_normal")
def sample_normal(mu: Any, sigma: Any, *, key: Any, shape: tuple[int, ...] = (), dtype: MaybeDType = None) -> Any:
    """Draw `shape` numbers from the normal distribution of mean mu[i] and deviation sigma[i] for every i.

    mu, sigma (any shape S) -> (*S, *shape) of `dtype`, float32 by default whatever the inputs are.
    """
    size, parameters = _spread(shape, mu, sigma)
    return _normal(key, size, _float(dtype), *parameters)


@sampled("_sample_gamma", "sample_gamma")
def sample_gamma(alpha: Any, beta: Any, *, key: Any, shape: tuple[int, ...] = (), dtype: MaybeDType = None) -> Any:
    """Draw `shape` numbers from the gamma distribution of shape alpha[i] and scale beta[i] for every i.

    alpha, beta (any shape S) -> (*S, *shape) of `dtype`, float32 by default whatever the inputs are.
    """
    size, parameters = _spread(shape, alpha, beta)
    return _gamma(key, size, _float(dtype), *parameters)


@sampled("_sample_exponential", "sample_exponential")
def sample_exponential(lam: Any, *, key: Any, shape: tuple[int, ...] = (), dtype: MaybeDType = None) -> Any:
    """Draw `shape` numbers from the exponential distribution of rate lam[i] for every i.

    lam (any shape S) -> (*S, *shape) of `dtype`, float32 by default whatever the input is.
    """
    size, parameters = _spread(shape, lam)
    return _exponential(key, size, _float(dtype), *parameters)


@sampled("_sample_poisson", "sample_poisson")
def sample_poisson(lam: Any, *, key: Any, shape: tuple[int, ...] = (), dtype: MaybeDType = None) -> Any:
    """Draw `shape` numbers from the Poisson distribution of mean lam[i] for every i.

    lam (any shape S) -> (*S, *shape) of `dtype`, float32 by default whatever the input is.
    """
    size, parameters = _spread(shape, lam)
    return _poisson(key, size, _float(dtype), *parameters)


@op("_sample_multinomial", "sample_multinomial", outputs=lambda a: 1 + a.get_prob, cast="any")
def sample_multinomial(
    data: Any, *, key: Any, shape: tuple[int, ...] = (), get_prob: bool = False, dtype: DType = "int32"
) -> Any:
    """Draw indices with the probabilities that the last axis of data holds.

    data (..., K) -> (*data.shape[:-1], *shape) of `dtype`; a vector and no shape -> (1,). With ``get_prob=True`` a
    second output holds the logarithm of each drawn probability, in data's dtype and differentiable: its gradient is
    REINFORCE's. Rows that do not sum to 1 are normalised here; MXNet 1.9.1 draws nonsense from them.
    """
    lead, drawn_shape = data.shape[:-1], tuple(shape)
    wide = data if data.dtype.itemsize >= 4 else data.astype(jnp.float32)
    weights = lax.stop_gradient(wide).reshape(-1, data.shape[-1])
    bounds = jnp.cumsum(weights, axis=-1, dtype=weights.dtype)
    count = int(np.prod(drawn_shape, dtype=np.int64))
    points = random.uniform(key, (bounds.shape[0], count), weights.dtype) * bounds[:, -1:]
    search = jax.vmap(lambda row, point: jnp.searchsorted(row, point, side="right"))
    found = jnp.minimum(search(bounds, points).astype(jnp.int32), data.shape[-1] - 1)
    out = (lead + drawn_shape) or (1,)
    drawn_indices = found.reshape(out).astype(np_dtype(dtype))
    if not get_prob:
        return drawn_indices
    chosen = jnp.take_along_axis(data.reshape(bounds.shape), found, 1, mode="clip")
    return drawn_indices, jnp.log(chosen).reshape(out)


@sample_multinomial.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is None:
        return {}
    lead = s.data[:-1]
    out = s.out[0]
    if out is not None and len(out) >= len(lead):
        lead = unify(lead, out[: len(lead)]) or ()
    return {"data": (*lead, s.data[-1]), "out": [lead + a.shape or (1,)] * len(s.out)}


@sample_multinomial.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    data = s.data if s.data is not None or not a.get_prob else s.out[1]
    return {"data": data, "out": [np_dtype(a.dtype), data][: len(s.out)]}


@op("_shuffle", "shuffle", cast="any")
def shuffle(data: Any, *, key: Any) -> Any:
    """Permute data along its first axis at random; the slices stay whole."""
    order = random.permutation(key, jnp.arange(data.shape[0], dtype=jnp.int32))
    return jnp.take(data, order, axis=0, mode="clip", unique_indices=True)


@shuffle.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    shape = unify(s.data, s.out[0])
    return {"data": shape, "out": shape}
