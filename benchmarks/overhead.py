"""What Executor.forward costs above the compiled function it calls, microseconds per call.

``python benchmarks/overhead.py``: an MLP, a chain of additions with hundreds of arguments, and ResNet-50 at batch 1.
Both are timed in turn and the median of the differences is shown.
"""

from __future__ import annotations

import pathlib
import statistics
import time

import jax
import numpy as np

import symjit as mx

RESNET = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "resnet50" / "resnet50_v1-symbol.json"


def mlp() -> mx.Symbol:
    """Return a small network."""
    x = mx.sym.var("data")
    for i in range(3):
        x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=16, name=f"fc{i}"), act_type="relu")
    return x


def chain(layers: int) -> mx.Symbol:
    """Return a network of next to no work with as many parameters as ResNet-50."""
    x = mx.sym.var("data")
    for i in range(layers):
        x = mx.sym.broadcast_add(x, mx.sym.var(f"bias{i}", shape=(1, 1)))
    return x


def measure(executor: mx.Executor, calls: int) -> tuple[float, float, float]:
    """Return ``(forward, compiled function alone, difference)``, medians in microseconds.

    Calls return before the computation ends; each is waited for outside of the timed part, so that it does not compete
    with the next one for the processor.
    """
    program = executor.program.predict
    args = [x.data for x in executor.arg_arrays]
    aux = [x.data for x in executor.aux_arrays]
    executor.forward()[0].wait_to_read()
    with jax.enable_x64(True):
        jax.block_until_ready(program(args, aux, None))
    plain, whole = [], []
    for _ in range(calls):
        started = time.perf_counter()
        # The mode belongs to the call: in another one JAX would compile another program.
        with jax.enable_x64(True):
            result = program(args, aux, None)
        plain.append(time.perf_counter() - started)
        jax.block_until_ready(result)
        started = time.perf_counter()
        outputs = executor.forward()
        whole.append(time.perf_counter() - started)
        outputs[0].wait_to_read()
    gaps = [b - a for a, b in zip(plain, whole, strict=True)]
    return tuple(statistics.median(times) * 1e6 for times in (whole, plain, gaps))  # type: ignore[return-value]


def main() -> None:
    """Print the table."""
    print(f"{'network':24s} {'arguments':>9s} {'forward':>10s} {'function':>10s} {'overhead':>10s}")
    for name, symbol, shape, calls in (
        ("MLP", mlp(), (1, 16), 2001),
        ("265 additions", chain(265), (1, 4), 2001),
        ("ResNet-50, batch 1", mx.sym.load(str(RESNET)), (1, 3, 224, 224), 101),
    ):
        executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=shape)
        for array in executor.arg_arrays:
            array[:] = np.random.RandomState(0).uniform(-0.01, 0.01, array.shape).astype(np.float32)
        whole, plain, gap = measure(executor, calls)
        count = len(executor.arg_arrays) + len(executor.aux_arrays)
        print(f"{name:24s} {count:9d} {whole:10.1f} {plain:10.1f} {gap:10.1f}")


if __name__ == "__main__":
    main()
