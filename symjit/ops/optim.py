"""Update rules of optimizers: pure functions of a weight, its gradient and its states.

Each is ``rule(weight, grad, *states, **numbers) -> (weight, *states)``. All arrays of a call have one floating dtype;
the numbers are scalars of that dtype (traced ones, so that a new learning rate compiles nothing). `clip_gradient` is
the bound of the gradient's magnitude, infinity for none.

MXNet has two kinds of rules. Its compiled ones get ``beta`` as float32 and subtract that from one; those that it wrote
in Python subtract in double precision first. ``1 - 0.999`` differs in the fifth digit between the two, so the second
kind takes what the decay leaves as a number of its own, ``rest``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from symjit.ops.draws import in_a_row

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "dcasgd",
    "dcasgd_mom",
    "ftml",
    "ftrl",
    "group_adagrad",
    "lamb",
    "lars",
    "lars_mom",
    "lbsgd",
    "nadam",
    "nag",
    "plain_sum",
    "rmsprop",
    "rmsprop_centered",
    "sgd",
    "sgd_mom",
    "sgld",
    "signum",
]

Array = Any
Arrays = tuple[Any, ...]


def _limited(x: Array, bound: Array) -> Array:
    """Return `x` inside of ``[-bound, bound]``; NaN stays NaN.

    The upper bound is looked at first, as in MXNet: it shows where a bound is negative, which some optimizers take.
    """
    return jnp.where(x > bound, bound, jnp.where(x < -bound, -bound, x))


def _clipped(grad: Array, rescale_grad: Array, clip_gradient: Array) -> Array:
    """Return the rescaled gradient inside of the bounds."""
    return _limited(grad * rescale_grad, clip_gradient)


def _decayed(weight: Array, grad: Array, wd: Array, rescale_grad: Array, clip_gradient: Array) -> Array:
    """Return the rescaled gradient with the weight decay, clipped together."""
    return _limited(grad * rescale_grad + wd * weight, clip_gradient)


# Gradient descent -----------------------------------------------------------------------------------------------------


def sgd(
    weight: Array, grad: Array, *kept: Array, lr: Array, wd: Array, rescale_grad: Array, clip_gradient: Array
) -> Arrays:
    """Step against the gradient: ``w -= lr (clip(rescale g) + wd w)``. Source: MXNet ``sgd_update``.

    States in `kept` are returned as they are: MXNet leaves the momentum alone where its factor is zero or below.
    """
    return (weight - lr * (_clipped(grad, rescale_grad, clip_gradient) + wd * weight), *kept)


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
    mom = momentum * mom - lr * (_clipped(grad, rescale_grad, clip_gradient) + wd * weight)
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
    grad = _clipped(grad, rescale_grad, clip_gradient)
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
    mom = momentum * mom - (1 - momentum) * (_clipped(grad, rescale_grad, clip_gradient) + wd * weight)
    return (1 - lr * wd_lh) * weight + lr * jnp.sign(mom), mom


def sgld(
    weight: Array, grad: Array, *, lr: Array, wd: Array, rescale_grad: Array, clip_gradient: Array, key: Array
) -> Arrays:
    """Half a gradient step and Langevin noise: ``w -= lr/2 (clip(rescale g) + wd w)``, ``w += N(0, lr)``.

    Source: MXNet ``mx.optimizer.SGLD``.
    """
    step = lr / 2 * (_clipped(grad, rescale_grad, clip_gradient) + wd * weight)
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
    grad = _clipped(grad, rescale_grad, clip_gradient)
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


# One rate per layer ---------------------------------------------------------------------------------------------------


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
    grad = _clipped(grad, rescale_grad, clip_gradient)
    mean, var = _moments(grad, mean, var, beta1, beta2)
    step = (mean / correction1) / (jnp.sqrt(var / correction2) + epsilon) + wd * weight
    weights, steps = jnp.minimum(jnp.maximum(_norm(weight), lower_bound), upper_bound), _norm(step)
    whole = (weights == 0) | (steps == 0)
    ratio = jnp.where(whole, jnp.ones_like(weights), weights / jnp.where(whole, jnp.ones_like(steps), steps))
    return weight - lr * ratio * step, mean, var


# One rate per element -------------------------------------------------------------------------------------------------


def _moments(grad: Array, mean: Array, var: Array, beta1: Array, beta2: Array) -> tuple[Array, Array]:
    return beta1 * mean + (1 - beta1) * grad, beta2 * var + (1 - beta2) * grad * grad


def adam(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    *,
    lr: Array,
    beta1: Array,
    beta2: Array,
    epsilon: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step by the ratio of the moments: ``w -= lr m / (sqrt(v) + epsilon)``. Source: MXNet ``adam_update``.

    The moments are of ``clip(rescale g + wd w)``; the correction of their bias is in `lr`.
    """
    grad = _decayed(weight, grad, wd, rescale_grad, clip_gradient)
    mean, var = _moments(grad, mean, var, beta1, beta2)
    return weight - lr * mean / (jnp.sqrt(var) + epsilon), mean, var


def adamw(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    *,
    lr: Array,
    eta: Array,
    beta1: Array,
    beta2: Array,
    epsilon: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Do as `adam`, with the decay beside it: ``w -= eta (lr m / (sqrt(v) + epsilon) + wd w)``.

    Nothing changes where `rescale_grad` is zero, infinite or NaN. Source: MXNet ``_contrib_adamw_update``; Loshchilov
    and Hutter, arXiv:1711.05101.
    """
    runs = jnp.isfinite(rescale_grad) & (rescale_grad != 0)
    grad = _clipped(grad, jnp.where(runs, rescale_grad, jnp.zeros_like(rescale_grad)), clip_gradient)
    new_mean, new_var = _moments(grad, mean, var, beta1, beta2)
    stepped = weight - eta * (lr * new_mean / (jnp.sqrt(new_var) + epsilon) + wd * weight)
    return jnp.where(runs, stepped, weight), jnp.where(runs, new_mean, mean), jnp.where(runs, new_var, var)


def adamax(
    weight: Array,
    grad: Array,
    mean: Array,
    largest: Array,
    *,
    lr: Array,
    beta1: Array,
    rest1: Array,
    beta2: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step by the mean over the decaying maximum: ``w -= lr m / u``. Source: MXNet ``mx.optimizer.Adamax``.

    ``u = max(beta2 u, |g|)``; where it is still zero the weight becomes NaN, as in MXNet. The correction of the mean's
    bias is in `lr`.
    """
    grad = _decayed(weight, grad, wd, rescale_grad, clip_gradient)
    mean = beta1 * mean + rest1 * grad
    largest = jnp.maximum(beta2 * largest, jnp.abs(grad))
    return weight - lr * mean / largest, mean, largest


def nadam(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    *,
    lr: Array,
    beta1: Array,
    rest1: Array,
    beta2: Array,
    rest2: Array,
    epsilon: Array,
    rest_now: Array,
    momentum_next: Array,
    correction_now: Array,
    correction_next: Array,
    correction2: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step as Adam does, with Nesterov's momentum on a schedule. Source: MXNet ``mx.optimizer.Nadam``.

    ``w -= lr (rest_now g / correction_now + momentum_next m / correction_next) / (sqrt(v / correction2) + epsilon)``
    """
    grad = _decayed(weight, grad, wd, rescale_grad, clip_gradient)
    mean = beta1 * mean + rest1 * grad
    var = beta2 * var + rest2 * grad * grad
    step = rest_now * (grad / correction_now) + momentum_next * (mean / correction_next)
    return weight - lr * step / (jnp.sqrt(var / correction2) + epsilon), mean, var


def ftml(
    weight: Array,
    grad: Array,
    d: Array,
    v: Array,
    z: Array,
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
) -> Arrays:
    """Follow the moving leader: ``w = -z / d``. Source: MXNet ``ftml_update``; Zheng and Kwok, ICML 2017.

    ``d' = correction1 / lr (sqrt(v / correction2) + epsilon)``, ``z = beta1 z + (1 - beta1) g - (d' - beta1 d) w``.
    """
    grad = _decayed(weight, grad, wd, rescale_grad, clip_gradient)
    v = beta2 * v + (1 - beta2) * grad * grad
    new_d = correction1 / lr * (jnp.sqrt(v / correction2) + epsilon)
    z = beta1 * z + (1 - beta1) * grad - (new_d - beta1 * d) * weight
    return -z / new_d, new_d, v, z


def adagrad(
    weight: Array,
    grad: Array,
    history: Array,
    *,
    lr: Array,
    epsilon: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step by the gradient over the root of all its squares: ``w -= lr (g / sqrt(h + epsilon) + wd w)``.

    Source: MXNet ``mx.optimizer.AdaGrad``.
    """
    grad = _clipped(grad, rescale_grad, clip_gradient)
    history = history + grad * grad
    return weight - lr * (grad / jnp.sqrt(history + epsilon) + wd * weight), history


def group_adagrad(
    weight: Array, grad: Array, history: Array, *, lr: Array, epsilon: Array, rescale_grad: Array, clip_gradient: Array
) -> Arrays:
    """Do as `adagrad`, with one rate per row: history (N, 1) sums the means of rows of squares; weight (N, M).

    Source: MXNet ``mx.optimizer.contrib.GroupAdaGrad``.
    """
    grad = _clipped(grad, rescale_grad, clip_gradient)
    history = history + jnp.mean(grad * grad, axis=1, keepdims=True)
    return weight - lr * grad / jnp.sqrt(history + epsilon), history


def adadelta(
    weight: Array,
    grad: Array,
    squares: Array,
    deltas: Array,
    *,
    rho: Array,
    rest: Array,
    epsilon: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Step by the ratio of two running root mean squares, without a rate. Source: MXNet ``mx.optimizer.AdaDelta``.

    ``delta = sqrt(deltas + epsilon) / sqrt(squares + epsilon) g``, ``w -= delta + wd w``.
    """
    grad = _clipped(grad, rescale_grad, clip_gradient)
    squares = rho * squares + rest * grad * grad
    delta = jnp.sqrt(deltas + epsilon) / jnp.sqrt(squares + epsilon) * grad
    deltas = rho * deltas + rest * delta * delta
    return weight - (delta + wd * weight), squares, deltas


def rmsprop(
    weight: Array,
    grad: Array,
    n: Array,
    *,
    lr: Array,
    gamma1: Array,
    epsilon: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
    clip_weights: Array,
) -> Arrays:
    """Step by the gradient over its running root mean square: ``w -= lr g / sqrt(n + epsilon)``.

    Source: MXNet ``rmsprop_update``; Tieleman and Hinton, 2012. The new weight is clipped at `clip_weights`.
    """
    grad = _decayed(weight, grad, wd, rescale_grad, clip_gradient)
    n = gamma1 * n + (1 - gamma1) * grad * grad
    return _limited(weight - lr * (grad / jnp.sqrt(n + epsilon)), clip_weights), n


def rmsprop_centered(
    weight: Array,
    grad: Array,
    n: Array,
    g: Array,
    delta: Array,
    *,
    lr: Array,
    gamma1: Array,
    gamma2: Array,
    epsilon: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
    clip_weights: Array,
) -> Arrays:
    """Step by the gradient over its running standard deviation, with momentum. Source: MXNet ``rmspropalex_update``.

    ``delta = gamma2 delta - lr grad / sqrt(n - g^2 + epsilon)``, ``w += delta``; Graves, arXiv:1308.0850, 38 to 45.
    """
    grad = _decayed(weight, grad, wd, rescale_grad, clip_gradient)
    n = gamma1 * n + (1 - gamma1) * grad * grad
    g = gamma1 * g + (1 - gamma1) * grad
    delta = gamma2 * delta - lr * (grad / jnp.sqrt(n - g * g + epsilon))
    return _limited(weight + delta, clip_weights), n, g, delta


def ftrl(
    weight: Array,
    grad: Array,
    z: Array,
    n: Array,
    *,
    lr: Array,
    lamda1: Array,
    beta: Array,
    wd: Array,
    rescale_grad: Array,
    clip_gradient: Array,
) -> Arrays:
    """Follow the regularized leader. Source: MXNet ``ftrl_update``; McMahan et al., KDD 2013.

    ``z += g - (sqrt(n + g^2) - sqrt(n)) w / lr``, ``n += g^2``,
    ``w = (sign(z) lamda1 - z) / ((beta + sqrt(n)) / lr + wd)`` where ``|z| > lamda1``, else 0.
    """
    grad = _clipped(grad, rescale_grad, clip_gradient)
    squares = n + grad * grad
    z = z + grad - (jnp.sqrt(squares) - jnp.sqrt(n)) * weight / lr
    leader = (jnp.sign(z) * lamda1 - z) / ((beta + jnp.sqrt(squares)) / lr + wd)
    return jnp.where(jnp.abs(z) > lamda1, leader, jnp.zeros_like(leader)), z, squares
