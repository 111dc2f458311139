"""The functions of ``mx.nd``, the methods derived from them, files and random numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit import nd
from symjit.ndarray.invoke import invoke
from symjit.ops import registry

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32", "int64", "bool"]


def listed(array: mx.NDArray) -> Any:
    return array.asnumpy().tolist()


# Functions ------------------------------------------------------------------------------------------------------------


def test_arguments() -> None:
    v, m, w = nd.arange(4), nd.arange(12).reshape((3, 4)), nd.ones((2, 4))
    for made in (nd.clip(v, 1, 2), nd.clip(data=v, a_min=1, a_max=2), v.clip(1, a_max=2), nd.op.clip(v, "1", "2")):
        assert listed(made) == [1, 1, 2, 2]
    for made in (
        nd.FullyConnected(m, w, None, 2, True),
        nd.FullyConnected(m, w, num_hidden=2, no_bias=True),
        nd.FullyConnected(m, weight=w, num_hidden="2", no_bias="True"),
        nd.FullyConnected(data=m, weight=w, bias=nd.zeros((2,)), num_hidden=2),
    ):
        assert listed(made) == [[6, 6], [22, 22], [38, 38]]
    assert nd.concat(m, m, dim=0).shape == nd.concat([m, m], dim=0).shape == (6, 4)
    assert nd.Concat(m, m, dim=1, num_args=2).shape == (3, 8) and listed(nd.add_n(v, v, v)) == [0, 3, 6, 9]
    assert nd.sum(m, None).shape == nd.sum(m, axis=None).shape == (1,) and nd.sum(m, 0, True).shape == (1, 4)
    assert [part.shape for part in nd.split(m, 2)] == [(3, 2), (3, 2)]
    assert nd.reshape(m, (2, 6)).shape == (2, 6) and listed(nd.cast(v, "int32")) == [0, 1, 2, 3]


def test_out() -> None:
    v, out = nd.arange(4), nd.zeros((4,))
    assert nd.clip(v, 1, 2, out=out) is out and listed(out) == [1, 1, 2, 2]
    assert nd.clip(v, 0, 1, out) is out and listed(out) == [0, 1, 1, 1]
    parts = [nd.zeros((2,)), nd.zeros((2,))]
    assert nd.split(v, 2, 0, out=parts) is parts and listed(parts[1]) == [2, 3]
    there = nd.zeros((4,), ctx=mx.cpu(3))
    nd.clip(v, 1, 2, out=there)
    assert there.data.device == mx.cpu(3).device and listed(there) == [1, 1, 2, 2]
    for wrong in (nd.zeros((5,)), nd.zeros((4,), dtype="int32"), v[1:3], parts):
        with pytest.raises(mx.MXNetError, match=r"operator clip: .*out"):
            nd.clip(v, 1, 2, out=wrong)
    assert listed(v) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: nd.clip(v, 1), mx.MXNetError, "clip: the attribute 'a_max' .*required"),
        (
            lambda v: nd.clip(v, 1, 2, foo=5),
            mx.MXNetError,
            "clip: unknown attribute 'foo' = 5; the valid ones .*a_min, a_max",
        ),
        (lambda v: nd.clip(v, 1, 2, None, "name", 6), TypeError, r"clip\(\) takes at most 5 positional"),
        (lambda v: nd.clip(v, 1, 2, a_min=2), TypeError, "multiple values for argument 'a_min'"),
        (lambda v: nd.clip(1, 2), TypeError, r"clip\(\): argument data must be an NDArray, got int"),
        (lambda v: nd.clip(np.arange(3), 0, 1), TypeError, r"got ndarray; wrap it: mx.nd.array\(x\)"),
        (lambda v: nd.clip(v, v, 1), TypeError, "unexpected array argument 'a_min'; it is an attribute"),
        (lambda v: nd.clip(v, 0, 1, foo=v), TypeError, r"unexpected array argument 'foo'; its inputs are \['data'\]"),
        (lambda v: nd.clip(a_min=0, a_max=1), mx.MXNetError, r"operator clip: the inputs \['data'\] are not given"),
        (lambda v: nd.FullyConnected(v, v, num_hidden=2), mx.MXNetError, r"the inputs \['bias'\] are not given"),
        (lambda v: nd.LeakyReLU(v, v), mx.MXNetError, r"the inputs \['gamma'\] are not wanted"),
        (lambda v: nd.concat(v, 3), TypeError, "argument 1 must be an NDArray"),
        (lambda v: nd.concat(v, dim="x"), mx.MXNetError, "Concat: attribute 'dim': expected an integer, got 'x'"),
        (lambda v: nd.Activation(v, "foo"), mx.MXNetError, "Activation: attribute 'act_type'.*relu.*got 'foo'"),
        (lambda v: nd.FullyConnected(v, nd.ones((2, 5)), num_hidden=2, no_bias=True), mx.MXNetError, r"\(2, 5\)"),
        (lambda v: nd.zeros_like(v, ctx="moon"), mx.MXNetError, "moon"),
    ],
)
def test_bad_calls(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(nd.arange(4))


def test_namespaces() -> None:
    v = nd.arange(4)
    assert listed(nd._internal._plus_scalar(v, 2)) == listed(nd._internal._plus_scalar(v, scalar=2)) == [2, 3, 4, 5]
    assert listed(nd.contrib.arange_like(v)) == [0, 1, 2, 3] and nd.random_normal(shape=(2,)).shape == (2,)
    for space, name in ((nd, "foo"), (nd, "_plus_scalar"), (nd.contrib, "foo"), (nd.op, "foo"), (nd.random, "foo")):
        with pytest.raises(AttributeError, match=f"'{name}'"):
            getattr(space, name)
    assert "FullyConnected" in dir(nd) and "zeros" in dir(nd) and "arange_like" in dir(nd.contrib)
    assert "_plus_scalar" in dir(nd._internal) and "uniform" in dir(nd.random) and "operators mx.nd" in repr(nd.linalg)
    assert nd.FullyConnected is nd.FullyConnected


def test_signatures() -> None:
    clip = inspect.signature(nd.clip)
    assert str(clip).startswith("(data") and list(clip.parameters) == ["data", "a_min", "a_max", "out"]
    connected = inspect.signature(nd.FullyConnected).parameters
    assert connected["bias"].default is None and connected["no_bias"].default is False
    assert (
        repr(connected["num_hidden"].default) == "<required>" and connected["weight"].default is inspect.Parameter.empty
    )
    assert next(iter(inspect.signature(nd.concat).parameters.values())).kind is inspect.Parameter.VAR_POSITIONAL
    doc = nd.FullyConnected.__doc__ or ""
    assert (
        "num_hidden (int in [1, inf], required)" in doc
        and registry.get("FullyConnected").__doc__.splitlines()[0] in doc
    )
    assert "Also known as: Concat" in (nd.concat.__doc__ or "")


def test_methods() -> None:
    m = nd.arange(12).reshape((3, 4))
    assert listed(m.sum()) == [66] and listed(m.sum(1)) == [6, 22, 38] and m.mean(axis=0, keepdims=True).shape == (1, 4)
    assert listed(m.argmax(1)) == [3, 3, 3] and m.argmax(1).dtype is np.float32
    assert m.transpose().shape == m.transpose((1, 0)).shape == m.transpose(axes=(1, 0)).shape == (4, 3)
    assert m.expand_dims(1).shape == (3, 1, 4) and m.expand_dims(axis=-1).squeeze().shape == (3, 4)
    assert m.reshape((1, 3, 1, 4)).squeeze(axis=(0,)).shape == (3, 1, 4) and m.reshape((3, 2, 2)).flatten().shape == (
        3,
        4,
    )
    assert listed(m.slice((0, 1), (2, 3))) == [[1, 2], [5, 6]] and listed(m.slice_axis(0, 1, 2)) == [[4, 5, 6, 7]]
    assert [part.shape for part in m.split(2, axis=1)] == [(3, 2), (3, 2)] and m.swapaxes(0, 1).shape == (4, 3)
    assert listed(m.pick(nd.array([0, 1, 2]))) == [0, 5, 10] and m.tile((2, 2)).shape == (6, 8)
    assert m.reshape_like(nd.zeros((4, 3))).shape == (4, 3) and m.broadcast_like(nd.zeros((3, 4))).shape == (3, 4)
    assert not hasattr(m, "foo") and "mx.nd.exp" in (m.exp.__doc__ or "")


def test_train_state() -> None:
    """Auxiliary states are written in training alone."""
    x, one, zero = nd.array([[0.0], [4.0]]), nd.ones((1,)), nd.zeros((1,))
    mean, var = nd.zeros((1,)), nd.ones((1,))
    nd.BatchNorm(x, one, zero, mean, var, momentum=0.5)
    assert listed(mean) == [0]
    invoke(registry.get("BatchNorm"), [x, one, zero, mean, var], {"momentum": 0.5}, train=True)
    assert listed(mean) == [1] and listed(var) == [2.5]


# Files ----------------------------------------------------------------------------------------------------------------


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    arrays = {dtype: nd.array([[1, 0, 3]], dtype=dtype) for dtype in DTYPES}
    nd.save(path, arrays)
    loaded = nd.load(str(path))
    assert isinstance(loaded, dict) and list(loaded) == DTYPES
    for dtype, array in arrays.items():
        assert loaded[dtype].dtype is array.dtype and listed(loaded[dtype]) == listed(array)
        loaded[dtype][:] = 0
    again = nd.load_frombuffer(path.read_bytes())
    assert isinstance(again, dict) and listed(again["int8"]) == [[1, 0, 3]]
    x = nd.arange(6).reshape((2, 3))
    for data, expected in (([x, x[1]], [listed(x), [3, 4, 5]]), (x, [listed(x)]), ((x[:, 1],), [[1, 4]]), ([], [])):
        nd.save(path, data)
        assert [listed(each) for each in nd.load(path)] == expected
    with mx.cpu(2):
        nd.save(path, [x])
        assert nd.load(path)[0].context == mx.cpu(2)


def test_files_that_can_not_be(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    for data in ([np.zeros(1)], {"a": 1}):
        with pytest.raises(TypeError, match="save: expected NDArrays"):
            nd.save(path, data)  # type: ignore[arg-type]
    with pytest.raises(mx.MXNetError, match="0-d"):
        nd.save(path, [nd.array(1)])
    with pytest.raises(TypeError, match="expected bytes"):
        nd.load_frombuffer("x")  # type: ignore[arg-type]
    with pytest.raises(mx.MXNetError, match="No such file"):
        nd.load(path)


# Random numbers -------------------------------------------------------------------------------------------------------


def test_random() -> None:
    random = nd.random
    assert random.uniform(2, 3, (50,)).shape == (50,) and 2 <= random.uniform(2, 3, (50,)).asnumpy().min() < 3
    assert random.normal(shape=(2, 2), dtype="float64").dtype is np.float64 and random.normal(1, 2).shape == (1,)
    assert random.randn(2, 3, loc=5).shape == (2, 3) and random.uniform(shape=2).shape == (2,)
    assert random.uniform(nd.zeros((2,)), nd.ones((2,)), shape=(3,)).shape == (2, 3)
    assert random.randint(0, 3, shape=(9,)).dtype is np.int32 and random.randint(0, 3, dtype="int64").dtype is np.int64
    assert random.exponential(2).shape == random.gamma(1, 1).shape == random.poisson(3).shape == (1,)
    assert abs(random.exponential(4, (4000,)).asnumpy().mean() - 4) < 0.5
    assert (
        listed(random.multinomial(nd.array([0, 1]))) == [1]
        and len(random.multinomial(nd.array([0, 1]), get_prob=True)) == 2
    )
    assert sorted(listed(random.shuffle(nd.arange(5)))) == [0, 1, 2, 3, 4]
    target = nd.zeros((2,))
    assert random.uniform(1, 2, (2,), out=target) is target and target.asnumpy().min() >= 1
    for arguments in ((0, nd.ones((2,))), ("a", 1)):
        with pytest.raises(TypeError, match="all be numbers or all be NDArrays"):
            random.uniform(*arguments)
    with pytest.raises(TypeError, match="foo"):
        random.uniform(foo=1)


def test_seed() -> None:
    def draw(ctx: mx.Context | None = None) -> list[float]:
        return listed(nd.random.uniform(shape=(3,), ctx=ctx))

    mx.random.seed(7)
    first = [draw(), draw(), draw(mx.cpu(1))]
    mx.random.seed(7)
    assert [draw(), draw(), draw(mx.cpu(1))] == first and first[0] != first[1]
    mx.random.seed(-1)
    assert draw() not in first
    mx.random.seed(7, ctx=mx.cpu(1))
    seeded = draw(mx.cpu(1))
    draw()
    mx.random.seed(7, ctx=mx.cpu(1))
    assert draw(mx.cpu(1)) == seeded == first[0]
    mx.random.seed(2**40 + 7)
    assert draw() == first[0]  # the low 32 bits count
    for wrong in (("a",), (1.5,), (1, "cpu")):
        with pytest.raises(mx.MXNetError, match="seed: "):
            mx.random.seed(*wrong)
