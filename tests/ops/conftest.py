"""Access to the table of cases and to MXNet's answers."""

from __future__ import annotations

import importlib
import json
import pathlib
import pkgutil
from functools import cache

import numpy as np
import pytest

from symjit.ops import registry
from tests.ops import cases
from tests.ops.case import Case

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "ops"


@cache
def family_golden(family: str) -> dict[str, np.ndarray]:
    """Return every golden array of a family."""
    path = GOLDEN / f"{family}.npz"
    if not path.exists():
        return {}
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def golden(family: str, case_id: str) -> dict[str, np.ndarray]:
    """Return the golden arrays of a case by their short names (``out:0``, ``grad:1`` ...)."""
    prefix = case_id + "|"
    return {k[len(prefix) :]: v for k, v in family_golden(family).items() if k.startswith(prefix)}


@cache
def all_cases() -> list[tuple[str, Case]]:
    """Return every ``(family, case)``."""
    found = []
    for info in pkgutil.iter_modules(cases.__path__):
        module = importlib.import_module(f"tests.ops.cases.{info.name}")
        found += [(info.name, case) for case in module.CASES]
    return found


@cache
def mxnet_dtypes(family: str) -> dict[str, dict[str, dict]]:
    """Return what MXNet answered to the rows of a family in other dtypes: by row, by dtype."""
    path = GOLDEN / f"{family}.json"
    return json.loads(path.read_text()) if path.exists() else {}


@cache
def cast_cases() -> list[tuple[str, Case]]:
    """Return every ``(family, case)`` of the table in the other dtypes that MXNet 1.9.1 runs it in."""
    return [
        (family, case.cast(dtype, found["cast"], found["grad"]))
        for family, case in all_cases()
        for dtype, found in mxnet_dtypes(family).get(case.id, {}).items()
        if "refused" not in found
    ]


def operator_of(case: Case) -> str:
    """Return the name of a case's operator, whatever alias the case uses."""
    return registry.get(case.op).name


def variety_of(case: Case) -> tuple[object, ...]:
    """Return the operator with its names and flags, and whether gradients are compared."""
    floating = any(array.dtype.kind == "f" for array in case.arrays())
    return operator_of(case), *case.variety[1:], bool(case.grad) and floating and case.reference is None


def pytest_generate_tests(metafunc) -> None:
    """Feed the table to every test that names ``family`` and ``case``; ``family`` and ``cast``: in other dtypes.

    A test marked ``sampled`` runs one case of each operator, or of each group of ``sampled(by=group)``; the others are
    slow ones. One marked ``only(fits=fits)`` runs the cases that ``fits(family, case)`` names. Of other dtypes, float16
    runs once for each operator, or another one if there is none: test_numeric_gradient runs them in float64.
    """
    if {"family", "cast"} <= set(metafunc.fixturenames):
        seen, rows = set(), []
        for family, case in cast_cases():
            slow = case.dtype not in ("float16", "float64") or operator_of(case) in seen
            if not slow:
                seen.add(operator_of(case))
            rows.append(pytest.param(family, case, marks=[pytest.mark.slow] if slow else [], id=f"{family}-{case.id}"))
        metafunc.parametrize(("family", "cast"), rows)
        return
    if not {"family", "case"} <= set(metafunc.fixturenames):
        return
    sampled = metafunc.definition.get_closest_marker("sampled")
    group = sampled.kwargs.get("by", operator_of) if sampled else None
    seen: set[object] = set()
    rows = []
    only = metafunc.definition.get_closest_marker("only")
    for family, case in all_cases():
        if only is not None and not only.kwargs["fits"](family, case):
            continue
        what = group(case) if group else case.id
        marks = [pytest.mark.slow] if group and what in seen else []
        seen.add(what)
        rows.append(pytest.param(family, case, marks=marks, id=f"{family}-{case.id}"))
    metafunc.parametrize(("family", "case"), rows)
