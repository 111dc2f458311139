"""Rules with one rate for each layer."""

from __future__ import annotations

import jax.numpy as jnp

from symjit.ops.optim.descent import sgd, sgd_mom
from symjit.ops.optim.gradients import Array, Arrays, clipped, moments

__all__ = ["lamb", "lars", "lars_mom", "lbsgd"]


def _norm(x: Array) -> Array:
    return jnp.sqrt(jnp.sum(x * x))


def _lars_rate(
    weight: Array, grad: Array, lr: Array, wd: Array, rescale_grad: Array, eta: Array, eps: Array, adapts: Array
) -> Array:
    weights, grads = _norm(weight), _norm(grad)
    adapts = (adapts > 0) & (weights > 0) & (grads > 0)
    divisor = grads * rescale_grad + wd * weights + eps
    return jnp.where(adapts, lr * eta * weights / jnp.where(adapts, divisor, jnp.ones_like(divisor)), lr)


def lars(
    weight: Array,
    grad: Array,
    *kept: Array,
    lr: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
    eta: Array,
    eps: Array,
    adapts: Array,
) -> Arrays:
    """Do as `sgd`, with a rate for the layer: ``lr eta |w| / (rescale |g| + wd |w| + eps)``.

    The rate is `lr` where one of the norms is zero or `adapts` is (biases and what belongs to normalization). Source:
    MXNet ``multi_lars``; You et al., arXiv:1708.03888.
    """
    lr = _lars_rate(weight, grad, lr, wd, rescale_grad, eta, eps, adapts)
    return sgd(weight, grad, *kept, lr=lr, wd=wd, rescale_grad=rescale_grad, clip_gradient=clip_gradient)


def lars_mom(
    weight: Array,
    grad: Array,
    mom: Array,
    *,
    lr: Array,
    momentum: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
    eta: Array,
    eps: Array,
    adapts: Array,
) -> Arrays:
    """Do as `sgd_mom`, with the layer's rate of `lars`."""
    lr = _lars_rate(weight, grad, lr, wd, rescale_grad, eta, eps, adapts)
    numbers = {"lr": lr, "momentum": momentum, "wd": wd, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return sgd_mom(weight, grad, mom, **numbers)


def _lbsgd_rate(weight: Array, grad: Array, lr: Array, wd: Array) -> Array:
    weights, grads = jnp.sum(weight * weight), jnp.sum(grad * grad)
    return lr * jnp.clip(jnp.sqrt(weights / (grads + wd * weights + 1e-18)), 0.01, 100)


def lbsgd(
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
    """Do as `sgd_mom`, with a rate for the layer: ``lr sqrt(|w|^2 / (|g|^2 + wd |w|^2))``, the root within 0.01..100.

    The gradient's norm is that before rescaling. Source: MXNet ``mx.optimizer.LBSGD``, ``warmup_strategy="lars"``.
    """
    lr = _lbsgd_rate(weight, grad, lr, wd)
    numbers = {"lr": lr, "momentum": momentum, "wd": wd, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return sgd_mom(weight, grad, mom, **numbers)


def lamb(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    *,
    lr: Array,
    beta1: Array,
    beta2: Array,
    epsilon: Array,
    correction1: Array,
    correction2: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
    lower_bound: Array,
    upper_bound: Array,
) -> Arrays:
    """Step as Adam would, by a length in proportion to the layer's weights. Source: MXNet ``lamb_update_phase1`` and 2.

    ``u = (m / c1) / (sqrt(v / c2) + epsilon) + wd w``, ``w -= lr |w| / |u| u``; the factor is 1 where a norm is zero,
    and ``|w|`` in it lies within the bounds. You et al., arXiv:1904.00962.
    """
    grad = clipped(grad, rescale_grad, clip_gradient)
    mean, var = moments(grad, mean, var, beta1, beta2)
    step = (mean / correction1) / (jnp.sqrt(var / correction2) + epsilon) + wd * weight
    weights, steps = jnp.minimum(jnp.maximum(_norm(weight), lower_bound), upper_bound), _norm(step)
    whole = (weights == 0) | (steps == 0)
    ratio = jnp.where(whole, jnp.ones_like(weights), weights / jnp.where(whole, jnp.ones_like(steps), steps))
    return weight - lr * ratio * step, mean, var
