"""What the benchmarks' reports share: tables in Markdown, and a page where each of them has a section."""

from __future__ import annotations

import math
import pathlib
import platform
import re


def heading(cores: int) -> str:
    """Return a number of cores in words."""
    return f"{cores} core{'s' * (cores > 1)}"


def geometric_mean(values: list[float]) -> float:
    """Return the geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def processor() -> str:
    """Return the model of the processor."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(text.split(":", 1)[1].strip() for text in file if text.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(head: list[str], body: list[list[str]]) -> list[str]:
    """Return a table in Markdown; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *body)]


def write_section(path: str, text: str) -> None:
    """Write a section, which begins with ``## Title``, to a page in place of what stands there under this title.

    Args:
        path: the page; it is made if it is not there.
        text: the section, whose own headings are of level 3 and further.
    """
    page = pathlib.Path(path)
    old = page.read_text() if page.exists() else "# Benchmarks\n"
    title, text = text.split("\n", 1)[0], text.strip() + "\n"
    parts = re.split(r"(?m)^(?=## )", old)
    kept = [text if part.split("\n", 1)[0] == title else part.strip() + "\n" for part in parts]
    if text not in kept:
        kept.append(text)
    page.write_text("\n".join(kept))
