"""The driver's hold on the MXNet process: asks, waits no longer than a limit, starts it again when it has died."""

from __future__ import annotations

import os
import pathlib
import select
import subprocess
import time
from typing import Any

import numpy as np

from tests.oracle.protocol import pack, unpack

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Crashed(Exception):
    """MXNet died of a request, or took too long."""


class Oracle:
    """A process of MXNet 1.9.1.

    Attributes:
        starts: how often the process was started.
    """

    def __init__(self, python: str, *, fill: int, limit: float = 10.0) -> None:
        """Prepare a process; it starts with the first request.

        Args:
            python: the interpreter of the MXNet environment.
            fill: the byte that glibc writes into memory it hands out and takes back (``MALLOC_PERTURB_``): an answer
                that depends on it was read from memory that MXNet had not set.
            limit: seconds that one request may take.
        """
        self._python, self._limit = python, limit
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MXNET_SUBGRAPH_BACKEND": "NONE",
            "MXNET_EXEC_INPLACE_GRAD_SUM_CAP": "1000",
            "OMP_NUM_THREADS": "1",
            "MALLOC_PERTURB_": str(fill),
            "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def ask(self, header: dict[str, Any], arrays: list[np.ndarray]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the answer to a request.

        Raises:
            Crashed: the process died, or answered nothing within the limit.
        """
        process = self._process
        if process is None:
            process = self._process = subprocess.Popen(
                [self._python, "-m", "tests.oracle.server"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
            self.starts += 1
            deadline = time.monotonic() + 60.0  # importing MXNet takes seconds
        else:
            deadline = time.monotonic() + self._limit
        assert process.stdin is not None
        try:
            process.stdin.write(pack(header, {str(i): array for i, array in enumerate(arrays)}))
            message = unpack(lambda size: self._read(process, size, deadline))
        except (BrokenPipeError, TimeoutError) as error:
            self.close()
            raise Crashed("took too long" if isinstance(error, TimeoutError) else "died") from None
        if message is None:
            code = process.wait()
            self.close()
            raise Crashed(f"died of signal {-code}" if code < 0 else f"exited with {code}")
        return message

    @staticmethod
    def _read(process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
        assert process.stdout is not None
        parts, missing = [], size
        while missing:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            part = os.read(process.stdout.fileno(), missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
