"""Contributed optimizers. MXNet: ``mx.optimizer.contrib``."""

from __future__ import annotations

from math import sqrt
from typing import Any

from symjit import ndarray as nd
from symjit.ndarray import NDArray
from symjit.ops import optim
from symjit.optimizer.descent import exact_bound
from symjit.optimizer.optimizer import Optimizer, register, zeros_like
from symjit.optimizer.rule import Rule

__all__ = ["AdamW", "GroupAdaGrad"]


@register
class GroupAdaGrad(Optimizer):
    """`AdaGrad` with one rate for each row of a matrix: `symjit.ops.optim.group_adagrad`. Source: ``GroupAdaGrad``.

    The state is (rows, 1), float32. There is no weight decay.

    Args:
        eps: added to the sum, within the root.
        **kwargs: those of `Optimizer`.
    """

    def __init__(self, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: NDArray) -> NDArray:
        """Return zeros, one for each row.

        Raises:
            AssertionError: the weight is no matrix.
        """
        if len(weight.shape) != 2:
            raise AssertionError(
                f"GroupAdaGrad: expected weights with two dimensions, got shape {weight.shape} for index {index!r};"
                " give the others an optimizer of their own"
            )
        return nd.zeros((weight.shape[0], 1), weight.context)

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = "lr rescale_grad clip_gradient epsilon"
        return self._made(optim.group_adagrad, multi_precision, 1, numbers)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers and `eps`.

        Raises:
            AssertionError: the parameter has a weight decay.
        """
        common = self._common(index)
        if common["wd"] != 0:
            raise AssertionError(
                f"GroupAdaGrad: weight decay is not supported, got wd={common['wd']} for index {index!r}; leave wd at 0"
            )
        return {**common, "clip_gradient": exact_bound(self.clip_gradient), "epsilon": self.float_stable_eps}


@register
class AdamW(Optimizer):
    """`Adam` with the weight decay beside it: `symjit.ops.optim.adamw`.

    ``w -= lr (c m / (sqrt(v) + epsilon) + wd w)``, where ``c`` corrects the bias of the moments. MXNet 1.9.1 has the
    operator ``mx.nd.contrib.adamw_update`` alone; this is an optimizer around its rule. The state is ``(mean,
    variance)``.

    Args:
        learning_rate: the rate, of the decay too.
        beta1: decay of the mean.
        beta2: decay of the variance.
        epsilon: added to the root of the variance.
        correct_bias: correct the moments for their start from zero.
        **kwargs: those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | None = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        correct_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.correct_bias = correct_bias

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return a mean and a variance of zeros."""
        return zeros_like(weight), zeros_like(weight)

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = "lr eta wd rescale_grad clip_gradient beta1 beta2 epsilon"
        return self._made(optim.adamw, multi_precision, 2, numbers)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, with the learning rate as ``eta`` and the correction as ``lr``, and the decays."""
        common, t = self._common(index), self._index_update_count[index]
        correction = sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t) if self.correct_bias else 1.0
        decays = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}
        return {**common, "eta": common["lr"], "lr": correction, **decays}
