"""Fuzz the readers: ``python -m tests.fuzz --count 1000000``; replay: ``python -m tests.fuzz --seed 0 --case 1234``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from tests.fuzz import BLOCK
from tests.fuzz.worker import STATUS, Results, Worker

__all__ = ["fuzz"]

ROOT = Path(__file__).resolve().parents[2]
_HANGS = 20.0  # seconds by the clock in one case; the machine may be doing other work, so they are more than the 2 s

# Freed memory goes back to the system, so that the limits of a case are not widened by what earlier cases freed.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}


class _Process:
    """A worker, started anew behind the case that killed it."""

    def __init__(self, seed: int, first: int, count: int, folder: Path, module: str, hangs: float) -> None:
        self.seed, self.next, self.last = seed, first, first + count
        self.module, self.hangs = module, hangs
        self.status = folder / f"status-{first}"
        self.results = Results()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run all cases, in a thread."""
        try:
            self._run()
        except BaseException as error:  # for the main thread to raise
            self.error = error

    def _run(self) -> None:
        while self.next < self.last:
            self.status.write_bytes(STATUS.pack(self.next, time.monotonic() + 120, -1))  # JAX takes its time to start
            command = [sys.executable, "-m", self.module, "--seed", str(self.seed), "--first", str(self.next)]
            command += ["--count", str(self.last - self.next), "--status", str(self.status)]
            environ = os.environ | _ALLOCATOR | {"JAX_PLATFORMS": "cpu"}
            with tempfile.TemporaryFile("w+") as errors:
                with subprocess.Popen(
                    command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True
                ) as child:
                    watch = threading.Thread(target=self._watch, args=(child,))
                    watch.start()
                    for line in child.stdout or ():
                        self.results.add(Results.parse(line))
                        self.next = min(self.last, self.next - self.next % BLOCK + BLOCK)
                code = child.returncode
                watch.join()
                errors.seek(0)
                trace = errors.read()[-6000:]
            if code == 0:
                return
            case, _, done = STATUS.unpack(self.status.read_bytes())
            if done < 0:
                raise RuntimeError(f"the worker did not start:\n{trace}")
            self.results.findings.append((case, f"the process ended with {code}", trace))
            self.next = case + 1

    def _watch(self, child: subprocess.Popen[str]) -> None:
        while child.poll() is None:
            time.sleep(0.2)
            _, began, _ = STATUS.unpack(self.status.read_bytes())
            if time.monotonic() - began > self.hangs:
                child.send_signal(signal.SIGABRT)  # faulthandler prints where it is
                return


def fuzz(
    seed: int,
    first: int,
    count: int,
    jobs: int,
    report: float = 0.0,
    *,
    module: str = "tests.fuzz.worker",
    hangs: float = _HANGS,
) -> Results:
    """Run cases ``first`` to ``first + count`` in processes of their own; return their `Results`.

    Args:
        seed: chooses the cases.
        first: number of the first one.
        count: how many; in whole blocks per process.
        jobs: number of processes.
        report: seconds between lines about the progress; 0 for none.
        module: what the processes run.
        hangs: seconds after which a case is given up.
    """
    share = -(-count // jobs // BLOCK) * BLOCK if count > BLOCK else count
    starts = range(first, first + count, share)
    with tempfile.TemporaryDirectory() as folder:
        processes = [_Process(seed, at, min(share, first + count - at), Path(folder), module, hangs) for at in starts]
        threads = [threading.Thread(target=process.run) for process in processes]
        for thread in threads:
            thread.start()
        began = told = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)
            if report and time.monotonic() - told > report:
                told = time.monotonic()
                done = sum(sum(process.results.cases.values()) for process in processes)
                found = [finding[:2] for process in processes for finding in process.results.findings]
                print(f"{told - began:6.0f} s: {done} cases, {len(found)} findings {found[:5] or ''}", flush=True)
    total = Results()
    for process in processes:
        if process.error is not None:
            raise process.error
        total.add(process.results)
    return total


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=2 * BLOCK, help="how many cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--case", type=int, help="replay this case alone, in this process")
    parser.add_argument("--save", type=Path, help="where the replayed case is written")
    options = parser.parse_args()
    if options.case is not None:
        with tempfile.TemporaryDirectory() as folder:
            worker = Worker(options.seed, Path(folder), keep=options.save)
            worker.replay(options.case)
        results = worker.results
    else:
        began = time.monotonic()
        results = fuzz(options.seed, options.first, options.count, options.jobs, report=60.0)
        print(f"{time.monotonic() - began:.0f} s")
    for kind, count in sorted(results.cases.items()):
        print(f"{count:8} {kind}")
    print(f"slowest: {results.slowest[0]:.3f} s, case {results.slowest[1]}")
    print(f"largest: {results.largest[0]} bytes above the file, case {results.largest[1]}, of {results.traced} traced")
    for number, what, trace in results.findings:
        print(f"\nFINDING, --seed {options.seed} --case {number}: {what}\n{trace}")
    print(f"{len(results.findings)} findings")
    return bool(results.findings)


if __name__ == "__main__":
    sys.exit(main())
