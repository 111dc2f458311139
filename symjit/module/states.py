"""Optimizer states of a module: written with what tells whose they are, and refused where they do not belong.

A file of states is one of three that make a checkpoint. It says how far the optimizer had come, so that training goes
on with the numbers that it would have had, and which parameters were saved before it, because a process may be killed
between the two files.
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from symjit.base import MXNetError, shown
from symjit.module.group import ExecutorGroup
from symjit.ndarray import NDArray
from symjit.ndarray.mapped import open_map
from symjit.optimizer import Optimizer, Updater
from symjit.optimizer.restore import progress_of, resume
from symjit.optimizer.states import dump_states, load_states_file, save_states_file
from symjit.predictor import checkpoint_files

__all__ = ["fingerprint", "load_states", "preloaded", "save_states", "states_file"]

_ADVICE = "Load the checkpoint without optimizer states, or with the optimizer and the network that it was saved with."


def states_file(prefix: str | os.PathLike[str], epoch: int) -> str:
    """Return the name of a checkpoint's file of optimizer states."""
    return f"{os.fspath(prefix)}-{epoch:04d}.states"


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return what tells a file from another one of its name: size and CRC-32."""
    data = open_map(os.fspath(path))
    return f"{len(data)}-{zlib.crc32(data):08x}"


def preloaded(prefix: str | os.PathLike[str], epoch: int) -> tuple[str, str]:
    """Return the name of a checkpoint's file of states, and the `fingerprint` of its parameters."""
    return states_file(prefix, epoch), fingerprint(checkpoint_files(prefix, epoch)[1])


def save_states(
    updater: Updater | None, path: str | os.PathLike[str], params: str | os.PathLike[str] | None = None
) -> None:
    """Write a file of states.

    Args:
        updater: has the states, and the optimizer, whose class and progress are saved.
        path: where to.
        params: the file of the parameters at that time, for a checkpoint.

    Raises:
        MXNetError: the file can not be written, or the optimizer has states that can not be saved.
    """
    assert updater is not None
    facts = progress_of(updater.optimizer)
    if params is not None:
        facts["params"] = fingerprint(params)
    save_states_file(path, dump_states(updater.states, updater.optimizer, facts))


def load_states(
    updater: Updater | None,
    path: str | os.PathLike[str],
    group: ExecutorGroup,
    alone: bool,
    params: str | None = None,
) -> Optimizer:
    """Give an updater the states of a file, and let its optimizer go on where that of the file stood.

    Several contexts that work together call parameters by name, others by index; states are renamed where need be.

    Args:
        updater: gets them; unchanged if there is an error.
        path: the file, ours or MXNet's.
        group: has the parameters.
        alone: whether each context goes by its own gradients.
        params: the `fingerprint` of the parameters that the states have to belong to; None if any will do.

    Returns:
        the updater's optimizer, which is another one if the file holds one.

    Raises:
        FileNotFoundError: there is no such file.
        MXNetError: it is damaged, or of another optimizer, network or checkpoint.
    """
    assert updater is not None
    names, weights = group.param_names, group.by_index(named=not alone)
    label = os.fspath(path)
    loaded = load_states_file(path)
    try:
        optimizer = updater.restored(loaded)
    except MXNetError as error:
        raise MXNetError(f"{label}: {error}") from error
    facts = loaded.facts or {}
    if loaded.facts is not None:
        if loaded.optimizer_class not in [each.__name__ for each in type(optimizer).__mro__]:
            raise MXNetError(
                f"{label}: expected states of {type(optimizer).__name__}, got those of {loaded.optimizer_class}."
                f" {_ADVICE}"
            )
        if params is not None and facts.get("params") not in (None, params):
            raise MXNetError(
                f"{label}: these states were not saved with the parameters beside them: expected the file of parameters"
                f" {shown(facts['params'])} (size-checksum), got {params}. The save may have been interrupted between"
                " the two: go on from another epoch. If they do belong together, load the checkpoint without optimizer"
                " states, and these by load_optimizer_states"
            )
    states = _renamed(loaded.states, weights, names)
    for key, state in states.items():
        if key not in weights:
            raise MXNetError(
                f"{label}: there is a state of the parameter {shown(key)}, but the network has"
                f" {shown(list(names))}. {_ADVICE}"
            )
        name, weight = weights[key]
        _check(f"{label}: parameter {shown(name)}", optimizer, key, state, weight)
    facts = {name: _renamed(each, weights, names) if isinstance(each, dict) else each for name, each in facts.items()}
    if facts:
        try:
            resume(optimizer, facts, [context.device_id for context in group.contexts])
        except MXNetError as error:
            raise MXNetError(f"{label}: {error}") from error
    updater.take(states, optimizer)
    return optimizer


def _renamed(found: dict[Any, Any], weights: Mapping[Any, Any], names: Sequence[str]) -> dict[Any, Any]:
    """Return a dict by parameter as one that goes by the keys of `weights`."""
    place: dict[Any, Any] = dict(enumerate(names))
    if not all(name in weights for name in names):
        place = {name: index for index, name in place.items()} if len(weights) == len(names) else {}
    if any(key in weights for key in found):
        return found
    return {place.get(key, key): each for key, each in found.items()}


def _check(where: str, optimizer: Optimizer, key: int | str, state: Any, weight: NDArray) -> None:
    """Refuse a state that is not like the one that the optimizer would make."""
    if optimizer.rule() is None:
        return  # a user's own optimizer makes of it what it wants, and may count how often it is asked for one
    expected, got = _outline(_made(optimizer, key, weight)), _outline(state)
    if expected != got:
        raise MXNetError(
            f"{where} of shape {weight.shape}: expected a state {shown(expected)} of {type(optimizer).__name__} with"
            f" its present settings, got {shown(got)}. {_ADVICE}"
        )


def _made(optimizer: Optimizer, key: int | str, weight: NDArray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of low precision: whoever trains is warned once, when states are made
        return optimizer.create_state_multi_precision(key, weight)


def _outline(state: Any) -> Any:
    """Return a state with shapes in the place of arrays."""
    if isinstance(state, NDArray):
        return f"{state.shape}"
    if isinstance(state, tuple | list):
        return [_outline(each) for each in state]
    return None if state is None else type(state).__name__
