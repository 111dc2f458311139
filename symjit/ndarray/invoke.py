"""The one path of an imperative operator call: look up, call the cached compiled function, wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax

from symjit import random
from symjit.base import MXNetError
from symjit.context import Context, current_context
from symjit.ndarray.array import NDArray, wrap
from symjit.ops.registry import Op

__all__ = ["invoke"]


@lru_cache(maxsize=4096)
def _compiled(op: Op, static: Any, train: bool) -> Callable[..., Any]:
    """Return the compiled function of an operator and its static attributes; the dynamic ones are arguments."""

    def run(dynamic: tuple[Any, ...], key: Any, inputs: tuple[Any, ...]) -> Any:
        attrs = static._replace(**dict(zip(op.dynamic, dynamic, strict=True))) if dynamic else static
        return op.call(attrs, inputs, key=key, train=train)

    run.__name__ = op.__name__
    return jax.jit(run)


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
    values = op.parse_attrs(attrs)
    dynamic: tuple[Any, ...] = ()
    if op.dynamic:
        dynamic = tuple(getattr(values, name) for name in op.dynamic)
        static = values._replace(**dict.fromkeys(op.dynamic))
    else:
        static = values
    arrays = tuple(x.data for x in inputs)
    where = inputs[0].context if inputs else (ctx or current_context())
    key = random.next_key(where) if op.needs_key else None
    fn = _compiled(op, static, train)
    try:
        with jax.enable_x64(True):
            if inputs:
                outputs, new_aux = fn(dynamic, key, arrays)
            else:
                with jax.default_device(where.device):
                    outputs, new_aux = fn(dynamic, key, arrays)
                outputs = tuple(jax.device_put(x, where.device) for x in outputs)
    except (MXNetError, TypeError, ValueError) as error:
        listed = ", ".join(f"{x.shape} {x.dtype.__name__} on {x.context}" for x in inputs) or "none"
        raise MXNetError(f"operator {op.name}: {error}. Inputs: {listed}") from error
    if new_aux and train:
        states = [x for name, x in zip(op.input_names(values), inputs, strict=True) if name in op.aux]
        for state, value in zip(states, new_aux, strict=True):
            state.assign(value, owned=True)
    outputs = outputs[: op.num_visible(values)]
    if out is not None:
        targets = [out] if isinstance(out, NDArray) else list(out)
        if len(targets) != len(outputs):
            raise MXNetError(f"operator {op.name}: {len(outputs)} outputs, but out holds {len(targets)} arrays")
        for target, value in zip(targets, outputs, strict=True):
            target.assign(value, owned=True)
        return out
    made = [wrap(x, where) for x in outputs]
    return made[0] if len(made) == 1 else made
