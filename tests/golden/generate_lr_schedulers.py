"""Write ``lr_schedulers.json``: learning rates of MXNet 1.9.1, what it logs, signatures, and what it refuses.

Run in the MXNet environment (see README.md): ``python generate_lr_schedulers.py``. The schedules are in
``scheduler_cases.py``. Numbers are written with all their digits; most need not be close but equal.
"""

from __future__ import annotations

import inspect
import json
import logging
from pathlib import Path

import mxnet as mx
import scheduler_cases as cases

TARGET = Path(__file__).resolve().parent / "lr_schedulers.json"
CLASSES = ("LRScheduler", "FactorScheduler", "MultiFactorScheduler", "PolyScheduler", "CosineScheduler")


class Lines(logging.Handler):
    """Keeps the text of what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(record.getMessage())


def refusal(call) -> str:
    """Return the type of the error that a call raises."""
    try:
        call(mx.lr_scheduler)
    except Exception as error:
        return type(error).__name__
    raise AssertionError("MXNet accepts it")


def main() -> None:
    """Write the file."""
    lines = Lines()
    logging.getLogger().addHandler(lines)
    logging.getLogger().setLevel(logging.INFO)
    rates, logs = {}, {}
    for name, schedule in cases.SCHEDULES.items():
        rates[name] = {}
        for calls, numbers in cases.CALLS.items():
            lines.lines.clear()
            rates[name][calls] = cases.rates(mx.lr_scheduler, schedule, numbers)
            logs.setdefault(calls, {})[name] = list(lines.lines)
    result = {
        "signatures": {name: str(inspect.signature(getattr(mx.lr_scheduler, name))) for name in CLASSES},
        "refused": {name: refusal(call) for name, call in cases.REFUSED.items()},
        "logs": logs["gaps"],
        "rates": rates,
    }
    TARGET.write_text("{\n" + ",\n".join(f'"{key}": {lay(value)}' for key, value in result.items()) + "\n}\n")
    print(f"{TARGET.stat().st_size / 1024:.0f} KiB")


def lay(value: dict) -> str:
    """Return a dict as JSON, one entry a line."""
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(each)}" for key, each in value.items()) + "\n}"


if __name__ == "__main__":
    main()
