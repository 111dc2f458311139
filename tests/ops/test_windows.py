"""Sums and maxima over windows against loops in NumPy: values and gradients, in every way they are computed."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.ops.nn.windows import Span, window_max, window_sum


def span(at: int, size: int, kernel: int, stride: int, low: int, high: int) -> Span:
    return Span(at, size, kernel, stride, low, (size + low + high - kernel) // stride + 1)


def looped(x: np.ndarray, spans: tuple[Span, ...], head: np.ndarray, pick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the reduction and its gradient; `pick`: of the first maximum, or of the sum."""
    out, grad = np.empty_like(head), np.zeros_like(x)
    for place in np.ndindex(*head.shape):
        ranges = [(i,) for i in place]
        for s in spans:
            start = place[s.at] * s.stride - s.low
            ranges[s.at] = tuple(range(max(start, 0), min(start + s.kernel, s.size)))
        members = list(itertools.product(*ranges))
        values = [x[member] for member in members]
        if not pick:
            out[place] = np.sum(values, dtype=x.dtype)
            for member in members:
                grad[member] += head[place]
        elif not members:
            out[place] = -np.inf
        else:
            winner = int(np.argmax(values))  # the first NaN, or the first of equal elements
            out[place] = values[winner]
            grad[members[winner]] += head[place]
    return out, grad


CASES = {
    "apart": ((2, 6, 7, 3), [(1, 2, 2, 0, 0), (2, 2, 2, 0, 0)]),
    "overlapping": ((2, 3, 9, 8), [(2, 3, 2, 1, 1), (3, 3, 2, 1, 1)]),
    "overhang": ((1, 2, 6, 7), [(2, 3, 2, 0, 1), (3, 2, 3, 1, 2)]),
    "gaps": ((2, 8, 9, 2), [(1, 2, 3, 0, 0), (2, 1, 4, 0, 0)]),
    "stride-1": ((1, 5, 6, 2), [(1, 3, 1, 1, 1), (2, 2, 1, 1, 0)]),
    "per-axis": ((1, 11, 9, 2), [(1, 5, 2, 2, 2), (2, 4, 1, 1, 1)]),
    "one-axis": ((2, 2, 10), [(2, 4, 3, 2, 3)]),
    "three-axes": ((1, 2, 5, 4, 6), [(2, 2, 2, 0, 0), (3, 3, 1, 1, 1), (4, 2, 3, 1, 0)]),
    "whole": ((2, 3, 4, 5), [(2, 4, 1, 0, 0), (3, 5, 1, 0, 0)]),
    "long": ((1, 1, 80), [(2, 70, 3, 5, 5)]),
    "empty": ((1, 2, 5), [(2, 2, 3, 0, 5)]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("pick", [True, False], ids=["max", "sum"])
def test_against_loops(name: str, pick: bool) -> None:
    shape, axes = CASES[name]
    spans = tuple(span(at, shape[at], *rest) for at, *rest in axes)
    rng = np.random.RandomState(1)
    x = rng.randint(-3, 3, shape).astype(np.float32)  # many equal elements
    if pick:
        x.flat[:: x.size // 3] = np.nan
    sizes = list(shape)
    for each in spans:
        sizes[each.at] = each.out
    head = rng.randint(1, 9, sizes).astype(np.float32)

    @jax.jit
    def run(x, head):
        out, pull = jax.vjp(lambda x: (window_max if pick else window_sum)(x, spans), x)
        return out, pull(head)[0]

    if name == "long" and pick:  # XLA's own gradient serves windows this long, and it knows no NaN
        x = np.nan_to_num(x)
    out, grad = run(x, head)
    expected, slope = looped(x, spans, head, pick)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(grad, slope)


def test_integers() -> None:
    x = np.array([[[3, 1, 2, 5, 4]]], np.int32)
    one = (span(2, 5, 3, 1, 1, 1),)
    np.testing.assert_array_equal(window_max(jnp.array(x), one), [[[3, 3, 5, 5, 5]]])
    np.testing.assert_array_equal(window_sum(jnp.array(x), one), [[[4, 6, 8, 11, 9]]])
