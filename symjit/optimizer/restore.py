"""An optimizer from what a file says of it: all of its attributes, or how far a training has come.

Files may come from strangers. What would hide a method, or is of another kind than the attribute it is to become, is
refused before anything is changed.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from symjit import lr_scheduler
from symjit.base import MXNetError, shown
from symjit.ndarray import NDArray
from symjit.optimizer.optimizer import Optimizer
from symjit.optimizer.pickled import Record

__all__ = ["progress_of", "restored", "resume"]

_OTHER_CLASS = "the file was saved with another class of that name, or it is no file of optimizer states"
_MOST_MISSED = 1_000_000  # changes of the rate that a scheduler has still to make up for, one by one


# All attributes -------------------------------------------------------------------------------------------------------


def restored(name: str, attributes: Mapping[str, Any], present: Optimizer) -> Optimizer:
    """Return an optimizer of a class by name with these attributes, and the rest as the present one has it.

    Args:
        name: of the class: that of `present`, or a registered one.
        attributes: plain values, NDArrays, and a `Record` for the scheduler. Those that an older MXNet did not have
            may be missing.
        present: the optimizer at hand; not changed.

    Raises:
        MXNetError: the class is not known, or an attribute does not belong to it.
    """
    same = type(present).__name__ == name
    klass = type(present) if same else Optimizer.opt_registry.get(name.lower())
    if klass is None:
        raise MXNetError(
            f"the states were saved with the optimizer {name}, which is not registered here: define the class and"
            " register it before loading, or save the states without the optimizer"
        )
    # A user's own class may keep in its attributes what it wants.
    ours = klass.__module__.startswith(__package__ or "symjit")
    try:
        fresh = klass() if ours else Optimizer()
    except TypeError as error:  # Optax, which is made of a transformation
        if not same:
            raise MXNetError(
                f"the states were saved with {name}, of which not all is in the file: begin with an optimizer of that"
                " class"
            ) from error
        fresh = present
    _check(klass, attributes, vars(fresh), _KINDS)
    made = copy.copy(present) if same else klass.__new__(klass)
    if not same:
        made.__dict__.update(vars(fresh), sym_info=present.sym_info)
    given = dict(attributes)
    if "_all_index_update_counts" not in given and "_index_update_count" in given:
        given["_all_index_update_counts"] = {0: given["_index_update_count"]}  # MXNet before 1.4
    scheduler = given.get("lr_scheduler")
    given["lr_scheduler"] = _scheduler(scheduler, present.lr_scheduler, given.get("num_update", 0))
    made.__setstate__(given)
    for counts in made._all_index_update_counts.values():
        if counts == made._index_update_count:
            made._index_update_count = counts  # one dict, which the file may hold twice
    return made


def _scheduler(saved: Any, present: Any, num_update: int) -> Any:
    """Return a scheduler with saved attributes: of the present one's class, or one of MXNet's."""
    if saved is None:
        return None
    if type(saved) is not Record:
        raise MXNetError(f"expected None or a scheduler as the saved lr_scheduler, got {shown(saved)}: {_OTHER_CLASS}")
    attributes = saved.attributes or {}
    klass = type(present) if type(present).__name__ == saved.name else getattr(lr_scheduler, saved.name, None)
    if not isinstance(klass, type) or not issubclass(klass, lr_scheduler.LRScheduler):
        raise MXNetError(
            f"the states were saved with the scheduler {saved.name}, which is not known here: give the optimizer one of"
            " that class before loading"
        )
    if klass.__module__ != lr_scheduler.__name__:
        _check(klass, attributes, {}, {})
        made = klass.__new__(klass)
        made.__dict__.update(attributes)
        return made
    # The constructor knows what its arguments may be. The rate has fallen meanwhile; the warm-up led to that before.
    base = attributes.get("warmup_final_lr", attributes.get("base_lr", 0.01))
    taken = {key: attributes[key] for key in inspect.signature(klass).parameters if key in attributes}
    try:
        made = klass(**{**taken, "base_lr": base})
    except (AssertionError, TypeError, ValueError) as error:
        raise MXNetError(f"the saved attributes of {klass.__name__} are wrong: {error}: {_OTHER_CLASS}") from error
    _check(klass, attributes, vars(made), {"count": _count, "cur_step_ind": _count})
    made.__dict__.update(attributes)
    _check_missed(made, num_update)
    return made


def _check_missed(scheduler: Any, num_update: int) -> None:
    """Refuse numbers with which a scheduler would be at work for hours."""
    if not isinstance(scheduler, lr_scheduler.FactorScheduler):
        return
    if num_update - scheduler.count > _MOST_MISSED * scheduler.step:
        raise MXNetError(
            f"the scheduler stands at update {scheduler.count} with a step of {scheduler.step}, the saved optimizer at"
            f" {num_update}: expected at most {_MOST_MISSED} changes of the rate between them"
        )


def _check(klass: type, attributes: Mapping[str, Any], before: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Refuse attributes that would take the place of methods, or are of another kind than what they replace.

    Args:
        klass: what the attributes are for.
        attributes: those of the file.
        before: what they replace, by name; all else may be anything.
        kinds: functions that decide for some names.
    """
    methods = [name for name in attributes if callable(getattr(klass, name, None))]
    if methods:
        raise MXNetError(
            f"the saved attributes of {klass.__name__} have the names of its methods, {shown(methods)}: {_OTHER_CLASS}"
        )
    for name, value in attributes.items():
        problem = (kinds.get(name) or _kind(before.get(name, Ellipsis)))(value)
        if problem:
            raise MXNetError(
                f"the saved attribute {name} of {klass.__name__}: expected {problem}, got {shown(value)}:"
                f" {_OTHER_CLASS}"
            )


# Kinds of values: each function returns None, or what was expected.


def _number(value: Any) -> str | None:
    return None if isinstance(value, bool | int | float) else "a number"


def _number_or_none(value: Any) -> str | None:
    return None if value is None or _number(value) is None else "a number or None"


def _count(value: Any) -> str | None:
    return None if type(value) is int and value >= 0 else "a whole number from 0 on"


def _dict_of(kind: Any, what: str) -> Any:
    def check(value: Any) -> str | None:
        fits = isinstance(value, dict) and not any(map(kind, value.values()))
        return None if fits else f"a dict of {what}"

    return check


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "text"


def _gathered(value: Any) -> str | None:
    total = value.get("cum_grad") if isinstance(value, dict) else Ellipsis
    fits = total is None or isinstance(total, NDArray) or _number(total) is None
    return "a sum" if not fits or _count(value.get("num_cums")) else None


def _anything(value: Any) -> None:
    return None


def _kind(default: Any) -> Any:
    """Return the kind of what an attribute was before."""
    if isinstance(default, bool | int | float):
        return _number
    if isinstance(default, list | tuple):  # of a MultiFactorScheduler
        return lambda value: None if isinstance(value, list | tuple) and not any(map(_count, value)) else "a list"
    return {type(None): _number_or_none, str: _text, dict: _dict_of(_anything, "anything")}.get(
        type(default), _anything
    )


_counts = _dict_of(_count, "whole numbers")
_KINDS: dict[str, Any] = {
    "lr": _number_or_none,  # None where a scheduler decides
    "clip_gradient": _number_or_none,
    **dict.fromkeys(("num_update", "begin_num_update", "aggregate_num"), _count),
    **dict.fromkeys(("lr_mult", "wd_mult"), _dict_of(_number, "numbers")),
    "idx2name": _dict_of(_text, "names"),
    "_index_update_count": _counts,
    "_all_index_update_counts": _dict_of(_counts, "dicts of whole numbers"),
    "cumgrads": _dict_of(_gathered, "sums of gradients"),
    **dict.fromkeys(("lr_scheduler", "sym_info", "param_dict", "tx"), _anything),
}


# How far it has come --------------------------------------------------------------------------------------------------


def progress_of(optimizer: Optimizer) -> dict[str, Any]:
    """Return what an optimizer's updates have changed in it, as plain values by name; `resume` takes it."""
    counts: dict[Any, int] = {}
    for each in optimizer._all_index_update_counts.values():
        for key, count in each.items():
            counts[key] = max(count, counts.get(key, 0))
    more = {name: getattr(optimizer, name) for name in optimizer._progress}
    return {"num_update": optimizer.num_update, "counts": counts, **more}


def resume(optimizer: Optimizer, progress: Mapping[str, Any], devices: Iterable[int]) -> None:
    """Let an optimizer that has counted nothing go on where another one stood.

    One that has made updates, or was told by `begin_num_update` how many were made, stays as it is, as in MXNet.

    Args:
        optimizer: the optimizer, of the class of that other one.
        progress: what `progress_of` returned.
        devices: ids of the devices for which it counts.

    Raises:
        MXNetError: that is no progress of such an optimizer, which is unchanged.
    """
    names = ("num_update", *optimizer._progress)
    missing = [name for name in (*names, "counts") if name not in progress]
    if missing:
        raise MXNetError(f"the saved progress of {type(optimizer).__name__} lacks {missing}: {_OTHER_CLASS}")
    found = {name: progress[name] for name in names}
    _check(type(optimizer), found, vars(optimizer), _KINDS)
    if _counts(progress["counts"]):
        raise MXNetError(f"expected the counts of updates, got {shown(progress['counts'])}: {_OTHER_CLASS}")
    if optimizer.num_update:
        return
    _check_missed(optimizer.lr_scheduler, found["num_update"])
    counts = {device: dict(progress["counts"]) for device in devices}
    optimizer.__dict__.update(found, _all_index_update_counts=counts)
    optimizer._index_update_count = next(iter(counts.values()))
