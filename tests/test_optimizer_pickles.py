"""Files that are no optimizer states, damaged, or made to do harm: each is refused, with one error, cheaply."""

from __future__ import annotations

import builtins
import collections
import json
import os
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symjit.optimizer.states import load_states
from tests.packed_params import compressed_tar, zipped
from tests.test_optimizer_states import GOLDEN, MOMENTUM, TREES, failure

# Other files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b'{"nodes": []}', "JSON text"),
        (zipped(), "a zip archive"),
        (compressed_tar(), "a tar archive"),
        (b"\x1f\x8b\x08", "gzip data"),
        (b"\x93NUMPY\1\0", "a NumPy .npy array"),
        (b"?!", "something else, which begins with"),
        (b"\xff\xff", "something else"),
    ],
)
def test_other_files_are_told(data: bytes, problem: str) -> None:
    assert problem in failure(data)


# Hostile pickles ------------------------------------------------------------------------------------------------------


class Reduces:
    """Pickles as a call of any function."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def traps(marker: str) -> dict[str, Any]:
    """Return objects whose pickles do harm when they are loaded; most would create the file `marker`."""
    command = f"touch {marker}"
    call = Reduces(os.system, (command,))
    return {
        "os.system": call,
        "in a dict": {0: call},
        "in a tuple": ({}, call),
        "in a state": {0: (None, call)},
        "eval": Reduces(eval, (f"open({marker!r}, 'w')",)),
        "exec": Reduces(exec, (f"open({marker!r}, 'w')",)),
        "open": Reduces(open, (marker, "w")),
        "__import__": Reduces(__import__, ("os",)),
        "getattr chain": Reduces(getattr, (Reduces(__import__, ("os",)), "system")),
        "getattr of an admitted class": Reduces(getattr, (bytearray, "fromhex")),
        "compile": Reduces(compile, ("1", "", "eval")),
        "object": Reduces(object, ()),
        "type": Reduces(type, ("X", (), {})),
        "OrderedDict of a call": Reduces(collections.OrderedDict, ([(call, 1)],)),
        "numpy object array": np.array([call, None], object),
        "numpy array": np.ones(3),
        "numpy dtype": np.dtype("f4,f4"),
        "numpy void": np.zeros(1, "f4,f4")[0],
        "numpy text": np.str_("x"),
        "numpy datetime": np.datetime64("2020"),
        "numpy complex": np.complex64(1),
        "complex": 1j,
        "set": {1, 2},
        "frozenset": {0: frozenset([1])},
        "bytes": {0: b"abc"},
        "text": {0: "abc"},
        "only a list": [1, 2],
        "a tuple of three": ({}, {}, {}),
        "a tuple of two dicts": ({}, {}),
        "None": None,
        "a number": 3,
        "a key of bytes": {b"a": None},
        "a key that is a tuple": {(1, 2): None},
        "a key that is a float": {0.5: None},
        "a great key": {2**60: None},
        "a dict in a state": {0: {"a": None}},
        "a path": Path("x"),
        "a class": {0: dict},
        "a function": {0: len},
        "an exception": ValueError("x"),
        "range": range(3),
    }


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_python_that_do_harm_are_refused(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for name, trap in traps(str(marker)).items():
        message = failure(pickle.dumps(trap, protocol))
        assert not marker.exists(), name
        if isinstance(trap, Reduces) and name not in (
            "OrderedDict of a call",
            "object",
            "getattr of an admitted class",
        ):
            assert "at byte " in message and "which was not imported" in message, (name, message)


NDARRAY = b"cmxnet.ndarray.ndarray\nNDArray\n"
SGD = b"cmxnet.optimizer\nSGD\n"
SHORT = b"C" + bytes([len(MOMENTUM)]) + MOMENTUM
U8 = struct.Struct("<Q").pack

REFUSED: dict[str, tuple[bytes, str]] = {
    "cut": (b"\x80\4", "at byte 2 of 2: expected STOP, but the file ends"),
    "only STOP": (b".", "the result is missing from the stack"),
    "left over": (b"NN.", "1 values and 0 marks are left over"),
    "mark left over": (b"(N.", "left over|the result is missing"),
    "trailing": (b"}.}", "at byte 2 of 3: 1 bytes follow the end"),
    "protocol 6": (b"\x80\6}.", "expected a pickle of protocol 0 to 5, got 6"),
    "no instruction": (b"}\xff.", "at byte 1 of 3: expected an instruction of a pickle, got the byte 0xff"),
    "frame": (b"\x80\4\x95" + U8(2**62) + b"}.", "expected a frame of 4611686018427387904 bytes, but 2 remain"),
    "BINBYTES8": (b"\x8e" + U8(2**63) + b".", "expected 9223372036854775808 bytes, but 1 remain"),
    "BYTEARRAY8": (b"\x96" + U8(2**40) + b".", "expected 1099511627776 bytes, but 1 remain"),
    "BINUNICODE8": (b"\x8d" + U8(2**40) + b".", "expected 1099511627776 bytes, but 1 remain"),
    "BINBYTES": (b"B\xff\xff\xff\xff.", "expected 4294967295 bytes, but 1 remain"),
    "BINSTRING": (b"T\xff\xff\xff\xff.", "expected 4294967295 bytes, but 1 remain"),
    "LONG4": (b"\x8b\xff\xff\xff\x7f.", "expected an integer of at most 16 bytes, got 2147483647"),
    "LONG1": (b"\x8a\xff" + b"\1" * 255 + b".", "expected an integer of at most 16 bytes, got 255"),
    "LONG": (b"L" + b"9" * 5000 + b"L\n.", "expected a line of at most 40 bytes"),
    "INT": (b"I0x3\n.", "expected a number, got b'0x3'"),
    "FLOAT": (b"Fabc\n.", "expected a number, got b'abc'"),
    "UNICODE": (b"V\\u12\n.", "expected text in raw-unicode-escape"),
    "BINUNICODE": (b"X\2\0\0\0\xff\xff.", "expected text in utf-8"),
    "STRING": (b"Sabc\n.", "expected a string in quotes"),
    "great memo": (b"}r\xff\xff\xff\xff.", "expected a memo of 0 to 1002, got 4294967295"),
    "negative memo": (b"}p-1\n.", "expected a memo of 0 to 1002, got -1"),
    "no memo": (b"h\0.", "nothing is remembered under 0"),
    "memo before its number": (b"}q\1h\0.", "nothing is remembered under 0"),
    "negative recall": (b"}q\0g-1\n.", "nothing is remembered under -1"),
    "memo of nothing": (b"\x94.", "a value is missing from the stack"),
    "PERSID": (b"Pid\n.", "at byte 0 of 5: the instruction PERSID, of which MXNet makes no use"),
    "BINPERSID": (b"NQ.", "the instruction BINPERSID"),
    "EXT1": (b"\x82\1.", "the instruction EXT1"),
    "NEXT_BUFFER": (b"\x97.", "the instruction NEXT_BUFFER"),
    "INST": (b"(ios\nsystem\n.", "the instruction INST"),
    "OBJ": (b"(cos\nsystem\no.", "'os.system', which was not imported"),
    "DUP": (b"}2.", "the instruction DUP"),
    "NEWOBJ_EX": (SGD + b")}\x92.", "the instruction NEWOBJ_EX"),
    "os.system": (
        b"cos\nsystem\n(S'true'\ntR.",
        "at byte 0 of .*: expected .*, got 'os.system', which was not imported",
    ),
    "STACK_GLOBAL": (b"\x8c\2os\x8c\6system\x93\x8c\4true\x85R.", "got 'os.system', which was not imported"),
    "names that are no text": (b"K\1K\2\x93.", "expected the name of a module and in it, got 1"),
    "a dotted name": (b"\x8c\x0fmxnet.optimizer\x8c\x13optimizer.os.system\x93.", "which was not imported"),
    "an escape from the module": (b"\x8c\x17mxnet.optimizer.os.path\x8c\7__all__\x93)R.", "expected a function"),
    "another class of MXNet": (b"cmxnet.kvstore\nKVStore\n)\x81.", "'mxnet.kvstore.KVStore', which was not imported"),
    "eval of MXNet": (b"cmxnet.ndarray.ndarray\neval\n.", "which was not imported"),
    "a class of symjit": (b"csymjit.ndarray.array\nNDArray\n.", "which was not imported"),
    "a long name": (b"c" + b"a" * 10_000 + b"\nb\n.", "expected a line of at most 200 bytes"),
    "a call of a class": (SGD + b")R.", "expected a function of MXNet's files, got the name SGD"),
    "a call of None": (b"N)R.", "expected a function of MXNet's files, got None"),
    "a call of text": (b"\x8c\4eval)R.", "expected a function of MXNet's files, got 'eval'"),
    "arguments that are none": (NDARRAY + b"NR.", "expected a tuple of arguments, got None"),
    "arguments of NDArray": (NDARRAY + b"K\1\x85R.", r"expected NDArray to be made of \(None,\), got"),
    "arguments of an optimizer": (SGD + b"K\1\x85\x81.", "expected no arguments, got a tuple of 1 items"),
    "an object of text": (b"\x8c\1a)\x81.", "expected an NDArray, an optimizer or a scheduler of MXNet, got 'a'"),
    "bytearray of a number": (b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "expected bytes, or text in latin-1"),
    "bytearray of another encoding": (
        b"cbuiltins\nbytearray\nVa\nVrot13\n\x86R.",
        "expected bytes, or text in latin-1",
    ),
    "bytearray of other text": (b"cbuiltins\nbytearray\nV\\u4e2d\nVlatin-1\n\x86R.", "as text in latin-1, got"),
    "an NDArray without a state": (b"}K\0" + NDARRAY + b"N\x85Rs.", "an NDArray that got no state"),
    "an optimizer without attributes": (b"}" + SGD + b")\x81\x86.", "an object SGD that got no attributes"),
    "a state that is none": (NDARRAY + b"N\x85RNb.", r"expected the state of an NDArray, {'handle': bytes}, got None"),
    "no handle": (NDARRAY + b"N\x85R}\x8c\6handleNsb.", r"expected the state of an NDArray"),
    "a handle of text": (NDARRAY + b"N\x85R}\x8c\6handle\x8c\1asb.", r"expected the state of an NDArray"),
    "an empty handle": (NDARRAY + b"N\x85R}\x8c\6handleC\0sb.", "in the array that ends at byte .*expected"),
    "a damaged handle": (NDARRAY + b"N\x85R}\x8c\6handleC\4abcdsb.", "in the array that ends at byte .*got 0x64636261"),
    "a handle of no array": (NDARRAY + b"N\x85R}\x8c\6handleC\4\0\0\0\0sb.", "one that never got a shape"),
    "a state twice": (
        NDARRAY + b"N\x85Rq\0}\x8c\6handle" + SHORT + b"sb}\x8c\6handle" + SHORT + b"sb.",
        "expected an NDArray, optimizer or scheduler without a state, got an NDArray",
    ),
    "attributes twice": (SGD + b")\x81}b}b.", "expected an NDArray, optimizer or scheduler without a state, got an"),
    "__setstate__ of a dict": (b"}}b.", "without a state, got a dict of 0 items"),
    "__setstate__ of a name": (NDARRAY + b"}b.", "without a state, got the name NDArray"),
    "slots": (SGD + b")\x81}}\x86b.", "expected the attributes of SGD, got a tuple of 2 items"),
    "__class__": (SGD + b")\x81}\x8c\x09__class__Nsb.", "expected the attributes of SGD"),
    "numbers for attributes": (SGD + b")\x81}K\1Nsb.", "expected the attributes of SGD"),
    "append to a dict": (b"}K\1a.", "expected a list, got a dict of 0 items"),
    "append to an object": (SGD + b")\x81(K\1e.", "expected a list, got an object SGD"),
    "setitem of a list": (b"]K\1K\1s.", "expected a dict, got a list of 0 items"),
    "setitem of a name": (SGD + b"K\1K\1s.", "expected a dict, got the name SGD"),
    "odd items": (b"}(K\1u.", "a key without a value"),
    "a list as a key": (b"}]Ns.", "expected text or a number below 2..59 as a key, got a list"),
    "below the mark": (b"}(K\1s.", "is missing from the stack"),
    "no mark": (b"]e.", "a mark is missing"),
    "a list in itself": (b"}K\0]q\0h\0as.", "a list that contains itself"),
    "a dict in itself": (b"}q\0K\0h\0s.", "a dict that contains itself"),
    "a tuple in itself": (b"}K\0]q\0h\0\x85as.", "contains itself"),
    "an optimizer in itself": (b"}" + SGD + b")\x81q\0}\x8c\1xh\0sb\x86.", "contains itself"),
    "levels": (b"}K\0" + b"(" * 40 + b"t" * 40 + b"s.", "expected at most 32 levels of nesting"),
    "levels of a state": (b"}K\0" + b"(" * 10 + b"t" * 10 + b"s.", "the state of 0: .*more than 8 levels"),
    "a state in a state": (b"}K\0" + SGD + b")\x81}bs.", "the state of 0: .* got Record"),
    "a name as a state": (b"}K\0" + NDARRAY + b"s.", "expected arrays, numbers, text, .* got the name NDArray"),
    "a long text": (b"}K\0X\0\x20\0\0" + b"a" * 0x2000 + b"s.", "got a long text"),
    "dtype of objects": (b"cnumpy\ndtype\n\x8c\1O\x85R.", "expected the dtype of a number"),
    "dtype of fields": (b"cnumpy\ndtype\n\x8c\5f4,f4\x85R.", "expected the dtype of a number"),
    "dtype of many": (b"cnumpy\ndtype\n\x8c\x0c(9999999,)f4\x85R.", "expected the dtype of a number"),
    "a scalar too short": (
        b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\2f8\x85RC\1a\x86R.",
        "8 bytes of float64",
    ),
    "a scalar of None": (b"cnumpy.core.multiarray\nscalar\nNC\1a\x86R.", "expected a dtype and bytes"),
    "a state of a dtype": (b"cnumpy\ndtype\n\x8c\2f8\x85R(K\3\x8c\1<}NNtb.", "expected the state of the dtype"),
    "reconstructor of object": (
        b"ccopyreg\n_reconstructor\ncbuiltins\nobject\ncbuiltins\nobject\nN\x87R.",
        "got the name",
    ),
    "reconstructor of others": (
        b"ccopyreg\n_reconstructor\n" + SGD + SGD + b"N\x87R.",
        r"expected \(class, object, None\)",
    ),
    "defaultdict of a call": (b"ccollections\ndefaultdict\n\x8c\1a\x85R.", "expected defaultdict of int, float, list"),
    "OrderedDict of numbers": (b"ccollections\nOrderedDict\nK\1\x85R.", "to be made of a dict or of pairs"),
    "deque of many": (b"ccollections\ndeque\n(K\1t\x85R.", "expected an empty deque"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pickles_made_by_hand_are_refused(name: str) -> None:
    data, problem = REFUSED[name]
    message = failure(data)
    assert re.search(problem, message), message


def test_python_itself_would_have_run_them(tmp_path: Path) -> None:
    """The traps are traps: `pickle` falls into one."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(traps(str(marker))["os.system"]))
    assert marker.exists()


def test_nothing_is_imported_or_called(monkeypatch: pytest.MonkeyPatch) -> None:
    data = [(GOLDEN / f"{name}.states").read_bytes() for name in sorted(TREES)]
    for each in data:
        load_states(each)  # what is imported once has been

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("called")

    for module, name in (
        (pickle, "loads"),
        (pickle, "load"),
        (pickle, "Unpickler"),
        (os, "system"),
        (builtins, "eval"),
    ):
        monkeypatch.setattr(module, name, fail)
    for each in data:
        load_states(each)


# Bounds ---------------------------------------------------------------------------------------------------------------

# These are states, if strange ones; all others are refused.
HARMLESS = {"lists in a list", "names"}
QUICK = ("marks", "views", "the same list over and over", "the same array over and over", "the same text over and over")
QUICK += ("texts of one great character", "one long text", "a sparse array", "keys that collide", "memo", "dicts")


def check_bombs(*names: str) -> None:
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "tests.state_bombs", *names]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, (answer, seconds) in json.loads(done.stdout).items():
        assert answer == "read" if name in HARMLESS else answer.startswith("<bytes>: "), (name, answer)
        assert seconds < 10, (name, seconds)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits of memory are Linux's")
def test_bombs_take_little_memory_and_time() -> None:
    check_bombs(*QUICK)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits of memory are Linux's")
def test_all_bombs_take_little_memory_and_time() -> None:
    check_bombs()
