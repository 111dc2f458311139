"""20,000 cases of fuzzing, in a process of their own; and that the suite notices what it is there to notice."""

from __future__ import annotations

import mmap
import struct
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from symjit.base import MXNetError
from tests.fuzz import BLOCK, broken, checks
from tests.fuzz.__main__ import ROOT, fuzz
from tests.fuzz.corpus import CHECKPOINTS, json_starts, params_starts
from tests.fuzz.limits import ALLOWANCE, bounded_memory
from tests.fuzz.mutations import edits, mutated_bytes, mutated_json
from tests.packed_params import floats, listing

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits of memory are Linux's")

SEED = 20261121


def clean(first: int, count: int) -> None:
    results = fuzz(SEED, first, count, jobs=1)
    listed = [f"--seed {SEED} --case {number}: {what}\n{trace}" for number, what, trace in results.findings]
    assert not listed, "\n".join(listed)
    assert sum(results.cases.values()) >= count * 0.98  # of a batch, Hypothesis may find fewer than it is asked for
    for kind in ("params, mutated", "params, built", "json, mutated", "json, built"):
        assert min(results.cases[f"{kind}: read"], results.cases[f"{kind}: refused"]) > count // 1000
    assert results.traced > count // 100 and results.largest[0] < ALLOWANCE and results.slowest[0] < 2


def test_1000_cases() -> None:
    clean(0, BLOCK)


@pytest.mark.slow
def test_19000_more_cases() -> None:
    clean(BLOCK, 19 * BLOCK)


@pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="no third-party checkpoints in ../shared/checkpoints")
def test_the_corpus_holds_the_third_party_checkpoints() -> None:
    names = {start.name for start in (*params_starts(), *json_starts())}
    for pattern in ("*/*.params", "*/*.v0", "*/*.json"):
        for path in CHECKPOINTS.glob(pattern):
            assert f"{path.parent.name}/{path.name}" in names


def test_the_corpus_is_read_as_it_is() -> None:
    for start in (*params_starts(), *json_starts()):
        assert start.data and start.weight > 0
    assert sum(checks.check_params(start.data) == "read" for start in params_starts()) >= len(params_starts()) - 1
    for start in json_starts():
        for begin, end in start.spans.attributes + start.spans.operators:
            assert start.data[begin : begin + 1] == start.data[end - 1 : end] == b'"'
        assert start.spans.members and start.spans.operators


def test_mutations_follow_from_their_number() -> None:
    starts, graphs = params_starts()[:5], json_starts()
    for number in range(20):
        for make in (
            lambda random: edits(random, starts[0]),
            lambda random: mutated_bytes(random, starts[0], starts),
            lambda random: mutated_json(random, graphs[1], graphs),
        ):
            assert make(Random(number)) == make(Random(number))
    assert len({mutated_json(Random(number), graphs[1], graphs) for number in range(100)}) > 80


@pytest.mark.slow
@pytest.mark.parametrize("number", [451, 911])
def test_a_case_can_be_replayed(number: int, tmp_path: Path) -> None:
    saved = [tmp_path / "one", tmp_path / "two"]
    for path in saved:
        command = [sys.executable, "-m", "tests.fuzz", "--seed", "5", "--case", str(number), "--save", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.endswith("0 findings\n")
    assert saved[0].read_bytes() == saved[1].read_bytes()


# That it notices ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_must_not_happen_is_found() -> None:
    results = fuzz(0, 0, 20, jobs=1, module="tests.fuzz.broken", hangs=15.0)
    found = {number: what for number, what, _ in results.findings}
    traces = {number: trace for number, _, trace in results.findings}
    assert sorted(found) == sorted([broken.CRASH, broken.HANG, broken.SLOW, broken.GREEDY, broken.FOREIGN])
    assert found[broken.CRASH] == "the process ended with -11" and "in misbehave" in traces[broken.CRASH]
    assert found[broken.HANG] == "the process ended with -6" and "in misbehave" in traces[broken.HANG]
    assert found[broken.SLOW].startswith("Finding: 2.5 s")
    assert "Unable to allocate 8.00 GiB" in found[broken.GREEDY]
    assert found[broken.FOREIGN] == "ValueError: foreign"


def limited(body: str) -> str:
    """Run code with its memory limited to the allowance and a file of 1000 bytes; return what it prints."""
    program = f"import numpy as np\nfrom tests.fuzz.limits import *\nwith bounded_memory(1000):\n    {body}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[-1]


def test_memory_that_is_never_touched_counts() -> None:
    assert limited("x = np.empty(60 << 20, np.uint8); print('fine')") == "fine"
    assert "Unable to allocate 65.0 MiB" in limited("x = np.empty(65 << 20, np.uint8); print('fine')")
    assert limited("x = bytearray(8 << 30); print('fine')") == "MemoryError"


def test_a_file_that_is_mapped_for_reading_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(ALLOWANCE * 4)
    with open(path, "rb") as file, bounded_memory(0):
        found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        assert int(np.frombuffer(found, np.uint8).max()) == 0


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (MXNetError("no source"), "no source in the message"),
        (MXNetError("file: " + "x" * 10_000), "a message of 10006 characters"),
    ],
)
def test_poor_messages_are_found(error: MXNetError, problem: str) -> None:
    with pytest.raises(checks.Finding, match=problem):
        checks._refused(error, "file")


def test_memory_errors_that_are_hidden_are_found() -> None:
    try:
        try:
            raise MemoryError
        except MemoryError as error:
            raise MXNetError("file: too much") from error
    except MXNetError as error:
        with pytest.raises(checks.Finding, match="memory ran out behind"):
            checks._refused(error, "file")


def test_arrays_that_are_no_views_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    data = listing(floats(2, *range(100)))
    read = checks.read_arrays

    def copied(source: bytes) -> object:
        found = read(source)
        found.arrays[0] = np.zeros(200, np.float32)
        found.arrays[0].flags.writeable = False
        return found

    monkeypatch.setattr(checks, "read_arrays", copied)
    with pytest.raises(checks.Finding, match="800 bytes of arrays from a file of"):
        checks.check_params(data)
    assert struct.unpack_from("<Q", data)[0] == 0x112
