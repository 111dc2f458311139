"""Drawing a request: an operator, its attributes and its inputs, all from one number.

Attributes are drawn by their type, and by their name where a name means one thing everywhere (``axis``, ``kernel``,
``pad`` ...); the shapes of parameters follow from symjit's inference. So a newly registered operator is drawn without a
further line. Where that would nearly always be invalid, `tests.oracle.hints` says more. One request in four is then
spoilt: an attribute out of range, a shape or a dtype that does not fit, special values.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from symjit.base import MXNetError
from symjit.ir.graph import Entry
from symjit.ir.infer import infer
from symjit.ir.serialize import loads
from symjit.ops import attrs as types
from symjit.ops import registry
from symjit.ops.registry import REQUIRED, Op
from tests.ops.single import graph_json

#: Stands for an attribute that is not given.
SKIP: Any = object()

ODD = 0.25
FLOATS = ("float32", "float64", "float16")
DTYPES = (*FLOATS, "int32", "int64", "uint8", "int8")


@dataclass
class Hint:
    """What the generic draw can not know of an operator.

    Attributes:
        ranks: the numbers of dimensions of the first input.
        shape: draws the first input's shape instead.
        attrs: draws attributes, by name; may return `SKIP`.
        always: attributes that are given in every valid request.
        prepare: runs before attributes are drawn; may set several of them at once in ``draft.attrs``.
        shapes: returns the shapes of inputs by name (or ``arg0, arg1 ...``); others are inferred.
        values: draws an input's values, by name: ``(draft, shape, dtype) -> array``.
        dtypes: the dtypes to choose from, by input name; ``""`` is the common one.
        grad: the inputs whose gradient is compared; all if None.
    """

    ranks: tuple[int, ...] = ()
    shape: Callable[[Draft], tuple[int, ...]] | None = None
    attrs: dict[str, Callable[[Draft], Any]] = field(default_factory=dict)
    always: tuple[str, ...] = ()
    prepare: Callable[[Draft], None] | None = None
    shapes: Callable[[Draft], dict[str, tuple[int, ...]]] | None = None
    values: dict[str, Callable[[Draft, tuple[int, ...], str], np.ndarray]] = field(default_factory=dict)
    dtypes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    grad: tuple[str, ...] | None = None


@dataclass
class Request:
    """One drawn case.

    Attributes:
        op: the operator's name.
        seed: the number that draws this request again, given the operator.
        attrs: attributes as Python values.
        inputs: the inputs in order.
        wanted: positions of the inputs whose gradient is compared.
        oddities: how the request was spoilt; empty for one that looks valid.
    """

    op: str
    seed: int
    attrs: dict[str, Any]
    inputs: list[np.ndarray]
    wanted: list[int]
    oddities: list[str]

    def __str__(self) -> str:
        """Return the request on one line."""
        shown = ", ".join(f"{x.dtype.name}{list(x.shape)}" for x in self.inputs)
        odd = f"  <- {', '.join(self.oddities)}" if self.oddities else ""
        return f"{self.op}({shown}; {', '.join(f'{k}={v}' for k, v in self.attrs.items())}){odd}"

    @property
    def graph(self) -> str:
        """The JSON of the graph."""
        return graph_json(self.op, self.attrs, len(self.inputs))

    @cached_property
    def values(self) -> dict[str, Any]:
        """The attributes as symjit reads them, defaults included; empty where it refuses them."""
        try:
            return registry.get(self.op).parse_attrs(self.attrs)._asdict()
        except MXNetError:
            return {}

    @property
    def size(self) -> int:
        """How large a reproducer this is."""
        return sum(x.size for x in self.inputs) + 5 * len(self.attrs) + 20 * len(self.oddities)


class Draft:
    """A request in the making.

    Attributes:
        rng: the source of all choices.
        op: the operator.
        shape: the first input's shape.
        dtype: the common dtype.
        attrs: the attributes drawn so far.
        special: whether nan, inf and their like are among the values.
    """

    def __init__(self, op: Op, rng: random.Random) -> None:
        self.op, self.rng = op, rng
        self.shape: tuple[int, ...] = ()
        self.dtype = "float32"
        self.attrs: dict[str, Any] = {}
        self.special = False

    @property
    def rank(self) -> int:
        """The number of dimensions of the first input."""
        return len(self.shape)

    def chance(self, p: float) -> bool:
        """Return True with probability `p`."""
        return self.rng.random() < p

    def choose(self, *options: Any) -> Any:
        """Return one of the options."""
        return self.rng.choice(options)

    def int(self, low: int, high: int) -> int:
        """Return an integer of ``[low, high]``."""
        return self.rng.randint(low, high)

    def dims(self, low: int, high: int) -> tuple[int, ...]:
        """Return a shape of `low` to `high` dimensions."""
        return tuple(self.choose(1, 2, 2, 3, 3, 4, 5) for _ in range(self.int(low, high)))

    def axis(self, rank: int | None = None) -> int:
        """Return an axis, counted from either end."""
        rank = self.rank if rank is None else rank
        return self.int(-rank, rank - 1) if rank else 0

    def some_axes(self, least: int = 0) -> tuple[int, ...]:
        """Return different axes."""
        found = self.rng.sample(range(self.rank), self.int(min(least, self.rank), self.rank))
        return tuple(a - self.rank if self.chance(0.3) else a for a in found)

    def divisor(self, number: int) -> int:
        """Return a divisor."""
        return self.rng.choice([n for n in range(1, number + 1) if number % n == 0])

    def numbers(self) -> np.random.RandomState:
        """Return a generator of arrays."""
        return np.random.RandomState(self.rng.getrandbits(31))

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return values of one of several kinds: around zero, positive, whole numbers with ties, with special ones."""
        rng, kind = self.numbers(), np.dtype(dtype).kind
        style = self.rng.random()
        if kind in "iub":
            return rng.randint(0 if kind != "i" else -5, 6, size=shape).astype(dtype)
        if style < 0.5:
            values = rng.uniform(-2, 2, size=shape)
        elif style < 0.75:
            values = rng.uniform(0.1, 1.5, size=shape)
        else:
            values = rng.randint(-3, 4, size=shape) * self.choose(1.0, 0.5)
        if self.special:
            special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e6, -1e-6])
            values = np.where(rng.uniform(size=shape) < 0.3, rng.choice(special, size=shape), values)
        with np.errstate(over="ignore"):
            return np.asarray(values).astype(dtype)


def _window(low: int, high: int) -> Callable[[Draft], Any]:
    def draw(d: Draft) -> Any:
        count = max(1, min(3, len(d.attrs.get("kernel", ())) or d.rank - 2))
        return tuple(d.int(low, high) for _ in range(count))

    return draw


def _axis(d: Draft) -> Any:
    kind = d.op.attrs["axis"].type
    optional = isinstance(kind, types.Optional)
    if optional and d.chance(0.2):
        return None
    return d.some_axes() if isinstance(kind.inner if optional else kind, types.Tuple) else d.axis()


def _axes(d: Draft) -> Any:
    return d.some_axes()


def _slices(d: Draft) -> None:
    """Draw ``begin``, ``end`` and ``step`` together."""
    begin, end, step = [], [], []
    for n in d.shape[: d.int(1, d.rank)]:
        by = d.choose(None, None, 1, 1, 2, -1, -2)
        first, last = sorted((d.int(0, n - 1), d.int(1, n + d.choose(0, 0, 2))))
        last = max(last, first + 1)
        if by is not None and by < 0:
            first, last = min(last - 1, n - 1), first - 1
            last = None if last < 0 else last
        begin.append(None if d.chance(0.15) and (by or 1) > 0 else first - (n if d.chance(0.2) and first < n else 0))
        end.append(None if d.chance(0.15) and (by or 1) > 0 else last)
        step.append(by)
    d.attrs.update(begin=tuple(begin), end=tuple(end))
    if any(by not in (1, None) for by in step) or d.chance(0.3):
        d.attrs["step"] = tuple(step)


#: Attributes whose name means one thing everywhere.
BY_NAME: dict[str, Callable[[Draft], Any]] = {
    "axis": _axis,
    "axes": _axes,
    "dim": lambda d: d.axis(),
    "dim1": lambda d: d.axis(),
    "dim2": lambda d: d.axis(),
    "axis1": lambda d: d.axis(),
    "axis2": lambda d: d.axis(),
    "kernel": _window(1, 3),
    "stride": _window(1, 3),
    "dilate": _window(1, 2),
    "pad": _window(0, 2),
    "num_filter": lambda d: d.int(1, 5),
    "num_hidden": lambda d: d.int(1, 5),
    "shape": lambda d: d.dims(1, 3),
    "dtype": lambda d: d.choose(*DTYPES),
    "out_dtype": lambda d: d.choose(*FLOATS, "int32"),
    "layout": lambda d: SKIP if d.chance(0.8) else _generic(d.op.attrs["layout"].type, d),
    "eps": lambda d: d.choose(1e-5, 1e-3, 0.1),
    "momentum": lambda d: d.choose(0.0, 0.5, 0.9, 1.0),
    "scalar": lambda d: d.choose(0.0, 1.0, 2.0, -1.0, -3.0, 0.5, 2.7, -2.5, 1e10, 300.0),
    "grad_scale": lambda d: d.choose(1.0, 0.5, -2.0),
    "depth": lambda d: d.int(1, 5),
    "repeat": lambda d: d.int(1, 3),
    "repeats": lambda d: d.int(1, 3),
    "block_size": lambda d: d.int(1, 3),
}


def _generic(kind: types.AttrType, d: Draft) -> Any:
    """Draw an attribute by its type alone."""
    if isinstance(kind, types.Optional):
        return None if d.chance(0.25) else _generic(kind.inner, d)
    if isinstance(kind, types.Bool):
        return d.chance(0.5)
    if isinstance(kind, types.Int):
        low = -2 if kind.low is None else kind.low
        return d.int(low, low + 4 if kind.high is None else min(kind.high, low + 4))
    if isinstance(kind, types.Float):
        if kind.low is not None or kind.high is not None:
            low = -2.0 if kind.low is None else kind.low
            return round(d.rng.uniform(low, low + 2.0 if kind.high is None else kind.high), 2)
        return d.choose(0.0, 0.5, 1.0, -1.0, 2.0, 0.1, -0.3)
    if isinstance(kind, types.Enum):
        return d.choose(*kind.choices)
    if isinstance(kind, types.DTypeName):
        return d.choose(*DTYPES)
    if isinstance(kind, types.Tuple):
        return tuple(_generic(kind.item, d) for _ in range(d.int(1, 3)))
    return "text"


def _draw_attrs(d: Draft, hint: Hint) -> None:
    if hint.prepare is not None:
        hint.prepare(d)
    elif {"begin", "end", "step"} <= set(d.op.attrs):
        _slices(d)
    for name, attr in d.op.attrs.items():
        if name in d.attrs:
            continue
        needed = attr.default is REQUIRED or name in hint.always
        if not needed and d.chance(0.5):
            continue
        make = hint.attrs.get(name) or BY_NAME.get(name)
        value = _generic(attr.type, d) if make is None else make(d)
        if value is not SKIP:
            d.attrs[name] = value
    d.attrs = {name: value for name, value in d.attrs.items() if value is not SKIP}


def _draw_inputs(d: Draft, hint: Hint, names: tuple[str, ...]) -> list[np.ndarray]:
    shapes = {names[0]: d.shape} if names else {}
    dtypes = dict.fromkeys(names[:1], d.dtype)
    if hint.shapes is not None:
        shapes.update(hint.shapes(d))
    for name, choices in hint.dtypes.items():
        if name:
            dtypes[name] = d.choose(*choices)
    _infer_rest(d, names, shapes, dtypes)
    arrays = []
    for name in names:
        make = hint.values.get(name) or hint.values.get("")
        shape, dtype = shapes.get(name, d.shape), dtypes.get(name, d.dtype)
        if make is not None:
            arrays.append(np.asarray(make(d, shape, dtype)).astype(dtype).reshape(shape))
        elif name.endswith("var"):
            arrays.append(d.numbers().uniform(0.5, 2, size=shape).astype(dtype))
        else:
            arrays.append(d.array(shape, dtype))
    return arrays


def _infer_rest(d: Draft, names: tuple[str, ...], shapes: dict[str, Any], dtypes: dict[str, Any]) -> None:
    """Fill in the shapes and dtypes that follow from those drawn."""
    try:
        graph = loads(graph_json(d.op.name, d.attrs, len(names))).graph
        known = {f"in{i}": shapes[name] for i, name in enumerate(names) if name in shapes}
        known_dtypes = {f"in{i}": dtypes[name] for i, name in enumerate(names) if name in dtypes}
        found = infer(graph, known, known_dtypes, default_dtype=None)
    except (MXNetError, TypeError, ValueError):
        return
    by_name = {node.name: Entry(node) for node in graph.variables}
    for i, name in enumerate(names):
        shape, dtype = found.shape(by_name[f"in{i}"]), found.dtype(by_name[f"in{i}"])
        if shape is not None:
            shapes.setdefault(name, tuple(d.int(1, 3) if dim is None else dim for dim in shape))
        if dtype is not None:
            dtypes.setdefault(name, dtype.name)


# Spoiling ------------------------------------------------------------------------------------------------------------


def _odd_value(kind: types.AttrType, value: Any, d: Draft) -> Any:
    """Return a value of an attribute that is likely to be refused."""
    if isinstance(kind, types.Optional):
        return None if d.chance(0.3) else _odd_value(kind.inner, value, d)
    if d.chance(0.05):
        return d.choose("bogus", "1.5", "", "None", "(1")
    if isinstance(kind, types.Bool):
        return not value
    if isinstance(kind, types.Int):
        return d.choose(-1, 0, 1, 2, 3, d.rank, d.rank + 1, -d.rank, -d.rank - 1, 7, -7, 20)
    if isinstance(kind, types.Float):
        return d.choose(0.0, -1.0, 1e4, -1e4, 1e-20, 2.5, 300.7)
    if isinstance(kind, types.Enum):
        return d.choose(*kind.choices, "bogus")
    if isinstance(kind, types.DTypeName):
        return d.choose(*DTYPES, "bool", "bfloat16", "uint16", "bogus")
    if isinstance(kind, types.Tuple):
        items = list(value) if isinstance(value, tuple) else [1]
        change = d.int(0, 3)
        if change == 0 and items:
            items.pop(d.int(0, len(items) - 1))
        elif change == 1:
            items.insert(d.int(0, len(items)), d.choose(0, 1, 2))
        elif items:
            items[d.int(0, len(items) - 1)] = _odd_value(kind.item, 1, d)
        return tuple(items)
    return "bogus"


def _spelled(value: Any, d: Draft) -> str:
    """Return another text of a value, one that some front end of MXNet has written or might."""
    if isinstance(value, bool):
        return d.choose("1", "true", "TRUE", "t") if value else d.choose("0", "false", "FALSE", "f")
    if isinstance(value, int):
        return d.choose(f"{value}L", f" {value}", f"{value} ", f"+{value}", f"{value}.0", f"{value}e0", f"0{value}")
    if isinstance(value, float):
        return d.choose(f"{value}f", f" {value}", f"{value:e}", f"{value:.3f}", f"+{value}", f"{value} ")
    if value is None:
        return d.choose("None", "none", "", " None")
    if isinstance(value, tuple):
        items = [str(item) for item in value]
        longs = [f"{item}L" if isinstance(item, int) else str(item) for item in value]
        return d.choose(
            *(f"[{', '.join(items)}]", f"({','.join(items)})", f"( {' , '.join(items)} )", f"({', '.join(longs)})"),
            *(",".join(items), f"({', '.join(items)}", f"({', '.join(items)},)", f" ({', '.join(items)}) "),
        )
    return d.choose(f" {value}", f"{value} ", str(value).upper(), str(value).capitalize())


def _spoil(d: Draft, inputs: list[np.ndarray]) -> str:
    """Change one thing about a request; return what."""
    what = d.rng.random()
    if d.op.attrs and (what < 0.55 or not inputs):
        name = d.rng.choice([name for name in d.op.attrs if name != d.op.count] or [d.op.count])
        if d.op.attrs[name].default is REQUIRED and d.chance(0.05):
            d.attrs.pop(name, None)
            return f"no {name}"
        d.attrs[name] = _odd_value(d.op.attrs[name].type, d.attrs.get(name, d.op.attrs[name].default), d)
        return f"{name}"
    if not inputs:
        return "nothing"
    i = d.int(0, len(inputs) - 1)
    if what < 0.8:
        inputs[i] = _reshaped(d, inputs[i])
        return f"shape of input {i}"
    if what < 0.9:
        inputs[i] = _converted(inputs[i], d.choose(*DTYPES))
        return f"dtype of input {i}"
    dtype = d.choose(*DTYPES)
    inputs[:] = [_converted(x, dtype) for x in inputs]
    return f"all {dtype}"


def _converted(array: np.ndarray, dtype: str) -> np.ndarray:
    if np.dtype(dtype).kind in "iu" and array.dtype.kind == "f":
        array = np.nan_to_num(array, nan=0, posinf=5, neginf=-5).clip(-100, 100)
        array = np.abs(array) if np.dtype(dtype).kind == "u" else array
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _reshaped(d: Draft, array: np.ndarray) -> np.ndarray:
    shape = list(array.shape)
    change = d.int(0, 3)
    if change == 0 and len(shape) > 1:
        shape.pop(d.int(0, len(shape) - 1))
    elif change == 1 and len(shape) < 6:
        shape.insert(d.int(0, len(shape)), d.choose(1, 2))
    elif shape:
        shape[d.int(0, len(shape) - 1)] = d.choose(1, 1, 2, 3, 6)
    return np.resize(array, tuple(shape))


# A request -----------------------------------------------------------------------------------------------------------


def choose_op(seed: int, among: list[str]) -> str:
    """Return the operator of a case number."""
    return random.Random(f"op/{seed}").choice(among)


def draw(name: str, seed: int) -> Request:
    """Return the request of an operator and a number."""
    from tests.oracle.hints import HINTS  # the hints are written in terms of this module

    rng = random.Random(f"{name}/{seed}")
    op = registry.get(name)
    d = Draft(op, rng)
    hint = HINTS.get(op.name, Hint())
    if op.variadic or op.inputs:
        low, high = (min(hint.ranks), max(hint.ranks)) if hint.ranks else (1, 4)
        d.shape = hint.shape(d) if hint.shape is not None else d.dims(low, high)
    d.dtype = d.choose(*hint.dtypes.get("", DTYPES)) if d.chance(0.25) else hint.dtypes.get("", DTYPES)[0]
    d.special = d.chance(0.1)
    _draw_attrs(d, hint)
    if op.variadic:
        count = d.attrs.setdefault(op.count, d.int(1, 3))
    try:
        names = op.input_names(op.parse_attrs(d.attrs))
    except MXNetError:
        names = tuple(f"arg{i}" for i in range(count)) if op.variadic else op.inputs
    inputs = _draw_inputs(d, hint, names)
    oddities = ["special values"] if d.special else []
    while d.chance(ODD) and len(oddities) < 3:
        oddities.append(_spoil(d, inputs))
    if d.attrs and d.chance(0.08):
        spelled = rng.choice(list(d.attrs))
        d.attrs[spelled] = _spelled(d.attrs[spelled], d)
        oddities.append(f"spelling of {spelled}")
    wanted = [
        i
        for i, name in enumerate(names)
        if name not in op.aux and inputs[i].dtype.kind == "f" and (hint.grad is None or name in hint.grad)
    ]
    return Request(op.name, seed, d.attrs, inputs, wanted, oddities)
