"""Access to the table of cases and to MXNet's answers."""

from __future__ import annotations

import importlib
import pathlib
import pkgutil
from functools import cache

import numpy as np
import pytest

from symjit.ops import registry
from tests.ops import cases

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


def all_cases() -> list[tuple[str, object]]:
    """Return every ``(family, case)``."""
    found = []
    for info in pkgutil.iter_modules(cases.__path__):
        module = importlib.import_module(f"tests.ops.cases.{info.name}")
        found += [(info.name, case) for case in module.CASES]
    return found


def pytest_generate_tests(metafunc) -> None:
    """Feed the table to every test that names ``family`` and ``case``.

    A test marked ``sampled`` runs one case of each operator; the others are slow ones.
    """
    if not {"family", "case"} <= set(metafunc.fixturenames):
        return
    sampled = metafunc.definition.get_closest_marker("sampled") is not None
    seen: set[str] = set()
    rows = []
    for family, case in all_cases():
        name = registry.get(case.op).name
        marks = [pytest.mark.slow] if sampled and name in seen else []
        seen.add(name)
        rows.append(pytest.param(family, case, marks=marks, id=f"{family}-{case.id}"))
    metafunc.parametrize(("family", "case"), rows)
