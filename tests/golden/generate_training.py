"""Write ``training/``: trajectories of training, by MXNet 1.9.1.

Run in the MXNet environment (see README.md): ``python tests/golden/generate_training.py [NAME ...]`` (cases and scenes
that are named are tried, nothing is written).

The cases are in ``tests/training/cases.py``: each is a model of ``tests/training/models.py``, trained from the same
parameters on the same batches, which are drawn there by NumPy. ``training/GROUP.npz`` holds, of every case:

- ``CASE|loss``: the loss of every step, float32
- ``CASE|arg:X``, ``CASE|aux:X``: every parameter after the last step, as ``get_params`` gives it. The models have at
  most 600 numbers each, so all are stored whole: no projection hides which of them differs
- ``CASE|predicted:own``, ``CASE|predicted:mean``, of cases with several contexts: a prediction on the first batch after
  training, in which each context uses the moving averages of its own shards, and one after all were given the mean
- ``CASE|noise``: the largest distance of any of these arrays, relative to its largest value, from a second run of
  MXNet whose initial parameters were each moved by up to half a unit in the last place. It is below 2e-5, so that
  1e-4 can be asked of a re-implementation, which rounds otherwise

``training/contexts.json`` holds ``slices``, the rows of a batch that each context of a case got, and ``split``, the
answers of ``mx.executor_manager._split_input_slice`` on more batch sizes and loads (null where it refuses).

``training/scenes.json`` holds what the scenes of ``tests/training/scenes.py`` come to, and of every method at which
stage of a module's life it is ``allowed``: ``ok`` or the class of the exception.
"""

import json
import logging
import os
import pathlib
import sys

import mxnet as mx
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.compare import relative_error  # noqa: E402
from tests.training.cases import CONTEXTS, GROUPS  # noqa: E402
from tests.training.run import prepared, train  # noqa: E402
from tests.training.scenes import ACTIONS, SCENES, STAGES, allowed  # noqa: E402

FOLDER = HERE / "training"
NOISE = 2e-5
SPLITS = [
    *((rows, [1] * count) for count in (1, 2, 3, 4, 8) for rows in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 16, 100)),
    *((rows, loads) for loads in ([1, 2, 3, 4], [3, 1], [0.25, 0.75], [1, 0], [5, 1, 1]) for rows in (4, 7, 10, 33)),
]


def generate(name, case):
    """Return the golden arrays of one case and its noise."""
    result = train(mx, case)
    nudged = train(mx, case, nudge=2.0**-24)
    for key, value in result.items():
        assert value.dtype == np.float32 and np.isfinite(value).all(), (name, key)
    errors = {key: relative_error(nudged[key], value) for key, value in result.items()}
    worst = max(errors, key=errors.get)
    losses = result["loss"]
    size = sum(value.size for value in result.values())
    print(f"{name}: loss {losses[0]:.3f} .. {losses[-1]:.3f}, noise {errors[worst]:.1e} ({worst}), {size} numbers")
    return result, errors[worst]


def slices_of(case):
    """Return the first and last row (excluded) that each context gets."""
    module, _ = prepared(mx, case)
    if hasattr(module, "_buckets"):
        module = module._curr_module
    return [[part.start, part.stop] for part in module._exec_group.slices]


def divided(rows, loads):
    """Return how MXNet divides a batch, None where it refuses."""
    try:
        return [[part.start, part.stop] for part in mx.executor_manager._split_input_slice(rows, loads)]
    except ValueError:
        return None


def main():
    """Write all, or try the cases named on the command line."""
    if os.environ.get("MXNET_SUBGRAPH_BACKEND") != "NONE":
        raise SystemExit("set MXNET_SUBGRAPH_BACKEND=NONE: fused oneDNN kernels would answer instead of the operators")
    logging.disable(logging.INFO)
    if sys.argv[1:]:
        for name in set(sys.argv[1:]) & set(SCENES):
            print(name, json.dumps(SCENES[name](mx), indent=1))
        for cases in GROUPS.values():
            for name in set(sys.argv[1:]) & set(cases):
                generate(name, cases[name])
        return
    FOLDER.mkdir(exist_ok=True)
    for group, cases in GROUPS.items():
        arrays = {}
        for name, case in cases.items():
            result, noise = generate(name, case)
            assert noise < NOISE, f"{name} hangs on the last bits: choose other options"
            arrays |= {f"{name}|{key}": value for key, value in result.items()}
            arrays[f"{name}|noise"] = np.float64(noise)
        np.savez_compressed(FOLDER / f"{group}.npz", **arrays)
    facts = {
        "slices": {name: slices_of(case) for name, case in CONTEXTS.items()},
        "split": [[rows, loads, divided(rows, loads)] for rows, loads in SPLITS],
    }
    (FOLDER / "contexts.json").write_text(json.dumps(facts) + "\n")
    scenes = {
        "allowed": {action: {stage: allowed(mx, action, stage) for stage in STAGES} for action in ACTIONS},
        "scenes": {name: scene(mx) for name, scene in SCENES.items()},
    }
    (FOLDER / "scenes.json").write_text(json.dumps(scenes) + "\n")
    print(sum(file.stat().st_size for file in FOLDER.iterdir()) // 1024, "KiB")


if __name__ == "__main__":
    main()
