"""Fuzzing of optimizer states: a short run in this process, a long one in a process that may die."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections import Counter

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.limits import ALLOWANCE
from tests.fuzz.states import case, check_states, states_starts

SEED = 20261121


def test_the_corpus_is_read_as_it_is() -> None:
    assert len(states_starts()) >= 40
    for source in states_starts():
        assert check_states(source.start.data, public=True) == "read"
        if source.cuts:
            assert source.cuts[0] == 0 and list(source.cuts) == sorted(set(source.cuts))


def test_cases_follow_from_their_number() -> None:
    made = [case(SEED, number) for number in range(50)]
    assert made == [case(SEED, number) for number in range(50)]
    assert len(set(made)) > 45 and made != [case(SEED + 1, number) for number in range(50)]


def test_1000_cases() -> None:
    answers: Counter[str] = Counter()
    for number in range(1000):
        data = case(SEED, number)
        began = time.process_time()
        if number % 50 == 0:
            tracemalloc.start()
        try:
            answers[check_states(data, public=number % 5 == 0)] += 1
            if number % 50 == 0:
                assert tracemalloc.get_traced_memory()[1] < len(data) + ALLOWANCE
        except Exception as error:
            raise AssertionError(f"case({SEED}, {number}): {error!r}") from error
        finally:
            tracemalloc.stop()
        assert time.process_time() - began < 2, number
    assert min(answers["read"], answers["refused"]) > 50


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits of memory are Linux's")
def test_30000_cases() -> None:
    results = fuzz(SEED, 0, 30_000, jobs=1, module="tests.fuzz.states")
    listed = [f"case({SEED}, {number}): {what}\n{trace}" for number, what, trace in results.findings]
    assert not listed, "\n".join(listed)
    assert sum(results.cases.values()) == 30_000
    assert min(results.cases["states: read"], results.cases["states: refused"]) > 1000
    assert results.traced > 300 and results.largest[0] < ALLOWANCE and results.slowest[0] < 2
