"""Learning rates that depend on the number of updates. Source: MXNet ``mx.lr_scheduler``.

A scheduler maps `num_update`, the largest number of updates that any weight has received so far (an optimizer counts
the one it is about to make), to a learning rate. Everything is Python floats, computed in MXNet's order, so that the
numbers are MXNet's to the last bit.

Schedulers keep the last learning rate in `base_lr`. They go forward only: a call with a smaller `num_update` than
before returns the rate that has been reached, but for the warm-up and for the formulas of `PolyScheduler` and
`CosineScheduler`, which follow `num_update` both ways.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from math import cos, pi

from symjit.base import shown

__all__ = ["CosineScheduler", "FactorScheduler", "LRScheduler", "MultiFactorScheduler", "PolyScheduler"]


class LRScheduler:
    """Base class: the learning rate, and a warm-up before the schedule proper begins.

    Below `warmup_steps` updates the rate is ``warmup_begin_lr + (base_lr - warmup_begin_lr) * n / warmup_steps``
    (``"linear"``), or `warmup_begin_lr` (``"constant"``). A subclass defines ``__call__(num_update)``.

    Args:
        base_lr: the learning rate to start from, and to warm up to.
        warmup_steps: how many updates the warm-up takes; an int.
        warmup_begin_lr: where it begins, at most `base_lr`.
        warmup_mode: ``"linear"`` or ``"constant"``.

    Raises:
        AssertionError: `warmup_steps` is no int.
        ValueError: one of the others is out of range.
    """

    def __init__(
        self,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        _check_int(self, "warmup_steps", warmup_steps)
        if warmup_begin_lr > base_lr:
            raise ValueError(
                f"a warm-up leads to base_lr from below: expected warmup_begin_lr <= base_lr, got {warmup_begin_lr} and"
                f" {base_lr}. The optimizer's learning rate does not count here: pass base_lr to the scheduler, too"
            )
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps must not be negative, got {warmup_steps}")
        _check_mode(warmup_mode)
        self.base_lr = base_lr
        self.warmup_steps = warmup_steps
        self.warmup_final_lr = base_lr
        self.warmup_begin_lr = warmup_begin_lr
        self.warmup_mode = warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """Return the rate of an update in the warm-up.

        Raises:
            AssertionError: the warm-up is over by then.
            ValueError: `warmup_mode` has been changed to something unknown.
        """
        if num_update >= self.warmup_steps:
            raise AssertionError(f"update {num_update} does not belong to a warm-up of {self.warmup_steps} steps")
        _check_mode(self.warmup_mode)
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        gain = (self.warmup_final_lr - self.warmup_begin_lr) * float(num_update) / float(self.warmup_steps)
        return self.warmup_begin_lr + gain

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of an update.

        Args:
            num_update: the largest number of updates of any weight, this one included.

        Raises:
            NotImplementedError: this is the base class.
        """
        raise NotImplementedError(f"{type(self).__name__} must override __call__(num_update)")


class FactorScheduler(LRScheduler):
    """Multiply the learning rate by `factor` every `step` updates: first at update ``step + 1``.

    Args:
        step: the number of updates between two changes, at least 1.
        factor: at most 1.
        stop_factor_lr: the rate does not fall below it.
        base_lr: see `LRScheduler`, as for the others.
        warmup_steps: the warm-up's updates are counted as any others, but change nothing before it is over.
        warmup_begin_lr: where the warm-up begins.
        warmup_mode: ``"linear"`` or ``"constant"``.

    Raises:
        ValueError: `step` or `factor` is out of range, or as for `LRScheduler`.
    """

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        _check_step(step)
        _check_factor(factor)
        self.step = step
        self.factor = factor
        self.stop_factor_lr = stop_factor_lr
        self.count = 0

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of an update; changes that were skipped are made up for, each with a log line."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr *= self.factor
            if self.base_lr < self.stop_factor_lr:
                self.base_lr = self.stop_factor_lr
                logging.info(
                    "Update[%d]: now learning rate arrived at %0.5e, will not change in the future",
                    num_update,
                    self.base_lr,
                )
            else:
                _log_change(num_update, self.base_lr)
        return self.base_lr


class MultiFactorScheduler(LRScheduler):
    """Multiply the learning rate by `factor` after each of the updates listed: first at update ``step[0] + 1``.

    Args:
        step: a list of numbers of updates, increasing, the first at least 1.
        factor: at most 1.
        base_lr: see `LRScheduler`, as for the others.
        warmup_steps: steps that fall into the warm-up take effect at its end.
        warmup_begin_lr: where the warm-up begins.
        warmup_mode: ``"linear"`` or ``"constant"``.

    Raises:
        AssertionError: `step` is no list, or empty.
        ValueError: `step` or `factor` is out of range, or as for `LRScheduler`.
    """

    def __init__(
        self,
        step: list[int],
        factor: float = 1,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, list) or not step:
            raise AssertionError(f"MultiFactorScheduler: step must be a list of at least one int, got {shown(step)}")
        for i, each in enumerate(step):
            if i and each <= step[i - 1]:
                raise ValueError(
                    f"step must be increasing, got {shown(step)}: sort it, and leave out what occurs twice"
                )
            _check_step(each)
        _check_factor(factor)
        self.step = step
        self.cur_step_ind = 0
        self.factor = factor
        self.count = 0

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of an update; steps that were skipped are made up for, each with a log line."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
            _log_change(num_update, self.base_lr)
        return self.base_lr


class _Decay(LRScheduler, ABC):
    """A fall from the base rate to `final_lr` between the warm-up and update `max_update`, by a formula.

    The last rate stays from then on: that of the last call up to `max_update`, whichever update it was for.
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        _check_int(self, "max_update", max_update)
        if max_update < 1:
            raise ValueError(f"max_update must be at least 1, got {max_update}")
        # An optimizer with a learning rate of its own writes it to `base_lr`; as in MXNet the fall starts from here.
        self.base_lr_orig = base_lr
        self.max_update = max_update
        self.final_lr = final_lr
        self.max_steps = max_update - warmup_steps

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of an update.

        Raises:
            ZeroDivisionError: it is update `max_update`, and the warm-up ends just there.
        """
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update <= self.max_update:
            if self.max_steps == 0:
                raise ZeroDivisionError(
                    f"{type(self).__name__}: a warm-up of {self.warmup_steps} steps leaves no update up to"
                    f" max_update={self.max_update}: shorten the warm-up"
                )
            self.base_lr = self._fallen(num_update - self.warmup_steps)
        return self.base_lr

    @abstractmethod
    def _fallen(self, done: int) -> float:
        """Return the rate `done` updates after the warm-up."""


class PolyScheduler(_Decay):
    """Let the learning rate fall to `final_lr` as ``final_lr + (base_lr - final_lr) * (1 - n / N) ** pwr``.

    n counts updates from the end of the warm-up, N is ``max_update - warmup_steps``.

    Args:
        max_update: the update from which on the rate does not change; an int, at least 1.
        base_lr: see `LRScheduler`, as for the warm-up.
        pwr: the power.
        final_lr: the rate at `max_update`.
        warmup_steps: the warm-up's length.
        warmup_begin_lr: where the warm-up begins.
        warmup_mode: ``"linear"`` or ``"constant"``.

    Raises:
        AssertionError: `max_update` is no int.
        ValueError: `max_update` is below 1, or as for `LRScheduler`.
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: float = 2,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.power = pwr

    def _fallen(self, done: int) -> float:
        left = pow(1 - float(done) / float(self.max_steps), self.power)
        return self.final_lr + (self.base_lr_orig - self.final_lr) * left


class CosineScheduler(_Decay):
    """Let the learning rate fall to `final_lr` as ``final_lr + (base_lr - final_lr) * (1 + cos(pi * n / N)) / 2``.

    n and N are those of `PolyScheduler`, and so are the arguments and errors, but for `pwr`.
    """

    def _fallen(self, done: int) -> float:
        # In this order: (1 + cos) / 2 first would round otherwise.
        return self.final_lr + (self.base_lr_orig - self.final_lr) * (1 + cos(pi * done / self.max_steps)) / 2


def _check_int(scheduler: LRScheduler, name: str, value: object) -> None:
    if not isinstance(value, int):
        raise AssertionError(f"{type(scheduler).__name__}: {name} must be an int, got {shown(value)}: write int(...)")


def _check_mode(mode: str) -> None:
    if mode not in ("linear", "constant"):
        raise ValueError(f"warmup_mode must be 'linear' or 'constant', got {mode!r}")


def _check_step(step: int) -> None:
    if step < 1:
        raise ValueError(f"step must be at least 1 update, got {step}")


def _check_factor(factor: float) -> None:
    if factor > 1.0:
        raise ValueError(f"factor must be at most 1, so that the learning rate falls, got {factor}")


def _log_change(num_update: int, lr: float) -> None:
    # On the root logger, as in MXNet: programs that call logging.basicConfig see it.
    logging.info("Update[%d]: Change learning rate to %0.5e", num_update, lr)
