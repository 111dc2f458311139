"""The tables of ``inference.py``: ratios, differences of the outputs, milliseconds."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

from page import geometric_mean, heading, processor, table

Row = dict[str, Any]

#: A contender whose outputs are further than this from MXNet's, relative to the largest, does not count.
TOLERANCE = 1e-4
OURS = "symjit"
ORDER = ("MXNet", "MXNet, no fusion", "onnxruntime", OURS)


def peer(row: Row, maker: str = "") -> tuple[str, float] | None:
    """Return the fastest peer whose outputs are right, with its milliseconds; `maker` begins the names that count."""
    found = [
        (result["ms"], name)
        for name, result in row["results"].items()
        if name != OURS and name.startswith(maker) and "ms" in result and result["error"] <= TOLERANCE
    ]
    return (min(found)[1], min(found)[0]) if found else None


def ratio(row: Row, maker: str = "") -> float | None:
    """Return the fastest peer's time over symjit's; None where there is no peer or symjit's outputs are wrong."""
    best, ours = peer(row, maker), row["results"].get(OURS, {})
    return best[1] / ours["ms"] if best and "ms" in ours and ours["error"] <= TOLERANCE else None


def line(row: Row) -> str:
    """Return a row as a line of text."""
    parts = [f"{row['name']} b{row['batch']}, {heading(row['cores'])}:"]
    for name, result in row["results"].items():
        parts.append(f"{name} {result['ms']:.3f} ms ({result['error']:.0e})" if "ms" in result else f"{name} FAILED")
    found = ratio(row)
    return "  ".join(parts) + (f"  -> {found:.2f}x" if found else "")


def start_line(start: Row) -> str:
    """Return a row of first answers as a line of text."""
    taken = "  ".join(f"{name} {seconds:.2f} s" for name, seconds in start["seconds"].items())
    return f"first answer, {heading(start['cores'])}:  {taken}"


def versions(rows: list[Row]) -> str:
    """Return who was run, with versions."""
    found = {name: result["ready"] for row in rows for name, result in row["results"].items() if "ready" in result}
    parts = [f"{name} {found[name]}" for name in ("MXNet", "onnxruntime", OURS) if name in found]
    return ", ".join([*parts, *(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib"))])


def summary(rows: list[Row]) -> list[str]:
    """Return geometric mean and worst ratio, for each number of cores and over all."""
    counts = sorted({row["cores"] for row in rows})
    groups = [(heading(n), [row for row in rows if row["cores"] == n]) for n in counts]
    if len(groups) > 1:
        groups.append(("all", rows))
    body = []
    for name, group in groups:
        found = [(value, row) for row in group if (value := ratio(row))]
        if found:
            worst, row = min(found, key=lambda item: item[0])
            where = f"{row['name']}, batch {row['batch']}" + (f", {heading(row['cores'])}" if name == "all" else "")
            mean = geometric_mean([value for value, _ in found])
            alone = [value for row in group if (value := ratio(row, "MXNet"))]
            against = f"{geometric_mean(alone):.2f}" if alone else "-"
            body.append([name, f"{len(found)} of {len(group)}", f"{mean:.2f}", f"{worst:.2f} ({where})", against])
    if not body:
        return ["There was no peer."]
    return table(["", "compared", "geometric mean", "worst", "geometric mean, MXNet the only peer"], body)


def cells(rows: list[Row], show: Any) -> list[str]:
    """Return the cells of one network and batch, one for each number of cores."""
    return [show(row) for row in sorted(rows, key=lambda row: row["cores"])]


def grouped(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Return the rows by network and batch."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(f"{row['name']}, batch {row['batch']}", []).append(row)
    return list(found.items())


def notes(rows: list[Row]) -> list[str]:
    """Return what did not run or was not right, once each."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for name, result in row["results"].items():
            text = ""
            if "ms" not in result:
                text = f"{name}: {result['failed']}"
            elif result["error"] > TOLERANCE:
                text = f"{name}: outputs differ from MXNet's by {result['error']:.1e}, so its time does not count"
            if text:
                where = f"{row['name']} b{row['batch']}"
                if where not in found.setdefault(text, []):
                    found[text].append(where)
    return [f"- {', '.join(where)}: {text}" for text, where in found.items()]


def show_ratio(row: Row) -> str:
    """Return a cell: the ratio and the peer it is over."""
    value, best = ratio(row), peer(row)
    return f"{value:.2f} ({best[0]})" if value and best else "-"


def show_time(name: str, row: Row) -> str:
    """Return a cell: milliseconds of a contender."""
    result = row["results"].get(name, {})
    if "ms" not in result:
        return "-"
    digits = 3 if result["ms"] < 10 else 1
    return f"{result['ms']:.{digits}f}" + ("*" if result["error"] > TOLERANCE else "")


def show_error(name: str, rows: list[Row]) -> str:
    """Return a cell: the largest difference of a contender's outputs."""
    found = [row["results"][name]["error"] for row in rows if "error" in row["results"].get(name, {})]
    return f"{max(found):.1e}" if found else "-"


def render(rows: list[Row], starts: list[Row]) -> str:
    """Return the section."""
    counts = sorted({row["cores"] for row in rows})
    heads = [heading(n) for n in counts]
    out = ["## Inference", ""]
    if rows:
        shown = [name for name in ORDER if any(name in row["results"] for row in rows)]
        out += [
            "Written by `benchmarks/inference.py`, which measures all of it in one run: float32, from NumPy arrays",
            "to NumPy arrays, each contender in a process of its own with its best settings, held to the same cores,",
            "timed in turn in short rounds. The networks are MXNet's, with random weights, and two checkpoints of",
            "other people; onnxruntime runs what MXNet exports. A ratio is the faster peer's median over symjit's:",
            f"above 1 symjit is faster. Processor: {processor()}, {os.cpu_count()} cores.",
            "",
            f"Versions: {versions(rows)}.",
            "",
            *summary(rows),
            "",
            "### Ratios",
            "",
            *table(["", *heads], [[name, *cells(group, show_ratio)] for name, group in grouped(rows)]),
            "",
            "### Outputs",
            "",
            "The largest difference from what MXNet without fusion answers, relative to the output's largest value.",
            "",
            *table(["", *shown], [[name, *(show_error(n, group) for n in shown)] for name, group in grouped(rows)]),
            "",
        ]
        if notes(rows):
            out += [*notes(rows), ""]
        out += [
            "### Milliseconds",
            "",
            "Context for the ratios, on this machine only. A star marks outputs that are not MXNet's.",
            "",
            *table(
                ["", *(f"{name}, {head}" for head in heads for name in shown)],
                [
                    [
                        label,
                        *(show_time(name, row) for row in sorted(group, key=lambda r: r["cores"]) for name in shown),
                    ]
                    for label, group in grouped(rows)
                ],
            ),
            "",
        ]
    if starts:
        names = list(starts[0]["seconds"])
        out += [
            "### First answer",
            "",
            "ResNet-50 at batch 1 in a new process, from its start to its first answer, imports included, in seconds.",
            "",
            *table(
                ["", *(f"{heading(start['cores'])}" for start in starts)],
                [[n, *(f"{s['seconds'][n]:.2f}" if n in s["seconds"] else "-" for s in starts)] for n in names],
            ),
            "",
        ]
    return "\n".join(out)
