"""Optimizer states as named arrays: what `dump_states` writes, and how it is read again.

The file is a ``.params`` file (:mod:`symjit.ndarray.serialize`), which MXNet can open, too. Version 1:

- The first array is called ``symjit-optimizer-states:1`` and holds UTF-8 bytes of JSON: null, or of the optimizer
  ``{"class": "Adam", "attributes": {"lr": 0.01, ...}}``, or in a module's checkpoint ``{"class": "Adam", "facts":
  {"num_update": 12, ...}}`` (`symjit.module.states`).
- Then come the NDArrays among these attributes or facts, ``attribute/array:int:0``, ``attribute/array:int:1`` ...
- Then every leaf of every state, depth first, called ``STRUCTURE:int:INDEX`` or ``STRUCTURE:str:NAME``. STRUCTURE leads
  to the leaf, its parts joined by ``/``: ``tuple2.0`` is item 0 of a tuple of 2, ``list3.2`` item 2 of a list of 3; the
  last part says what the leaf is:

  ====================================== ===============================================================
  ``array``                              an NDArray
  ``scalar``                             an NDArray without dimensions; the file has it as shape (1,)
  ``array=uint32``, ``scalar=uint32`` .. one of a dtype that MXNet can not load, as another of its size
  ``none``, ``tuple0``, ``list0``        None, an empty tuple, an empty list; the array is a zero
  ``bool``, ``int``, ``float``           a number of Python; the array is uint8, int64 or float64
  ====================================== ===============================================================

So Adam's states of parameter 3 are ``tuple2.0/array:int:3`` and ``tuple2.1/array:int:3``.

JSON knows neither tuples nor keys that are numbers. In attributes and facts, ``{"tuple": [...]}`` is a tuple,
``{"dict": [[key, value], ...]}`` a dict, ``{"float": "inf"}`` a float that is not finite, ``{"array": 0}`` an NDArray,
``{"object": "Name", "attributes": {...}}`` a scheduler, and ``{"device": 0}`` the entry of ``_all_index_update_counts``
that ``_index_update_count`` is. Every other value is itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from symjit.base import MXNetError, shown
from symjit.ndarray import NDArray, from_numpy
from symjit.ndarray.serialize import dumps
from symjit.ndarray.stored import Item, NamedArrays
from symjit.optimizer.pickled import Record

__all__ = ["MOST_ARRAYS", "MOST_DEPTH", "dump_states", "states_of"]

#: How deep the tuples and lists of a state may be nested.
MOST_DEPTH = 8
#: How many arrays a file may have; one of a few bytes takes thousands of them in memory.
MOST_ARRAYS = 1 << 15

_MARK = "symjit-optimizer-states:"
_VERSION = "1"
_MOST_PLAIN = 16  # levels of an attribute
_MOST_JSON = 1 << 20  # bytes; parsing takes up to 45 bytes of memory for each
_LEFT_OUT = ("param_dict", "sym_info")  # they describe the network, which the optimizer at hand knows
_AGAIN = "The file is damaged, or it was not written by symjit: copy it again."


# Writing --------------------------------------------------------------------------------------------------------------


def dump_states(
    states: Mapping[int | str, Any], optimizer: Any = None, facts: Mapping[str, Any] | None = None
) -> bytes:
    """Return the content of an optimizer state file.

    Args:
        states: by index or name of a parameter, None, an NDArray of any dtype, a number, or nested tuples and lists of
            them.
        optimizer: saved beside the states, so that training can go on with it: its class name, and those of its
            attributes that are plain: None, numbers, text, NDArrays, and lists, tuples and dicts of them. Of the
            scheduler likewise. Other attributes, `param_dict` and `sym_info` are left out.
        facts: saved instead of the attributes, beside the class name: plain values by name. `Updater.set_states` then
            leaves its optimizer as it is.

    Raises:
        MXNetError: a state is something else, or there are too many. The message names the parameter.
    """
    arrays: list[Item] = []
    names: list[str] = []
    attribute_arrays: list[NDArray] = []
    header: dict[str, Any] | None = None
    if facts is not None:
        header = {"class": type(optimizer).__name__, "facts": _plain_attributes(facts, attribute_arrays)}
    elif optimizer is not None:
        header = _described(optimizer, attribute_arrays)
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > _MOST_JSON:
        raise MXNetError(
            f"the attributes of {type(optimizer).__name__} take {len(text)} bytes, expected at most {_MOST_JSON}: save "
            "the states without the optimizer, or take large data out of its attributes"
        )
    arrays.append(np.frombuffer(text, np.uint8))
    names.append(_MARK + _VERSION)
    for index, array in enumerate(attribute_arrays):
        leaf, item = _leaf(array, "an attribute of the optimizer")
        arrays.append(item)
        names.append(f"attribute/{leaf}:int:{index}")
    for key, state in states.items():
        suffix = f":{_key(key)}"
        for structure, item in _leaves(state, f"the state of {shown(key)}", 0):
            arrays.append(item)
            names.append(structure + suffix)
    if len(arrays) > MOST_ARRAYS:
        raise MXNetError(f"expected at most {MOST_ARRAYS} arrays in a file of optimizer states, got {len(arrays)}")
    return dumps(arrays, names)


def _key(key: Any) -> str:
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and -(2**59) < key < 2**59:
        return f"int:{int(key)}"
    if isinstance(key, str):
        return f"str:{key}"
    raise MXNetError(f"expected the index (int) or the name (str) of a parameter, got {shown(key)}")


def _leaves(state: Any, where: str, depth: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield structure and array of every leaf of a state."""
    kind = type(state)
    if kind not in (tuple, list) or not state:
        yield _leaf(state, where)
        return
    if depth == MOST_DEPTH:
        raise MXNetError(f"{where}: expected at most {MOST_DEPTH} levels of tuples and lists, got more")
    for index, each in enumerate(state):
        for structure, item in _leaves(each, where, depth + 1):
            yield f"{kind.__name__}{len(state)}.{index}/{structure}", item


# Dtypes that MXNet 1.9.1 can not load, and as what their bits stand in the file.
_STORED_AS = {"int16": np.float16, "uint16": np.float16, "uint32": np.int32, "uint64": np.int64}


def _leaf(value: Any, where: str) -> tuple[str, np.ndarray]:
    kind = type(value)
    if isinstance(value, NDArray):
        array = value.asnumpy()
        structure = "array" if array.ndim else "scalar"
        if not array.ndim:
            array = array.reshape(1)
        if array.dtype.name in _STORED_AS:
            structure += f"={array.dtype.name}"
            array = array.view(_STORED_AS[array.dtype.name])
        return structure, array
    if value is None or kind in (tuple, list):
        return ("none" if value is None else f"{kind.__name__}0"), np.zeros(1, np.uint8)
    if kind is bool:
        return "bool", np.array([value], np.uint8)
    if kind is float or isinstance(value, np.floating):
        return "float", np.array([value], np.float64)
    if isinstance(value, int | np.integer) and -(2**63) <= value < 2**63:
        return "int", np.array([value], np.int64)
    raise MXNetError(
        f"{where}: expected None, NDArrays, numbers, and tuples and lists of them, got {kind.__name__}. "
        "Of a named tuple, a dict or another tree, save the leaves as a tuple"
    )


class _NotPlainError(Exception):
    """An attribute that can not be saved, and is left out."""


def _described(optimizer: Any, arrays: list[NDArray]) -> dict[str, Any]:
    """Return class and attributes of an optimizer in JSON's types; its NDArrays go to `arrays`."""
    found = dict(vars(optimizer))
    counts, current = found.get("_all_index_update_counts"), found.pop("_index_update_count", None)
    attributes = _plain_attributes(found, arrays)
    if current is not None:
        devices = [key for key, each in counts.items() if each is current] if isinstance(counts, dict) else []
        if devices and _is_key(devices[0]):
            attributes["_index_update_count"] = {"device": devices[0]}
        else:
            attributes |= _plain_attributes({"_index_update_count": current}, arrays)
    return {"class": type(optimizer).__name__, "attributes": attributes}


def _plain_attributes(found: Mapping[str, Any], arrays: list[NDArray]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name, value in found.items():
        if name in _LEFT_OUT or name.startswith("__"):
            continue
        before = len(arrays)
        try:
            if name == "lr_scheduler" and type(value).__module__ != "builtins" and hasattr(value, "__dict__"):
                inner = _plain_attributes(vars(value), arrays)
                value = {"object": type(value).__name__, "attributes": inner}
            else:
                value = _plain(value, arrays, 0)
        except _NotPlainError:
            del arrays[before:]
            continue
        attributes[name] = value
    return attributes


def _plain(value: Any, arrays: list[NDArray], depth: int) -> Any:
    """Return a value in JSON's types."""
    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, NDArray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict | list | tuple) and depth < _MOST_PLAIN:
        if isinstance(value, dict):
            if not all(map(_is_key, value)):
                raise _NotPlainError
            return {"dict": [[key, _plain(each, arrays, depth + 1)] for key, each in value.items()]}
        items = [_plain(each, arrays, depth + 1) for each in value]
        return items if isinstance(value, list) else {"tuple": items}
    raise _NotPlainError


# Reading --------------------------------------------------------------------------------------------------------------

#: States; of the optimizer its class and attributes; facts.
Decoded = tuple[dict[int | str, Any], str | None, dict[str, Any] | None, dict[str, Any] | None]


def states_of(found: NamedArrays, label: str) -> Decoded:
    """Return what `dump_states` was given: the states; class and attributes of the optimizer, and facts, each or None.

    Args:
        found: the content of the file.
        label: what messages call it.

    Raises:
        MXNetError: these are other arrays, or they are damaged.
    """
    names = found.names
    if not names or not names[0].startswith(_MARK):
        first = shown(names[0]) if names else "none"
        raise MXNetError(
            f"{label}: expected optimizer states, but these are other arrays, the first name is {first}. Parameters "
            "are loaded by mx.nd.load or mx.model.load_checkpoint; the file of the states ends in .states."
        )
    if names[0] != _MARK + _VERSION:
        raise MXNetError(
            f"{label}: expected optimizer states of version {_VERSION}, got {shown(names[0])}. A newer symjit wrote "
            "it: load it with that one."
        )
    try:
        return _decoded(found)
    except _DamageError as error:
        raise MXNetError(f"{label}: {error}. {_AGAIN}") from error


class _DamageError(Exception):
    """Named arrays that are not what `dump_states` writes; says which and why."""


def _decoded(found: NamedArrays) -> Decoded:
    header = _header(found.arrays[0])
    attribute_arrays: list[NDArray] = []
    states: dict[int | str, Any] = {}
    position = 1
    while position < len(found.names) and found.names[position].startswith("attribute/"):
        structure, key = _split(found.names[position], position)
        if key != len(attribute_arrays):
            raise _DamageError(f"array {position}: expected the attribute's array {len(attribute_arrays)}, got {key}")
        attribute_arrays.append(_value(structure[1:], found.arrays[position], position, arrays_only=True))
        position += 1
    while position < len(found.names):
        start = position
        key = _split(found.names[start], start)[1]
        if key in states:
            raise _DamageError(f"array {start} ({shown(found.names[start])}): this parameter has a state already")
        reader = _StateReader(found, start, key)
        states[key] = reader.read(0)
        position = reader.position
    if header is None:
        if attribute_arrays:
            raise _DamageError("arrays of an optimizer, which was not saved")
        return states, None, None, None
    name, kind, attributes = header
    plain = {key: _unplain(value, attribute_arrays, 0) for key, value in attributes.items() if key != _CURRENT}
    if kind == "facts":
        return states, name, None, plain
    if _CURRENT in attributes:
        plain[_CURRENT] = _current(attributes[_CURRENT], plain, attribute_arrays)
    return states, name, plain, None


_NAME = re.compile(r"([a-z0-9./=]{1,400}):(int|str):(.*)", re.DOTALL)
_INDEX = re.compile(r"0|-?[1-9][0-9]{0,17}")
_PART = re.compile(r"(tuple|list)([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


def _split(name: str, position: int) -> tuple[list[str], int | str]:
    """Return the parts of the structure, and the key."""
    match = _NAME.fullmatch(name)
    if match is None or (match[2] == "int" and not _INDEX.fullmatch(match[3])):
        raise _DamageError(
            f"array {position}: expected a name STRUCTURE:int:INDEX or STRUCTURE:str:NAME, got {shown(name)}"
        )
    structure = match[1].split("/")
    if len(structure) > MOST_DEPTH + 1:
        raise _DamageError(f"array {position} ({shown(name)}): expected at most {MOST_DEPTH} levels")
    return structure, int(match[3]) if match[2] == "int" else match[3]


class _StateReader:
    """Puts one state together from leaves that follow each other."""

    def __init__(self, found: NamedArrays, position: int, key: int | str) -> None:
        self.found, self.position, self.key = found, position, key
        self.path: list[str] = []  # the parts that lead to what is read now

    def read(self, depth: int) -> Any:
        """Read what stands below the path."""
        structure = self.leaf()
        if len(structure) == depth + 1:
            self.position += 1
            return _value(structure[depth:], self.found.arrays[self.position - 1], self.position - 1)
        match = _PART.fullmatch(structure[depth])
        size = int(match[2]) if match else 0
        if match is None or match[3] != "0" or size > len(self.found.arrays) - self.position:
            raise self.damage("the first item of a tuple or list whose items are all there")
        items = []
        for index in range(size):
            self.path.append(f"{match[1]}{size}.{index}")
            items.append(self.read(depth + 1))
            self.path.pop()
        return tuple(items) if match[1] == "tuple" else items

    def leaf(self) -> list[str]:
        """Return the structure of the next leaf, which has to lie below the path."""
        if self.position >= len(self.found.names):
            raise self.damage("more leaves")
        structure, key = _split(self.found.names[self.position], self.position)
        if key != self.key or type(key) is not type(self.key) or structure[: len(self.path)] != self.path:
            raise self.damage(f"a leaf of {shown(self.key)} at {shown('/'.join(self.path))}")
        if len(structure) == len(self.path):
            raise self.damage("a leaf")
        return structure

    def damage(self, expected: str) -> _DamageError:
        ended = self.position >= len(self.found.names)
        got = "the end" if ended else shown(self.found.names[self.position])
        return _DamageError(f"array {self.position}: expected {expected}, got {got}")


def _value(structure: list[str], item: Item, position: int, arrays_only: bool = False) -> Any:
    """Return the value of a leaf."""
    kind, _, dtype = structure[0].partition("=") if len(structure) == 1 else ("", "", "")
    where = f"array {position} ({shown('/'.join(structure))})"
    if not isinstance(item, np.ndarray):
        raise _DamageError(f"{where}: expected a dense array, got {'none' if item is None else item.stype}")
    if kind in ("array", "scalar"):
        if dtype:
            if dtype not in _STORED_AS or item.dtype != _STORED_AS[dtype]:
                raise _DamageError(
                    f"{where}: expected one of {', '.join(_STORED_AS)}, stored at its size, got {item.dtype}"
                )
            item = item.view(dtype)
        if kind == "scalar":
            if item.shape != (1,):
                raise _DamageError(f"{where}: expected shape (1,), got {item.shape}")
            item = item.reshape(())
        return from_numpy(item)
    wanted = _LEAVES.get(structure[0]) if not arrays_only and len(structure) == 1 else None
    if wanted is None:
        known = ", ".join(("array", "scalar", *(() if arrays_only else _LEAVES)))
        raise _DamageError(f"{where}: expected one of {known}")
    if item.shape != (1,) or item.dtype != wanted:
        raise _DamageError(f"{where}: expected {wanted.__name__} of shape (1,), got {item.dtype} of {item.shape}")
    empty: dict[str, Any] = {"none": None, "tuple0": (), "list0": []}
    if kind in empty:
        return empty[kind]
    return bool(item[0]) if kind == "bool" else item[0].item()


_LEAVES = {
    **dict.fromkeys(("none", "tuple0", "list0", "bool"), np.uint8),
    "int": np.int64,
    "float": np.float64,
}


# The optimizer's attributes

_CURRENT = "_index_update_count"


def _header(item: Item) -> tuple[str, str, dict[str, Any]] | None:
    """Return the optimizer's class, and its attributes or facts as they stand in the file: which of them, and they."""
    if not isinstance(item, np.ndarray) or item.dtype != np.uint8 or item.ndim != 1 or item.size > _MOST_JSON:
        raise _DamageError(f"array 0: expected at most {_MOST_JSON} bytes of JSON in one dimension")
    try:
        value = json.loads(item.tobytes().decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _DamageError(f"array 0: expected JSON, got {shown(item[:80].tobytes())}: {error}") from error
    if value is None:
        return None
    name = value.get("class") if isinstance(value, dict) else None
    kind = "facts" if isinstance(value, dict) and "facts" in value else "attributes"
    attributes = value.get(kind) if isinstance(value, dict) else None
    if not isinstance(name, str) or not isinstance(attributes, dict) or len(value) != 2:
        raise _DamageError(f"array 0: expected class and attributes of an optimizer, got {shown(value)}")
    _check_names(attributes)
    return name, kind, attributes


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _check_names(attributes: Mapping[Any, Any]) -> None:
    for name in attributes:
        if not isinstance(name, str) or name.startswith("__"):
            raise _DamageError(f"array 0: expected the name of an attribute, got {shown(name)}")


def _unplain(value: Any, arrays: list[NDArray], depth: int) -> Any:
    """Return the value that `_plain` was given."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        if (isinstance(value, int) and abs(value) >= 2**63) or not math.isfinite(value):
            raise _DamageError(f"array 0: expected a number of 64 bits, got {shown(value)}")
        return value
    if depth > _MOST_PLAIN + 1:
        raise _DamageError(f"array 0: expected at most {_MOST_PLAIN} levels in an attribute")
    if isinstance(value, list):
        return [_unplain(each, arrays, depth + 1) for each in value]
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag == "tuple" and isinstance(content, list):
            return tuple([_unplain(each, arrays, depth + 1) for each in content])
        if tag == "dict" and isinstance(content, list):
            return _undict(content, arrays, depth)
        if tag == "float" and content in ("inf", "-inf", "nan"):
            return float(content)
        if tag == "array" and type(content) is int and 0 <= content < len(arrays):
            return arrays[content]
    elif set(value) == {"object", "attributes"} and isinstance(value["object"], str) and depth == 0:
        inner = value["attributes"]
        if isinstance(inner, dict):
            _check_names(inner)
            return Record(value["object"], {key: _unplain(each, arrays, depth + 1) for key, each in inner.items()})
    raise _DamageError(f"array 0: expected an attribute, got {shown(value)}")


def _undict(pairs: list[Any], arrays: list[NDArray], depth: int) -> dict[int | str, Any]:
    found = {}
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not _is_key(pair[0]):
            raise _DamageError(f"array 0: expected a key and a value, got {shown(pair)}")
        found[pair[0]] = _unplain(pair[1], arrays, depth + 1)
    return found


def _is_key(key: Any) -> bool:
    return type(key) is str or (type(key) is int and abs(key) < 2**59)


def _current(value: Any, optimizer: dict[str, Any], arrays: list[NDArray]) -> Any:
    """Return the counts of the device at hand: the same dict as in the counts of all devices."""
    if isinstance(value, dict) and set(value) == {"device"}:
        counts, device = optimizer.get("_all_index_update_counts"), value["device"]
        if not isinstance(counts, dict) or not _is_key(device) or device not in counts:
            raise _DamageError(f"array 0: expected a device that has counts, got {shown(device)}")
        return counts[device]
    return _unplain(value, arrays, 0)
