"""Write ``io/FAMILY.json``: what MXNet 1.9.1's iterators give, batch by batch, in the cases of ``iterator_cases.py``.

``io/signatures.json`` has the arguments and defaults of the classes.

Run in the MXNet environment (see README.md): ``python generate_io.py``.

Of each case a file holds the list that ``iterator_cases.play`` makes: the descriptions, then what every step gave.
Sparse batches are written dense.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import iterator_cases
import mxnet as mx

FOLDER = Path(__file__).resolve().parent / "io"


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own, because an iterator that has failed can crash MXNet, now or later."""
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        here, there = context.Pipe()
        process = context.Process(target=lambda end: end.send(function(*arguments)), args=(there,))
        process.start()
        there.close()
        try:
            return here.recv()
        except EOFError:
            print("MXNet crashed, once more:", arguments[1:])
        finally:
            process.join()
    raise RuntimeError(f"MXNet crashed every time: {arguments[1:]}")


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        iterator_cases.write_files(folder)
        for family, (cases, places) in iterator_cases.families(folder).items():
            found = {case: apart(iterator_cases.run, mx, *cases[case], *places) for case in cases}
            lines = [f"{json.dumps(case)}: {json.dumps(seen)}" for case, seen in found.items()]
            (FOLDER / f"{family}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        orders = {
            f"{n} by {seed}": apart(iterator_cases.long_order, mx, folder, n, seed)
            for n, seed in iterator_cases.LONG_ORDERS
        }
        (FOLDER / "orders.json").write_text(json.dumps(orders) + "\n")
        (FOLDER / "signatures.json").write_text(json.dumps(iterator_cases.signatures(mx), indent=0) + "\n")
    print(f"{sum(f.stat().st_size for f in FOLDER.iterdir()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
