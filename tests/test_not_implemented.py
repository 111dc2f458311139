"""NotImplementedError is raised where MXNet 1.9.1 raises it, for what is left to a program's own classes."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import symjit as mx
from tests.golden.not_implemented_cases import CASES, raised

PACKAGE = Path(mx.__file__).parent
GOLDEN = Path(__file__).resolve().parent / "golden" / "not_implemented.json"


def raising(node: ast.AST, path: str) -> Iterator[str]:
    """Return the functions that make a NotImplementedError, by module, class and name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
            yield from raising(child, f"{path}.{child.name}")
        elif isinstance(child, ast.Call) and getattr(child.func, "id", "") == "NotImplementedError":
            yield path
        else:
            yield from raising(child, path)


def test_what_is_left_to_programs() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert set(golden.values()) == {"NotImplementedError"}
    assert raised(mx) == golden


def test_nothing_else_is_left_out() -> None:
    found = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in raising(
            ast.parse(path.read_text(encoding="utf-8")), ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        )
    }
    assert found == set(CASES)
