"""The training step of several contexts as one compiled program.

Contexts are logical shards of a batch: a mesh axis over their devices times a `vmap` axis over the contexts of one
device. Each shard has its own auxiliary states (BatchNorm's statistics) and random numbers; gradients are summed by one
explicit `psum`. The numbers depend on the number of contexts alone, not on how many devices there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from symjit import random
from symjit.module.group import ExecutorGroup
from symjit.module.step import Flight, pinned_value
from symjit.ndarray import NDArray
from symjit.optimizer import Optimizer, Updater

__all__ = ["ShardedStep"]

_AXIS = "shards"


class ShardedStep:
    """Compiles and runs the training steps of a group of executors.

    Nothing is donated: contexts of one device share the parameters' buffers.
    """

    def __init__(
        self, group: ExecutorGroup, names: Sequence[str], flight: Flight, compiled: dict[Any, Callable[..., Any]]
    ) -> None:
        """Prepare steps of a group; see `symjit.module.step.Step` for the arguments."""
        self._group, self._flight, self._names = group, flight, list(names)
        place = {name: i for i, name in enumerate(group.arg_names)}
        first = group.execs[0]
        wanted = set(first.wanted)
        self._trained = [(index, place[name]) for index, name in enumerate(names) if place[name] in wanted]
        trained = {position for _, position in self._trained}
        self._rest = [i for i in range(len(group.arg_names)) if i not in trained]
        devices = [context.device for context in group.contexts]
        self._devices = list(dict.fromkeys(devices))
        self._slots = len(devices) // len(self._devices)
        regular = devices == [device for device in self._devices for _ in range(self._slots)]
        sizes = {s.stop - s.start for s in group.slices or ()}
        #: Whether all shards have as many rows, so that they run as one.
        self._even = len(sizes) == 1
        self._possible = len(self._devices) == 1 or (regular and self._even)
        self._mesh = Mesh(np.array(self._devices), (_AXIS,), axis_types=(AxisType.Auto,))
        self._joined: dict[Any, tuple[list[Any], Any]] = {}
        self._compiled = compiled

    @property
    def indices(self) -> list[Any]:
        """The optimizer's names of the parameters that are trained."""
        return [self._names[index] for index, _ in self._trained]

    def suits(self, optimizer: Optimizer) -> bool:
        """Return whether a step can be compiled."""
        executors = self._group.execs
        return (
            self._possible
            and bool(self._trained)
            and not any(executor.adds for executor in executors)
            and optimizer.rule() is not None
        )

    def run(self, optimizer: Optimizer, updater: Updater, hypers: Sequence[Mapping[str, float]], keep: bool) -> None:
        """Run a step on what is loaded in the executors; see `symjit.module.step.Step.run`."""
        group, executors = self._group, self._group.execs
        arrays = [[e.arg_arrays[position] for e in executors] for _, position in self._trained]
        updater.prepare(self.indices, [block[0] for block in arrays])
        states = [updater.states[index] for index in self.indices]
        rule: Any = optimizer.rule(indices=self.indices)
        key = (executors[0].wanted, executors[0].own_products, self._even, keep, rule.key)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = self._compile(rule, keep)
        leaves, structure = jax.tree.flatten(states, is_leaf=lambda x: isinstance(x, NDArray))
        for executor in executors:
            executor.release()
        self._flight.wait()
        draws = executors[0].draws or rule.draws
        with jax.enable_x64(True):
            rng = random.next_key(group.contexts[0]) if draws else None
            weights = [self._same(("weight", i), block) for i, block in enumerate(arrays)]
            held = [self._same(("state", i), [leaf]) for i, leaf in enumerate(leaves)]
            others = [self._slotted([e.arg_arrays[position].data for e in executors]) for position in self._rest]
            aux = [self._slotted([e.aux_arrays[i].data for e in executors]) for i in range(len(group.aux_names))]
            new_weights, new_states, new_aux, outputs, grads = compiled(
                weights, jax.tree.unflatten(structure, held), others, aux, rule.pack(hypers), self._everywhere(rng)
            )
        for i, (block, value) in enumerate(zip(arrays, new_weights, strict=True)):
            self._spread(("weight", i), block, value)
        for i, (leaf, value) in enumerate(zip(leaves, jax.tree.leaves(new_states), strict=True)):
            self._spread(("state", i), [leaf], value)
        by_context = [self._unslotted(block) for block in (*outputs, *new_aux, *(grads or ()))]
        count, states_count = len(outputs), len(new_aux)
        for i, executor in enumerate(executors):
            parts = [block[i] for block in by_context]
            executor.take(parts[:count], parts[count : count + states_count], parts[count + states_count :] or None)
        if outputs:
            self._flight.add(outputs[0][0])

    # Between arrays of one context and arrays of all devices ----------------------------------------------------------

    def _same(self, key: Any, block: Sequence[NDArray]) -> Any:
        """Return an array that is the same in all contexts as one of all devices."""
        values = [x.data for x in block]
        if len(self._devices) == 1:
            return values[0]
        known = self._joined.get(key)
        if known is not None and all(a is b for a, b in zip(known[0], values, strict=True)):
            return known[1]
        sharding = NamedSharding(self._mesh, P())
        if len(values) == 1:
            return jax.device_put(values[0], sharding)
        parts = values[:: self._slots]
        return jax.make_array_from_single_device_arrays(parts[0].shape, sharding, parts)

    def _spread(self, key: Any, block: Sequence[NDArray], value: Any) -> None:
        """Put an array of all devices into those of the contexts."""
        if len(self._devices) == 1:
            parts = [value] * len(block)
        else:
            by_device = {shard.device: shard.data for shard in value.addressable_shards}
            parts = [by_device[x.context.device] for x in block]
            self._joined[key] = parts, value
        for array, part in zip(block, parts, strict=True):
            array._cell.put(part, shared=True)

    def _slotted(self, values: Sequence[Any]) -> list[Any]:
        """Return the arrays of all contexts as one for each slot, joined over the devices along the first axis."""
        if len(self._devices) == 1:
            return list(values)
        found = []
        for slot in range(self._slots):
            parts = values[slot :: self._slots]
            shape = (len(self._devices) * parts[0].shape[0], *parts[0].shape[1:])
            found.append(
                jax.make_array_from_single_device_arrays(shape, NamedSharding(self._mesh, P(_AXIS)), list(parts))
            )
        return found

    def _unslotted(self, slots: Sequence[Any]) -> list[Any]:
        """Return the arrays of all contexts from those of `_slotted`."""
        if len(self._devices) == 1:
            return list(slots)
        found: list[Any] = [None] * (len(self._devices) * self._slots)
        for slot, value in enumerate(slots):
            for shard in value.addressable_shards:
                found[self._devices.index(shard.device) * self._slots + slot] = shard.data
        return found

    def _everywhere(self, value: Any) -> Any:
        if value is None or len(self._devices) == 1:
            return value
        return jax.device_put(value, NamedSharding(self._mesh, P()))

    # The program ------------------------------------------------------------------------------------------------------

    def _compile(self, rule: Any, keep: bool) -> Callable[..., Any]:
        first = self._group.execs[0]
        program, wanted = first.program, first.wanted
        positions = [position for _, position in self._trained]
        rest, several, even = self._rest, len(self._devices) > 1, self._even
        slots = len(self._group.execs) // len(self._devices)

        def shard(weights: Any, others: Any, aux: Any, key: Any) -> Any:
            args = [None] * (len(positions) + len(rest))
            for position, value in zip((*positions, *rest), (*weights, *others), strict=True):
                args[position] = value
            outputs, new_aux, grads = program.losses(args, aux, key, wanted)
            return list(outputs), list(new_aux), list(grads)

        def body(weights: Any, states: Any, others: Any, aux: Any, packed: Any, rng: Any) -> Any:
            program.traces["step"] += 1
            keys = rule_key = None
            if rng is not None:
                forward_key, rule_key = jax.random.split(rng)
                base = lax.axis_index(_AXIS) * slots if several else 0
                keys = [jax.random.fold_in(forward_key, base + slot) for slot in range(slots)]
            results = _each(shard, weights, others, aux, keys, slots, even)
            sums = [sum((result[2][i] for result in results[1:]), results[0][2][i]) for i in range(len(wanted))]
            if several:
                sums = list(lax.psum(sums, _AXIS))
            by_position = dict(zip(wanted, sums, strict=True))
            seen = [pinned_value(program, p, weight) for p, weight in zip(positions, weights, strict=True)]
            trained = [by_position[position] for position in positions]
            new_weights, new_states = rule.apply_all(seen, trained, states, packed, rule_key)
            outputs, new_aux, grads = (
                [[result[kind][i] for result in results] for i in range(len(results[0][kind]))] for kind in range(3)
            )
            return new_weights, new_states, new_aux, outputs, grads if keep else None

        if not several:
            return jax.jit(body, compiler_options=program.step_options(first.own_products))
        mapped = jax.shard_map(
            body,
            mesh=self._mesh,
            in_specs=(P(), P(), P(_AXIS), P(_AXIS), P(), P()),
            out_specs=(P(), P(), P(_AXIS), P(_AXIS), P(_AXIS)),
            # Operators' own backwards do not say over which axes they vary. Gradients are taken inside the body, where
            # nothing is summed but by the psum above.
            check_vma=False,
        )
        return jax.jit(mapped, compiler_options=program.step_options(first.own_products))


def _each(shard: Any, weights: Any, others: Any, aux: Any, keys: Any, slots: int, even: bool) -> list[Any]:
    """Return what `shard` gives for every slot: as one where they are alike, else one after the other."""
    if slots == 1 or not even:
        return [
            shard(weights, [x[i] for x in others], [x[i] for x in aux], None if keys is None else keys[i])
            for i in range(slots)
        ]
    joined = jax.vmap(shard, in_axes=(None, 0, 0, None if keys is None else 0))(
        weights,
        [jnp.stack(x) for x in others],
        [jnp.stack(x) for x in aux],
        None if keys is None else jnp.stack(keys),
    )
    return [jax.tree.map(lambda x, i=i: x[i], joined) for i in range(slots)]
