"""Every example runs."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.py")))
def test_example(name: str) -> None:
    result = subprocess.run([sys.executable, str(FOLDER / name)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "False" not in result.stdout
