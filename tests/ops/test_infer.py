"""Inference against MXNet 1.9.1: every row of the operator table, with shapes and dtypes hidden or wrong.

The questions are those of ``tests/ops/hiding.py``, MXNet's answers lie in ``tests/golden/infer``. The rule:

- what MXNet deduces of the row symjit deduces too; where MXNet's answer contradicts the row it was a guess and binds
  nobody (it takes an unknown dimension for a size of 0, or a result for its input);
- symjit may deduce more, if it is true of the row, or is what MXNet deduces once it knows the data;
- where MXNet refuses wrong shapes or dtypes symjit refuses, with an MXNetError. Where MXNet refuses because a shape or
  dtype is missing, symjit leaves unknown what does not follow.

What is decided otherwise is in the tables below, by operator, with the reason.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit.base import MXNetError
from symjit.ops import registry
from tests.ops.case import Case
from tests.ops.conftest import GOLDEN, all_cases
from tests.ops.hiding import Shape, dtype_questions, graph_json, read, shape_questions, show

_LATER = "MXNet 1.9.1 infers a result and refuses or aborts when it runs"
_FOREIGN = "MXNet 1.9.1 infers a result and runs past the end of an array, or leaves a part of one out"
_BY_SIZE = "MXNet 1.9.1 reads an array of another rank element by element"

#: Operators that refuse wrong shapes which MXNet's inference lets pass.
SHAPES_REFUSED_EARLIER = {
    "LeakyReLU": _LATER,
    "SoftmaxActivation": "a vector has no rows for mode='instance'",
    "where": _LATER + "; a condition of another rank it reads element by element",
    "UpSampling": _LATER,
    "FullyConnected": _LATER,
    "batch_take": _BY_SIZE,
    "stack": _LATER,
    "reverse": _LATER,
    "SoftmaxOutput": _LATER,
    "IdentityAttachKLSparseReg": "MXNet 1.9.1 replaces the given shape of the state by the one it expects",
    "Reshape": _LATER + "; where the result is smaller, it drops the rest of the data",
    "diag": "MXNet 1.9.1 gives an empty array for a diagonal outside of the matrix",
    "BatchNorm": "MXNet 1.9.1 replaces the given shapes of the vectors by the one it expects, and then " + _FOREIGN,
    "BatchNorm_v1": _LATER,
    "InstanceNorm": _LATER,
    "GroupNorm": _LATER + "; gamma and beta of another rank it reads element by element",
    "LRN": _LATER,
    "Pooling": _LATER,
    "Pooling_v1": _LATER,
    "_sample_uniform": "MXNet 1.9.1 answers that nothing can be inferred, and refuses when it binds",
    "_sample_normal": "see _sample_uniform",
    "_sample_gamma": "see _sample_uniform",
    "argmax": _LATER,
    "argmin": _LATER,
    "argmax_channel": _LATER,
    "Crop": "MXNet 1.9.1 takes two axes of a second input of any rank, and checks the offset when it runs",
    "_slice_assign_scalar": _LATER,
}

#: Operators that take shapes which MXNet refuses.
SHAPES_TAKEN = {"slice": "MXNet 1.9.1 slices arrays of up to 5 dimensions"}

#: Operators that refuse dtypes which MXNet's inference lets pass.
DTYPES_REFUSED_EARLIER = {
    "where": "MXNet 1.9.1 answers that nothing can be inferred, and refuses when it binds",
    "IdentityAttachKLSparseReg": "MXNet 1.9.1 replaces the given dtype of the state by float32",
    "_sample_uniform": "see where",
    "_sample_normal": "see where",
    "_sample_gamma": "see where",
}

#: Operators that take dtypes which MXNet refuses.
DTYPES_TAKEN = {
    "batch_take": "MXNet 1.9.1 takes int32 indices only; any others are converted here",
    "Crop": "MXNet 1.9.1 takes float32 only",
}

#: Operators of which MXNet deduces something that happens to be true of a row.
DTYPES_GUESSED = {
    "InstanceNorm": "MXNet 1.9.1 answers float32 at once where nothing is known; here float32 is the last resort",
    "IdentityAttachKLSparseReg": "see InstanceNorm",
    "Crop": "see InstanceNorm",
    "amp_multicast": "MXNet 1.9.1 takes a half for the widest or narrowest dtype before it has seen the others",
}


@cache
def answers(family: str) -> dict[str, Any]:
    """Return MXNet's answers to the questions about a family."""
    path = GOLDEN.parent / "infer" / f"{family}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def is_answered(family: str, case: Case) -> bool:
    """Return whether MXNet answers at all: the reference of two rows is not MXNet, which refuses their attributes."""
    return answers(family).get(case.id, {}) is not None


class Subject:
    """One case as a symbol, and what MXNet says of it."""

    def __init__(self, family: str, case: Case) -> None:
        self.operator = registry.get(case.op).name
        known = answers(family)
        assert case.id in known, f"no answers for {case.id}: run tests/golden/generate_infer.py {family}"
        self.golden = known[case.id]
        arrays = case.arrays()
        self.names = [f"in{i}" for i in range(len(arrays))]
        self.shapes = [tuple(array.shape) for array in arrays]
        self.dtypes = [array.dtype.name for array in arrays]
        self.outputs = len(self.golden["shapes"])
        self.symbol = mx.sym.load_json(graph_json(case.op, case.attrs, len(arrays), self.outputs))

    def wanted(self, kind: str, number: int) -> str:
        """Return MXNet's answer to a question."""
        return self.golden["answers"][self.golden[kind][number]]

    def true_answers(self, kind: str, labels: list[str]) -> list[list[str]]:
        """Return the parts of MXNet's answers to the whole row and to its data alone (the defaults of the rest)."""
        numbers = [i for i, label in enumerate(labels) if label in ("all", "data alone", "in0 alone")]
        found = [parts(self.wanted(kind, number)) for number in numbers]
        return [each for each in found if each]

    def answer(self, kind: str, given: dict[str, Any]) -> str:
        """Return symjit's answer, written as MXNet's are."""
        try:
            arguments, outputs, states = getattr(self.symbol, f"infer_{kind}_partial")(**given)
        except MXNetError as error:
            assert "node 'node'" in str(error) or "node 'sum" in str(error), f"the message names no node: {error}"
            return "!MXNetError"
        found = dict(zip(self.symbol.list_arguments(), arguments, strict=True))
        found.update(zip(self.symbol.list_auxiliary_states(), states, strict=True))
        write = show if kind == "shape" else lambda dtype: "?" if dtype is None else np.dtype(dtype).name
        ins = [write(found[name]) for name in self.names]
        return f"{';'.join(ins)}>{';'.join(map(write, outputs[: self.outputs]))}"


def parts(answer: str) -> list[str]:
    """Return an answer's inputs and outputs in one list; none for an exception."""
    return [] if answer.startswith("!") else answer.replace(">", ";").strip(";").split(";")


def shape_holds(partial: str, whole: str) -> bool:
    """Return whether all that a partial shape says is true of another shape."""
    left, right = read(partial), read(whole)
    return not left or (len(left) == len(right) and all(a in (0, b) for a, b in zip(left, right, strict=True)))


def dtype_holds(partial: str, whole: str) -> bool:
    """Return whether a dtype is unknown or the other one."""
    return partial in ("?", whole)


#: What may be amiss with an answer that a table can excuse, by kind of question.
TABLES = {
    "shape": {"MXNet infers this": SHAPES_REFUSED_EARLIER, "MXNet refuses this": SHAPES_TAKEN},
    "dtype": {
        "MXNet infers this": DTYPES_REFUSED_EARLIER,
        "MXNet refuses this": DTYPES_TAKEN,
        "MXNet deduces more": DTYPES_GUESSED,
    },
}


def judge(want: str, got: str, wrong: bool, complete: list[list[str]], holds: Callable[[str, str], bool]) -> str:
    """Return what is amiss with an answer, "" if nothing is.

    `complete` holds the lists of true shapes or dtypes: the row's own, and those that MXNet gives unknown inputs.
    """
    if got == want:
        return ""
    if wrong and want.startswith("!"):
        return "MXNet refuses this"
    if wrong and got.startswith("!"):
        return "MXNet infers this"
    if got.startswith("!"):
        return "what is hidden became an error"
    for i, mine in enumerate(parts(got)):
        theirs = parts(want)[i] if parts(want) else "?"
        if wrong:
            if not holds(theirs, mine):
                return f"part {i}: MXNet says {theirs}"
        elif not any(holds(mine, whole[i]) for whole in complete):
            return f"part {i}: {mine} is not true of the row, {complete[0][i]}"
        elif holds(theirs, complete[0][i]) and not holds(theirs, mine):
            return "MXNet deduces more"
    return ""


def differences(subject: Subject, kind: str) -> Iterator[tuple[str, str]]:
    """Yield what is amiss with answers about a case, as `judge` says it, and the question with both answers."""
    if kind == "shape":
        outputs: list[Shape] = [tuple(shape) for shape in subject.golden["shapes"]]
        asked: list[tuple[str, Any]] = list(shape_questions(subject.shapes, outputs))
    else:
        asked = list(dtype_questions(subject.dtypes, subject.golden["dtypes"]))
    assert len(asked) == len(subject.golden[kind]), "the questions changed: run tests/golden/generate_infer.py"
    complete = subject.true_answers(kind, [label for label, _ in asked])
    holds = shape_holds if kind == "shape" else dtype_holds
    for i, (label, given) in enumerate(asked):
        want, got = subject.wanted(kind, i), subject.answer("type" if kind == "dtype" else kind, given)
        found = judge(want, got, label.startswith("wrong"), complete, holds)
        if found:
            yield found, f"{label}: {given}: MXNet {want}, symjit {got}: {found}"


def unexcused(subject: Subject, kind: str) -> list[str]:
    """Return the differences that no table excuses."""
    return [told for found, told in differences(subject, kind) if subject.operator not in TABLES[kind].get(found, {})]


@pytest.mark.sampled
@pytest.mark.only(fits=is_answered)
def test_shapes_as_mxnet(family: str, case: Case) -> None:
    """Shapes follow wherever they follow in MXNet, nothing false follows, and what MXNet refuses is refused."""
    assert not unexcused(Subject(family, case), "shape")


@pytest.mark.only(fits=is_answered)
def test_dtypes_as_mxnet(family: str, case: Case) -> None:
    """Likewise dtypes."""
    assert not unexcused(Subject(family, case), "dtype")


@pytest.mark.slow
def test_tables_hold_what_is_needed() -> None:
    """Every entry of the tables excuses a difference of some row."""
    needed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for family, case in all_cases():
        if is_answered(family, case):
            subject = Subject(family, case)
            for kind in TABLES:
                for found, _ in differences(subject, kind):
                    needed[kind, found].add(subject.operator)
    for kind, tables in TABLES.items():
        for found, table in tables.items():
            assert not set(table) - needed[kind, found], f"{kind}s, {found}: these entries are not needed any more"


def test_tables_name_operators() -> None:
    """The decided differences are those of registered operators, under their primary names."""
    primary = {operator.name for operator in registry.ops()}
    for tables in TABLES.values():
        for table in tables.values():
            assert set(table) <= primary and all(table.values())
