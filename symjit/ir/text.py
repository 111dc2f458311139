"""The text of a Symbol JSON file: what it is, and what reading it would cost, before it is read.

``json.loads`` makes up to forty bytes of memory out of one byte of text, and a file may come from a stranger. So the
text is surveyed first: a count of its brackets, quotes and commas bounds the objects that it can become, and what would
take more than `config.JSON_MEMORY` is refused. The survey is linear, takes constant memory, and is a small part of the
time that reading takes.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symjit import config
from symjit.base import MXNetError, shown
from symjit.files import recognized, unreadable

__all__ = ["Survey", "parse", "read_file", "survey"]

_AGAIN = "the file is damaged or was edited: copy or download it again"

# The keys of a node as files have them.
_KEYS = ('"op":', '"name":', '"inputs":', '"attrs":', '"attr":', '"param":', '"backward_source_id":')

# By character: what a bracket adds to the depth, and whether it belongs to a number or a constant.
_STEPS = np.array([(chr(i) in "[{") - (chr(i) in "]}") for i in range(256)], np.int8)
_NUMBER = np.array([chr(i) not in '[]{},:" \t\r\n' for i in range(256)])

# Brackets of a graph in subgraphs 32 deep are nested 132 deep.
_DEEPEST = 500
_CHUNK = 1 << 16

# What does not grow with the text: the survey itself, one attribute of many items, variables that old files leave out.
_CONSTANT = 8 << 20


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a Symbol JSON file, unless it is longer than any that `parse` admits.

    Raises:
        MXNetError: the file can not be read, or is too long.
    """
    most = config.JSON_MEMORY.get() << 20
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read((min(most, status.st_size) if stat.S_ISREG(status.st_mode) else most) + 1)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if len(content) > most:
        raise _too_much(os.fspath(path), f"has more than {most} bytes")
    return content


def parse(text: str | bytes, source: str) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the content of a file.
        source: what error messages call it.

    Raises:
        MXNetError: the text is something else than JSON, or reading it would take too much memory.
    """
    head = text[:512].encode("utf-8", "replace") if isinstance(text, str) else bytes(text[:512])
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start and not text.strip():
        raise MXNetError(f"{source}: expected Symbol JSON, but the file is empty: copy or download it again")
    foreign = None if start.startswith(b"{") else recognized(head)
    if foreign:
        raise MXNetError(f"{source}: expected Symbol JSON, but this is {foreign[0]}. {foreign[1]}")
    found = survey(text)
    most = config.JSON_MEMORY.get() << 20
    if found.memory > most:
        raise _too_much(source, f"may take {found.memory} bytes of memory: {found}")
    if found.depth > _DEEPEST:
        raise MXNetError(f"{source}: not Symbol JSON: brackets are nested too deeply, {found.depth} deep; {_AGAIN}")
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MXNetError(
            f"{source}: expected Symbol JSON, but byte {error.start} is not UTF-8 text: {_AGAIN}"
        ) from None
    try:
        return json.loads(decoded.removeprefix("\ufeff"), strict=False)  # MXNet writes control characters as they are
    except RecursionError:  # called from deep inside other calls
        raise MXNetError(f"{source}: not Symbol JSON: brackets are nested too deeply; {_AGAIN}") from None
    except json.JSONDecodeError as error:
        if not start.startswith(b"{"):
            found = shown(decoded[:40])
            raise MXNetError(
                f"{source}: expected Symbol JSON, but the file starts with {found}:"
                " give a -symbol.json file (mx.sym.load takes its path, mx.sym.load_json its text)"
            ) from None
        cut = not decoded[error.pos :].strip() or error.msg.startswith("Unterminated string")
        hint = "the file ends too early, perhaps the download was cut off: fetch it again" if cut else _AGAIN
        raise MXNetError(f"{source}: not valid JSON: {error}; {hint}") from None
    except ValueError as error:  # a number of thousands of digits
        raise MXNetError(f"{source}: not valid JSON: {error}; {_AGAIN}") from None


def _too_much(source: str, problem: str) -> MXNetError:
    setting = config.JSON_MEMORY
    return MXNetError(
        f"{source}: reading it {problem}. At most {setting.get()} MiB are spent on the graph of a file;"
        f" if you trust this one, raise the environment variable {setting.name}"
    )


@dataclass
class Survey:
    """What a text holds outside its strings, and how it is spelled.

    Attributes:
        size: its length in bytes of UTF-8.
        width: bytes that its widest character takes in a Python string: 1, 2 or 4; 0 if all are ASCII.
        escapes: whether there are backslashes.
        unicode: whether characters are written by their numbers, with a backslash and ``u``.
        depth: how deep brackets are nested.
        known: how many of the keys are a graph's own; `json` makes one string of equal keys.
        nodes: how many objects can be nodes.
        graphs: how many can be subgraphs.
        numbers: numbers and constants of two characters and more; Python has the others ready.
        counts: how often each character stands outside strings; of a string its last quote counts.
    """

    size: int = 0
    width: int = 0
    escapes: bool = False
    unicode: bool = False
    depth: int = 0
    known: int = 0
    nodes: int = 0
    graphs: int = 0
    numbers: int = 0
    counts: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(256, np.int64))

    def count(self, character: str) -> int:
        """Return how often a character stands outside strings."""
        return int(self.counts[ord(character)])

    @property
    def memory(self) -> int:
        """An upper bound of the memory that the graph takes, in bytes, and of all that is made on the way to it.

        The terms are what CPython 3.11 spends, whatever the text is (tests/test_json_limits.py measures it).
        """
        objects, arrays, strings, commas, keys = (self.count(character) for character in '{[",:')
        # An array in a node's inputs or in the heads becomes a link, then an entry. Of every node one array is not.
        links = max(0, arrays - self.nodes)
        return (
            _CONSTANT
            + self.size * self._text_factor()
            + 193 * objects
            + 200 * (self.nodes + self.graphs)
            + 105 * arrays
            + 180 * links
            + 15 * commas
            + (64 + 8 * self.width) * max(0, strings - self.known)
            + 110 * max(0, keys - self.known)
            + 32 * self.numbers
        )

    def _text_factor(self) -> int:
        """Bytes that the decoded text and the strings of it take together, per byte of the file."""
        if self.unicode:  # an escape may make a string four times as wide, while the narrow one is there
            return 8 + self.width
        return {0: 2, 1: 3, 2: 4, 4: 8}[self.width] + int(self.escapes)

    def __str__(self) -> str:
        objects, arrays, strings, commas = (self.count(character) for character in '{[",')
        return f"{self.size} bytes, {objects} objects, {arrays} arrays, {strings} strings, {commas} commas"


def survey(text: str | bytes) -> Survey:
    """Count what a text holds; never fails, whatever the text is."""
    found = Survey()
    level, inside, carry, before = 0, False, b"", False
    for start in range(0, len(text), _CHUNK):
        piece = text[start : start + _CHUNK]
        chunk = carry + (piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece)
        found.size += len(chunk) - len(carry)
        found.escapes = found.escapes or b"\\" in chunk
        chunk = chunk.replace(b"\\\\", b"")
        carry = b"\\" if chunk.endswith(b"\\") else b""
        chunk = chunk[: len(chunk) - len(carry)]
        found.unicode = found.unicode or b"\\u" in chunk
        codes = np.frombuffer(chunk.replace(b'\\"', b""), np.uint8)
        if not len(codes):
            continue
        found.width = max(found.width, _width(int(codes.max())))
        within = np.logical_xor.accumulate(codes == ord('"')) ^ inside
        inside = bool(within[-1])
        bare = codes[~within]
        if not len(bare):
            continue
        found.counts += np.bincount(bare, minlength=256)
        steps = _STEPS[bare]
        levels = np.cumsum(steps, dtype=np.int64)
        found.depth = max(found.depth, level + int(levels.max()))
        level += int(levels[-1])
        number = np.concatenate([[before], _NUMBER[bare]])
        before = bool(number[-1])
        found.numbers += int(np.count_nonzero(number[1:] & number[:-1] & ~np.concatenate([[False], number[:-2]])))
    found.known = sum(_count(text, key) for key in _KEYS)
    if found.unicode:  # names may be spelled with escapes
        found.nodes = found.graphs = found.count("{")
    else:
        found.nodes, found.graphs = _count(text, '"inputs"'), _count(text, '"arg_nodes"')
    return found


def _count(text: str | bytes, word: str) -> int:
    return text.count(word) if isinstance(text, str) else text.count(word.encode())


def _width(largest: int) -> int:
    """Return the bytes per character that Python needs for UTF-8 whose largest byte is this."""
    return 0 if largest < 0x80 else 1 if largest < 0xC4 else 2 if largest < 0xF0 else 4
