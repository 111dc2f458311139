"""Gradient descent, with one rate for all."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from symjit.ops.draws import in_a_row
from symjit.ops.optim.gradients import Array, Arrays, clipped

__all__ = ["dcasgd", "dcasgd_mom", "nag", "plain_sum", "sgd", "sgd_mom", "sgld", "signum"]


def sgd(
    weight: Array, grad: Array, *kept: Array, lr: Array, wd: Array, rescale_grad: Array, clip_gradient: Array
) -> Arrays:
    """Step against the gradient: ``w -= lr (clip(rescale g) + wd w)``. Source: MXNet ``sgd_update``.

    States in `kept` are returned as they are: MXNet leaves the momentum alone where its factor is zero or below.
    """
    return (weight - lr * (clipped(grad, rescale_grad, clip_gradient) + wd * weight), *kept)


def sgd_mom(
    weight: Array,
    grad: Array,
    mom: Array = None,
    *,
    lr: Array,
    momentum: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step with momentum: ``m = momentum m - lr (clip(rescale g) + wd w)``, ``w += m``; without `mom` do as `sgd`.

    Source: MXNet ``sgd_mom_update``.
    """
    if mom is None:
        return sgd(weight, grad, lr=lr, wd=wd, rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    mom = momentum * mom - lr * (clipped(grad, rescale_grad, clip_gradient) + wd * weight)
    return weight + mom, mom


def nag(
    weight: Array,
    grad: Array,
    mom: Array = None,
    *,
    lr: Array,
    momentum: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step with Nesterov's momentum; without `mom` do as `sgd`. Source: MXNet ``nag_mom_update``.

    ``g = clip(rescale grad)``, ``w' = w + momentum^2 m - (1 + momentum) lr (g + wd w)``,
    ``m = momentum m - lr (g + wd w')``: MXNet writes the weight before the momentum, which decays the new one.
    """
    if mom is None:
        return sgd(weight, grad, lr=lr, wd=wd, rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    grad = clipped(grad, rescale_grad, clip_gradient)
    ahead = momentum * mom - lr * (grad + wd * weight)
    new = weight + momentum * ahead - lr * (grad + wd * weight)
    return new, momentum * mom - lr * (grad + wd * new)


def signum(
    weight: Array,
    grad: Array,
    mom: Array = None,
    *,
    lr: Array,
    momentum: Array,
    wd: Array,
    wd_lh: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step by the momentum's sign. Source: MXNet ``signum_update``; Bernstein et al., arXiv:1802.04434.

    ``m = momentum m - (1 - momentum) (clip(rescale g) + wd w)``, ``w = (1 - lr wd_lh) w + lr sign(m)``. Without `mom`
    ``w = (1 - lr wd) w - lr sign(g)`` (``signsgd_update``), whatever the other numbers are.
    """
    if mom is None:
        return ((1 - lr * wd) * weight - lr * jnp.sign(grad),)
    mom = momentum * mom - (1 - momentum) * (clipped(grad, rescale_grad, clip_gradient) + wd * weight)
    return (1 - lr * wd_lh) * weight + lr * jnp.sign(mom), mom


def sgld(
    weight: Array, grad: Array, *, lr: Array, wd: Array, rescale_grad: Array, clip_gradient: Array, key: Array
) -> Arrays:
    """Half a gradient step and Langevin noise: ``w -= lr/2 (clip(rescale g) + wd w)``, ``w += N(0, lr)``.

    Source: MXNet ``mx.optimizer.SGLD``.
    """
    step = lr / 2 * (clipped(grad, rescale_grad, clip_gradient) + wd * weight)
    return (weight - step + jnp.sqrt(lr) * in_a_row(jax.random.normal, key, weight.shape, weight.dtype),)


def _compensated(
    weight: Array,
    grad: Array,
    previous: Array,
    lr: Array,
    wd: Array,
    lamda: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Array:
    grad = clipped(grad, rescale_grad, clip_gradient)
    return -lr * (grad + wd * weight + lamda * grad * grad * (weight - previous))


def dcasgd(
    weight: Array,
    grad: Array,
    previous: Array,
    *,
    lr: Array,
    wd: Array,
    lamda: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step with compensation of the delay since the weight was `previous`. Source: MXNet ``mx.optimizer.DCASGD``.

    ``w += -lr (g + wd w + lamda g^2 (w - previous))``; Zheng et al., arXiv:1609.08326.
    """
    return weight + _compensated(weight, grad, previous, lr, wd, lamda, rescale_grad, clip_gradient), weight


def dcasgd_mom(
    weight: Array,
    grad: Array,
    mom: Array,
    previous: Array,
    *,
    lr: Array,
    momentum: Array,
    wd: Array,
    lamda: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Do as `dcasgd`, with momentum."""
    mom = momentum * mom + _compensated(weight, grad, previous, lr, wd, lamda, rescale_grad, clip_gradient)
    return weight + mom, mom, weight


def plain_sum(weight: Array, grad: Array, state: Array, *, rescale_grad: Array) -> Arrays:
    """Add the rescaled gradient; the state becomes a copy of the weight. Source: MXNet ``mx.optimizer.Test``."""
    weight = weight + grad * rescale_grad
    return weight, weight
