"""``symjit explain`` and ``symjit bench``: what a checkpoint is compiled to, and how fast that is."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symjit.base import MXNetError
from symjit.cli.inputs import Refused, device_context, open_shapes
from symjit.cli.memory import peak_resident, resident, restart_peak

if TYPE_CHECKING:
    from symjit.predictor import Predictor

__all__ = ["Bench", "add_to", "bench"]

# No fewer calls than this are timed, however long they take.
_CALLS = 3

_CACHE_HIT = "/jax/compilation_cache/cache_hits"


def add_to(commands: Any, common: argparse.ArgumentParser, device: argparse.ArgumentParser) -> None:
    """Add the commands to a parser."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("prefix", metavar="PREFIX")
    shared.add_argument("--epoch", type=int, default=0)
    shared.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="[NAME=]N,C,H,W",
        help="shape of an input; a literal N, or else the first number, is the batch (default: as the file notes it)",
    )
    shared.add_argument("--json", action="store_true", help="print JSON")
    parents = [common, device, shared]

    explain = commands.add_parser("explain", parents=parents, help="what a checkpoint is compiled to, node by node")
    explain.add_argument("--batch", type=_positive, default=None, metavar="N", help="rows of the batch")
    explain.add_argument("--measure", action="store_true", help="run it too, and compare with the roofline")
    explain.set_defaults(run=_explain)

    timing = commands.add_parser("bench", parents=parents, help="latency, throughput, compile time and memory")
    timing.add_argument(
        "--batch", type=_batches, default=[None], metavar="N,N,...", help="rows of the batch, such as 1,8,32"
    )
    timing.add_argument("--seconds", type=_seconds, default=2.0, help="time each batch size so long (default 2)")
    timing.set_defaults(run=_bench)


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected whole numbers above 0, got {text!r}")
    return int(text)


def _batches(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return value


def _shapes(predictor: Predictor, texts: Sequence[str], batch: int | None) -> tuple[dict[str, tuple[int, ...]], int]:
    """Return the shapes of the inputs, and the rows of the batch.

    A shape that the network does not take as it stands is taken for that of one row.
    """
    given = open_shapes(texts, predictor.inputs)
    known = {**predictor.noted_shapes, **given}
    data = [name for name in predictor.inputs if name not in predictor.states]
    for name in data:
        if name not in known or known[name].count(None) > 1:
            raise Refused(
                f"the file notes no shape of the input {name!r}: pass --shape {name}=..., such as {name}=1,3,224,224"
            )
    known = {name: shape for name, shape in known.items() if name in data or name in given}
    sizes: list[int] = []

    def filled(shape: tuple[int | None, ...]) -> tuple[int, ...]:
        axis = shape.index(None) if None in shape else 0
        size = batch or (shape[axis] if shape and shape[axis] is not None else 1)
        assert size is not None
        if shape:
            sizes.append(size)
        return tuple(size if i == axis else d for i, d in enumerate(shape))  # type: ignore[misc]

    shapes = {name: filled(shape) for name, shape in known.items()}
    try:
        predictor.input_specs(shapes)
    except MXNetError:
        rows = {n: (batch or 1, *s) if n in given and None not in s else shapes[n] for n, s in known.items()}
        try:
            predictor.input_specs(rows)
        except MXNetError:
            pass
        else:
            return rows, batch or 1  # type: ignore[return-value]
        raise
    return shapes, sizes[0] if sizes else 1


# explain -------------------------------------------------------------------------------------------------------------


def _explain(options: argparse.Namespace) -> int:
    from symjit.predictor import Predictor

    predictor = Predictor.load(options.prefix, options.epoch, device_context(options.device))
    shapes, _ = _shapes(predictor, options.shape, options.batch)
    found = predictor.explain(shapes, measure=options.measure)
    print(json.dumps(found.to_dict(), indent=2) if options.json else found)
    return 0


# bench ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """What a network took on inputs of given shapes.

    Attributes:
        batch: rows of the batch.
        shapes: shape of every input that was given.
        first_call: seconds of the first call, which traces and compiles, or loads from the cache.
        cached: whether the first call loaded a compiled program from the cache.
        calls: how many calls were timed after it.
        median: median seconds of a call.
        p95: seconds that 95 of 100 calls take at most.
        rows_per_second: rows answered per second.
        resident: peak growth of the process since before the checkpoint was loaded, in bytes; None where unknown.
        device: peak bytes of the device's allocator since the process started; None where it keeps no account.
    """

    batch: int
    shapes: dict[str, tuple[int, ...]]
    first_call: float
    cached: bool
    calls: int
    median: float
    p95: float
    rows_per_second: float
    resident: int | None
    device: int | None


def bench(
    predictor: Predictor, shapes: Mapping[str, tuple[int, ...]], rows: int, seconds: float, before: int | None
) -> Bench:
    """Time calls on random inputs.

    Args:
        predictor: the network.
        shapes: shapes of the inputs by name.
        rows: rows of the batch that these make.
        seconds: time calls so long.
        before: bytes of the process to count growth from; None not to count.
    """
    rng = np.random.RandomState(0)
    specs = predictor.input_specs(shapes)
    inputs = {name: rng.random_sample(specs[name].shape).astype(specs[name].dtype) for name in shapes}
    restart_peak()
    with _cache_hits() as hits:
        started = time.perf_counter()
        predictor(inputs)
        first = time.perf_counter() - started
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < _CALLS or time.perf_counter() - began < seconds:
        started = time.perf_counter()
        predictor(inputs)
        times.append(time.perf_counter() - started)
    stats = predictor.context.device.memory_stats() or {}
    peak = peak_resident()
    return Bench(
        batch=rows,
        shapes=dict(shapes),
        first_call=first,
        cached=bool(hits),
        calls=len(times),
        median=statistics.median(times),
        p95=float(np.percentile(times, 95)),
        rows_per_second=rows * len(times) / sum(times),
        resident=None if peak is None or before is None else max(peak - before, 0),
        device=stats.get("peak_bytes_in_use"),
    )


@contextmanager
def _cache_hits() -> Iterator[list[str]]:
    """Give a list that holds an item for every compiled program that was loaded from the cache."""
    import jax

    hits: list[str] = []

    def listen(event: str, **_: Any) -> None:
        if event == _CACHE_HIT:
            hits.append(event)

    jax.monitoring.register_event_listener(listen)
    try:
        yield hits
    finally:
        jax.monitoring.unregister_event_listener(listen)


def _bench(options: argparse.Namespace) -> int:
    import jax

    from symjit.predictor import Predictor

    context = device_context(options.device)
    jax.block_until_ready(jax.device_put(np.zeros(1, np.float32), context.device))  # the device's own start
    before = resident()
    started = time.perf_counter()
    predictor = Predictor.load(options.prefix, options.epoch, context)
    load = time.perf_counter() - started
    planned = [_shapes(predictor, options.shape, batch) for batch in options.batch]
    if not options.json:
        print(f"{options.prefix} on {context}: loaded in {1e3 * load:.0f} ms")
        print(_line("batch", "median", "p95", "rows/s", "first call", "memory", "on device", "calls"), flush=True)
    found = []
    for shapes, rows in planned:
        one = bench(predictor, shapes, rows, options.seconds, before)
        found.append(one)
        if not options.json:
            print(_shown(one), flush=True)
    if options.json:
        report = {"prefix": options.prefix, "epoch": options.epoch, "device": str(context), "load": load}
        print(json.dumps({**report, "batches": [asdict(one) for one in found]}, indent=2))
    elif any(one.cached for one in found):
        print("* compiled before: loaded from the cache (SYMJIT_CACHE_SIZE=0 measures without)")
    return 0


def _shown(one: Bench) -> str:
    memory = (f"{size / 1e6:.1f} MB" if size is not None else "-" for size in (one.resident, one.device))
    first = f"{1e3 * one.first_call:.0f} ms{'*' if one.cached else ''}"
    times = (f"{1e3 * one.median:.3f} ms", f"{1e3 * one.p95:.3f} ms", f"{one.rows_per_second:.1f}")
    return _line(str(one.batch), *times, first, *memory, str(one.calls))


def _line(*cells: str) -> str:
    return f"{cells[0]:>5}" + "".join(f"  {cell:>12}" for cell in cells[1:])
