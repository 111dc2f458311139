"""The driver: draws requests, asks MXNet 1.9.1 and symjit, and reports where they differ; see README.md."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
import time
from collections import Counter, defaultdict
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from symjit.ops import registry
from tests.oracle import subject
from tests.oracle.client import Crashed, Oracle
from tests.oracle.draw import Request, choose_op, draw
from tests.oracle.judge import Finding, judge, noise, same, tolerance
from tests.oracle.known import reason

#: Bytes that memory is filled with, in the process that answers and in the one that is asked again.
FILLS = (85, 170)


def family_of(name: str) -> str:
    """Return the family of an operator: the module that declares it."""
    return registry.get(name).fn.__module__.split(".")[-1]


class Report:
    """What was seen so far."""

    def __init__(self, out: Any) -> None:
        self.out = out
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.worst: dict[tuple[str, float], tuple[float, str]] = {}
        self.groups: dict[tuple[str, ...], list[tuple[Request, Finding]]] = defaultdict(list)
        self.accepted: Counter[str] = Counter()
        self.crashes: list[str] = []

    def add(self, request: Request, outcome: str, findings: list[Finding], worst: float) -> None:
        """Note one case."""
        family = family_of(request.op)
        if outcome.startswith("MXNet"):
            self.crashes.append(f"{outcome}: --seed {request.seed} {request}")
        open_findings = []
        for finding in findings:
            why = reason(request, finding)
            if why is None:
                open_findings.append(finding)
            else:
                self.accepted[f"{request.op}: {finding.kind}: {why}"] += 1
        self.outcomes[family][outcome if not findings else "differs" if open_findings else "accepted"] += 1
        place = family, tolerance(request)
        if worst > self.worst.get(place, (0.0, ""))[0]:
            self.worst[place] = worst, f"{request.seed} {request}"
        for finding in open_findings:
            self.groups[self._signature(request, finding)].append((request, finding))
            if self.out is not None:
                line = {
                    "op": request.op,
                    "seed": request.seed,
                    "kind": finding.kind,
                    "request": str(request),
                    "detail": finding.detail,
                }
                self.out.write(json.dumps(line) + "\n")
                self.out.flush()

    @staticmethod
    def _signature(request: Request, finding: Finding) -> tuple[str, ...]:
        """Return what findings are grouped by: operator, kind, dtypes, and those attributes that name a mode."""
        modes = sorted(f"{k}={v}" for k, v in request.attrs.items() if isinstance(v, (bool, str)) or v is None)
        dtypes = sorted({x.dtype.name for x in request.inputs} - {"float32"})
        return request.op, finding.kind, *dtypes, *modes

    def show(self, most: int) -> None:
        """Print the summary."""
        print("\nfamily: cases by outcome; largest relative error of those in float64, float32 or float16")
        for family, counts in sorted(self.outcomes.items()):
            listed = ", ".join(f"{k} {v}" for k, v in sorted(counts.items()))
            print(f"  {family}: {sum(counts.values())} ({listed})")
            for (of, allowed), (error, where) in sorted(self.worst.items()):
                if of == family:
                    print(f"    of {allowed:g} allowed: {error:.2g} at {where}")
        print("accepted differences:")
        for why, count in self.accepted.most_common():
            print(f"  {count} {why}")
        print("no answer from MXNet:")
        for line in sorted(self.crashes):
            print(f"  {line[:300]}")
        kinds = Counter((key[0], key[1]) for key, seen in self.groups.items() for _ in seen)
        print("differences by operator and kind:")
        for (op, kind), count in kinds.most_common():
            print(f"  {count} {op}: {kind}")
        shown: Counter[tuple[str, ...]] = Counter()
        for key, seen in sorted(self.groups.items(), key=lambda item: (item[0][:2], -len(item[1]))):
            shown[key[:2]] += 1
            if shown[key[:2]] > most:
                continue
            request, finding = min(seen, key=lambda pair: pair[0].size)
            print(f"\n{len(seen)} x {' '.join(key)}\n  --op {request.op} --seed {request.seed}: {request}")
            print("  " + "\n  ".join(line[:300] for line in finding.detail.splitlines()[:12]))


class Driver:
    """Puts requests to both sides."""

    def __init__(self, python: str) -> None:
        self.oracle, self.other = (Oracle(python, fill=fill) for fill in FILLS)

    def run(self, request: Request) -> tuple[str, list[Finding], float]:
        """Return ``(outcome, findings, largest relative error)`` of a request."""
        operator = registry.get(request.op)
        header = {
            "graph": request.graph,
            "wanted": request.wanted,
            "train": bool(request.wanted or operator.needs_train or operator.aux or operator.needs_key),
            "seed": request.seed,
        }
        try:
            want = self.oracle.ask(header, request.inputs)
        except Crashed as error:
            got = subject.answer(header, request.inputs)
            unclear = judge(request, got, ({}, {}))[0]
            return f"MXNet {error}", unclear, 0.0
        got = subject.answer(header, request.inputs)
        findings, worst = judge(request, got, want)
        if findings:
            try:
                again = self.other.ask(header, request.inputs)
            except Crashed as error:
                return f"MXNet {error} when asked again", [], 0.0
            if not same(want, again):
                return "MXNet differs from itself", [f for f in findings if f.kind == "unclear exception"], 0.0
            numbers = [f for f in findings if 0 < f.error < 1e-2]
            if numbers and max(f.error for f in numbers) <= 16 * noise(request, header, got):
                findings = [f for f in findings if f not in numbers]
                if not findings:
                    return "ill-conditioned", [], 0.0
        errors = want[0].values()
        return "both raise" if any(e is not None for e in errors) else "agree", findings, worst

    def close(self) -> None:
        """End MXNet's processes."""
        self.oracle.close()
        self.other.close()


def main() -> int:
    """Run the fuzzer; returns 1 where it found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--mxnet", required=True, metavar="PYTHON", help="interpreter of the MXNet 1.9.1 environment")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, help="how many cases")
    parser.add_argument("--minutes", type=float, help="how long")
    parser.add_argument("--op", action="append", default=[], metavar="NAME", help="draw this operator; may be repeated")
    parser.add_argument("--family", action="append", default=[], metavar="NAME", help="draw those of this module")
    parser.add_argument("--out", metavar="FILE", help="write each finding to it, a JSON object a line")
    parser.add_argument("--most", type=int, default=4, help="groups shown of one operator and kind")
    parser.add_argument("--valid", action="store_true", help="leave out the requests that were spoilt")
    options = parser.parse_args()
    faulthandler.enable()
    chosen = {registry.get(name).name for name in options.op}
    among = [
        op.name
        for op in registry.ops()
        if not (chosen or options.family) or op.name in chosen or family_of(op.name) in options.family
    ]
    if not among:
        parser.error(f"no such family: {', '.join(options.family)}")
    count = options.count or (None if options.minutes else 1)
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    driver, out = Driver(options.mxnet), open(options.out, "a") if options.out else None
    report, seed = Report(out), options.seed
    try:
        while time.monotonic() < end and (count is None or seed < options.seed + count):
            request = draw(choose_op(seed, among), seed)
            seed += 1
            if options.valid and request.oddities:
                continue
            if count == 1:
                print(request, *request.inputs, sep="\n")
            report.add(request, *driver.run(request))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    except BaseException:
        print(f"case {seed - 1} of {choose_op(seed - 1, among)} ended the driver", file=sys.stderr)
        raise
    finally:
        driver.close()
        report.show(options.most)
        if out is not None:
            out.close()
    return 1 if report.groups else 0


if __name__ == "__main__":
    raise SystemExit(main())
