"""Dropout."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp

from symjit.ops.attrs import Float
from symjit.ops.draws import in_a_row
from symjit.ops.registry import op
from symjit.ops.shapes import normalize_axis, same

__all__: list[str] = []


@op(
    "Dropout",
    ignored=("cudnn_off",),
    cast="any",
    rows=lambda a: a.mode != "always",
    draws=lambda a, train: train or a.mode == "always",
)
def dropout(
    data: Any,
    *,
    p: Annotated[float, Float(0.0, 1.0, dynamic=True)] = 0.5,
    mode: Literal["training", "always"] = "training",
    axes: tuple[int, ...] = (),
    key: Any,
    train: bool,
) -> Any:
    """Set elements to zero with probability `p` and multiply the others by ``1 / (1 - p)``.

    Only a training forward does so, unless ``mode="always"``; otherwise data passes unchanged. Along `axes` all
    elements share one fate. data (any shape) -> same shape and dtype. The random stream is not MXNet's.
    """
    if (not train and mode != "always") or (isinstance(p, (int, float)) and p == 0):
        return data
    shared = {normalize_axis(axis, data.ndim) for axis in axes}
    shape = tuple(1 if i in shared else size for i, size in enumerate(data.shape))
    keep = 1.0 - jnp.asarray(p).astype(jnp.float32)
    kept = in_a_row(jax.random.uniform, key, shape, jnp.float32) < keep
    return jnp.where(kept, data / keep.astype(data.dtype), jnp.zeros_like(data))


dropout.shape(same)
dropout.idle = lambda a: a.mode != "always"


@dropout.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any]:
    return {"axes": tuple(sorted(perm.index(normalize_axis(axis, len(perm))) for axis in a.axes))}
