"""Gradient descent, with its momenta, signs, noise and delays. MXNet: ``mx.optimizer.SGD`` and its kin."""

from __future__ import annotations

from math import inf
from typing import Any

from symjit.ndarray import NDArray
from symjit.ops import optim
from symjit.optimizer.optimizer import Optimizer, aggregation, register, zeros_like
from symjit.optimizer.rule import Rule

__all__ = ["DCASGD", "NAG", "SGD", "SGLD", "Signum", "Test", "ccSGD"]

_COMMON = "lr wd rescale_grad clip_gradient"


@register
class SGD(Optimizer):
    """Stochastic gradient descent with momentum: `symjit.ops.optim.sgd` and `sgd_mom`. Source: MXNet ``SGD``.

    The weight decay is added after clipping. A momentum below zero is taken for none, as in MXNet. The state is None,
    or the momentum; with `multi_precision` ``(state, float32 copy)``.

    Args:
        momentum: factor of the last step.
        lazy_update: concerns sparse gradients only.
        **kwargs: those of `Optimizer`.
    """

    _master = 1

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lazy_update = lazy_update
        self.aggregate_num = aggregation(4)

    def create_state(self, index: Any, weight: NDArray) -> NDArray | None:
        """Return zeros like the weight, or None without momentum."""
        return zeros_like(weight) if self.momentum != 0.0 else None

    def _rule(self, multi_precision: bool) -> Rule:
        if self.momentum > 0:
            return self._made(optim.sgd_mom, multi_precision, 1, f"{_COMMON} momentum")
        return self._made(optim.sgd, multi_precision, (0, 1), _COMMON)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers and the momentum."""
        return {**self._common(index), "momentum": self.momentum}


@register
class ccSGD(SGD):
    """`SGD` under a name that MXNet deprecated."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


@register
class NAG(Optimizer):
    """Nesterov's accelerated gradient: `symjit.ops.optim.nag`. Source: MXNet ``NAG``.

    States are those of `SGD`.

    Args:
        momentum: factor of the last step; without it this is `SGD`.
        **kwargs: those of `Optimizer`.
    """

    _master = 1

    def __init__(self, momentum: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum

    def create_state(self, index: Any, weight: NDArray) -> NDArray | None:
        """Return zeros like the weight, or None without momentum."""
        return zeros_like(weight) if self.momentum != 0.0 else None

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.nag, multi_precision, momenta(self.momentum), f"{_COMMON} momentum")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers and the momentum, 0 for one below zero."""
        return {**self._common(index), "momentum": max(self.momentum, 0.0)}


@register
class Signum(Optimizer):
    """Steps of one length, by the sign of the momentum: `symjit.ops.optim.signum`. Source: MXNet ``Signum``.

    Without momentum (``signsgd``) the gradient is neither rescaled nor clipped, and `wd_lh` is not used. The state is
    None, or the momentum.

    Args:
        learning_rate: the rate.
        momentum: factor of the running mean of gradients.
        wd_lh: weight decay beside the sign.
        **kwargs: those of `Optimizer`.
    """

    def __init__(
        self, learning_rate: float | None = 0.01, momentum: float = 0.9, wd_lh: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum
        self.wd_lh = wd_lh

    def create_state(self, index: Any, weight: NDArray) -> NDArray | None:
        """Return zeros like the weight, or None without momentum."""
        return zeros_like(weight) if self.momentum != 0.0 else None

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.signum, multi_precision, momenta(self.momentum), f"{_COMMON} momentum wd_lh")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, the momentum (0 for one below zero) and the decay beside the sign."""
        return {**self._common(index), "momentum": max(self.momentum, 0.0), "wd_lh": self.wd_lh}


@register
class SGLD(Optimizer):
    """Stochastic gradient Langevin dynamics: `symjit.ops.optim.sgld`. Source: MXNet ``SGLD``.

    It draws from `mx.random`. There is no state.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.sgld, multi_precision, 0, _COMMON, draws=True)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers."""
        return {**self._common(index), "clip_gradient": exact_bound(self.clip_gradient)}


@register
class DCASGD(Optimizer):
    """Descent with compensation of delays: `symjit.ops.optim.dcasgd`. Source: MXNet ``DCASGD``.

    The state is ``(None or momentum, previous weight)``. Deviation from MXNet, which fails with a momentum unless the
    weight is a single number: the momentum works.

    Args:
        momentum: factor of the last step.
        lamda: strength of the compensation.
        **kwargs: those of `Optimizer`.
    """

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.weight_previous: dict[Any, Any] = {}
        self.lamda = lamda

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray | None, NDArray]:
        """Return the momentum, if there is one, and a copy of the weight."""
        return (zeros_like(weight) if self.momentum != 0.0 else None), weight.copy()

    def _rule(self, multi_precision: bool) -> Rule:
        if self.momentum == 0.0:
            return self._made(optim.dcasgd, multi_precision, 1, f"{_COMMON} lamda")
        return self._made(optim.dcasgd_mom, multi_precision, 2, f"{_COMMON} lamda momentum")

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, the momentum and the strength of the compensation."""
        clip = exact_bound(self.clip_gradient)
        return {**self._common(index), "clip_gradient": clip, "momentum": self.momentum, "lamda": self.lamda}


@register
class Test(Optimizer):
    """Adds the rescaled gradient to the weight, and copies that into the state. Source: MXNet ``Test``."""

    __test__ = False  # pytest takes classes of this name for its own

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def create_state(self, index: Any, weight: NDArray) -> NDArray:
        """Return zeros like the weight, float32."""
        return zeros_like(weight, "float32")

    def _rule(self, multi_precision: bool) -> Rule:
        return self._made(optim.plain_sum, multi_precision, 1, "rescale_grad")


def momenta(momentum: float) -> int | tuple[int, int]:
    """Return how many arrays a state may have: one if there was a momentum, also where it has been set to 0 since."""
    return 1 if momentum != 0.0 else (0, 1)


def exact_bound(clip: float | None) -> float:
    """Return the bound of rules that MXNet wrote in Python: zero is a bound there."""
    return inf if clip is None else clip
