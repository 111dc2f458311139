"""The ``symjit`` command: inspect, predict, verify and demo."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symjit.base import MXNetError, plain

if TYPE_CHECKING:
    from symjit.context import Context

__all__ = ["main"]


class Refused(Exception):
    """An input of the command line that can not be used; the message is the whole report."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if all went well; 1 if `verify` found a difference; 2 for an error.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        return options.run(options)
    except BrokenPipeError:
        # The reader of a pipe has gone; nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MXNetError, Refused, OSError) as error:
        if options.debug:
            raise
        print(f"symjit: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    from symjit import __version__

    parser = argparse.ArgumentParser(
        prog="symjit", description="Run MXNet checkpoints (PREFIX-symbol.json, PREFIX-EPOCH.params) on JAX/XLA."
    )
    parser.add_argument("--version", action="version", version=f"symjit {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument("--device", choices=("cpu", "gpu", "tpu"), default=None, help="where to run (default: cpu)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    inspect = commands.add_parser("inspect", parents=[common], help="what a checkpoint holds")
    inspect.add_argument("prefix", metavar="PREFIX")
    inspect.add_argument("--epoch", type=int, help="look at the parameters of this epoch too")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(run=_inspect)

    predict = commands.add_parser("predict", parents=[common, device], help="run a checkpoint on files")
    predict.add_argument("prefix", metavar="PREFIX")
    predict.add_argument("--epoch", type=int, default=0)
    predict.add_argument(
        "--input", action="append", required=True, metavar="NAME=FILE", help="a .npy, .npz, .jpg or .png file"
    )
    predict.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="[NAME=]N,C,H,W",
        help="shape of an input; pictures are resized to it, other files are reshaped",
    )
    predict.add_argument("--top", type=int, default=5, metavar="K", help="show the K largest values (default 5)")
    predict.add_argument("--output", metavar="FILE.npz", help="write all outputs to this file")
    predict.set_defaults(run=_predict)

    verify = commands.add_parser("verify", parents=[common, device], help="compare a checkpoint with known outputs")
    verify.add_argument("prefix", metavar="PREFIX")
    verify.add_argument("--epoch", type=int, default=0)
    verify.add_argument(
        "--golden",
        required=True,
        metavar="FILE.npz",
        help="arrays 'in:NAME' for every input and 'out:I' for every output",
    )
    verify.add_argument(
        "--rtol",
        type=float,
        default=1e-4,
        help="largest difference allowed, relative to the largest value of the output (default 1e-4)",
    )
    verify.set_defaults(run=_verify)

    demo = commands.add_parser("demo", parents=[common, device], help="classify handwritten digits")
    demo.set_defaults(run=_demo)
    return parser


def _context(name: str | None) -> Context:
    from symjit.context import Context

    context = Context(name or "cpu", 0)
    context.device  # noqa: B018  a missing device is reported before any work
    return context


# inspect -------------------------------------------------------------------------------------------------------------


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


# predict -------------------------------------------------------------------------------------------------------------


def _predict(options: argparse.Namespace) -> int:
    from symjit.predictor import Predictor

    context = _context(options.device)
    predictor = Predictor.load(options.prefix, options.epoch, context)
    shapes = _named_shapes(options.shape, predictor.inputs)
    given = {}
    for text in options.input:
        name, separator, file = text.partition("=")
        if not separator:
            name, file = predictor.inputs[0], text
        if name not in predictor.inputs:
            raise Refused(f"--input {text}: this network has no input {name!r}; it has {', '.join(predictor.inputs)}")
        given[name] = read_input(file, name, shapes.get(name))
    results = predictor(given)
    for name, value in zip(predictor.outputs, results, strict=True):
        print(f"{name} {value.shape} {value.dtype}")
        rows = value.reshape(value.shape[0], -1) if value.ndim else value.reshape(1, 1)
        for i, row in enumerate(rows[:8]):
            top = np.argsort(-row, kind="stable")[: max(options.top, 0)]
            print(f"  [{i}] " + "  ".join(f"{k}: {row[k]:.6g}" for k in top))
        if len(rows) > 8:
            print(f"  ... {len(rows) - 8} more rows")
    if options.output:
        arrays: dict[str, Any] = {f"out:{i}": value for i, value in enumerate(results)}
        np.savez(options.output, **arrays)
        print(f"wrote {options.output}")
    return 0


def _named_shapes(texts: Sequence[str], inputs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    found = {}
    for text in texts:
        name, separator, dims = text.rpartition("=")
        name = name if separator else inputs[0]
        parts = dims.strip("()[] ").replace("x", ",").split(",")
        try:
            found[name] = tuple(int(part) for part in parts if part.strip())
        except ValueError:
            raise Refused(f"--shape {text}: expected numbers such as 1,3,224,224") from None
    return found


def read_input(file: str, name: str, shape: tuple[int, ...] | None) -> np.ndarray:
    """Read an input from a NumPy file or a picture.

    A picture becomes float32 of shape (1, channels, height, width), RGB, values 0 to 255.

    Raises:
        Refused: the file can not be used; the message says why.
        OSError: the file can not be opened.
    """
    suffix = Path(file).suffix.lower()
    if suffix in (".jpg", ".jpeg", ".png", ".bmp"):
        return _read_picture(file, shape)
    if suffix not in (".npy", ".npz"):
        raise Refused(f"{file}: expected a .npy, .npz, .jpg or .png file")
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            value = content
        else:
            with content:
                keys = [key for key in (name, f"in:{name}") if key in content.files]
                if not keys and len(content.files) != 1:
                    raise Refused(f"{file}: none of its arrays {content.files} is called {name!r}")
                value = content[keys[0] if keys else content.files[0]]
    except (ValueError, EOFError) as error:
        raise Refused(f"{file}: not a NumPy file of numbers: {error}") from None
    if value.dtype.kind not in "biuf" and value.dtype.name != "bfloat16":
        raise Refused(f"{file}: holds {value.dtype}, expected numbers")
    if shape is None:
        return value
    try:
        return value.reshape(shape)
    except ValueError:
        raise Refused(f"{file}: an array of shape {value.shape} can not be reshaped to {shape}") from None


def _read_picture(file: str, shape: tuple[int, ...] | None) -> np.ndarray:
    try:
        import cv2
    except ImportError:
        raise Refused(f"{file}: reading pictures needs OpenCV: pip install 'symjit[image]'") from None
    with open(file, "rb") as stream:
        data = np.frombuffer(stream.read(), np.uint8)
    channels = shape[-3] if shape is not None and len(shape) >= 3 else 3
    if shape is not None and (len(shape) not in (3, 4) or channels not in (1, 3) or shape[:-3] not in ((), (1,))):
        raise Refused(f"{file}: the shape of a picture is 1,C,H,W with C = 1 or 3, got {shape}")
    mode = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
    picture = cv2.imdecode(data, mode) if data.size else None
    if picture is None:
        raise Refused(f"{file}: not a picture that OpenCV can read")
    if shape is not None:
        height, width = list(shape)[-2:]
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    if channels == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    planes = picture.reshape(*picture.shape[:2], channels).transpose(2, 0, 1)
    return np.ascontiguousarray(planes, dtype=np.float32)[None]


# verify --------------------------------------------------------------------------------------------------------------


def _verify(options: argparse.Namespace) -> int:
    from symjit.predictor import Predictor

    context = _context(options.device)
    predictor = Predictor.load(options.prefix, options.epoch, context)
    try:
        with np.load(options.golden, allow_pickle=False) as content:
            golden = {key: content[key] for key in content.files}
    except (ValueError, EOFError, AttributeError) as error:
        raise Refused(f"{options.golden}: not a NumPy .npz file: {error}") from None
    inputs = {key[3:]: value for key, value in golden.items() if key.startswith("in:")}
    expected = {key: value for key, value in golden.items() if key.startswith("out:")}
    if not expected:
        raise Refused(f"{options.golden}: holds no 'out:0', only {', '.join(golden) or 'nothing'}")
    results = predictor({name: value for name, value in inputs.items() if name in predictor.inputs})
    print(f"{'output':40s} {'shape':20s} {'max abs diff':>12s} {'max rel diff':>12s}")
    failed = 0
    for number, name, value in zip(predictor.heads, predictor.outputs, results, strict=True):
        want = expected.pop(f"out:{number}", None)
        if want is None:
            raise Refused(f"{options.golden}: holds no 'out:{number}' for the output {name!r}")
        if want.shape != value.shape:
            failed += 1
            print(f"{name:40s} {value.shape!s:20s} expected shape {want.shape}  FAIL")
            continue
        absolute, relative = difference(value, want)
        holds = relative <= options.rtol
        failed += not holds
        print(f"{name:40s} {value.shape!s:20s} {absolute:12.3g} {relative:12.3g}{'' if holds else '  FAIL'}")
    for key in expected:
        print(f"{key}: depends on a label and is not part of the prediction; not compared")
    print("all outputs agree" if not failed else f"{failed} outputs differ by more than {options.rtol:g}")
    return 1 if failed else 0


def difference(value: np.ndarray, want: np.ndarray) -> tuple[float, float]:
    """Return the largest absolute difference, and the same relative to the largest magnitude of `want`.

    NaN in the same place agrees; elsewhere the difference is infinite.
    """
    value, want = value.astype(np.float64), want.astype(np.float64)
    if want.size == 0:
        return 0.0, 0.0
    same = (value == want) | (np.isnan(value) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0.0, np.abs(value - want))
    gap = np.where(np.isnan(gap), np.inf, gap)
    finite = np.abs(want[np.isfinite(want)])
    scale = float(finite.max()) if finite.size else 0.0
    absolute = float(gap.max())
    return absolute, absolute if scale == 0.0 else absolute / scale


def _demo(options: argparse.Namespace) -> int:
    from symjit import demo

    return demo.run(_context(options.device))


if __name__ == "__main__":
    raise SystemExit(main())
