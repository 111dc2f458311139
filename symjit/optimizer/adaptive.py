"""Optimizers with a rate for each element. MXNet: ``mx.optimizer.Adam`` and others."""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

from symjit.ndarray import NDArray
from symjit.ops import optim
from symjit.optimizer.descent import exact_bound
from symjit.optimizer.layerwise import float_correction
from symjit.optimizer.optimizer import Optimizer, register, zeros_like
from symjit.optimizer.rule import Rule

__all__ = ["FTML", "AdaDelta", "AdaGrad", "Adam", "Adamax", "Ftrl", "Nadam", "RMSProp"]

_COMMON = "lr wd rescale_grad clip_gradient"


@register
class Adam(Optimizer):
    """Steps by the ratio of the gradient's moments: `symjit.ops.optim.adam`. Source: MXNet ``Adam``; arXiv:1412.6980.

    The weight decay is part of the gradient, inside of clipping; `epsilon` is not corrected. The state is
    ``(mean, variance)``.

    Args:
        learning_rate: the rate.
        beta1: decay of the mean.
        beta2: decay of the variance.
        epsilon: added to the root of the variance.
        lazy_update: concerns sparse gradients only.
        **kwargs: those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | None = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lazy_update = lazy_update

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return a mean and a variance of zeros."""
        return zeros_like(weight), zeros_like(weight)

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.adam, multi_precision, 2, f"{_COMMON} beta1 beta2 epsilon")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, with the corrections in the rate, and the decays."""
        common, t = self._common(index), self._index_update_count[index]
        lr = common["lr"] * (sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t))
        return {**common, "lr": lr, "beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}


@register
class Adamax(Optimizer):
    """`Adam` with the decaying maximum in place of the variance: `symjit.ops.optim.adamax`. Source: MXNet ``Adamax``.

    The state is ``(mean, maximum)``. An element whose gradients have all been zero becomes NaN, as in MXNet.

    Args:
        learning_rate: the rate.
        beta1: decay of the mean.
        beta2: decay of the maximum.
        **kwargs: those of `Optimizer`.
    """

    def __init__(
        self, learning_rate: float | None = 0.002, beta1: float = 0.9, beta2: float = 0.999, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return a mean and a maximum of zeros."""
        return zeros_like(weight), zeros_like(weight)

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.adamax, multi_precision, 2, f"{_COMMON} beta1 rest1 beta2")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, with the correction in the rate, and the decays."""
        common, t = self._common(index), self._index_update_count[index]
        return {
            **common,
            "lr": common["lr"] / (1.0 - self.beta1**t),
            "clip_gradient": exact_bound(self.clip_gradient),
            "beta1": self.beta1,
            "rest1": 1.0 - self.beta1,
            "beta2": self.beta2,
        }


@register
class Nadam(Optimizer):
    """`Adam` with Nesterov's momentum: `symjit.ops.optim.nadam`. Source: MXNet ``Nadam``.

    The product of the momenta runs over the updates of all parameters, as in MXNet, not over steps. The state is
    ``(mean, variance)``.

    Args:
        learning_rate: the rate.
        beta1: decay of the mean.
        beta2: decay of the variance.
        epsilon: added to the root of the variance.
        schedule_decay: how fast the momentum grows to `beta1`.
        **kwargs: those of `Optimizer`.
    """

    _progress = ("m_schedule",)

    def __init__(
        self,
        learning_rate: float | None = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return a mean and a variance of zeros."""
        return zeros_like(weight), zeros_like(weight)

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = "beta1 rest1 beta2 rest2 epsilon rest_now momentum_next correction_now correction_next correction2"
        return self._made(optim.nadam, multi_precision, 2, f"{_COMMON} {numbers}")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, the decays and the momenta of this step, which it counts."""
        t = self._index_update_count[index]
        now, following = (self.beta1 * (1.0 - 0.5 * 0.96 ** (n * self.schedule_decay)) for n in (t, t + 1))
        self.m_schedule *= now
        return {
            **self._common(index),
            "clip_gradient": exact_bound(self.clip_gradient),
            "beta1": self.beta1,
            "rest1": 1.0 - self.beta1,
            "beta2": self.beta2,
            "rest2": 1.0 - self.beta2,
            "epsilon": self.epsilon,
            "rest_now": 1.0 - now,
            "momentum_next": following,
            "correction_now": 1.0 - self.m_schedule,
            "correction_next": 1.0 - self.m_schedule * following,
            "correction2": 1.0 - self.beta2**t,
        }


@register
class FTML(Optimizer):
    """Follow the moving leader: `symjit.ops.optim.ftml`. Source: MXNet ``FTML``.

    The state is ``(d, v, z)``.

    Args:
        beta1: decay of the leader, near 0.5.
        beta2: decay of the squares, near 1.
        epsilon: added to the root of the squares.
        **kwargs: those of `Optimizer`.
    """

    def __init__(self, beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return three arrays of zeros."""
        return zeros_like(weight), zeros_like(weight), zeros_like(weight)

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.ftml, multi_precision, 3, f"{_COMMON} beta1 beta2 epsilon correction1 correction2")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, the decays and the corrections of this step."""
        t = self._index_update_count[index]
        return {
            **self._common(index),
            "beta1": self.beta1,
            "beta2": self.beta2,
            "epsilon": self.epsilon,
            "correction1": float_correction(self.beta1, t),
            "correction2": float_correction(self.beta2, t),
        }


@register
class AdaGrad(Optimizer):
    """Steps by the gradient over the root of the sum of its squares: `symjit.ops.optim.adagrad`. Source: ``AdaGrad``.

    The weight decay is beside that ratio. The state is the sum, float32.

    Args:
        eps: added to the sum, within the root.
        **kwargs: those of `Optimizer`.
    """

    def __init__(self, eps: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: NDArray) -> NDArray:
        """Return zeros of the weight's shape, float32."""
        return zeros_like(weight, "float32")

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.adagrad, multi_precision, 1, f"{_COMMON} epsilon")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers and `eps`."""
        clip = exact_bound(self.clip_gradient)
        return {**self._common(index), "clip_gradient": clip, "epsilon": self.float_stable_eps}


@register
class RMSProp(Optimizer):
    """Steps by the gradient over its running root mean square. Source: MXNet ``RMSProp``.

    `symjit.ops.optim.rmsprop`, state ``(n,)``, or with `centered` `symjit.ops.optim.rmsprop_centered`, state
    ``(n, g, delta)``; float32. `epsilon` is within the root, the weight decay part of the gradient.

    Args:
        learning_rate: the rate.
        gamma1: decay of the moments.
        gamma2: factor of the last step, if `centered`.
        epsilon: added within the root.
        centered: divide by the standard deviation (Graves) in place of the root mean square (Tieleman and Hinton).
        clip_weights: bound of the magnitude of the weights; None or 0 for none.
        **kwargs: those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | None = 0.001,
        gamma1: float = 0.9,
        gamma2: float = 0.9,
        epsilon: float = 1e-8,
        centered: bool = False,
        clip_weights: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1 = gamma1
        self.gamma2 = gamma2
        self.centered = centered
        self.epsilon = epsilon
        self.clip_weights = clip_weights

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, ...]:
        """Return one array of zeros, or three if `centered`; float32."""
        return tuple(zeros_like(weight, "float32") for _ in range(3 if self.centered else 1))

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = f"{_COMMON} gamma1 epsilon clip_weights"
        if self.centered:
            return self._made(optim.rmsprop_centered, multi_precision, 3, f"{numbers} gamma2")
        return self._made(optim.rmsprop, multi_precision, 1, numbers)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, the decays and the bound of the weights."""
        bound = self.clip_weights or 0.0
        return {
            **self._common(index),
            "gamma1": self.gamma1,
            "gamma2": self.gamma2,
            "epsilon": self.epsilon,
            "clip_weights": bound if bound > 0 else inf,
        }


@register
class AdaDelta(Optimizer):
    """Steps by the ratio of two running root mean squares: `symjit.ops.optim.adadelta`. Source: MXNet ``AdaDelta``.

    There is no learning rate. The state is ``(squares, deltas)``, float32. Deviation from MXNet, which multiplies the
    gradient array itself by `rescale_grad`: the gradient is left as it is.

    Args:
        rho: decay of both means.
        epsilon: added within the roots.
        **kwargs: those of `Optimizer`.
    """

    def __init__(self, rho: float = 0.90, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return two arrays of zeros, float32."""
        return zeros_like(weight, "float32"), zeros_like(weight, "float32")

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.adadelta, multi_precision, 2, "wd rescale_grad clip_gradient rho rest epsilon")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers and the decay."""
        return {
            **self._common(index),
            "clip_gradient": exact_bound(self.clip_gradient),
            "rho": self.rho,
            "rest": 1.0 - self.rho,
            "epsilon": self.epsilon,
        }


@register
class Ftrl(Optimizer):
    """Follow the regularized leader: `symjit.ops.optim.ftrl`. Source: MXNet ``Ftrl``.

    The state is ``(z, n)``, float32. A scheduler's ``base_lr`` is not replaced by `learning_rate`, as in MXNet.

    Args:
        lamda1: strength of the L1 penalty.
        learning_rate: the rate.
        beta: added to the root in the rate's denominator.
        **kwargs: those of `Optimizer`; `wd` is the strength of the L2 penalty.
    """

    def __init__(self, lamda1: float = 0.01, learning_rate: float = 0.1, beta: float = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lamda1 = lamda1
        self.beta = beta
        self.lr = learning_rate

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return two arrays of zeros, float32."""
        return zeros_like(weight, "float32"), zeros_like(weight, "float32")

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.ftrl, multi_precision, 2, f"{_COMMON} lamda1 beta")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers and those of the penalty."""
        return {**self._common(index), "lamda1": self.lamda1, "beta": self.beta}
