"""What the compiler made of a network: its passes, and what every node of the result does.

`Explanation` is what `symjit.Predictor.explain` and ``symjit explain`` return and print.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from symjit.base import plain
from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.infer import Inference, infer
from symjit.ir.lower import is_open
from symjit.ir.passes.parameters import constant_nodes
from symjit.ops import registry
from symjit.ops.derived import Derived
from symjit.program import Prediction
from symjit.roofline import bandwidth, cost, peak_flops

__all__ = ["Explanation", "NodeReport", "PassReport", "Prepared", "Tally", "explain"]

#: What a node that uses its operator's own lowering has in place of a strategy's name.
DEFAULT = "default"

# A measured latency is the median of runs that take so long together, and of no fewer than this.
_SECONDS, _RUNS = 0.5, 5

# From here on FLOPs and bytes are printed in millions.
_MANY_FLOPS = 1e8


@dataclass(frozen=True)
class PassReport:
    """What one pass did.

    Attributes:
        name: the pass.
        before: operator nodes that ran with every call before it.
        after: the same after it.
        changes: what changed, such as ``"53 BatchNorm folded into parameters"``; empty if nothing did.
    """

    name: str
    before: int
    after: int
    changes: tuple[str, ...]


@dataclass(frozen=True)
class NodeReport:
    """One operator node of the compiled graph.

    Attributes:
        name: the node's name.
        operator: its operator; of a node with a strategy, the operator whose strategy it is.
        strategy: name of the strategy, ``"default"`` for the operator's own lowering.
        shapes: shapes of its outputs, for the whole batch.
        slices: into how many pieces the batch is cut for it.
        flops: floating-point operations of the lowering that was chosen, as XLA counts them.
        bytes: size of its inputs and of those outputs that are read, each once; 0 if it only changes a shape.
        seconds: the least time it can take on its own: that of its FLOPs or that of its bytes, whichever is longer.
        share: `seconds` as a part of the whole network's.
        bound: which of the two it is, ``"compute"`` or ``"memory"``; empty if it does nothing.
    """

    name: str
    operator: str
    strategy: str
    shapes: tuple[tuple[int, ...], ...]
    slices: int
    flops: int
    bytes: int
    seconds: float
    share: float
    bound: str


@dataclass(frozen=True)
class Prepared:
    """An array that the compiled function takes beside the inputs.

    Attributes:
        name: its name in the compiled graph.
        shape: its shape.
        dtype: its dtype.
        bytes: its size.
        computed: whether it was computed from parameters; otherwise it is one, as it was loaded.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    computed: bool


@dataclass(frozen=True)
class Tally:
    """All nodes of one operator and strategy together; attributes as in `NodeReport`."""

    operator: str
    strategy: str
    count: int
    flops: int
    bytes: int
    seconds: float
    share: float


@dataclass(frozen=True)
class Explanation:
    """What a network became for inputs of given shapes.

    Attributes:
        device: the device, such as ``"cpu:0"``.
        inputs: shape and dtype of every input of the compiled function; a padded batch has its padded size.
        passes: what the passes did, in order.
        nodes: the operator nodes of the compiled graph, in order.
        transposes: how many of them are transposes.
        transposes_given: how many of those the graph had that was given.
        parameters: the arrays that the compiled function takes beside the inputs.
        peaks: FLOP/s of a matrix product on this device, measured, for every floating-point dtype of the nodes.
        bandwidth: bytes per second of a copy on this device, measured.
        measured: median seconds of the compiled function on random inputs; None if it was not measured.
    """

    device: str
    inputs: dict[str, tuple[tuple[int, ...], str]]
    passes: tuple[PassReport, ...]
    nodes: tuple[NodeReport, ...]
    transposes: int
    transposes_given: int
    parameters: tuple[Prepared, ...]
    peaks: dict[str, float]
    bandwidth: float
    measured: float | None = None

    @property
    def flops(self) -> int:
        """FLOPs of all nodes."""
        return sum(node.flops for node in self.nodes)

    @property
    def bytes(self) -> int:
        """Bytes of all nodes."""
        return sum(node.bytes for node in self.nodes)

    @property
    def seconds(self) -> float:
        """Roofline time of all nodes, one after the other."""
        return sum(node.seconds for node in self.nodes)

    @property
    def explained(self) -> float | None:
        """The roofline time as a part of the measured one; None if it was not measured."""
        return None if not self.measured else self.seconds / self.measured

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all arrays that the compiled function takes beside the inputs."""
        return sum(item.bytes for item in self.parameters)

    @cached_property
    def by_operator(self) -> tuple[Tally, ...]:
        """The nodes added up by operator and strategy, the longest time first."""
        groups: dict[tuple[str, str], list[NodeReport]] = {}
        for node in self.nodes:
            groups.setdefault((node.operator, node.strategy), []).append(node)
        tallies = (
            Tally(
                *key,
                len(group),
                sum(node.flops for node in group),
                sum(node.bytes for node in group),
                sum(node.seconds for node in group),
                sum(node.share for node in group),
            )
            for key, group in groups.items()
        )
        return tuple(sorted(tallies, key=lambda tally: -tally.seconds))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON types, totals included."""
        totals = ("flops", "bytes", "seconds", "explained", "parameter_bytes")
        return {
            **asdict(self),
            "by_operator": [asdict(tally) for tally in self.by_operator],
            **{name: getattr(self, name) for name in totals},
        }

    def __str__(self) -> str:
        given = ", ".join(f"{plain(name)} {shape} {dtype}" for name, (shape, dtype) in self.inputs.items())
        lines = [f"device: {self.device}", f"inputs: {given or 'none'}", "", "passes (operator nodes per call)"]
        lines += _table(
            [
                (item.name, f"{item.before} -> {item.after}", "; ".join(item.changes) or "nothing to do")
                for item in self.passes
            ],
            "<><",
        )
        # One unit for the whole table, so that its columns can be compared.
        unit, by = ("M", 1e6) if self.flops >= _MANY_FLOPS else ("k", 1e3)

        def figures(of: NodeReport | Tally | Explanation, share: float) -> tuple[str, str, str, str]:
            return f"{of.flops / by:.2f}", f"{of.bytes / by:.2f}", f"{of.seconds * 1e6:.1f}", f"{100 * share:.1f} %"

        columns = (f"{unit}FLOP", f"{unit}B", "us", "share")
        rows = [
            (plain(n.name), n.operator, n.strategy, _outputs(n.shapes), *figures(n, n.share), n.bound)
            for n in self.nodes
        ]
        total = ("total", "", "", "", *figures(self, sum(node.share for node in self.nodes)), "")
        head = ("node", "operator", "strategy", "output", *columns, "bound")
        lines += ["", *_table([head, *rows, total], "<<<<>>>><")]
        tallies = [(t.operator, t.strategy, str(t.count), *figures(t, t.share)) for t in self.by_operator]
        lines += ["", *_table([("by operator", "strategy", "nodes", *columns), *tallies], "<<>>>>>")]
        return "\n".join([*lines, "", *self._summary()])

    def _summary(self) -> list[str]:
        computed = [item for item in self.parameters if item.computed]
        loaded = [item for item in self.parameters if not item.computed]
        peaks = ", ".join(f"{peak / 1e9:.4g} GFLOP/s in {name}" for name, peak in self.peaks.items())
        lines = [
            f"transposes left: {self.transposes} ({self.transposes_given} in the graph as given)",
            f"parameters: {len(computed)} prepared once ({_mega(computed)}), {len(loaded)} as loaded ({_mega(loaded)})",
            f"the device at its best, measured: {peaks}, {self.bandwidth / 1e9:.4g} GB/s",
            f"roofline: {self.seconds * 1e3:.3f} ms",
        ]
        if self.measured is not None and self.explained is not None:
            lines.append(
                f"measured: {self.measured * 1e3:.3f} ms; the roofline explains {100 * self.explained:.0f} % of it"
            )
        return lines


def _mega(items: Iterable[Prepared]) -> str:
    return f"{sum(item.bytes for item in items) / 1e6:.2f} MB"


def _outputs(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return the shape of the first output, and how many more there are."""
    return "-" if not shapes else f"{shapes[0]}{f' +{len(shapes) - 1}' if len(shapes) > 1 else ''}"


def _table(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Return the rows as lines of aligned columns; `sides` has ``<`` or ``>`` for each column."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(sides))] if rows else []
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def explain(
    prediction: Prediction, values: Mapping[str, Any] | None = None, *, key: Any = None, device: Any = None
) -> Explanation:
    """Explain a compiled forward.

    Args:
        prediction: the forward; nothing is compiled for it here unless it is measured.
        values: the arrays that it takes (`Prediction.inputs`) by name, to measure its latency on; None not to.
        key: the random key, where it needs one to be measured.
        device: the JAX device whose peaks count; JAX's default if None.
    """
    device = device or jax.devices()[0]
    split = prediction.split
    body, prepared = _specs(prediction)
    rows, peaks, speed = _nodes(split.graph, body, device)
    constant = prediction.constant
    names = [node.name for node in split.graph.variables]
    inputs = [name for name in names if name not in prepared and name not in constant]
    by_name = {node.name: body.spec(Entry(node)) for node in split.graph.variables}
    transposes, given = (_transposes(graph) for graph in (split.graph, prediction.steps[0].graph))
    return Explanation(
        device=f"{device.platform}:{device.id}",
        inputs={name: (tuple(by_name[name].shape), by_name[name].dtype.name) for name in inputs},
        passes=_passes(prediction),
        nodes=rows,
        transposes=transposes,
        transposes_given=given,
        parameters=tuple(
            Prepared(name, tuple(spec.shape), spec.dtype.name, _size(spec), name in prepared)
            for name, spec in by_name.items()
            if name not in inputs
        ),
        peaks=peaks,
        bandwidth=speed,
        measured=None if values is None else _latency(prediction, values, key),
    )


def _latency(prediction: Prediction, values: Mapping[str, Any], key: Any) -> float:
    with jax.enable_x64(True):
        given = [values[name] for name in prediction.inputs]
        jax.block_until_ready(prediction.run(given, key))
        times: list[float] = []
        while len(times) < _RUNS or sum(times) < _SECONDS:
            started = time.perf_counter()
            jax.block_until_ready(prediction.run(given, key))
            times.append(time.perf_counter() - started)
    return statistics.median(times)


# Nodes ---------------------------------------------------------------------------------------------------------------


def _size(spec: Any) -> int:
    return int(np.prod(spec.shape, dtype=np.int64)) * np.dtype(spec.dtype).itemsize


def _specs(prediction: Prediction) -> tuple[Inference, Collection[str]]:
    """Return shapes and dtypes of the compiled graph, and the names of what the prologue computes."""
    split = prediction.split
    shapes, dtypes = ({name: spec[i] for name, spec in prediction.specs.items()} for i in (0, 1))
    prologue = infer(split.prologue, shapes, dtypes, train=False)
    made = dict(zip(split.names, map(prologue.spec, split.prologue.heads), strict=True))
    shapes |= {name: spec.shape for name, spec in made.items()}
    dtypes |= {name: spec.dtype for name, spec in made.items()}
    return infer(split.graph, shapes, dtypes, train=False), made.keys()


def _nodes(graph: Graph, specs: Inference, device: Any) -> tuple[tuple[NodeReport, ...], dict[str, float], float]:
    """Return the rows of a graph's operator nodes, the peaks that they use, and the bandwidth."""
    read = {(id(e.node), e.index) for e in (*graph.heads, *(e for node in graph.nodes for e in node.inputs))}
    peaks: dict[str, float] = {}
    speed = bandwidth(device)
    found = []
    for node in graph.nodes:
        if node.op is None:
            continue
        outputs = [Entry(node, i) for i in range(node.num_outputs)]
        done = cost(
            node,
            [specs.spec(entry) for entry in node.inputs],
            tuple(specs.spec(outputs[0]).shape) if is_open(node) else None,
        )
        touched = {(id(e.node), e.index): e for e in (*node.inputs, *outputs)}
        size = sum(_size(specs.spec(entry)) for place, entry in touched.items() if place in read) * done.moves
        name = np.dtype(specs.spec(outputs[0]).dtype).name
        # Whole numbers are seldom multiplied; they are given the rate of MXNet's own dtype.
        name = name if jax.numpy.issubdtype(name, np.floating) else "float32"
        if name not in peaks:
            peaks[name] = peak_flops(device, name)
        compute, memory = done.flops / peaks[name], size / speed
        found.append((node, outputs, done.flops, size, max(compute, memory), compute > memory))
    whole = sum(seconds for *_, seconds, _ in found)
    rows = tuple(
        NodeReport(
            name=node.name,
            operator=_named(node)[0],
            strategy=_named(node)[1],
            shapes=tuple(tuple(specs.spec(entry).shape) for entry in outputs),
            slices=node.slices,
            flops=flops,
            bytes=size,
            seconds=seconds,
            share=seconds / whole if whole else 0.0,
            bound="" if not seconds else "compute" if computes else "memory",
        )
        for node, outputs, flops, size, seconds, computes in found
    )
    return rows, peaks, speed


def _named(node: Node) -> tuple[str, str]:
    """Return the names of a node's operator and strategy."""
    operator = node.operator
    if isinstance(operator, Derived):
        for strategy in operator.base.strategies.values():
            if strategy.op is operator:
                return operator.base.name, strategy.name
    return operator.name, DEFAULT


def _transposes(graph: Graph) -> int:
    transpose = registry.get("transpose")
    return sum(node.op is not None and node.operator is transpose for node in graph.nodes)


# Passes --------------------------------------------------------------------------------------------------------------


class _Census:
    """The operator nodes of a graph by operator: those that run with every call, and those that run once."""

    def __init__(self, graph: Graph, parameters: Collection[str]) -> None:
        constant = constant_nodes(graph, parameters)
        self.running: Counter[str] = Counter()
        self.once: Counter[str] = Counter()
        self.attrs: dict[str, Counter[Any]] = {}
        self.slices = Counter(node.slices for node in graph.nodes if node.op is not None and node.slices > 1)
        for node in graph.nodes:
            if node.op is None:
                continue
            name = node.operator.name
            (self.once if id(node) in constant else self.running)[name] += 1
            if id(node) not in constant:
                self.attrs.setdefault(name, Counter())[node.params] += 1


def _passes(prediction: Prediction) -> tuple[PassReport, ...]:
    steps = prediction.steps
    counted = [_Census(step.graph, prediction.constant) for step in steps]
    return tuple(
        PassReport(step.name, before.running.total(), after.running.total(), tuple(_changes(before, after)))
        for step, before, after in zip(steps[1:], counted, counted[1:], strict=False)
    )


def _base(name: str) -> str | None:
    """Return the operator that another one is derived from."""
    operator = registry.lookup(name)
    return operator.base.name if isinstance(operator, Derived) else None


def _changes(before: _Census, after: _Census) -> list[str]:
    """Tell two counts apart in words; what became of an operator follows from what is derived from it."""
    lost, gained = before.running - after.running, after.running - before.running
    once, no_more = after.once - before.once, before.once - after.once
    lines = []
    for name, count in lost.items():
        for heir in [each for each in gained if _base(each) == name]:
            taken = min(count, gained.pop(heir))
            lines.append(f"{taken} {name} as {heir.partition('@')[2]}")
            count -= taken
        if count:
            folded = any(name in (each, _base(each)) for each in once)
            lines.append(f"{count} {name} {'folded into parameters' if folded else 'removed'}")
    lines += _listed(gained, "added")
    lines += _listed(once, "prepared once")
    lines += _listed(no_more, "prepared no more")
    lines += [f"{n} nodes run on 1/{k} of the batch at a time" for k, n in (after.slices - before.slices).items()]
    kept = {
        name: min(before.running[name], after.running[name]) - (counts & after.attrs[name]).total()
        for name, counts in before.attrs.items()
        if name in after.attrs
    }
    return lines + _listed({name: count for name, count in kept.items() if count}, "with new attributes")


def _listed(counts: Mapping[str, int], what: str) -> list[str]:
    return [f"{', '.join(f'{count} {name}' for name, count in counts.items())} {what}"] if counts else []
