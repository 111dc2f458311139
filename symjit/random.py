"""The stateful source of random keys behind the imperative API. MXNet: ``mx.random.seed``.

``mx.random.uniform`` and its like are those of ``mx.nd.random``; the package puts them here.
"""

from __future__ import annotations

import operator
import os
import threading
from typing import Any

import jax
import numpy as np

from symjit.base import MXNetError
from symjit.context import Context

__all__ = ["next_generator", "next_key", "seed"]


class _Source:
    """A seed and a count of the keys drawn from it, per device where a device was seeded by itself."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.base: dict[Context | None, Any] = {}
        self.drawn: dict[Context | None, int] = {}

    def reset(self, seed: int, ctx: Context | None) -> None:
        with self.lock:
            if ctx is None:
                self.base.clear()
                self.drawn.clear()
            self.base[ctx] = jax.random.key(seed & 0xFFFFFFFF)
            self.drawn[ctx] = 0

    def next(self, ctx: Context | None) -> Any:
        with self.lock:
            slot = ctx if ctx in self.base else None
            if slot not in self.base:
                self.base[slot] = jax.random.key(int.from_bytes(os.urandom(4), "little"))
                self.drawn[slot] = 0
            self.drawn[slot] += 1
            return _fold(self.base[slot], self.drawn[slot])


_source = _Source()
_fold = jax.jit(jax.random.fold_in)


def seed(seed_state: int, ctx: str | Context = "all") -> None:
    """Seed the random numbers of all devices, or of one.

    Args:
        seed_state: any integer; its low 32 bits count.
        ctx: ``"all"``, or the context whose stream is seeded.

    The streams are JAX's: the same seed gives the same numbers in every process and on every device, but not the
    numbers that MXNet drew.

    Raises:
        MXNetError: the seed is not an integer.
    """
    try:
        number = operator.index(seed_state)
    except TypeError:
        raise MXNetError(f"seed: expected an integer, got {seed_state!r}") from None
    if ctx != "all" and not isinstance(ctx, Context):
        raise MXNetError(f"seed: ctx must be 'all' or a Context, got {ctx!r}")
    _source.reset(number, None if ctx == "all" else ctx)  # type: ignore[arg-type]


def next_key(ctx: Context | None = None) -> Any:
    """Return a fresh JAX random key for a computation on `ctx`."""
    return _source.next(ctx)


def next_generator(ctx: Context | None = None) -> np.random.Generator:
    """Return a NumPy generator seeded by the next key, for numbers drawn once: nothing is compiled for them."""
    words = np.asarray(jax.random.key_data(next_key(ctx)))
    return np.random.Generator(np.random.Philox(key=int.from_bytes(words.tobytes(), "little")))
