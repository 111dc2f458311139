"""Every row of the operator table as a graph: inference both ways, and the same numbers eagerly and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import symjit as mx
from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.infer import infer
from symjit.ir.lower import is_open, lower
from symjit.ndarray.invoke import invoke
from symjit.ops import registry
from tests.compare import close
from tests.ops.case import Case
from tests.ops.conftest import variety_of


def single(case: Case) -> tuple[Graph, Node]:
    """Return the graph that is one operator on variables called after its inputs."""
    operator = registry.get(case.op)
    attrs = {name: str(value) for name, value in case.attrs.items()}
    names = operator.input_names(operator.parse_attrs(attrs))
    node = Node(operator.name, "node", attrs, tuple(Entry(Node(None, name)) for name in names))
    return Graph([Entry(node, i) for i in range(node.num_visible)]), node


@pytest.mark.sampled(by=variety_of)
def test_inference_forward(family: str, case: Case) -> None:
    """Shapes and dtypes inferred from the inputs are those of the results."""
    arrays = case.arrays()
    graph, node = single(case)
    if is_open(node):
        assert infer(graph).missing() == ["node_output"]  # its users decide: tests/test_inference.py
        return
    names = [entry.node.name for entry in node.inputs]
    found = infer(
        graph,
        {n: a.shape for n, a in zip(names, arrays, strict=True)},
        {n: a.dtype for n, a in zip(names, arrays, strict=True)},
        train=case.train,
    )
    with jax.enable_x64(True):
        args = dict(zip(names, arrays, strict=True))
        lowered = lower(graph)
        key = jax.random.key(0) if lowered.draws(case.train) else None
        results = jax.eval_shape(
            lambda a, x, k: lowered(a, x, k, case.train)[0],
            [args[n] for n in lowered.arguments],
            [args[n] for n in lowered.aux_states],
            key,
        )
    for head, result in zip(graph.heads, results, strict=True):
        assert found.shape(head) == result.shape
        assert found.dtype(head) == result.dtype


def agrees(partial: tuple[int | None, ...], whole: tuple[int, ...]) -> bool:
    """Return whether a partial shape says nothing wrong of a shape."""
    return len(partial) == len(whole) and all(a in (None, b) for a, b in zip(partial, whole, strict=True))


def has_known_shapes(family: str, case: Case) -> bool:
    """Return whether inference can be told the shapes: to it 0 is an unknown dimension and () an unknown shape."""
    return all(0 not in a.shape and a.ndim > 0 for a in case.arrays())


@pytest.mark.sampled
@pytest.mark.only(fits=has_known_shapes)
def test_inference_hides_each_shape(family: str, case: Case) -> None:
    """With one input's shape hidden, what is deduced is right or unknown; parameters are always deduced."""
    arrays = case.arrays()
    graph, node = single(case)
    operator = node.operator
    shapes = {e.node.name: a.shape for e, a in zip(node.inputs, arrays, strict=True)}
    dtypes = {e.node.name: a.dtype for e, a in zip(node.inputs, arrays, strict=True)}
    complete = infer(graph, shapes, dtypes, train=case.train)
    for entry in node.inputs:
        name = entry.node.name
        partial = {other: shape for other, shape in shapes.items() if other != name}
        found = infer(graph, partial, dtypes, train=case.train)
        deduced = found.shape(entry)
        # The length of a label is only fixed by losses that compare it with the data position by position, and a
        # vector has no channels from which a parameter could follow.
        is_label = operator.role.get(name) == "label" and operator.infer_as is not None
        if (name in operator.params and arrays[0].ndim > 1) or name in operator.aux or is_label:
            assert deduced is not None and None not in deduced, f"{name} is not deduced: {deduced}"
        if deduced is not None and not agrees(deduced, shapes[name]):
            # Some inputs may come in several shapes (labels, the slope of PReLU): another one has to serve as well.
            assert None not in deduced, f"{name}: {deduced} for {shapes[name]}"
            other = infer(graph, {**shapes, name: deduced}, dtypes, train=case.train)
            assert [other.shape(head) for head in graph.heads] == [complete.shape(head) for head in graph.heads]
        for head in graph.heads:
            shape = found.shape(head)
            assert shape is None or agrees(shape, complete.shape(head))


def draws(family: str, case: Case) -> bool:
    """Return whether a case rolls dice."""
    operator = registry.get(case.op)
    return operator.draws(operator.parse_attrs(case.attrs), case.train)


def both(case: Case) -> tuple[list[mx.nd.NDArray], Callable[..., Any], list[Any]]:
    """Return the results of ``mx.nd``, and the Executor's program with its inputs."""
    arrays = case.arrays()
    graph, node = single(case)
    eager = invoke(node.operator, [mx.nd.from_numpy(a) for a in arrays], case.attrs, train=case.train)
    named = {e.node.name: a for e, a in zip(node.inputs, arrays, strict=True)}
    lowered = lower(graph)
    return (
        eager if isinstance(eager, list) else [eager],
        lambda a, x, key: lowered(a, x, key, case.train)[0],
        [[named[n] for n in lowered.arguments], [named[n] for n in lowered.aux_states]],
    )


@pytest.mark.sampled
@pytest.mark.only(fits=lambda family, case: not draws(family, case))
def test_eager_equals_compiled(family: str, case: Case) -> None:
    """``mx.nd`` and the Executor's program give the same numbers."""
    eager, program, given = both(case)
    with jax.enable_x64(True):
        results = jax.jit(program)(*given, None)
    arrays = case.arrays()
    tolerance = 1e-6 if all(a.dtype.itemsize >= 4 or a.dtype.kind != "f" for a in arrays) else 2e-3
    for i, (got, want) in enumerate(zip(eager, results, strict=True)):
        close(got.asnumpy(), np.asarray(want), tolerance, f"output {i}")


@pytest.mark.slow
@pytest.mark.only(fits=draws)
def test_eager_dice_are_like_compiled_ones(family: str, case: Case) -> None:
    """They have the same shape and dtype; the numbers themselves are the matter of test_random.py."""
    eager, program, given = both(case)
    if is_open(single(case)[1]):
        return  # users decide the compiled one's shape: tests/test_inference.py
    with jax.enable_x64(True):
        results = jax.eval_shape(program, *given, jax.random.key(0))
    assert [(x.shape, x.dtype) for x in eager] == [(x.shape, x.dtype) for x in results]


@pytest.mark.parametrize("name", sorted(registry.names()))
def test_every_name_has_a_function(name: str) -> None:
    """Every name and alias is a function of ``mx.nd`` and of ``mx.sym`` with a signature and a docstring."""
    from inspect import signature

    from symjit.ops.signature import public_name

    namespace, short = public_name(name)
    for module in (mx.nd, mx.sym):
        function = getattr(getattr(module, namespace) if namespace else module, short)
        assert function.__doc__ and len(function.__doc__) > 20
        if namespace == "random":
            continue  # mx.random's functions have parameters of their own, `scale` for 1 / lam
        names = set(signature(function).parameters)
        operator = registry.get(name)
        assert {attr.name for attr in operator.signature_attrs()} <= names
        assert set(operator.inputs) <= names
