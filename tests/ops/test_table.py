"""Every row of the operator table, against MXNet 1.9.1 or NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.ops import registry
from tests.compare import close
from tests.ops.answers import compared, prepare, wants_gradient
from tests.ops.case import Case
from tests.ops.conftest import all_cases, variety_of
from tests.ops.differences import slopes


@pytest.mark.sampled(by=variety_of)
def test_forward_and_gradient(family: str, case: Case) -> None:
    """Outputs, gradients and new auxiliary states are MXNet's."""
    for each in compared(family, case):
        close(each.got, each.want, case.tolerance(each.want.dtype), each.what)


def test_other_dtypes(family: str, cast: Case) -> None:
    """So they are in every other dtype that MXNet has the operator in."""
    for each in compared(family, cast):
        close(each.got, each.want, cast.tolerance(each.want.dtype), each.what)


@pytest.mark.sampled
def test_numeric_gradient(family: str, case: Case) -> None:
    """Where the gradient is the true one, it agrees with central differences in float64."""
    arrays = case.arrays()
    operator, attrs, _ = prepare(case, arrays, False)
    positions = wants_gradient(case, operator, attrs, arrays)
    if not positions or not case.numeric:
        return
    with jax.enable_x64(True):
        wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
        _, _, fn = prepare(case, arrays, case.train or bool(positions))
        count = operator.num_visible(attrs)
        outputs = jax.eval_shape(fn, *wide)[0][:count]
        if any(not jnp.issubdtype(x.dtype, jnp.floating) for x in outputs):
            return
        heads = [case.head(x.shape, x.dtype, i) for i, x in enumerate(outputs)]

        def loss(*xs):
            total = jnp.zeros((), jnp.float64)
            for y, h in zip(fn(*xs)[0][:count], heads, strict=True):
                total = total + jnp.sum(y.astype(jnp.float64) * h.astype(jnp.float64))
            return total

        rng = np.random.RandomState(3)
        drawn = [rng.standard_normal(a.shape) if i in positions else None for i, a in enumerate(wide)]
        ((analytic, numeric),) = slopes(loss, wide, [{i: drawn[i] for i in positions}])
    assert analytic == pytest.approx(numeric, rel=1e-5, abs=1e-6)


def test_attributes_round_trip(family: str, case: Case) -> None:
    """The text of the attributes parses back to the same values."""
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    assert operator.parse_attrs(operator.format_attrs(attrs)) == attrs
    texts = {name: attr.type.format(getattr(attrs, name)) for name, attr in operator.attrs.items()}
    assert operator.parse_attrs(texts) == attrs


@pytest.mark.sampled(by=variety_of)
def test_no_64_bit_intermediates(family: str, case: Case) -> None:
    """Nothing in an operator widens to 64 bits unless the inputs or the output are 64 bits wide.

    Functions of integers may pass through float64, as they do in MXNet.
    """
    arrays = case.arrays()
    with jax.enable_x64(True):
        _, _, fn = prepare(case, arrays, case.train)
        jaxpr = jax.make_jaxpr(fn)(*arrays)
    boundary = [a.dtype for a in arrays] + [v.aval.dtype for v in jaxpr.jaxpr.outvars]
    if any(d.itemsize == 8 and d.kind in "iuf" for d in map(np.dtype, [b for b in boundary if b != jax.dtypes.float0])):
        return
    asked_for = ("float64",) if all(array.dtype.kind in "iu" for array in arrays) else ()
    wide = [
        f"{eqn.primitive.name}: {v.aval.dtype}{v.aval.shape}"
        for eqn in equations(jaxpr.jaxpr)
        for v in eqn.outvars
        if getattr(v.aval, "shape", ()) != ()
        and str(getattr(v.aval, "dtype", "")) in {"float64", "int64", "uint64"}.difference(asked_for)
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


def test_ids_are_unique() -> None:
    """No two cases of a family share a name, for goldens are stored by it."""
    ids = [(family, case.id) for family, case in all_cases()]
    assert len(ids) == len(set(ids))
