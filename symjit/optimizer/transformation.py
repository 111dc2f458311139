"""Between optimizers and optax: any gradient transformation as an optimizer, any optimizer as a transformation."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

    The parameters of a step are one tree for it, a dict by the names of `param_idx2name` (``"fc1_weight"``; by the
    text of the index where there are no names). So a clip of the global norm sees all gradients, and a mask or labels
    may go by name if they are functions of the tree: ``lambda params: {name: name.endswith("_weight") for name in
    params}``. An `Updater` that is called for one parameter after the other hands over trees of one parameter each.

    Gradients are multiplied by `rescale_grad` and clipped by `clip_gradient` before; the updates are multiplied by the
    parameter's ``lr_mult`` after. Rate, schedule and weight decay are the transformation's own. The state of a
    parameter is the tuple of the leaves of the transformation's state of this parameter alone; what parameters have in
    common, such as the count of a schedule, is in the states of all. A transformation whose state is no sum of such
    parts (``optax.flatten``) transforms every parameter by itself.

    Args:
        tx: the transformation, for example ``optax.adamw(1e-3)``.
        **kwargs: those of `Optimizer`; `learning_rate`, `lr_scheduler` and `wd` are refused.

    Raises:
        TypeError: `tx` is no gradient transformation.
        ValueError: an argument that the transformation decides was given.
        MXNetError: in an update, the transformation needs more than gradients, state and parameters (the loss, say).
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
        """Return the leaves of the transformation's first state, of random keys their data."""
        data = weight.data
        with _as_user(data.dtype):
            leaves = jax.tree.leaves(self.tx.init({self._name(index): data}))
            # A copy: the state may hold the weight itself.
            return tuple(wrap(jnp.array(_plain(leaf), copy=True), weight.context) for leaf in leaves)

    def _name(self, index: Any) -> str:
        return str(self.idx2name.get(index, index))

    def _rule(self, multi_precision: bool) -> Rule:
        numbers = ("rescale_grad", "clip_gradient", "scale")
        tx: Any = self.tx
        return OptaxRule(tx, numbers, None, self._master if multi_precision else None)

    def _named(self, rule: Rule, indices: Sequence[Any]) -> Rule:
        names = tuple(self._name(index) for index in indices)
        if len(set(names)) < len(names):
            names = tuple(str(index) for index in indices)
        return replace(rule, names=names)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the common numbers, and the parameter's ``lr_mult`` as ``scale``."""
        return {**self._common(index), "scale": self._multiplied(1.0, index, "lr_mult")}


@dataclass(frozen=True)
class OptaxRule(Rule):
    """The rule of `Optax`: `fn` is the transformation, and a state keeps its dtypes.

    Attributes:
        names: the names of the parameters of a call, their places if there are none.
    """

    names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return "Optax"

    def apply(self, weight: Any, grad: Any, state: Any, hyper: Mapping[str, Any], rng: Any = None) -> tuple[Any, Any]:
        """Do as `Rule.apply`: transform a parameter by itself."""
        packed = jnp.stack([jnp.asarray(hyper[name], jnp.float32) for name in self.numbers])[None]
        (weight,), (state,) = self.apply_all([weight], [grad], [state], packed)
        return weight, state

    def apply_all(
        self, weights: Sequence[Any], grads: Sequence[Any], states: Sequence[Any], packed: Any, rng: Any = None
    ) -> tuple[list[Any], list[Any]]:
        """Do as `Rule.apply_all`, with one call of the transformation."""
        names = self.names or tuple(map(str, range(len(weights))))
        inner = [self._inner(*each) for each in zip(weights, grads, states, strict=True)]
        params = {name: weight for name, (weight, _) in zip(names, inner, strict=True)}
        wide = any(weight.dtype == jnp.float64 for weight in params.values())
        first = self.unpack(packed, 0)  # one row for all: with rows of their own, equal parameters compile apart
        scaled = {}
        for name, grad in zip(names, grads, strict=True):
            dtype = params[name].dtype
            bound = first["clip_gradient"].astype(dtype)
            scaled[name] = jnp.clip(grad.astype(dtype) * first["rescale_grad"].astype(dtype), -bound, bound)
        with _as_user(jnp.float64 if wide else jnp.float32):
            layouts = {name: _Layout.of(self.fn, {name: params[name]}) for name in names}
            kept = {name: layouts[name].checked(name, state) for name, (_, state) in zip(names, inner, strict=True)}
            updates, made = _transformed(self.fn, scaled, params, layouts, kept)
        new_weights, new_states = [], []
        for i, (name, weight, (inner_weight, state)) in enumerate(zip(names, weights, inner, strict=True)):
            dtype = inner_weight.dtype
            scale = self.unpack(packed, i)["scale"].astype(dtype)
            moved = inner_weight + scale * updates[name].astype(dtype)
            leaves = [new.astype(old.dtype) for new, old in zip(made[name], kept[name], strict=True)]
            new_weight, new_state = self._outer(weight, moved, jax.tree.unflatten(jax.tree.structure(state), leaves))
            new_weights.append(new_weight)
            new_states.append(new_state)
        return new_weights, new_states


@dataclass(frozen=True)
class _Layout:
    """How a transformation's state of some parameters is made of leaves.

    Attributes:
        structure: the tree without its leaves.
        paths: where each leaf is.
        shapes: the shape of each, of a random key that of its data.
        keys: of each, what makes a random key of its data; None for other leaves.
    """

    structure: Any
    paths: list[Any]
    shapes: list[tuple[int, ...]]
    keys: list[Any]

    @staticmethod
    def of(tx: Any, params: Mapping[str, Any]) -> _Layout:
        keys: list[Any] = []

        def probe(params: Any) -> Any:
            state = tx.init(params)
            keys[:] = [jax.random.key_impl(leaf) if _is_key(leaf) else None for leaf in jax.tree.leaves(state)]
            return jax.tree.map(_plain, state)

        specs = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in params.items()}
        leaves, structure = jax.tree_util.tree_flatten_with_path(jax.eval_shape(probe, specs))
        return _Layout(structure, [path for path, _ in leaves], [leaf.shape for _, leaf in leaves], keys)

    def checked(self, name: str, state: Any) -> list[Any]:
        """Return the leaves of a parameter's state."""
        leaves = jax.tree.leaves(state)
        found = [x.shape for x in leaves]
        if found != self.shapes:
            raise MXNetError(
                f"Optax: expected for {name} a state of arrays of the shapes {self.shapes}, got {found}. Is it the"
                " state of another transformation?"
            )
        return leaves

    def tree(self, leaves: Sequence[Any]) -> Any:
        """Return the state of these leaves."""
        made = [
            leaf if key is None else jax.random.wrap_key_data(leaf, impl=key)
            for leaf, key in zip(leaves, self.keys, strict=True)
        ]
        return jax.tree.unflatten(self.structure, made)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> Any:
    """Return a leaf of a state as an array of numbers."""
    leaf = jnp.asarray(leaf)
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _transformed(
    tx: Any,
    grads: dict[str, Any],
    params: dict[str, Any],
    layouts: dict[str, _Layout],
    kept: dict[str, list[Any]],
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the updates of parameters, and the leaves of their states."""
    whole = _Layout.of(tx, params)
    users = _users(whole, layouts)
    if users is None:
        updates, made = {}, {}
        for name, layout in layouts.items():
            update, state = _call(tx, {name: grads[name]}, layout.tree(kept[name]), {name: params[name]})
            updates[name], made[name] = update[name], [_plain(leaf) for leaf in jax.tree.leaves(state)]
        return updates, made
    joined = [kept[name][place] for (name, place), *_ in users]
    updates, state = _call(tx, grads, whole.tree(joined), params)
    made = {name: list(leaves) for name, leaves in kept.items()}
    for leaf, places in zip(jax.tree.leaves(state), users, strict=True):
        for name, place in places:
            made[name][place] = _plain(leaf)
    return updates, made


def _users(whole: _Layout, layouts: dict[str, _Layout]) -> list[list[tuple[str, int]]] | None:
    """Return for each leaf of the whole state the parameters that have it in theirs, and its place there.

    A leaf that is a parameter's has its name on the way to it. None if the states of the parameters are no parts of the
    whole one.
    """
    places: dict[Any, list[tuple[str, int]]] = {}
    for name, layout in layouts.items():
        for place, (path, shape) in enumerate(zip(layout.paths, layout.shapes, strict=True)):
            places.setdefault((jax.tree_util.keystr(path), shape), []).append((name, place))
    users = [
        places.get((jax.tree_util.keystr(p), shape), []) for p, shape in zip(whole.paths, whole.shapes, strict=True)
    ]
    return users if all(users) else None


def _call(tx: Any, grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
    try:
        return tx.update(grads, state, params)
    except (TypeError, AttributeError) as error:
        raise MXNetError(
            f"Optax: update(gradients, state, parameters) of the transformation fails: {error}. One that needs more"
            " than these three, as the loss (reduce_on_plateau, line searches) or parameters of a class of its own"
            " (lookahead), cannot be used here"
        ) from error


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
        named: Any = numbers.start.rule(indices=range(len(weights)))
        made, states = named.apply_all(weights, grads, state.states, numbers.at(count, len(weights)), rng)
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
