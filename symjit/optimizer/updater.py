"""Updater: an optimizer with the states of all parameters. MXNet: ``mx.optimizer.Updater``."""

from __future__ import annotations

from typing import Any

import numpy as np

from symjit.base import MXNetError, shown
from symjit.context import Context
from symjit.ndarray import NDArray
from symjit.optimizer.optimizer import Optimizer
from symjit.optimizer.restore import restored
from symjit.optimizer.rule import run

__all__ = ["Updater", "get_updater"]


class Updater:
    """Updates parameters by index and keeps their states. Source: MXNet ``mx.optimizer.Updater``.

    Attributes:
        optimizer: what updates.
        states: state by index; those of an index that is updated for the first time are made then.
        states_synced: whether the state of an index is known to be on the device of its parameter.
        aggregate_updates: whether the optimizer takes lists of parameters.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}
        self.states_synced: dict[Any, bool] = {}
        self.aggregate_updates = optimizer.aggregate_num > 0

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Update a parameter, or a list of them.

        An optimizer that has a pure rule updates the whole list in one compiled call; an index that occurs twice is
        updated twice, one after the other.

        Args:
            index: the parameter's index, or a list of them; then the others are lists as well.
            grad: its gradient.
            weight: the parameter, changed in place.

        Raises:
            MXNetError: the lists differ in length, or a gradient or state does not belong to its weight.
            AssertionError: a gradient or weight is no NDArray.
        """
        if isinstance(index, (list, tuple)):
            indices, grads, weights = list(index), list(grad), list(weight)
        else:
            indices, grads, weights = [index], [grad], [weight]
        if not len(indices) == len(grads) == len(weights):
            raise MXNetError(
                f"Updater: expected as many gradients and weights as indices, got {len(indices)} indices,"
                f" {len(grads)} gradients and {len(weights)} weights"
            )
        if not weights:
            return
        for array in (*grads, *weights):
            if not isinstance(array, NDArray):
                raise AssertionError(f"Updater: gradients and weights must be NDArrays, got {type(array).__name__}")
        indices = [idx.decode() if isinstance(idx, bytes) else idx for idx in indices]
        for idx, g, w in zip(indices, grads, weights, strict=True):
            if g.shape != w.shape:  # before anything is counted or changed
                raise MXNetError(
                    f"Updater: the weight of index {shown(idx)} has shape {w.shape}, its gradient {g.shape};"
                    " nothing was updated"
                )
        if len(set(indices)) < len(indices):
            for each in zip(indices, grads, weights, strict=True):
                self(*each)
            return
        optimizer = self.optimizer
        optimizer._set_current_context(weights[0].context.device_id)
        self.prepare(indices, weights)
        rule = optimizer.rule(indices=indices)
        if rule is not None:
            run(rule, weights, grads, [self.states[idx] for idx in indices], optimizer.advance(indices))
        elif self.aggregate_updates:
            self._update_chunks(indices, weights, grads)
        else:
            for idx, w, g in zip(indices, weights, grads, strict=True):
                optimizer.update_multi_precision(idx, w, g, self.states[idx])

    def prepare(self, indices: list[Any], weights: list[NDArray]) -> None:
        """Make the states that are missing, and bring loaded ones to the devices of their parameters."""
        for idx, weight in zip(indices, weights, strict=True):
            if idx not in self.states:
                self.states[idx] = self.optimizer.create_state_multi_precision(idx, weight)
            elif not self.states_synced.get(idx, False):
                self.states[idx] = self.sync_state_context(self.states[idx], weight.context)
            self.states_synced[idx] = True

    def _update_chunks(self, indices: list[Any], weights: list[NDArray], grads: list[NDArray]) -> None:
        """Hand a user's own optimizer lists of one dtype and of at most ``aggregate_num`` parameters."""
        size = self.optimizer.aggregate_num
        of_dtype: dict[Any, list[int]] = {}
        for position, weight in enumerate(weights):
            of_dtype.setdefault(np.dtype(weight.dtype), []).append(position)
        for positions in of_dtype.values():
            for start in range(0, len(positions), size):
                chunk = positions[start : start + size]
                self.optimizer.update_multi_precision(
                    [indices[i] for i in chunk],
                    [weights[i] for i in chunk],
                    [grads[i] for i in chunk],
                    [self.states[indices[i]] for i in chunk],
                )

    def sync_state_context(self, state: Any, context: Context) -> Any:
        """Return a state with all of its arrays on a device."""
        if isinstance(state, NDArray):
            return state.as_in_context(context)
        if isinstance(state, tuple) and hasattr(state, "_fields"):
            return type(state)(*(self.sync_state_context(part, context) for part in state))
        if isinstance(state, (tuple, list)):
            return type(state)(self.sync_state_context(part, context) for part in state)
        return state

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """Return the states as bytes, and the optimizer's own numbers with them if `dump_optimizer`."""
        from symjit.optimizer.states import dump_states

        return dump_states(self.states, self.optimizer if dump_optimizer else None)

    def set_states(self, states: bytes) -> None:
        """Take over the states that `get_states` returned, here or in MXNet.

        If the optimizer was saved with them, one with its attributes takes the place of the present one; what can not
        be saved (the symbol's attributes, a transformation) it has from that.

        Raises:
            MXNetError: these bytes are no states, or damaged, or the saved optimizer is of a class that is not known.
        """
        from symjit.optimizer.states import load_states

        loaded = load_states(states)
        self.take(loaded.states, self.restored(loaded))

    def restored(self, loaded: Any) -> Optimizer:
        """Return the optimizer that a file holds, or the present one if it holds none; see `set_states`."""
        if loaded.optimizer is None:
            return self.optimizer
        return restored(loaded.optimizer_class or "", loaded.optimizer, self.optimizer)

    def take(self, states: dict[Any, Any], optimizer: Optimizer) -> None:
        """Go on with these states, on whatever device they are, and with this optimizer."""
        self.states, self.optimizer = states, optimizer
        self.states_synced = dict.fromkeys(states, False)
        self.aggregate_updates = optimizer.aggregate_num > 0


def get_updater(optimizer: Optimizer) -> Updater:
    """Return an `Updater` of an optimizer."""
    return Updater(optimizer)
