"""Every row of the operator table, against MXNet 1.9.1 or NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.ops import registry
from tests.compare import close
from tests.ops.case import Case
from tests.ops.conftest import all_cases, golden


def run(case: Case, arrays: list, train: bool):
    """Return ``(operator, attrs, fn)``; `fn` maps inputs to ``(outputs, new_aux)``."""
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    names = operator.input_names(attrs)
    assert len(names) == len(arrays), f"{case.id} gives {len(arrays)} inputs, the operator wants {names}"
    key = jax.random.key(7) if operator.needs_key else None
    return operator, attrs, lambda *inputs: operator.call(attrs, inputs, key=key, train=train)


def wants_gradient(case: Case, operator, attrs, arrays) -> list[int]:
    """Return the inputs whose gradient the goldens hold."""
    names = operator.input_names(attrs)
    return case.gradient_inputs(arrays, sum(name not in operator.aux for name in names))


def test_forward_and_gradient(family: str, case: Case) -> None:
    """Outputs, gradients and new auxiliary states are MXNet's."""
    arrays = case.arrays()
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    positions = wants_gradient(case, operator, attrs, arrays) if case.reference is None else []
    train = case.train or bool(positions)
    with jax.enable_x64(True):
        inputs = [jnp.array(a) for a in arrays]
        _, _, fn = run(case, arrays, train)
        count = operator.num_visible(attrs)
        heads = []
        if positions:
            shapes = jax.eval_shape(fn, *inputs)[0][:count]
            heads = [jnp.array(case.head(x.shape, x.dtype, i)) for i, x in enumerate(shapes)]

        def forward_and_backward(inputs, heads):
            def visible(*chosen):
                full = list(inputs)
                for position, value in zip(positions, chosen, strict=True):
                    full[position] = value
                outputs, new_aux = fn(*full)
                return tuple(outputs[:count]), new_aux

            outputs, pull, new_aux = jax.vjp(visible, *(inputs[i] for i in positions), has_aux=True)
            return outputs, new_aux, pull(tuple(heads)) if positions else ()

        outputs, new_aux, grads = jax.jit(forward_and_backward)(inputs, heads)
    outputs = [np.asarray(x) for x in outputs]
    if case.reference is not None:
        want = case.reference(*arrays)
        if want is True:
            return
        want = want if isinstance(want, (list, tuple)) else [want]
        for i, (got, expected) in enumerate(zip(outputs, want, strict=True)):
            close(got, np.asarray(expected), case.tol, f"output {i}")
        return
    want = golden(family, case.id)
    assert want, f"no golden for {case.id}: run tests/golden/generate_ops.py {family}"
    assert len(outputs) == sum(k.startswith("out:") for k in want)
    for i, got in enumerate(outputs):
        close(got, want[f"out:{i}"], case.tol, f"output {i}")
    if case.train:
        for i, got in enumerate(new_aux):
            close(np.asarray(got), want[f"aux:{i}"], case.tol, f"auxiliary state {i}")
    for position, got in zip(positions, grads, strict=True):
        close(np.asarray(got), want[f"grad:{position}"], case.tol, f"gradient of input {position}")


@pytest.mark.sampled
def test_numeric_gradient(family: str, case: Case) -> None:
    """Where the gradient is the true one, it agrees with central differences in float64."""
    arrays = case.arrays()
    operator, attrs, _ = run(case, arrays, False)
    positions = wants_gradient(case, operator, attrs, arrays)
    if not positions or not case.numeric or operator.grad_rule is not None or operator.needs_key:
        return
    with jax.enable_x64(True):
        wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
        inputs = [jnp.array(a) for a in wide]
        _, _, fn = run(case, arrays, case.train or bool(positions))
        count = operator.num_visible(attrs)
        outputs = fn(*inputs)[0][:count]
        if any(not jnp.issubdtype(x.dtype, jnp.floating) for x in outputs):
            return
        heads = [jnp.array(case.head(x.shape, x.dtype, i)) for i, x in enumerate(outputs)]

        def loss(*xs):
            total = jnp.zeros((), jnp.float64)
            for y, h in zip(fn(*xs)[0][:count], heads, strict=True):
                total = total + jnp.sum(y.astype(jnp.float64) * h.astype(jnp.float64))
            return total

        rng = np.random.RandomState(3)
        directions = [
            jnp.array(rng.standard_normal(a.shape)) if i in positions else jnp.zeros_like(x)
            for i, (a, x) in enumerate(zip(wide, inputs, strict=True))
        ]
        loss = jax.jit(loss)
        step = 1e-6
        there = loss(
            *[x + step * d if i in positions else x for i, (x, d) in enumerate(zip(inputs, directions, strict=True))]
        )
        back = loss(
            *[x - step * d if i in positions else x for i, (x, d) in enumerate(zip(inputs, directions, strict=True))]
        )
        grads = jax.jit(jax.grad(loss, argnums=tuple(positions)))(*inputs)
        analytic = sum(float(jnp.vdot(g, directions[p])) for g, p in zip(grads, positions, strict=True))
        numeric = float(there - back) / (2 * step)
    assert analytic == pytest.approx(numeric, rel=1e-5, abs=1e-6)


def test_attributes_round_trip(family: str, case: Case) -> None:
    """The text of the attributes parses back to the same values."""
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    assert operator.parse_attrs(operator.format_attrs(attrs)) == attrs
    texts = {name: attr.type.format(getattr(attrs, name)) for name, attr in operator.attrs.items()}
    assert operator.parse_attrs(texts) == attrs


def test_no_64_bit_intermediates(family: str, case: Case) -> None:
    """Nothing in an operator widens to 64 bits unless the inputs or the output are 64 bits wide."""
    arrays = case.arrays()
    with jax.enable_x64(True):
        _, _, fn = run(case, arrays, case.train)
        jaxpr = jax.make_jaxpr(fn)(*arrays)
    boundary = [a.dtype for a in arrays] + [v.aval.dtype for v in jaxpr.jaxpr.outvars]
    if any(d.itemsize == 8 and d.kind in "iuf" for d in map(np.dtype, [b for b in boundary if b != jax.dtypes.float0])):
        return
    wide = [
        f"{eqn.primitive.name}: {v.aval.dtype}{v.aval.shape}"
        for eqn in equations(jaxpr.jaxpr)
        for v in eqn.outvars
        if getattr(v.aval, "shape", ()) != () and str(getattr(v.aval, "dtype", "")) in ("float64", "int64", "uint64")
    ]
    assert not wide, f"64-bit intermediates: {wide}"


def equations(jaxpr):
    """Yield the equations of a jaxpr and of all jaxprs inside it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in eqn.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


def test_complete() -> None:
    """Every registered operator has a case."""
    covered = {registry.get(case.op).name for _, case in all_cases()}
    assert not sorted({operator.name for operator in registry.ops()} - covered)


def test_ids_are_unique() -> None:
    """No two cases of a family share a name, for goldens are stored by it."""
    ids = [(family, case.id) for family, case in all_cases()]
    assert len(ids) == len(set(ids))
