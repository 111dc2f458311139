"""A worker whose checks do what a reader must not do; test_fuzz.py sees whether the suite notices."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy as np

from tests.fuzz import worker

__all__ = ["CRASH", "FOREIGN", "GREEDY", "HANG", "SLOW"]

#: The cases that go wrong.
CRASH, HANG, SLOW, GREEDY, FOREIGN = 3, 5, 7, 11, 13


class _Broken(worker.Worker):
    def _mutated_params(self, number: int) -> None:
        def misbehave(*_: Any, **__: Any) -> str:
            if number == CRASH:
                ctypes.string_at(0)
            elif number == HANG:
                time.sleep(1000)
            elif number == SLOW:
                until = time.process_time() + 2.5
                while time.process_time() < until:
                    pass
            elif number == GREEDY:
                np.empty(1 << 33, np.uint8)  # never touched
            elif number == FOREIGN:
                raise ValueError("foreign")
            return "read"

        self._check(number, "broken", misbehave, b"", None, False, False)


if __name__ == "__main__":
    worker.main(worker=_Broken)
