"""The one path of an imperative operator call: look up, call the cached compiled function, wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from symjit import random
from symjit.base import MXNetError
from symjit.context import Context, current_context
from symjit.ndarray.array import Cell, NDArray
from symjit.ops.registry import Op, known_inputs
from symjit.ops.shapes import Rule, unify

__all__ = ["invoke", "run", "split_dynamic"]


class _Call(NamedTuple):
    """The compiled function of an operator and its static attributes, and how many of its outputs are visible."""

    fn: Callable[..., Any]
    visible: int


@lru_cache(maxsize=4096)
def _compiled(op: Op, static: Any, train: bool, device: Any = None) -> _Call:
    """Return what runs an operator; the dynamic attributes are arguments, `device` is where no input says it."""

    def call(dynamic: tuple[Any, ...], key: Any, inputs: tuple[Any, ...]) -> Any:
        attrs = _joined(op, static, dynamic)
        _check_inputs(op, attrs, inputs)
        return op.call(attrs, inputs, key=key, train=train)

    call.__name__ = op.__name__
    placed = jax.jit(call) if device is None else jax.jit(call, out_shardings=SingleDeviceSharding(device))
    return _Call(placed, op.num_visible(static))


@lru_cache(maxsize=1024)
def _compiled_in_place(op: Op, static: Any, train: bool) -> _Call:
    """Return what runs an operator whose result replaces its first input, and may take over that one's buffer."""

    def call(target: Any, dynamic: tuple[Any, ...], key: Any, others: tuple[Any, ...]) -> Any:
        attrs = _joined(op, static, dynamic)
        _check_inputs(op, attrs, (target, *others))
        outputs, new_aux = op.call(attrs, (target, *others), key=key, train=train)
        _check_out(outputs[:visible], [target])  # while nothing has been given away
        return outputs, new_aux

    visible = op.num_visible(static)
    call.__name__ = f"{op.__name__}_in_place"
    return _Call(jax.jit(call, donate_argnums=0), visible)


def _check_inputs(op: Op, attrs: Any, inputs: Sequence[Any]) -> None:
    """Raise where dtypes or shapes are not what the operator's rules want; runs while tracing, once per shape.

    MXNet converts no dtype by itself, and a weight of another size than ``num_hidden`` would compute something.
    """
    have = [np.dtype(x.dtype) for x in inputs]
    same = have[:1] * len(have)
    wanted = same if op.dtype_rule is None else _deduced(op, op.dtype_rule, attrs, have)
    for name, dtype, want in zip(op.input_names(attrs), have, wanted, strict=True):
        if want is not None and np.dtype(want) != dtype:
            raise MXNetError(f"input {name!r} must be {np.dtype(want).name}, not {dtype.name}; convert it with astype")
    if op.shape_rule is None:
        return
    shapes = [tuple(x.shape) for x in inputs]
    for name, shape, want in zip(
        op.input_names(attrs), shapes, _deduced(op, op.shape_rule, attrs, shapes), strict=True
    ):
        try:
            unify(shape, want)
        except ValueError as error:
            raise MXNetError(f"input {name!r}: shape {want} expected, got {shape}: {error}") from None


def _deduced(op: Op, rule: Rule, attrs: Any, have: Sequence[Any]) -> Sequence[Any]:
    """Return what a rule says of the inputs, given all of them."""
    deduced = rule(attrs, known_inputs(op, attrs, have, [None] * op.num_outputs(attrs)))
    if op.variadic:
        return deduced.get("args") or have
    return [deduced.get(name) for name in op.input_names(attrs)]


def split_dynamic(op: Op, attrs: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return typed attributes as ``(static, dynamic)`` for `run`: the dynamic values are None in the static part."""
    if not op.dynamic:
        return attrs, ()
    return attrs._replace(**dict.fromkeys(op.dynamic)), tuple(getattr(attrs, name) for name in op.dynamic)


def _joined(op: Op, static: Any, dynamic: tuple[Any, ...]) -> Any:
    return static._replace(**dict(zip(op.dynamic, dynamic, strict=True))) if dynamic else static


def invoke(
    op: Op,
    inputs: Sequence[NDArray],
    attrs: dict[str, Any],
    *,
    out: NDArray | Sequence[NDArray] | None = None,
    ctx: Context | None = None,
    train: bool = False,
) -> Any:
    """Run an operator now.

    Args:
        op: the operator.
        inputs: its inputs, auxiliary states included.
        attrs: attribute values or texts.
        out: arrays to write the result to instead of new ones.
        ctx: where to run an operator without inputs; the current context if None.
        train: whether this is a training forward.

    Returns:
        One NDArray, or a list of the visible outputs.

    Raises:
        MXNetError: an attribute, a shape or a dtype does not fit; the message names the operator.
    """
    static, dynamic = split_dynamic(op, op.parse_attrs(attrs))
    return run(op, static, dynamic, inputs, out=out, ctx=ctx, train=train)


def run(
    op: Op,
    static: Any,
    dynamic: tuple[Any, ...],
    inputs: Sequence[NDArray],
    *,
    out: NDArray | Sequence[NDArray] | None = None,
    ctx: Context | None = None,
    train: bool = False,
) -> Any:
    """Run an operator whose attributes have been parsed and split by `split_dynamic`; otherwise as `invoke`."""
    where = inputs[0]._cell.context if inputs else (ctx or current_context())
    key = random.next_key(where) if op.needs_key and op.draws(_joined(op, static, dynamic), train) else None
    train = train and op.needs_train
    arrays = tuple([x.data for x in inputs])
    try:
        with jax.enable_x64(True):
            if out is not None and inputs and out is inputs[0] and _replaceable(inputs[0], arrays):
                made = _compiled_in_place(op, static, train)
                outputs, new_aux = made.fn(arrays[0], dynamic, key, arrays[1:])
            else:
                made = _compiled(op, static, train, None if inputs else where.device)
                outputs, new_aux = made.fn(dynamic, key, arrays)
    except (MXNetError, TypeError, ValueError, jax.errors.JaxRuntimeError) as error:
        listed = ", ".join(f"{x.shape} {x.dtype.__name__} on {x.context}" for x in inputs) or "none"
        raise MXNetError(f"operator {op.name}: {error}. Inputs: {listed}") from error
    if new_aux and train:
        states = inputs[len(inputs) - len(op.aux) :]
        for state, value in zip(states, new_aux, strict=True):
            state.assign(value, owned=True)
    if out is not None:
        _store(op, outputs[: made.visible], [out] if isinstance(out, NDArray) else out, where)
        return out
    if made.visible == 1:
        return NDArray(Cell(outputs[0], where))
    return [NDArray(Cell(x, where)) for x in outputs[: made.visible]]


def _replaceable(target: NDArray, arrays: Sequence[jax.Array]) -> bool:
    """Return whether the first of these arrays may be given away: nobody else holds it, and it occurs once."""
    return target._shape is None and not target._cell.shared and all(x is not arrays[0] for x in arrays[1:])


def _check_out(outputs: Sequence[Any], targets: Sequence[Any]) -> None:
    """Raise unless there is one target of the right shape and dtype for each output."""
    if len(targets) != len(outputs):
        raise MXNetError(f"there are {len(outputs)} outputs, but out holds {len(targets)} arrays")
    for value, target in zip(outputs, targets, strict=True):
        if value.shape != target.shape or value.dtype != target.dtype:
            raise MXNetError(
                f"the result is {value.shape} {value.dtype.name}, but out is an array of {target.shape}"
                f" {np.dtype(target.dtype).name}"
            )


def _store(op: Op, outputs: Sequence[jax.Array], targets: Sequence[NDArray], where: Context) -> None:
    try:
        _check_out(outputs, targets)
    except MXNetError as error:
        raise MXNetError(f"operator {op.name}: {error}") from None
    for target, value in zip(targets, outputs, strict=True):
        cell = target._cell
        if target._shape is None and cell.context == where:  # what `assign` would find, found sooner
            cell.put(value)
        else:
            target.assign(value, owned=True)
