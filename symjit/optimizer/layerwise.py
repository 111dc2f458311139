"""Optimizers for large batches, which decide a rate for each layer. MXNet: ``LARS``, ``LBSGD``, ``LAMB``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from math import inf, sqrt
from typing import Any

import numpy as np

from symjit.ndarray import NDArray
from symjit.ops import optim
from symjit.optimizer.descent import momenta
from symjit.optimizer.optimizer import Optimizer, aggregation, bound, register, zeros_like
from symjit.optimizer.rule import LOW_PRECISION, Rule, run

__all__ = ["LAMB", "LARS", "LBSGD"]

_COMMON = "lr wd rescale_grad clip_gradient"


@register
class LARS(Optimizer):
    """`SGD` with a rate for each layer: `symjit.ops.optim.lars`. Source: MXNet ``LARS``.

    Parameters whose names end in ``gamma``, ``beta`` or ``bias`` keep the common rate, and those whose names do not end
    in ``_weight`` have no weight decay. States are those of `SGD`. The correction of the momentum holds for the first
    `aggregate_num` parameters of a step only, as in MXNet.

    Args:
        momentum: factor of the last step.
        lazy_update: concerns sparse gradients only.
        eta: factor of the layer's rate.
        eps: added to its denominator.
        momentum_correction: scale the momentum as a scheduler changes the rate.
        **kwargs: those of `Optimizer`.
    """

    _master = 1
    _progress = ("cur_lr", "last_lr")

    def __init__(
        self,
        momentum: float = 0.0,
        lazy_update: bool = True,
        eta: float = 0.001,
        eps: float = 0,
        momentum_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.momentum_correction = momentum_correction
        self.lazy_update = lazy_update
        self.aggregate_num = aggregation(4)
        self.eta = eta
        self.eps = eps
        self.skip = 0
        self.last_lr: float | None = None
        self.cur_lr: float | None = None

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith("_weight")

    def _get_lrs(self, indices: Sequence[Any]) -> list[Any]:
        lr = self.learning_rate
        self.last_lr = lr if self.cur_lr is None else self.cur_lr
        self.cur_lr = lr
        return [self._multiplied(lr, index, "lr_mult") for index in indices]

    def create_state(self, index: Any, weight: NDArray) -> NDArray | None:
        """Return zeros like the weight, or None without momentum."""
        return zeros_like(weight) if self.momentum != 0.0 else None

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = f"{_COMMON} eta eps adapts"
        if self.momentum > 0:
            return self._made(optim.lars_mom, multi_precision, 1, f"{numbers} momentum")
        return self._made(optim.lars, multi_precision, (0, 1), numbers)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, those of the layer's rate, and the momentum as corrected."""
        return self.hypers([index])[0]

    def hypers(self, indices: Sequence[Any]) -> list[dict[str, float]]:
        """Return `hyper` of each index; the rate of the last call is looked at once for all."""
        lrs, momentum = self._get_lrs(indices), self.momentum
        if self.momentum_correction and self.last_lr and self.cur_lr is not None:
            momentum = self.momentum * (self.cur_lr / self.last_lr)
        common = {"rescale_grad": self.rescale_grad, "clip_gradient": bound(self.clip_gradient), "momentum": momentum}
        made = []
        for index, lr, wd in zip(indices, lrs, self._get_wds(indices), strict=True):
            adapts = not str(self.idx2name.get(index, index)).endswith(("gamma", "beta", "bias"))
            made.append({**common, "lr": lr, "wd": wd, "eta": self.eta, "eps": self.eps, "adapts": float(adapts)})
        return made


@register
class LBSGD(Optimizer):
    """`SGD` for batches that are gathered from several, with a warm-up of the rate. Source: MXNet ``LBSGD``.

    Every `batch_scale` updates of a parameter the mean of its gradients is stepped by, at a rate that grows to
    `batch_scale` times the given one. As in MXNet the rate is that before the update is counted, and the first
    gradient is held by reference. States are those of `SGD`, but ``(float32 copy, state)`` with `multi_precision`.
    There is a pure rule where `batch_scale` is 1.

    Args:
        momentum: factor of the last step.
        multi_precision: see `Optimizer`.
        warmup_strategy: how the rate grows: ``linear``, ``power2``, ``sqrt``; ``lars`` adapts it to each layer instead.
        warmup_epochs: how long it grows.
        batch_scale: how many batches make a large one.
        updates_per_epoch: the length of an epoch.
        begin_epoch: the first epoch.
        num_epochs: not used.
        **kwargs: those of `Optimizer`.
    """

    _progress = ("cumgrads",)

    def __init__(
        self,
        momentum: float = 0.0,
        multi_precision: bool = False,
        warmup_strategy: str = "linear",
        warmup_epochs: int = 5,
        batch_scale: int = 1,
        updates_per_epoch: int = 32,
        begin_epoch: int = 0,
        num_epochs: int = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        logging.info(
            "large-batch SGD: batch_scale=%f, warmup_epochs=%d, warmup_strategy=%s, updates_per_epoch=%d",
            batch_scale,
            warmup_epochs,
            warmup_strategy,
            updates_per_epoch,
        )
        self.momentum = momentum
        self.multi_precision = multi_precision
        self.warmup_strategy = warmup_strategy
        self.warmup_epochs = warmup_epochs
        self.batch_scale = batch_scale
        self.updates_per_epoch = updates_per_epoch
        self.init_updates = begin_epoch * updates_per_epoch
        self.num_epochs = num_epochs
        self.lbmult = 1
        self.cumgrads: dict[Any, dict[str, Any]] = {}
        self.adaptive = False
        self.admult = 1
        self._rates: dict[Any, Any] = {}  # of each index, before its update was counted

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"_rates": {}, **state})  # MXNet saves no such attribute

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Return zeros like the weight or None; with `multi_precision` of a low-precision weight ``(state, copy)``."""
        if self.multi_precision and np.dtype(weight.dtype) in LOW_PRECISION:
            return (zeros_like(weight, "float32") if self.momentum != 0.0 else None), weight.astype("float32")
        return zeros_like(weight) if self.momentum != 0.0 else None

    def rule(self, multi_precision: bool | None = None, indices: Sequence[Any] = ()) -> Rule | None:
        """Return the pure form where every batch is a step, else None."""
        return super().rule(multi_precision, indices) if self.batch_scale == 1 else None

    def _rule(self, multi_precision: bool) -> Rule:
        fn = optim.lbsgd if self._adapts else optim.sgd_mom
        return self._made(fn, multi_precision, momenta(self.momentum), f"{_COMMON} momentum")

    @property
    def _adapts(self) -> bool:
        return self.warmup_strategy == "lars"

    def _update_count(self, index: Any) -> None:
        for idx in index if isinstance(index, (tuple, list)) else [index]:
            vars(self).setdefault("_rates", {})[idx] = self._get_lr(idx)  # MXNet's files have none
            super()._update_count(idx)
            gathered = self.cumgrads.setdefault(idx, {"cum_grad": None, "num_cums": self.init_updates})
            gathered["num_cums"] += 1

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, at the rate of the warm-up, and the momentum (0 for one below zero)."""
        factor = 1 if self._adapts else self._get_lbmult(self.cumgrads[index]["num_cums"])
        lr = self._rates[index] * factor
        return {**self._common(index), "lr": lr, "momentum": max(self.momentum, 0.0)}

    def _get_lbmult(self, nup: int) -> float:
        """Return the factor of the rate after `nup` batches."""
        length, largest = self.warmup_epochs * self.updates_per_epoch, float(self.batch_scale)
        if nup >= length:
            return largest
        if length <= 1:
            return 1.0
        part = nup / length
        growth = {"linear": part, "power2": part * part, "sqrt": sqrt(part)}
        return 1.0 + (largest - 1) * growth.get(self.warmup_strategy, 0.0)

    def _run(self, index: Any, weight: Any, grad: Any, state: Any, multi_precision: bool) -> None:
        if not isinstance(index, (tuple, list)):
            index, weight, grad, state = [index], [weight], [grad], [state]
        for i, w, g, s in zip(index, weight, grad, state, strict=True):
            self._update_count(i)
            gathered = self.cumgrads[i]
            total = gathered["cum_grad"]
            gathered["cum_grad"] = g if total is None else total + g
            if gathered["num_cums"] % self.batch_scale != 0:
                continue
            rule = self._rule(multi_precision)
            if not multi_precision and isinstance(s, (tuple, list)):
                rule = replace(rule, master=1)  # made by `create_state`
            run(rule, [w], [gathered["cum_grad"] / self.batch_scale], [s], [self.hyper(i)])
            gathered["cum_grad"] = 0


@register
class LAMB(Optimizer):
    """`Adam` with steps in proportion to the layer's weights: `symjit.ops.optim.lamb`. Source: MXNet ``LAMB``.

    The weight decay is beside the moments, within the norm. The state is ``(mean, variance)``.

    Args:
        learning_rate: the rate.
        beta1: decay of the mean.
        beta2: decay of the variance.
        epsilon: added to the root of the variance.
        lower_bound: the least norm of the weights in the step's length; None or 0 for none.
        upper_bound: the largest one.
        bias_correction: correct the moments for their start from zero.
        **kwargs: those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | None = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        bias_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound
        self.bias_correction = bias_correction
        self.aggregate_num = max(1, min(45, aggregation(45)))

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return a mean and a variance of zeros."""
        return zeros_like(weight), zeros_like(weight)

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = f"{_COMMON} beta1 beta2 epsilon correction1 correction2 lower_bound upper_bound"
        return self._made(optim.lamb, multi_precision, 2, numbers)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, the decays, the corrections of this step, and the bounds."""
        t = self._index_update_count[index]
        lower, upper = self.lower_bound or 0.0, self.upper_bound or 0.0
        return {
            **self._common(index),
            "beta1": self.beta1,
            "beta2": self.beta2,
            "epsilon": self.epsilon,
            "correction1": float_correction(self.beta1, t) if self.bias_correction else 1.0,
            "correction2": float_correction(self.beta2, t) if self.bias_correction else 1.0,
            "lower_bound": max(lower, 0.0),
            "upper_bound": upper if upper > 0 else inf,
        }


def float_correction(beta: float, t: int) -> float:
    """Return ``1 - beta^t`` as MXNet's compiled rules have it: the power is rounded to float32.

    ``1 - 0.999^2`` is off by up to 1e-5 for that.
    """
    return float(np.float32(1) - np.float32(float(np.float32(beta)) ** t))
