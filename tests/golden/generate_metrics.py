"""Write ``metrics/``: what the metrics, callbacks and Monitor of MXNet 1.9.1 answer.

Run in the MXNet environment (see README.md): ``python generate_metrics.py``.

- ``values.json``: for every case of ``metric_cases.py`` what it answers after each step: ``get``, ``get_global``, the
  totals, or the type of the exception; and its ``get_config``.
- ``signatures.json``: names and defaults of the arguments of everything public.
- ``logs.json``: what the callbacks log, with a clock that stands still but for a second at a time.
- ``monitor.json``: what Monitor collects from a small network.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import callback_cases
import metric_cases
import mxnet as mx
import numpy as np

FOLDER = Path(__file__).resolve().parent / "metrics"
TOTALS = ("sum_metric", "num_inst", "global_sum_metric", "global_num_inst")


def plain(value: Any) -> Any:
    """Return what JSON can hold; NaN and infinity as text."""
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    if isinstance(value, (float, np.floating)):
        value = float(value)
        return value if np.isfinite(value) else repr(value)
    return int(value) if isinstance(value, np.integer) else value


def array(x: np.ndarray) -> mx.nd.NDArray:
    return mx.nd.array(x, dtype=x.dtype)


def error_of(error: Exception) -> dict[str, str]:
    return {"error": type(error).__name__}


def answers(case: metric_cases.Case) -> dict[str, Any]:
    """Return the record of one case."""
    try:
        metric = getattr(mx.metric, case.metric)(**case.kwargs)
    except Exception as error:
        return error_of(error)
    record: dict[str, Any] = {"steps": []}
    try:
        record["config"] = metric.get_config()
    except Exception as error:
        record["config"] = error_of(error)
    for step in case.steps:
        try:
            metric_cases.run(metric, step, array)
            with np.errstate(all="ignore"):
                record["steps"].append(
                    {
                        "get": plain(metric.get()),
                        "get_global": plain(metric.get_global()),
                        "totals": [plain(getattr(metric, name, None)) for name in TOTALS],
                    }
                )
        except Exception as error:
            record["steps"].append(error_of(error))
    return record


def signature(thing: Any) -> list[list[Any]]:
    found = []
    for name, parameter in inspect.signature(thing).parameters.items():
        default = None if parameter.default is parameter.empty else repr(parameter.default)
        found.append([name, parameter.kind.name, default])
    return found


def signatures() -> dict[str, Any]:
    """Return the signatures of public functions, constructors and methods."""
    found = {}
    for module in ("metric", "callback", "monitor"):
        for name, thing in vars(getattr(mx, module)).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != f"mxnet.{module}":
                continue
            where = f"{module}.{name}"
            found[where] = signature(thing)
            if inspect.isclass(thing):
                found[where + "()"] = [
                    [method, signature(value)]
                    for method, value in inspect.getmembers(thing, inspect.isfunction)
                    if not method.startswith("_")
                ]
    return found


def write(name: str, value: Any) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_text(json.dumps(value, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    write("values.json", {case.name: answers(case) for case in metric_cases.CASES})
    write("signatures.json", signatures())
    write("logs.json", callback_cases.logs(mx))
    write("monitor.json", callback_cases.monitored(mx))
