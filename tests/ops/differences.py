"""Derivatives by central differences, beside those that JAX gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

#: Half the distance of the two points: the third root of float64's rounding leaves the most digits.
STEP = 1e-6


def slopes(
    loss: Callable[..., Any], inputs: Sequence[np.ndarray], trials: Sequence[Mapping[int, np.ndarray]]
) -> Iterator[tuple[float, float]]:
    """Yield the slope of a scalar function along directions: by its gradient, then by differences.

    One program computes value and gradient everywhere, little optimised, for compiling takes much longer than running.

    Args:
        loss: the function, of all inputs.
        inputs: where the slope is taken, in float64.
        trials: directions by the number of the input; the others stay as they are.
    """
    moved = sorted({i for trial in trials for i in trial})
    run = jax.jit(
        jax.value_and_grad(loss, argnums=tuple(moved)), compiler_options={"xla_backend_optimization_level": 0}
    )
    grads = dict(zip(moved, run(*inputs)[1], strict=True))
    for trial in trials:
        there, back = (
            float(run(*[x + step * trial[i] if i in trial else x for i, x in enumerate(inputs)])[0])
            for step in (STEP, -STEP)
        )
        yield sum(float(np.vdot(grads[i], each)) for i, each in trial.items()), (there - back) / (2 * STEP)
