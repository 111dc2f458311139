"""Mutations: of bytes, of the numbers of a `.params` file, and of the members, items and values of a JSON text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random

from symjit.ops import registry
from tests.fuzz.corpus import Start

__all__ = ["Edit", "edits", "mutated_bytes", "mutated_json"]

_BOUNDARIES = (
    0,
    1,
    2,
    3,
    31,
    32,
    33,
    255,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**34,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
_MAGICS = (0xF993FAC8, 0xF993FAC9, 0xF993FACA, 0x112)

Edit = tuple[int, bytes]
"""Bytes to be written over those at an offset."""


def edits(random: Random, start: Start) -> list[Edit]:
    """Return changes that leave the length as it is, most of them at numbers that the reader looks at."""
    made = []
    size = len(start.data)
    for _ in range(random.choice((1, 1, 1, 1, 2, 5))):
        at, width = (
            random.choice(start.fields) if start.fields and random.random() < 0.8 else (random.randrange(size), 0)
        )
        kind = random.randrange(4) if width else random.randrange(2, 6)
        if kind == 0:
            value = random.choice(_BOUNDARIES)
        elif kind == 1:
            value = random.choice(_MAGICS) if random.random() < 0.3 else random.randrange(64)
        else:
            value = -1
        if value >= 0:
            made.append((at, (value % 2 ** (8 * width)).to_bytes(width, "little")))
        elif kind == 2:  # one more, one less
            width = width or 4
            old = int.from_bytes(start.data[at : at + width], "little")
            made.append((at, ((old + random.choice((-1, 1))) % 2 ** (8 * width)).to_bytes(width, "little")))
        elif kind == 3:
            made.append((at, bytes([start.data[at] ^ 1 << random.randrange(8)])))
        elif kind == 4:
            made.append((at, bytes([random.randrange(256)])))
        else:
            made.append((at, random.randbytes(random.randrange(1, 16))))
    return [(at, put[: size - at]) for at, put in made]


def mutated_bytes(random: Random, start: Start, others: Sequence[Start]) -> bytes:
    """Return a changed copy whose length may differ."""
    data = bytearray(start.data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        size = len(data)
        at, end = _range(random, size)
        kind = random.randrange(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = random.randbytes(random.randrange(1, 24))
        elif kind == 3:
            data[at:at] = data[at:end] * random.choice((1, 1, 2, 5))
        elif kind == 4:
            other = random.choice(others).data
            begin, stop = _range(random, len(other))
            data[at:end] = other[begin:stop]
        elif kind == 5:
            other = random.choice(others).data
            data[at:] = other[min(at, len(other)) :]
        elif kind == 6:
            width = random.choice((4, 8))
            data[at : at + width] = (random.choice(_BOUNDARIES) % 2 ** (8 * width)).to_bytes(width, "little")
        elif size:
            for offset, put in edits(random, start):
                data[offset : offset + len(put)] = put
    return bytes(data)


def _range(random: Random, size: int) -> tuple[int, int]:
    at = random.randrange(size + 1)
    return at, min(size, at + random.choice((1, 4, 8, 24, 100, 1000)))


# JSON -----------------------------------------------------------------------------------------------------------------

_NUMBERS = [
    str(value) for value in (-1, *_BOUNDARIES, -(2**63))
] + "0.0 1.5 1e9 1e999 -0 NaN Infinity null true []".split()
_TEXTS = [
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "2",
        "3L",
        "1e9",
        "1e-5",
        "inf",
        "nan",
        "None",
        "True",
        "false",
        "x",
        "null",
        "max",
        "NCHW",
    ),
    *("2147483647", "2147483648", "4294967296", "9999999999999999999", "-9223372036854775808", "1000000000"),
    *(
        "()",
        "(1,)",
        "(2, 2)",
        "[2,2]",
        "(0, -1)",
        "(2L, 2L)",
        "(None, 1)",
        "((1,),)",
        "(",
        "(1",
        "1,2,3",
        "(1e9,)",
        ",,,",
    ),
    *(
        "float16",
        "float32",
        "int64",
        "12",
        "-1",
        "O",
        "(9999999,)f4",
        "f4,f4",
        "relu",
        "avg",
        "same",
        "full",
        "add",
        "write",
    ),
    *("\u4e2d", "\U0001f600", "\x07", "\u0130", "a" * 200, "1," * 400, "(" * 300, "9" * 400, "x" * 5000),
]
_STRINGS = [json.dumps(text) for text in _TEXTS] + ['"\\ud800"', '"\\u0000"', '"\x01"', '"\\q"', "'a'"]
_NAMES = (
    "op name inputs attrs attr param control_deps subgraphs backward_source_id nodes arg_nodes node_row_ptr heads"
    " mxnet_version num_args num_outputs num_hidden kernel axis shape dtype lr_mult weight_lr_mult __lr_mult__"
).split()
_OPERATORS = [*sorted(registry.names()), "null", "null", "_Native", "_NDArray", "_CustomFunction", "Custom", "NoSuch"]


def _fragment(random: Random) -> bytes:
    """Return text to put where a value stands."""
    kind = random.randrange(10)
    if kind < 3:
        return random.choice(_NUMBERS).encode()
    if kind < 6:
        return random.choice(_STRINGS).encode("utf-8", "surrogatepass")
    if kind == 6:
        return json.dumps(random.choice(_OPERATORS)).encode()
    if kind == 7:
        return json.dumps(random.choice(_NAMES)).encode()
    if kind == 8:
        depth = random.choice((3, 40, 400, 600, 3000))
        return random.choice((b"[" * depth + b"]" * depth, b'{"nodes":' * depth + b"0" + b"}" * depth, b"[" * depth))
    return b"[" + b",".join([random.choice((b"0", b"[0,0]", b"[0,0,0]", b"{}", b"[1,0]", b'"a"'))] * 30) + b"]"


def mutated_json(random: Random, start: Start, others: Sequence[Start]) -> bytes:
    """Return a text with members, items and values changed, or one that is damaged as bytes."""
    if random.random() < 0.1:
        return mutated_bytes(random, start, others)
    changes: list[tuple[int, int, bytes]] = []
    for _ in range(random.choice((1, 1, 1, 1, 2, 5))):
        changes.extend(random.choice(_CHANGES)(random, start, others))
    data = bytearray(start.data)
    for begin, end, put in sorted(changes, reverse=True):
        data[begin:end] = put
    return bytes(data)


Change = Callable[[Random, Start, Sequence[Start]], list[tuple[int, int, bytes]]]


def _replace_number(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    if not start.spans.numbers:
        return []
    begin, end = random.choice(start.spans.numbers)
    old = start.data[begin:end]
    if old.isdigit() and random.random() < 0.4:
        return [(begin, end, str(int(old) + random.choice((-2, -1, 1, 2))).encode())]
    return [(begin, end, random.choice(_NUMBERS).encode())]


def _replace_string(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    begin, end = random.choice(start.spans.strings)
    kind = random.randrange(4)
    if kind == 0:
        other = random.choice(others)
        a, b = random.choice(other.spans.strings)
        return [(begin, end, other.data[a:b])]
    if kind == 1:
        return [(begin, end, json.dumps(random.choice(_OPERATORS if random.random() < 0.5 else _NAMES)).encode())]
    return [(begin, end, random.choice(_STRINGS).encode("utf-8", "surrogatepass"))]


def _replace_attribute(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    if not start.spans.attributes:
        return []
    begin, end = random.choice(start.spans.attributes)
    return [(begin, end, random.choice(_STRINGS).encode("utf-8", "surrogatepass"))]


def _replace_operator(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    begin, end = random.choice(start.spans.operators)
    return [(begin, end, json.dumps(random.choice(_OPERATORS)).encode())]


def _replace_value(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    begin, end = random.choice(start.spans.items)
    if random.random() < 0.5:
        other = random.choice(others)
        a, b = random.choice(other.spans.items)
        return [(begin, end, other.data[a:b])] if b - a < 20_000 else []
    return [(begin, end, _fragment(random))]


def _replace_member(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    begin, end = random.choice(start.spans.members)
    colon = start.data.index(b":", begin, end)
    return [(colon + 1, end, _fragment(random))]


def _remove(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    begin, end = random.choice(random.choice((start.spans.members, start.spans.items)))
    while end < len(start.data) and start.data[end] in b" \n\r\t,":
        end += 1
    return [(begin, end, b"")]


def _repeat(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    begin, end = random.choice(random.choice((start.spans.members, start.spans.items)))
    times = random.choice((1, 1, 2, 30 if end - begin < 300 else 1))
    return [(begin, begin, (start.data[begin:end] + b", ") * times)]


def _swap(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    places = random.choice((start.spans.members, start.spans.items, start.spans.strings))
    (a, b), (c, d) = sorted((random.choice(places), random.choice(places)))
    return [(a, b, start.data[c:d]), (c, d, start.data[a:b])] if b <= c else []


def _insert_member(random: Random, start: Start, others: Sequence[Start]) -> list[tuple[int, int, bytes]]:
    begin, _ = random.choice(start.spans.members)
    if random.random() < 0.5:
        other = random.choice(others)
        a, b = random.choice(other.spans.members)
        return [(begin, begin, other.data[a:b] + b", ")] if b - a < 20_000 else []
    return [(begin, begin, json.dumps(random.choice(_NAMES)).encode() + b": " + _fragment(random) + b", ")]


_CHANGES: tuple[Change, ...] = (
    *(_replace_number, _replace_number, _replace_string, _replace_string, _replace_value, _replace_member),
    *(_replace_attribute, _replace_attribute, _replace_attribute, _replace_operator, _replace_operator),
    *(_remove, _repeat, _swap, _insert_member),
)
