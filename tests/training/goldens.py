"""What MXNet 1.9.1 made of the cases, and how a run of symjit is compared with it."""

from __future__ import annotations

import functools
import json
import pathlib
from typing import Any

import numpy as np

from tests.compare import relative_error
from tests.training.models import Arrays

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden" / "training"
#: Asked of losses and parameters alike, relative to the largest value of an array.
TOLERANCE = 1e-4


@functools.cache
def group(name: str) -> dict[str, Arrays]:
    """Return the arrays of all cases of a group."""
    cases: dict[str, Arrays] = {}
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        for key in file.files:
            case, _, array = key.partition("|")
            cases.setdefault(case, {})[array] = file[key]
    return cases


@functools.cache
def facts() -> dict[str, Any]:
    """Return how batches were divided among contexts."""
    return json.loads((FOLDER / "contexts.json").read_text())


@functools.cache
def calls() -> dict[str, Any]:
    """Return what the calls with every argument come to."""
    return json.loads((FOLDER.parent / "modules" / "calls.json").read_text())


def agree(got: Any, want: Any, path: str) -> None:
    """Assert that outcomes are the same, their numbers to `TOLERANCE`."""
    assert isinstance(got, type(want)) or (isinstance(got, (int, float)) and isinstance(want, (int, float))), path
    if isinstance(want, dict):
        assert got.keys() == want.keys(), path
        for key, value in want.items():
            agree(got[key], value, f"{path}.{key}")
    elif isinstance(want, list):
        assert len(got) == len(want), path
        for i, (one, other) in enumerate(zip(got, want, strict=True)):
            agree(one, other, f"{path}[{i}]")
    elif isinstance(want, float):
        np.testing.assert_allclose(got, want, TOLERANCE, TOLERANCE / 10, err_msg=path)
    else:
        assert got == want, path


@functools.cache
def scenes() -> dict[str, Any]:
    """Return what the scenes come to."""
    return json.loads((FOLDER / "scenes.json").read_text())


def same(got: Arrays, group_name: str, case: str, tolerance: float = TOLERANCE) -> None:
    """Assert that a run ended where MXNet's did, naming the step or the array where it did not."""
    want = {key: value for key, value in group(group_name)[case].items() if key != "noise"}
    assert set(got) == set(want)
    if group_name == "contexts":
        # A fixed gamma, which no output depends on: MXNet updates the copy in its key-value store, which no forward
        # pass sets to one, so it decays from where it began. In symjit it is one at every step, on any number of
        # contexts, as in MXNet on a single one.
        want.pop("arg:bn2_gamma", None)
    apart = np.abs(got["loss"] - want["loss"]) > tolerance * np.abs(want["loss"]).max()
    assert not apart.any(), f"{case}: the loss leaves MXNet's at step {apart.argmax()}"
    errors = {key: relative_error(got[key], value) for key, value in want.items()}
    worst = max(errors, key=lambda key: errors[key])
    assert errors[worst] <= tolerance, f"{case}: {worst} differs by {errors[worst]:.1e}"
