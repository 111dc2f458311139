"""What the table of cases can not say about the recurrent network."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symjit as mx
from symjit.ir.passes.strategy import applicable, heuristic
from symjit.ops import registry
from tests.ops.cases import rnn as cases
from tests.ops.differences import slopes

RNN = registry.get("RNN")


def drawn(mode: str, seed: int = 3, dtype: str = "float64", **shape) -> list[np.ndarray]:
    rng = np.random.RandomState(seed)
    return [rng.uniform(-1, 1, each.shape).astype(dtype) for each in cases.inputs(mode, **shape)]


def attrs_of(mode: str, layers: int = 1, bidirectional: bool = False, **attrs):
    given = {"mode": mode, "state_size": cases.SIZE, "num_layers": layers, "bidirectional": bidirectional, **attrs}
    return RNN.parse_attrs({"state_outputs": True, **given})


@partial(jax.jit, static_argnums=(0, 2))
def compiled(attrs, inputs, train, key):
    return RNN.call(attrs, inputs, key=key, train=train)[0]


def call(attrs, inputs, train=False, key=0):
    return compiled(attrs, tuple(inputs), train, jax.random.key(key))


CLIP = {"lstm_state_clip_min": -0.2, "lstm_state_clip_max": 0.3}


LENGTHS = {"use_sequence_length": True}


@pytest.mark.parametrize(
    ("mode", "extra"),
    [
        ("rnn_tanh", LENGTHS),
        ("gru", LENGTHS),
        ("lstm", {"projection_size": 2, **LENGTHS, **CLIP}),
        pytest.param("rnn_relu", LENGTHS, marks=pytest.mark.slow),
        pytest.param("lstm", LENGTHS, marks=pytest.mark.slow),
        pytest.param("lstm", {"projection_size": 2}, marks=pytest.mark.slow),
    ],
)
def test_gradient_by_finite_differences(mode: str, extra: dict) -> None:
    """The written-out gradient is the true one, for all inputs, where MXNet's CPU build has none as well."""
    lengths = [5, 0, 2] if extra.get("use_sequence_length") else None
    attrs = attrs_of(mode, 2, True, **extra)
    with jax.enable_x64(True):
        inputs = drawn(mode, layers=2, bidirectional=True, projection=extra.get("projection_size"))
        tail = [] if lengths is None else [np.array(lengths, np.int32)]
        outputs = jax.eval_shape(partial(call, attrs), [*inputs, *tail])
        heads = [np.random.RandomState(9).uniform(0.5, 1.5, y.shape) for y in outputs]

        def loss(*xs):
            return sum(jnp.vdot(h, y) for h, y in zip(heads, call(attrs, [*xs, *tail]), strict=True))

        trials = [{i: np.random.RandomState(i).standard_normal(x.shape)} for i, x in enumerate(inputs)]
        for analytic, numeric in slopes(loss, inputs, trials):
            assert analytic == pytest.approx(numeric, rel=1e-6, abs=1e-6)


def test_second_derivative() -> None:
    attrs = attrs_of("gru")
    with jax.enable_x64(True):
        inputs = [jnp.array(x) for x in drawn("gru")]

        def slope(data):
            return jnp.sum(jax.grad(lambda x: jnp.sum(call(attrs, [x, *inputs[1:]])[0]))(data) ** 2)

        slope = jax.jit(slope)
        grad = jax.jit(jax.grad(slope))(inputs[0])
        direction = jnp.asarray(np.random.RandomState(1).standard_normal(grad.shape))
        there, back = (slope(inputs[0] + sign * 1e-6 * direction) for sign in (1, -1))
        assert float(jnp.vdot(grad, direction)) == pytest.approx(float(there - back) / 2e-6, rel=1e-5)


OTHER_HALVES = [("lstm", "float16"), ("lstm", "bfloat16")]
HALVES = [("gru", "float16"), *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHER_HALVES)]


@pytest.mark.parametrize(("mode", "dtype"), HALVES)
def test_half_precision(mode: str, dtype: str) -> None:
    attrs = attrs_of(mode, 1, True)
    wide = [jnp.asarray(x) for x in drawn(mode, dtype="float32", bidirectional=True)]

    @jax.jit
    def run(inputs):
        outputs, pull = jax.vjp(lambda *xs: call(attrs, xs), *inputs)
        assert {y.dtype for y in outputs} == {inputs[0].dtype}
        return [*outputs, *pull(tuple(jnp.ones_like(y) for y in outputs))]

    for want, got in zip(run(wide), run([x.astype(dtype) for x in wide]), strict=True):
        assert got.dtype == jnp.dtype(dtype)
        scale = float(jnp.max(jnp.abs(want)))
        tol = 0.01 if dtype == "float16" else 0.08
        np.testing.assert_allclose(got.astype("float32") / scale, want / scale, atol=tol)


def test_a_nan_cell_becomes_the_minimum() -> None:
    inputs = [jnp.asarray(x) for x in drawn("lstm", dtype="float32")]
    inputs[3] = jnp.full_like(inputs[3], jnp.nan)
    assert np.isfinite(call(attrs_of("lstm", **CLIP), inputs)[0]).all()
    assert np.isnan(call(attrs_of("lstm", **CLIP, lstm_state_clip_nan=True), inputs)[0]).all()


def test_dropout_between_layers() -> None:
    inputs = [jnp.asarray(x) for x in drawn("rnn_tanh", dtype="float32", layers=2, steps=50, batch=40)]
    plain = call(attrs_of("rnn_tanh", 2), inputs)
    attrs = attrs_of("rnn_tanh", 2, p=0.4)
    np.testing.assert_array_equal(call(attrs, inputs)[0], plain[0])
    first, again, other = (call(attrs, inputs, train=True, key=key)[0] for key in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    # The first layer's final state comes before any dropout; the second layer's does not.
    dropped = call(attrs, inputs, train=True)[1]
    np.testing.assert_array_equal(dropped[0], plain[1][0])
    assert np.abs(dropped[1] - plain[1][1]).max() > 0.1


def test_dropout_scales_what_it_keeps() -> None:
    # A second layer that adds up its input, with relu and identity weights, shows what reaches it.
    size = cases.SIZE
    inputs = [jnp.abs(jnp.asarray(x)) for x in drawn("rnn_relu", dtype="float32", layers=2, steps=1, batch=2000)]
    first = jnp.abs(inputs[1][: size * cases.WIDTH])
    eye, zero = jnp.eye(size).reshape(-1), jnp.zeros(size * size)
    inputs[1] = jnp.concatenate([first, zero, eye, zero, jnp.zeros(4 * size)])
    plain, dropped = (call(attrs_of("rnn_relu", 2, p=0.25), inputs, train=train)[0] for train in (False, True))
    ratio = np.asarray(dropped / plain)
    kept = ratio > 0
    np.testing.assert_allclose(ratio[kept], 1 / 0.75, rtol=1e-5)
    assert kept.mean() == pytest.approx(0.75, abs=0.03)
    all_dropped = call(attrs_of("rnn_relu", 2, p=1.0), inputs, train=True)[0]
    np.testing.assert_array_equal(all_dropped, jnp.zeros_like(plain))


def deduce(attrs, inputs, outputs):
    names = RNN.input_names(attrs)
    known = registry.known_inputs(RNN, attrs, [inputs.get(name) for name in names], outputs)
    return RNN.shape_rule(attrs, known)


def test_shapes_flow_both_ways() -> None:
    attrs = attrs_of("lstm", 2, True, use_sequence_length=True)
    count = cases.size_of("lstm", 2, 2)
    want = {
        "data": (5, 7, 4),
        "parameters": (count,),
        "state": (4, 7, 3),
        "state_cell": (4, 7, 3),
        "sequence_length": (7,),
        "out": [(5, 7, 6), (4, 7, 3), (4, 7, 3)],
    }
    unknown = [None, None, None]
    assert deduce(attrs, {"data": (5, 7, 4)}, unknown) == want
    assert deduce(attrs, {"data": (5, None, None), "parameters": (count,), "state_cell": (4, 7, 3)}, unknown) == want
    assert deduce(attrs, {"parameters": (count,)}, [(5, None, 6), (None, 7, None), None]) == want
    assert deduce(attrs, {"data": (5, None, 4), "sequence_length": (7,)}, unknown) == want
    assert deduce(attrs, {}, unknown)["state"] == (4, None, 3)
    with pytest.raises(ValueError, match="expected 3"):
        deduce(attrs, {"data": (5, 4)}, unknown)
    with pytest.raises(ValueError, match="fit no input width"):
        deduce(attrs, {"parameters": (count + 1,)}, unknown)
    with pytest.raises(ValueError, match="the batch size of state is 8, that of data 7"):
        deduce(attrs, {"data": (5, 7, 4), "state": (4, 8, 3)}, unknown)


def test_a_projection_outside_of_the_lstm_is_refused() -> None:
    with pytest.raises(ValueError, match="only mode='lstm'"):
        deduce(attrs_of("gru", projection_size=2), {"data": (5, 7, 4)}, [None, None])


def test_wrong_parameter_count() -> None:
    inputs = [jnp.asarray(x) for x in drawn("gru", dtype="float32")]
    with pytest.raises(ValueError, match=r"expected \(81,\) for data of 4 features"):
        call(attrs_of("gru"), [inputs[0], inputs[1][:-1], inputs[2]])


@pytest.mark.parametrize(
    ("inputs", "total", "want"),
    [
        ([(36,), None, (18,)], 81, [(36,), (27,), (18,)]),
        ([(None,), (27,), (None,)], 81, [(27,), (27,), (27,)]),
        ([(None,), None, None], 81, [(None,), (None,), (None,)]),
        ([(36,), (27,), (18,)], None, [(36,), (27,), (18,)]),
    ],
)
def test_param_concat_shares_out_the_total(inputs, total, want) -> None:
    operator = registry.get("_rnn_param_concat")
    attrs = operator.parse_attrs({"num_args": 3, "dim": 0})
    found = operator.shape_rule(attrs, registry.known_inputs(operator, attrs, inputs, [(total,)]))
    assert found == {"args": want, "out": (81,)}


def test_param_concat_that_does_not_come_out_even() -> None:
    operator = registry.get("_rnn_param_concat")
    attrs = operator.parse_attrs({"num_args": 3, "dim": 0})
    with pytest.raises(ValueError, match="leaves 55 for 2 inputs"):
        operator.shape_rule(attrs, registry.known_inputs(operator, attrs, [None, (26,), None], [(81,)]))


@pytest.mark.parametrize("mode", ["gru", *(pytest.param(m, marks=pytest.mark.slow) for m in cases.GATES if m != "gru")])
@pytest.mark.parametrize(
    ("bidirectional", "lengths"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, False, marks=pytest.mark.slow),
    ],
)
def test_strategies_compute_the_same(mode: str, bidirectional: bool, lengths: bool) -> None:
    """The parameters cut once, by NumPy or JAX, for several rows and for one."""
    clip = CLIP if mode == "lstm" and lengths else {}
    attrs = attrs_of(mode, 2, bidirectional, use_sequence_length=lengths, **clip)
    with jax.enable_x64(True):
        for rows in (3, 1):
            data, parameters, *states = drawn(mode, layers=2, bidirectional=bidirectional)
            given = [data[:, :rows], parameters, *(x[:, :rows] for x in states)]
            given += [np.array([4, 0, 2][:rows], np.int32)] if lengths else []
            want = call(attrs, given)
            ways = [s for s in RNN.strategies.values() if s.when(attrs, given, "cpu")]
            assert [way.name for way in ways] == ["unpacked", "unpacked_vector"][: 3 - min(rows, 2)]
            for way in ways:
                run = jax.jit(lambda *x, way=way: way.op.call(attrs, x)[0])
                for weight in (parameters, jnp.asarray(parameters)):
                    prepared = way.prepare.call(attrs, [weight])[0]
                    assert len(prepared) == way.prepare.num_outputs(attrs)
                    inputs = [given[0], *prepared, *given[2:]]
                    assert len(inputs) == len(way.op.input_names(attrs))
                    for one, other in zip(run(*inputs), want, strict=True):
                        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


def test_strategies_are_for_inference_without_projection() -> None:
    graph = mx.sym.RNN(
        mx.sym.var("data"), mx.sym.var("p"), mx.sym.var("s"), mx.sym.var("c"), mode="lstm", state_size=4, num_layers=1
    ).graph
    node = graph.heads[0].node
    specs = [jax.ShapeDtypeStruct(shape, np.float32) for shape in [(5, 3, 2), (128,), (1, 3, 4), (1, 3, 4)]]
    assert [way.name for way in applicable(node, specs, "cpu")] == ["unpacked"]
    assert heuristic("cpu", False)(node, specs) == "unpacked"
    assert applicable(node, specs, "cpu", train=True) == [] and heuristic("cpu", True)(node, specs) is None
    projected = node.replace(attrs={**node.attrs, "projection_size": "2"})
    assert applicable(projected, specs, "cpu") == []
