"""A training step, forward and backward through an executor: symjit against MXNet 1.9.1 in the same run.

``python benchmarks/training.py --mxnet PATH`` with the path of a Python that has MXNet 1.9.1; without it symjit alone
is measured. The three networks are built by the same code on both sides, by a worker process of each, pinned to one
core; the workers take turns, round by round. A step is ``forward(is_train=True)``, ``backward()``, a wait for
everything and the reading of one gradient. MXNet is measured with its fusion of subgraphs and without; the faster one
counts. The table shows the median of the rounds' medians, the median of the rounds' ratios, and how far the gradients
of both sides are from each other.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

STEPS = 35


def lenet(mx: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return LeNet for images of 28 x 28, batch 64."""
    x = mx.sym.var("data")
    for i, filters in enumerate((20, 50), 1):
        x = mx.sym.Convolution(x, kernel=(5, 5), num_filter=filters, name=f"conv{i}")
        x = mx.sym.Activation(x, act_type="tanh", name=f"tanh{i}")
        x = mx.sym.Pooling(x, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{i}")
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=500, name="fc1")
    x = mx.sym.FullyConnected(mx.sym.Activation(x, act_type="tanh"), num_hidden=10, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax"), {"data": (64, 1, 28, 28), "softmax_label": (64,)}


def resnet(mx: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return a pre-activation ResNet of six units for images of 32 x 32, batch 32."""

    def normed(x: Any, name: str) -> Any:
        x = mx.sym.BatchNorm(x, fix_gamma=False, eps=2e-5, name=f"{name}_bn")
        return mx.sym.Activation(x, act_type="relu", name=f"{name}_relu")

    def conv(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
        return mx.sym.Convolution(
            x,
            num_filter=filters,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=(kernel // 2, kernel // 2),
            no_bias=True,
            name=name,
        )

    x = conv(mx.sym.var("data"), 16, 3, 1, "conv0")
    for stage, filters in enumerate((16, 32, 64), 1):
        for unit in (1, 2):
            name, stride = f"stage{stage}_unit{unit}", 2 if stage > 1 and unit == 1 else 1
            inner = normed(x, f"{name}_a")
            shortcut = conv(inner, filters, 1, stride, f"{name}_shortcut") if unit == 1 else x
            inner = normed(conv(inner, filters, 3, stride, f"{name}_conv1"), f"{name}_b")
            x = conv(inner, filters, 3, 1, f"{name}_conv2") + shortcut
    x = mx.sym.Pooling(normed(x, "last"), global_pool=True, pool_type="avg", kernel=(8, 8))
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=10, name="fc")
    return mx.sym.SoftmaxOutput(x, name="softmax"), {"data": (32, 3, 32, 32), "softmax_label": (32,)}


def lstm(mx: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return a language model: an embedding, the fused LSTM of two layers of 200, 35 steps, 2000 words, batch 32."""
    x = mx.sym.Embedding(mx.sym.var("data"), input_dim=2000, output_dim=200, name="embed")
    x = mx.sym.RNN(
        x,
        mx.sym.var("lstm_parameters"),
        mx.sym.var("state"),
        mx.sym.var("state_cell"),
        mode="lstm",
        state_size=200,
        num_layers=2,
        name="lstm",
    )
    x = mx.sym.FullyConnected(mx.sym.Reshape(x, shape=(-1, 200)), num_hidden=2000, name="fc")
    label = mx.sym.Reshape(mx.sym.var("softmax_label"), shape=(-1,))
    return mx.sym.SoftmaxOutput(x, label, name="softmax"), {
        "data": (STEPS, 32),
        "softmax_label": (STEPS, 32),
        "state": (2, 32, 200),
        "state_cell": (2, 32, 200),
    }


#: Network -> how it is built, the gradient that is read (the last that a backward computes), classes, steps per round.
NETWORKS = {
    "LeNet b64": (lenet, "conv1_weight", 10, 30),
    "ResNet-14 CIFAR b32": (resnet, "conv0_weight", 10, 8),
    "LSTM 2x200 b32": (lstm, "embed_weight", 2000, 8),
}


class Bound:
    """A network bound to values that follow from its shapes alone."""

    def __init__(self, mx: Any, build: Any, read: str, classes: int) -> None:
        self.mx, self.read = mx, read
        symbol, shapes = build(mx)
        requests = {name: "null" if name in shapes else "write" for name in symbol.list_arguments()}
        self.executor = symbol.simple_bind(mx.cpu(), grad_req=requests, **shapes)
        rng = np.random.RandomState(0)
        for name, array in sorted(self.executor.arg_dict.items()):
            if name.endswith("label") or (name == "data" and len(array.shape) == 2):
                array[:] = rng.randint(0, classes, array.shape).astype(np.float32)
            elif name.endswith("gamma"):
                array[:] = np.ones(array.shape, np.float32)
            elif name.endswith("beta"):
                array[:] = np.zeros(array.shape, np.float32)
            else:
                wide = 1.0 if name == "data" else min(0.1, (3.0 / np.prod(array.shape[1:])) ** 0.5)
                array[:] = rng.uniform(-wide, wide, array.shape).astype(np.float32)
        for name, array in self.executor.aux_dict.items():
            array[:] = np.full(array.shape, float(name.endswith("var")), np.float32)

    def step(self) -> np.ndarray:
        """Run forward and backward; return a gradient."""
        self.executor.forward(is_train=True)
        self.executor.backward()
        self.mx.nd.waitall()
        return self.executor.grad_dict[self.read].asnumpy()

    def seconds(self, steps: int) -> float:
        """Return the median time of a step."""
        found = []
        for _ in range(steps):
            started = time.perf_counter()
            self.step()
            found.append(time.perf_counter() - started)
        return statistics.median(found)


def work(package: str) -> None:
    """Answer the lines of standard input: a network's name gives the norms of its gradients once, then seconds."""
    mx = importlib.import_module(package)
    bound: dict[str, Bound] = {}
    for line in sys.stdin:
        name = line.strip()
        build, read, classes, steps = NETWORKS[name]
        if name in bound:
            answer: Any = bound[name].seconds(steps)
        else:
            bound[name] = Bound(mx, build, read, classes)
            bound[name].step()
            grads = bound[name].executor.grad_dict
            answer = {k: float(np.linalg.norm(g.asnumpy().ravel())) for k, g in grads.items() if g is not None}
            bound[name].seconds(3)
        print("answer", json.dumps(answer), flush=True)


class Worker:
    """A process that measures one side."""

    def __init__(self, python: str, package: str, cores: list[int], script: str = __file__, **settings: str) -> None:
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", **settings}
        if package == "symjit":
            root = str(pathlib.Path(__file__).resolve().parent.parent)
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        else:
            environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, script, "--worker", package],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # before the libraries count cores
        )

    def ask(self, name: str) -> Any:
        """Return what the worker answers."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise RuntimeError(f"the worker ended with {self.process.wait()}")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def apart(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Return the largest relative difference of two sides' norms of gradients."""
    return max(abs(ours[k] - theirs[k]) / max(theirs[k], 1e-3 * max(theirs.values())) for k in theirs)


def compare(name: str, workers: dict[str, Worker], rounds: int) -> str:
    """Return a row of the table."""
    norms = {side: worker.ask(name) for side, worker in workers.items()}
    times: dict[str, list[float]] = {side: [] for side in workers}
    for _ in range(rounds):
        for side, worker in workers.items():
            times[side].append(worker.ask(name))
    medians = {side: statistics.median(found) for side, found in times.items()}
    row = f"{name:22} {medians['symjit'] * 1e3:9.2f}"
    peers = {side: value for side, value in medians.items() if side != "symjit"}
    if not peers:
        return row
    peer = min(peers, key=lambda side: peers[side])
    ratio = statistics.median(b / a for a, b in zip(times["symjit"], times[peer], strict=True))
    return f"{row} {medians[peer] * 1e3:9.2f} {ratio:7.2f}x   {apart(norms['symjit'], norms[peer]):.1e}   {peer}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mxnet", help="a Python with MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--only", help="part of a network's name")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        work(chosen.worker)
        return
    cores = [chosen.core]
    workers = {"symjit": Worker(sys.executable, "symjit", cores)}
    if chosen.mxnet:
        workers["MXNet"] = Worker(chosen.mxnet, "mxnet", cores)
        workers["MXNet, no subgraphs"] = Worker(chosen.mxnet, "mxnet", cores, MXNET_SUBGRAPH_BACKEND="NONE")
    print(f"{'ms per step':22} {'symjit':>9} {'MXNet':>9} {'ratio':>8}   gradients apart")
    for name in NETWORKS:
        if chosen.only is None or chosen.only in name:
            print(compare(name, workers, chosen.rounds), flush=True)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
