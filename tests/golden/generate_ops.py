"""Write the operator goldens: every row of ``tests/ops/cases/`` run by MXNet 1.9.1.

Runs in the MXNet environment only (see ``tests/golden/README.md``)::

    MXNET_SUBGRAPH_BACKEND=NONE python tests/golden/generate_ops.py [FAMILY ...]

Each family's file ``tests/golden/ops/FAMILY.npz`` holds ``CASE|out:i``, ``CASE|grad:i`` (inputs) and ``CASE|aux:i``.
"""

import importlib
import json
import pathlib
import pkgutil
import sys

import mxnet as mx
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
CASES = HERE.parent / "ops" / "cases"


def text(value):
    """Return an attribute's JSON text."""
    return value if isinstance(value, str) else str(value)


def graph_json(case, count):
    """Return the JSON of a graph that is this one operator on `count` variables."""
    nodes = [{"op": "null", "name": f"in{i}", "inputs": []} for i in range(count)]
    attrs = {key: text(value) for key, value in case.attrs.items()}
    nodes.append({"op": case.op, "name": "node", "attrs": attrs, "inputs": [[i, 0, 0] for i in range(count)]})
    return json.dumps(
        {
            "nodes": nodes,
            "arg_nodes": list(range(count)),
            "heads": [[count, 0, 0]],
            "attrs": {"mxnet_version": ["int", 10901]},
        }
    )


def run(case):
    """Return the golden arrays of one case."""
    arrays = case.arrays()
    symbol = mx.sym.load_json(graph_json(case, len(arrays)))
    # One head entry of a multi-output node stands for its first output; the internals list all visible ones.
    outputs = [name for name in symbol.get_internals().list_outputs() if name.startswith("node_")]
    if len(outputs) > 1:
        symbol = mx.sym.Group([symbol.get_internals()[name] for name in outputs])
    args, aux = symbol.list_arguments(), symbol.list_auxiliary_states()
    order = [f"in{i}" for i in range(len(arrays))]
    held = {name: mx.nd.array(array, dtype=array.dtype) for name, array in zip(order, arrays, strict=True)}
    wanted = {f"in{i}" for i in case.gradient_inputs(arrays, len(args))}
    grads = {name: mx.nd.zeros(held[name].shape, dtype=held[name].dtype) for name in args if name in wanted}
    executor = symbol.bind(
        mx.cpu(),
        {name: held[name] for name in args},
        args_grad=grads,
        grad_req={name: "write" if name in wanted else "null" for name in args},
        aux_states={name: held[name] for name in aux},
    )
    results = executor.forward(is_train=case.train or bool(wanted))
    golden = {f"out:{i}": result.asnumpy() for i, result in enumerate(results)}
    if wanted:
        heads = [mx.nd.array(case.head(r.shape, r.dtype, i), dtype=r.dtype) for i, r in enumerate(results)]
        executor.backward(heads)
        golden.update({f"grad:{order.index(name)}": grads[name].asnumpy() for name in grads})
    if case.train:
        golden.update({f"aux:{i}": held[name].asnumpy() for i, name in enumerate(aux)})
    return golden


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


if __name__ == "__main__":
    main(set(sys.argv[1:]))
