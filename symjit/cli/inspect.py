"""``symjit inspect``: what a checkpoint holds."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

import numpy as np

from symjit.base import MXNetError, plain

__all__ = ["add_to", "inspect_checkpoint"]


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to a parser."""
    inspect = commands.add_parser("inspect", parents=[common], help="what a checkpoint holds")
    inspect.add_argument("prefix", metavar="PREFIX")
    inspect.add_argument("--epoch", type=int, help="look at the parameters of this epoch too")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(run=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    report = inspect_checkpoint(options.prefix, options.epoch)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print_report(report)
    return 0


def inspect_checkpoint(prefix: str, epoch: int | None = None) -> dict[str, Any]:
    """Return what a checkpoint holds, in JSON types.

    Raises:
        MXNetError: a file can not be read or is damaged.
    """
    from symjit.ir.passes.inference import label_variables, state_variables
    from symjit.ir.passes.parameters import parameter_names
    from symjit.ndarray.serialize import read_arrays
    from symjit.ops import registry
    from symjit.predictor import checkpoint_files, match_parameters, read_graph

    symbol_file, params_file = checkpoint_files(prefix, epoch or 0)
    loaded = read_graph(symbol_file)
    graph = loaded.graph
    unsupported = graph.unsupported()
    report: dict[str, Any] = {
        "symbol": symbol_file,
        "version": loaded.version,
        "upgrade_rules": list(loaded.rules),
        "nodes": len(graph.nodes),
        "operators": {
            name: {"count": count, "supported": registry.lookup(name) is not None}
            for name, count in sorted(graph.op_counts().items())
        },
        "outputs": [],
    }
    values: dict[str, Any] = {}
    if epoch is not None:
        found = read_arrays(params_file)
        matched = match_parameters(graph, found)
        values = matched.values
        dtypes: dict[str, int] = {}
        for item in found.arrays:
            name = "none" if item is None else item.dtype.name
            dtypes[name] = dtypes.get(name, 0) + 1
        report["parameters"] = {
            "file": params_file,
            "format": sorted(found.versions),
            "arrays": len(found.arrays),
            "elements": sum(int(np.prod(x.shape, dtype=np.int64)) for x in values.values()),
            "bytes": found.nbytes,
            "dtypes": dtypes,
            "missing": matched.missing,
            "left_over": matched.left_over,
        }
    else:
        report["epochs"] = _epochs(prefix)
    known = set(values) or set(parameter_names(graph))
    labels = {node.name for node in label_variables(graph, known)}
    states = {node.name for node in state_variables(graph)} - known
    shapes = _shapes(graph, values) if not unsupported else {}
    report["inputs"] = [
        {
            "name": node.name,
            "role": "label" if node.name in labels else "state" if node.name in states else "data",
            "shape": shapes.get(node.name),
        }
        for node in graph.variables
        if node.name not in known and node.name not in set(parameter_names(graph))
    ]
    if not unsupported:
        report["outputs"] = graph.output_names
    return report


def _epochs(prefix: str) -> list[int]:
    folder, _, stem = os.path.abspath(prefix).rpartition(os.sep)
    if not os.path.isdir(folder):
        return []
    numbers = [
        name[len(stem) + 1 : -len(".params")]
        for name in os.listdir(folder)
        if name.startswith(f"{stem}-") and name.endswith(".params")
    ]
    return sorted(int(text) for text in numbers if text.isascii() and text.isdigit())


def _shapes(graph: Any, values: dict[str, Any]) -> dict[str, list[int | None] | None]:
    from symjit.ir.infer import infer

    try:
        found = infer(graph, {name: x.shape for name, x in values.items()})
    except MXNetError:
        # A file's own __shape__ notes may contradict its parameters; then no shape is known for certain.
        return {}
    shapes = {node.name: found.shapes[id(node), 0] for node in graph.variables}
    return {name: None if shape is None else list(shape) for name, shape in shapes.items()}


def _print_report(report: dict[str, Any]) -> None:
    major, rest = divmod(report["version"], 10000)
    print(f"{report['symbol']}: MXNet {major}.{rest // 100}.{rest % 100}, {report['nodes']} nodes")
    print(f"  upgrade rules applied: {', '.join(report['upgrade_rules']) or 'none'}")
    print("operators:")
    for name, row in report["operators"].items():
        print(f"  {row['count']:6d}  {plain(name)}{'' if row['supported'] else '   NOT SUPPORTED'}")
    print("inputs:")
    for row in report["inputs"]:
        shape = row["shape"]
        text = "?" if shape is None else "(" + ", ".join("?" if d is None else str(d) for d in shape) + ")"
        print(f"  {row['role']:6s}  {plain(row['name'])}  {text}")
    if report["outputs"]:
        print(f"outputs: {', '.join(map(plain, report['outputs']))}")
    if "epochs" in report:
        print(f"epochs: {', '.join(map(str, report['epochs'])) or 'no .params file'}")
        return
    found = report["parameters"]
    kinds = ", ".join(f"{count} x {name}" for name, count in found["dtypes"].items())
    print(
        f"{found['file']}: {found['arrays']} arrays ({kinds}), {found['elements']:,} numbers, {found['bytes']:,} bytes"
    )
    print(f"  format: {', '.join(map(str, found['format']))}")
    print(f"  missing: {', '.join(map(plain, found['missing'])) or 'none'}")
    print(f"  left over: {', '.join(map(plain, found['left_over'])) or 'none'}")
