"""Random numbers of a shape, drawn in a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symjit.ops.shapes import prod

__all__ = ["in_a_row"]


def in_a_row(sampler: Callable[..., Any], key: Any, shape: tuple[int, ...], dtype: Any, *bounds: Any) -> Any:
    """Return ``sampler(key, shape, dtype, *bounds)``, with a sampler of `jax.random` whose elements are independent.

    JAX counts the elements axis by axis, which takes XLA several times as long to compile for four axes as for one,
    and a third longer to run on CPU. In a row they get the same numbers.
    """
    return sampler(key, (prod(shape),), dtype, *bounds).reshape(shape)
