"""A training step of Module: symjit against MXNet 1.9.1 in the same run.

``python benchmarks/train.py --mxnet PATH`` with the path of a Python that has MXNet 1.9.1; without it symjit alone is
measured; ``--write docs/benchmarks.md`` writes what was found. A step is ``forward_backward``, ``update`` (SGD with
momentum) and ``update_metric``; batches are in memory, and each turn of several steps waits for all that it began. The
networks are built by the same code on both sides (``training.py``), by a worker process of each, held to the same
cores; the workers take turns, round by round. MXNet is measured with its fusion of subgraphs and without; the faster
one counts.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import statistics
import sys
import time
from typing import Any

import numpy as np
from page import geometric_mean, heading, processor, table, write_section
from training import Worker, lenet, lstm, resnet


def mlp(mx: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return a perceptron of three layers, batch 64."""
    x = mx.sym.var("data")
    for i, width in enumerate((128, 64), 1):
        x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=width, name=f"fc{i}"), act_type="relu")
    x = mx.sym.FullyConnected(x, num_hidden=10, name="fc3")
    return mx.sym.SoftmaxOutput(x, name="softmax"), {"data": (64, 784), "softmax_label": (64,)}


#: Network -> how it is built, classes, steps of a turn.
NETWORKS = {
    "MLP b64": (mlp, 10, 300),
    "LeNet b64": (lenet, 10, 30),
    "ResNet-14 CIFAR b32": (resnet, 10, 8),
    "LSTM 2x200 b32": (lstm, 2000, 8),
}
INPUTS = ("data", "softmax_label", "state", "state_cell")


class Training:
    """A module on values that follow from its shapes alone."""

    def __init__(self, mx: Any, build: Any, classes: int) -> None:
        symbol, shapes = build(mx)
        sequence = "state" in shapes
        layout = "TN" if sequence else "NCHW"
        describe = mx.io.DataDesc
        self.mx = mx
        self.module = mx.mod.Module(
            symbol, context=mx.cpu(), state_names=[name for name in shapes if name.startswith("state")]
        )
        self.module.bind(
            [describe("data", shapes["data"], np.float32, layout)],
            [describe("softmax_label", shapes["softmax_label"], np.float32, layout if sequence else "N")],
        )
        rng = np.random.RandomState(0)
        arg_shapes, _, aux_shapes = symbol.infer_shape(**shapes)
        args = {}
        for name, shape in sorted(zip(symbol.list_arguments(), arg_shapes, strict=True)):
            if name in INPUTS:
                continue
            wide = min(0.1, (3.0 / np.prod(shape[1:])) ** 0.5)
            value = rng.uniform(-wide, wide, shape)
            args[name] = mx.nd.array(np.ones(shape) if name.endswith("gamma") else value)
        aux = {
            name: mx.nd.array(np.full(shape, float(name.endswith("var"))))
            for name, shape in zip(symbol.list_auxiliary_states(), aux_shapes, strict=True)
        }
        self.module.init_params(arg_params=args, aux_params=aux)
        self.module.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": 0.01, "momentum": 0.9})
        self.metric = mx.metric.create("acc" if not sequence else mx.metric.Perplexity(None))
        self.batches = [
            mx.io.DataBatch(
                [
                    mx.nd.array(
                        rng.randint(0, classes, shapes["data"]) if sequence else rng.uniform(-1, 1, shapes["data"])
                    )
                ],
                [mx.nd.array(rng.randint(0, classes, shapes["softmax_label"]))],
            )
            for _ in range(4)
        ]

    def steps(self, count: int) -> float:
        """Return the seconds of a step, over `count` of them."""
        module, metric = self.module, self.metric
        started = time.perf_counter()
        for i in range(count):
            batch = self.batches[i % len(self.batches)]
            module.forward_backward(batch)
            module.update()
            module.update_metric(metric, batch.label)
        metric.get()
        self.mx.nd.waitall()  # the metric needs no more than the outputs of the last step
        return (time.perf_counter() - started) / count

    def norms(self) -> dict[str, float]:
        """Return the norms of the parameters."""
        return {
            name: float(np.linalg.norm(x.asnumpy().ravel().astype(np.float64)))
            for name, x in self.module.get_params()[0].items()
        }


def work(package: str) -> None:
    """Answer the lines of standard input.

    A network's name gives norms of its parameters after 20 steps once, then seconds of a step; ``version`` gives the
    package's.
    """
    mx = importlib.import_module(package)
    held: dict[str, Training] = {}
    for line in sys.stdin:
        name = line.strip()
        if name == "version":
            print("answer", json.dumps(mx.__version__), flush=True)
            continue
        build, classes, count = NETWORKS[name]
        if name in held:
            answer: Any = held[name].steps(count)
        else:
            held[name] = Training(mx, build, classes)
            held[name].steps(20)
            answer = held[name].norms()
            held[name].steps(3)
        print("answer", json.dumps(answer), flush=True)


def compare(name: str, workers: dict[str, Worker], rounds: int) -> dict[str, Any]:
    """Return what was measured of a network."""
    norms = {side: worker.ask(name) for side, worker in workers.items()}
    times: dict[str, list[float]] = {side: [] for side in workers}
    for _ in range(rounds):
        for side, worker in workers.items():
            times[side].append(worker.ask(name))
    found: dict[str, Any] = {"name": name, "ms": {k: statistics.median(v) * 1e3 for k, v in times.items()}}
    peers = [side for side in workers if side != "symjit"]
    if peers:
        peer = min(peers, key=lambda side: found["ms"][side])
        found["peer"] = peer
        found["ratio"] = statistics.median(b / a for a, b in zip(times["symjit"], times[peer], strict=True))
        found["apart"] = max(abs(norms["symjit"][k] / v - 1) for k, v in norms[peer].items() if v)
    return found


def line(row: dict[str, Any]) -> str:
    """Return a row as a line of text."""
    times = "  ".join(f"{side} {ms:.3f} ms" for side, ms in row["ms"].items())
    found = f"  -> {row['ratio']:.2f}x, norms {row['apart']:.0e} apart" if "ratio" in row else ""
    return f"{row['name']}, {heading(row['cores'])}: {times}{found}"


def summary(rows: list[dict[str, Any]], cores: int) -> list[str]:
    """Return the cells of a number of cores under those of the networks: geometric mean and worst."""
    ratios = [row["ratio"] for row in rows if row["cores"] == cores and "ratio" in row]
    return [f"{geometric_mean(ratios):.2f}", f"{min(ratios):.2f}"] if ratios else ["-", "-"]


def render(rows: list[dict[str, Any]], versions: dict[str, str]) -> str:
    """Return the section."""
    counts = sorted({row["cores"] for row in rows})
    sides = list(rows[0]["ms"])
    by_network: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_network.setdefault(row["name"], []).append(row)
    means, worst = zip(*(summary(rows, cores) for cores in counts), strict=True)
    ratios = [
        [name, *(f"{row['ratio']:.2f} ({row['peer']})" if "ratio" in row else "-" for row in group)]
        for name, group in by_network.items()
    ]
    times = [
        [name, *(f"{row['ms'][side]:.3g}" for row in group for side in sides)] for name, group in by_network.items()
    ]
    heads = [heading(cores) for cores in counts]
    return "\n".join(
        [
            "## Training",
            "",
            "Written by `benchmarks/train.py`, which measures all of it in one run: a step of `Module` is",
            "`forward_backward`, `update` by SGD with momentum and `update_metric`, in float32, batches in memory;",
            "whatever a turn of steps has begun is waited for. Each side is a process of its own, held to the same",
            "cores, and they take turns. A ratio is the median, over the rounds, of the faster MXNet's time over",
            "symjit's: above 1 symjit is faster. MXNet runs with its fusion of subgraphs and without.",
            f"Processor: {processor()}, {os.cpu_count()} cores.",
            "",
            f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
            "",
            *table(["", *heads], [*ratios, ["geometric mean", *means], ["worst", *worst]]),
            "",
            "Milliseconds, context for the ratios, on this machine only:",
            "",
            *table(["", *(f"{side}, {head}" for head in heads for side in sides)], times),
            "",
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mxnet", help="a Python with MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cores", default="1,2")
    parser.add_argument("--only", help="part of a network's name")
    parser.add_argument("--write", help="write the table to the section 'Training' of this page")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        work(chosen.worker)
        return
    allowed = sorted(os.sched_getaffinity(0))
    rows: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    for count in map(int, chosen.cores.split(",")):
        cores = allowed[-count:]
        settings = {"OMP_NUM_THREADS": str(count)}
        workers = {"symjit": Worker(sys.executable, "symjit", cores, __file__)}
        if chosen.mxnet:
            workers["MXNet"] = Worker(chosen.mxnet, "mxnet", cores, __file__, **settings)
            workers["MXNet, no subgraphs"] = Worker(
                chosen.mxnet, "mxnet", cores, __file__, **settings, MXNET_SUBGRAPH_BACKEND="NONE"
            )
        for name in NETWORKS:
            if chosen.only is None or chosen.only in name:
                rows.append({**compare(name, workers, chosen.rounds), "cores": count})
                print(line(rows[-1]), flush=True)
        for side, worker in workers.items():
            versions[side.partition(",")[0]] = worker.ask("version")
            worker.close()
    versions |= {name: importlib.metadata.version(name) for name in ("jax", "jaxlib")}
    text = render(rows, versions)
    if chosen.write:
        write_section(chosen.write, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
