"""Trains until Ctrl-C, then says as JSON what is left: ``python -m tests.interrupted``.

A line is written at every batch. After KeyboardInterrupt the parameters are compared with those of as many steps that
end between two batches, and the module trains on.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import numpy as np

import symjit as mx
from tests.golden import module_runs as runs


def stopped(callback: Callable[[Any], None]) -> tuple[mx.mod.Module, int]:
    """Return a module whose training a KeyboardInterrupt has ended, and how many steps it has done."""
    symbol = runs.classifier(mx)
    module = mx.mod.Module(symbol)
    args, aux = runs.parameters(mx, symbol, {"data": (8, 6), "softmax_label": (8,)})
    settings = {"learning_rate": 0.01, "momentum": 0.9}
    try:
        module.fit(
            runs.iterator(mx),
            num_epoch=1_000_000,
            arg_params=args,
            aux_params=aux,
            optimizer_params=settings,
            batch_end_callback=callback,
        )
    except KeyboardInterrupt:
        return module, module._optimizer.num_update
    raise AssertionError("nobody has interrupted it")


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started it to ignore Ctrl-C
    module, steps = stopped(lambda param: print("batch", flush=True))
    left = runs.collected(module)

    def stop(param: Any) -> None:
        if param.locals["self"]._optimizer.num_update == steps:
            raise KeyboardInterrupt

    want = runs.collected(stopped(stop)[0])
    apart = max(float(np.abs(left[name] - value).max()) for name, value in want.items())
    module.fit(runs.iterator(mx), num_epoch=1)
    print(json.dumps({"steps": steps, "apart": apart, "then": module._optimizer.num_update - steps}))


if __name__ == "__main__":
    main()
