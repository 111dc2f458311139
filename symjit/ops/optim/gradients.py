"""What several rules do with a gradient."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

__all__ = ["Array", "Arrays", "clipped", "decayed", "limited", "moments"]

Array = Any
Arrays = tuple[Any, ...]


def limited(x: Array, bound: Array) -> Array:
    """Return `x` inside of ``[-bound, bound]``; NaN stays NaN.

    The upper bound is looked at first, as in MXNet: it shows where a bound is negative, which some optimizers take.
    """
    return jnp.where(x > bound, bound, jnp.where(x < -bound, -bound, x))


def clipped(grad: Array, rescale_grad: Array, clip_gradient: Array) -> Array:
    """Return the rescaled gradient inside of the bounds."""
    return limited(grad * rescale_grad, clip_gradient)


def decayed(weight: Array, grad: Array, wd: Array, rescale_grad: Array, clip_gradient: Array) -> Array:
    """Return the rescaled gradient with the weight decay, clipped together."""
    return limited(grad * rescale_grad + wd * weight, clip_gradient)


def moments(grad: Array, mean: Array, var: Array, beta1: Array, beta2: Array) -> tuple[Array, Array]:
    """Return the running means of the gradient and of its square."""
    return beta1 * mean + (1 - beta1) * grad, beta2 * var + (1 - beta2) * grad * grad
