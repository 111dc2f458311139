"""Show that MXNet 1.9.1 reads what symjit saved and gives the same answers.

Run in the MXNet environment (see README.md): ``python read_back.py FOLDER``.

FOLDER holds checkpoints, ``PREFIX-symbol.json`` and ``PREFIX-EPOCH.params`` (four digits), and for each one
``PREFIX-EPOCH.npz`` with

- ``in:NAME``: the inputs, in the element types to bind with
- ``out:i``: symjit's output i of ``forward(is_train=False)``

Arguments that are neither in the checkpoint nor in the inputs (labels) are bound as zeros. For each checkpoint the
largest difference of any output, divided by that output's largest absolute value, is printed. The exit status is 1 if
one exceeds 1e-5, cannot be loaded, or there is no checkpoint at all.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import mxnet as mx
import numpy as np

LIMIT = 1e-5


def outputs_of(prefix: Path, epoch: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return what MXNet computes from a checkpoint."""
    symbol, arguments, auxiliary = mx.model.load_checkpoint(str(prefix), epoch)
    arguments |= {name: mx.nd.array(value, dtype=value.dtype) for name, value in inputs.items()}
    names = symbol.list_arguments()
    unknown = sorted((set(arguments) - set(names)) | (set(auxiliary) - set(symbol.list_auxiliary_states())))
    if unknown:
        raise ValueError(f"the symbol has no {', '.join(unknown)}")
    if set(names) - set(arguments):
        shapes, _, _ = symbol.infer_shape(**{n: a.shape for n, a in arguments.items()})
        for name, shape in zip(names, shapes, strict=True):
            if name not in arguments:
                arguments[name] = mx.nd.zeros(shape)
    executor = symbol.bind(mx.cpu(), args=arguments, aux_states=auxiliary, grad_req="null")
    return [out.asnumpy() for out in executor.forward(is_train=False)]


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference relative to the largest value; infinite where shapes, types or NaNs differ."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return np.inf
    if not np.array_equal(np.isnan(got), np.isnan(expected)):
        return np.inf
    if not got.size or np.isnan(got).all():
        return 0.0
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    scale = max(float(np.nanmax(np.abs(got))), np.finfo(np.float32).tiny)
    return float(np.nanmax(np.abs(got - expected))) / scale


def check(path: Path) -> float:
    """Return the largest difference of any output of the checkpoint that belongs to an ``.npz`` file."""
    match = re.fullmatch(r"(.+)-(\d{4})", path.stem)
    if match is None:
        raise ValueError("the name should be PREFIX-EPOCH.npz with four digits")
    with np.load(path) as file:
        inputs = {key[3:]: file[key] for key in file if key.startswith("in:")}
        expected = [file[f"out:{i}"] for i in range(sum(key.startswith("out:") for key in file))]
    outputs = outputs_of(path.parent / match[1], int(match[2]), inputs)
    if len(outputs) != len(expected) or not outputs:
        raise ValueError(f"MXNet has {len(outputs)} outputs, the file {len(expected)}")
    return max(difference(a, b) for a, b in zip(outputs, expected, strict=True))


def main() -> int:
    """Check every checkpoint of the folder and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    worst = {}
    for path in sorted(folder.glob("*.npz")):
        try:
            worst[path.stem] = check(path)
            print(f"{path.stem}: largest relative difference {worst[path.stem]:.2e}")
        except (mx.base.MXNetError, OSError, ValueError, KeyError) as error:
            worst[path.stem] = np.inf
            print(f"{path.stem}: {type(error).__name__}: {error}")
    failed = [name for name, value in worst.items() if not value <= LIMIT]
    print(f"{len(worst)} checkpoints, {len(failed)} beyond {LIMIT:g}")
    return 1 if failed or not worst else 0


if __name__ == "__main__":
    sys.exit(main())
