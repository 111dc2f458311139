"""Views share memory, copies do not: random programs against NumPy, and who may still change what."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symjit as mx
from symjit import nd

# Random programs ------------------------------------------------------------------------------------------------------


class Twin:
    """An NDArray and the NumPy array that it must equal; where MXNet shares memory, so do the NumPy arrays."""

    def __init__(self, ours: mx.NDArray, plain: np.ndarray) -> None:
        self.ours, self.plain = ours, plain

    def check(self) -> None:
        assert self.ours.shape == self.plain.shape
        np.testing.assert_array_equal(self.ours.asnumpy(), self.plain)


def contiguous(part: np.ndarray) -> bool:
    return part.size > 0 and part.flags.c_contiguous


def indexed(twin: Twin, key: Any) -> Twin:
    """MXNet's rule: a basic index whose elements lie side by side is a view, any other is a copy."""
    part = twin.plain[key]
    basic = not any(isinstance(item, list) for item in (key if isinstance(key, tuple) else (key,)))
    if part.ndim == 0:  # an element is an array of shape (1,)
        position = np.ravel_multi_index(tuple(np.atleast_1d(key) % twin.plain.shape), twin.plain.shape)
        part = twin.plain.reshape(-1)[position : position + 1]
    return Twin(twin.ours[key], part if basic and contiguous(part) else part.copy())


@st.composite
def slices(draw: st.DrawFn, size: int) -> slice:
    bound = st.one_of(st.none(), st.integers(-size - 1, size + 1))
    return slice(draw(bound), draw(bound), draw(st.sampled_from([None, None, None, 1, 2, -1, -2])))


@st.composite
def basic_keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    items: list[Any] = []
    for size in shape[: draw(st.integers(1, len(shape)))]:
        items.append(draw(st.one_of(st.integers(-size, size - 1), slices(size), st.just(slice(None)))))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), None)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def list_keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    axis = draw(st.integers(0, len(shape) - 1))
    chosen = draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=3, unique=True))
    return (*[slice(None)] * axis, chosen)


def keys(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    return st.one_of(st.integers(-shape[0], shape[0] - 1), basic_keys(shape), basic_keys(shape), list_keys(shape))


@st.composite
def factored(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    """Another shape of the same size."""
    dims = []
    while size > 1 and len(dims) < 3:
        dims.append(draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0])))
        size //= dims[-1]
    return (*dims, size)


ARITHMETIC = [operator.iadd, operator.isub, operator.imul]


@settings(max_examples=40)
@given(st.data())
def test_programs(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(6,), (3, 4), (2, 3, 2), (1, 5), (4, 1)]))
    start = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    twins = [Twin(nd.array(start), start.copy())]
    for _ in range(data.draw(st.integers(1, 10))):
        twin = data.draw(st.sampled_from(twins))
        step = data.draw(
            st.sampled_from(
                ["index", "index", "reshape", "copy", "detach", "write", "write", "in place", "assign", "op"]
            )
        )
        if twin.plain.size == 0:
            step = "copy"
        if step == "index":
            twins.append(indexed(twin, data.draw(keys(twin.plain.shape))))
        elif step == "reshape":
            wanted = data.draw(factored(twin.plain.size))
            twins.append(Twin(twin.ours.reshape(wanted), twin.plain.reshape(wanted)))
        elif step == "copy":
            twins.append(Twin(twin.ours.copy(), twin.plain.copy()))
        elif step == "detach":
            twins.append(Twin(twin.ours.detach(), twin.plain.view()))
        elif step == "write":
            key = data.draw(keys(twin.plain.shape))
            value = data.draw(st.integers(-9, 9))
            if data.draw(st.booleans()):
                twin.ours[key] = value
                twin.plain[key] = value
            else:
                part = np.full(twin.plain[key].shape, value, np.float32)
                twin.ours[key] = nd.array(part) if part.ndim else nd.array([value])
                twin.plain[key] = part
        elif step == "in place":
            apply = data.draw(st.sampled_from(ARITHMETIC))
            number = data.draw(st.integers(-3, 3))
            apply(twin.ours, number)
            apply(twin.plain, np.float32(number))
        elif step == "assign":
            other = data.draw(st.sampled_from(twins))
            if other.plain.shape == twin.plain.shape:
                twin.ours[:] = other.ours
                twin.plain[...] = other.plain.copy()
        else:
            twins.append(Twin(twin.ours + 1, twin.plain + 1))
        for each in twins:
            each.check()


# Views, one by one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("take", "shared"),
    [
        (lambda x: x[1], True),
        (lambda x: x[-1], True),
        (lambda x: x[1, 1], True),
        (lambda x: x[1, 1, 1], True),
        (lambda x: x[1, 1:3], True),
        (lambda x: x[0:1, 1], True),
        (lambda x: x[0:1, 1:2, 1:3], True),
        (lambda x: x[1:2][0][1:3][1], True),
        (lambda x: x[0:2:2], True),
        (lambda x: x[1:0:-1], True),
        (lambda x: x[:], True),
        (lambda x: x[...], True),
        (lambda x: x[()], True),
        (lambda x: x[None], True),
        (lambda x: x[..., None], True),
        (lambda x: x[:, None], True),
        (lambda x: x.reshape((6, 4)), True),
        (lambda x: x.reshape((-1,))[3:5].reshape((2, 1)), True),
        (lambda x: x.expand_dims(0, inplace=True), True),
        (lambda x: x[0:1].squeeze(0, inplace=True), True),
        (lambda x: x.flatten(inplace=True), True),
        (lambda x: x.detach(), True),
        (lambda x: x.as_in_context(mx.cpu(0)), True),
        (lambda x: x.astype("float32", copy=False), True),
        (lambda x: x[:, 1], False),
        (lambda x: x[:, 1:2], False),
        (lambda x: x[..., 0], False),
        (lambda x: x[::-1], False),
        (lambda x: x[[1]], False),
        (lambda x: x[nd.array([1])], False),
        (lambda x: x.copy(), False),
        (lambda x: x.astype("float32"), False),
        (lambda x: x.as_in_context(mx.cpu(1)), False),
        (lambda x: x.copyto(mx.cpu(0)), False),
        (lambda x: x.T, False),
        (lambda x: x.expand_dims(0), False),
        (lambda x: x.squeeze(), False),
        (lambda x: x.flatten(), False),
        (lambda x: x.broadcast_to((2, 3, 4)), False),
        (lambda x: x.reshape_like(nd.zeros((6, 4))), False),
        (lambda x: nd.reshape(x, (6, 4)), False),
        (lambda x: nd.identity(x), False),
        (lambda x: nd.array(x), False),
        (lambda x: nd.concatenate([x]), False),
        (lambda x: nd.concatenate([x], always_copy=False), True),
    ],
)
def test_what_shares_memory(take: Callable[[Any], Any], shared: bool) -> None:
    """As measured on MXNet 1.9.1, in both directions."""
    x = nd.arange(24).reshape((2, 3, 4)).copy()
    part = take(x)
    before = part.asnumpy()
    x[:] = -1
    assert bool((part.asnumpy() == -1).all()) is shared and bool((part.asnumpy() == before).all()) is not shared
    part[:] = 7
    assert bool((x.asnumpy() == 7).any()) is shared


def test_views_of_views() -> None:
    x = nd.arange(24).reshape((4, 3, 2))
    tail = x[1:]
    assert tail[1].asnumpy().tolist() == [[12, 13], [14, 15], [16, 17]]
    assert tail[1:][-1][2].asnumpy().tolist() == [22, 23]
    assert tail.reshape((9, 2))[3:5, :].asnumpy().tolist() == [[12, 13], [14, 15]]
    assert tail[:, 1].asnumpy().tolist() == [[8, 9], [14, 15], [20, 21]]
    assert tail[[2, 0], 0].asnumpy().tolist() == [[18, 19], [6, 7]]
    tail[0][1][0] = -1
    tail[:, 2] = -2
    assert x.asnumpy()[1].tolist() == [[6, 7], [-1, 9], [-2, -2]] and x.asnumpy()[0, 2].tolist() == [4, 5]


def test_in_place_operators_keep_views_alive() -> None:
    x = nd.arange(6).reshape((2, 3))
    row = x[1]
    x += 1
    assert row.asnumpy().tolist() == [4, 5, 6]
    row *= 2
    assert x.asnumpy().tolist() == [[1, 2, 3], [8, 10, 12]]
    x = x * 10  # another array
    row[:] = 0
    assert x.asnumpy().tolist() == [[10, 20, 30], [80, 100, 120]]
    nd.clip(row, 1, 2, out=row)
    nd.broadcast_add(row, row, out=x[0])
    assert x.asnumpy().tolist() == [[2, 2, 2], [80, 100, 120]]


# Ownership: no alias changes, whatever happens to the source ----------------------------------------------------------


WRITES: list[Callable[[mx.NDArray], Any]] = [
    lambda x: assigned(x, 0, -1),
    lambda x: assigned(x, (slice(None), 0), -1),
    lambda x: assigned(x, [0], nd.array([-1])),
    lambda x: assigned(x, slice(None), -1),
    lambda x: assigned(x, slice(None), np.full(x.shape, -1)),
    lambda x: assigned(x, slice(None), nd.full(x.shape, -1)),
    lambda x: assigned(x.reshape((-1,)), slice(1, 2), -1),
    lambda x: assigned(x[1], slice(None), -1),
    lambda x: x.__iadd__(1),
    lambda x: x[1].__iadd__(1),
    lambda x: nd.clip(x, -3, -2, out=x),
    lambda x: nd.zeros(x.shape).copyto(x),
]


def writes(x: mx.NDArray) -> None:
    """Write to an array in every way there is."""
    for write in WRITES:
        write(x)
    x.wait_to_read()


START = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda source: nd.array(source),
        lambda source: nd.from_numpy(source),
        lambda source: assigned(nd.zeros((2, 3)), slice(None), source),
        lambda source: assigned(nd.zeros((2, 3)), slice(0, 2), source),
        lambda source: assigned(nd.zeros((3, 3)), slice(1, 3), source)[1:],
        lambda source: assigned(nd.zeros((2, 4)), (slice(None), slice(0, 3)), source)[:, :3],
        lambda source: assigned(nd.zeros((2, 3)), [0, 1], source),
        lambda source: assigned(nd.zeros((1, 2, 3)), 0, source)[0],
        lambda source: nd.array(source, dtype="float32", ctx=mx.cpu(2)),
    ],
)
def test_numpy_sources_are_copied(make: Callable[[np.ndarray], mx.NDArray]) -> None:
    source = np.tile(START, (1, 1))
    made = make(source)
    source[:] = 99
    assert made.asnumpy().tolist() == START.tolist()
    writes(made)
    assert (source == 99).all()


def assigned(target: mx.NDArray, key: Any, value: Any) -> mx.NDArray:
    target[key] = value
    return target


@pytest.mark.parametrize(
    "make",
    [
        lambda source: nd.array(source),
        lambda source: assigned(nd.zeros((2, 3)), slice(None), source),
        lambda source: assigned(nd.zeros((3, 3)), slice(1, 3), source)[1:],
        lambda source: assigned(nd.zeros((2, 3)), [0, 1], source),
    ],
)
def test_jax_sources_are_copied(make: Callable[[jax.Array], mx.NDArray]) -> None:
    """The caller may donate or delete its array, and writing must not take it away."""
    kept, deleted = (jax.device_put(START, mx.cpu().device) for _ in range(2))
    first, second = make(kept), make(deleted)
    deleted.delete()
    assert second.asnumpy().tolist() == START.tolist()
    writes(first)
    assert np.asarray(kept).tolist() == START.tolist()


def test_asnumpy_is_fresh() -> None:
    x = nd.array(START)
    for value in (x.asnumpy(), x[0].asnumpy(), x.reshape((6,)).asnumpy(), np.array(x), np.asarray(x)):
        assert value.flags.writeable and value.flags.owndata
        value[:] = 99
    assert x.asnumpy().tolist() == START.tolist()
    held = x.asnumpy()
    writes(x)
    assert held.tolist() == START.tolist()
    with pytest.raises(ValueError, match="copied"):
        np.array(x, copy=False)


ALIASES: dict[str, Callable[[mx.NDArray], Callable[[], Any]]] = {
    "asjax": lambda x: (lambda held: lambda: np.asarray(held))(x.asjax()),
    "asjax of a view": lambda x: (lambda held: lambda: np.asarray(held))(x[:].reshape((2, 3)).asjax()),
    "copy": lambda x: x.copy().asnumpy,
    "copy of a view": lambda x: x.reshape((2, 3)).copy().asnumpy,
    "copyto a context": lambda x: x.copyto(mx.cpu(0)).asnumpy,
    "copyto another context": lambda x: x.copyto(mx.cpu(1)).asnumpy,
    "copyto an array": lambda x: x.copyto(nd.zeros((2, 3))).asnumpy,
    "assigned": lambda x: assigned(nd.zeros((2, 3)), slice(None), x).asnumpy,
    "assigned from a view": lambda x: assigned(nd.zeros((2, 3)), slice(None), x.reshape((2, 3))).asnumpy,
    "array": lambda x: nd.array(x).asnumpy,
    "operator": lambda x: nd.identity(x).asnumpy,
    "astype": lambda x: x.astype("float32").asnumpy,
}


@pytest.mark.parametrize("alias", ALIASES)
def test_writing_changes_no_alias(alias: str) -> None:
    for write in WRITES:
        x = nd.array(START)
        x[0, 0] = 0  # owned by now, and given away by each write that is allowed to
        read = ALIASES[alias](x)
        write(x)
        assert read().tolist() == START.tolist()
        assert x.asnumpy().tolist() != START.tolist()


@pytest.mark.parametrize("alias", [name for name in ALIASES if "asjax" not in name])
def test_writing_to_an_alias_changes_no_source(alias: str) -> None:
    for write in WRITES:
        x = nd.array(START)
        made = ALIASES[alias](x).__self__  # type: ignore[attr-defined]
        write(made)
        assert x.asnumpy().tolist() == START.tolist()
        assert made.asnumpy().tolist() != START.tolist()


def test_owned_arrays_are_written_in_place() -> None:
    """What nobody else holds is given away: a write to one row of a large array does not copy the rest."""
    x = nd.zeros((100, 100))
    x[0] = 1
    for key in (1, (slice(None), 1), (slice(None, None, 2), 1), [1, 3]):
        before = x.data
        x[key] = 2
        assert before.is_deleted(), key
    for write in (lambda: x.__iadd__(1), lambda: x.__imul__(x[0]), lambda: nd.clip(x, 0, 1, out=x)):
        before = x.data
        write()
        assert before.is_deleted()
    before = x.data
    x += x
    assert not before.is_deleted()
    held = x.asjax()
    x[1] = 3
    assert not held.is_deleted()
    before = x.data
    x[2] = 3  # the copy that the last write made is owned again
    assert before.is_deleted()


def test_a_write_that_fails_leaves_everything() -> None:
    x = nd.array(START)
    x[0, 0] = 0
    for key in (slice(None), 0, (slice(None), 0), [0, 1]):
        with pytest.raises(ValueError, match="can not assign"):
            x[key] = nd.zeros((7,))
    for fail in (
        lambda: x.__iadd__(nd.zeros((7,))),
        lambda: x.__iadd__(nd.zeros((4, 2, 3))),
        lambda: x.__iadd__(nd.zeros((2, 3), dtype="int32")),
        lambda: nd.cast(x, "int32", out=x),
        lambda: nd.split(x, 3, out=x),
        lambda: nd.topk(x, k=3, ret_typ="both", out=x),
        lambda: nd.clip(x, 1, out=x),
    ):
        with pytest.raises(mx.MXNetError):
            fail()
    assert x.asnumpy().tolist() == START.tolist()


def test_outputs_never_alias_inputs() -> None:
    """Writes to an operator's result must not reach its input, for operators that return their input as it is."""
    x = nd.array(START)
    x[0, 0] = 0
    made = [nd.identity(x), nd.BlockGrad(x), nd.Dropout(x), nd.reshape(x, (3, 2)), nd.cast(x, "float32"), x.flatten()]
    pointers = {each.data.unsafe_buffer_pointer() for each in (x, *made)}
    assert len(pointers) == len(made) + 1
    for each in made:
        each[:] = 9
    assert x.asnumpy().tolist() == START.tolist()


def test_device_buffers_of_jax_stay_valid() -> None:
    x = nd.array(START)
    doubled = jnp.asarray(x.asjax()) * 2
    writes(x)
    assert np.asarray(doubled).tolist() == (START * 2).tolist()
