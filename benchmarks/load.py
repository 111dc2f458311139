"""Loading a VGG-16 checkpoint (553 MB): time and peak memory, against MXNet 1.9.1 in the same run.

``python benchmarks/load.py --mxnet PATH`` with the path of a Python that has MXNet 1.9.1; without it symjit alone is
measured. Every load is the first one of a fresh process, the two sides take turns, and the file is in the page cache.
The memory is what the process's peak (VmHWM) grows by over what it held after the import and a first operation; the
whole peak is shown too.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

# One process: prints seconds, growth of the peak and the peak itself in bytes.
LOAD = """
import sys, time
import {package} as mx

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

(mx.nd.ones(3) + 1).asnumpy()
before = peak()
start = time.perf_counter()
arrays = mx.nd.load(sys.argv[1])
mx.nd.waitall()
seconds = time.perf_counter() - start
after = peak()
assert len(arrays) == 32 and arrays["arg:fc6_weight"].shape == (4096, 25088)
print(seconds, after - before, after)
"""


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the parameters of VGG-16."""
    found: dict[str, tuple[int, ...]] = {}
    channels = 3
    for stage, (layers, filters) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for layer in range(1, layers + 1):
            found[f"arg:conv{stage}_{layer}_weight"] = (filters, channels, 3, 3)
            found[f"arg:conv{stage}_{layer}_bias"] = (filters,)
            channels = filters
    for name, shape in {"fc6": (4096, 25088), "fc7": (4096, 4096), "fc8": (1000, 4096)}.items():
        found[f"arg:{name}_weight"] = shape
        found[f"arg:{name}_bias"] = shape[:1]
    return found


def write(path: str) -> None:
    """Write the checkpoint with random values."""
    from symjit.ndarray.serialize import write_arrays

    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes().items()}
    write_arrays(path, list(arrays.values()), list(arrays))


def load(python: str, package: str, path: str) -> tuple[float, float, float]:
    """Return seconds, growth of the peak and the peak of one load in a fresh process."""
    source = LOAD.format(package=package)
    environment = {**os.environ, "MXNET_SUBGRAPH_BACKEND": "NONE", "JAX_PLATFORMS": "cpu"}
    if package == "symjit":
        root = str(pathlib.Path(__file__).resolve().parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [python, "-c", source, path], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    seconds, growth, peak = map(float, done.stdout.split())
    return seconds, growth, peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mxnet", help="a Python with MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    sides = {"symjit": (sys.executable, "symjit")}
    if chosen.mxnet:
        sides["MXNet"] = (chosen.mxnet, "mxnet")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vgg16-0000.params")
        write(path)
        size = os.path.getsize(path)
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
        for _ in range(chosen.rounds):
            for name, (python, package) in sides.items():
                found[name].append(load(python, package, path))
    print(f"{size / 1e6:.0f} MB, {chosen.rounds} rounds; first load of a process")
    for name, rows in found.items():
        seconds = [row[0] for row in rows]
        print(
            f"{name:7} {min(seconds):.3f} s at best, {statistics.median(seconds):.3f} s median;"
            f" peak grows by {max(row[1] for row in rows) / size:.3f} x the file,"
            f" whole peak {max(row[2] for row in rows) / size:.3f} x"
        )
    if chosen.mxnet:
        ratios = [ours[0] / theirs[0] for ours, theirs in zip(found["symjit"], found["MXNet"], strict=True)]
        print(f"symjit / MXNet: {statistics.median(ratios):.2f} (median of the rounds), {max(ratios):.2f} at worst")


if __name__ == "__main__":
    main()
