"""Optimizer state files: MXNet's pickles give their values, our own come back, and neither runs or breaks anything."""

from __future__ import annotations

import collections
import json
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from symjit import ndarray as nd
from symjit.base import MXNetError
from symjit.ndarray.serialize import dump_array, dumps, read_arrays
from symjit.optimizer import SGD, get_updater
from symjit.optimizer.states import (
    Loaded,
    Record,
    dump_states,
    load_states,
    load_states_file,
    read_states_file,
    save_states_file,
)

GOLDEN = Path(__file__).resolve().parent / "golden" / "states"
EXPECTED = np.load(GOLDEN / "expected.npz")
TREES = json.loads(str(EXPECTED["tree"]))


def failure(data: bytes) -> str:
    with pytest.raises(MXNetError) as caught:
        load_states(data)
    message = str(caught.value)
    assert message.startswith("<bytes>: ") and len(message) < 1000
    return message


def same(found: Any, wanted: Any) -> None:
    """Compare two trees: types, keys in order, dtypes, bits."""
    assert type(found) is type(wanted), (found, wanted)
    if isinstance(wanted, nd.NDArray):
        assert found.shape == wanted.shape and found.dtype == wanted.dtype and found.context == nd.ones(1).context
        assert found.asnumpy().tobytes() == wanted.asnumpy().tobytes()
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted) and [type(key) for key in found] == [type(key) for key in wanted]
        for key, each in wanted.items():
            same(found[key], each)
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            same(one, other)
    elif isinstance(wanted, Record):
        assert found.name == wanted.name
        same(found.attributes, wanted.attributes)
    else:
        assert found == wanted or (found != found and wanted != wanted)


# MXNet's files --------------------------------------------------------------------------------------------------------


def golden(name: str, tree: Any) -> Any:
    """Return the values that MXNet said the file holds."""
    if isinstance(tree, list):
        return [golden(name, each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {"array"}:
        return nd.from_numpy(EXPECTED[f"{name}:{tree['array']}"])
    if set(tree) == {"tuple"}:
        return tuple(golden(name, each) for each in tree["tuple"])
    if set(tree) == {"dict"}:
        return {key: golden(name, each) for key, each in tree["dict"]}
    return Record(tree["object"], golden(name, tree["attributes"]))


@pytest.mark.parametrize("name", sorted(TREES))
def test_files_of_mxnet_give_their_values(name: str) -> None:
    loaded = load_states_file(GOLDEN / f"{name}.states")
    held = golden(name, TREES[name])
    states, optimizer = held if isinstance(held, tuple) else (held, None)
    same(loaded.states, states)
    assert loaded.source == "mxnet"
    if optimizer is None:
        assert loaded.optimizer is None and loaded.optimizer_class is None
        return
    assert loaded.optimizer_class == optimizer.name
    same(loaded.optimizer, optimizer.attributes)
    counts = loaded.optimizer["_all_index_update_counts"]
    assert loaded.optimizer["_index_update_count"] is counts[0]  # as in MXNet, one dict


def test_no_file_is_without_a_test() -> None:
    assert {path.stem for path in GOLDEN.glob("*.states")} == set(TREES) and len(TREES) >= 20


@pytest.mark.parametrize("name", sorted(TREES))
def test_what_mxnet_wrote_is_written_as_named_arrays_and_comes_back(name: str) -> None:
    loaded = load_states_file(GOLDEN / f"{name}.states")
    if loaded.optimizer is None:
        again = load_states(dump_states(loaded.states))
        assert again.optimizer is None
    else:
        kind = type(str(loaded.optimizer_class), (), {})
        optimizer = kind()
        optimizer.__dict__.update(loaded.optimizer)
        scheduler = loaded.optimizer["lr_scheduler"]
        if isinstance(scheduler, Record):
            optimizer.lr_scheduler = type(scheduler.name, (), {})()
            optimizer.lr_scheduler.__dict__.update(scheduler.attributes)
        again = load_states(dump_states(loaded.states, optimizer))
        kept = {key: each for key, each in loaded.optimizer.items() if key not in ("sym_info", "_index_update_count")}
        kept["_index_update_count"] = loaded.optimizer["_index_update_count"]
        same(again.optimizer, kept)
        assert again.optimizer_class == loaded.optimizer_class
        assert again.optimizer["_index_update_count"] is again.optimizer["_all_index_update_counts"][0]
    assert again.source == "symjit"
    same(again.states, loaded.states)


MOMENTUM = dump_array(np.array([1.5, -2.0], np.float32))


def python_2(handle: bytes, module: str = "mxnet.ndarray.ndarray", reconstruct: bool = False) -> bytes:
    """Return {0: NDArray, 'w': None} as Python 2's pickle, protocol 0, writes it."""
    escaped = "".join(f"\\u00{byte:02x}" if byte in b"\\\n\0\r\x1a" else chr(byte) for byte in handle).encode("latin-1")
    made = b"ccopy_reg\n_reconstructor\np9\n(cMODULE\nNDArray\np1\nc__builtin__\nobject\np10\nNtp11\nRp3\n"
    if not reconstruct:
        made = b"cMODULE\nNDArray\np1\n(Ntp2\nRp3\n"
    made = made.replace(b"MODULE", module.encode())
    return (
        b"(dp0\nI0\n" + made + b"(dp4\nS'handle'\np5\nc__builtin__\nbytearray\np6\n(V" + escaped + b"\np7\nS'latin-1'\n"
        b"p8\ntp12\nRp13\nsS'writable'\np14\nI01\nsbsS'w\\x41\\''\np15\nNs."
    )


@pytest.mark.parametrize(
    "data", [python_2(MOMENTUM), python_2(MOMENTUM, "mxnet.ndarray"), python_2(MOMENTUM, "mxnet.ndarray", True)]
)
def test_files_of_python_2(data: bytes) -> None:
    same(load_states(data).states, {0: nd.array([1.5, -2.0]), "wA'": None})


def test_cpickle_of_python_2() -> None:
    """Protocol 2 with byte strings, a memo that begins with 1, a scalar of NumPy and an OrderedDict."""
    dtype = b"cnumpy\ndtype\nq\2U\2f8q\3K\0K\1\x87Rq\4(K\3U\1<q\5NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    number = b"cnumpy.core.multiarray\nscalar\nq\1" + dtype + b"U\x08" + struct.pack("<d", 0.25) + b"q\6\x86Rq\7"
    pairs = b"ccollections\nOrderedDict\nq\x08]q\x09(]q\x0a(K\0U\1ae]q\x0b(K\1U\1bee\x85Rq\x0c"
    data = b"\x80\2}q\1cmxnet.optimizer\nSGD\nq\x0e)\x81q\x0f}q\x10(U\2lr" + number + b"U\1n" + pairs + b"ub\x86."
    loaded = load_states(data)
    same((loaded.states, loaded.optimizer), ({}, {"lr": 0.25, "n": {0: "a", 1: "b"}}))
    assert loaded.optimizer_class == "SGD"


def test_collections_become_dicts_and_lists() -> None:
    held = {
        "o": collections.OrderedDict(a=1),
        "c": collections.Counter("aab"),
        "d": collections.defaultdict(int, {3: 4}),
        "q": collections.deque([1, 2], 5),
        "e": (),
    }
    for protocol in range(6):
        found = load_states(optimizer_pickle(pickle.dumps(held, protocol), protocol)).optimizer
        same(found, {"o": {"a": 1}, "c": {"a": 2, "b": 1}, "d": {3: 4}, "q": [1, 2], "e": ()})


def optimizer_pickle(attributes: bytes, protocol: int) -> bytes:
    """Return ({}, SGD with these attributes), where the attributes are a pickle."""
    if attributes[:1] == b"\x80":
        attributes = attributes[2:]
    if attributes[:1] == b"\x95":
        attributes = attributes[9:]
    start = b"\x80" + bytes([max(2, protocol)])
    return start + b"}cmxnet.optimizer.optimizer\nSGD\n)\x81" + attributes[:-1] + b"b\x86."


# Our own --------------------------------------------------------------------------------------------------------------

DTYPES = ["float16", "float32", "float64", "bfloat16", "bool", "int8", "int16", "int32", "int64"]
DTYPES += ["uint8", "uint16", "uint32", "uint64"]


def filled(dtype: str, shape: tuple[int, ...]) -> nd.NDArray:
    """Return an array of every pattern of bits, NaNs with payloads included."""
    wide = np.dtype(getattr(ml_dtypes, dtype, dtype))
    count = int(np.prod(shape))
    raw = np.random.RandomState(len(dtype)).randint(0, 2 if dtype == "bool" else 256, count * wide.itemsize)
    return nd.from_numpy(raw.astype(np.uint8).view(wide).reshape(shape))


STATES: dict[str, dict[int | str, Any]] = {
    "nothing": {},
    "none": {0: None, 5: None},
    "one array": {3: nd.array([1.0, 2.0])},
    "adam": {0: (nd.ones((2, 3)), nd.zeros((2, 3))), 1: (nd.ones(1), nd.zeros(1))},
    "half": {0: (nd.ones(3), nd.ones(3, dtype="float16")), 1: ((nd.ones(2), nd.zeros(2)), nd.ones(2))},
    "lists": {0: [nd.ones(1), [None, (nd.zeros(2),)], []], 1: ((), [()])},
    "numbers": {0: (1, -(2**63), 2.5, float("inf"), True, False), 1: 7, "x": 0.5},
    "names": {"a:b/c": nd.ones(1), "": nd.zeros(1), "größe\n": None, "int:3": None, 3: None, "3": None, -4: None},
    "scalars": {dtype: (filled(dtype, ()),) for dtype in DTYPES},
    "dtypes": {dtype: filled(dtype, (4, 5)) for dtype in DTYPES},
    "empty arrays": {0: nd.zeros((0, 3)), 1: (nd.zeros((0,)),)},
    "deep": {0: (((((((nd.ones(1),),),),),),),)},
    "in any order": {5: nd.ones(1), 1: None, 3: (None, None)},
}


@pytest.mark.parametrize("name", STATES)
def test_states_come_back(name: str) -> None:
    data = dump_states(STATES[name])
    loaded = load_states(data)
    same(loaded.states, STATES[name])
    assert (loaded.optimizer, loaded.optimizer_class, loaded.source) == (None, None, "symjit")
    assert dump_states(loaded.states) == data


def test_names_say_what_the_arrays_are() -> None:
    names = read_arrays(dump_states({3: (nd.ones(2), nd.ones(2)), "w": [None], 4: filled("uint32", ())})).names
    assert names == [
        "symjit-optimizer-states:1",
        *("tuple2.0/array:int:3", "tuple2.1/array:int:3", "list1.0/none:str:w", "scalar=uint32:int:4"),
    ]


def test_facts_come_back_and_leave_the_optimizer_of_an_updater() -> None:
    facts = {"num_update": 3, "counts": {0: 3, "w": 2}, "sums": {0: {"cum_grad": nd.ones(2)}}, "none": None, "no": len}
    data = dump_states({0: nd.ones(1)}, Adam(), facts)
    loaded = load_states(data)
    assert (loaded.optimizer, loaded.optimizer_class, loaded.source) == (None, "Adam", "symjit")
    same(loaded.facts, {name: each for name, each in facts.items() if name != "no"})
    same(loaded.states, {0: nd.ones(1)})
    updater = get_updater(SGD())
    before = updater.optimizer
    updater.set_states(data)
    assert updater.optimizer is before and before.num_update == 0 and list(updater.states) == [0]


class Scheduler:
    def __init__(self) -> None:
        self.base_lr, self.step, self.hook = 0.1, [3, 5], print


class Adam:
    """An optimizer as MXNet's has its attributes."""

    def __init__(self) -> None:
        self.lr, self.wd, self.momentum = 0.1, np.float32(0.1), float("nan")
        self.num_update, self.begin_num_update = np.int64(12), 0
        self._all_index_update_counts = {0: {0: 3}, 1: {0: 3, "w": 4}}
        self._index_update_count = self._all_index_update_counts[1]
        self.lr_mult = {"a": 0.5, 3: 2.0}
        self.nested = ([1, (2.0, None)], {"a": {1: "ü\ud800"}}, -float("inf"))
        self.lr_scheduler = Scheduler()
        self.cumgrads = {0: {"cum_grad": nd.array([1, 2], dtype="float16"), "num_cums": 2}, 1: filled("uint32", ())}
        self.param_dict = {0: "parameter"}
        self.sym_info = ({}, [])
        self.function, self.clip_gradient = len, None
        self.half_plain = [nd.ones(1), object()]


def test_an_optimizer_comes_back() -> None:
    optimizer = Adam()
    loaded = load_states(dump_states({0: nd.ones(1)}, optimizer))
    wanted = dict(vars(optimizer), wd=float(np.float32(0.1)), num_update=12)
    for name in ("param_dict", "sym_info", "function", "half_plain"):
        del wanted[name]
    wanted["lr_scheduler"] = Record("Scheduler", {"base_lr": 0.1, "step": [3, 5]})
    assert loaded.optimizer is not None and loaded.optimizer_class == "Adam"
    same(dict(sorted(loaded.optimizer.items())), dict(sorted(wanted.items())))
    assert loaded.optimizer["_index_update_count"] is loaded.optimizer["_all_index_update_counts"][1]
    same(loaded.states, {0: nd.ones(1)})


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ({0: {"a": nd.ones(1)}}, "the state of 0: expected None, NDArrays, numbers, .* got dict"),
        ({"w": (nd.ones(1), "text")}, "the state of 'w': .* got str"),
        ({0: np.ones(1)}, "got ndarray"),
        ({0: Point(nd.ones(1), None)}, "got Point.*save the leaves as a tuple"),
        ({0: 2**63}, "got int"),
        ({0.5: None}, r"expected the index \(int\) or the name \(str\) of a parameter, got 0.5"),
        ({True: None}, "of a parameter, got True"),
        ({2**70: None}, "of a parameter, got 1180591620717411303424"),
        ({"\ud800": None}, "cannot be written as UTF-8"),
        ({0: [[[[[[[[[1]]]]]]]]]}, "expected at most 8 levels"),
        ({index: None for index in range(1 << 15)}, "expected at most 32768 arrays"),
    ],
)
def test_states_that_can_not_be_saved(states: dict[Any, Any], problem: str) -> None:
    with pytest.raises(MXNetError, match=problem):
        dump_states(states)


def test_too_many_attributes_are_refused() -> None:
    optimizer = Adam()
    optimizer.lr_mult = {f"weight{index}": 1.0 for index in range(100_000)}
    with pytest.raises(MXNetError, match=r"the attributes of Adam take .* save the states without the optimizer"):
        dump_states({}, optimizer)


HEADER = np.frombuffer(b"null", np.uint8)
ZERO = np.zeros(1, np.uint8)


def packed(*names: str, arrays: list[Any] | None = None, header: bytes = b"null") -> bytes:
    items = [np.frombuffer(header, np.uint8), *(arrays or [ZERO] * len(names))]
    return dumps(items, ["symjit-optimizer-states:1", *names])


def attributes(text: str) -> bytes:
    return packed(header=b'{"class":"A","attributes":{"a":' + text.encode() + b"}}")


DAMAGED: dict[str, tuple[bytes, str]] = {
    "parameters": (dumps([ZERO], ["arg:fc_weight"]), "these are other arrays, the first name is 'arg:fc_weight'"),
    "no names": (dumps([ZERO]), "the first name is none"),
    "nothing": (dumps([]), "the first name is none"),
    "version": (dumps([HEADER], ["symjit-optimizer-states:2"]), "version 1, got 'symjit-optimizer-states:2'"),
    "no such leaf": (packed("thing:int:0"), r"array 1 \('thing'\): expected one of array, scalar, none"),
    "no key": (packed("array"), "array 1: expected a name STRUCTURE:int:INDEX"),
    "bad key": (packed("array:int:03"), "got 'array:int:03'"),
    "huge key": (packed("array:int:" + "9" * 19), "expected a name STRUCTURE"),
    "kind of key": (packed("array:float:3"), "expected a name STRUCTURE"),
    "item missing": (
        packed("tuple2.0/none:int:0"),
        "array 1: expected the first item of a tuple or list whose items are all there",
    ),
    "item of another": (packed("tuple2.0/none:int:0", "tuple2.1/none:int:1"), "expected a leaf of 0 at 'tuple2.1'"),
    "items in disorder": (packed("tuple2.1/none:int:0", "tuple2.0/none:int:0"), "expected the first item"),
    "other size": (packed("tuple2.0/none:int:0", "tuple3.1/none:int:0"), "expected a leaf of 0 at 'tuple2.1'"),
    "too many items": (packed("tuple999999.0/none:int:0"), "expected the first item of a tuple or list whose items"),
    "a leaf and a list": (packed("none:int:0", "tuple1.0/none:int:0"), "this parameter has a state already"),
    "a list that is a leaf": (packed("tuple1.0:int:0"), "expected one of array"),
    "a list in a leaf": (packed("array/none:int:0"), "expected the first item of a tuple or list"),
    "deep": (packed("tuple1.0/" * 9 + "none:int:0"), "expected at most 8 levels"),
    "scalar": (packed("scalar:int:0", arrays=[np.ones(2)]), r"expected shape \(1,\), got \(2,\)"),
    "number": (packed("int:int:0", arrays=[np.ones(1)]), r"expected int64 of shape \(1,\), got float64 of \(1,\)"),
    "dtype": (packed("array=uint32:int:0", arrays=[np.ones(1)]), "expected one of int16, uint16, uint32"),
    "no such dtype": (packed("array=object:int:0", arrays=[np.ones(1)]), "expected one of int16, uint16, uint32"),
    "header": (dumps([np.ones(3)], ["symjit-optimizer-states:1"]), "array 0: expected at most 1048576 bytes of JSON"),
    "no JSON": (packed(header=b"{"), "array 0: expected JSON, got b'{'"),
    "no text": (packed(header=b"\xff"), "array 0: expected JSON"),
    "nested": (packed(header=b"[" * 100_000), "array 0: expected JSON"),
    "NaN": (packed(header=b"NaN"), "NaN is no number of JSON"),
    "digits": (attributes("9" * 5000), "array 0: expected JSON"),
    "no class": (packed(header=b"[]"), "expected class and attributes of an optimizer"),
    "class": (packed(header=b'{"class": 3, "attributes": {}}'), "expected class and attributes"),
    "more": (packed(header=b'{"class": "A", "attributes": {}, "x": 0}'), "expected class and attributes"),
    "facts and attributes": (
        packed(header=b'{"class": "A", "attributes": {}, "facts": {}}'),
        "expected class and attributes",
    ),
    "facts": (packed(header=b'{"class": "A", "facts": []}'), "expected class and attributes"),
    "dunder fact": (packed(header=b'{"class": "A", "facts": {"__x": 1}}'), "name of an attribute, got '__x'"),
    "dunder": (packed(header=b'{"class":"A","attributes":{"__class__":0}}'), "name of an attribute, got '__class__'"),
    "large": (attributes("18446744073709551616"), "expected a number of 64 bits"),
    "infinite": (attributes("1e999"), "expected a number of 64 bits"),
    "tag": (attributes('{"call": []}'), "expected an attribute, got {'call': .*}"),
    "pairs": (attributes('{"dict": [[1]]}'), r"expected a key and a value, got \[1\]"),
    "keys": (attributes('{"dict": [[[], 1]]}'), "expected a key and a value"),
    "array": (attributes('{"array": 0}'), "expected an attribute, got {'array': 0}"),
    "array -1": (attributes('{"array": -1}'), "expected an attribute"),
    "levels": (attributes("[" * 30 + "]" * 30), "expected at most 16 levels in an attribute"),
    "object in a list": (attributes('[{"object": "A", "attributes": {}}]'), "expected an attribute"),
    "array without optimizer": (packed("attribute/array:int:0"), "arrays of an optimizer, which was not saved"),
    "array in disorder": (packed("attribute/array:int:1"), "expected the attribute's array 0, got 1"),
    "attribute's number": (
        packed("attribute/none:int:0"),
        "expected one of array, scalar",
    ),
    "device": (
        packed(header=b'{"class":"A","attributes":{"_index_update_count":{"device":0}}}'),
        "expected a device that has counts, got 0",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_named_arrays_are_refused(name: str) -> None:
    data, problem = DAMAGED[name]
    message = failure(data)
    assert re.search(problem, message), message


# Files ----------------------------------------------------------------------------------------------------------------


def test_a_file_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "net-0001.states"
    save_states_file(path, dump_states({0: nd.ones((2, 3))}))
    loaded = load_states_file(path)
    same(loaded.states, {0: nd.ones((2, 3))})
    assert isinstance(loaded, Loaded) and read_states_file(path) == dump_states({0: nd.ones((2, 3))})
    save_states_file(path, b"\x80\4}.")
    assert load_states_file(path).states == {}
    same(loaded.states, {0: nd.ones((2, 3))})  # which do not depend on the file


@pytest.mark.parametrize("load", [load_states_file, read_states_file])
def test_a_missing_file_is_what_it_is_in_mxnet(load: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no optimizer states: check the path, .*: '.*x\.states'"):
        load(tmp_path / "x.states")
    with pytest.raises(MXNetError, match=r"cannot open .*Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"cos\nsystem\n.", b"\x80\4", dumps([]), packed("array")])
def test_messages_begin_with_the_path(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.states"
    path.write_bytes(data)
    with pytest.raises(MXNetError) as caught:
        load_states_file(path)
    assert str(caught.value).startswith(f"{path}: " if data else str(path))


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.states"
    save_states_file(path, b"\x80\4}.")
    with pytest.raises(MXNetError, match="cannot write"):
        save_states_file(tmp_path / "nowhere" / "x.states", b"")
    with pytest.raises(MXNetError):
        save_states_file(path, dump_states({0: object()}))
    assert path.read_bytes() == b"\x80\4}." and list(tmp_path.iterdir()) == [path]


def test_buffers_of_all_kinds_are_read() -> None:
    for data in (dump_states({0: nd.ones(2)}), python_2(dump_array(np.ones(2, np.float32)))):
        wanted = load_states(data).states
        for each in (bytearray(data), memoryview(data), memoryview(bytearray(data))):
            same(load_states(each).states, wanted)


def test_truncated_files_are_refused() -> None:
    whole = (GOLDEN / "adam.states").read_bytes()
    for data in (
        whole,
        (GOLDEN / "protocol_0.states").read_bytes()[:3000],
        dump_states({0: (nd.ones(2), None)}, Adam()),
    ):
        for length in range(1, len(data), 1 + len(data) // 100):
            failure(data[:length])
