"""Iterators over iterators, and a program's own: threads, errors in them, buckets."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

import symjit as mx
from symjit.io import prefetching


class Counting(mx.io.DataIter):
    """A program's own iterator: batches 0 .. count - 1, of which one fails."""

    def __init__(self, count: int, failing: int = -1) -> None:
        super().__init__(1)
        self.provide_data = [mx.io.DataDesc("data", (1,))]
        self.provide_label = []
        self.count, self.failing = count, failing
        self.at = -1
        self.made = threading.Semaphore(0)

    def reset(self) -> None:
        self.at = -1

    def iter_next(self) -> bool:
        self.at += 1
        if self.at == self.failing:
            raise ValueError(f"batch {self.at} is bad")
        self.made.release()
        return self.at < self.count

    def getdata(self) -> list[mx.nd.NDArray]:
        return [mx.nd.array([self.at])]

    def getpad(self) -> int:
        return 0


def numbers(iterator: Any) -> list[float]:
    return [batch.data[0].asscalar() for batch in iterator]


def test_an_iterator_of_ones_own() -> None:
    assert numbers(Counting(3)) == [0, 1, 2]
    assert numbers(mx.io.ResizeIter(Counting(3), 5)) == [0, 1, 2, 0, 1]
    assert [len(numbers(mx.io.ResizeIter(Counting(3), size))) for size in (0, -1, 2.5)] == [0, 0, 3]  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="no batch yet"):
        mx.io.ResizeIter(Counting(3), 5).getdata()
    assert list(mx.io.DataIter()) == []


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "symjit-prefetch"]


def test_the_next_batch_is_made_before_it_is_asked_for() -> None:
    source = Counting(5)
    with_ahead = mx.io.PrefetchingIter(source)
    for _ in range(2):
        with_ahead.next()
    for _ in range(3):
        assert source.made.acquire(timeout=10)
    assert source.at == 2, "one ahead, and no more"
    assert numbers(with_ahead) == [2, 3, 4]
    with_ahead.close()


def test_what_the_thread_raises_is_raised() -> None:
    iterator = mx.io.PrefetchingIter([Counting(4, failing=2), Counting(4)])
    assert [iterator.next().data[0].asscalar() for _ in range(2)] == [0, 1]
    with pytest.raises(ValueError, match="batch 2 is bad"):
        iterator.next()
    iterator.reset()
    assert iterator.next().data[1].asscalar() == 0
    iterator.close()


def test_errors_do_not_part_iterators() -> None:
    alone = mx.io.PrefetchingIter(Counting(4, failing=1))
    assert alone.next().data[0].asscalar() == 0
    with pytest.raises(ValueError, match="batch 1 is bad"):
        alone.next()
    assert numbers(alone) == [2, 3]
    both = mx.io.PrefetchingIter([Counting(4, failing=1), Counting(4)])
    assert [x.asscalar() for x in both.next().data] == [0, 0]
    for _ in range(2):  # 2 must not come beside 1
        with pytest.raises(ValueError, match="batch 1 is bad"):
            both.next()
    for iterator in (alone, both):
        iterator.close()


def test_a_reset_that_fails_leaves_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [Counting(3), Counting(3)]
    iterator = mx.io.PrefetchingIter(sources)
    with monkeypatch.context() as patch:
        patch.setattr(sources[1], "reset", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            iterator.reset()
    assert numbers(iterator) == []
    iterator.reset()
    assert [[x.asscalar() for x in batch.data] for batch in iterator] == [[i, i] for i in range(3)]
    iterator.close()


def test_ctrl_c_loses_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    iterator = mx.io.PrefetchingIter([Counting(3), Counting(3)])
    worker = iterator._workers[1]
    idle = worker.idle

    def interrupted() -> None:
        idle()
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "idle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        iterator.next()
    assert [[x.asscalar() for x in batch.data] for batch in iterator] == [[i, i] for i in range(3)]
    iterator.close()


def test_all_threads_end_before_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for call in ("close", "wait"):
        monkeypatch.setattr(prefetching._Worker, call, lambda worker, *_, call=call: seen.append(call))
    prefetching._close([object.__new__(prefetching._Worker) for _ in range(3)])
    assert seen == ["close"] * 3 + ["wait"] * 3


@pytest.mark.parametrize("wrap", [lambda x: mx.io.ResizeIter(x, 6), mx.io.PrefetchingIter], ids=["resized", "ahead"])
def test_batches_in_buckets_keep_their_keys(wrap: Any) -> None:
    sentences = [[1, 2], [2, 1], [3], [1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 1]] * 2
    source = mx.rnn.BucketSentenceIter(sentences, 2, buckets=[2, 4])
    iterator = wrap(source)
    assert iterator.default_bucket_key == 4
    seen = [(x.bucket_key, x.data[0].shape, x.provide_data[0].shape, x.provide_label[0].shape) for x in iterator]
    assert sorted(seen) == [(n, (2, n), (2, n), (2, n)) for n in (2, 2, 2, 4, 4, 4)]


def test_threads_end() -> None:
    before = len(workers())
    iterator = mx.io.PrefetchingIter([Counting(9), Counting(9)])
    iterator.next()
    assert len(workers()) == before + 2
    iterator.close()
    iterator.close()
    assert len(workers()) == before
    for call in (iterator.next, iterator.reset):
        with pytest.raises(ValueError, match="closed"):
            call()
    iterator = mx.io.PrefetchingIter(mx.io.PrefetchingIter(Counting(9)))
    gone = weakref.ref(iterator)
    del iterator
    gc.collect()
    assert gone() is None and len(workers()) == before


def test_reset_at_any_time() -> None:
    iterator = mx.io.PrefetchingIter(Counting(3))
    for taken in (0, 1, 2, 3, 1):
        for want in range(taken):
            assert iterator.next().data[0].asscalar() == want
        iterator.reset()
    assert numbers(iterator) == [0, 1, 2]
    assert numbers(iterator) == []
    iterator.close()


@pytest.mark.slow
def test_a_program_ends_with_its_threads(tmp_path: Path) -> None:
    program = (
        "import numpy as np, symjit as mx\n"
        "it = mx.io.PrefetchingIter(mx.io.NDArrayIter(np.ones((99, 9)), None, 3))\n"
        "print(it.next().data[0].shape)\n"
    )
    started = time.monotonic()
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "(3, 9)\n", "")
    assert time.monotonic() - started < 60
