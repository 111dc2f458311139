"""Ctrl-C between steps, never inside one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["whole"]


@contextmanager
def whole() -> Iterator[None]:
    """Run a block as a whole: a Ctrl-C inside it is raised at its end, also where it fails; a second one at once.

    Half a step would leave parameters of two steps, or a gradient without its update. Python delivers signals to the
    main thread alone; in other threads, and where the program handles Ctrl-C by itself, the block just runs.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    asked = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.default_int_handler(number, frame)
        asked = True

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if asked:  # an error of the block does not make it forgotten
            raise KeyboardInterrupt
