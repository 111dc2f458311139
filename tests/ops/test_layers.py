"""Layers beyond their table: what is random, what a layout rule promises, what partial shapes tell."""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.base import MXNetError
from symjit.ops import registry
from tests.compare import close
from tests.ops.case import Case
from tests.ops.conftest import all_cases
from tests.ops.test_shape_rules import deduce

FAMILIES = ("conv", "pool", "norm", "activation", "dropout", "dense")
CASES = [(family, case) for family, case in all_cases() if family in FAMILIES]


def layer(name: str, **attrs):
    """Return the operator as a compiled function ``(key, inputs) -> outputs`` of a training forward."""
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    return jax.jit(lambda key, *inputs: operator.call(parsed, inputs, key=key, train=True)[0])


# What is random


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_dropout_drops_its_share_and_rescales_the_rest(p: float) -> None:
    (out,) = layer("Dropout", p=p)(jax.random.key(1), jnp.ones((100, 200), jnp.float32))
    out = np.asarray(out)
    assert set(np.unique(out)) == {np.float32(0), np.float32(1) / (np.float32(1) - np.float32(p))}
    assert np.mean(out == 0) == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / out.size))


def test_dropout_passes_gradients_where_it_passed_data() -> None:
    run, x = layer("Dropout", p=0.4), jnp.arange(1.0, 51.0)
    out, back = jax.vjp(lambda x: run(jax.random.key(2), x)[0], x)
    np.testing.assert_allclose(np.asarray(back(jnp.ones_like(x))[0]), np.asarray(out / x), rtol=1e-6)


def test_dropout_shares_its_mask_along_axes() -> None:
    (out,) = layer("Dropout", p=0.5, axes=(1, -1))(jax.random.key(3), jnp.ones((64, 5, 2, 3)))
    out = np.asarray(out)
    assert (out == out[:, :1, :, :1]).all()
    assert len(np.unique(out[:, 0, :, 0])) == 2 and not (out[:, 0, 0, 0] == out[:, 0, 1, 0]).all()


def test_dropout_depends_on_the_key_and_nothing_else() -> None:
    run, x = layer("Dropout", p=0.5), jnp.ones((1000,))
    first, again, other = (np.asarray(run(jax.random.key(seed), x)[0]) for seed in (4, 4, 5))
    assert (first == again).all() and not (first == other).all()


def test_dropout_in_inference() -> None:
    operator, x = registry.get("Dropout"), jnp.ones((1000,))
    attrs = operator.parse_attrs({"p": 0.5})
    assert operator.call(attrs, [x], key=None)[0][0] is x
    always = operator.parse_attrs({"p": 0.5, "mode": "always"})
    assert 0.3 < float(jnp.mean(operator.call(always, [x], key=jax.random.key(6))[0][0] == 0)) < 0.7


@pytest.mark.parametrize("p", ["1.5", -0.1])
def test_dropout_refuses_what_is_no_probability(p) -> None:
    with pytest.raises(MXNetError, match="Dropout: attribute 'p'"):
        registry.get("Dropout").parse_attrs({"p": p})


def test_dropout_takes_a_traced_probability() -> None:
    operator = registry.get("Dropout")
    attrs = operator.parse_attrs({})
    run = jax.jit(lambda p, x: operator.call(attrs._replace(p=p), [x], key=jax.random.key(7), train=True)[0][0])
    x = jnp.ones((2000,))
    assert (np.asarray(run(0.0, x)) == 1).all()
    assert float(jnp.mean(run(0.25, x) == 0)) == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_rrelu_draws_its_slopes(dtype: str) -> None:
    with jax.enable_x64(True):
        x = jnp.asarray(np.where(np.arange(6000) % 3 == 0, 2.0, -1.0).reshape(2, 3000), dtype)
        run = layer("LeakyReLU", act_type="rrelu", lower_bound=0.2, upper_bound=0.6)
        out, slopes = (np.asarray(each) for each in run(jax.random.key(8), x))
        grad = jax.vjp(lambda x: run(jax.random.key(8), x)[0], x)[1](jnp.ones_like(x))[0]
    assert out.dtype == slopes.dtype == np.dtype(dtype)
    assert slopes.min() >= 0.1999 and slopes.max() <= 0.6001 and slopes.mean() == pytest.approx(0.4, abs=0.01)
    below = np.asarray(x) < 0
    np.testing.assert_array_equal(out, np.where(below, slopes * np.asarray(x), np.asarray(x)))
    np.testing.assert_array_equal(np.asarray(grad), np.where(below, slopes, np.ones_like(slopes)))


# Layout rules


def permutations(case: Case) -> list[tuple[int, ...]]:
    """Return the ways to move the channels of a case's data last, and back."""
    ndim = len(case.arrays()[0].shape)
    last = (0, *range(2, ndim), 1)
    return [last, tuple(int(i) for i in np.argsort(last))] if ndim > 2 else [(1, 0)] if ndim == 2 else []


MOVED = [
    (case, perm)
    for _, case in CASES
    if registry.get(case.op).layout_kind == "channel" and case.op != "Dropout"
    for perm in permutations(case)
    if registry.get(case.op).relayout(registry.get(case.op).parse_attrs(case.attrs), perm) is not None
]


def test_layout_rules_apply() -> None:
    """Every operator with a rule follows for some row."""
    with_rule = {operator.name for operator in registry.ops() if operator.layout_kind == "channel"}
    mine = {registry.get(case.op).name for _, case in CASES} - {"Dropout"}
    assert with_rule & mine == {registry.get(case.op).name for case, _ in MOVED}


@pytest.mark.slow
@pytest.mark.parametrize(("case", "perm"), MOVED, ids=[f"{case.id}-{''.join(map(str, perm))}" for case, perm in MOVED])
def test_layout_rules_commute_with_transposition(case: Case, perm: tuple[int, ...]) -> None:
    """The operator with the rule's attributes, on permuted data, gives the permuted result."""
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    moved = operator.relayout(attrs, perm)
    arrays = case.arrays()
    names = operator.input_names(attrs)
    key = jax.random.key(0) if operator.needs_key else None

    def shift(number: int, name: str, a: np.ndarray) -> np.ndarray:
        # Parameters of data's rank move as data does; softmax's lengths lack the axis that it runs along.
        if a.ndim == len(perm) and (number == 0 or (a.ndim > 2 and name in operator.params)):
            return a.transpose(perm)
        if name == "length":
            axis = attrs.axis % len(perm)
            left = [i for i in range(len(perm)) if i != axis]
            return a.transpose([left.index(i) for i in perm if i != axis])
        return a

    shifted = [shift(i, name, a) for i, (name, a) in enumerate(zip(names, arrays, strict=True))]

    def first(attrs, inputs):
        return np.asarray(operator.call(attrs, inputs, key=key, train=case.train)[0][0])

    with jax.enable_x64(True):
        want = first(attrs, [jnp.array(a) for a in arrays])
        got = first(moved, [jnp.array(a) for a in shifted])
    close(got, want.transpose(perm), max(case.tolerance(want.dtype), 1e-5), "output")


def test_dropout_follows_its_axes() -> None:
    operator = registry.get("Dropout")
    attrs = operator.relayout(operator.parse_attrs({"axes": (1,)}), (0, 2, 3, 1))
    assert attrs.axes == (3,)


# Partial shapes

# A slope per channel is deduced for prelu; other shapes of gamma have to be given.
RULED = [
    (family, case)
    for family, case in CASES
    if registry.get(case.op).shape_rule and not case.id.startswith(("LeakyReLU-prelu-shared", "LeakyReLU-prelu-broad"))
]


@pytest.mark.parametrize("row", RULED, ids=[f"{family}-{case.id}" for family, case in RULED])
def test_nothing_wrong_is_deduced(row: tuple[str, Case]) -> None:
    """With dimensions hidden at random, what a rule deduces never contradicts the whole shapes."""
    _, case = row
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    key = jax.random.key(0) if operator.needs_key else None
    with jax.enable_x64(True):
        arrays = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in case.arrays()]
        whole = jax.eval_shape(lambda *xs: operator.call(attrs, xs, key=key, train=True)[0], *arrays)
    inputs, outputs = [tuple(a.shape) for a in arrays], [tuple(x.shape) for x in whole]
    rng = np.random.RandomState(zlib.crc32(case.id.encode()) & 0x7FFFFFFF)

    def hide(shape: tuple[int, ...], share: float) -> tuple[int | None, ...] | None:
        if rng.uniform() < share / 2:
            return None
        return tuple(None if rng.uniform() < share else dim for dim in shape)

    for share in (0.0, 0.2, 0.3, 0.5, 0.6, 0.8, 1.0):
        partial = [hide(shape, share) for shape in inputs], [hide(shape, share) for shape in outputs]
        found = deduce(case.op, case.attrs, partial[0], partial[1])
        for got, shape in zip(found[0] + found[1], inputs + outputs, strict=True):
            assert got is None or all(x in (None, y) for x, y in zip(got, shape, strict=True)), f"{partial} -> {found}"
    # Data alone tells everything else, but for what broadcasts or merely joins.
    if len(inputs) > 1 and case.op != "UpSampling":
        found = deduce(case.op, case.attrs, [inputs[0]] + [None] * (len(inputs) - 1), [None] * len(outputs))
        for name, got, shape in zip(operator.input_names(attrs), found[0], inputs, strict=True):
            assert got == shape or (name == "gamma" and len(inputs[0]) == 1), name
        assert found[1] == outputs


N = None

#: operator, attributes, inputs, outputs, deduced inputs, deduced outputs
DEDUCTIONS = [
    (
        "Convolution",
        {"kernel": (3, 3), "num_filter": 8},
        [(N, 4, N, 9), N, N],
        [(2, 8, N, N)],
        [(2, 4, N, 9), (8, 4, 3, 3), (8,)],
        [(2, 8, N, 7)],
    ),
    (
        "Convolution",
        {"kernel": (3,), "num_filter": 8, "num_group": 2},
        [N, (8, 3, 3), N],
        [N],
        [(N, 6, N), (8, 3, 3), (8,)],
        [(N, 8, N)],
    ),
    (
        "Convolution",
        {"kernel": (3, 3), "num_filter": 8, "layout": "NHWC"},
        [(2, 9, N, 4), N, N],
        [N],
        [(2, 9, N, 4), (8, 3, 3, 4), (8,)],
        [(2, 7, N, 8)],
    ),
    (
        "Deconvolution",
        {"kernel": (4, 4), "num_filter": 6, "num_group": 2, "stride": (2, 2), "pad": (1, 1)},
        [(N, 4, 5, N), N],
        [(3, N, N, N)],
        [(3, 4, 5, N), (4, 3, 4, 4)],
        [(3, 6, 10, N)],
    ),
    (
        "Deconvolution",
        {"kernel": (4, 4), "num_filter": 2, "stride": (2, 2), "target_shape": (8, 8)},
        [(N, 3, N, N), N],
        [N],
        [(N, 3, N, N), (3, 2, 4, 4)],
        [(N, 2, 8, 8)],
    ),
    (
        "UpSampling",
        {"scale": 2, "sample_type": "bilinear", "num_filter": 3, "num_args": 2},
        [(N, N, 4, N), N],
        [(2, N, N, N)],
        [(2, 3, 4, N), (3, 1, 4, 4)],
        [(2, 3, 8, N)],
    ),
    (
        "UpSampling",
        {"scale": 2, "sample_type": "nearest", "num_args": 2},
        [(N, 3, 4, 5), (2, 2, 8, N)],
        [N],
        [(N, 3, 4, 5), (2, 2, 8, N)],
        [(N, 5, 8, 10)],
    ),
    ("Pooling", {"kernel": (2, 2), "stride": (2, 2)}, [(N, N, 8, N)], [(2, 3, N, N)], [(2, 3, 8, N)], [(2, 3, 4, N)]),
    ("Pooling", {"kernel": (2, 2)}, [N], [(2, 3, N, N)], [(2, 3, N, N)], [(2, 3, N, N)]),
    ("Pooling", {"global_pool": True}, [(N, 3, N, N)], [N], [(N, 3, N, N)], [(N, 3, 1, 1)]),
    ("Pooling", {"global_pool": True}, [N], [N], [N], [N]),
    ("BatchNorm", {}, [(N, N, 4), (3,), N, N, N], [(2, N, N), N, N], [(2, 3, 4)] + [(3,)] * 4, [(2, 3, 4), (3,), (3,)]),
    ("BatchNorm", {"axis": -1}, [N] * 5, [(2, N, 5), N, N], [(2, N, 5)] + [(5,)] * 4, [(2, N, 5), (5,), (5,)]),
    (
        "LayerNorm",
        {"axis": 1},
        [(2, N, 4), N, (3,)],
        [N] * 3,
        [(2, 3, 4), (3,), (3,)],
        [(2, 3, 4), (2, 1, 4), (2, 1, 4)],
    ),
    ("GroupNorm", {"num_groups": 2}, [(N, 4, 3), N, N], [N] * 3, [(N, 4, 3), (2,), (2,)], [(N, 4, 3), (N, 2), (N, 2)]),
    ("InstanceNorm", {}, [N, N, N], [(2, 3, N)], [(2, 3, N), (3,), (3,)], [(2, 3, N)]),
    ("softmax", {"use_length": True, "axis": 1}, [(N, 3, 4), (2, N)], [N], [(2, 3, 4), (2, 4)], [(2, 3, 4)]),
    ("LeakyReLU", {"act_type": "prelu"}, [N, N], [(2, 3, N)], [(2, 3, N), (3,)], [(2, 3, N)]),
    ("FullyConnected", {"num_hidden": 5}, [(N, 3, 4), N, N], [(2, N)], [(2, 3, 4), (5, 12), (5,)], [(2, 5)]),
]


@pytest.mark.parametrize("row", DEDUCTIONS, ids=[f"{i}-{row[0]}" for i, row in enumerate(DEDUCTIONS)])
def test_deductions(row: tuple) -> None:
    name, attrs, inputs, outputs, want_inputs, want_outputs = row
    assert deduce(name, attrs, list(inputs), list(outputs)) == (want_inputs, want_outputs)


# Errors say what does not fit

ERRORS = [
    ("Convolution", {"kernel": (3, 3), "num_filter": 2}, [(1, 2, 5), (2, 2, 3, 3), (2,)], "4 dimensions"),
    ("Convolution", {"kernel": (3, 3), "num_filter": 2, "stride": (2,)}, [(1, 2, 5, 5), (2, 2, 3, 3), (2,)], "stride"),
    (
        "Convolution",
        {"kernel": (3, 3), "num_filter": 4, "num_group": 2},
        [(1, 3, 5, 5), (4, 1, 3, 3), (4,)],
        "num_group",
    ),
    ("Convolution", {"kernel": (3, 3), "num_filter": 2}, [(1, 2, 2, 5), (2, 2, 3, 3), (2,)], "padded input"),
    ("Convolution", {"kernel": (3,), "num_filter": 2, "layout": "NCHW"}, [(1, 2, 5), (2, 2, 3), (2,)], "layout NCHW"),
    ("Convolution", {"kernel": (), "num_filter": 2}, [(1, 2, 5), (2, 2, 3), (2,)], "1, 2 or 3 spatial axes"),
    ("Deconvolution", {"kernel": (3, 3), "num_filter": 2, "adj": (1, 1)}, [(1, 2, 3, 3), (2, 2, 3, 3)], "adj"),
    (
        "Deconvolution",
        {"kernel": (2, 2), "num_filter": 2, "target_shape": (9, 9)},
        [(1, 2, 3, 3), (2, 2, 2, 2)],
        "target_shape",
    ),
    ("Pooling", {}, [(1, 2, 5, 5)], "kernel"),
    ("Pooling", {"kernel": (6, 2)}, [(1, 2, 5, 5)], "exceeds"),
    ("Pooling", {"kernel": (2, 2), "pad": (2, 0)}, [(1, 2, 5, 5)], "smaller than kernel"),
    ("Pooling", {"kernel": (2, 2), "pooling_convention": "same"}, [(1, 2, 5, 5)], "same"),
    ("Pooling", {"kernel": (2, 2), "pool_type": "lp"}, [(1, 2, 5, 5)], "p_value"),
    ("Pooling", {"kernel": (2, 2), "stride": (0, 2), "pooling_convention": "full"}, [(1, 2, 5, 5)], "stride must"),
    ("Pooling", {"kernel": (2, 2), "pad": (-1, 0)}, [(1, 2, 5, 5)], "pad must"),
    ("Convolution", {"kernel": (2,), "num_filter": 1, "dilate": (0,)}, [(1, 1, 5), (1, 1, 2), (1,)], "dilate must"),
    ("Convolution", {"kernel": (2,), "num_filter": 1, "stride": (-1,)}, [(1, 1, 5), (1, 1, 2), (1,)], "stride must"),
    ("Deconvolution", {"kernel": (2,), "num_filter": 1, "stride": (0,)}, [(1, 1, 5), (1, 1, 2)], "stride must"),
    ("Pooling_v1", {"kernel": (2,)}, [(1, 2, 5)], "4 dimensions"),
    (
        "UpSampling",
        {"scale": 2, "sample_type": "nearest", "num_args": 2},
        [(1, 1, 2, 2), (1, 1, 3, 3)],
        "whole multiple",
    ),
    (
        "UpSampling",
        {"scale": 2, "sample_type": "nearest", "num_args": 2},
        [(1, 1, 2, 2), (1, 1, 4, 2)],
        "whole multiple",
    ),
    ("UpSampling", {"scale": 2, "sample_type": "nearest", "num_args": 1}, [(1, 2, 2)], "4 dimensions"),
    ("BatchNorm", {"axis": 4}, [(2, 3)] + [(3,)] * 4, "axis 4"),
    ("InstanceNorm", {}, [(2, 3), (3,), (3,)], "3 dimensions"),
    ("GroupNorm", {"num_groups": 2}, [(2, 3, 4), (2,), (2,)], "num_groups=2"),
    ("L2Normalization", {"mode": "channel"}, [(2, 3)], "channel"),
    ("SoftmaxActivation", {"mode": "channel"}, [(2, 3)], "channel"),
    ("log_softmax", {"use_length": True}, [(2, 3)], "use_length"),
    ("softmax", {"axis": 2}, [(2, 3)], "axis 2"),
]


@pytest.mark.parametrize("row", ERRORS, ids=[f"{i}-{row[0]}" for i, row in enumerate(ERRORS)])
def test_errors(row: tuple) -> None:
    name, attrs, shapes, text = row
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    with pytest.raises((ValueError, MXNetError), match=text):
        operator.call(parsed, [jnp.ones(shape, jnp.float32) for shape in shapes])


def test_old_pooling_refuses_integers() -> None:
    operator = registry.get("Pooling_v1")
    with pytest.raises(ValueError, match="expected floating-point data, got int8"):
        operator.call(operator.parse_attrs({"kernel": (2, 2)}), [jnp.ones((1, 1, 3, 3), jnp.int8)])
