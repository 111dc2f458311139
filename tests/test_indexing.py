"""What a key of NDArray reads and writes; expected values are those of MXNet 1.9.1 unless a comment says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import symjit as mx
from symjit import nd


def fresh(name: str) -> Any:
    return {"v": nd.arange(6), "m": nd.arange(12).reshape((3, 4)), "x": nd.arange(24).reshape((2, 3, 4))}[name]


NEW, REST, ALL = None, Ellipsis, slice(None)

# Keys of which MXNet takes what NumPy takes.
LIKE_NUMPY: list[tuple[str, Any]] = [
    ("v", slice(1, 3)),
    ("v", slice(2, 2)),
    ("v", slice(6, None)),
    ("v", slice(None, None, 2)),
    ("v", slice(None, None, -1)),
    ("v", slice(4, 1, -1)),
    ("v", slice(4, 1, -2)),
    ("v", slice(-100, 100)),
    ("v", slice(np.int32(1), np.int64(3))),
    ("v", NEW),
    ("v", REST),
    ("v", (REST, NEW)),
    ("v", ()),
    ("m", 1),
    ("m", -1),
    ("m", np.int64(1)),
    ("m", (1, ALL)),
    ("m", (slice(1, 2), slice(1, 3))),
    ("m", (1, slice(1, 3))),
    ("m", (ALL, slice(None, None, -1))),
    ("m", (slice(None, None, 2), slice(None, None, 3))),
    ("m", (slice(None, None, -1), slice(None, None, -2))),
    ("m", slice(3, None)),
    ("m", [0, 2]),
    ("m", [-1, -3]),
    ("m", [[0, 2], [1, 1]]),
    ("m", ([0, 2], 1)),
    ("m", (ALL, [0, 2])),
    ("m", ([0, 2], [1, 3])),
    ("m", ([0, 2], slice(1, 3))),
    ("m", (slice(1, 3), [0, 2])),
    ("m", ((0, 2),)),
    ("m", range(2)),
    ("m", np.array([0, 2])),
    ("m", np.array([[0, 2], [1, 1]])),
    ("x", (1, 2)),
    ("x", (-2, -1)),
    ("x", (REST, 1)),
    ("x", (REST, slice(1, 2))),
    ("x", (1, REST)),
    ("x", (1, REST, 2)),
    ("x", (ALL, 1)),
    ("x", (ALL, NEW, 1)),
    ("x", (NEW, REST, NEW)),
    ("x", ([0, 1], ALL, [0, 1])),
    ("x", (0, ALL, [0, 1])),
    ("x", (ALL, 0, [0, 1])),
    ("x", (REST, [0, 1])),
    ("x", ([0, 1], REST)),
    ("x", (slice(None, None, -1), [0, 1])),
    ("x", (slice(1, None), [0, 1], slice(None, None, 2))),
    ("x", ([0, 1], NEW, [0, 1])),
    ("x", (ALL, [0, 1], NEW, [0, 1])),
    ("x", (ALL, NEW, [0, 1], NEW, [0, 1])),
    ("x", (NEW, [0, 1], ALL, [0, 1])),
    ("x", ([0, 1], ALL, [0, 1], NEW)),
    # In MXNet 1.9.1 these are errors.
    ("v", slice(5, 1)),
    ("m", (ALL, slice(2, 2))),
    ("m", (ALL, slice(4, None))),
]


@pytest.mark.parametrize(("name", "key"), LIKE_NUMPY, ids=[f"{name}{key}" for name, key in LIKE_NUMPY])
def test_keys_like_numpy(name: str, key: Any) -> None:
    array = fresh(name)
    expected = array.asnumpy()[key]
    assert (array[key].shape, array[key].asnumpy().tolist()) == (expected.shape, expected.tolist())
    # Writing goes to the same places, from a number and from an array; a view of a larger array writes through.
    larger = nd.zeros((array.size + 2,))
    view = larger[1:-1].reshape(array.shape)
    for target in (fresh(name), view):
        plain = target.asnumpy()
        for value in (-1.0, np.arange(expected.size, dtype=np.float32).reshape(expected.shape)):
            plain[key] = value
            target[key] = value if np.isscalar(value) else nd.array(value)
            assert target.asnumpy().tolist() == plain.tolist()
    assert larger.asnumpy()[[0, -1]].tolist() == [0, 0]


def test_an_element_has_one_dimension() -> None:
    assert fresh("v")[1].shape == fresh("m")[1, 2].shape == fresh("x")[1, 2, 3].shape == (1,)
    assert fresh("v")[NEW, 1].shape == fresh("v")[1, NEW].shape == (1,)
    assert fresh("m")[1, np.array(2)].asnumpy().tolist() == [6]


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (([0, 1], NEW), (1, 2, 3, 4)),
        ((NEW, [0, 1], NEW), (1, 1, 2, 3, 4)),
        ((ALL, [0, 1], NEW), (2, 1, 2, 4)),
        ((ALL, [0, 1], NEW, NEW), (2, 1, 1, 2, 4)),
        ((REST, [0, 1], NEW), (2, 3, 1, 2)),
        ((REST, NEW, [0, 1]), (2, 3, 1, 2)),
        (([0, 1], [0, 1], NEW), (1, 2, 4)),
        (([0, 1], [0, 1], ALL, NEW), (2, 1, 4)),
        ((ALL, [0, 1], ALL, NEW), (2, 2, 1, 4)),
        ((ALL, [[0, 1], [1, 0]], NEW), (2, 1, 2, 2, 4)),
        (([[0, 1], [1, 0]], ALL, NEW), (2, 1, 2, 3, 4)),
        (([[0, 1], [1, 0]], NEW, ALL, NEW), (1, 2, 1, 2, 3, 4)),
        ((0, [0, 1], NEW), (1, 2, 4)),
    ],
)
def test_new_axes_behind_index_arrays(key: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    """MXNet 1.9.1 puts them elsewhere than NumPy does; the elements keep their order."""
    x = fresh("x")
    found = x[key]
    assert found.shape == shape
    assert found.asnumpy().ravel().tolist() == x.asnumpy()[key].ravel().tolist()
    plain = x.asnumpy()
    plain[key] = np.arange(found.size).reshape(plain[key].shape)
    x[key] = nd.arange(found.size).reshape(shape)
    assert x.asnumpy().tolist() == plain.tolist()


@pytest.mark.parametrize(
    "key",
    [
        nd.array([0, 2]),
        nd.array([0.9, 2.9]),
        nd.array([0, 2], dtype="int32"),
        nd.array([0, 2], dtype="uint8"),
        nd.array([0, 2], dtype="int64"),
        nd.array([0, -1], dtype="float16"),
        [0.9, 2.9],
        np.array([0.9, 2.9]),
        jax.numpy.array([0, 2]),
        (nd.array([0, 2]),),
    ],
)
def test_kinds_of_index_arrays(key: Any) -> None:
    m = fresh("m")
    assert m[key].asnumpy().tolist() == m.asnumpy()[[0, 2]].tolist()
    m[key] = 0
    assert m.asnumpy().sum(1).tolist() == [0, 22, 0]


def test_booleans_of_numpy_are_numbers() -> None:
    m = fresh("m")
    for key in ([True, False, True], np.array([True, False, True]), m[:, 0] > 3):
        assert m[key].asnumpy()[:, 0].tolist() == m.asnumpy()[[int(k) for k in np.asarray(key)], 0].tolist()
    assert m[True].asnumpy().tolist() == [4, 5, 6, 7]
    mask = nd.array([1, 0, 1], dtype="bool")
    with pytest.raises(ValueError, match="booleans"):
        m[mask]
    with pytest.raises(ValueError, match="booleans"):
        m[mask] = 0


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, IndexError, "index 3 is out of bounds for axis 0 with size 3"),
        (-4, IndexError, "index -4 is out of bounds for axis 0 with size 3"),
        ((0, 4), IndexError, "index 4 is out of bounds for axis 1 with size 4"),
        ([0, 5], IndexError, "index 5 is out of bounds for axis 0 with size 3"),
        ((ALL, [-5]), IndexError, "index -5 is out of bounds for axis 1"),
        (nd.array([5]), IndexError, "index 5 is out of bounds"),
        ((1, 2, 3), IndexError, "too many indices"),
        ((REST, REST), IndexError, "one Ellipsis"),
        (([0, 1], [0, 1, 2]), ValueError, "do not broadcast"),
        (1.0, ValueError, "does not support indexing with 1.0"),
        (np.float32(1), ValueError, "does not support indexing"),
        (np.bool_(True), ValueError, "does not support indexing"),
        ("a", ValueError, "does not support indexing with 'a'"),
        (slice(None, None, 0), ValueError, "zero"),
        (slice(1.0, 3), TypeError, "slice indices"),
        ([slice(0, 2)], TypeError, "must hold numbers"),
        ([0, None], TypeError, "must hold numbers"),
    ],
)
def test_bad_keys(key: Any, error: type[Exception], message: str) -> None:
    m = fresh("m")
    with pytest.raises(error, match=message):
        m[key]
    with pytest.raises(error, match=message):
        m[key] = 0
    assert m.asnumpy().tolist() == fresh("m").asnumpy().tolist()


def test_no_dimensions() -> None:
    scalar = nd.array(3)
    assert scalar[()].asscalar() == scalar.asscalar() == 3
    with pytest.raises(IndexError):
        scalar[0]
    with pytest.raises(TypeError):
        len(scalar)
    with pytest.raises(TypeError):
        list(scalar)


# What is assigned: (array, key, value, the part of the array that is compared, its expected value)
ASSIGNED: list[tuple[str, Any, Any, list[float]]] = [
    ("v", 1, np.array(9), [0, 9, 2, 3, 4, 5]),
    ("v", 1, np.array([9]), [0, 9, 2, 3, 4, 5]),
    ("v", 1, [9], [0, 9, 2, 3, 4, 5]),
    ("v", 1, True, [0, 1, 2, 3, 4, 5]),
    ("v", slice(1, 3), [7, 8], [0, 7, 8, 3, 4, 5]),
    ("v", slice(1, 3), (7, 8), [0, 7, 8, 3, 4, 5]),
    ("v", slice(1, 3), nd.array([7, 8], dtype="int32"), [0, 7, 8, 3, 4, 5]),
    ("v", slice(1, 3), np.array([7, 8]), [0, 7, 8, 3, 4, 5]),
    ("v", slice(1, 3), jax.numpy.array([7, 8]), [0, 7, 8, 3, 4, 5]),
    ("v", slice(1, 3), nd.array([7]), [0, 7, 7, 3, 4, 5]),
    ("v", slice(1, 3), nd.array([[7, 8]]), [0, 7, 8, 3, 4, 5]),
    ("v", ALL, nd.array([[0, 1, 2, 3, 4, 9]]), [0, 1, 2, 3, 4, 9]),
    ("v", ALL, np.array([[0, 1, 2, 3, 4, 9]]), [0, 1, 2, 3, 4, 9]),
    ("v", ALL, nd.array([3]), [3] * 6),
    ("v", ALL, np.array(3), [3] * 6),
    ("v", ALL, 3, [3] * 6),
    ("v", ALL, range(6, 0, -1), [6, 5, 4, 3, 2, 1]),
    ("v", slice(None, None, -2), [1, 2, 3], [0, 3, 2, 2, 4, 1]),
    ("v", slice(2, 2), 9, [0, 1, 2, 3, 4, 5]),
    ("v", [0, 2], [9, 8], [9, 1, 8, 3, 4, 5]),
    ("v", [-1], 9, [0, 1, 2, 3, 4, 9]),  # MXNet 1.9.1 writes nothing here
    ("m", 1, nd.array([[1, 2, 3, 4]]), [0, 1, 2, 3, 1, 2, 3, 4, 8, 9, 10, 11]),
    ("m", (1, 2), nd.array([[5]]), [0, 1, 2, 3, 4, 5, 5, 7, 8, 9, 10, 11]),
    ("m", (ALL, 1), nd.array([5, 6, 7]), [0, 5, 2, 3, 4, 6, 6, 7, 8, 7, 10, 11]),
    ("m", (ALL, slice(1, 2)), nd.array([[5], [6], [7]]), [0, 5, 2, 3, 4, 6, 6, 7, 8, 7, 10, 11]),
    ("m", (slice(1, 3), slice(1, 3)), np.array([[5], [6]]), [0, 1, 2, 3, 4, 5, 5, 7, 8, 6, 6, 11]),
    ("m", (slice(1, 3), slice(1, 3)), [[5, 6], [7, 8]], [0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 8, 11]),
    ("m", [0, 2], nd.array([1, 2, 3, 4]), [1, 2, 3, 4, 4, 5, 6, 7, 1, 2, 3, 4]),
    ("m", ([0, 2], slice(1, 3)), nd.array([[1], [2]]), [0, 1, 1, 3, 4, 5, 6, 7, 8, 2, 2, 11]),
    ("m", (ALL, NEW, 0), 0, [0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11]),
]


@pytest.mark.parametrize(("name", "key", "value", "expected"), ASSIGNED, ids=range(len(ASSIGNED)))
def test_assignment(name: str, key: Any, value: Any, expected: list[float]) -> None:
    array = fresh(name)
    array[key] = value
    assert array.asnumpy().ravel().tolist() == expected


@pytest.mark.parametrize(
    ("name", "key", "value", "error"),
    [
        ("v", slice(1, 3), [7, 8, 9], ValueError),
        ("v", slice(1, 3), nd.array([[7], [8]]), ValueError),
        ("m", (ALL, 1), nd.array([[5], [6], [7]]), ValueError),
        ("m", (ALL, slice(1, 2)), nd.array([5, 6, 7]), ValueError),
        ("m", (slice(1, 3), slice(1, 3)), nd.zeros((3, 3)), ValueError),
        ("m", slice(1, 3), nd.zeros((3, 4)), ValueError),
        ("m", ALL, nd.zeros((4, 3)), ValueError),
        ("m", ALL, np.zeros((4, 3)), ValueError),
        ("m", [0, 1], nd.zeros((3, 4)), ValueError),
        ("v", 0, "a", TypeError),
        ("v", ALL, object(), TypeError),
        ("v", slice(0, 2), [[1], [2, 3]], TypeError),
    ],
)
def test_bad_assignment(name: str, key: Any, value: Any, error: type[Exception]) -> None:
    array = fresh(name)
    with pytest.raises(error) as caught:
        array[key] = value
    if error is ValueError:
        assert str(value.shape if hasattr(value, "shape") else (3,)) in str(caught.value)
    assert array.asnumpy().tolist() == fresh(name).asnumpy().tolist()


@pytest.mark.parametrize("write", [lambda a, v: a.__setitem__(0, v), lambda a, v: a.__setitem__(ALL, v)])
def test_assigned_numbers_are_converted(write: Callable[[Any, Any], None]) -> None:
    """Fractions are cut off, numbers wrap, None is not a number."""
    i32, u8, f32 = nd.zeros((2,), dtype="int32"), nd.zeros((2,), dtype="uint8"), nd.zeros((2,))
    for value, kept in ((2.7, 2), (-2.7, -2), (np.float32(1.5), 1)):
        write(i32, value)
        assert i32.asnumpy()[0] == kept
    for value, kept in ((300, 44), (-1, 255)):
        write(u8, value)
        assert u8.asnumpy()[0] == kept
    write(f32, None)
    assert np.isnan(f32.asnumpy()[0])
    for source in (nd.array([-1.5]), np.array([-1.5]), jax.numpy.array([-1.5])):
        write(u8, source)
        assert u8.asnumpy()[0] == 255


def test_an_array_assigned_to_itself() -> None:
    v = fresh("v")
    v[::-1] = v
    assert v.asnumpy().tolist() == [5, 4, 3, 2, 1, 0]
    v[:] = v
    v[1:] = v[:-1]
    assert v.asnumpy().tolist() == [5, 5, 4, 3, 2, 1]
    v[[0, 1, 2, 3, 4, 5]] = v
    v[None] = v
    one = nd.array([[1, 2]])
    one[0] = one
    assert one.asnumpy().tolist() == [[1, 2]] and v.asnumpy().tolist() == [5, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("ctx", [mx.cpu(0), mx.cpu(3)])
def test_assignment_from_another_device(ctx: mx.Context) -> None:
    here, there = nd.zeros((2, 3), ctx=ctx), nd.arange(6, ctx=mx.cpu(5)).reshape((2, 3))
    for key in (ALL, 0, (ALL, 1), [1, 0], (ALL, slice(None, None, 2))):
        here[key] = there[key]
        assert here.context == ctx and here.data.device == ctx.device
    assert here.asnumpy().tolist() == [[0, 1, 2], [3, 4, 5]]
