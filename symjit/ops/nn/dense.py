"""Affine maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import lax

from symjit.ops.attrs import PositiveInt
from symjit.ops.derived import absorbs, namespace, strategy
from symjit.ops.registry import op
from symjit.ops.shapes import Known, prod

__all__: list[str] = []


@op(
    "FullyConnected",
    params=("weight", "bias"),
    absent=lambda a: ("bias",) if a.no_bias else (),
    cast="low",
    rows=True,
)
def fully_connected(
    data: Any, weight: Any, bias: Any = None, *, num_hidden: PositiveInt, no_bias: bool = False, flatten: bool = True
) -> Any:
    """Apply the affine map ``y = x W^T + b``.

    data (N, ...) is flattened to (N, K) unless ``flatten=False``, which maps the last axis only; weight
    (num_hidden, K), bias (num_hidden,) -> (N, num_hidden). float16 accumulates in float32.
    """
    return _affine(data, weight, 1, bias, flatten)


def _affine(data: Any, weight: Any, axis: int, bias: Any, flatten: bool) -> Any:
    """Multiply by a weight whose axis `axis` runs along the data's columns."""
    x = data.reshape(data.shape[0], -1) if flatten and data.ndim != 2 else data
    y = lax.dot_general(x, weight, (((x.ndim - 1,), (axis,)), ((), ())), precision=lax.Precision.HIGHEST)
    return y if bias is None else y + bias


@fully_connected.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    found: dict[str, Any] = {"bias": (a.num_hidden,), "weight": (a.num_hidden, None)}
    if s.data is not None and (a.flatten or len(s.data) > 0):
        width = prod(s.data[1:]) if a.flatten else s.data[-1]
        found["weight"] = (a.num_hidden, width)
        found["out"] = (s.data[0], a.num_hidden) if a.flatten else (*s.data[:-1], a.num_hidden)
    out = s.out[0]
    if out is not None and s.data is not None and out[0] is not None:
        found["data"] = (out[0], *s.data[1:]) if a.flatten else (*out[:-1], s.data[-1])
    return found


@absorbs(fully_connected, "after", lambda a, rank: 1 if a.flatten else rank - 1, no_bias="False")
def _after(a: Any, weight: Any, scale: Any, shift: Any, bias: Any = None) -> tuple[Any, Any]:
    return weight * scale[:, None], shift if bias is None else bias * scale + shift


@absorbs(fully_connected, "before", lambda a, rank: 1 if a.flatten else rank - 1, no_bias="False")
def _before(a: Any, weight: Any, scale: Any, shift: Any, bias: Any = None) -> tuple[Any, Any]:
    # Flattened data stand channel by channel: each channel has as many columns.
    columns = weight.reshape(weight.shape[0], scale.shape[0], -1)
    moved = namespace(weight).sum(columns * shift[:, None], axis=(1, 2), dtype=weight.dtype)
    return (columns * scale[:, None]).reshape(weight.shape), moved if bias is None else bias + moved


# Strategies -----------------------------------------------------------------------------------------------------------


def _rows(a: Any, data: Any) -> Any:
    return prod(data.shape[:1] if a.flatten else data.shape[:-1])


@strategy(
    fully_connected, "transposed", lambda a, specs, platform: _rows(a, specs[0]) > 0, prepare=lambda a, weight: weight.T
)
def _transposed(a: Any, data: Any, weight: Any, bias: Any = None) -> Any:
    """Multiply by the weight as (K, num_hidden)."""
    return _affine(data, weight, 0, bias, a.flatten)


@strategy(fully_connected, "vector", lambda a, specs, platform: _rows(a, specs[0]) == 1)
def _vector(a: Any, data: Any, weight: Any, bias: Any = None) -> Any:
    """Multiply a single row: a matrix times a vector, for which the weight lies right as it is."""
    return _affine(data, weight, 1, bias, a.flatten)


def _choose(a: Any, specs: Sequence[Any], platform: str, train: bool) -> str | None:
    # XLA's own matrix product on CPU walks a weight (num_hidden, K) against its grain: 12 ms against 0.8 for 8 rows,
    # 2048 to 1000.
    if platform != "cpu" or train:
        return None
    return "vector" if _rows(a, specs[0]) == 1 else "transposed"


fully_connected.choose = _choose
