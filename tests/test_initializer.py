"""Initializers: MXNet 1.9.1's numbers where nothing is drawn, its distributions where something is."""

from __future__ import annotations

import inspect
import json
import logging
import math
import os
import pathlib
import pickle
import warnings

import numpy as np
import pytest

import symjit as mx
from symjit.base import MXNetError
from symjit.initializer import sampled
from tests.golden import initializer_cases as cases

FOLDER = pathlib.Path(__file__).parent / "golden" / "initializers"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
with np.load(FOLDER / "values.npz") as _file:
    VALUES = {name: _file[name] for name in _file.files}

# Calls with a plain string warn; test_a_plain_string_warns looks at it.
pytestmark = pytest.mark.filterwarnings("ignore:an initializer was called with a plain string:DeprecationWarning")


@pytest.mark.parametrize(
    ("module", "name", "want"),
    [(mx.init, *each) for each in EXPECTED["signatures"].items()]
    + [(mx.registry, *each) for each in EXPECTED["registry"].items()],
)
def test_signature(module, name: str, want: str) -> None:
    given = inspect.signature(getattr(module, name))
    stripped = [each.replace(annotation=inspect.Parameter.empty) for each in given.parameters.values()]
    assert str(inspect.Signature(stripped)) == want


@pytest.mark.parametrize(("name", "klass"), EXPECTED["names"].items())
def test_registered_names(name: str, klass: str) -> None:
    assert mx.registry.get_registry(mx.init.Initializer)[name] is getattr(mx.init, klass)


def test_the_registry_is_a_copy() -> None:
    mx.registry.get_registry(mx.init.Initializer).clear()
    assert isinstance(mx.init.create("ones"), mx.init.One)


def test_module_names() -> None:
    assert mx.init is mx.initializer
    assert all(hasattr(mx.init, name) for name in ("alias", "create", "register"))


@pytest.mark.parametrize("name", cases.FIXED)
def test_fixed(name: str) -> None:
    got, want = cases.call(mx, cases.FIXED[name]).asnumpy(), VALUES[name]
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", cases.DUMPED)
def test_dumps(name: str) -> None:
    made = cases.DUMPED[name](mx)
    assert made.dumps() == EXPECTED["dumped"][name]
    assert made.dumps() == EXPECTED["dumped"][name]  # once more: it changes nothing
    if name != "base":
        again = mx.init.create(made.dumps())
        assert type(again) is type(made)
        assert again.dumps() == made.dumps()
        assert mx.sym.Variable("x", init=made).attr("__init__") == made.dumps()


@pytest.mark.parametrize("name", cases.EQUAL)
def test_equality(name: str) -> None:
    assert cases.EQUAL[name](mx) is EXPECTED["equal"][name]


@pytest.mark.parametrize("name", cases.LOGGED)
def test_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cases.call(mx, cases.LOGGED[name])
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("root", line) for line in EXPECTED["logged"][name]
    ]


#: Errors of another type than MXNet's.
OTHER_ERRORS = {
    "own_damaged": "ValueError",  # the base class of MXNet's JSONDecodeError
    "orthogonal_random": "ValueError",  # as for Xavier; MXNet stumbles over a variable without a value
    "fused_mode": "ValueError",  # MXNet looks the word up in a dict
}


@pytest.mark.parametrize("name", cases.REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(Exception) as caught:
        cases.REFUSED[name](mx)
    assert type(caught.value).__name__ == OTHER_ERRORS.get(name, EXPECTED["refused"][name]), caught.value
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cases.REFUSED["unknown_name"](mx), ("data", "weight, bias", "mx.sym.Variable('data', init=")),
        (lambda: cases.REFUSED["load_shape"](mx), ("(3,)", "(2,)", "default_init")),
        (lambda: cases.REFUSED["load_missing"](mx), ("y", "default_init=")),
        (lambda: cases.REFUSED["mixed_none"](mx), ("ba", "'.*'", "['a']")),
        (lambda: cases.REFUSED["xavier_vector"](mx), ("x_weight", "(2,)", "mx.init.Mixed")),
        (lambda: cases.REFUSED["create_unknown"](mx), ("nothing", "xavier", "mx.initializer.register")),
        (lambda: cases.REFUSED["fused_size"](mx), ("x_weight", "100", "num_hidden")),
        (lambda: mx.init.create('["zero"]'), ('["name", {"argument": value}]',)),
        (lambda: mx.init.create("[1, {}]"), ('["name", {"argument": value}]',)),
        (lambda: mx.init.create(), ("uniform", "zeros")),
        (
            lambda: mx.init.Orthogonal(rand_type="gaussian")(mx.init.InitDesc("w_weight"), mx.nd.zeros((2, 2))),
            ("normal",),
        ),
        (lambda: mx.init.FusedRNN(None, 2, 1, "rnn")(mx.init.InitDesc("w_weight"), mx.nd.zeros((2,))), ("init",)),
        (
            lambda: mx.init.FusedRNN(mx.init.One(), 2, 1, "rnn")(mx.init.InitDesc("w_weight"), mx.nd.zeros((2,))),
            ("rnn_relu", "'rnn'"),
        ),
    ],
)
def test_messages(make, words: tuple[str, ...]) -> None:
    with pytest.raises((AssertionError, MXNetError, TypeError, ValueError)) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_error_names_the_variable_with_the_attribute() -> None:
    with pytest.raises(AssertionError) as caught:
        cases.REFUSED["own_unknown"](mx)
    assert "__init__ of the variable x" in caught.value.__notes__[0]


def test_a_plain_string_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mx.init.One()(mx.init.InitDesc("x_weight"), mx.nd.zeros((2,)))
        with pytest.raises(DeprecationWarning, match="InitDesc"):
            mx.init.One()("x_weight", mx.nd.zeros((2,)))


# Random ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases.DRAWN)
def test_drawn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws in the same order as in MXNet; Orthogonal makes of them the same, up to signs."""
    calls = []

    def draw(kind, first, second, shape, dtype, ctx):
        calls.append([kind, float(first), float(second), list(shape)])
        return cases.drawn(shape)

    monkeypatch.setattr(sampled, "draw", draw)
    got = cases.call(mx, cases.DRAWN[name]).asnumpy()
    assert calls == EXPECTED["drawn"][name]
    if name.startswith("orthogonal"):
        want = VALUES[name]
        rows, columns = len(want), want[0].size
        got, want = (x.reshape(rows, columns).T if rows >= columns else x.reshape(rows, columns) for x in (got, want))
        signs = np.sign((got * want).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(got * signs, want, atol=2e-5)


#: Initializers whose two parameters are known, of many numbers, and the standard deviation that they give.
_SPREAD = {
    "uniform": (mx.init.Uniform(0.3), (300, 200), 0.3 / math.sqrt(3)),
    "normal": (mx.init.Normal(0.3), (300, 200), 0.3),
    "xavier": (mx.init.Xavier(), (100, 500), 0.1 / math.sqrt(3)),
    "xavier_conv": (mx.init.Xavier("gaussian", "in", 2), (64, 32, 5, 5), 0.05),
    "xavier_out": (mx.init.Xavier("uniform", "out", 3), (50, 64, 4, 4), math.sqrt(1 / 800)),
    "msra": (mx.init.MSRAPrelu("in", 0), (100, 50, 4, 4), 0.05),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", _SPREAD)
def test_distribution(name: str, dtype: str) -> None:
    initializer, shape, deviation = _SPREAD[name]
    arr = mx.nd.zeros(shape, dtype=dtype)
    mx.random.seed(5)
    initializer(mx.init.InitDesc("x_weight"), arr)
    x = arr.asnumpy()
    assert x.dtype == dtype
    x = np.sort(x.astype(np.float64).ravel()) / deviation
    uniform = name.startswith("uniform") or getattr(initializer, "rnd_type", "") == "uniform"
    if uniform:
        assert abs(x).max() <= math.sqrt(3) * (1 + 1e-3)
        below = (x / math.sqrt(3) + 1) / 2
    else:
        below = np.array([0.5 * (1 + math.erf(each / math.sqrt(2))) for each in x])
    # Kolmogorov and Smirnov: a true sample exceeds 2 / sqrt(n) once in 3000 times; this one is always the same.
    assert abs(below - (np.arange(x.size) + 0.5) / x.size).max() < 2 / math.sqrt(x.size)


@pytest.mark.parametrize(
    "make", [mx.init.Uniform, mx.init.Normal, mx.init.Orthogonal, mx.init.Xavier, mx.init.MSRAPrelu]
)
def test_seed_repeats(make) -> None:
    def draw() -> np.ndarray:
        arr = mx.nd.zeros((6, 5))
        make()(mx.init.InitDesc("x_weight"), arr)
        return arr.asnumpy()

    mx.random.seed(11)
    first, second = draw(), draw()
    mx.random.seed(11)
    np.testing.assert_array_equal(draw(), first)
    np.testing.assert_array_equal(draw(), second)
    assert (first != second).all()


def test_a_device_has_its_own_stream() -> None:
    def draw(ctx: mx.Context) -> np.ndarray:
        arr = mx.nd.zeros((6, 5), ctx=ctx)
        mx.init.Uniform()(mx.init.InitDesc("x_weight"), arr)
        return arr.asnumpy()

    mx.random.seed(3, ctx=mx.cpu(1))
    first = draw(mx.cpu(1))
    mx.random.seed(3, ctx=mx.cpu(1))
    assert (draw(mx.cpu(0)) != first).any()
    np.testing.assert_array_equal(draw(mx.cpu(1)), first)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (8, 3), (6, 2, 3, 3), (40, 2, 3, 3)])
def test_orthonormal(shape: tuple[int, ...], kind: str) -> None:
    arr = mx.nd.zeros(shape)
    mx.init.Orthogonal(2.0, kind)(mx.init.InitDesc("x_weight"), arr)
    x = arr.asnumpy().reshape(shape[0], -1) / 2.0
    product = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-5)


def test_quantized_weight_is_one_number() -> None:
    seen = set()
    for seed in range(30):
        arr = mx.nd.zeros((3, 2), dtype="int8")
        mx.random.seed(seed)
        mx.init.Zero()(mx.init.InitDesc("fc_weight_quantize"), arr)
        x = arr.asnumpy()
        assert (x == x[0, 0]).all() and -127 <= x[0, 0] < 127
        seen.add(int(x[0, 0]))
    assert len(seen) > 15


# Modules --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases.MODULES)
def test_module(name: str) -> None:
    """MXNet's parameters, or its error: then the module starts with another initializer."""
    want = EXPECTED["modules"][name]
    module, init = cases.module(mx, name)
    if isinstance(want, dict):
        module.init_params(init)
        assert cases.parameters(module) == want
        return
    with pytest.raises(Exception) as caught:
        module.init_params(init)
    assert type(caught.value).__name__ == want
    assert "raised by the initializer of" in caught.value.__notes__[-1]
    assert module.binded and not module.params_initialized
    module.init_params(mx.init.Mixed([".*"], [cases.rest]))
    before = cases.parameters(module)
    with pytest.raises(type(caught.value)):
        module.init_params(init, force_init=True)
    assert cases.parameters(module) == before
    module.forward(mx.io.DataBatch([mx.nd.ones((4, 3))], None), is_train=False)
    assert module.get_outputs()[0].shape == (4, 2)


def test_mx_random_has_the_distributions() -> None:
    assert [n for n in EXPECTED["random"]["names"] if getattr(mx.random, n, None) is not getattr(mx.nd.random, n)] == []


# What else an initializer meets ---------------------------------------------------------------------------------------


def test_writes_through_a_view_and_leaves_the_rest() -> None:
    whole = mx.nd.zeros((3, 4))
    mx.init.Uniform(0.5)(mx.init.InitDesc("x_weight"), whole[1])
    mx.init.One()(mx.init.InitDesc("x_weight"), whole[2:3])
    x = whole.asnumpy()
    assert (x[0] == 0).all() and (x[1] != 0).all() and (x[2] == 1).all()


def test_a_constant_array_is_copied() -> None:
    value, arr = mx.nd.ones((2,)), mx.nd.zeros((2,))
    mx.init.Constant(value)(mx.init.InitDesc("x_weight"), arr)
    loaded = mx.nd.zeros((2,))
    mx.init.Load({"x": value})("x", loaded)
    value[:] = 5
    arr[0:1] = 7
    assert (value.asnumpy().tolist(), arr.asnumpy().tolist(), loaded.asnumpy().tolist()) == ([5, 5], [7, 1], [1, 1])


def test_device_and_dtype_are_kept() -> None:
    for initializer in (mx.init.Xavier(), mx.init.One(), mx.init.Orthogonal()):
        arr = mx.nd.zeros((4, 4), ctx=mx.cpu(2), dtype="float64")
        initializer(mx.init.InitDesc("x_weight"), arr)
        assert arr.context == mx.cpu(2) and arr.dtype == np.float64
        assert arr.data.device == mx.cpu(2).device


def test_own_initializer_of_a_variable_and_of_an_operator() -> None:
    data = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data, mx.sym.Variable("w", init=mx.init.Constant(0.5)), num_hidden=2, name="fc")
    net = mx.sym.BatchNorm(net, name="bn")
    attrs = net.attr_dict()
    got = {}
    for name in ("w", "fc_bias", "bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var"):
        arr = mx.nd.full((2, 3) if name == "w" else (2,), 9)
        mx.init.Xavier()(mx.init.InitDesc(name, attrs.get(name)), arr)
        got[name] = set(arr.asnumpy().ravel().tolist())
    assert got == {
        "w": {0.5},
        "fc_bias": {0.0},
        "bn_gamma": {1.0},
        "bn_beta": {0.0},
        "bn_moving_mean": {0.0},
        "bn_moving_var": {1.0},
    }


def test_load_from_a_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.params"
    mx.nd.save(path, {"arg:x_weight": mx.nd.array([1, 2]), "aux:m": mx.nd.array([3])})
    for name in (str(path), path):
        found = mx.init.Load(name, default_init=mx.init.One())
        assert set(found.param) == {"x_weight", "m"}
        arr = mx.nd.zeros((2,))
        found(mx.init.InitDesc("x_weight"), arr)
        assert arr.asnumpy().tolist() == [1, 2]
    mx.nd.save(path, [mx.nd.ones((2,))])
    with pytest.raises(AssertionError, match=f"{os.path.basename(path)}.*list"):
        mx.init.Load(str(path))
    with pytest.raises(MXNetError):
        mx.init.Load(str(tmp_path / "missing.params"))


def test_functions_are_initializers_of_mixed_and_load() -> None:
    seen = []

    def write(name: str, arr: mx.nd.NDArray) -> None:
        seen.append(name)
        arr[:] = 3

    arr = mx.nd.zeros((2,))
    mx.init.Mixed(["x"], [write])(mx.init.InitDesc("x"), arr)
    mx.init.Load({}, write)(mx.init.InitDesc("y"), arr)
    assert seen == ["x", "y"] and arr.asnumpy().tolist() == [3, 3]


def test_a_class_of_ones_own(recwarn: pytest.WarningsRecorder) -> None:
    @mx.init.register
    @mx.init.alias("onlyhere", "onlythere")
    class OnlyHere2(mx.init.Initializer):
        def __init__(self, value: float = 0.5) -> None:
            super().__init__(value=value)
            self.value = value

        def _init_weight(self, name: str, arr: mx.nd.NDArray) -> None:
            arr[:] = self.value

        def _init_bias(self, name: str, arr: mx.nd.NDArray) -> None:
            arr[:] = 4

    for made in (mx.init.create("onlyhere2", 2), mx.init.create("OnlyThere", value=2), OnlyHere2(2)):
        arr = mx.nd.zeros((2,))
        made(mx.init.InitDesc("x_weight"), arr)
        assert arr.asnumpy().tolist() == [2, 2]
        made(mx.init.InitDesc("x_bias"), arr)
        assert arr.asnumpy().tolist() == [4, 4]
    assert not recwarn.list
    with pytest.warns(UserWarning, match="onlyhere2"):
        mx.init.register(OnlyHere2)


def test_description() -> None:
    desc = mx.init.InitDesc("x_weight", {"__lr_mult__": "2"})
    assert desc == "x_weight" and isinstance(desc, str) and desc.attrs == {"__lr_mult__": "2"}
    assert desc.global_init is None and mx.init.InitDesc("a").attrs == {}
    first = mx.init.One()
    first(desc, mx.nd.zeros((2,)))
    mx.init.Zero()(desc, mx.nd.zeros((2,)))
    assert desc.global_init is first
    copy = pickle.loads(pickle.dumps(desc))
    assert copy == desc and copy.attrs == desc.attrs and copy.global_init == first


def test_initializers_pickle() -> None:
    for made in (mx.init.Xavier("gaussian").set_verbosity(True), mx.init.FusedRNN(mx.init.One(), 2, 1, "lstm")):
        assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(TypeError):
        hash(mx.init.Zero())
