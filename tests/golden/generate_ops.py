"""Write the operator goldens: every row of ``tests/ops/cases/`` run by MXNet 1.9.1.

Runs in the MXNet environment only (see ``tests/golden/README.md``)::

    MXNET_SUBGRAPH_BACKEND=NONE python tests/golden/generate_ops.py [FAMILY ...]

Each family's file ``tests/golden/ops/FAMILY.npz`` holds ``CASE|out:i``, ``CASE|grad:i`` (inputs) and ``CASE|aux:i``.

The first row of each operator is tried in every other dtype, too, and the first row of each choice among an operator's
names and flags in every floating one.
``tests/golden/ops/FAMILY.json`` holds what MXNet said: which inputs were cast and whether there is a gradient, or why
there is no such case. A trial runs in a process of its own, for MXNet ends the process on some of them.
What MXNet infers of the same rows is written too, by ``generate_infer.py``.
"""

import importlib
import json
import multiprocessing
import pathlib
import pkgutil
import sys

import generate_infer
import mxnet as mx
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.ops.case import DTYPES  # noqa: E402
from tests.ops.single import graph_json, run_graph  # noqa: E402

CASES = HERE.parent / "ops" / "cases"


def run(case):
    """Return the golden arrays of one case."""
    arrays = case.arrays()
    graph = graph_json(case.op, case.attrs, len(arrays))
    return run_graph(mx, graph, arrays, lambda count: case.gradient_inputs(arrays, count), case.head, case.train)


def serve(pipe):
    """Run the cases that are asked for: a family, a row, a dtype, the inputs to cast, whether with gradients."""
    while True:
        family, row, dtype, positions, grad = pipe.recv()
        cases = importlib.import_module(f"tests.ops.cases.{family}").CASES
        case = next(case for case in cases if case.id == row).cast(dtype, positions, grad)
        try:
            first, second = run(case), run(case)
        except Exception as error:  # whatever MXNet refuses with
            said = str(error).split("MXNetError:")[-1].split("Check failed:")[-1].split()
            pipe.send(" ".join(said)[:60] or type(error).__name__)
            continue
        if case.reference is not None:  # of random numbers, shape and dtype are what there is to compare
            pipe.send({key: np.zeros_like(value) for key, value in first.items()})
            continue
        same = all(np.array_equal(first[key], second[key], equal_nan=True) for key in first)
        pipe.send(first if same else "two runs differ")


class Trials:
    """A process that runs cases and is started again where MXNet ended it."""

    def __init__(self):
        self.process = None

    def ask(self, *case):
        """Return the golden arrays of a case, or the reason why there are none."""
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=serve, args=(theirs,), daemon=True)
            self.process.start()
            theirs.close()
        self.pipe.send(case)
        try:
            if self.pipe.poll(60):
                return self.pipe.recv()
            answer = "no answer"
        except EOFError:
            answer = "MXNet ends the process"
        self.close()
        return answer

    def close(self):
        """End the process."""
        if self.process is not None:
            self.process.terminate()
            self.process.join()
            self.process = None


def trials(family, cases):
    """Return ``(facts, golden)`` of the rows of a family in other dtypes."""
    facts, golden, seen, tried = {}, {}, set(), set()
    ask = Trials()
    asked_in_full = {case.op for case in cases if case.reference is None}
    for case in cases:
        chosen = case.castable
        if case.variety in seen or (case.reference is not None and case.op in asked_in_full):
            continue
        if not chosen and (case.inputs or "_like" in case.op):
            continue
        seen.add(case.variety)
        facts[case.id] = {}
        for dtype in DTYPES:
            if np.dtype(dtype).kind != "f" and case.op in tried:
                continue
            answer = ""
            # All inputs, or the first alone (BatchNorm keeps its parameters in float32); with gradients, or without.
            for positions, grad in [(p, g) for g in (True, False) for p in dict.fromkeys((chosen, chosen[:1]))]:
                found = ask.ask(family, case.id, dtype, positions, grad)
                if isinstance(found, dict):
                    facts[case.id][dtype] = {"cast": positions, "grad": grad, **({} if grad else {"why": answer})}
                    golden.update({f"{case.id}@{dtype}|{key}": value for key, value in found.items()})
                    break
                answer = answer or found
            else:
                facts[case.id][dtype] = {"refused": answer}
        tried.add(case.op)
    ask.close()
    return facts, golden


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
        facts, more = trials(info.name, module.CASES)
        golden.update(more)
        (HERE / "ops").mkdir(exist_ok=True)
        lines = ",\n".join(f" {json.dumps(row)}: {json.dumps(found)}" for row, found in sorted(facts.items()))
        (HERE / "ops" / f"{info.name}.json").write_text(f"{{\n{lines}\n}}\n")
        np.savez_compressed(HERE / "ops" / f"{info.name}.npz", **golden)
        print(f"{info.name}: {len(module.CASES)} cases, {len(golden)} arrays, {failed} failed")
        if failed:
            raise SystemExit(1)
    generate_infer.main(wanted)


if __name__ == "__main__":
    main(set(sys.argv[1:]))
