"""The files that are mutated: those in the repository, and those of ../shared/checkpoints when they are there."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symjit.ndarray.serialize import ParamsWarning, _Reader
from tests.packed_params import SMALL

__all__ = ["CHECKPOINTS", "Spans", "Start", "json_starts", "params_starts"]

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
CHECKPOINTS = ROOT.parent / "shared" / "checkpoints"


@dataclass(frozen=True)
class Spans:
    """Places in a JSON text: (start, end) of members, items of arrays, strings, and numbers.

    `attributes` are the values of the attributes of nodes, `operators` those of ``"op"``.
    """

    members: list[tuple[int, int]] = field(default_factory=list)
    items: list[tuple[int, int]] = field(default_factory=list)
    strings: list[tuple[int, int]] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)
    attributes: list[tuple[int, int]] = field(default_factory=list)
    operators: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Start:
    """A file to mutate.

    Attributes:
        name: its path, from the folder that the corpus lies in.
        data: its content.
        weight: how often it is chosen; large files take long and hold nothing but more of the same.
        fields: offsets and widths of the numbers that a `.params` reader looks at.
        spans: places in a JSON text.
    """

    name: str
    data: bytes
    weight: float
    fields: list[tuple[int, int]] = field(default_factory=list)
    spans: Spans = field(default_factory=Spans)


class _Recorder(_Reader):
    """A reader that notes where it reads numbers."""

    def __init__(self, buffer: bytes) -> None:
        super().__init__(buffer, "<corpus>")
        self.fields: list[tuple[int, int]] = []

    def unpack(self, layout: str, what: str) -> tuple[int, ...]:
        start = self.offset
        for code in re.findall(r"(\d*)([iIqQ])", layout):
            width = 4 if code[1] in "iI" else 8
            for _ in range(int(code[0] or 1)):
                self.fields.append((start, width))
                start += width
        return super().unpack(layout, what)

    def warn(self, message: str) -> None:
        raise ParamsWarning(message)


def _numbers(data: bytes) -> list[tuple[int, int]]:
    recorder = _Recorder(data)
    try:
        recorder.read_list()
    except (RuntimeError, ParamsWarning):
        assert recorder.fields, "a file of the corpus that is no array list at all"
    return [(at, width) for at, width in recorder.fields if at + width <= len(data)]


def params_starts() -> list[Start]:
    """Return the `.params` files of the corpus."""
    found = {"packed/small": SMALL, "packed/empty": struct.pack("<4Q", 0x112, 0, 0, 0)}
    paths = sorted((GOLDEN / "params").glob("*.params")) + sorted((GOLDEN / "networks").glob("*.params"))
    paths += sorted(CHECKPOINTS.glob("*/*.params")) + sorted(CHECKPOINTS.glob("*/*.v0"))
    for path in paths:
        found[f"{path.parent.name}/{path.name}"] = path.read_bytes()
    return [Start(name, data, _weight(len(data), 4096), fields=_numbers(data)) for name, data in found.items()]


def json_starts() -> list[Start]:
    """Return the Symbol JSON files of the corpus."""
    paths = [path for part in ("json", "networks", "legacy") for path in sorted((GOLDEN / part).glob("*.json"))]
    paths += sorted(CHECKPOINTS.glob("*/*.json"))
    starts = []
    for path in paths:
        data = path.read_bytes()
        if b'"arg_nodes"' in data[: 1 << 20] and isinstance(json.loads(data), dict):
            name = f"{path.parent.name}/{path.name}"
            starts.append(Start(name, data, _weight(len(data), 2048), spans=spans(data)))
    return starts


def _weight(size: int, usual: int) -> float:
    return min(1.0, usual / max(1, size)) + 0.02


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


def spans(data: bytes) -> Spans:
    """Find the places of a valid JSON text."""
    found = Spans()
    opened: list[list[Any]] = []  # per bracket: itself, where its present member starts, that member's key, its own key
    last = (0, 0)
    for match in _TOKEN.finditer(data):
        token, start, end = match[0], match.start(), match.end()
        if token in b"]}," and opened:
            bracket, begin, key, own = opened[-1]
            if last[1] > begin >= 0:
                (found.members if bracket == b"{" else found.items).append((begin, last[1]))
                if own in (b'"attrs"', b'"attr"', b'"param"') and len(opened) > 3 and data[last[0]] in b'"':
                    found.attributes.append(last)
                elif key == b'"op"':
                    found.operators.append(last)
            if token == b",":
                opened[-1][1:3] = -1, b""
            else:
                opened.pop()
        elif token == b":" and opened:
            opened[-1][2] = data[slice(*last)]
        else:
            if opened and opened[-1][1] < 0:
                opened[-1][1] = start
            if token in b"[{":
                opened.append([token, -1, b"", opened[-1][2] if opened else b""])
            elif token[:1] == b'"':
                found.strings.append((start, end))
            else:
                found.numbers.append((start, end))
        last = (start, end)
    return found
