"""Write ``initializers/``: what MXNet 1.9.1 initializes parameters with.

Run in the MXNet environment (see README.md): ``python generate_initializers.py``. The cases are in
``initializer_cases.py``.

``values.npz`` holds the arrays of the cases that draw nothing, under their names, and under ``orthogonal...`` what
Orthogonal makes of the numbers that ``initializer_cases.drawn`` returns. ``expected.json`` holds signatures, texts,
equalities, log lines, types of errors, for the random ones each call of ``random.uniform`` or ``random.normal`` (its
name, its two parameters and the shape), the parameters of modules, and the functions of ``mx.random``.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from pathlib import Path

import initializer_cases as cases
import mxnet as mx
import numpy as np
from generate_lr_schedulers import Lines, lay

FOLDER = Path(__file__).resolve().parent / "initializers"
CLASSES = (
    *("InitDesc", "Initializer", "Load", "Mixed", "Zero", "One", "Constant", "Uniform", "Normal", "Orthogonal"),
    *("Xavier", "MSRAPrelu", "Bilinear", "LSTMBias", "FusedRNN", "register"),
)

REGISTRY = ("get_alias_func", "get_create_func", "get_register_func", "get_registry")


class Recorded:
    """Stands for MXNet's random module: notes the calls, and returns numbers that are known."""

    def __init__(self) -> None:
        self.calls: list[list] = []

    def __getattr__(self, kind: str):
        def draw(first, second, shape, out=None):
            self.calls.append([kind, float(first), float(second), [int(dim) for dim in shape]])
            numbers = mx.nd.array(cases.drawn(tuple(shape)))
            if out is None:
                return numbers
            out[:] = numbers
            return out

        return draw


def refusal(call) -> str | None:
    """Return the type of the error that a call raises, None if it raises nothing."""
    try:
        call(mx)
        mx.nd.waitall()
    except Exception as error:
        return type(error).__name__
    return None


def main() -> None:
    """Write both files."""
    warnings.simplefilter("ignore", DeprecationWarning)
    FOLDER.mkdir(exist_ok=True)
    values = {name: cases.call(mx, case).asnumpy() for name, case in cases.FIXED.items()}

    lines, logs = Lines(), {}
    logging.getLogger().addHandler(lines)
    logging.getLogger().setLevel(logging.INFO)
    for name, case in cases.LOGGED.items():
        lines.lines.clear()
        cases.call(mx, case)
        logs[name] = list(lines.lines)

    refused = {name: refusal(call) for name, call in cases.REFUSED.items()}

    modules = {}
    for name in cases.MODULES:
        made, init = cases.module(mx, name)
        modules[name] = refusal(lambda _, made=made, init=init: made.init_params(init)) or cases.parameters(made)

    draws = {}
    real = mx.initializer.random
    for name, case in cases.DRAWN.items():
        mx.initializer.random = Recorded()
        made = cases.call(mx, case)
        draws[name] = mx.initializer.random.calls
        if name.startswith("orthogonal"):
            values[name] = made.asnumpy()
    mx.initializer.random = real

    result = {
        "signatures": {name: str(inspect.signature(getattr(mx.init, name))) for name in CLASSES},
        "registry": {name: str(inspect.signature(getattr(mx.registry, name))) for name in REGISTRY},
        "names": {name: klass.__name__ for name, klass in mx.registry.get_registry(mx.init.Initializer).items()},
        "dumped": {name: make(mx).dumps() for name, make in cases.DUMPED.items()},
        "equal": {name: make(mx) for name, make in cases.EQUAL.items()},
        "logged": logs,
        "refused": refused,
        "drawn": draws,
        "modules": modules,
        # The others, whose names end so, are operators.
        "random": {
            "names": sorted(n for n in mx.nd.random.__all__ if not n.endswith("_like") and hasattr(mx.random, n))
        },
    }
    (FOLDER / "expected.json").write_text(
        "{\n" + ",\n".join(f'"{key}": {lay(value)}' for key, value in result.items()) + "\n}\n"
    )
    np.savez_compressed(FOLDER / "values.npz", **values)
    print(f"{sum(f.stat().st_size for f in FOLDER.iterdir()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
