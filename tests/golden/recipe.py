"""Parameters by recipe: large golden networks whose weights need not be stored.

NumPy only. ``RandomState`` promises the same stream for a seed in every release of NumPy, and the seed of an array is
the CRC-32 of its name, so the MXNet environment and the tests draw the same numbers in any order.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np


def draw(name: str, shape: Sequence[int]) -> np.ndarray:
    """Return the value of one array, float32, decided by its name and shape.

    - ``*_weight``: He-normal, standard deviation ``sqrt(2 / fan_in)``
    - ``*_gamma``: uniform in 0.5..0.9, below one so that residual branches do not blow up the sum
    - ``*_beta``, ``*_bias``, ``*_mean``: normal, standard deviation 0.1
    - ``*_var``: uniform in 0.8..1.2
    - anything else (inputs): standard normal
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    kind = name.rpartition("_")[2]
    if kind == "weight":
        x = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif kind == "gamma":
        x = rng.uniform(0.5, 0.9, shape)
    elif kind == "var":
        x = rng.uniform(0.8, 1.2, shape)
    elif kind in {"beta", "bias", "mean"}:
        x = rng.standard_normal(shape) * 0.1
    else:
        x = rng.standard_normal(shape)
    return x.astype(np.float32)


def parameters(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Return all parameters of a checkpoint.

    Args:
        shapes: shape of each array under its name in the checkpoint, ``arg:NAME`` or ``aux:NAME``.

    Returns:
        The arrays under the same names, float32; the prefix plays no part in the numbers.
    """
    return {name: draw(name.partition(":")[2], shape) for name, shape in shapes.items()}
