"""What symjit answers to a row of the operator table, and how far that is from the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from symjit.ops import registry
from symjit.ops.registry import Op
from tests.compare import relative_error
from tests.ops.case import Case
from tests.ops.conftest import golden


class Compared(NamedTuple):
    """One array of a case beside its reference.

    Attributes:
        what: ``output 0``, ``gradient of input 1``, ``auxiliary state 0``.
        got: symjit's array.
        want: the reference.
    """

    what: str
    got: np.ndarray
    want: np.ndarray

    @property
    def error(self) -> float:
        """The largest difference, relative to the largest value of the reference; shapes and dtypes must agree."""
        return relative_error(self.got, self.want)


def prepare(case: Case, arrays: list, train: bool):
    """Return ``(operator, attrs, fn)``; `fn` maps inputs to ``(outputs, new_aux)``."""
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    names = operator.input_names(attrs)
    assert len(names) == len(arrays), f"{case.id} gives {len(arrays)} inputs, the operator wants {names}"
    key = jax.random.key(7) if operator.needs_key else None
    return operator, attrs, lambda *inputs: operator.call(attrs, inputs, key=key, train=train)


def wants_gradient(case: Case, operator: Op, attrs, arrays) -> list[int]:
    """Return the inputs whose gradient the goldens hold."""
    names = operator.input_names(attrs)
    return case.gradient_inputs(arrays, sum(name not in operator.aux for name in names))


def answers(case: Case) -> dict[str, np.ndarray]:
    """Run a case; return its arrays by the names that the goldens have (``out:0``, ``aux:0``, ``grad:1``)."""
    arrays = case.arrays()
    operator = registry.get(case.op)
    attrs = operator.parse_attrs(case.attrs)
    positions = wants_gradient(case, operator, attrs, arrays) if case.reference is None else []
    train = case.train or bool(positions)
    with jax.enable_x64(True):
        _, _, fn = prepare(case, arrays, train)
        count = operator.num_visible(attrs)
        heads = []
        if positions:
            shapes = jax.eval_shape(fn, *arrays)[0][:count]
            heads = [case.head(x.shape, x.dtype, i) for i, x in enumerate(shapes)]

        def forward_and_backward(inputs, heads):
            def visible(*chosen):
                full = list(inputs)
                for position, value in zip(positions, chosen, strict=True):
                    full[position] = value
                outputs, new_aux = fn(*full)
                return tuple(outputs[:count]), new_aux

            outputs, pull, new_aux = jax.vjp(visible, *(inputs[i] for i in positions), has_aux=True)
            return outputs, new_aux, pull(tuple(heads)) if positions else ()

        outputs, new_aux, grads = jax.jit(forward_and_backward)(arrays, heads)
    found = {f"out:{i}": np.asarray(x) for i, x in enumerate(outputs)}
    if case.train:
        found.update({f"aux:{i}": np.asarray(x) for i, x in enumerate(new_aux)})
    return found | {f"grad:{i}": np.asarray(x) for i, x in zip(positions, grads, strict=True)}


NAMES = {"out": "output", "aux": "auxiliary state", "grad": "gradient of input"}


def is_random(case: Case) -> bool:
    """Return whether nothing but the shapes and dtypes of a case's results can be compared."""
    return case.reference is not None and case.reference(*case.arrays()) is True


def specs(case: Case) -> list[tuple[tuple[int, ...], np.dtype]]:
    """Return the shapes and dtypes of a case's outputs; nothing is compiled."""
    arrays = case.arrays()
    with jax.enable_x64(True):
        operator, attrs, fn = prepare(case, arrays, case.train)
        outputs = jax.eval_shape(fn, *arrays)[0]
    return [(x.shape, x.dtype) for x in outputs[: operator.num_visible(attrs)]]


def compared(family: str, case: Case) -> Iterator[Compared]:
    """Yield every array of a case beside its reference: MXNet's, or the row's own function.

    Of random arrays only shapes and dtypes are compared with MXNet's, where there are some.
    """
    want = golden(family, case.id)
    if is_random(case):
        found = specs(case)
        assert not want or found == [(x.shape, x.dtype) for x in want.values()]
        return
    got = answers(case)
    if case.reference is not None:
        expected = case.reference(*case.arrays())
        expected = expected if isinstance(expected, (list, tuple)) else [expected]
        want = {f"out:{i}": np.asarray(x) for i, x in enumerate(expected)}
    assert want, f"no golden for {case.id}: run tests/golden/generate_ops.py {family}"
    assert sorted(got) == sorted(want), f"{case.id}: {sorted(got)}, the reference has {sorted(want)}"
    for name, array in got.items():
        kind, number = name.split(":")
        yield Compared(f"{NAMES[kind]} {number}", array, want[name])
