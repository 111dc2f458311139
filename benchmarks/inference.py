"""Inference: symjit against MXNet 1.9.1 and onnxruntime, in turn, in one run.

``python benchmarks/inference.py --mxnet PATH_OF_MXNETS_PYTHON --checkpoints DIR --write docs/benchmarks.md``

MXNet makes the networks once (``inference_models.py``), in the folder ``--work``. For each of them every contender gets
a process of its own (``inference_worker.py``), held to the same processors, with its own best settings and the same
inputs. The processes stay alive and take turns in short rounds, so that what else the machine does hits all alike.
Outputs are compared with MXNet's in the same run. Without ``--mxnet`` the networks that are there are run by symjit,
and by onnxruntime where it is installed.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import fcntl
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import inference_report as report
from page import write_section

HERE = pathlib.Path(__file__).resolve().parent
#: The networks, and the batch sizes of those that do not run at 1 and 8.
MODELS = (
    *("resnet18", "resnet50", "vgg16", "mobilenet", "squeezenet", "inception-v3", "densenet121"),
    *("mobileface-v1", "lffd-plate-small", "lstm", "mlp"),
)
OWN_BATCHES = {"lstm": (1, 32), "mlp": (1, 64)}
#: Threads of an idle contender may spin; they are left this many seconds to go to sleep before another one's turn.
PAUSE = 0.25


@dataclass
class Contender:
    """Who runs, where and how.

    Attributes:
        name: as the tables show it.
        package: what the worker imports.
        python: its interpreter.
        environment: its settings; None takes a variable away, ``{cores}`` is the number of cores.
    """

    name: str
    package: str
    python: str
    environment: dict[str, str | None] = field(default_factory=dict)


def contenders(mxnet: str | None, onnxruntime: str | None, cache: str) -> list[Contender]:
    """Return the contenders, each with its best settings: this is the one place for them."""
    threads: dict[str, str | None] = {"OMP_NUM_THREADS": "{cores}", "MXNET_CPU_WORKER_NTHREADS": "{cores}"}
    found = []
    if mxnet:
        # Fusion by oneDNN is the default. It is not always faster, and not always right, so both are run.
        found.append(Contender("MXNet", "mxnet", mxnet, {**threads, "MXNET_SUBGRAPH_BACKEND": None}))
        found.append(Contender("MXNet, no fusion", "mxnet", mxnet, {**threads, "MXNET_SUBGRAPH_BACKEND": "NONE"}))
    if onnxruntime:
        found.append(Contender("onnxruntime", "onnxruntime", onnxruntime))
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    ours = {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "SYMJIT_CACHE_DIR": cache, "MXNET_ENGINE_TYPE": "NaiveEngine"}
    found.append(Contender("symjit", "symjit", sys.executable, dict(ours)))
    return found


class Worker:
    """A process of a contender with one network loaded."""

    def __init__(self, contender: Contender, case: dict[str, Any], cpus: list[int]) -> None:
        task = {
            "package": contender.package,
            "cpus": cpus,
            **{key: case[key] for key in ("prefix", "epoch", "onnx", "arrays")},
        }
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for name, value in contender.environment.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value.format(cores=len(cpus))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [contender.python, str(HERE / "inference_worker.py"), json.dumps(task)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self) -> dict[str, Any]:
        """Wait for an answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": f"the process ended with code {self.process.wait()}"}

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for the answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(command), file=self.process.stdin, flush=True)
        return self.read()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def locked(path: str | None) -> Iterator[None]:
    """Hold the lock of a file that other measurements on the machine take too."""
    if path is None:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def measure(case: dict[str, Any], who: list[Contender], cpus: list[int], rounds: int, seconds: float) -> dict[str, Any]:
    """Time one network on some processors; return it with a result for each contender."""
    workers: dict[str, Worker] = {}
    results: dict[str, dict[str, Any]] = {}
    try:
        for contender in who:
            if contender.package == "onnxruntime" and not case["onnx"]:
                results[contender.name] = {"failed": f"not exported: {case['not exported']}"}
                continue
            worker = workers[contender.name] = Worker(contender, case, cpus)
            answer = worker.read()
            if "ready" in answer:
                answer.update(worker.ask(compare=True))
            results[contender.name] = answer
            if "failed" in answer:
                workers.pop(contender.name).close()
        times: dict[str, list[float]] = {name: [] for name in workers}
        order = list(workers)
        for _ in range(rounds):
            for name in order:
                if len(cpus) > 1:
                    time.sleep(PAUSE)
                times[name].append(statistics.median(workers[name].ask(run=seconds)["times"]))
            order.append(order.pop(0))
        for name, medians in times.items():
            results[name]["ms"] = statistics.median(medians) * 1e3
    finally:
        for worker in workers.values():
            worker.close()
    return {"name": case["name"], "batch": case["batch"], "cores": len(cpus), "results": results}


def startup(case: dict[str, Any], who: list[Contender], cpus: list[int], rounds: int) -> dict[str, Any]:
    """Time the first answer of a new process, import included, from its start; files are in the page cache."""
    times: dict[str, list[float]] = {}

    def first(name: str, contender: Contender) -> None:
        worker = Worker(contender, case, cpus)
        answer = worker.read()
        taken = time.perf_counter() - worker.started
        worker.close()
        if "ready" in answer:
            times.setdefault(name, []).append(taken)

    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as cache:
            for contender in who:
                if contender.package == "symjit":
                    fresh = Contender(
                        contender.name,
                        contender.package,
                        contender.python,
                        {**contender.environment, "SYMJIT_CACHE_DIR": cache},
                    )
                    first("symjit, empty cache", fresh)
                    first("symjit, warm cache", fresh)
                elif contender.package != "onnxruntime" or case["onnx"]:
                    first(contender.name, contender)
        if number == 0:
            times.clear()  # it brought the files into the page cache
    return {"cores": len(cpus), "seconds": {name: statistics.median(taken) for name, taken in times.items()}}


def find_cases(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the networks to run, made first where MXNet is there to make them."""
    names = chosen.models.split(",")
    if not chosen.checkpoints:
        # They are other people's; without the folder they are left out, unless they were asked for.
        asked = chosen.models != ",".join(MODELS)
        names = [n for n in names if asked or n not in ("mobileface-v1", "lffd-plate-small")]
    batches = {
        n: [int(b) for b in chosen.batch.split(",")] if chosen.batch else OWN_BATCHES.get(n, (1, 8)) for n in names
    }
    wanted = [(n, b, os.path.join(chosen.work, f"{n}-b{b}.json")) for n in names for b in batches[n]]
    for name, batch, path in wanted:
        if os.path.exists(path):
            continue
        if not chosen.mxnet:
            raise SystemExit(f"{path} is not there: give --mxnet, whose MXNet makes it")
        print(f"making {name}, batch {batch}", file=sys.stderr, flush=True)
        command = [
            chosen.mxnet,
            str(HERE / "inference_models.py"),
            chosen.work,
            "--models",
            name,
            "--batch",
            str(batch),
        ]
        command += ["--checkpoints", chosen.checkpoints] if chosen.checkpoints else []
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = []
    for _, _, path in wanted:
        with open(path) as file:
            found.append(json.load(file))
    return found


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mxnet", help="a Python with MXNet 1.9.1, and onnx to export with")
    parser.add_argument("--onnxruntime", default=sys.executable, help="a Python with onnxruntime; '' for none")
    parser.add_argument("--checkpoints", help="the folder of other people's checkpoints")
    parser.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "symjit-benchmarks"))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--batch", help="batch sizes for all networks, as 1,8; each network's own by default")
    parser.add_argument("--cores", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn")
    parser.add_argument("--startup", action="store_true", help="time the first answer of ResNet-50 as well")
    parser.add_argument("--startup-only", action="store_true", help="time that alone")
    parser.add_argument("--lock", help="a file to lock while a network is timed")
    parser.add_argument("--write", help="write the tables to the section 'Inference' of this page")
    chosen = parser.parse_args()
    chosen.work = os.path.abspath(chosen.work)
    return chosen


def main() -> None:
    """Measure, print and write."""
    chosen = options()
    os.makedirs(chosen.work, exist_ok=True)
    allowed = sorted(os.sched_getaffinity(0))
    cores = [int(n) for n in chosen.cores.split(",")]
    if max(cores) > len(allowed):
        raise SystemExit(f"{max(cores)} cores asked for, {len(allowed)} there")
    who = contenders(chosen.mxnet, chosen.onnxruntime, os.path.join(chosen.work, "cache"))
    rows, starts = [], []
    for case in [] if chosen.startup_only else find_cases(chosen):
        for count in cores:
            with locked(chosen.lock):
                rows.append(measure(case, who, allowed[-count:], chosen.rounds, chosen.seconds))
            print(report.line(rows[-1]), flush=True)
    if chosen.startup or chosen.startup_only:
        # As pip does: the others are installed, and this may be a checkout on which Python was told to leave none.
        compileall.compile_dir(HERE.parent / "symjit", quiet=1)
        chosen.models, chosen.batch = "resnet50", "1"
        (case,) = find_cases(chosen)
        for count in cores:
            with locked(chosen.lock):
                starts.append(startup(case, who, allowed[-count:], min(chosen.rounds, 3)))
            print(report.start_line(starts[-1]), flush=True)
    with open(os.path.join(chosen.work, "results.json"), "w") as file:
        json.dump({"rows": rows, "startup": starts}, file, indent=1)
    text = report.render(rows, starts)
    if chosen.write:
        write_section(chosen.write, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
