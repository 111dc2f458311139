"""Distributions of the random operators: moments of many draws against the formulas."""

from __future__ import annotations

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.base import MXNetError
from symjit.ops import registry
from tests.ops.answers import answers, is_random, specs
from tests.ops.conftest import all_cases, cast_cases, operator_of

COUNT = 20_000


def draw(name: str, *inputs, seed: int = 3, **attrs) -> np.ndarray:
    """Return the first output of an operator."""
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    with jax.enable_x64(True):
        call = jax.jit(lambda key, *xs: operator.call(parsed, xs, key=key)[0][0])
        return np.asarray(call(jax.random.key(seed), *map(jnp.array, inputs)))


def check(sample: np.ndarray, mean: float, variance: float) -> None:
    """Assert that mean and variance lie within five standard errors."""
    sample = sample.astype(np.float64)
    assert sample.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / sample.size))
    assert sample.var() == pytest.approx(variance, rel=0.15)


#: operator suffix, attributes, mean, variance
DISTRIBUTIONS = [
    ("uniform", {"low": -2.0, "high": 4.0}, 1.0, 3.0),
    ("normal", {"loc": 1.5, "scale": 2.0}, 1.5, 4.0),
    pytest.param("gamma", {"alpha": 4.0, "beta": 3.0}, 12.0, 36.0, marks=pytest.mark.slow),
    ("exponential", {"lam": 4.0}, 0.25, 1 / 16),
    ("poisson", {"lam": 3.0}, 3.0, 3.0),
]


@pytest.mark.parametrize(("name", "attrs", "mean", "variance"), DISTRIBUTIONS)
def test_distributions(name: str, attrs: dict, mean: float, variance: float) -> None:
    """All forms of a distribution have its mean and its variance."""
    check(draw(f"_random_{name}", shape=(COUNT // 2, 2), **attrs), mean, variance)
    if name not in ("gamma", "poisson"):  # whose samplers take seconds to compile
        check(draw(f"_random_{name}_like", np.zeros((COUNT,), np.float32), **attrs), mean, variance)
    parameters = [np.array([value, value], np.float32) for value in attrs.values()]
    each = draw(f"_sample_{name}", *parameters, shape=(COUNT,))
    assert each.shape == (2, COUNT) and each.dtype == np.float32
    for row in each:
        check(row, mean, variance)
    assert not np.array_equal(each[0], each[1])


def test_parameters_belong_to_their_rows() -> None:
    """Element i of the parameters governs row i of the samples."""
    low, high = np.array([[0.0, 10.0]], np.float32), np.array([[1.0, 20.0]], np.float32)
    sample = draw("_sample_uniform", low, high, shape=(50, 2))
    assert sample.shape == (1, 2, 50, 2)
    assert (sample[0, 0] < 1).all() and (sample[0, 1] >= 10).all() and (sample[0, 1] < 20).all()
    deviations = draw("_sample_normal", np.zeros(2, np.float32), np.array([0.1, 10], np.float32), shape=(4000,)).std(1)
    np.testing.assert_allclose(deviations, [0.1, 10], rtol=0.1)


def test_uniform_stays_in_its_interval() -> None:
    """The lower bound belongs to the interval, the upper one does not."""
    sample = draw("_random_uniform", low=-1.0, high=1.0, shape=(COUNT,))
    assert sample.min() >= -1 and sample.max() < 1 and sample.dtype == np.float32
    assert (draw("_random_uniform", low=3.0, high=3.0, shape=(5,)) == 3).all()


def test_randint() -> None:
    """All integers of the interval are equally likely, and no others come."""
    sample = draw("_random_randint", low=-3, high=4, shape=(COUNT,))
    values, counts = np.unique(sample, return_counts=True)
    assert sample.dtype == np.int32 and values.tolist() == list(range(-3, 4))
    np.testing.assert_allclose(counts, COUNT / 7, rtol=0.1)
    wide = draw("_random_randint", low=0, high=2**40, shape=(100,), dtype="int64")
    assert wide.dtype == np.int64 and wide.max() > 2**33


def test_multinomial() -> None:
    """Indices come with the given probabilities, normalised if need be, and never where the probability is zero."""
    weights = np.array([[0.1, 0.0, 0.6, 0.3], [0.0, 1.0, 1.0, 0.0]], np.float32)
    sample = draw("_sample_multinomial", weights, shape=(COUNT,))
    assert sample.shape == (2, COUNT) and sample.dtype == np.int32
    for row, weight in zip(sample, weights, strict=True):
        frequency = np.bincount(row, minlength=4) / COUNT
        np.testing.assert_allclose(frequency, weight / weight.sum(), atol=0.02)
        assert (frequency[weight == 0] == 0).all()
    assert draw("_sample_multinomial", weights).shape == (2,)
    assert draw("_sample_multinomial", weights[0]).shape == (1,)


def test_multinomial_probability() -> None:
    """The second output is the logarithm of the probability of what was drawn."""
    operator = registry.get("_sample_multinomial")
    attrs = operator.parse_attrs({"get_prob": True, "shape": (9,)})
    data = jnp.array([[0.25, 0.75], [0.5, 0.5]], jnp.float32)
    with jax.enable_x64(True):
        (indices, logarithms), _ = operator.call(attrs, [data], key=jax.random.key(0))
    np.testing.assert_allclose(
        np.asarray(logarithms), np.log(np.take_along_axis(np.asarray(data), np.asarray(indices), 1)), rtol=1e-6
    )


def test_shuffle() -> None:
    """Rows are permuted and stay whole; every order comes."""
    operator = registry.get("_shuffle")
    data = np.arange(6, dtype=np.int32).reshape(3, 2)
    with jax.enable_x64(True):
        shuffle = jax.jit(
            jax.vmap(lambda key: operator.call(operator.parse_attrs({}), [jnp.array(data)], key=key)[0][0])
        )
        results = np.asarray(shuffle(jax.random.split(jax.random.key(0), 60)))
    assert {tuple(result[:, 0].tolist()) for result in results} == set(permutations([0, 2, 4]))
    assert (np.diff(results, axis=2) == 1).all()


@pytest.mark.parametrize("name", ["uniform", "normal", "gamma", "exponential", "poisson"])
def test_default_shape_and_dtype(name: str) -> None:
    """Without a shape there is one number; without a dtype it is float32."""
    operator = registry.get(f"_random_{name}")
    for attrs, shape, dtype in [
        ({}, (1,), np.float32),
        ({"shape": (2,), "dtype": "float16"}, (2,), np.float16),
        ({"shape": 3, "dtype": "float64"}, (3,), np.float64),
        ({"shape": (2, 1), "dtype": "None"}, (2, 1), np.float32),
    ]:
        parsed = operator.parse_attrs(attrs)
        with jax.enable_x64(True):
            (sample,), _ = jax.eval_shape(lambda parsed=parsed: operator.call(parsed, [], key=jax.random.key(0)))
        assert sample.shape == shape and sample.dtype == dtype


def test_aliases() -> None:
    """The names without underscore are the same operators."""
    for name in ("uniform", "normal", "gamma", "exponential", "poisson"):
        for kind in ("random", "sample"):
            assert registry.get(f"{kind}_{name}") is registry.get(f"_{kind}_{name}")


def test_keys() -> None:
    """The key decides: equal keys draw equal numbers, others do not."""
    one, same, other = (draw("_random_normal", shape=(8,), seed=seed) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()


def test_no_gradient_reaches_the_parameters() -> None:
    """As in MXNet, a sample is a constant."""
    operator = registry.get("_sample_normal")
    attrs = operator.parse_attrs({"shape": (3,)})
    with jax.enable_x64(True):
        grads = jax.grad(lambda *x: operator.call(attrs, x, key=jax.random.key(0))[0][0].sum(), argnums=(0, 1))(
            jnp.ones(2, jnp.float32), jnp.ones(2, jnp.float32)
        )
    assert all((np.asarray(grad) == 0).all() for grad in grads)


def test_wrong_parameters() -> None:
    """A negative parameter, a mismatch of shapes and an empty shape are refused with the reason."""
    with pytest.raises(MXNetError, match="'scale'"):
        draw("_random_normal", scale=-1.0)
    with pytest.raises(ValueError, match="one shape"):
        draw("_sample_normal", np.ones(2, np.float32), np.ones(3, np.float32))
    with pytest.raises(ValueError, match="positive"):
        draw("_random_normal", shape=(0, 2))


RANDOM = [case for _, case in [*all_cases(), *cast_cases()] if is_random(case)]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({operator_of(case) for case in RANDOM}))
def test_every_row_runs(name: str) -> None:
    """The table compares shapes and dtypes of what is traced; this compiles the samplers and runs them."""
    for case in RANDOM:
        if operator_of(case) == name:
            outputs = answers(case)
            found = [(outputs[each].shape, outputs[each].dtype) for each in outputs if each.startswith("out")]
            assert found == specs(case), case.id
