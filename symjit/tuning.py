"""Choose strategies by timing them, once per operator, attributes, shapes and kind of device.

Winners are kept in a file for each kind of device, in the folder of `symjit.config.CACHE_DIR`. Processes may share it:
the file is replaced whole, under a lock and after reading what others have added.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from filelock import FileLock, Timeout

from symjit import config
from symjit.base import MXNetError
from symjit.ir.graph import Node
from symjit.ir.passes.strategy import Choice, applicable, heuristic
from symjit.ndarray.atomic import write_file
from symjit.ops.derived import Strategy

__all__ = ["Tuner", "choice"]

#: The operator's own lowering among the winners.
_DEFAULT = "default"
# Rounds in which every candidate runs once, and the seconds after which no further one begins.
_ROUNDS, _BUDGET = 15, 0.3
# So many winners a file keeps; the oldest go first.
_MOST = 20_000
_PATIENCE = 10.0


def choice(platform: str, train: bool, options: Mapping[str, str]) -> Choice:
    """Return how strategies are chosen, as `symjit.config.AUTOTUNE` has it now.

    Args:
        platform: what the graph will run on.
        train: whether for a training step; candidates are then timed forward and backward.
        options: compile options that the graph will have.
    """
    mode = config.AUTOTUNE.get()
    rules = heuristic(platform, train)
    if mode == "off":
        return rules

    def choose(node: Node, specs: Sequence[Any]) -> str | None:
        tuner = _tuner(_kind(platform), config.CACHE_DIR.get())
        found = tuner.winner(node, specs, train)
        if found is None and mode == "on":
            found = tuner.measure(node, specs, platform, train, options)
        return rules(node, specs) if found is None else (None if found == _DEFAULT else found)

    return choose


@lru_cache(maxsize=8)
def _tuner(kind: str, folder: Path) -> Tuner:
    return Tuner(kind, folder)


def _kind(platform: str) -> str:
    return f"{jax.devices(platform)[0].device_kind}-jax{jax.__version__}"


class Tuner:
    """The winners of one kind of device.

    Attributes:
        path: the file that keeps them.
        measured: how many nodes this object has timed.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.path = folder / "strategies" / (re.sub(r"[^\w.-]+", "_", kind) + ".json")
        self.measured = 0
        self._lock = threading.Lock()
        self._winners = self._read()

    def winner(self, node: Node, specs: Sequence[Any], train: bool) -> str | None:
        """Return the fastest strategy of a node, ``"default"`` for the operator's own lowering, None if not known."""
        return self._winners.get(_key(node, specs, train))

    def measure(
        self, node: Node, specs: Sequence[Any], platform: str, train: bool, options: Mapping[str, str]
    ) -> str | None:
        """Time the strategies that apply to a node, keep the winner and return it; None if there is no choice."""
        candidates = _candidates(node, specs, platform, train)
        if len(candidates) < 2:
            return None
        with self._lock:
            key = _key(node, specs, train)
            if key not in self._winners:
                # A thread of its own, for this may be called while JAX traces, and tracing is a state of the thread.
                with ThreadPoolExecutor(1) as pool:
                    times = pool.submit(_race, candidates, node, specs, options).result()
                self.measured += 1
                self._keep(key, min(times, key=lambda name: times[name]))
            return self._winners[key]

    def _keep(self, key: str, winner: str) -> None:
        self._winners[key] = winner
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=_PATIENCE):
                merged = {**self._read(), **self._winners}
                self._winners = dict(list(merged.items())[-_MOST:])
                text = json.dumps({"version": 1, "winners": self._winners}, indent=0)
                write_file(self.path, [text.encode()])
        except (OSError, Timeout, MXNetError) as error:
            warnings.warn(f"the winners among strategies are not kept: {error}", stacklevel=2)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_bytes())
            winners = found["winners"]
            if found["version"] != 1 or not all(isinstance(x, str) for x in winners.values()):
                raise ValueError("not written by this version")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            warnings.warn(f"{self.path}: ignored and written anew: {error}", stacklevel=2)
            return {}
        return dict(winners)


def _key(node: Node, specs: Sequence[Any], train: bool) -> str:
    shapes = " ".join(f"{np.dtype(x.dtype).name}{list(x.shape)}" for x in specs)
    attrs = ",".join(f"{k}={v}" for k, v in sorted(node.operator.format_attrs(node.params).items()))
    return f"{node.operator.name} {attrs} {shapes}{' train' if train else ''}"


class _Candidate(NamedTuple):
    """A way to compute a node: `run` takes its inputs, what `prepare` makes of the weight in the weight's place."""

    run: Callable[..., Any]
    prepare: Callable[[Any], Sequence[Any]]


def _candidates(node: Node, specs: Sequence[Any], platform: str, train: bool) -> dict[str, _Candidate]:
    """Return the ways to compute a node by name. In training the preparation is part of the step."""
    attrs = node.params

    def own(*inputs: Any) -> Any:
        return node.operator.call(attrs, inputs, train=train)[0]

    def made(strategy: Strategy) -> _Candidate:
        def prepare(weight: Any) -> Sequence[Any]:
            return (weight,) if strategy.prepare is None else strategy.prepare.call(attrs, [weight])[0]

        def run(*inputs: Any) -> Any:
            return strategy.op.call(attrs, inputs)[0]

        def step(data: Any, weight: Any, *rest: Any) -> Any:
            return run(data, *prepare(weight), *rest)

        return _Candidate(_with_gradient(step), _same) if train else _Candidate(run, prepare)

    default = _Candidate(_with_gradient(own) if train else own, _same)
    return {_DEFAULT: default, **{s.name: made(s) for s in applicable(node, specs, platform, train)}}


def _same(weight: Any) -> Sequence[Any]:
    return (weight,)


def _with_gradient(run: Callable[..., Any]) -> Callable[..., Any]:
    def step(*inputs: Any) -> Any:
        outputs, back = jax.vjp(run, *inputs)
        return outputs, back(outputs)

    return step


def _race(
    candidates: Mapping[str, _Candidate], node: Node, specs: Sequence[Any], options: Mapping[str, str]
) -> dict[str, float]:
    """Return the least seconds that each candidate took; one that fails takes for ever."""
    rng = np.random.default_rng(0)
    data, weight, *rest = (rng.standard_normal(spec.shape).astype(spec.dtype) for spec in specs)
    times = dict.fromkeys(candidates, math.inf)
    calls: dict[str, Callable[[], Any]] = {}
    with jax.enable_x64(True):
        for name, candidate in candidates.items():
            try:
                inputs = jax.device_put((data, *candidate.prepare(weight), *rest))
                compiled = jax.jit(candidate.run, compiler_options=dict(options)).lower(*inputs).compile()
                jax.block_until_ready(compiled(*inputs))
            except (jax.errors.JaxRuntimeError, MXNetError, TypeError, ValueError) as error:
                warnings.warn(f"strategy {name} of node {node.name!r} ({node.op}): {error}", stacklevel=2)
                continue
            calls[name] = partial(compiled, *inputs)
        start = time.perf_counter()
        for turn in range(_ROUNDS):
            if turn > 2 and time.perf_counter() - start > _BUDGET:
                break
            for name, call in calls.items():
                begin = time.perf_counter()
                jax.block_until_ready(call())
                times[name] = min(times[name], time.perf_counter() - begin)
    return times
