"""Read what MXNet pickled, without running anything that stands in it.

MXNet saves optimizer states with ``pickle``, whose files are programs: loading one may run any function of any module.
Here is a machine of its own for the part of that language which MXNet's files need. It imports nothing and calls
nothing. Names of functions and classes are compared with a list, and each stands for a conversion in this module:

================================================================== ==================================================
name in the file                                                   becomes
================================================================== ==================================================
``mxnet.ndarray.ndarray.NDArray``, ``mxnet.ndarray.sparse.*Array`` what `make_array` makes of its bytes
``mxnet.optimizer.*``, ``mxnet.lr_scheduler.*``                    a `Record`: a name and attributes
``builtins.bytearray``, ``_codecs.encode``                         bytes
scalars of NumPy                                                   numbers of Python
``collections.OrderedDict``, ``defaultdict``, ``Counter``          a dict
``collections.deque``                                              a list
``copyreg._reconstructor``, ``builtins.object``                    how protocols 0 and 1 write an object
================================================================== ==================================================

Protocols 0 to 5 are read, and what Python 2 wrote; the byte strings of Python 2 become text, one character per byte.
Bounds: every length is compared with the bytes that remain before anything is made of them; a file has at most
`MOST_OPCODES` instructions, of which each takes less than 100 bytes; bytes are not copied, but for those that protocols
0 to 2 write as text, and neither these nor the arrays take more than the file has; the result has no cycles, is at most
`MOST_DEPTH` deep and not larger, when it is walked through, than twice the number of instructions. The time is linear.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from symjit.base import MXNetError, shown
from symjit.optimizer.pickled import Array, DType, LongText, Name, Record, described, kind_of

__all__ = ["MOST_DEPTH", "MOST_OPCODES", "starts_pickle", "unpickle"]

#: How many instructions a file may have; an array takes about 20.
MOST_OPCODES = 1 << 19
#: How deep lists, tuples, dicts and records may be nested.
MOST_DEPTH = 32

_SMALL = 1 << 10  # what is shorter is copied: a view takes more memory than that many bytes are worth
_LONG_TEXT = 1 << 12  # a text beyond this length can only be the bytes of an array
_MOST_TEXT = 1 << 22  # the other texts together: one character may make a text four times as long as in the file
_GAP = 1000  # Python numbers what it remembers one after the other; optimizers of pickles may leave some out
_LONGEST_NAME = 200
_MOST_NAMES = 100
_LONGEST_NUMBER = 40
_MOST_KEY = 1 << 59  # greater integers can be chosen so that all of them meet in one place of a dict

_ADVICE = "Optimizer states are arrays and numbers, and nothing else is loaded: this may be another file, or a trap."
_DAMAGED = "The file is cut short or damaged: copy it again."

# What Python writes, but MXNet does not.
_REFUSED = {
    **{b"0"[0]: "POP", b"1"[0]: "POP_MARK", b"2"[0]: "DUP", b"i"[0]: "INST", b"o"[0]: "OBJ"},
    **{b"P"[0]: "PERSID", b"Q"[0]: "BINPERSID", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x8F: "EMPTY_SET"},
    **{0x90: "ADDITEMS", 0x91: "FROZENSET", 0x92: "NEWOBJ_EX", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER"},
}
_TOO_DEEP = f"expected at most {MOST_DEPTH} levels of nesting"


def starts_pickle(first: int) -> bool:
    """Return whether a pickle may start with this byte."""
    return first in _INSTRUCTIONS or first in _REFUSED


def unpickle(buffer: bytes | mmap.mmap, label: str, make_array: Callable[[bytes | memoryview], Any]) -> Any:
    """Return what MXNet pickled: None, numbers, text, lists, tuples, dicts, `Record`, and what `make_array` returns.

    Args:
        buffer: the content of the file.
        label: what messages call it.
        make_array: makes something of the bytes that an NDArray gave of itself; raises MXNetError if it can not.

    Raises:
        MXNetError: the file is damaged, or it holds something that MXNet's files do not. The message names the file
            and the position.
    """
    return _Machine(buffer, label, make_array).run()


class _Machine:
    """A stack, a memo and a position."""

    def __init__(self, buffer: bytes | mmap.mmap, label: str, make_array: Callable[[bytes | memoryview], Any]) -> None:
        self.buffer = buffer
        self.view = memoryview(buffer)
        self.size = len(buffer)
        self.label = label
        self.make_array = make_array
        self.offset = self.at = 0  # where to read on; where the instruction stands
        self.count = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []
        self.names: dict[tuple[str, str], Name] = {}
        self.spent = {"text": 0, "bytes written as text": 0, "arrays": 0}  # bytes that were made of those in the file
        self.left = 0  # values that the result may still hold

    def run(self) -> Any:
        """Run the instructions; return the one value that is left."""
        while True:
            self.at = self.offset
            if self.offset >= self.size:
                raise self.error("expected STOP, but the file ends", _DAMAGED)
            code = self.view[self.offset]
            self.offset += 1
            self.count += 1
            if self.count > MOST_OPCODES:
                raise self.error(f"expected at most {MOST_OPCODES} instructions, got more")
            if code == _STOP:
                break
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                name = _REFUSED.get(code)
                raise self.error(f"the instruction {name}, of which MXNet makes no use" if name else _unknown(code))
            instruction(self)
        value = self.pop("the result")
        if self.stack or self.marks:
            raise self.error(f"{len(self.stack)} values and {len(self.marks)} marks are left over at STOP")
        if self.offset < self.size:
            raise self.error(f"{self.size - self.offset} bytes follow the end", at=self.offset)
        self.left = 2 * self.count + 1000
        return self.resolved(value, set())

    def error(self, problem: str, advice: str = _ADVICE, at: int | None = None) -> MXNetError:
        """Return the error that says what is wrong with the instruction at hand."""
        return MXNetError(f"{self.label}: at byte {self.at if at is None else at} of {self.size}: {problem}. {advice}")

    def refuse(self, expected: str, got: Any) -> NoReturn:
        raise self.error(f"expected {expected}, got {described(got)}")

    # Reading ----------------------------------------------------------------------------------------------------------

    def take(self, count: int) -> bytes | memoryview:
        """Return the next bytes, as a view if they are many."""
        start = self.offset
        if count > self.size - start:
            raise self.error(f"expected {count} bytes, but {self.size - start} remain", _DAMAGED)
        self.offset += count
        found = self.view[start : self.offset]
        return found if count > _SMALL else bytes(found)

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.take(layout.size))[0]

    def line(self, longest: int) -> bytes | memoryview:
        """Return what comes before the next end of line."""
        end = self.buffer.find(b"\n", self.offset, min(self.size, self.offset + longest + 1))
        if end < 0:
            raise self.error(f"expected a line of at most {longest} bytes", _DAMAGED)
        found = self.take(end - self.offset)
        self.offset += 1
        return found

    def text(self, raw: bytes | memoryview, encoding: str) -> str | LongText:
        if len(raw) > _LONG_TEXT:
            return LongText(memoryview(raw), encoding)
        self.spend("text", len(raw), _MOST_TEXT)
        try:
            return str(raw, encoding)
        except UnicodeDecodeError as error:
            raise self.error(f"expected text in {encoding}, got {shown(raw)}", _DAMAGED) from error

    def decimal(self, convert: Callable[[str], Any]) -> Any:
        raw = bytes(self.line(_LONGEST_NUMBER))
        try:
            return convert(raw.decode("ascii"))
        except ValueError as error:
            raise self.error(f"expected a number, got {shown(raw)}", _DAMAGED) from error

    # The stack --------------------------------------------------------------------------------------------------------

    def pop(self, what: str) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.error(f"{what} is missing from the stack", _DAMAGED)
        return self.stack.pop()

    def top(self, kind: type, what: str) -> Any:
        value = self.pop(what)
        if type(value) is not kind:
            self.refuse(what, value)
        self.stack.append(value)
        return value

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise self.error("a mark is missing", _DAMAGED)
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def remember(self, index: int) -> None:
        value = self.pop("a value")
        self.stack.append(value)
        if not 0 <= index <= self.count + _GAP:
            raise self.error(f"expected a memo of 0 to {self.count + _GAP}, got {index}")
        if index >= len(self.memo):
            self.memo += [_NOTHING] * (index + 1 - len(self.memo))
        self.memo[index] = value

    def recall(self, index: int) -> None:
        if not 0 <= index < len(self.memo) or self.memo[index] is _NOTHING:
            raise self.error(f"nothing is remembered under {index}", _DAMAGED)
        self.stack.append(self.memo[index])

    def put(self, into: dict[Any, Any], items: list[Any]) -> None:
        if len(items) % 2:
            raise self.error("a key without a value", _DAMAGED)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not (type(key) is str or (type(key) is int and abs(key) < _MOST_KEY)):
                self.refuse("text or a number below 2**59 as a key", key)
            into[key] = value

    # Names and calls --------------------------------------------------------------------------------------------------

    def find(self, module: str, name: str) -> None:
        found = self.names.get((module, name))
        if found is None:
            kind = kind_of(module, name)
            if kind is None:
                raise self.error(
                    "expected NDArray, an optimizer or a scheduler of MXNet, bytearray, a scalar of NumPy or a "
                    f"collection, got {shown(f'{module}.{name}')}, which was not imported",
                    f"{_ADVICE} If this is a class of your own, save the states without the optimizer.",
                )
            if len(self.names) == _MOST_NAMES:
                raise self.error(f"expected at most {_MOST_NAMES} names of functions and classes, got more")
            found = self.names[module, name] = Name(kind, name)
        self.stack.append(found)

    def call(self) -> None:
        arguments, function = self.pop("the arguments"), self.pop("a function")
        if type(arguments) is not tuple:
            self.refuse("a tuple of arguments", arguments)
        if type(function) is not Name or function.kind not in _CALLS:
            self.refuse("a function of MXNet's files", function)
        self.stack.append(_CALLS[function.kind](self, function, arguments))

    def new(self) -> None:
        arguments, name = self.pop("the arguments"), self.pop("a class")
        if arguments != ():
            self.refuse("no arguments", arguments)
        self.stack.append(self.empty_object(name))

    def empty_object(self, name: Any) -> Any:
        if type(name) is Name and name.kind == "array":
            return Array()
        if type(name) is Name and name.kind == "record":
            return Record(name.name)
        return self.refuse("an NDArray, an optimizer or a scheduler of MXNet", name)

    def reconstruct(self, _: Name, arguments: tuple[Any, ...]) -> Any:
        if len(arguments) != 3 or type(arguments[1]) is not Name or arguments[1].kind != "object":
            self.refuse("(class, object, None)", arguments)
        return self.empty_object(arguments[0])

    def new_array(self, name: Name, arguments: tuple[Any, ...]) -> Array:
        if arguments not in ((), (None,)):
            self.refuse(f"{name.name} to be made of (None,)", arguments)
        return Array()

    def to_bytes(self, _: Name, arguments: tuple[Any, ...]) -> bytes | memoryview:
        """``bytearray(bytes)``, ``bytearray(text, "latin-1")`` and ``encode(text, "latin-1")``."""
        if not arguments:
            return b""
        value, *encoding = arguments
        if isinstance(value, bytes | memoryview) and not encoding:
            return value
        latin = len(encoding) == 1 and encoding[0] in ("latin-1", "latin1")
        if not latin or not isinstance(value, str | LongText):
            self.refuse("bytes, or text in latin-1", arguments)
        self.spend("bytes written as text", len(value) if isinstance(value, str) else len(value.raw), self.size)
        try:
            return value.encode("latin-1") if isinstance(value, str) else value.to_bytes()
        except ValueError as error:
            raise self.error(f"expected bytes written as text in latin-1, got {error}", _DAMAGED) from error

    def spend(self, what: str, count: int, most: int) -> None:
        """Count bytes that are made, because a file can say that the same are made again and again."""
        self.spent[what] += count
        if self.spent[what] > most:
            raise self.error(f"expected at most {most} bytes of {what} in all, got more")

    def to_dict(self, name: Name, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        if arguments:
            (given,) = arguments if len(arguments) == 1 else (None,)
            if type(given) is list and all(type(pair) in (list, tuple) and len(pair) == 2 for pair in given):
                self.put(found, [each for pair in given for each in pair])
                given.clear()  # or the file may say again and again that a dict is made of it
            elif type(given) is dict:
                found = given
            else:
                self.refuse(f"{name.name} to be made of a dict or of pairs", arguments)
        return found

    def to_defaultdict(self, name: Name, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        factory = arguments[0] if len(arguments) == 1 else None
        if arguments not in ((), (None,)) and not (type(factory) is Name and factory.kind in ("factory", "mapping")):
            self.refuse(f"{name.name} of int, float, list or dict", arguments)
        return {}

    def to_list(self, name: Name, arguments: tuple[Any, ...]) -> list[Any]:
        if len(arguments) > 2 or (arguments and arguments[0] not in ((), [])):
            self.refuse(f"an empty {name.name}", arguments)
        return []

    def to_dtype(self, _: Name, arguments: tuple[Any, ...]) -> DType:
        code = arguments[0] if arguments else None
        if len(arguments) > 3 or type(code) is not str or not re.fullmatch(r"[<>=|]?(b1|[iu][1248]|f[248])", code):
            self.refuse("the dtype of a number", arguments)
        return DType(np.dtype(code))

    def to_number(self, _: Name, arguments: tuple[Any, ...]) -> bool | int | float:
        if len(arguments) != 2 or type(arguments[0]) is not DType:
            self.refuse("a dtype and bytes", arguments)
        dtype, raw = arguments[0].dtype, arguments[1]
        if type(raw) is str and len(raw) <= 8 and max(raw, default="") <= "\xff":  # a byte string of Python 2
            raw = raw.encode("latin-1")
        if type(raw) is not bytes or len(raw) != dtype.itemsize:
            self.refuse(f"{dtype.itemsize} bytes of {dtype}", raw)
        if dtype.kind == "b" and raw[0] > 1:
            self.refuse("0 or 1", raw)
        return np.frombuffer(raw, dtype)[0].item()

    def build(self) -> None:
        """Give the top of the stack its state."""
        state, target = self.pop("a state"), self.pop("an object")
        self.stack.append(target)
        if type(target) is Array and target.value is None:
            handle = state.get("handle") if type(state) is dict else None
            if not isinstance(handle, bytes | memoryview):
                self.refuse("the state of an NDArray, {'handle': bytes}", state)
            self.spend("arrays", len(handle), self.size)
            try:
                target.value = self.make_array(handle)
            except MXNetError as error:
                raise MXNetError(f"{self.label}: in the array that ends at byte {self.at}: {error}") from error
        elif type(target) is Record and target.attributes is None:
            if type(state) is not dict or not all(type(key) is str and key[:2] != "__" for key in state):
                self.refuse(f"the attributes of {target.name}", state)
            target.attributes = state
        elif type(target) is DType:
            order, *fields = state[1:5] if type(state) is tuple and len(state) > 4 else (None,)
            if order not in ("<", ">", "=", "|") or fields != [None, None, None]:
                self.refuse("the state of the dtype of a number", state)
            target.dtype = target.dtype.newbyteorder(order)
        else:
            self.refuse("an NDArray, optimizer or scheduler without a state", target)

    # The result -------------------------------------------------------------------------------------------------------

    def resolved(self, value: Any, inside: set[int]) -> Any:
        """Return a value with its arrays in place; check that it is a tree of moderate size."""
        self.left -= 1
        if self.left < 0:
            raise self.error(f"it holds the same lists over and over: more than {2 * self.count} values in all")
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind is Array:
            if value.value is None:
                raise self.error("an NDArray that got no state")
            return value.value
        if kind not in (list, tuple, dict, Record):
            raise self.error(f"expected arrays, numbers, text, lists, tuples and dicts, got {described(value)}")
        if id(value) in inside:
            raise self.error(f"a {kind.__name__} that contains itself")
        if len(inside) == MOST_DEPTH:
            raise self.error(_TOO_DEEP)
        inside.add(id(value))
        try:
            if kind is tuple:
                return tuple([self.resolved(each, inside) for each in value])
            if kind is list:
                for index, each in enumerate(value):
                    value[index] = self.resolved(each, inside)
            else:
                items = value if kind is dict else value.attributes
                if items is None:
                    raise self.error(f"an object {value.name} that got no attributes")
                for key, each in items.items():
                    items[key] = self.resolved(each, inside)
            return value
        finally:
            inside.discard(id(value))


_NOTHING = object()  # in the memo, where nothing was put
_STOP = b"."[0]
_U1, _U2, _U4, _U8 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")

_CALLS: dict[str, Callable[[_Machine, Name, tuple[Any, ...]], Any]] = {
    "array": _Machine.new_array,
    "bytearray": _Machine.to_bytes,
    "encode": _Machine.to_bytes,
    "mapping": _Machine.to_dict,
    "defaultdict": _Machine.to_defaultdict,
    "deque": _Machine.to_list,
    "dtype": _Machine.to_dtype,
    "scalar": _Machine.to_number,
    "reconstructor": _Machine.reconstruct,
}


def _unknown(code: int) -> str:
    return f"expected an instruction of a pickle, got the byte {code:#04x}"


# Instructions ---------------------------------------------------------------------------------------------------------


def _protocol(machine: _Machine) -> None:
    version = machine.number(_U1)
    if version > 5:
        raise machine.error(f"expected a pickle of protocol 0 to 5, got {version}")


def _frame(machine: _Machine) -> None:
    length = machine.number(_U8)
    if length > machine.size - machine.offset:
        raise machine.error(f"expected a frame of {length} bytes, but {machine.size - machine.offset} remain", _DAMAGED)


def _int_or_bool(machine: _Machine) -> None:
    machine.stack.append(machine.decimal(lambda text: text == "01" if text in ("00", "01") else int(text)))


def _long(layout: struct.Struct) -> Callable[[_Machine], None]:
    def run(machine: _Machine) -> None:
        count = machine.number(layout)
        if count > 16:
            raise machine.error(f"expected an integer of at most 16 bytes, got {count}")
        machine.stack.append(int.from_bytes(machine.take(count), "little", signed=True))

    return run


def _numbered(layout: struct.Struct) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.number(layout))


def _bytes(layout: struct.Struct) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.take(machine.number(layout)))


def _text(layout: struct.Struct, encoding: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.text(machine.take(machine.number(layout)), encoding))


_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[\\'\"nrt])")
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _quoted(machine: _Machine) -> None:
    """The byte string that Python 2 writes as ``S'text'``."""
    raw = bytes(machine.line(_LONG_TEXT))
    if len(raw) < 2 or raw[:1] not in (b"'", b'"') or raw[-1:] != raw[:1]:
        raise machine.error(f"expected a string in quotes, got {shown(raw)}", _DAMAGED)
    plain = _ESCAPE.sub(
        lambda found: bytes([int(found[1][1:], 16)]) if found[1][:1] == b"x" else _ESCAPED.get(found[1], found[1]),
        raw[1:-1],
    )
    machine.stack.append(machine.text(plain, "latin-1"))


def _global(machine: _Machine) -> None:
    module, name = (machine.text(machine.line(_LONGEST_NAME), "utf-8") for _ in range(2))
    machine.find(str(module), str(name))


def _stack_global(machine: _Machine) -> None:
    name, module = machine.pop("a name"), machine.pop("a module")
    for each in (module, name):
        if type(each) is not str or len(each) > _LONGEST_NAME:
            machine.refuse("the name of a module and in it", each)
    machine.find(module, name)


def _tuple(count: int) -> Callable[[_Machine], None]:
    def run(machine: _Machine) -> None:
        items = [machine.pop("an item") for _ in range(count)]
        machine.stack.append(tuple(items[::-1]))

    return run


def _append(machine: _Machine) -> None:
    value = machine.pop("an item")
    machine.top(list, "a list").append(value)


def _appends(machine: _Machine) -> None:
    values = machine.since_mark()
    machine.top(list, "a list").extend(values)


def _dict(machine: _Machine) -> None:
    found: dict[Any, Any] = {}
    machine.put(found, machine.since_mark())
    machine.stack.append(found)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop("a value"), machine.pop("a key")
    machine.put(machine.top(dict, "a dict"), [key, value])


def _set_items(machine: _Machine) -> None:
    items = machine.since_mark()
    machine.put(machine.top(dict, "a dict"), items)


_INSTRUCTIONS: dict[int, Callable[[_Machine], None]] = {
    0x80: _protocol,
    0x95: _frame,
    _STOP: lambda machine: None,  # run() ends there
    b"("[0]: lambda machine: machine.marks.append(len(machine.stack)),
    b"N"[0]: lambda machine: machine.stack.append(None),
    0x88: lambda machine: machine.stack.append(True),
    0x89: lambda machine: machine.stack.append(False),
    b"I"[0]: _int_or_bool,
    b"J"[0]: _numbered(_I4),
    b"K"[0]: _numbered(_U1),
    b"M"[0]: _numbered(_U2),
    b"L"[0]: lambda machine: machine.stack.append(machine.decimal(lambda text: int(text.removesuffix("L")))),
    0x8A: _long(_U1),
    0x8B: _long(_U4),
    b"F"[0]: lambda machine: machine.stack.append(machine.decimal(float)),
    b"G"[0]: _numbered(_F8),
    b"S"[0]: _quoted,
    b"T"[0]: _text(_U4, "latin-1"),
    b"U"[0]: _text(_U1, "latin-1"),
    b"B"[0]: _bytes(_U4),
    b"C"[0]: _bytes(_U1),
    0x8E: _bytes(_U8),
    0x96: _bytes(_U8),  # a bytearray, which nobody changes here
    b"V"[0]: lambda machine: machine.stack.append(machine.text(machine.line(machine.size), "raw-unicode-escape")),
    b"X"[0]: _text(_U4, "utf-8"),
    0x8C: _text(_U1, "utf-8"),
    0x8D: _text(_U8, "utf-8"),
    b"]"[0]: lambda machine: machine.stack.append([]),
    b"a"[0]: _append,
    b"e"[0]: _appends,
    b"l"[0]: lambda machine: machine.stack.append(machine.since_mark()),
    b")"[0]: lambda machine: machine.stack.append(()),
    b"t"[0]: lambda machine: machine.stack.append(tuple(machine.since_mark())),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    b"}"[0]: lambda machine: machine.stack.append({}),
    b"d"[0]: _dict,
    b"s"[0]: _set_item,
    b"u"[0]: _set_items,
    b"c"[0]: _global,
    0x93: _stack_global,
    b"R"[0]: _Machine.call,
    0x81: _Machine.new,
    b"b"[0]: _Machine.build,
    b"p"[0]: lambda machine: machine.remember(machine.decimal(int)),
    b"q"[0]: lambda machine: machine.remember(machine.number(_U1)),
    b"r"[0]: lambda machine: machine.remember(machine.number(_U4)),
    0x94: lambda machine: machine.remember(len(machine.memo)),
    b"g"[0]: lambda machine: machine.recall(machine.decimal(int)),
    b"h"[0]: lambda machine: machine.recall(machine.number(_U1)),
    b"j"[0]: lambda machine: machine.recall(machine.number(_U4)),
}
