"""Run the operator table and print the largest relative error of each family.

``python -m tests.ops.report [FAMILY ...]``, from the root of the repository. It exits with 1 if an array differs from
its reference by more than its row allows. The arrays of rows that allow more than `TOLERANCE` (each says why) are
counted as ``wider`` and left out of the maxima.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import sys
from collections import defaultdict

from symjit.ops import registry
from tests.ops.answers import compared
from tests.ops.case import TOLERANCE
from tests.ops.conftest import all_cases, cast_cases

KINDS = [(dtype, kind) for dtype in ("float32", "float64", "float16") for kind in ("output", "gradient")]


def family_report(family: str) -> tuple[list[str], list[str]]:
    """Return the cells of a family's line and what is wrong."""
    rows = [case for name, case in all_cases() if name == family]
    casts = [case for name, case in cast_cases() if name == family]
    worst: dict[tuple[str, str], float] = defaultdict(float)
    arrays, wider, wrong = 0, 0, []
    for case in rows + casts:
        for each in compared(family, case):
            arrays += 1
            name = max(each.want.dtype.name, case.dtype, key=lambda dtype: TOLERANCE.get(dtype, 0.0))
            if each.error > case.tolerance(each.want.dtype):
                wrong.append(f"{case.id}: {each.what}: {each.error:.2g}")
            if case.tolerance(each.want.dtype) > TOLERANCE.get(name, 0.0):
                wider += 1
                continue
            kind = "gradient" if each.what.startswith("gradient") else "output"
            worst[name, kind] = max(worst[name, kind], each.error)
    operators = {registry.get(case.op).name for case in rows}
    counts = [str(n) for n in (len(operators), len(rows), len(casts), arrays, wider)]
    return [family, *counts, *(f"{worst[kind]:.0e}" if kind in worst else "" for kind in KINDS)], wrong


def main(wanted: list[str]) -> int:
    """Print the table of the named families, or of all."""
    families = wanted or sorted({family for family, _ in all_cases()})
    heads = ["family", "operators", "rows", "in other dtypes", "arrays", "wider", *(f"{d} {k}" for d, k in KINDS)]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    wrong = []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for cells, found in pool.map(family_report, families):
            print("| " + " | ".join(cells) + " |", flush=True)
            wrong += found
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
