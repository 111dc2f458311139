"""What a node costs, and what a device could do at best: the two sides of a roofline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from symjit.context import cpu
from symjit.ir.graph import Node
from symjit.ir.lower import call_node

__all__ = ["Cost", "bandwidth", "cost", "peak_flops"]

# A measurement takes about so long, and its unit of work at least `_LEAST`: shorter ones measure the launch.
_BUDGET, _LEAST = 0.15, 2e-3
_DOT_SIZES = (512, 1024, 4096)
_COPY_BYTES = 128 << 20

# What changes a shape alone moves nothing: the result is the operand's memory.
_FREE = frozenset({"reshape", "squeeze", "expand_dims"})


@dataclass(frozen=True)
class Cost:
    """What one node does.

    Attributes:
        flops: floating-point operations.
        moves: whether it reads and writes memory; a node that changes a shape alone does not.
    """

    flops: int
    moves: bool


@dataclass(frozen=True)
class _Work:
    """A node as a key: nodes of one operator, attributes and inputs cost the same."""

    op: str | None
    params: Any
    subgraphs: tuple[Any, ...]
    specs: tuple[jax.ShapeDtypeStruct, ...]
    shape: tuple[int, ...] | None
    node: Node = field(compare=False)


def cost(node: Node, specs: Sequence[jax.ShapeDtypeStruct], shape: tuple[int, ...] | None = None) -> Cost:
    """Return what an operator node costs at inference on inputs of these shapes and dtypes.

    Args:
        node: the node.
        specs: of its inputs.
        shape: the result's, for a node that leaves it to its users.

    Raises:
        MXNetError: this process has no CPU device; that is where JAX counts.
    """
    return _cost(_Work(node.op, node.params, node.subgraphs, tuple(specs), shape, node))


@lru_cache(maxsize=8192)
def _cost(work: _Work) -> Cost:
    node = work.node

    def run(key: Any, *inputs: Any) -> Any:
        return call_node(node, inputs, key=key, shape=work.shape)[0]

    # JAX counts before compiling for the CPU alone; the operations are the same ones everywhere.
    with jax.enable_x64(True), jax.default_device(cpu().device):
        key = jax.eval_shape(lambda: jax.random.key(0)) if node.operator.needs_key else None
        traced = jax.jit(run).trace(key, *work.specs)
        flops = _counted(traced) + _repeated(traced.jaxpr.jaxpr)
    return Cost(max(round(flops), 0), _moves(traced.jaxpr.jaxpr))


def _counted(traced: Any) -> float:
    """Return the FLOPs that XLA counts. It multiplies nothing by the length of a loop."""
    found = traced.lower().cost_analysis()
    return float(found.get("flops", 0.0)) if found else 0.0


def _repeated(jaxpr: Any) -> float:
    """Return the FLOPs of all iterations of loops of known length but the first, which XLA counts."""
    more = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            body = equation.params["jaxpr"]
            once = _counted(jax.jit(jax.extend.core.jaxpr_as_fun(body)).trace(*body.in_avals))
            more += equation.params["length"] * (once + _repeated(body.jaxpr)) - once
        else:
            more += sum(_repeated(each) for each in _inner(equation))
    return more


def _moves(jaxpr: Any) -> bool:
    return any(
        any(map(_moves, inner)) if (inner := _inner(equation)) else equation.primitive.name not in _FREE
        for equation in jaxpr.eqns
    )


def _inner(equation: Any) -> list[Any]:
    """Return the functions that an equation calls."""
    found = []
    for value in equation.params.values():
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(each, jax.extend.core.ClosedJaxpr):
                found.append(each.jaxpr)
            elif isinstance(each, jax.extend.core.Jaxpr):
                found.append(each)
    return found


@lru_cache(maxsize=64)
def peak_flops(device: Any, dtype: str = "float32") -> float:
    """Return the FLOP/s of a large matrix product on a device, measured once in this process."""
    best = 0.0
    for size in _DOT_SIZES:
        # The mean of ones is one, so that the product of the product stays what it is.
        ones = jax.device_put(np.ones((size, size), dtype), device)
        mean = jax.device_put(np.full((size, size), 1 / size).astype(dtype), device)
        dot = jax.jit(jnp.matmul)
        seconds = _fastest(lambda x, by=mean, dot=dot: dot(x, by), ones)
        best = max(best, 2 * size**3 / seconds)
        if seconds >= _LEAST:
            break
    return best


@lru_cache(maxsize=16)
def bandwidth(device: Any) -> float:
    """Return the bytes per second that a device reads and writes far outside its caches, measured once."""
    value = jax.device_put(np.zeros(_COPY_BYTES // 4, np.float32), device)
    # In place: the pages of a fresh result would be counted with the copy.
    step = jax.jit(lambda x: x + 1, donate_argnums=0)
    return 2 * _COPY_BYTES / _fastest(step, value)


def _fastest(step: Callable[[Any], Any], value: Any) -> float:
    """Return the seconds of one `step`, the best of several runs; each takes the result of the one before."""
    value = jax.block_until_ready(step(value))
    count, best, started = 1, float("inf"), time.perf_counter()
    while True:
        before = time.perf_counter()
        for _ in range(count):
            value = step(value)
        jax.block_until_ready(value)
        now = time.perf_counter()
        best = min(best, (now - before) / count)
        if now - started > _BUDGET:
            return best
        if now - before < _LEAST:
            count *= 2
