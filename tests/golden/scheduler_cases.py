"""Learning-rate schedules to compare: constructors, and the updates that each is asked for.

The module that defines the schedulers is an argument, so that MXNet writes the numbers and the tests compare with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Schedule(NamedTuple):
    """A scheduler, and the changes that an optimizer makes to it before the first update."""

    kind: str
    arguments: dict[str, Any]
    base_lr: float | None = None


#: Numbers of updates: one after the other; with gaps; with repetitions and steps back; far ahead and back at once.
CALLS: dict[str, Sequence[int]] = {
    "each": range(0, 41),
    "gaps": (1, 4, 9, 10, 11, 17, 30, 31, 100),
    "back": (1, 2, 2, 12, 5, 3, 12, 21, 20, 21, 19, 6, 1, 0, 33, 7),
    "far": (500, 1, 12, 20, 21, 500),
}

_WARM = {"warmup_steps": 6, "warmup_begin_lr": 0.003}

SCHEDULES: dict[str, Schedule] = {
    "factor": Schedule("FactorScheduler", {"step": 5, "factor": 0.7}),
    "factor_default": Schedule("FactorScheduler", {"step": 3}),
    "factor_each": Schedule("FactorScheduler", {"step": 1, "factor": 0.93, "base_lr": 0.4}),
    "factor_stop": Schedule("FactorScheduler", {"step": 4, "factor": 0.3, "stop_factor_lr": 1e-3, "base_lr": 0.1}),
    "factor_stop_above": Schedule("FactorScheduler", {"step": 4, "factor": 0.5, "stop_factor_lr": 0.5}),
    "factor_zero": Schedule("FactorScheduler", {"step": 7, "factor": 0, "base_lr": 1}),
    "factor_negative": Schedule("FactorScheduler", {"step": 7, "factor": -0.5, "stop_factor_lr": -1.0}),
    "factor_fraction": Schedule("FactorScheduler", {"step": 2.5, "factor": 0.9}),
    "factor_warm": Schedule("FactorScheduler", {"step": 5, "factor": 0.7, **_WARM}),
    "factor_warm_constant": Schedule("FactorScheduler", {"step": 5, "factor": 0.7, "warmup_mode": "constant", **_WARM}),
    "factor_warm_long": Schedule("FactorScheduler", {"step": 5, "factor": 0.7, "warmup_steps": 18}),
    "factor_changed": Schedule("FactorScheduler", {"step": 5, "factor": 0.7, **_WARM}, base_lr=0.2),
    "multi": Schedule("MultiFactorScheduler", {"step": [3, 10, 20], "factor": 0.1}),
    "multi_default": Schedule("MultiFactorScheduler", {"step": [3]}),
    "multi_dense": Schedule("MultiFactorScheduler", {"step": [1, 2, 3, 11], "factor": 0.37, "base_lr": 0.05}),
    "multi_warm": Schedule("MultiFactorScheduler", {"step": [3, 10, 20], "factor": 0.1, **_WARM}),
    "multi_warm_constant": Schedule(
        "MultiFactorScheduler", {"step": [3, 10, 20], "factor": 0.1, "warmup_mode": "constant", **_WARM}
    ),
    "multi_changed": Schedule("MultiFactorScheduler", {"step": [3, 10], "factor": 0.1, **_WARM}, base_lr=0.7),
    "poly": Schedule("PolyScheduler", {"max_update": 30}),
    "poly_fraction": Schedule("PolyScheduler", {"max_update": 31, "base_lr": 0.3, "pwr": 0.9, "final_lr": 1e-3}),
    "poly_one": Schedule("PolyScheduler", {"max_update": 1, "base_lr": 0.3, "pwr": 1, "final_lr": 0.1}),
    "poly_rising": Schedule("PolyScheduler", {"max_update": 20, "base_lr": 0.1, "pwr": 3, "final_lr": 0.4}),
    "poly_warm": Schedule("PolyScheduler", {"max_update": 29, "final_lr": 1e-4, **_WARM}),
    "poly_warm_constant": Schedule("PolyScheduler", {"max_update": 29, "warmup_mode": "constant", **_WARM}),
    "poly_warm_beyond": Schedule("PolyScheduler", {"max_update": 4, **_WARM}),
    "poly_changed": Schedule("PolyScheduler", {"max_update": 20, **_WARM}, base_lr=0.7),
    "cosine": Schedule("CosineScheduler", {"max_update": 30}),
    "cosine_final": Schedule("CosineScheduler", {"max_update": 31, "base_lr": 0.3, "final_lr": 1e-3}),
    "cosine_one": Schedule("CosineScheduler", {"max_update": 1, "base_lr": 0.3, "final_lr": 0.1}),
    "cosine_warm": Schedule("CosineScheduler", {"max_update": 29, "final_lr": 1e-4, **_WARM}),
    "cosine_warm_constant": Schedule("CosineScheduler", {"max_update": 29, "warmup_mode": "constant", **_WARM}),
    "cosine_warm_beyond": Schedule("CosineScheduler", {"max_update": 4, **_WARM}),
    "cosine_changed": Schedule("CosineScheduler", {"max_update": 20, **_WARM}, base_lr=0.7),
}

#: Constructors that are refused, and calls that are.
REFUSED: dict[str, Callable[[Any], Any]] = {
    "base": lambda m: m.LRScheduler()(1),
    "warmup_above_base": lambda m: m.LRScheduler(0.1, 5, 0.2),
    "warmup_steps_float": lambda m: m.LRScheduler(warmup_steps=5.0),
    "warmup_steps_negative": lambda m: m.LRScheduler(warmup_steps=-1),
    "warmup_mode": lambda m: m.LRScheduler(warmup_mode="quadratic"),
    "warmup_mode_case": lambda m: m.FactorScheduler(1, warmup_mode="Linear"),
    "warmup_over": lambda m: m.LRScheduler(warmup_steps=5).get_warmup_lr(5),
    "factor_step": lambda m: m.FactorScheduler(0),
    "factor_above_one": lambda m: m.FactorScheduler(1, 1.5),
    "multi_tuple": lambda m: m.MultiFactorScheduler((1, 2)),
    "multi_int": lambda m: m.MultiFactorScheduler(5),
    "multi_empty": lambda m: m.MultiFactorScheduler([]),
    "multi_equal": lambda m: m.MultiFactorScheduler([3, 3]),
    "multi_falling": lambda m: m.MultiFactorScheduler([3, 2]),
    "multi_zero": lambda m: m.MultiFactorScheduler([0, 2]),
    "multi_above_one": lambda m: m.MultiFactorScheduler([1, 2], 1.01),
    "poly_float": lambda m: m.PolyScheduler(10.0),
    "poly_zero": lambda m: m.PolyScheduler(0),
    "poly_all_warm": lambda m: m.PolyScheduler(5, warmup_steps=5)(5),
    "cosine_float": lambda m: m.CosineScheduler(10.0),
    "cosine_zero": lambda m: m.CosineScheduler(0),
    "cosine_all_warm": lambda m: m.CosineScheduler(5, warmup_steps=5)(5),
}


def make(module: Any, schedule: Schedule) -> Any:
    """Return the scheduler, made with the classes of `module`."""
    arguments = {name: list(value) if isinstance(value, list) else value for name, value in schedule.arguments.items()}
    made = getattr(module, schedule.kind)(**arguments)
    if schedule.base_lr is not None:
        made.base_lr = schedule.base_lr
    return made


def rates(module: Any, schedule: Schedule, calls: Sequence[int]) -> list[float]:
    """Return what one new scheduler answers to these calls in turn."""
    made = make(module, schedule)
    return [made(number) for number in calls]
