"""Runs cases in a process of its own, which tells through a file which case it is at.

The process limits its memory for each case and measures its time. When it dies, or hangs, the file says in which case.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import json
import mmap
import os
import struct
import tempfile
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import hypothesis
from hypothesis import strategies as st

from symjit.ndarray import array
from tests.fuzz import BLOCK, JSON_BUILT, JSON_MUTATED, PARAMS_BUILT, PARAMS_MUTATED
from tests.fuzz.checks import Finding, check_graph, check_params
from tests.fuzz.corpus import Start, json_starts, params_starts
from tests.fuzz.limits import ALLOWANCE, bounded_memory
from tests.fuzz.mutations import edits, mutated_bytes, mutated_json
from tests.fuzz.strategies import json_texts, params_files

__all__ = ["STATUS", "Results", "Worker"]

#: The status file: the number of the case, when it began (``time.monotonic``), and how many are done.
STATUS = struct.Struct("<qdq")
_SLOWEST = 2.0  # seconds of this process
_TRACED = 0.02  # of the cases, this share is run again with its memory traced
_LARGE = 1 << 16


@dataclass
class Results:
    """What came of a number of cases.

    Attributes:
        cases: how many, by kind and answer.
        slowest: seconds and number of the slowest case.
        largest: of the traced cases, the most memory above the size of the file, and the number of the case.
        traced: how many cases were traced.
        findings: what must not happen: number of the case, what, and a traceback.
    """

    cases: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)
    traced: int = 0
    findings: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Results) -> None:
        """Add the results of other cases."""
        self.cases += other.cases
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)
        self.traced += other.traced
        self.findings += other.findings

    def dump(self) -> str:
        """Return one line of text."""
        return json.dumps(vars(self))

    @classmethod
    def parse(cls, line: str) -> Results:
        """Read what `dump` returned."""
        raw = json.loads(line)
        findings = [(number, what, trace) for number, what, trace in raw["findings"]]
        return cls(Counter(raw["cases"]), tuple(raw["slowest"]), tuple(raw["largest"]), raw["traced"], findings)


class Worker:
    """Makes and runs cases by number."""

    def __init__(self, seed: int, folder: Path, status: Path | None = None, keep: Path | None = None) -> None:
        """Run cases of `seed` with files in `folder`; tell `status` of each, write what is read to `keep`."""
        self.seed = seed
        self.folder = folder
        self.keep = keep
        self.results = Results()
        self.params, self.graphs = params_starts(), json_starts()
        self.params_weights = list(itertools.accumulate(start.weight for start in self.params))
        self.graph_weights = list(itertools.accumulate(start.weight for start in self.graphs))
        self.done = 0
        self.only: int | None = None
        self.status: mmap.mmap | None = None
        if status is not None:
            with open(status, "r+b") as file:
                self.status = mmap.mmap(file.fileno(), STATUS.size)
        self._warm_up()

    def _warm_up(self) -> None:
        """Import and start what is imported and started once, so that no case pays for it."""
        array([1.0]).asnumpy()
        for start in self.params[:3]:
            check_params(start.data, public=True)
        for start in self.graphs[:3]:
            path = self.folder / "case-symbol.json"
            path.write_bytes(start.data)
            check_graph(start.data, str(path), public=True)

    def run(self, numbers: Iterator[int]) -> None:
        """Run cases; those that Hypothesis builds in batches, whatever their first number is."""
        for number in numbers:
            place = number % BLOCK
            if place in PARAMS_MUTATED:
                self._mutated_params(number)
            elif place in JSON_MUTATED:
                self._mutated_graph(number)
            elif place == PARAMS_BUILT.start:
                self._built(number, len(PARAMS_BUILT), "params", params_files, check_params)
            elif place == JSON_BUILT.start:
                self._built(number, len(JSON_BUILT), "json", json_texts, check_graph)

    def replay(self, number: int) -> None:
        """Run one case; of a batch all cases up to it."""
        place = number % BLOCK
        self.only = number
        for batch in (PARAMS_BUILT, JSON_BUILT):
            if place in batch:
                number += batch.start - place
        self.run(iter([number]))

    # Kinds of cases ---------------------------------------------------------------------------------------------------

    def _mutated_params(self, number: int) -> None:
        random = Random(f"{self.seed}:{number}")
        start = random.choices(self.params, cum_weights=self.params_weights)[0]
        if len(start.data) > _LARGE:
            self._large_params(number, random, start)
            return
        if random.random() < 0.5 and start.data:
            data = bytearray(start.data)
            for at, put in edits(random, start):
                data[at : at + len(put)] = put
            data = bytes(data)
        else:
            data = mutated_bytes(random, start, self.params[:20])
        self._case(number, "params, mutated", data, check_params, random)

    def _large_params(self, number: int, random: Random, start: Start) -> None:
        """Change a few bytes of a copy on disk, and put them back: a large file is mapped, so nothing is copied."""
        path = self.folder / f"large-{self.params.index(start)}.params"
        if not path.exists():
            path.write_bytes(start.data)
        changed = edits(random, start)
        size = random.choice((len(start.data), len(start.data), random.randrange(len(start.data))))
        with open(path, "r+b") as file:
            for at, put in changed:
                file.seek(at)
                file.write(put)
            file.truncate(size)
        try:
            self._check(
                number, "params, mutated", check_params, start.data[:size], str(path), False, random.random() < _TRACED
            )
        finally:
            with open(path, "r+b") as file:
                for at, put in changed:
                    file.seek(at)
                    file.write(start.data[at : at + len(put)])
                file.seek(size)
                file.write(start.data[size:])

    def _mutated_graph(self, number: int) -> None:
        random = Random(f"{self.seed}:{number}")
        start = random.choices(self.graphs, cum_weights=self.graph_weights)[0]
        data = mutated_json(random, start, self.graphs)
        self._case(number, "json, mutated", data, check_graph, random)

    def _built(
        self, number: int, count: int, kind: str, strategy: st.SearchStrategy[bytes], check: Callable[..., str]
    ) -> None:
        """Let Hypothesis build cases and, when one fails, make it smaller."""
        at = number

        def body(data: bytes) -> None:
            nonlocal at
            case = min(at, number + count - 1)  # beyond them, Hypothesis makes a failing case smaller
            at += 1
            if self.only is None or case == self.only:
                # How it is run follows from the data: Hypothesis has to see the same outcome when it tries them again.
                self._case(case, f"{kind}, built", data, check, Random(data), again=True)

        phases = (hypothesis.Phase.generate, hypothesis.Phase.shrink)
        health = list(hypothesis.HealthCheck)
        settings = hypothesis.settings(
            max_examples=count,
            phases=phases,
            database=None,
            deadline=None,
            suppress_health_check=health,
            report_multiple_bugs=False,
        )
        seeded = hypothesis.seed(f"{self.seed}:{number}")(settings(hypothesis.given(strategy)(body)))
        try:
            seeded()
        except Exception as error:
            self._found(min(at, number + count) - 1, error)

    # Running one ------------------------------------------------------------------------------------------------------

    def _case(
        self, number: int, kind: str, data: bytes, check: Callable[..., str], random: Random, *, again: bool = False
    ) -> None:
        """Run a case from bytes, from a file or through the public functions."""
        path = None
        if random.random() < 0.25:
            path = self.folder / "case-symbol.json"  # of either kind; `symjit inspect` wants this ending
            path.write_bytes(data)
        public = random.random() < 0.2 and len(data) < _LARGE
        trace = random.random() < _TRACED
        self._check(number, kind, check, data, None if path is None else str(path), public, trace, again=again)

    def _check(
        self,
        number: int,
        kind: str,
        check: Callable[..., str],
        data: bytes,
        path: str | None,
        public: bool,
        trace: bool,
        *,
        again: bool = False,
    ) -> None:
        if self.keep is not None:
            self.keep.write_bytes(data)
        self._tell(number)
        began = time.process_time()
        try:
            with bounded_memory(len(data)):
                answer = check(data, path, public=public)
            if trace:
                self._trace(number, check, data, path)
            spent = time.process_time() - began
            if spent > _SLOWEST:
                raise Finding(f"{spent:.1f} s")
        except Exception as error:
            if again:
                raise Finding(f"{type(error).__name__}: {error}") from error
            self._found(number, error)
            answer = "found"
            spent = 0.0
        self.done += 1
        self.results.cases[f"{kind}: {answer}"] += 1
        self.results.slowest = max(self.results.slowest, (spent, number))

    def _trace(self, number: int, check: Callable[..., str], data: bytes, path: str | None) -> None:
        with _traced() as peak:
            check(data, path)
        above = peak[0] - len(data)
        self.results.traced += 1
        self.results.largest = max(self.results.largest, (above, number))
        if above > ALLOWANCE:
            raise Finding(f"{above} bytes above the size of the file")

    def _found(self, number: int, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))[-6000:]
        self.results.findings.append((number, f"{type(error).__name__}: {error}"[:1000], text))

    def _tell(self, number: int) -> None:
        if self.status is not None:
            self.status[:] = STATUS.pack(number, time.monotonic(), self.done)


@contextmanager
def _traced() -> Iterator[list[int]]:
    """Yield a list that holds the peak of the memory of Python and NumPy afterwards."""
    peak = [0]
    tracemalloc.start()
    try:
        yield peak
        peak[0] = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def main(worker: type[Worker] = Worker) -> None:
    """Run cases ``first, first + 1, ...``, block by block; print a line of results per block."""
    parser = argparse.ArgumentParser()
    for name in ("seed", "first", "count"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--status", type=Path, required=True)
    options = parser.parse_args()
    faulthandler.enable()
    with tempfile.TemporaryDirectory() as folder:
        running = worker(options.seed, Path(folder), options.status)
        first, last = options.first, options.first + options.count
        while first < last:
            end = min(last, first - first % BLOCK + BLOCK)
            running.run(iter(range(first, end)))
            print(running.results.dump(), flush=True)
            running.results = Results()
            first = end
    os._exit(0)  # no need to take JAX apart


if __name__ == "__main__":
    main()
