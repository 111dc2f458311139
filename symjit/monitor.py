"""Monitor: statistics of outputs, parameters and gradients while a network trains. MXNet: ``mx.monitor``."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from math import sqrt
from typing import Any

from symjit import ndarray as nd
from symjit.executor import Executor
from symjit.ndarray import NDArray

__all__ = ["Monitor"]


def _norm(x: NDArray) -> NDArray:
    return nd.norm(x) / sqrt(x.size)


class Monitor:
    """Collect a statistic of every array whose name matches a pattern. Source: MXNet ``mx.monitor.Monitor``.

    It shows in which node a NaN appears first. ``tic``, a step, ``toc_print`` is one turn; ``Module.fit(monitor=...)``
    does that. Executors compute what it sees besides what they compute anyway, in the steps that it looks at alone.

    Args:
        interval: collect in every this many steps.
        stat_func: makes an NDArray, or a list of them, of an NDArray; ``norm(x) / sqrt(x.size)`` if None.
        pattern: regular expression that a name has to match from its beginning: outputs are ``<node>_output``, the
            gradients of an operator's inputs ``<node>_backward_output``, numbered if there are several; arguments and
            auxiliary states have their own names.
        sort: order the results by name.
        monitor_all: collect what goes into every node too.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable[[NDArray], Any] | None = None,
        pattern: str = ".*",
        sort: bool = False,
        monitor_all: bool = False,
    ) -> None:
        self.stat_func = _norm if stat_func is None else stat_func
        self.interval = interval
        self.activated = False
        self.queue: list[tuple[int, str, Any]] = []
        self.step = 0
        self.exes: list[Executor] = []
        self.re_prog = re.compile(pattern)
        self.sort = sort
        self.monitor_all = monitor_all

    def stat_helper(self, name: str, array: NDArray) -> None:
        """Collect from one array that an executor shows."""
        if self.activated:
            self._collect(name, array)

    def _collect(self, name: str, array: NDArray) -> None:
        if self.re_prog.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def install(self, exe: Executor) -> None:
        """Collect from an executor too."""
        self.exes.append(exe)
        if self.activated:
            exe.set_monitor_callback(self.stat_helper, self.monitor_all)

    def _wait(self) -> None:
        for exe in self.exes:
            for array in (*exe.arg_arrays, *exe.aux_arrays):
                array.wait_to_read()

    def tic(self) -> None:
        """Begin a step; to be called before its forward."""
        if self.step % self.interval == 0:
            self._wait()
            self.queue = []
            self.activated = True
            for exe in self.exes:
                exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """End a step, and return what was collected in it, arguments and auxiliary states included.

        Returns:
            For every array the number of the step, its name, and its statistic as text: numbers, or arrays as NumPy
            shows them, each followed by a tab. Nothing in a step that is skipped.

        Raises:
            AssertionError: ``stat_func`` returned something else than NDArrays.
        """
        if not self.activated:
            return []
        self._wait()
        for exe in self.exes:
            for held in (exe.arg_dict, exe.aux_dict):
                for name, array in held.items():
                    self._collect(name, array)
        self.activated = False
        for exe in self.exes:
            exe.set_monitor_callback(None)
        if self.sort:
            self.queue.sort(key=lambda entry: entry[1])
        found, self.queue = self.queue, []
        return [(step, name, _shown(name, value)) for step, name, value in found]

    def toc_print(self) -> None:
        """End a step, and log what was collected in it."""
        for step, name, text in self.toc():
            logging.info("Batch: {:7d} {:30s} {:s}".format(step, name, text))  # noqa: UP032


def _shown(name: str, value: Any) -> str:
    values = [value] if isinstance(value, NDArray) else value
    if not isinstance(values, list) or not all(isinstance(x, NDArray) for x in values):
        raise AssertionError(
            f"Monitor: stat_func must return an NDArray or a list of them, but of {name!r} it made"
            f" {type(value).__name__}"
        )
    return "".join(str(x.asscalar() if x.shape == (1,) else x.asnumpy()) + "\t" for x in values)
