"""Rules with one rate for each element."""

from __future__ import annotations

import jax.numpy as jnp

from symjit.ops.optim.gradients import Array, Arrays, clipped, decayed, limited, moments

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftml",
    "ftrl",
    "group_adagrad",
    "nadam",
    "rmsprop",
    "rmsprop_centered",
]


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
    grad = decayed(weight, grad, wd, rescale_grad, clip_gradient)
    mean, var = moments(grad, mean, var, beta1, beta2)
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
    grad = clipped(grad, jnp.where(runs, rescale_grad, jnp.zeros_like(rescale_grad)), clip_gradient)
    new_mean, new_var = moments(grad, mean, var, beta1, beta2)
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
    grad = decayed(weight, grad, wd, rescale_grad, clip_gradient)
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
    grad = decayed(weight, grad, wd, rescale_grad, clip_gradient)
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
    grad = decayed(weight, grad, wd, rescale_grad, clip_gradient)
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
    grad = clipped(grad, rescale_grad, clip_gradient)
    history = history + grad * grad
    return weight - lr * (grad / jnp.sqrt(history + epsilon) + wd * weight), history


def group_adagrad(
    weight: Array, grad: Array, history: Array, *, lr: Array, epsilon: Array, rescale_grad: Array, clip_gradient: Array
) -> Arrays:
    """Do as `adagrad`, with one rate per row: history (N, 1) sums the means of rows of squares; weight (N, M).

    Source: MXNet ``mx.optimizer.contrib.GroupAdaGrad``.
    """
    grad = clipped(grad, rescale_grad, clip_gradient)
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
    grad = clipped(grad, rescale_grad, clip_gradient)
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
    grad = decayed(weight, grad, wd, rescale_grad, clip_gradient)
    n = gamma1 * n + (1 - gamma1) * grad * grad
    return limited(weight - lr * (grad / jnp.sqrt(n + epsilon)), clip_weights), n


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
    grad = decayed(weight, grad, wd, rescale_grad, clip_gradient)
    n = gamma1 * n + (1 - gamma1) * grad * grad
    g = gamma1 * g + (1 - gamma1) * grad
    delta = gamma2 * delta - lr * (grad / jnp.sqrt(n - g * g + epsilon))
    return limited(weight + delta, clip_weights), n, g, delta


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
    grad = clipped(grad, rescale_grad, clip_gradient)
    squares = n + grad * grad
    z = z + grad - (jnp.sqrt(squares) - jnp.sqrt(n)) * weight / lr
    leader = (jnp.sign(z) * lamda1 - z) / ((beta + jnp.sqrt(squares)) / lr + wd)
    return jnp.where(jnp.abs(z) > lamda1, leader, jnp.zeros_like(leader)), z, squares
