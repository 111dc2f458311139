"""Fuzzing of the reader of optimizer states: pickles and named arrays, changed as bytes, instructions, names and JSON.

A seed and a number say what a case is: ``case(seed, number)``. As a program it is a worker of `tests.fuzz.__main__`.
"""

from __future__ import annotations

import pickletools
import struct
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import numpy as np

from symjit import ndarray as nd
from symjit.base import MXNetError
from symjit.ndarray.serialize import dumps, read_arrays
from symjit.optimizer import SGD, get_updater
from symjit.optimizer.states import Record, dump_states, load_states, load_states_file
from symjit.optimizer.unpickle import MOST_DEPTH
from tests.fuzz import checks, worker
from tests.fuzz.checks import LONGEST_MESSAGE, Finding
from tests.fuzz.corpus import GOLDEN, Start, _numbers
from tests.fuzz.mutations import edits, mutated_bytes

__all__ = ["case", "check_states", "states_starts"]

_ZEROS = 24 << 20  # that a file of sparse arrays may add


@dataclass(frozen=True)
class Source:
    """A file to mutate: its bytes, and either the ends of its instructions, or names and arrays."""

    start: Start
    cuts: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    arrays: tuple[Any, ...] = ()


@cache
def states_starts() -> tuple[Source, ...]:
    """Return MXNet's pickles in tests/golden/states, and the same as named arrays."""
    found = []
    for path in sorted((GOLDEN / "states").glob("*.states")):
        data = path.read_bytes()
        cuts = (*(position for _, _, position in pickletools.genops(data) if position is not None), len(data))
        fields = [(at, 4) for at in cuts[:-1] if at + 4 < len(data)]
        found.append(Source(Start(path.stem, data, 1.0, fields=fields), cuts))
        loaded = load_states(data)
        optimizer = None
        if loaded.optimizer is not None:
            optimizer = _object(Record(loaded.optimizer_class or "", loaded.optimizer))
        ours = dump_states(loaded.states, optimizer)
        arrays = read_arrays(ours)
        start = Start(f"{path.stem}, named", ours, 1.0, fields=_numbers(ours))
        found.append(Source(start, names=tuple(arrays.names), arrays=tuple(arrays.arrays)))
    return tuple(found)


def _object(record: Record) -> Any:
    made = type(record.name, (), {})()
    for name, value in (record.attributes or {}).items():
        setattr(made, name, _object(value) if isinstance(value, Record) else value)
    return made


# Cases ----------------------------------------------------------------------------------------------------------------

_PIECES: tuple[bytes, ...] = (
    *(bytes([code]) for code in range(256)),
    *(b"cos\nsystem\n(S'exit 3'\ntR", b"\x8c\2os\x8c\6system\x93\x8c\6exit 3\x85R", b"cbuiltins\neval\n\x8c\1x\x85R"),
    *(b"cmxnet.ndarray.ndarray\nNDArray\n", b"N\x85R", b")\x81", b")R", b"}b", b"Nb", b"cmxnet.optimizer\nSGD\n)\x81"),
    *(b"cbuiltins\nbytearray\n", b"ccollections\nOrderedDict\n)R", b"cnumpy\ndtype\n\x8c\2f8\x85R", b"\x8c\6handle"),
    *(b"cnumpy.core.multiarray\nscalar\n", b"ccopyreg\n_reconstructor\n", b"cbuiltins\nobject\n", b"csymjit\nx\n"),
    *(b"C\4abcd", b"X\4\0\0\0abcd", b"K\1", b"J\xff\xff\xff\xff", b"I01\n", b"Fnan\n", b"L99999999999999999999L\n"),
    *(b"h\0", b"h\1", b"h\2", b"h\5", b"j\0\0\0\x01", b"q\0", b"q\5", b"r\xff\xff\xff\x7f", b"p-1\n", b"g3\n"),
    *(b"(" * 50, b"]" * 50, b"}" * 50, b"t" * 50, b"\x85" * 50, b"\x94" * 200, b"a" * 50, b"](h\0h\0h\0h\0e\x94" * 30),
    *(b"\x8e" + struct.pack("<Q", n) for n in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)),
    *(b"\x96" + struct.pack("<Q", n) for n in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)),
    *(b"\x95" + struct.pack("<Q", n) for n in (0, 3, 2**40)),
    *(b"B\xff\xff\xff\xff", b"T\xff\xff\xff\xff", b"X\xff\xff\xff\xff", b"\x8b\xff\xff\xff\x7f", b"\x8a\xff"),
)
_NAMES = (
    *(
        "array",
        "scalar",
        "none",
        "bool",
        "int",
        "float",
        "tuple0",
        "list0",
        "tuple2.0",
        "tuple2.1",
        "list1.0",
        "tuple3.1",
    ),
    *("tuple999999999.0", "tuple1.1", "array=uint32", "scalar=int16", "array=object", "attribute", "", "x" * 300),
)
_KEYS = ("int:0", "int:-1", "int:7", "str:a", "str:", "int:x", "int:" + "9" * 30, "float:0", "str:\0", "", "int:0/1")
_VALUES = (
    *('{"tuple":[]}', '{"dict":[]}', '{"dict":[[1,2],[1,3]]}', '{"dict":[[[],2]]}', '{"float":"nan"}', '{"float":1}'),
    *(
        '{"array":0}',
        '{"array":-1}',
        '{"array":1e9}',
        '{"object":"A","attributes":{}}',
        '{"device":0}',
        '{"device":[]}',
    ),
    *(
        "[" * 200,
        "[" * 9 + "]" * 9,
        "1e999",
        "NaN",
        "9" * 30,
        "null",
        "[]",
        "{}",
        '"\\ud800"',
        "-0.0",
        "true",
        '"__x__"',
    ),
)


def case(seed: int, number: int) -> bytes:
    """Return what is read in a case."""
    random = Random(f"states:{seed}:{number}")
    sources = states_starts()
    source = random.choice(sources)
    kind = random.randrange(10)
    if kind < 2:
        data = bytearray(source.start.data)
        for at, put in edits(random, source.start):
            data[at : at + len(put)] = put
        return bytes(data)
    if kind < 4:
        return mutated_bytes(random, source.start, [each.start for each in sources])
    return _instructions(random, source, sources) if source.cuts else _named(random, source, sources)


def _instructions(random: Random, source: Source, sources: Sequence[Source]) -> bytes:
    """Change instructions: remove, repeat, swap, replace or insert some."""
    pieces = [source.start.data[a:b] for a, b in zip(source.cuts, source.cuts[1:], strict=False)]
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        at = random.randrange(len(pieces))
        end = min(len(pieces), at + random.choice((1, 1, 1, 2, 5, 20)))
        kind = random.randrange(8)
        if kind == 0:
            del pieces[at:end]
        elif kind == 1:
            pieces[at:at] = pieces[at:end] * random.choice((1, 1, 3, 100))
        elif kind == 2:
            other = random.randrange(len(pieces))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif kind == 3:
            other = random.choice(sources)
            if other.cuts:
                begin = random.randrange(len(other.cuts) - 1)
                stop = min(len(other.cuts) - 1, begin + random.choice((1, 2, 5, 20)))
                pieces[at:end] = [other.start.data[other.cuts[begin] : other.cuts[stop]]]
        elif kind < 6:
            pieces[at] = random.choice(_PIECES)
        else:
            pieces[at:at] = [random.choice(_PIECES) for _ in range(random.choice((1, 1, 2, 4)))]
        if not pieces:
            break
    return b"".join(pieces)


def _named(random: Random, source: Source, sources: Sequence[Source]) -> bytes:
    """Change names, their order, the arrays under them and the JSON."""
    names, arrays = list(source.names), list(source.arrays)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at, other = random.randrange(len(names)), random.randrange(len(names))
        kind = random.randrange(8)
        if kind == 0:
            names[at], names[other] = names[other], names[at]
        elif kind == 1:
            arrays[at], arrays[other] = arrays[other], arrays[at]
        elif kind == 2 and len(names) > 1:
            del names[at], arrays[at]
        elif kind == 3:
            path = "/".join(random.choice(_NAMES) for _ in range(random.choice((1, 1, 2, 3, 12))))
            names[at] = f"{path}:{random.choice(_KEYS)}"
        elif kind == 4:
            structure, _, key = names[at].partition(":")
            names[at] = f"{random.choice(_NAMES)}/{structure}:{key}" if random.random() < 0.5 else f"{structure}:{key}x"
        elif kind == 5:
            arrays[at] = random.choice((np.zeros(0), np.zeros(1, np.uint8), np.zeros((1, 1)), np.zeros(1, np.int64)))
        else:
            arrays[0] = np.frombuffer(_json(random, bytes(source.arrays[0])), np.uint8)
    seen: set[str] = set()
    names = [name if not (name in seen or seen.add(name)) else f"{name}{index}" for index, name in enumerate(names)]
    return dumps(arrays, names)


def _json(random: Random, text: bytes) -> bytes:
    places = [index for index, byte in enumerate(text) if byte in b'{[":,0123456789']
    if not places:
        return random.choice(_VALUES).encode()
    at = random.choice(places)
    end = min(len(text), at + random.choice((0, 1, 1, 5, 20)))
    return text[:at] + random.choice(_VALUES).encode() + text[end:]


# Checks ---------------------------------------------------------------------------------------------------------------

_HARMFUL = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "pickle.find_class", "shutil.")
_watching = False
_hooked = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event.startswith(_HARMFUL):
        raise Finding(f"{event} {arguments}")


def check_states(data: bytes, path: str | None = None, *, public: bool = False) -> str:
    """Check the reader: the states are plain and of moderate size and come back, or there is one error.

    Args:
        data: the content.
        path: a file that holds it, to be read from there; without it the bytes are read.
        public: save what was read, and read it again.

    An optimizer in it is made, or there is one error.

    Returns:
        How the reader answered: ``"read"`` or ``"refused"``.
    """
    global _watching, _hooked
    if not _hooked:
        sys.addaudithook(_watch)
        _hooked = True
    label = path or "<bytes>"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _watching = True
        try:
            loaded = load_states_file(path) if path else load_states(data)
        except MXNetError as error:
            _watching = False
            checks._refused(error, label)
            return "refused"
        finally:
            _watching = False
    for warning in caught:
        checks._expect(len(str(warning.message)) < LONGEST_MESSAGE)
    arrays = {id(array): array for array in _arrays([loaded.states, loaded.optimizer], 0)}
    held = sum(array.size * np.dtype(array.dtype).itemsize for array in arrays.values())
    checks._expect(held <= len(data) + _ZEROS, f"{held} bytes of arrays from {len(data)}")
    if loaded.optimizer is not None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                get_updater(SGD()).set_states(data)
        except MXNetError as error:
            checks._expect(len(str(error)) < LONGEST_MESSAGE, f"a message of {len(str(error))} characters")
    if public:
        written = dump_states(loaded.states)
        checks._expect(dump_states(load_states(written).states) == written, "it does not come back")
    return "read"


def _arrays(value: Any, depth: int) -> Iterator[nd.NDArray]:
    checks._expect(depth <= MOST_DEPTH + 2, "too deep")
    if isinstance(value, nd.NDArray):
        value.asnumpy()
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _arrays(each, depth + 1)
    elif isinstance(value, dict):
        for key, each in value.items():
            checks._expect(type(key) in (int, str), f"the key {key!r}")
            yield from _arrays(each, depth + 1)
    elif isinstance(value, Record):
        checks._expect(type(value.name) is str)
        yield from _arrays(value.attributes, depth + 1)
    else:
        checks._expect(value is None or type(value) in (bool, int, float, str), f"a {type(value).__name__}")


class _StatesWorker(worker.Worker):
    def _warm_up(self) -> None:
        for source in states_starts():
            check_states(source.start.data, public=True)

    def run(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            self._case(number, "states", case(self.seed, number), check_states, Random(f"run:{self.seed}:{number}"))


if __name__ == "__main__":
    worker.main(worker=_StatesWorker)
