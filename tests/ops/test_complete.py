"""The table is complete: what rows there have to be follows from the registry.

What is missing on purpose stands in a table here, with its reason; an entry that is not needed any more fails.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from symjit.ops import registry
from symjit.ops.attrs import Bool, Enum, Optional
from symjit.ops.registry import Attr, Op
from tests.ops.answers import wants_gradient
from tests.ops.case import DTYPES, LOSS, TOLERANCE, Case
from tests.ops.conftest import all_cases, cast_cases, golden, mxnet_dtypes

#: ``(operator, attribute)``: why the rows do not vary it.
ATTRIBUTES: dict[tuple[str, str], str] = {
    ("softmax", "use_length"): 'None, which MXNet parses and then fails on ("bad optional access")',
    ("log_softmax", "use_length"): "MXNet declares the attribute and no length input: True can not work, None fails",
    ("softmin", "use_length"): "MXNet declares the attribute and no length input: True can not work, None fails",
    ("SequenceReverse", "axis"): "MXNet refuses all but 0",
    ("pick", "axis"): "None, which MXNet declares and refuses",
    ("moments", "axes"): "None, the default, which MXNet refuses",
}

#: Operators of floating inputs without a compared gradient.
NO_GRADIENT: dict[str, str] = {
    **dict.fromkeys(("argmax_channel", "argsort", "one_hot"), "the result is an index or comes of one"),
    **dict.fromkeys(("shape_array", "size_array"), "the result does not depend on the values"),
    "batch_take": "MXNet registers none",
    "_grad_add": "MXNet registers none: it stands in gradient graphs only",
    "_slice_assign": "MXNet registers none: it stands for a Python assignment",
    "_slice_assign_scalar": "MXNet registers none: it stands for a Python assignment",
    "_shuffle": "MXNet registers none",
    **{
        name: "the result is random, and MXNet registers no gradient by the distribution's parameters"
        for family in ("_random_{}_like", "_sample_{}")
        for name in map(family.format, ("uniform", "normal", "gamma", "exponential", "poisson"))
    },
}

#: Operators with a compared gradient that is not the derivative of what they compute.
NOT_THE_DERIVATIVE: dict[str, str] = {
    "BlockGrad": "no gradient passes, and that is what it is for",
    **{
        name: LOSS
        for name in (
            "SoftmaxOutput",
            "LinearRegressionOutput",
            "LogisticRegressionOutput",
            "MAERegressionOutput",
            "MakeLoss",
            "make_loss",
            "SVMOutput",
        )
    },
    "IdentityAttachKLSparseReg": "the gradient of a penalty is added, which is no part of the output",
}

#: ``(operator, training)``: why there is no row in this mode.
MODES: dict[tuple[str, bool], str] = {}

#: ``(operator, dtype)``: why there is no row, although MXNet's answer exists.
NO_DTYPE: dict[tuple[str, str], str] = {}


@cache
def rows() -> dict[str, list[tuple[str, Case]]]:
    """Return the rows of each operator, aliases included."""
    found = defaultdict(list)
    for family, case in all_cases():
        found[registry.get(case.op).name].append((family, case))
    return found


def parsed(case: Case):
    return registry.get(case.op).parse_attrs(case.attrs)


def compared_gradients(case: Case) -> list[int]:
    """Return the inputs whose gradient is compared with MXNet's."""
    if case.reference is not None:
        return []
    return wants_gradient(case, registry.get(case.op), parsed(case), case.arrays())


def settle(missing: dict, waived: dict) -> None:
    """Fail on what is missing and not waived, on a waiver that is not needed, and on one without a reason."""
    assert not {what: why for what, why in missing.items() if what not in waived}
    assert not [what for what in waived if what not in missing], "these waivers are not needed any more"
    assert all(waived.values()), "every waiver has a reason"


def test_every_operator_has_a_case() -> None:
    """Every registered operator has a row."""
    assert not [operator.name for operator in registry.ops() if not rows()[operator.name]]


def unvaried(operator: Op, attr: Attr) -> list:
    """Return the values that an attribute should take among the rows of its operator and does not."""
    taken = {getattr(parsed(case), attr.name) for _, case in rows()[operator.name]}
    inner = attr.type.inner if isinstance(attr.type, Optional) else attr.type
    wanted = [True, False] if isinstance(inner, Bool) else list(inner.choices) if isinstance(inner, Enum) else []
    wanted += [None] if isinstance(attr.type, Optional) else []
    return [value for value in wanted if value not in taken] or (["a second value"] if len(taken) < 2 else [])


def test_every_attribute_takes_its_values() -> None:
    """An enumeration takes every choice, a flag both, an optional value None and another; all others two values."""
    found = {(o.name, a.name): unvaried(o, a) for o in registry.ops() for a in o.attrs.values()}
    settle({what: values for what, values in found.items() if values}, ATTRIBUTES)


def test_every_gradient_is_compared() -> None:
    """Every operator of floating inputs has a row whose gradient is compared with MXNet's."""
    floating = [
        operator.name
        for operator in registry.ops()
        if any(a.dtype.kind == "f" for _, case in rows()[operator.name] for a in case.arrays())
    ]
    missing = [name for name in floating if not any(compared_gradients(case) for _, case in rows()[name])]
    settle(dict.fromkeys(missing, "no gradient is compared"), NO_GRADIENT)


def test_every_derivative_is_compared() -> None:
    """Every operator with a gradient has a row in which it agrees with finite differences."""
    missing = {}
    for operator in registry.ops():
        compared = [case for _, case in rows()[operator.name] if compared_gradients(case)]
        if compared and not any(case.numeric for case in compared):
            missing[operator.name] = "all rows say numeric=False"
    settle(missing, NOT_THE_DERIVATIVE)


def test_both_modes() -> None:
    """Every operator that acts differently in training has a row in each mode; a backward pass is a training one."""
    missing = {}
    for operator in registry.ops():
        if operator.needs_train:
            modes = {case.train or bool(compared_gradients(case)) for _, case in rows()[operator.name]}
            missing.update({(operator.name, mode): "no row" for mode in (True, False) if mode not in modes})
    settle(missing, MODES)


def test_every_dtype_of_mxnet() -> None:
    """In every dtype either a row runs, with its gradient where MXNet has one, or MXNet refuses the operator.

    What MXNet says is in ``tests/golden/ops/FAMILY.json``; ``tests/golden/generate_ops.py`` asks it.
    """
    asked = defaultdict(set)
    for family, case in all_cases():
        asked[registry.get(case.op).name] |= set(mxnet_dtypes(family).get(case.id, ()))
        for array in case.arrays():
            asked[registry.get(case.op).name].add(array.dtype.name)
        asked[registry.get(case.op).name].add(str(getattr(parsed(case), "dtype", None)))
    missing = {(o.name, d): "not asked" for o in registry.ops() for d in DTYPES if d not in asked[o.name]}
    settle(missing, NO_DTYPE)
    for family, case in cast_cases():
        assert golden(family, case.id), f"{case.id}: no golden; run tests/golden/generate_ops.py {family}"


def test_answers_of_mxnet_are_of_rows() -> None:
    """No answer is kept of a row that is no more."""
    ids = {(family, case.id) for family, case in all_cases()} | {(family, case.id) for family, case in cast_cases()}
    for family in {family for family, _ in all_cases()}:
        assert all((family, row) in ids for row in mxnet_dtypes(family)), family


def weakened(case: Case, family: str) -> list[str]:
    """Return in what respects a row asks for less than others do."""
    found = ["a reference in place of MXNet's answer"] if case.reference is not None else []
    if not case.numeric and compared_gradients(case):
        found.append("no finite differences")
    if isinstance(case.tol, dict):
        found += [f"tol in {name}" for name, tol in case.tol.items() if tol > TOLERANCE.get(name, 0.0)]
    elif case.tol is not None:
        dtypes = {array.dtype.name for array in golden(family, case.id).values()}
        usual = max([TOLERANCE.get(name, 0.0) for name in dtypes], default=0.0)
        found += ["tol"] if case.tol > usual else []
    return found


def test_weaker_rows_have_a_reason() -> None:
    """A row with a wider tolerance, without differences or without MXNet's answer says why."""
    found = {case.id: weakened(case, family) for family, case in all_cases() if not case.reason}
    assert not {name: what for name, what in found.items() if what}
