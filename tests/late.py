"""Arrays that are computed for a while: whoever reads one has waited for it, and `is_ready` tells."""

from __future__ import annotations

import jax
import numpy as np

_SIZE = 512


@jax.jit
def _after_work(x: jax.Array, square: jax.Array) -> jax.Array:
    for _ in range(12):  # a loop of XLA's would count as cheap, and the call as one that may wait
        square = square @ square
    return x + 0 * square[0, 0]


def late(x: np.ndarray) -> jax.Array:
    """Return a float32 array of the values of `x`, some ten milliseconds before they are there."""
    device = jax.devices()[0]
    work = jax.device_put(np.full((_SIZE, _SIZE), 1 / _SIZE, np.float32), device)
    return _after_work(jax.device_put(x.astype(np.float32), device), work)
