"""The training step as one compiled program: forward, backward, optimizer and metric, on donated arrays."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from symjit import random
from symjit.context import Context
from symjit.executor import Executor
from symjit.memory import keep_freed
from symjit.metric import EvalMetric
from symjit.ndarray import NDArray
from symjit.optimizer import Optimizer, Updater
from symjit.program import Program

__all__ = ["Flight", "Metering", "Step", "metering", "pinned_value"]

# Steps that the device may be behind: one runs, the next one waits.
_IN_FLIGHT = 2


class Flight:
    """The steps of modules that share parameters, those that are not finished; one more waits for the oldest of them.

    Attributes:
        noting: the module that has noted a step last, which the others run before they read anything.
    """

    def __init__(self) -> None:
        self.noting: Any = None
        self._results: deque[Any] = deque()

    def wait(self) -> None:
        """Block until one more step may be started."""
        while len(self._results) >= _IN_FLIGHT:
            oldest = self._results.popleft()
            if not oldest.is_deleted():  # by a write into an output, which follows the step
                oldest.block_until_ready()

    def add(self, result: Any) -> None:
        """Note a step by one of its results, which no later step donates."""
        self._results.append(result)


class Metering(NamedTuple):
    """What a metric counts in a compiled step.

    Attributes:
        metric: the metric.
        leaves: the metrics that it consists of, if it is a composite.
        counts: for each of them its accumulation, see `symjit.metric`.
        key: tells compiled steps apart.
    """

    metric: EvalMetric
    leaves: list[Any]
    counts: list[Any]
    key: Any


def metering(metric: EvalMetric) -> Metering | None:
    """Return what a metric counts, None if some part of it needs the host."""
    leaves = list(metric.leaves())
    counts: list[Any] = [leaf.accumulation() for leaf in leaves]
    if any(count is None for count in counts):
        return None
    names = [(_frozen(x.output_names), _frozen(x.label_names)) for x in (metric, *leaves)]
    return Metering(metric, leaves, counts, (tuple(count.key for count in counts), tuple(names)))


def _frozen(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


class Step:
    """Compiles and runs the training steps of one executor.

    Parameters, auxiliary states and the optimizer's states live in their arrays between steps; a step takes their
    values, donates them where nobody else holds them, and puts the new ones in place.

    """

    def __init__(
        self, executor: Executor, names: Sequence[str], flight: Flight, compiled: dict[Any, Callable[..., Any]]
    ) -> None:
        """Prepare steps of an executor.

        Args:
            executor: the executor.
            names: its parameters, in the order of their indices.
            flight: the steps of its device.
            compiled: compiled functions of executors of the same graph, for other shapes.
        """
        place = {name: i for i, name in enumerate(executor.arg_dict)}
        self._executor, self._flight = executor, flight
        wanted = set(executor.wanted)
        #: Index for the optimizer, and position among the arguments, of every parameter that is trained.
        self._trained = [(index, place[name]) for index, name in enumerate(names) if place[name] in wanted]
        self._compiled = compiled

    @property
    def indices(self) -> list[int]:
        """Indices of the parameters that are trained."""
        return [index for index, _ in self._trained]

    def suits(self, optimizer: Optimizer) -> bool:
        """Return whether a step can be compiled: no gradient is summed up, and the optimizer is a pure rule."""
        return not self._executor.adds and bool(self._trained) and optimizer.rule() is not None

    def run(
        self,
        optimizer: Optimizer,
        updater: Updater,
        hypers: Sequence[Mapping[str, float]],
        keep: bool,
        metric: EvalMetric | None = None,
        labels: dict[str, NDArray] | None = None,
    ) -> None:
        """Run a step on what is loaded in the executor.

        Args:
            optimizer: gives the rule.
            updater: holds the optimizer's states.
            hypers: the numbers of this step for every trained parameter.
            keep: leave the gradients in their arrays.
            metric: a metric to update, whose parts all have an accumulation.
            labels: the labels that it sees.
        """
        executor = self._executor
        weights = [executor.arg_arrays[position] for _, position in self._trained]
        updater.prepare(self.indices, weights)
        states = [updater.states[index] for index in self.indices]
        rule: Any = optimizer.rule(indices=self.indices)
        counted = None if metric is None else metering(metric)
        label_names = tuple(labels or ())
        key = (
            executor.wanted,
            executor.own_products,
            keep,
            rule.key,
            None if counted is None else (counted.key, label_names),
        )
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = self._compile(rule, counted, label_names, keep)
        context = weights[0].context
        executor.release()
        leaves, structure = jax.tree.flatten(states, is_leaf=lambda x: isinstance(x, NDArray))
        owned, lent = [x for x in (*weights, *leaves)], [*executor.aux_arrays]
        self._flight.wait()
        with jax.enable_x64(True):
            values = [_given_away(x) for x in owned]
            rng = random.next_key(context) if executor.draws or rule.draws else None
            trained = {position for _, position in self._trained}
            others = [x.data for i, x in enumerate(executor.arg_arrays) if i not in trained]
            totals = [] if counted is None else [_moved(leaf.state, context) for leaf in counted.leaves]
            seen = [x.as_in_context(context).data for x in (labels or {}).values()]
            new_weights, new_states, new_aux, outputs, grads, totals = compiled(
                values[: len(weights)],
                jax.tree.unflatten(structure, values[len(weights) :]),
                others,
                [_given_away(x) for x in lent],
                rule.pack(hypers),
                rng,
                totals,
                seen,
            )
        for array, value in zip(owned, (*new_weights, *jax.tree.leaves(new_states)), strict=True):
            if array._shape is None:
                array._cell.put(value)
            else:
                array.assign(value, owned=True)
        executor.take(outputs, new_aux, grads if keep else None)
        if counted is not None:
            for leaf, total in zip(counted.leaves, totals, strict=True):
                leaf.state = total
        if outputs:
            self._flight.add(outputs[0])

    def _compile(
        self, rule: Any, counted: Metering | None, label_names: Sequence[str], keep: bool
    ) -> Callable[..., Any]:
        executor = self._executor
        program, wanted = executor.program, executor.wanted
        positions = [position for _, position in self._trained]
        trained = set(positions)
        rest = [i for i in range(len(executor.arg_arrays)) if i not in trained]
        output_names = program.graph.output_names

        def run(
            weights: Any, states: Any, others: Any, aux: Any, packed: Any, rng: Any, totals: Any, labels: Any
        ) -> Any:
            program.traces["step"] += 1
            args = [None] * (len(positions) + len(rest))
            for position, value in zip((*positions, *rest), (*weights, *others), strict=True):
                args[position] = value
            forward_key = rule_key = None
            if rng is not None:
                forward_key, rule_key = jax.random.split(rng)
            outputs, new_aux, grads = program.losses(args, aux, forward_key, wanted)
            by_position = dict(zip(wanted, grads, strict=True))
            seen = [pinned_value(program, p, weight) for p, weight in zip(positions, weights, strict=True)]
            trained = [by_position[position] for position in positions]
            new_weights, new_states = rule.apply_all(seen, trained, states, packed, rule_key)
            if counted is not None:
                named = dict(zip(label_names, labels, strict=True))
                chosen = counted.metric.select_leaves(named, dict(zip(output_names, outputs, strict=True)))
                totals = [
                    count.add(total, wanted_labels, predictions)
                    for (_, wanted_labels, predictions), count, total in zip(
                        chosen, counted.counts, totals, strict=True
                    )
                ]
            return new_weights, new_states, new_aux, outputs, list(grads) if keep else None, totals

        if program.platform == "cpu":
            keep_freed()
        return jax.jit(run, donate_argnums=(0, 1, 3), compiler_options=program.step_options(executor.own_products))


def _given_away(array: NDArray) -> Any:
    """Return an array's value, or a copy of it where somebody else holds it or it is a part of another one."""
    cell = array._cell
    if array._shape is None and not cell.shared:
        return cell.data
    return jnp.copy(array.data)


def _moved(state: Sequence[Any], context: Context) -> tuple[Any, ...]:
    """Return a metric's totals where a step can add to them."""
    device = context.device
    # The zeros of the first step are moved, too: unplaced values would make a compilation of their own.
    return tuple(
        x if isinstance(x, jax.Array) and x.committed and x.device == device else jax.device_put(x, device)
        for x in state
    )


def pinned_value(program: Program, position: int, weight: Any) -> Any:
    """Return what an optimizer sees of a parameter: what it counts as, where the operator says so."""
    value = program.pinned.get(program.lowered.arguments[position])
    return weight if value is None else jnp.full_like(weight, value)
