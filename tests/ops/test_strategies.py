"""Every strategy of a convolution against NumPy, value and gradients, and what `choose` promises."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.ops.nn import strategies
from symjit.ops.nn.strategies import WAYS, choose
from tests.compare import close


class Row(NamedTuple):
    """A convolution: data (N, *spatial, C), then its attributes."""

    shape: tuple[int, ...]
    filters: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    pad: tuple[int, ...] = ()
    dilate: tuple[int, ...] = ()
    groups: int = 1
    bias: bool = True

    @property
    def attrs(self) -> Any:
        return SimpleNamespace(
            kernel=self.kernel,
            stride=self.stride,
            dilate=self.dilate,
            pad=self.pad,
            num_filter=self.filters,
            num_group=self.groups,
            no_bias=not self.bias,
            layout={1: "NWC", 2: "NHWC", 3: "NDHWC"}[len(self.kernel)],
        )

    def inputs(self, dtype: str = "float32") -> tuple[np.ndarray, ...]:
        rng = np.random.RandomState(sum(self.shape) + self.filters)
        weight = (self.filters, *self.kernel, self.shape[-1] // self.groups)
        scale = 1 / np.sqrt(np.prod(weight[1:]))
        found = [rng.randn(*self.shape), rng.randn(*weight) * scale, rng.randn(self.filters)]
        return tuple(each.astype(dtype) for each in found[: 2 + self.bias])

    def specs(self, dtype: str = "float32") -> list[Any]:
        return [SimpleNamespace(shape=x.shape, dtype=x.dtype) for x in self.inputs(dtype)]


ROWS = {
    "1x1": Row((2, 5, 7, 6), 8, (1, 1)),
    "1x1 strided": Row((2, 5, 7, 6), 8, (1, 1), (2, 2)),
    "1x1 strided unevenly, no bias": Row((1, 6, 9, 3), 4, (1, 1), (2, 3), bias=False),
    "1x1 padded": Row((1, 4, 4, 3), 5, (1, 1), pad=(1, 1)),
    "1x1 of one pixel": Row((3, 1, 1, 12), 7, (1, 1)),
    "1x1 of a line": Row((2, 9, 4), 5, (1,), (2,)),
    "1x1 of a volume": Row((2, 3, 4, 5, 4), 6, (1, 1, 1), (1, 2, 2)),
    "3x3": Row((1, 8, 8, 16), 24, (3, 3), pad=(1, 1)),
    "3x3 odd": Row((2, 7, 5, 16), 17, (3, 3), pad=(1, 1)),
    "3x3 unpadded": Row((2, 7, 10, 16), 16, (3, 3)),
    "3x3 to one pixel": Row((2, 3, 3, 16), 5, (3, 3)),
    "3x3 of one pixel": Row((2, 1, 1, 16), 5, (3, 3), pad=(1, 1)),
    "3x3 padded unevenly": Row((1, 6, 7, 3), 4, (3, 3), pad=(0, 2), bias=False),
    "3x3 padded by more than it": Row((1, 4, 5, 3), 4, (3, 3), pad=(3, 4)),
    "3x3 of many tiles": Row((2, 33, 35, 4), 6, (3, 3), pad=(1, 1)),
    "3x3 strided": Row((2, 9, 8, 4), 6, (3, 3), (2, 2), (1, 1)),
    "3x3 dilated": Row((1, 11, 9, 4), 6, (3, 3), pad=(2, 2), dilate=(2, 2)),
    "7x7 of three channels": Row((2, 23, 24, 3), 8, (7, 7), (2, 2), (3, 3)),
    "1x1 of many filters": Row((1, 3, 4, 6), 512, (1, 1)),
    "3x3 of many filters": Row((2, 4, 5, 3), 768, (3, 3), pad=(1, 1)),
    "3x3 of many filters, strided": Row((1, 5, 5, 3), 512, (3, 3), (2, 2), (1, 1), bias=False),
    "3x3 of 64 channels": Row((2, 6, 5, 64), 64, (3, 3), pad=(1, 1)),
    "5x5 unpadded": Row((3, 9, 8, 3), 4, (5, 5)),
    "2x5": Row((1, 8, 9, 3), 8, (2, 5), (1, 2), (0, 2), (2, 1)),
    "1x7": Row((1, 7, 9, 6), 8, (1, 7), pad=(0, 3)),
    "3 of a line": Row((2, 11, 4), 6, (3,), (2,), (1,)),
    "3x3x3": Row((1, 5, 6, 7, 3), 4, (3, 3, 3), (1, 2, 1), (1, 1, 0)),
    "depthwise": Row((2, 9, 8, 16), 16, (3, 3), pad=(1, 1), groups=16),
    "depthwise strided": Row((2, 9, 8, 16), 16, (3, 3), (2, 2), (1, 1), groups=16, bias=False),
    "depthwise, dilated and unpadded": Row((1, 9, 8, 5), 5, (3, 2), dilate=(2, 3), groups=5),
    "depthwise of two filters a channel": Row((2, 7, 8, 6), 12, (5, 5), (2, 1), (2, 2), groups=6),
    "depthwise of a line": Row((2, 9, 6), 6, (3,), pad=(1,), groups=6),
    "depthwise of a volume": Row((1, 5, 6, 7, 4), 4, (3, 3, 3), (1, 2, 1), (1, 1, 1), groups=4),
    "groups": Row((2, 7, 8, 16), 32, (3, 3), pad=(1, 1), groups=4),
    "groups, strided": Row((1, 9, 9, 12), 6, (3, 3), (2, 2), (1, 1), groups=3),
    "groups of 1x1": Row((1, 5, 5, 12), 8, (1, 1), groups=4),
}
CASES = [(name, row) for name in WAYS for row in ROWS if WAYS[name].applies(ROWS[row].attrs, ROWS[row].specs(), "cpu")]


def windows(row: Row, x: np.ndarray, at: tuple[int, ...], out: tuple[int, ...]) -> tuple[slice, ...]:
    """Return where, in padded data, the tap `at` of every window lies."""
    ones = (1,) * len(row.kernel)
    stride, dilate = row.stride or ones, row.dilate or ones
    spatial = [
        slice(i * d, i * d + (count - 1) * s + 1, s) for i, d, s, count in zip(at, dilate, stride, out, strict=True)
    ]
    return (slice(None), *spatial)


def reference(row: Row, head: np.ndarray | None, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return result, gradient of data, of weight and of bias for the head gradient; NumPy, float64."""
    x, w, *b = (each.astype(np.float64) for each in inputs)
    ndim, g = len(row.kernel), row.groups
    pad, ones = row.pad or (0,) * ndim, (1,) * ndim
    x = np.pad(x, [(0, 0), *((p, p) for p in pad), (0, 0)])
    steps = zip(x.shape[1:-1], row.kernel, row.stride or ones, row.dilate or ones, strict=True)
    out = tuple((size - d * (k - 1) - 1) // s + 1 for size, k, s, d in steps)
    w = w.reshape(g, row.filters // g, *row.kernel, -1)
    split = (x.shape[0], *out, g)
    y, gx, gw = np.zeros((*split, row.filters // g)), np.zeros_like(x), np.zeros_like(w)
    head = np.ones(1) if head is None else head.astype(np.float64).reshape(y.shape)
    for at in np.ndindex(*row.kernel):
        where, tap = windows(row, x, at, out), (slice(None), slice(None), *at)
        patch = x[where].reshape(*split, -1)
        y += np.einsum("...gc,goc->...go", patch, w[tap])
        if head.ndim > 1:
            gx[where] += np.einsum("...go,goc->...gc", head, w[tap]).reshape(x[where].shape)
            gw[tap] += np.einsum(
                "ngc,ngo->goc", patch.reshape(-1, *patch.shape[-2:]), head.reshape(-1, *head.shape[-2:])
            )
    inside = tuple(slice(p, size - p) for p, size in zip(pad, x.shape[1:-1], strict=True))
    y = y.reshape(*split[:-1], row.filters)
    if b:
        y = y + b[0]
    sums = head.reshape(-1, row.filters).sum(0) if head.ndim > 1 else head
    return y, gx[(slice(None), *inside)], gw.reshape(inputs[1].shape), sums


def runner(name: str, row: Row) -> Any:
    """Return the strategy as a function of the plain inputs."""
    strategy, attrs = WAYS[name], row.attrs

    def run(data: Any, weight: Any, bias: Any = None) -> Any:
        return strategy.run(attrs, data, strategy.prepare(attrs, weight), bias)

    return run


def sampled(cases: list[tuple[str, str]]) -> list[Any]:
    """Return the cases, all but the first three of each strategy marked slow."""
    seen: Counter[str] = Counter()
    found = []
    for case in cases:
        seen[case[0]] += 1
        found.append(pytest.param(*case, marks=[pytest.mark.slow] if seen[case[0]] > 3 else []))
    return found


@pytest.mark.parametrize(("name", "row"), sampled(CASES))
def test_values_and_gradients(name: str, row: str) -> None:
    inputs = ROWS[row].inputs()
    shape = reference(ROWS[row], None, *inputs)[0].shape
    head = np.random.RandomState(1).randn(*shape).astype(np.float32)

    @jax.jit
    def both(head: Any, *inputs: Any) -> Any:
        out, back = jax.vjp(runner(name, ROWS[row]), *inputs)
        return out, *back(head)

    results = both(head, *inputs)
    for what, got, want in zip(
        ("out", "data", "weight", "bias"), results, reference(ROWS[row], head, *inputs), strict=False
    ):
        close(np.asarray(got), want.astype(np.float32), 1e-5, f"{what} of {name} of {row}")


DTYPES = (
    "1x1 strided",
    "3x3 odd",
    "3x3 of many tiles",
    "depthwise strided",
    "depthwise of two filters a channel",
    "groups",
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row"), [case for case in CASES if case[1] in DTYPES])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float16", 2e-3)])
def test_dtypes(name: str, row: str, dtype: str, tolerance: float) -> None:
    if not WAYS[name].applies(ROWS[row].attrs, ROWS[row].specs(dtype), "cpu"):
        return
    inputs = ROWS[row].inputs(dtype)
    with jax.enable_x64(True):
        got = np.asarray(jax.jit(runner(name, ROWS[row]))(*inputs))
    close(got, reference(ROWS[row], None, *inputs)[0].astype(dtype), tolerance, f"{name} of {row} in {dtype}")


@pytest.mark.parametrize(("name", "limit"), [("winograd", "_CACHED"), ("im2col", "_WINDOWS")])
def test_image_by_image(name: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row((3, 9, 8, 5), 6, (3, 3), pad=(1, 1))
    want = reference(row, None, *row.inputs())[0].astype(np.float32)
    assert "while" not in jax.jit(runner(name, row)).lower(*row.inputs()).as_text()
    monkeypatch.setattr(strategies, limit, 0)
    mapped = jax.jit(runner(name, row))
    assert "while" in mapped.lower(*row.inputs()).as_text()
    close(np.asarray(mapped(*row.inputs())), want, 2e-6, "image by image")


CHOICES = {
    "depthwise": [Row((1, 14, 14, 64), 64, (3, 3), pad=(1, 1), groups=64)],
    "grouped": [Row((1, 14, 14, 64), 64, (3, 3), pad=(1, 1), groups=8)],
    "dot": [Row((1, 14, 14, 64), 64, (1, 1), (2, 2))],
    "winograd": [Row((1, 14, 14, 64), 64, (3, 3), pad=(1, 1)), Row((8, 112, 112, 128), 128, (3, 3), pad=(1, 1))],
    "im2col": [Row((1, 56, 56, 3), 32, (3, 3), (2, 2))],
    "spaced": [Row((1, 14, 14, 64), 512, (3, 3), (2, 2), (1, 1))],
    "xla": [
        Row((1, 56, 56, 3), 64, (7, 7), (2, 2), (3, 3)),
        Row((1, 54, 54, 16), 64, (3, 3), pad=(1, 1)),
        Row((1, 224, 224, 64), 64, (3, 3), pad=(1, 1)),
        Row((1, 14, 14, 64), 64, (3, 3), (2, 2), (1, 1)),
    ],
}


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_chosen(name: str) -> None:
    for row in CHOICES[name]:
        specs = [jax.ShapeDtypeStruct(row.shape, jnp.float32)]
        assert choose(row.attrs, specs, "cpu") == name
        assert choose(row.attrs, specs, "gpu") == "xla"


#: How a training forward and the gradient of its data are computed.
TRAINED = {
    ("winograd", "winograd"): [Row((32, 8, 8, 64), 64, (3, 3), pad=(1, 1))],
    ("paired", "xla"): [Row((32, 32, 32, 16), 16, (3, 3), pad=(1, 1)), Row((32, 32, 32, 3), 16, (3, 3), pad=(1, 1))],
    ("paired", "columns"): [Row((64, 20, 20, 16), 16, (7, 7))],
    ("xla", "columns"): [Row((64, 12, 12, 20), 50, (5, 5)), Row((32, 32, 32, 16), 32, (3, 3), (2, 2), (1, 1))],
    ("spaced", "columns"): [Row((8, 14, 14, 256), 512, (3, 3), (2, 2), (1, 1))],
    ("xla", "xla"): [Row((32, 32, 32, 3), 64, (3, 3), pad=(1, 1)), Row((32, 32, 32, 16), 17, (3, 3), pad=(1, 1))],
}


@pytest.mark.parametrize("ways", TRAINED)
def test_what_is_chosen_in_training(ways: tuple[str, str]) -> None:
    for row in TRAINED[ways]:
        data = jax.ShapeDtypeStruct(row.shape, jnp.float32)
        assert (strategies._forward(row.attrs, data), strategies._data_gradient(row.attrs, data)) == ways
        assert choose(row.attrs, [data], "cpu", True) == (None if ways == ("xla", "xla") else "trained")
    assert choose(ROWS["depthwise"].attrs, ROWS["depthwise"].specs(), "cpu", True) == "depthwise"


def test_columns_image_by_image(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ROWS["5x5 unpadded"]
    data, weight, _ = row.inputs()
    head = np.ones((3, 5, 4, 4), np.float32)
    want = reference(row, head, *row.inputs())[1].astype(np.float32)
    monkeypatch.setattr(strategies, "_WINDOWS", 0)
    got = strategies._towards_data(row.attrs, head, weight, jax.ShapeDtypeStruct(data.shape, data.dtype))
    close(np.asarray(got), want, 2e-6, "image by image")


@pytest.mark.parametrize("name", WAYS)
def test_an_empty_batch(name: str) -> None:
    row = next(ROWS[row] for each, row in CASES if each == name)
    data, *rest = row.inputs()
    out = jax.eval_shape(runner(name, row), data, *rest).shape
    assert jax.jit(runner(name, row))(data[:0], *rest).shape == (0, *out[1:])


@pytest.mark.parametrize("name", WAYS)
def test_a_strategy_is_tried(name: str) -> None:
    assert sum(each == name for each, _ in CASES) >= 3


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
def test_the_choice_applies(row: str, platform: str, dtype: str) -> None:
    specs = [jax.ShapeDtypeStruct(each.shape, jnp.dtype(dtype)) for each in ROWS[row].specs()]
    assert WAYS[choose(ROWS[row].attrs, specs, platform)].applies(ROWS[row].attrs, specs, platform)


def test_no_strategy_takes_channels_in_the_middle() -> None:
    row = Row((2, 4, 4, 4), 4, (1, 1), groups=4)
    attrs = SimpleNamespace(**{**vars(row.attrs), "layout": "NCHW"})
    assert not any(each.applies(attrs, row.specs(), "cpu") for each in WAYS.values())
