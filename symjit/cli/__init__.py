"""The ``symjit`` command: inspect, predict, verify, explain, bench and demo, a module for each concept."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from symjit.base import MXNetError
from symjit.cli import inspect, performance, predict
from symjit.cli.inputs import Refused, device_context

__all__ = ["main"]


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
    inspect.add_to(commands, common)
    predict.add_to(commands, common, device)
    performance.add_to(commands, common, device)
    demo = commands.add_parser("demo", parents=[common, device], help="classify handwritten digits")
    demo.set_defaults(run=_demo)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from symjit import demo

    return demo.run(device_context(options.device))
