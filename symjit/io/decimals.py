"""Decimal numbers in text, those of a whole block at once; NumPy's own reader takes them one by one, more slowly."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["decimals"]

_DOT, _E = ord("."), ord("e")
_POWERS = np.array([float(f"1e{i}") for i in range(309)])
_LONGEST = 24  # digits in a row
# Of eight digits the last n: they have the higher places in memory.
_LAST = np.array([0x0F0F0F0F0F0F0F0F >> (64 - 8 * n) << (64 - 8 * n) for n in range(9)], np.uint64)
# Neighbours become one number, the left one times 10; then neighbours among these, times 100; and once more.
_JOIN = [
    tuple(np.uint64(x) for x in step)
    for step in (
        (10 << 8 | 1, 8, 0x00FF00FF00FF00FF),
        (100 << 16 | 1, 16, 0x0000FFFF0000FFFF),
        (10_000 << 32 | 1, 32, 0xFFFFFFFF),
    )
]


def decimals(text: bytes, separators: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the numbers in a text.

    Args:
        text: numbers with one separator after each, after the last one, too.
        separators: characters that separate, and are not in numbers.

    Returns:
        The numbers, float64 of shape (n,), and the separators, uint8 of shape (n,). Integers below 2**53 are exact;
        other numbers may be a few units in the last place off, but rounded to float32 they are what those of ``float``
        are. None if there is anything but plain decimal numbers, be it a blank, or one is very long, large or small.
    """
    if not text or text[-1] not in separators or text.translate(None, b"0123456789+-.eE" + separators):
        return None
    characters = np.frombuffer(text, np.uint8)
    # A number is cut in parts: before the point, after it, and the exponent.
    ends = np.flatnonzero(np.frombuffer(text.translate(_cuts(separators)), np.bool_))
    kinds = characters.take(ends)
    starts = np.concatenate([[0], ends[:-1] + 1])
    negative = np.zeros(len(ends), bool)
    if signs := text.count(b"-") + text.count(b"+"):
        in_front = characters.take(starts)
        negative = in_front == ord("-")
        signed = negative | (in_front == ord("+"))
        signed[1:] &= kinds[:-1] != _DOT
        if np.count_nonzero(signed) != signs:
            return None
        starts += signed
    lengths = ends - starts
    parts = _integers(text, ends, lengths)
    if parts is None:
        return None
    last = np.flatnonzero((kinds != _DOT) & (kinds | 0x20 != _E))
    if len(last) < len(ends):
        return _joined(text, kinds, starts, ends, negative, parts, last)
    if not lengths.all():
        return None
    return np.where(negative, -parts, parts), kinds


@cache
def _cuts(separators: bytes) -> bytes:
    """Return a table of which characters end a part of a number."""
    return bytes(c in separators + b".eE" for c in range(256))


def _integers(text: bytes, ends: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    """Return what the digits before every end say, float64; None if there are too many of them."""
    longest = int(lengths.max())
    if longest > _LONGEST:
        return None
    # Eight characters at every place, as one number each; the first ends have as many before them as any other.
    padded = bytes(_LONGEST) + text
    words = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
    found = _eight(words[ends + (_LONGEST - 8)], lengths).astype(np.float64)
    for done in range(8, longest, 8):
        more = np.flatnonzero(lengths > done)
        digits = words[ends[more] + (_LONGEST - 8 - done)]
        found[more] += _eight(digits, lengths[more] - done) * _POWERS[done]
    return found


def _eight(digits: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the values of up to eight digits, the last ones of eight characters each; uint64."""
    digits = digits & _LAST.take(lengths, mode="clip")
    for factor, shift, mask in _JOIN:
        digits *= factor
        digits >>= shift
        digits &= mask
    return digits


def _joined(
    text: bytes,
    kinds: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    negative: np.ndarray,
    parts: np.ndarray,
    last: np.ndarray,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Put the parts of numbers together; `last` says which part is the last of each."""
    first = np.concatenate([[0], last[:-1] + 1])
    fraction = kinds.take(first) == _DOT
    exponent = (kinds.take(last - 1) | 0x20 == _E) & (first < last)
    if (last - first != fraction + exponent.astype(int)).any():
        return None  # two points, or a point in an exponent
    lengths = ends - starts
    behind = lengths.take(first + fraction) * fraction
    if not (lengths.take(first) + behind).all() or not lengths.take(last)[exponent].all():
        return None
    mantissa = parts.take(first) * _POWERS.take(behind) + parts.take(first + fraction) * fraction
    scale = -behind
    if exponent.any():
        power = np.where(exponent, parts.take(last), 0).clip(max=999).astype(int)
        scale += np.where(negative.take(last), -power, power)
    if np.abs(scale).max() >= len(_POWERS):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        values = mantissa / _POWERS.take(-scale, mode="clip") * _POWERS.take(scale, mode="clip")
        # One rounding of exact numbers, 10**22 being the largest such power, is right. More of them might decide.
        rounded = np.flatnonzero((mantissa >= 2**53) | (np.abs(scale) > 22))
        near = values[rounded]
        low, high = ((near * (1 + x)).astype(np.float32) for x in (-(2.0**-49), 2.0**-49))
    for i in rounded[low != high]:
        values[i] = float(text[starts[first[i]] : ends[last[i]]])
    return np.where(negative.take(first), -values, values), kinds.take(last)
