"""One contender of ``inference.py``: a process that loads one network and answers commands, a line of JSON each.

It runs in the interpreter of its contender, so it imports nothing but NumPy before it knows which one it is. The first
argument describes the task::

    {"package": "mxnet" | "onnxruntime" | "symjit", "cpus": [1], "prefix": ..., "epoch": 0, "onnx": ..., "arrays": ...}

After the first answer of the network it writes ``{"ready": ...}``. The command ``{"run": seconds}`` calls the network
for that long and answers with the seconds of every call; any other one is answered with the largest difference of its
outputs from MXNet's. A call goes from NumPy arrays to NumPy arrays. The end of its input ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

TASK: dict[str, Any] = json.loads(sys.argv[1])
# Before anything starts threads: they inherit it, and their numbers follow from it.
os.sched_setaffinity(0, TASK["cpus"])

import numpy as np  # noqa: E402

Network = Callable[[], Sequence[Any]]


def mxnet(inputs: dict[str, np.ndarray]) -> tuple[str, Network]:
    """Bind once, feed the bound arrays, read the outputs."""
    import mxnet as mx

    symbol, args, aux = mx.model.load_checkpoint(TASK["prefix"], TASK["epoch"])
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", **{name: x.shape for name, x in inputs.items()})
    executor.copy_params_from(args, aux, allow_extra_params=True)
    fed = {name: executor.arg_dict[name] for name in inputs}

    def call() -> list[np.ndarray]:
        for name, x in inputs.items():
            fed[name][:] = x
        return [x.asnumpy() for x in executor.forward(is_train=False)]

    return mx.__version__, call


def onnxruntime(inputs: dict[str, np.ndarray]) -> tuple[str, Network]:
    """Make a session with all of its optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(TASK["cpus"])
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(TASK["onnx"], options, providers=["CPUExecutionProvider"])
    names = {x.name for x in session.get_inputs()}
    wanted = {name: x for name, x in inputs.items() if name in names}
    return onnxruntime.__version__, lambda: session.run(None, wanted)


def symjit(inputs: dict[str, np.ndarray]) -> tuple[str, Network]:
    """Load a Predictor; what it takes to be fastest is said here and in ``inference.ENVIRONMENT``."""
    import symjit as mx

    predictor = mx.Predictor.load(TASK["prefix"], TASK["epoch"])
    return mx.__version__, lambda: predictor(inputs)


def error(outputs: Sequence[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Return the largest difference of an output relative to its largest value."""
    if len(outputs) != len(wanted):
        return float("inf")
    worst = 0.0
    for ours, theirs in zip(outputs, wanted, strict=True):
        if ours.shape != theirs.shape or not np.isfinite(ours).all():
            return float("inf")
        gap = np.abs(ours.astype(np.float64) - theirs).max() / max(np.abs(theirs).max(), 1e-30)
        worst = max(worst, float(gap))
    return worst


def run(call: Network, seconds: float) -> list[float]:
    """Return the time of every call but the first, which finds caches and pages as the other contenders left them."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 2 or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times[1:]


def main() -> None:
    """Load, answer, and obey."""
    # Libraries print to the standard output as they please, so it is moved away from under them.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with np.load(TASK["arrays"]) as file:
        arrays = {name: file[name] for name in file.files}
    inputs = {name[3:]: x for name, x in arrays.items() if name.startswith("in:")}
    wanted = [arrays[f"out:{i}"] for i in range(len(arrays) - len(inputs))]
    try:
        version, call = {"mxnet": mxnet, "onnxruntime": onnxruntime, "symjit": symjit}[TASK["package"]](inputs)
        outputs = call()
    except Exception as failure:  # a network that a contender can not run is a row of the table
        text = str(failure).strip().splitlines()
        print(json.dumps({"failed": f"{type(failure).__name__}: {text[0] if text else ''}"[:200]}), file=answers)
        return
    print(json.dumps({"ready": version}), file=answers)
    for line in sys.stdin:
        command = json.loads(line)
        if "run" in command:
            print(json.dumps({"times": run(call, command["run"])}), file=answers)
        else:
            # The first call and a later one: what is prepared in between must not change the answer.
            print(json.dumps({"error": max(error(outputs, wanted), error(call(), wanted))}), file=answers)


if __name__ == "__main__":
    main()
