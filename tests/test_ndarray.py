"""NDArray and the functions of ``mx.nd``; expected values are those of MXNet 1.9.1 unless a comment says otherwise."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest

import symjit as mx
from symjit import nd

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32", "int64", "bool"]


def listed(array: mx.NDArray) -> Any:
    return array.asnumpy().tolist()


# Creation -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        (np.arange(3), [0, 1, 2]),
        (np.arange(3, dtype="float64"), [0, 1, 2]),
        (np.array([True]), [1]),
        (3, 3),
        (np.array(3), 3),
        ([], []),
        ([[]], [[]]),
        (np.arange(6).reshape(2, 3)[:, ::-2], [[2, 0], [5, 3]]),
        (jax.numpy.arange(3), [0, 1, 2]),
    ],
)
def test_array_is_float32(source: Any, expected: Any) -> None:
    made = nd.array(source)
    assert made.dtype is np.float32 and listed(made) == expected and made.shape == np.shape(expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_ndarray_keeps_its_dtype(dtype: str) -> None:
    made = nd.array(nd.array([1, 0, 3], dtype=dtype))
    assert np.dtype(made.dtype).name == dtype and listed(made.astype("int32")) == [1, 0, 1 if dtype == "bool" else 3]


def test_array_converts() -> None:
    assert listed(nd.array([1.9, -1.9], dtype="int32")) == [1, -1]
    assert listed(nd.array([300, -1], dtype="uint8")) == [44, 255]
    assert listed(nd.array([1, 0, 2], dtype=bool)) == [True, False, True]
    assert nd.array([1], dtype=int).dtype is np.int64 and nd.array([1], dtype=float).dtype is np.float64
    assert np.isnan(nd.array([None]).asscalar())
    assert nd.array([1, 2], dtype=np.dtype("int8")).dtype is np.int8


@pytest.mark.parametrize("source", [[[1, 2], [3]], "abc", ["a"], {1: 2}, [{}], object()])
def test_not_an_array(source: Any) -> None:
    with pytest.raises(TypeError, match="source_array must be array like"):
        nd.array(source)


def test_from_numpy() -> None:
    for dtype in ("float64", "int16", "bool"):
        made = nd.from_numpy(np.ones((2, 3), dtype), zero_copy=False)
        assert made.dtype is np.dtype(dtype).type and made.shape == (2, 3)


def test_filled() -> None:
    assert listed(nd.zeros(2)) == [0, 0] and listed(nd.ones([2, 1])) == [[1], [1]]
    assert nd.zeros((2, 3)).dtype is np.float32 and nd.zeros((2,), dtype="int64").dtype is np.int64
    assert listed(nd.full(2, 3.7, dtype="int32")) == [3, 3] and nd.full((2,), 3).dtype is np.float32
    assert nd.empty((2, 3), dtype="int8").shape == (2, 3) and nd.zeros(np.int64(2)).shape == (2,)
    for fill, value in ((nd.zeros, 0), (nd.ones, 1), (lambda s, out: nd.full(s, 5, out=out), 5)):
        target = nd.arange(3)
        assert fill((3,), out=target) is target and listed(target) == [value] * 3
    with pytest.raises(mx.MXNetError, match=r"got \(2, -1\)"):
        nd.zeros((2, -1))
    with pytest.raises(mx.MXNetError, match="expected an out of shape"):
        nd.zeros((2,), out=nd.zeros((3,)))
    with pytest.raises(mx.MXNetError, match="unknown dtype 'foo'"):
        nd.zeros((2,), dtype="foo")


def test_ranges() -> None:
    assert listed(nd.arange(3)) == [0, 1, 2] and nd.arange(3).dtype is np.float32
    assert listed(nd.arange(1, 3, 0.5)) == [1, 1.5, 2, 2.5] and listed(nd.arange(3, 1, -1)) == [3, 2]
    assert listed(nd.arange(2, repeat=2, dtype="int32")) == [0, 0, 1, 1] and listed(nd.arange(3.5)) == [0, 1, 2, 3]
    with pytest.raises(mx.MXNetError, match="empty"):
        nd.arange(3, 1)
    assert listed(nd.linspace(0, 1, 5)) == [0, 0.25, 0.5, 0.75, 1]
    assert listed(nd.linspace(0, 1, 4, endpoint=False)) == [0, 0.25, 0.5, 0.75]
    assert listed(nd.eye(2, 3, 1)) == [[0, 1, 0], [0, 0, 1]] and listed(nd.eye(2)) == [[1, 0], [0, 1]]


def test_joined_and_cut() -> None:
    m = nd.arange(4).reshape((2, 2))
    assert listed(nd.concatenate([m, m], axis=1)) == [[0, 1, 0, 1], [2, 3, 2, 3]]
    assert [listed(part) for part in nd.split_v2(nd.arange(6), (1, 3))] == [[0], [1, 2], [3, 4, 5]]
    assert [listed(part) for part in nd.split_v2(nd.arange(6), 2)] == [[0, 1, 2], [3, 4, 5]]
    assert nd.moveaxis(nd.zeros((2, 3, 4)), 0, 2).shape == (3, 4, 2)
    assert nd.moveaxis(nd.zeros((2, 3, 4)), (0, -1), (1, 0)).shape == (4, 2, 3)
    assert listed(nd.onehot_encode(nd.array([1, 0]), nd.zeros((2, 3)))) == [[0, 1, 0], [1, 0, 0]]
    for call in (lambda: nd.concatenate([]), lambda: nd.moveaxis(m, 5, 0), lambda: nd.moveaxis(m, (0, 1), 0)):
        with pytest.raises(ValueError):
            call()


def test_contexts() -> None:
    there = mx.cpu(3)
    made = [
        nd.array([1], ctx=there),
        nd.array(nd.array([1]), ctx=there),
        nd.array(jax.numpy.array([1]), ctx=there),
        nd.zeros((1,), there),
        nd.full((1,), 2, there),
        nd.arange(2, ctx=there),
        nd.random.uniform(ctx=there),
        nd.random_uniform(ctx="cpu(3)"),
        nd.array([1]).as_in_context(there),
        nd.array([1]).copyto(there),
    ]
    with there:
        made += [nd.array([1]), nd.zeros((1,)), nd.arange(2), nd.random.normal()]
    for each in made:
        each += 1
        each[:] = 1
        each[0] = 2
        for same in (each, each * 2, each[0:1], each.copy(), each.astype("int32"), each[[0]], each.reshape((-1, 1))):
            assert same.context == same.ctx == there and same.data.device == there.device
    assert nd.zeros((1,)).context == mx.cpu(0)
    with pytest.raises(mx.MXNetError, match=r"operator broadcast_add: .*cpu\(0\).*cpu\(3\)"):
        nd.ones((1,)) + made[0]


# What it is -----------------------------------------------------------------------------------------------------------


def test_properties() -> None:
    x = nd.zeros((2, 3, 4))
    assert (x.shape, x.size, x.ndim, x.dtype, x.stype, len(x)) == ((2, 3, 4), 24, 3, np.float32, "default", 2)
    assert type(x.size) is int and x.context == x.ctx == mx.cpu(0)
    assert x.T.shape == (4, 3, 2) and [row.shape for row in x] == [(3, 4), (3, 4)]
    assert [value.asscalar() for value in nd.arange(3)] == [0, 1, 2]
    assert x.asnumpy().flags.writeable and hash(x) == hash(x)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (nd.arange(3), "\n[0. 1. 2.]\n<NDArray 3 @cpu(0)>"),
        (nd.array([[1, 2], [3, 4]], dtype="int32"), "\n[[1 2]\n [3 4]]\n<NDArray 2x2 @cpu(0)>"),
        (nd.array([1.25], ctx=mx.cpu(1)), "\n[1.25]\n<NDArray 1 @cpu(1)>"),
        (nd.array([1], dtype="bool"), "\n[ True]\n<NDArray 1 @cpu(0)>"),
        (nd.array([[[1]]], dtype="float16"), "\n[[[1.]]]\n<NDArray 1x1x1 @cpu(0)>"),
        (nd.array(3), "\n3.0\n<NDArray  @cpu(0)>"),
    ],
)
def test_repr(array: mx.NDArray, text: str) -> None:
    assert repr(array) == str(array) == text


def test_truth_and_scalars() -> None:
    assert nd.array([[2]]) and not nd.array([0])
    assert type(nd.array([1.5]).asscalar()) is np.float32 and nd.array([[1]], dtype="int32").asscalar() == np.int32(1)
    for call in (bool, operator.not_, lambda a: a in [1, a]):
        with pytest.raises(ValueError, match="truth value of an NDArray with multiple elements is ambiguous"):
            call(nd.arange(2))
    with pytest.raises(ValueError, match="not a scalar"):
        nd.arange(2).asscalar()


def test_numpy_takes_it() -> None:
    """A deviation: MXNet 1.9.1 gives NumPy nothing useful."""
    assert np.asarray(nd.arange(3), dtype=np.int64).tolist() == [0, 1, 2]
    assert np.concatenate([np.ones(1), nd.arange(2)]).tolist() == [1, 0, 1]
    assert np.sqrt(nd.array([4])).tolist() == [2]


# Copies and conversions -----------------------------------------------------------------------------------------------


def test_copies() -> None:
    v = nd.arange(6)
    target = nd.zeros((6,), dtype="int32")
    assert v.copyto(target) is target and listed(target) == [0, 1, 2, 3, 4, 5]
    view = nd.zeros((2, 6))
    v.copyto(view[1])
    assert listed(view[:, 5]) == [0, 5]
    assert v.copyto(v) is v and v.as_in_context(mx.cpu(0)) is v
    for other in (3, np.zeros(6)):
        with pytest.raises(TypeError, match="copyto does not support type"):
            v.copyto(other)  # type: ignore[arg-type]
    with pytest.raises(mx.MXNetError, match=r"\(6,\).*\(2, 3\)"):
        v.copyto(nd.zeros((2, 3)))
    for made in (copy.copy(v), copy.deepcopy(v), pickle.loads(pickle.dumps(v)), v.copy()):
        made[:] = 0
        assert made.context == v.context and made is not v
    assert listed(v) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle(dtype: str) -> None:
    x = nd.array([[1, 0], [3, 4]], dtype=dtype, ctx=mx.cpu(2))[1:]
    again = pickle.loads(pickle.dumps(x))
    assert again.context == mx.cpu(2) and again.dtype is x.dtype and listed(again) == listed(x)
    again[:] = 0


def test_astype() -> None:
    v = nd.array([-1.9, 0, 300])
    assert listed(v.astype("int32")) == [-1, 0, 300] and listed(v.astype("uint8")) == [255, 0, 44]
    assert listed(v.astype(bool)) == [True, False, True] and v.astype(np.int8).dtype is np.int8
    assert v.astype("float32") is not v and v.astype("float32", copy=False) is v
    with pytest.raises(mx.MXNetError, match="unknown dtype"):
        v.astype("foo")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (((6, 4),), (6, 4)),
        ((6, 4), (6, 4)),
        (([6, -1],), (6, 4)),
        ((-1,), (24,)),
        ((np.int64(24),), (24,)),
        (((0, -1),), (2, 12)),
        (((-1, 0),), (8, 3)),
        (((0, -2),), (2, 3, 4)),
        (((-3, 4),), (6, 4)),
        (((-3, -2),), (6, 4)),
        (((-4, 1, 2, -2),), (1, 2, 3, 4)),
        (((-4, 1, -1, -2),), (1, 2, 3, 4)),
        (((0, 0, -4, -1, 2),), (2, 3, 2, 2)),
        (((2, 3, 4, 1),), (2, 3, 4, 1)),
    ],
)
def test_reshape(arguments: tuple[Any, ...], expected: tuple[int, ...]) -> None:
    x = nd.arange(24).reshape((2, 3, 4))
    made = x.reshape(*arguments)
    assert made.shape == expected and listed(made.reshape(24)) == list(range(24))
    made[0] = -1
    assert x.asnumpy().ravel()[0] == -1


def test_reshape_arguments() -> None:
    x = nd.arange(24).reshape((2, 3, 4))
    assert x.reshape(shape=(6, 4)).shape == x.reshape(-1, 4, reverse=True).shape == (6, 4)
    assert x.reshape((-1, 0), reverse=True).shape == (6, 4)
    assert nd.array([1]).reshape(()).shape == () and nd.array(1).reshape((1, 1)).shape == (1, 1)
    for wrong in ((5, 5), (-1, 5), (-1, -1), (), (0, 0, 0, 0), (-5,)):
        with pytest.raises(mx.MXNetError, match=r"reshape: can not reshape \(2, 3, 4\) to"):
            x.reshape(wrong)
    with pytest.raises(TypeError, match="keywords 'shape' and 'reverse'"):
        x.reshape((6, 4), foo=1)
    for wrong in ("a", (2.0, 12)):
        with pytest.raises(TypeError):
            x.reshape(wrong)


def test_broadcast_to() -> None:
    assert listed(nd.array([[1], [2]]).broadcast_to((2, 3))) == [[1, 1, 1], [2, 2, 2]]
    assert nd.zeros((6,)).broadcast_to((2, 6)).shape == (2, 6)
    for shape in ((2, 7), (3,), (0, 6)):
        with pytest.raises(ValueError, match="can not broadcast"):
            nd.zeros((2, 6)).broadcast_to(shape)


# Dtypes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_kept(dtype: str) -> None:
    """Also those that JAX hides without x64, and without turning that on for the process."""
    before = jax.config.read("jax_enable_x64")
    x = nd.array([[1, 0, 1], [0, 1, 1]], dtype=dtype)
    view, target = x[1], nd.zeros((2, 3), dtype=dtype)
    target[:] = x
    target[:, 1] = x[:, 1]
    target[[0]] = x[[0]]
    made = [x, view, x[:, 1], x[[0]], x.T, x.copy(), x.reshape(-1), target, nd.concatenate([x, x]), nd.identity(x)]
    if dtype != "bool":  # x + 1 is int64
        x[:] = x * 1
        x *= 1
        made += [x + 1, 1 - x, x * x, x == x, x > 0, nd.ones_like(x)]
    for each in made:
        assert np.dtype(each.dtype).name == each.asnumpy().dtype.name == dtype
    assert listed(target.astype("int32")) == [[1, 0, 1], [0, 1, 1]]
    assert jax.config.read("jax_enable_x64") == before
    assert jax.numpy.arange(3).dtype == (np.int64 if before else np.int32)


def test_wide_values() -> None:
    big = nd.array([2**53 + 1], dtype="int64")
    assert listed(big + 2) == [2**53 + 3] and listed(big[0]) == [2**53 + 1]
    assert (nd.array([1.0], dtype="float64") + 1e-12 - 1).asscalar() == pytest.approx(1e-12, rel=1e-3)
    assert nd.array([1.0], dtype="float64").asnumpy().dtype == np.float64
    assert nd.array([1.5], dtype="bfloat16").asnumpy().dtype == ml_dtypes.bfloat16


# Arithmetic -----------------------------------------------------------------------------------------------------------


BINARY = {
    operator.add: [4, 7],
    operator.sub: [-2, -3],
    operator.mul: [3, 10],
    operator.truediv: [1 / 3, 0.4],
    operator.mod: [1, 2],
    operator.pow: [1, 32],
    operator.eq: [0, 0],
    operator.ne: [1, 1],
    operator.lt: [1, 1],
    operator.le: [1, 1],
    operator.gt: [0, 0],
    operator.ge: [0, 0],
}


@pytest.mark.parametrize("fn", BINARY, ids=lambda fn: fn.__name__)
def test_operators(fn: Callable[[Any, Any], Any]) -> None:
    a, b = nd.array([1, 2]), nd.array([3, 5])
    found = fn(a, b)
    np.testing.assert_allclose(found.asnumpy(), BINARY[fn], rtol=1e-6)
    assert found.dtype is np.float32
    plain = a.asnumpy()
    for number in (2, 2.0, True, np.float32(2), np.int64(2), np.bool_(True)):
        np.testing.assert_allclose(fn(a, number).asnumpy(), fn(plain, np.float32(number)), rtol=1e-6)
        np.testing.assert_allclose(fn(number, a).asnumpy(), fn(np.float32(number), plain), rtol=1e-6)
    matrix = nd.array([[3, 5], [1, 2]])
    np.testing.assert_allclose(fn(a, matrix).asnumpy(), fn(plain, matrix.asnumpy()), rtol=1e-6)


def test_operators_of_integers() -> None:
    i = nd.array([[1, 2], [3, 4]], dtype="int32")
    for made, expected in [
        (i + 1.7, [[2, 3], [4, 5]]),
        (i * 2.7, [[2, 4], [6, 8]]),
        (i / 2, [[0, 1], [1, 2]]),
        (2 / i, [[2, 1], [0, 0]]),
        (1.5 / i, [[1, 0], [0, 0]]),
        (i % 2.5, [[1, 0], [1, 0]]),
        (5 % i, [[0, 1], [2, 1]]),
        (2**i, [[2, 4], [8, 16]]),
        (i**0.5, [[1, 1], [1, 1]]),
        (i == 2.5, [[0, 1], [0, 0]]),
        (i < 2.5, [[1, 0], [0, 0]]),
        (3 >= i, [[1, 1], [1, 0]]),
        (-i, [[-1, -2], [-3, -4]]),
        (abs(-i), [[1, 2], [3, 4]]),
    ]:
        assert made.dtype is np.int32 and listed(made) == expected
    u = nd.array([250], dtype="uint8")
    assert [made.asscalar() for made in (u + 10, u - 251, u + 300, -u, u * 1.5)] == [4, 255, 38, 6, 250]
    b = nd.array([1, 0], dtype="bool")
    for made, expected in [(b + 1.5, [2, 1]), (b == 1, [1, 0]), (-b, [-1, 0])]:
        assert made.dtype is np.int64 and listed(made) == expected


IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.imod]


@pytest.mark.parametrize("fn", IN_PLACE, ids=lambda fn: fn.__name__)
def test_in_place(fn: Callable[[Any, Any], Any]) -> None:
    for other in (2, nd.array([2, 4, 3]), nd.array([2])):
        x = nd.array([1, 6, 9])
        plain = x.asnumpy()
        assert fn(x, other) is x
        value = other.asnumpy() if isinstance(other, mx.NDArray) else np.float32(other)
        np.testing.assert_allclose(x.asnumpy(), fn(plain, value))


def test_in_place_power_makes_a_new_array() -> None:
    x = y = nd.array([2.0])
    x **= 2
    assert listed(x) == [4] and listed(y) == [2]


@pytest.mark.parametrize("fn", [*BINARY, *IN_PLACE], ids=lambda fn: fn.__name__)
def test_operands_that_are_refused(fn: Callable[[Any, Any], Any]) -> None:
    x = nd.arange(2)
    for other in (np.ones(2), [1, 2], (1, 2), None, "a", jax.numpy.ones(2)):
        with pytest.raises(TypeError, match=r"type <class '.*'> not supported"):
            fn(x, other)
    if fn not in IN_PLACE and fn not in (operator.eq, operator.ne):
        for other in (np.ones(2), None, [1, 2]):
            with pytest.raises(TypeError):
                fn(other, x)
    assert listed(x) == [0, 1]


def test_operators_that_do_not_fit() -> None:
    with pytest.raises(mx.MXNetError, match=r"operator broadcast_add: .*\(2,\) float32.*\(3,\) float32"):
        nd.zeros((2,)) + nd.zeros((3,))
    with pytest.raises(
        mx.MXNetError, match=r"operator broadcast_mul: .*input 'rhs' must be float32, not int32.*astype"
    ):
        nd.zeros((2,)) * nd.zeros((2,), dtype="int32")
    with pytest.raises(mx.MXNetError, match=r"operator elemwise_add: .*\(2,\).*\(1,\)"):
        nd.elemwise_add(nd.zeros((2,)), nd.zeros((1,)))
    x, i = nd.zeros((2,)), nd.zeros((2,), dtype="int32")
    with pytest.raises(mx.MXNetError, match=r"result is \(3, 2\) float32, but out is an array of \(2,\) float32"):
        x += nd.zeros((3, 2))
    with pytest.raises(mx.MXNetError, match="must be int32"):
        i += x
    for fn in (operator.floordiv, operator.matmul, operator.and_, divmod):
        with pytest.raises(TypeError):
            fn(x, x)


@pytest.mark.parametrize(
    ("name", "with_number", "reflected", "numbers"),
    [
        ("add", [2, 4], [2, 4], 3),
        ("subtract", [0, 2], [0, -2], -1),
        ("multiply", [1, 3], [1, 3], 2),
        ("divide", [1, 3], [1, 1 / 3], 0.5),
        ("true_divide", [1, 3], [1, 1 / 3], 0.5),
        ("modulo", [0, 0], [0, 1], 1),
        ("power", [1, 3], [1, 1], 1),
        ("maximum", [1, 3], [1, 3], 2),
        ("minimum", [1, 1], [1, 1], 1),
        ("equal", [1, 0], [1, 0], 0),
        ("not_equal", [0, 1], [0, 1], 1),
        ("greater", [0, 1], [0, 0], 0),
        ("greater_equal", [1, 1], [1, 0], 0),
        ("lesser", [0, 0], [0, 1], 1),
        ("lesser_equal", [1, 0], [1, 1], 1),
        ("logical_and", [1, 1], [1, 1], 1),
        ("logical_or", [1, 1], [1, 1], 1),
        ("logical_xor", [0, 0], [0, 0], 0),
    ],
)
def test_functions_of_arrays_and_numbers(name: str, with_number: list, reflected: list, numbers: float) -> None:
    fn, x = getattr(nd, name), nd.array([1, 3])
    np.testing.assert_allclose(fn(x, 1).asnumpy(), with_number, rtol=1e-6)
    np.testing.assert_allclose(fn(1, x).asnumpy(), reflected, rtol=1e-6)
    np.testing.assert_allclose(fn(x, nd.array([[1]])).asnumpy(), [with_number], rtol=1e-6)
    assert fn(1, 2) == numbers and fn.__name__ == name and fn.__doc__
    for arguments in ((x, None), (x, np.ones(2)), ("a", x), (None, 1), (1, None)):
        with pytest.raises(TypeError, match="not supported"):
            fn(*arguments)


# Budgets --------------------------------------------------------------------------------------------------------------


@contextmanager
def compilations(most: int) -> Iterator[None]:
    """Fail if XLA compiles more than `most` programs."""
    count = [0]

    def listen(event: str, duration: float, **_: Any) -> None:
        count[0] += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert count[0] <= most, f"{count[0]} compilations"


def written(x: mx.NDArray, key: Any, value: Any) -> None:
    x[key] = value


@pytest.mark.parametrize(
    ("step", "most"),
    [
        (lambda x, v, i: x[i], 0),
        (lambda x, v, i: x[i].asnumpy(), 1),
        (lambda x, v, i: x[i : i + 3].asnumpy(), 1),
        (lambda x, v, i: x[:, i % 7].asnumpy(), 1),
        (lambda x, v, i: x[i : i + 4 : 2, ::-1].asnumpy(), 1),
        (lambda x, v, i: x[[i, 0]].asnumpy(), 1),
        (lambda x, v, i: x[v[i % 7]].asnumpy(), 2),  # the index is read as well
        (lambda x, v, i: written(x, i, i), 2),  # the first write copies, the others own what they write to
        (lambda x, v, i: written(x, i, v), 2),
        (lambda x, v, i: written(x[i], slice(1, 3), 0.5 * i), 2),
        (lambda x, v, i: written(x, (slice(None), i % 7), i), 2),
        (lambda x, v, i: written(x, [i, 0], i), 2),
        (lambda x, v, i: written(x, slice(None), i), 1),
        (lambda x, v, i: x * (0.5 + i), 1),
        (lambda x, v, i: i - x, 1),
        (lambda x, v, i: nd.clip(x, -i, i), 1),
        (lambda x, v, i: x.__iadd__(i), 1),
        (lambda x, v, i: x.reshape((7, 211)), 0),
        (lambda x, v, i: x.copy(), 0),
        (lambda x, v, i: nd.random.uniform(i, i + 1, shape=(5, 3)), 1),
    ],
)
def test_loops_compile_once(step: Callable[..., Any], most: int) -> None:
    x, v = nd.zeros((211, 7)), nd.arange(7)
    nd.random.uniform()  # makes the source of keys
    nd.waitall()
    with compilations(most):
        for i in range(200):
            step(x, v, i)


def test_waitall() -> None:
    made = nd.ones((300, 300), ctx=mx.cpu(1))
    for _ in range(3):
        made = nd.dot(made, made) / 300
    mx.waitall()
    assert made.data.is_ready()
