"""Text files as blocks of whole lines, and the rows in them as a stream that starts over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np

from symjit.base import MXNetError, shown
from symjit.files import recognized, unreadable

__all__ = ["Block", "Lines", "RowStream", "Unparsed", "files_of", "text_blocks"]

_BLOCK = 1 << 18  # what is made of a block stays in a processor's cache
# How much of parsed rows stays in memory from one epoch to the next; longer files are read anew, as MXNet does.
_KEPT = 1 << 30
_MARK = b"\xef\xbb\xbf"  # some editors put it in front of UTF-8


@dataclass(frozen=True)
class Lines:
    """Whole lines of a text file.

    Attributes:
        path: the file.
        first: number of the first line, counted from 1.
        text: the lines, each but perhaps the last ended by a line feed.
    """

    path: str
    first: int
    text: bytes


class Unparsed(Exception):
    """A line is not what the reader expects; `number` counts from the first line of its block, which is 0."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number


class Block(Protocol):
    """Parsed rows that know how to write themselves to the arrays of a batch."""

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        ...

    def __len__(self) -> int: ...

    def write(self, outs: Sequence[np.ndarray], at: int, start: int, stop: int) -> None:
        """Write rows `start` to `stop` to ``out[at:]`` of every array."""
        ...


def files_of(paths: str) -> list[str]:
    """Return the files that a parameter names: a file, a folder (its files by name), or several of both between ``;``.

    Raises:
        MXNetError: there is no such file, or no file at all.
    """
    found: list[str] = []
    for path in filter(None, paths.split(";")):
        try:
            if os.path.isdir(path):
                inside = (os.path.join(path, name) for name in sorted(os.listdir(path)))
                found += [name for name in inside if os.path.isfile(name)]
            else:
                with open(path, "rb"):
                    found.append(path)
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error
    if not found:
        raise MXNetError(f"{shown(paths)}: expected a file or a folder with files, found none")
    return found


def text_blocks(path: str, longest: int, begin: int = 0, end: int | None = None) -> Iterator[Lines]:
    """Read a text file in blocks of whole lines, which a carriage return ends, too.

    Args:
        path: the file.
        longest: how many bytes a line may have.
        begin: where to start: with the first line that begins after this byte, or with the first line of all if 0.
        end: where to stop: after the line that holds this byte; the end of the file if None.

    Raises:
        MXNetError: the file can not be read, is no text, or has a line that is too long.
    """
    rest = b""
    try:
        with open(path, "rb") as handle:
            head = handle.read(512)
            if b"\0" in head or head.startswith(b"\x1f\x8b"):
                what, advice = recognized(head) or ("binary data", "Check the path.")
                raise MXNetError(f"{path}: expected lines of text, found {what}. {advice}")
            if end is not None:
                handle.seek(end)
                end += _rest_of_line(handle, path, longest)
            number = 1 + _line_feeds(path, begin)
            at = len(_MARK) if head.startswith(_MARK) else 0
            if begin:
                handle.seek(begin)
                at = begin + _rest_of_line(handle, path, longest)
                number += 1
            handle.seek(at)
            while end is None or at < end:
                size = max(_BLOCK, len(rest))  # a long line in few pieces
                read = handle.read(size if end is None else min(size, end - at))
                if not read:
                    break
                at += len(read)
                text = rest + read
                if b"\r" in text:
                    # Its line feed may follow in the next block.
                    held = text.endswith(b"\r")
                    text = text[: len(text) - held].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + b"\r" * held
                cut = text.rfind(b"\n") + 1
                text, rest = text[:cut], text[cut:]
                if text:
                    yield Lines(path, number, text)
                    number += text.count(b"\n")
                if len(rest) > longest:
                    problem = f"it is longer than {longest} bytes; expected one example"
                    raise MXNetError(f"{path}, line {number}: {problem}")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if rest:
        yield Lines(path, number, rest.rstrip(b"\r"))


def _rest_of_line(handle: BinaryIO, path: str, longest: int) -> int:
    """Return how many bytes of its line a file has from here on, its line feed included."""
    start = handle.tell()
    while (read := handle.readline(_BLOCK)) and not read.endswith(b"\n"):
        if handle.tell() - start > longest:
            problem = f"the line is longer than {longest} bytes; expected one example"
            raise MXNetError(f"{path}, offset {start}: {problem}")
    return handle.tell() - start


def _line_feeds(path: str, size: int) -> int:
    """Return how many lines end in the first `size` bytes of a file."""
    count = 0
    with open(path, "rb") as handle:
        while size > 0 and (read := handle.read(min(_BLOCK, size))):
            count += read.count(b"\n")
            size -= len(read)
    return count


class RowStream:
    """The rows of text files in turn. They are parsed block by block, and kept while they are not too many.

    Args:
        lines: starts reading, and gives blocks of lines.
        parse: makes rows of a block; raises Unparsed.
    """

    def __init__(self, lines: Callable[[], Iterator[Lines]], parse: Callable[[bytes], Block]) -> None:
        self._lines = lines
        self._parse = parse
        self._kept: list[Block] = []
        self._complete = False  # all rows are in `_kept`
        self.rewind()

    def rewind(self) -> None:
        """Start over at the first row."""
        self._blocks = iter(self._kept) if self._complete else self._read()
        self._block: Block | None = None
        self._at = 0
        self._error: MXNetError | None = None

    def take(self, outs: Sequence[np.ndarray], at: int, count: int) -> int:
        """Write the next rows to ``out[at:]`` of every array; return how many there were, at most `count`.

        Raises:
            MXNetError: a line is not what the format has.
        """
        taken = 0
        while taken < count:
            if self._block is None or self._at == len(self._block):
                self._block, self._at = self._next(), 0
                if self._block is None:
                    break
                continue
            stop = min(len(self._block), self._at + count - taken)
            self._block.write(outs, at + taken, self._at, stop)
            taken += stop - self._at
            self._at = stop
        return taken

    def _next(self) -> Block | None:
        """Return the next block, None at the end. What is wrong stays wrong until `rewind`: it is not the end."""
        if self._error is not None:
            raise self._error
        try:
            return next(self._blocks, None)
        except MXNetError as error:
            self._error = error
            raise

    def _read(self) -> Iterator[Block]:
        kept: list[Block] = []
        size = 0
        for lines in self._lines():
            try:
                block = self._parse(lines.text)
            except Unparsed as error:
                raise MXNetError(f"{lines.path}, line {lines.first + error.number}: {error}") from None
            size += block.nbytes
            if size <= _KEPT:
                kept.append(block)
            else:
                kept.clear()
            yield block
        if size <= _KEPT:
            self._kept, self._complete = kept, True
