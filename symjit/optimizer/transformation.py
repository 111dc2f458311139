"""Between optimizers and optax: any gradient transformation as an optimizer, any optimizer as a transformation."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from symjit import random
from symjit.base import MXNetError
from symjit.context import Context
from symjit.ndarray import NDArray
from symjit.ndarray.array import wrap
from symjit.optimizer.optimizer import Optimizer, register
from symjit.optimizer.rule import Rule

if TYPE_CHECKING:
    import optax

__all__ = ["Optax", "OptaxRule", "TransformationState", "transformation"]


@register
class Optax(Optimizer):
    """Updates parameters by an optax ``GradientTransformation``. Beyond MXNet.

    Every parameter is transformed by itself, with a state of its own: a transformation that looks at all gradients at
    once, such as a clip of the global norm, sees one parameter at a time. The gradient is multiplied by `rescale_grad`
    and clipped by `clip_gradient` before; the updates are multiplied by the parameter's ``lr_mult`` after. Rate,
    schedule and weight decay are the transformation's own. The state is the tuple of the leaves of its state.

    Args:
        tx: the transformation, for example ``optax.adamw(1e-3)``.
        **kwargs: those of `Optimizer`; `learning_rate`, `lr_scheduler` and `wd` are refused.

    Raises:
        TypeError: `tx` is no gradient transformation.
        ValueError: an argument that the transformation decides was given.
    """

    def __init__(self, tx: optax.GradientTransformation, **kwargs: Any) -> None:
        if not (callable(getattr(tx, "init", None)) and callable(getattr(tx, "update", None))):
            raise TypeError(f"Optax: expected an optax.GradientTransformation, got {type(tx).__name__}")
        own = sorted({"learning_rate", "lr_scheduler", "wd"} & {k for k, v in kwargs.items() if v})
        if own:
            raise ValueError(f"Optax: {', '.join(own)} must be given to the transformation, as in optax.adamw(1e-3)")
        super().__init__(**kwargs)
        self.tx = tx

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, ...]:
        """Return the leaves of the transformation's first state."""
        data = weight.data
        with _as_user(data.dtype):
            leaves = jax.tree.leaves(self.tx.init(data))
            # A copy: the state may hold the weight itself.
            return tuple(wrap(jnp.array(leaf, copy=True), weight.context) for leaf in leaves)

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = ("rescale_grad", "clip_gradient", "scale")
        tx: Any = self.tx
        return OptaxRule(tx, numbers, None, self._master if multi_precision else None)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, and the parameter's ``lr_mult`` as ``scale``."""
        return {**self._common(index), "scale": self._multiplied(1.0, index, "lr_mult")}


@dataclass(frozen=True)
class OptaxRule(Rule):
    """The rule of `Optax`: `fn` is the transformation, and a state keeps its dtypes."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return "Optax"

    def _plain(self, weight: Any, grad: Any, state: Any, hyper: Mapping[str, Any], rng: Any) -> tuple[Any, Any]:
        tx: Any = self.fn
        with _as_user(weight.dtype):
            wanted = jax.eval_shape(tx.init, jax.ShapeDtypeStruct(weight.shape, weight.dtype))
            expected, leaves = jax.tree.leaves(wanted), jax.tree.leaves(state)
            if [x.shape for x in expected] != [x.shape for x in leaves]:
                raise MXNetError(
                    f"Optax: expected a state of arrays of the shapes {[x.shape for x in expected]}, got"
                    f" {[x.shape for x in leaves]}. Is it the state of another transformation?"
                )
            numbers = {name: jnp.asarray(hyper[name], weight.dtype) for name in self.numbers}
            bound = numbers["clip_gradient"]
            grad = jnp.clip(grad.astype(weight.dtype) * numbers["rescale_grad"], -bound, bound)
            updates, made = tx.update(grad, jax.tree.unflatten(jax.tree.structure(wanted), leaves), weight)
            weight = (weight + numbers["scale"] * updates.astype(weight.dtype)).astype(weight.dtype)
            new = [new.astype(old.dtype) for new, old in zip(jax.tree.leaves(made), leaves, strict=True)]
        return weight, jax.tree.unflatten(jax.tree.structure(state), new)


class _as_user:
    """Run code that is not ours as its author did: 64 bits for float64 weights alone, dtypes promoted as by default."""

    def __init__(self, dtype: Any) -> None:
        self.contexts = (jax.enable_x64(dtype == jnp.float64), jax.numpy_dtype_promotion("standard"))

    def __enter__(self) -> None:
        for context in self.contexts:
            context.__enter__()

    def __exit__(self, *error: Any) -> None:
        for context in reversed(self.contexts):
            context.__exit__(*error)


class TransformationState(NamedTuple):
    """The state of an optimizer as a transformation: how many updates were done, the states, a key if it draws."""

    count: Any
    states: tuple[Any, ...]
    key: Any


def transformation(optimizer: Optimizer) -> optax.GradientTransformation:
    """Return an optax transformation that runs the rule of an optimizer.

    The leaves of the parameters, in the order of ``jax.tree.leaves``, are the indices 0, 1 ... of the optimizer;
    ``param_idx2name`` names them. It computes with a copy of the optimizer as it is now. Where the step is traced, its
    numbers are asked from the host by ``jax.pure_callback``; they depend on the count alone. Call ``init`` outside of a
    trace. ``update`` needs `params`.

    Raises:
        MXNetError: the optimizer has no pure rule.
    """
    import optax

    rule = optimizer.rule()
    if rule is None:
        raise MXNetError(f"{type(optimizer).__name__} has no pure rule: it overrides update(), or gathers gradients")
    numbers = _Numbers(optimizer, rule)

    def init(params: Any) -> TransformationState:
        made = copy.deepcopy(numbers.start)
        leaves = jax.tree.leaves(params)
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            raise MXNetError("init of an optimizer's transformation was traced: call it outside of jax.jit")
        states = []
        for index, leaf in enumerate(leaves):
            data = jnp.array(leaf, copy=True)
            state = made.create_state_multi_precision(index, wrap(data, Context.from_device(data.device)))
            states.append(jax.tree.map(lambda x: jnp.array(x.data, copy=True), state))
        return TransformationState(jnp.zeros((), jnp.int32), tuple(states), random.next_key() if rule.draws else None)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, TransformationState]:
        if params is None:
            raise ValueError(
                "update of an optimizer's transformation needs the parameters: update(grads, state, params)"
            )
        grads, structure = jax.tree.flatten(updates)
        weights = jax.tree.leaves(params)
        count = state.count + 1
        rng = jax.random.fold_in(state.key, count) if rule.draws else None
        made, states = rule.apply_all(weights, grads, state.states, numbers.at(count, len(weights)), rng)
        deltas = [new - weight for new, weight in zip(made, weights, strict=True)]
        return jax.tree.unflatten(structure, deltas), TransformationState(count, tuple(states), state.key)

    return optax.GradientTransformation(init, update)


class _Numbers:
    """The numbers of any step, from its count: a copy of the optimizer is moved on, or started anew to go back."""

    def __init__(self, optimizer: Optimizer, rule: Rule) -> None:
        self.rule = rule
        self.start = copy.deepcopy(optimizer)
        self.start.param_dict = optimizer.param_dict
        self.reset()

    def reset(self) -> None:
        """Go back before the first update."""
        self.now = copy.deepcopy(self.start)
        self.now.param_dict = self.start.param_dict
        self.done, self.last = 0, None

    def at(self, count: Any, parameters: int) -> Any:
        """Return `Rule.pack` of the update `count`, which may be traced."""
        if not isinstance(count, Tracer):
            return self.look_up(np.asarray(count), parameters)
        shape = jax.ShapeDtypeStruct((parameters, len(self.rule.numbers)), jnp.float32)
        return jax.pure_callback(lambda t: self.look_up(t, parameters), shape, count)

    def look_up(self, count: Any, parameters: int) -> np.ndarray:
        """Return the numbers of an update."""
        wanted = int(count)
        if self.last is None or wanted < self.done or len(self.last) != parameters:
            self.reset()
        while self.last is None or self.done < wanted:
            self.last = self.rule.pack(self.now.advance(range(parameters)))
            self.done += 1
        return self.last
