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


def outputs(graph: Graph, values: Values) -> list[np.ndarray]:
    """Return what a graph computes in inference."""
    lowered = lower(graph)
    with jax.enable_x64(True):
        run = jax.jit(lambda args, aux, key: lowered(args, aux, key, False)[0])
        results = run(
            [values[name] for name in lowered.arguments],
            [values[name] for name in lowered.aux_states],
            jax.random.key(0),
        )
    return [np.asarray(x) for x in results]


def trained(graph: Graph, values: Values) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Run a training forward and backward, for random head gradients, as one program.

    Returns:
        The outputs, the auxiliary states after them included, and the gradients of all floating-point arguments.
    """
    lowered = lower(graph)
    args = {name: values[name] for name in lowered.arguments}
    wanted = {name: x for name, x in args.items() if np.issubdtype(x.dtype, np.floating)}

    def run(wanted: Any, args: Any, aux: Any, key: Any) -> Any:
        def forward(chosen: Any) -> Any:
            results, states = lowered([chosen.get(name, args[name]) for name in lowered.arguments], aux, key, True)
            return tuple(results), states

        results, back, states = jax.vjp(forward, wanted, has_aux=True)
        heads = (np.random.RandomState(i).standard_normal(x.shape).astype(x.dtype) for i, x in enumerate(results))
        return (*results, *states), back(tuple(heads))[0]

    with jax.enable_x64(True):
        aux = [values[name] for name in lowered.aux_states]
        results, gradients = jax.jit(run)(wanted, args, aux, jax.random.key(0))
    return [np.asarray(x) for x in results], {name: np.asarray(x) for name, x in gradients.items()}


def assert_same(
    change: Callable[[Graph], Graph], graph: Graph, values: Values, *, train: bool = False, tolerance: float = 1e-5
) -> Graph:
    """Assert that a pass keeps a graph's numbers, shapes and dtypes; return the new graph.

    With `train` the gradients are compared too, of all floating-point arguments.
    """
    changed = change(graph)
    if changed.heads == graph.heads:  # the same nodes, not just equal ones
        return changed
    run = trained if train else lambda graph, values: (outputs(graph, values), {})
    (want, slopes), (got, new_slopes) = run(graph, values), run(changed, values)
    for position, (one, other) in enumerate(zip(want, got, strict=True)):
        error = relative_error(other, one)
        assert error <= tolerance, f"output {position}: relative error {error:.3g}"
    assert sorted(slopes) == sorted(new_slopes)
    for name, one in slopes.items():
        error = relative_error(new_slopes[name], one)
        assert error <= tolerance, f"gradient of {name}: relative error {error:.3g}"
    return changed


def constants(graph: Graph) -> frozenset[str]:
    """Return the variables that passes may count as constant."""
    return frozenset(parameter_names(graph))


def count(graph: Graph, op: str) -> int:
    """Return how many nodes have an operator."""
    return graph.op_counts()[op]
