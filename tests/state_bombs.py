"""Small files of optimizer states that try to take much memory or time: ``python -m tests.state_bombs [NAME ...]``.

Prints as JSON, for each, how it was answered and in how many seconds. Each runs under a limit of 64 MiB of memory.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Callable

import numpy as np

from symjit import ndarray as nd
from symjit.base import MXNetError
from symjit.ndarray.serialize import dump_array, dumps
from symjit.optimizer.states import dump_states, load_states
from symjit.optimizer.unpickle import MOST_OPCODES
from tests.fuzz.limits import bounded_memory
from tests.packed_params import csr

__all__ = ["BOMBS"]

NDARRAY = b"cmxnet.ndarray.ndarray\nNDArray\n"
SGD = b"cmxnet.optimizer\nSGD\n"
MANY = MOST_OPCODES - 10
LARGE = dump_array(np.zeros(1 << 18, np.float32))


def pickled(handle: bytes) -> bytes:
    return NDARRAY + b"N\x85R}\x8c\6handleB" + struct.pack("<I", len(handle)) + handle + b"sb"


def row_sparse_bomb() -> bytes:
    """A csr array of one value that is 800 MB when it is dense."""
    return csr((10_000, 20_000), [0] + [1] * 10_000, [3], [1.0], 1)


def named(*names: str, header: bytes = b"null") -> bytes:
    """Return named arrays of one zero each."""
    items = [np.frombuffer(header, np.uint8), *[np.zeros(1, np.uint8)] * len(names)]
    return dumps(items, ["symjit-optimizer-states:1", *names])


def laughs(levels: int) -> bytes:
    """Return a list that holds a list ten times, which holds a list ten times, and so on."""
    lists = b"".join(b"](" + bytes([104, level]) * 10 + b"eq" + bytes([level + 1]) for level in range(levels))
    return b"}K\0(]q\0" + lists + b"ls."


BOMBS: dict[str, Callable[[], bytes]] = {
    "lists": lambda: b"]" * MANY,
    "lists in a list": lambda: b"}K\0](" + b"]" * MANY + b"es.",
    "dicts": lambda: b"}" * MANY,
    "dicts in a list": lambda: b"}K\0](" + b"}" * MANY + b"es.",
    "marks": lambda: b"(" * MANY,
    "memo": lambda: b"N" + b"\x94" * MANY,
    "lists in the memo": lambda: b"]\x94" * (MANY // 2),
    "nested lists": lambda: b"]" * (MANY // 2) + b"a" * (MANY // 2 - 1) + b".",
    "nested tuples": lambda: b"N" + b"\x85" * MANY + b".",
    "short bytes": lambda: b"C\2ab" * MANY,
    "short texts": lambda: b"\x8c\2\xc3\xa9" * MANY,
    "views": lambda: (b"B\1\4\0\0" + b"a" * 1025) * 10_000,
    "texts of one great character": lambda: (b"X\0\x10\0\0" + b"a" * 4092 + "😀".encode()) * 3000,
    "one long text": lambda: b"}K\0X" + struct.pack("<I", 1 << 24) + b"a" * (1 << 24) + b"s.",
    "floats": lambda: b"G12345678" * MANY,
    "numbers": lambda: b"J\1\2\3\4" * MANY,
    "long numbers": lambda: b"\x8a\x10" + b"\1" * 16 + (b"\x8a\x10" + b"\1" * 16) * MANY,
    "objects": lambda: SGD + b"q\0" + b"h\0)\x81" * (MANY // 3),
    "arrays that are empty": lambda: NDARRAY + b"q\0N\x85q\1" + b"h\0h\1R" * (MANY // 3 - 3),
    "the same list over and over": lambda: laughs(20),
    "names of classes": lambda: b"".join(b"cmxnet.optimizer\nA%d\n" % n for n in range(300_000)),
    "texts": lambda: b"".join(b"\x8c\x08\xf0\x9f\x98\x80%04d" % (n % 10_000) for n in range(MANY)),
    "too many instructions": lambda: b"N" * (2 * MANY),
    "the same array over and over": lambda: (
        b"}(K\0"
        + NDARRAY
        + b"q\0N\x85q\1R}\x8c\6handleB"
        + struct.pack("<I", len(LARGE))
        + LARGE
        + b"q\2sb"
        + b"".join(b"M" + struct.pack("<H", n) + b"h\0h\1R}\x8c\6handleh\2sb" for n in range(1, 3000))
        + b"u."
    ),
    "the same text over and over": lambda: (
        b"cbuiltins\nbytearray\nq\0X"
        + struct.pack("<I", 1 << 20)
        + b"a" * (1 << 20)
        + b"X\7\0\0\0latin-1\x86q\1"
        + b"h\0h\1R" * 3000
    ),
    "a sparse array": lambda: b"}K\0" + pickled(row_sparse_bomb()) + b"s.",
    "the same dict over and over": lambda: (
        b"}q\0("
        + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(20_000))
        + b"uccollections\nOrderedDict\nq\1h\0\x85q\2"
        + b"h\1h\2R" * 50_000
    ),
    "keys that collide": lambda: (
        b"}("
        + b"".join(b"\x8a\x10" + (n * (2**61 - 1)).to_bytes(16, "little") + b"N" for n in range(1, 100_000))
        + b"u."
    ),
    "JSON": lambda: named(header=b"[" + b"[],{}," * 174_000 + b"[]]"),
    "names": lambda: named(*(f"{'list1.0/' * 8}none:int:{n}" for n in range((1 << 15) - 2))),
}


def answer(data: bytes) -> str:
    """Return how a file is answered: read, the error, or that memory ran out."""
    try:
        with bounded_memory(0):
            load_states(data)
    except MXNetError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return "memory"
            cause = cause.__cause__ or cause.__context__
        return str(error)
    except MemoryError:
        return "memory"
    return "read"


def main() -> None:
    """Run the command line."""
    load_states(dump_states({0: nd.ones(3)}))  # what is imported and started once has been
    report = {}
    for name in sys.argv[1:] or BOMBS:
        data = BOMBS[name]()
        began = time.process_time()
        found = answer(data)
        report[name] = [found, time.process_time() - began]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
