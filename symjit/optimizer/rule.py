"""A rule: the pure form of an optimizer, and the compiled call that runs it on NDArrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjit import random
from symjit.base import MXNetError
from symjit.ndarray import NDArray

__all__ = ["LOW_PRECISION", "Rule", "run"]

#: The dtypes of weights that get a float32 copy with ``multi_precision=True``.
LOW_PRECISION = (np.dtype(np.float16), np.dtype(jnp.bfloat16))


@dataclass(frozen=True)
class Rule:
    """What an optimizer does to one parameter, as a pure function. Equal rules compile to the same code.

    Attributes:
        fn: ``fn(weight, grad, *states, **numbers) -> (weight, *states)``, with ``key=`` besides if it draws.
        numbers: the names of the numbers that it takes, those that `Optimizer.hyper` returns.
        states: how many arrays the state of a parameter may hold; None for any number.
        master: None, or where the float32 copy of a weight of low precision stands in its state: ``(copy, state)`` is
            0, ``(state, copy)`` is 1.
        draws: whether it draws random numbers.
    """

    fn: Callable[..., Any]
    numbers: tuple[str, ...]
    states: tuple[int, ...] | None
    master: int | None = None
    draws: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.fn.__name__

    @property
    def key(self) -> Rule:
        """What tells compiled code apart: the rule itself, which is hashable."""
        return self

    def apply(self, weight: Any, grad: Any, state: Any, hyper: Mapping[str, Any], rng: Any = None) -> tuple[Any, Any]:
        """Return the new weight and state.

        Args:
            weight: the parameter, a JAX array of any floating dtype. Those of low precision are computed in float32
                and rounded once.
            grad: its gradient, of the same shape.
            state: what `Optimizer.create_state_multi_precision` returns, with JAX arrays in it.
            hyper: the numbers, scalars that may be traced.
            rng: a JAX key, where `draws`.

        Raises:
            MXNetError: the gradient or the state does not belong to such a weight or optimizer.
        """
        inner, inner_state = self._inner(weight, grad, state)
        inner, inner_state = self._plain(inner, grad, inner_state, hyper, rng)
        return self._outer(weight, inner, inner_state)

    def _copied(self, weight: Any) -> bool:
        return self.master is not None and weight.dtype in LOW_PRECISION

    def _inner(self, weight: Any, grad: Any, state: Any) -> tuple[Any, Any]:
        """Return what is updated, the weight or its float32 copy, and the state of that."""
        if grad.shape != weight.shape:
            raise MXNetError(f"{self.name}: the weight has shape {weight.shape}, its gradient {grad.shape}")
        if not self._copied(weight):
            return weight, state
        assert self.master is not None
        if not isinstance(state, (tuple, list)) or len(state) != 2 or not hasattr(state[self.master], "astype"):
            raise MXNetError(
                f"{self.name} with multi_precision=True: the state of a {weight.dtype.name} weight holds its float32"
                f" copy; this one is {_described(state)}. Make it with create_state_multi_precision"
            )
        return state[self.master], state[1 - self.master]

    def _outer(self, weight: Any, inner: Any, inner_state: Any) -> tuple[Any, Any]:
        """Return the new weight and state, from what `_inner` returned and has been updated."""
        if not self._copied(weight):
            return inner, inner_state
        return inner.astype(weight.dtype), (inner, inner_state) if self.master == 0 else (inner_state, inner)

    def _plain(self, weight: Any, grad: Any, state: Any, hyper: Mapping[str, Any], rng: Any) -> tuple[Any, Any]:
        """Run `fn` on the arrays of a state."""
        wide = weight.dtype if weight.dtype in (jnp.float32, jnp.float64) else jnp.dtype(jnp.float32)
        leaves, structure = jax.tree.flatten(state)
        if self.states is not None and len(leaves) not in self.states:
            raise MXNetError(
                f"{self.name}: expected a state of {' or '.join(map(str, self.states))} arrays, got"
                f" {_described(state)}. Is it the state of another optimizer, or of one with other settings?"
            )
        numbers = {name: jnp.asarray(hyper[name], wide) for name in self.numbers}
        drawn = {"key": rng} if self.draws else {}
        arrays = [x.astype(wide) for x in (weight, grad, *leaves)]
        made = self.fn(*arrays, **numbers, **drawn)
        for new, old in zip(made, (weight, *leaves), strict=True):
            if new.shape != old.shape:
                raise MXNetError(
                    f"{self.name}: the state {_described(state)} does not belong to a weight of shape {weight.shape}"
                )
        new_weight, *new_leaves = (new.astype(old.dtype) for new, old in zip(made, (weight, *leaves), strict=True))
        return new_weight, jax.tree.unflatten(structure, new_leaves)

    def pack(self, hypers: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Return the numbers of several parameters as one array, float32 (parameters, numbers), for a compiled call."""
        return np.array([[hyper[name] for name in self.numbers] for hyper in hypers], np.float32)

    def unpack(self, packed: Any, position: int) -> dict[str, Any]:
        """Return the numbers of one parameter out of what `pack` made."""
        return {name: packed[position, column] for column, name in enumerate(self.numbers)}

    def apply_all(
        self, weights: Sequence[Any], grads: Sequence[Any], states: Sequence[Any], packed: Any, rng: Any = None
    ) -> tuple[list[Any], list[Any]]:
        """Return new weights and states of several parameters; for use inside of a compiled function.

        Parameters take their numbers from the first rows of `packed`, which is then turned on. So what is compiled for
        two parameters of one shape is mostly the same, and XLA compiles it once: with a row of its own for each, Adam
        on the 160 parameters of a ResNet-50 took 16 s to compile, so it takes 2 s.

        Args:
            weights: the parameters.
            grads: their gradients.
            states: their states.
            packed: what `pack` made of their numbers; may be traced.
            rng: a JAX key, where `draws`; each parameter gets its own.
        """
        packed, new_weights, new_states = jnp.asarray(packed), [], []
        for position, (weight, grad, state) in enumerate(zip(weights, grads, states, strict=True)):
            if position and position % _ROWS == 0:
                # Without the barrier XLA would find the row in the first array again.
                packed = jax.lax.optimization_barrier(jnp.concatenate([packed[_ROWS:], packed[:_ROWS]]))
            key = jax.random.fold_in(rng, position) if self.draws else None
            weight, state = _traced(self, position % _ROWS)(weight, grad, state, packed, key)
            new_weights.append(weight)
            new_states.append(state)
        return new_weights, new_states


# How many rows of numbers are read before they are turned on: a turn takes 1 us, a row more compiles more.
_ROWS = 2


@lru_cache(maxsize=256)
def _traced(rule: Rule, row: int) -> Callable[..., Any]:
    """Return `Rule.apply` with a row of numbers, traced once for each shape."""

    def update(weight: Any, grad: Any, state: Any, packed: Any, rng: Any) -> Any:
        return rule.apply(weight, grad, state, rule.unpack(packed, row), rng)

    return jax.jit(update)


def _described(state: Any) -> str:
    shapes = [tuple(x.shape) if hasattr(x, "shape") else type(x).__name__ for x in jax.tree.leaves(state)]
    return "no state" if not shapes else f"{len(shapes)} arrays of the shapes {shapes}"


@lru_cache(maxsize=256)
def _compiled(rule: Rule, donates: bool) -> Callable[..., Any]:
    """Return what updates a list of parameters in one program, which may take over the states' buffers."""

    def update(weights: list[Any], grads: list[Any], states: list[Any], packed: Any, key: Any) -> Any:
        return rule.apply_all(weights, grads, states, packed, key)

    return jax.jit(update, donate_argnums=(2,) if donates else ())


def _owned(states: Sequence[NDArray], arrays: Sequence[Any]) -> bool:
    """Return whether nobody else holds the arrays of these states, none of which occurs twice among `arrays`."""
    whole = all(state._shape is None and not state._cell.shared for state in states)
    return whole and len({id(array) for array in arrays}) == len(arrays)


def run(
    rule: Rule,
    weights: Sequence[NDArray],
    grads: Sequence[NDArray],
    states: Sequence[Any],
    hypers: Sequence[Mapping[str, float]],
) -> None:
    """Update parameters and their states in place, with one compiled call.

    States are donated where nobody else holds them. Weights are not: between its forward and its backward an executor
    holds them.

    Raises:
        MXNetError: a gradient or a state does not fit its weight.
    """
    if not weights:
        return
    targets, structure = jax.tree.flatten((list(weights), list(states)))
    arrays = [target.data for target in targets]
    old_weights, old_states = jax.tree.unflatten(structure, arrays)
    old_grads = [grad.data for grad in grads]
    donates = _owned(targets[len(weights) :], [*arrays, *old_grads])
    key = random.next_key(weights[0].context) if rule.draws else None
    with jax.enable_x64(True):  # weights may be float64
        made = _compiled(rule, donates)(old_weights, old_grads, old_states, rule.pack(hypers), key)
    for target, value in zip(targets, jax.tree.leaves(made), strict=True):
        target.assign(value, owned=True)
