"""Run a graph before and after a pass on the same values."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from symjit.ir.graph import Entry, Graph
from symjit.ir.infer import Inference, infer
from symjit.ir.lower import lower
from symjit.ir.passes.parameters import parameter_names
from tests.compare import relative_error

Values = Mapping[str, np.ndarray]


def values_of(graph: Graph, shapes: Mapping[str, tuple[int, ...]], dtype: str = "float32") -> dict[str, np.ndarray]:
    """Return random values of all variables; those of a variance are positive."""
    found = infer(graph, shapes, dict.fromkeys((node.name for node in graph.variables), dtype))
    made = {}
    for node in graph.variables:
        spec = found.spec(Entry(node))
        rng = np.random.RandomState(zlib.crc32(node.name.encode()) % 2**31)
        value = rng.standard_normal(spec.shape)
        made[node.name] = (np.abs(value) + 0.5 if node.name.endswith("var") else value).astype(spec.dtype)
    return made


def specs_of(graph: Graph, values: Values, train: bool = False) -> Inference:
    """Return shapes and dtypes of a graph on these values."""
    return infer(graph, {n: x.shape for n, x in values.items()}, {n: x.dtype for n, x in values.items()}, train=train)


def outputs(graph: Graph, values: Values, train: bool = False) -> list[np.ndarray]:
    """Return what a graph computes, its auxiliary states after it included."""
    lowered = lower(graph)
    with jax.enable_x64(True):
        run = jax.jit(lambda args, aux, key: lowered(args, aux, key, train))
        results, states = run(
            [values[name] for name in lowered.arguments],
            [values[name] for name in lowered.aux_states],
            jax.random.key(0),
        )
    return [np.asarray(x) for x in (*results, *(states if train else ()))]


def gradients(graph: Graph, values: Values) -> list[np.ndarray]:
    """Return the gradients of all floating-point arguments in a training forward, for random head gradients."""
    lowered = lower(graph)
    args = [values[name] for name in lowered.arguments]
    aux = [values[name] for name in lowered.aux_states]
    wanted = [i for i, x in enumerate(args) if np.issubdtype(x.dtype, np.floating)]

    def run(chosen: Any) -> Any:
        full = list(args)
        for position, value in zip(wanted, chosen, strict=True):
            full[position] = value
        return lowered(full, aux, jax.random.key(0), True)[0]

    with jax.enable_x64(True):
        results, back = jax.vjp(jax.jit(run), [args[i] for i in wanted])
        heads = tuple(np.random.RandomState(i).standard_normal(x.shape).astype(x.dtype) for i, x in enumerate(results))
        return [np.asarray(x) for x in back(heads)[0]]


def assert_same(
    change: Callable[[Graph], Graph], graph: Graph, values: Values, *, train: bool = False, tolerance: float = 1e-5
) -> Graph:
    """Assert that a pass keeps a graph's numbers, shapes and dtypes; return the new graph.

    With `train` the gradients are compared too, of all floating-point arguments.
    """
    changed = change(graph)
    for position, (want, got) in enumerate(
        zip(outputs(graph, values, train), outputs(changed, values, train), strict=True)
    ):
        error = relative_error(got, want)
        assert error <= tolerance, f"output {position}: relative error {error:.3g}"
    if train:
        by_name = dict(zip(floating(changed, values), gradients(changed, values), strict=True))
        for name, want in zip(floating(graph, values), gradients(graph, values), strict=True):
            error = relative_error(by_name[name], want)
            assert error <= tolerance, f"gradient of {name}: relative error {error:.3g}"
    return changed


def floating(graph: Graph, values: Values) -> list[str]:
    """Return the names of the arguments that have gradients."""
    return [node.name for node in graph.arguments if np.issubdtype(values[node.name].dtype, np.floating)]


def constants(graph: Graph) -> frozenset[str]:
    """Return the variables that passes may count as constant."""
    return frozenset(parameter_names(graph))


def count(graph: Graph, op: str) -> int:
    """Return how many nodes have an operator."""
    return graph.op_counts()[op]
