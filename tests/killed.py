"""Saves files over and over in child processes and kills them: ``python -m tests.killed FOLDER ROUNDS SEED``.

The rounds are repeated, with more time for the child, until one child in ten was killed in the middle of writing and
some had completed a save: how soon that is depends on what else the machine does. Prints as JSON, for each way to save,
how many children were killed, how many of them left a temporary file behind, that is were in the middle of writing, and
how many versions were found. Ends with an error when a file does not load whole.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

import symjit as mx
from symjit.ndarray.atomic import TEMPORARY
from symjit.optimizer.states import dump_states, load_states_file, save_states_file

_VERSIONS = 8
_MOST = 20  # times the number of rounds
_LENGTH = 1 << 18  # floats in each of four arrays: a version takes 4 MiB

Save = Callable[[int], None]
Check = Callable[[], int]


def _arrays(version: int) -> dict[str, mx.nd.NDArray]:
    return {name: mx.nd.array(np.full(_LENGTH, version, np.float32)) for name in "abcd"}


def _version(arrays: dict[str, mx.nd.NDArray]) -> int:
    """Return which version arrays are; fail when they are none of them, or parts of two."""
    values = np.stack([arrays[name].asnumpy() for name in "abcd"])
    assert values.shape == (4, _LENGTH) and (values == values[0, 0]).all(), "parts of several versions"
    return int(values[0, 0])


def _symbol(version: int) -> mx.sym.Symbol:
    return mx.sym.Variable("x", attr={"__version__": f"{version}," * (1 << 20)})


def _symbol_version(symbol: mx.sym.Symbol) -> int:
    text = symbol.attr("__version__") or ""
    assert text == f"{text[0]}," * (1 << 20), "parts of several versions"
    return int(text[0])


def _ways(folder: Path) -> dict[str, tuple[Save, Check]]:
    """Return for each way to save: a function that saves a version, and one that loads and tells the version."""
    arrays = [_arrays(version) for version in range(_VERSIONS)]
    symbols = [_symbol(version) for version in range(_VERSIONS)]
    params, graph, prefix, states = (str(folder / name) for name in ("list.params", "graph.json", "net", "net.states"))

    def checkpoint(version: int) -> None:
        own = arrays[version]
        mx.model.save_checkpoint(
            prefix, 1, symbols[version], {"a": own["a"], "b": own["b"]}, {"c": own["c"], "d": own["d"]}
        )

    def load_checkpoint() -> int:
        symbol, args, aux = mx.model.load_checkpoint(prefix, 1)
        assert sorted(args) == ["a", "b"] and sorted(aux) == ["c", "d"]
        _symbol_version(symbol)  # of the two files each is whole; the symbol may be one save ahead
        return _version({**args, **aux})

    return {
        "nd.save": (lambda version: mx.nd.save(params, arrays[version]), lambda: _version(mx.nd.load(params))),
        "Symbol.save": (lambda version: symbols[version].save(graph), lambda: _symbol_version(mx.sym.load(graph))),
        "save_checkpoint": (checkpoint, load_checkpoint),
        "save_states_file": (
            lambda version: save_states_file(states, dump_states(dict(arrays[version]))),
            lambda: _version(load_states_file(states).states),
        ),
    }


def _kill_one(save: Save, first: int, delay: float) -> None:
    """Save one version after the other in a child, and kill it `delay` seconds after it began."""
    ready, begin = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of threads; the child computes nothing
        child = os.fork()
    if child == 0:
        os.write(begin, b"!")
        for version in range(first, 1 << 30):
            save(version % _VERSIONS)
        os._exit(1)
    os.read(ready, 1)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(ready)
    os.close(begin)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"the child ended by itself: {status}"


def main() -> None:
    """Run the command line."""
    folder, rounds, random = Path(sys.argv[1]), int(sys.argv[2]), Random(int(sys.argv[3]))
    report = {}
    for name, (save, check) in _ways(folder).items():
        began = time.monotonic()
        save(0)
        save(1)
        duration = (time.monotonic() - began) / 2
        found, interrupted, killed = set(), 0, 0
        while killed < rounds or (killed < _MOST * rounds and (len(found) < 2 or 10 * interrupted < rounds)):
            _kill_one(save, killed, random.uniform(0, 3 * duration * (1 + killed // rounds)))
            killed += 1
            found.add(check())
            left = [path for path in folder.iterdir() if path.name.startswith(TEMPORARY)]
            assert len(left) <= 1, f"{len(left)} temporary files of one save"
            interrupted += len(left)
            for path in left:
                path.unlink()
        report[name] = {"killed": killed, "interrupted": interrupted, "versions": len(found), "seconds": duration}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
