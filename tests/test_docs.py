"""Generated pages are up to date."""

from __future__ import annotations

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_operator_page_is_current() -> None:
    script = ROOT / "docs" / "generate_operators.py"
    result = subprocess.run([sys.executable, str(script), "--check"], cwd=ROOT, check=False)
    assert result.returncode == 0, "docs/operators.md is out of date: run python docs/generate_operators.py"
