"""``symjit predict`` and ``symjit verify``: run a checkpoint on files."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from symjit.cli.inputs import Refused, device_context, named_shapes, read_input

__all__ = ["add_to", "difference"]


def add_to(commands: Any, common: argparse.ArgumentParser, device: argparse.ArgumentParser) -> None:
    """Add the commands to a parser."""
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


def _predict(options: argparse.Namespace) -> int:
    from symjit.predictor import Predictor

    context = device_context(options.device)
    predictor = Predictor.load(options.prefix, options.epoch, context)
    shapes = named_shapes(options.shape, predictor.inputs)
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


def _verify(options: argparse.Namespace) -> int:
    from symjit.predictor import Predictor

    context = device_context(options.device)
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
