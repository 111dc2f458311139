"""Write the operator goldens: every row of ``tests/ops/cases/`` run by MXNet 1.9.1.

Runs in the MXNet environment only (see ``tests/golden/README.md``)::

    MXNET_SUBGRAPH_BACKEND=NONE python tests/golden/generate_ops.py [FAMILY ...]

Each family's file ``tests/golden/ops/FAMILY.npz`` holds ``CASE|out:i``, ``CASE|grad:i`` (inputs) and ``CASE|aux:i``.
What MXNet infers of the same rows is written too, by ``generate_infer.py``.
"""

import importlib
import pathlib
import pkgutil
import sys

import generate_infer
import mxnet as mx
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.ops.single import graph_json, run_graph  # noqa: E402

CASES = HERE.parent / "ops" / "cases"


def run(case):
    """Return the golden arrays of one case."""
    arrays = case.arrays()
    graph = graph_json(case.op, case.attrs, len(arrays))
    return run_graph(mx, graph, arrays, lambda count: case.gradient_inputs(arrays, count), case.head, case.train)


def main(wanted):
    """Write the named families, or all."""
    for info in pkgutil.iter_modules([str(CASES)]):
        if wanted and info.name not in wanted:
            continue
        module = importlib.import_module(f"tests.ops.cases.{info.name}")
        golden, failed = {}, 0
        for case in module.CASES:
            if case.reference is not None:
                continue
            try:
                for key, value in run(case).items():
                    golden[f"{case.id}|{key}"] = value
            except Exception as error:  # one report for the whole family
                failed += 1
                print(f"{info.name}: {case.id}: {str(error).splitlines()[0]}", file=sys.stderr)
        (HERE / "ops").mkdir(exist_ok=True)
        np.savez_compressed(HERE / "ops" / f"{info.name}.npz", **golden)
        print(f"{info.name}: {len(module.CASES)} cases, {len(golden)} arrays, {failed} failed")
        if failed:
            raise SystemExit(1)
    generate_infer.main(wanted)


if __name__ == "__main__":
    main(set(sys.argv[1:]))
