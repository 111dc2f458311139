"""Modules that several tests of the Module family train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import symjit as mx
from tests.golden import module_runs as runs

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "modules"
TOLERANCE = 1e-5


def values(module: Any) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in runs.collected(module).items()}


def assert_same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert sorted(got) == sorted(want)
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def bound(**settings: Any) -> tuple[Any, Any]:
    """Return a Module of the classifier, bound and with parameters, and its first batch."""
    data = runs.iterator(mx)
    module = mx.mod.Module(runs.classifier(mx))
    module.bind(data.provide_data, data.provide_label, **settings)
    module.init_params(None, *runs.parameters(mx, runs.classifier(mx), runs.shapes_of(data)))
    return module, data.next()


class Loss(mx.mod.PythonLossModule):
    """A loss that compiles nothing and counts its steps."""

    def __init__(self) -> None:
        super().__init__(grad_func=lambda scores, labels: scores)
        self.steps = 0

    def update(self) -> None:
        self.steps += 1


class Halves(mx.mod.PythonModule):
    """Halves its data."""

    def __init__(self) -> None:
        super().__init__(("data",), None, ("half",))

    def _compute_output_shapes(self) -> Any:
        return [("half", self.data_shapes[0][1])]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        self.result = data_batch.data[0] / 2

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        return [self.result]
