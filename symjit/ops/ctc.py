"""Connectionist temporal classification."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from symjit.ops.registry import op
from symjit.ops.shapes import Known, unify

__all__: list[str] = []

# The logarithm of probability zero: finite, so that no difference of infinities enters a gradient.
_NEVER = -1e30


def _rounded(x: Any) -> Any:
    """Return labels or lengths as integers, rounded with halves up; other operators cut fractions off."""
    return jnp.floor(x + 0.5).astype(jnp.int32) if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.int32)


def _absent(a: Any) -> tuple[str, ...]:
    return (*(() if a.use_data_lengths else ("data_lengths",)), *(() if a.use_label_lengths else ("label_lengths",)))


@op(
    "CTCLoss",
    "ctc_loss",
    "_contrib_CTCLoss",
    "_contrib_ctc_loss",
    absent=_absent,
    outputs=2,
    visible=1,
    role={"label": "label"},
)
def ctc_loss(
    data: Any,
    label: Any,
    data_lengths: Any = None,
    label_lengths: Any = None,
    *,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: Literal["first", "last"] = "first",
) -> Any:
    """Compute ``-log p(label | data)``, summed over all alignments (Graves et al., ICML 2006).

    data (T, N, C) of scores before the softmax; label (N, L) of classes, of any dtype -> loss (N,). The hidden second
    output is the loss's gradient (T, N, C).

    ``blank_label="first"``: class 0 is the blank and labels are 1 ... C-1; ``"last"``: class C-1 is the blank and
    labels are 0 ... C-2. A label sequence ends before its first padding value, 0 or -1 respectively, or has
    ``label_lengths`` (N,) entries. ``data_lengths`` (N,) bounds the steps that count; those beyond have gradient 0.

    A label that does not fit into its steps (with one more step between equal neighbours) has loss 0, as in MXNet, and
    gradient 0, where MXNet leaves the gradient unset. MXNet's CPU build takes float32 data only; this takes any float.
    """
    if not jnp.issubdtype(data.dtype, jnp.floating):
        raise ValueError(f"expected data of a floating dtype, got {data.dtype}; cast it with Cast(dtype='float32')")
    steps, batch, classes = data.shape
    if label.ndim != 2 or label.shape[0] != batch:
        raise ValueError(f"expected a label of shape ({batch}, length) for data {data.shape}, got {label.shape}")
    if label.shape[1] > steps:
        raise ValueError(f"the label holds up to {label.shape[1]} entries, more than the {steps} steps of the data")
    target = _rounded(label)
    if label_lengths is None:
        padding = 0 if blank_label == "first" else -1
        sizes = jnp.sum(jnp.cumprod(target != padding, axis=1, dtype=jnp.int32), axis=1, dtype=jnp.int32)
    else:
        sizes = jnp.clip(_rounded(label_lengths), 0, label.shape[1])
    ends = jnp.full((batch,), steps, jnp.int32) if data_lengths is None else _rounded(data_lengths)
    blank = 0 if blank_label == "first" else classes - 1
    wide = data.astype(jnp.float32) if data.dtype.itemsize < 4 else data

    def total(scores: Any) -> tuple[Any, Any]:
        losses = _losses(scores, jnp.clip(target, 0, classes - 1), sizes, ends, blank)
        return jnp.sum(losses), losses

    gradient, losses = jax.grad(total, has_aux=True)(wide)
    return losses.astype(data.dtype), gradient.astype(data.dtype)


def _losses(scores: Any, target: Any, sizes: Any, ends: Any, blank: int) -> Any:
    """Return every example's loss by the forward recursion over the label with a blank around each entry."""
    steps, batch, _ = scores.shape
    length = target.shape[1]
    logp = jax.nn.log_softmax(scores, axis=-1)
    spread = jnp.broadcast_to(target, (steps, batch, length))
    at_label = jnp.take_along_axis(logp, spread, axis=-1, mode="promise_in_bounds")
    at_blank = logp[..., blank : blank + 1]
    emit = jnp.stack([jnp.broadcast_to(at_blank, at_label.shape), at_label], axis=-1)
    emit = jnp.concatenate([emit.reshape(steps, batch, 2 * length), at_blank], axis=-1)

    # A label may follow the previous one directly unless the two are equal: then a blank must part them.
    equal = jnp.concatenate([jnp.ones((batch, min(length, 1)), bool), target[:, 1:] == target[:, :-1]], axis=1)
    inside = jnp.arange(length, dtype=jnp.int32) < sizes[:, None]
    repeats = jnp.sum((equal & inside)[:, 1:], axis=1, dtype=jnp.int32)
    barred = jnp.stack([jnp.ones_like(equal), equal | (target == blank)], axis=-1).reshape(batch, 2 * length)
    barred = jnp.concatenate([barred, jnp.ones((batch, 1), bool)], axis=1)

    def shifted(alpha: Any, by: int) -> Any:
        never = jnp.full((batch, by), _NEVER, alpha.dtype)
        return jnp.concatenate([never, alpha], axis=1)[:, : alpha.shape[1]]

    def step(alpha: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        index, here = now
        before = jnp.stack([alpha, shifted(alpha, 1), jnp.where(barred, _NEVER, shifted(alpha, 2))])
        moved = here + jax.nn.logsumexp(before, axis=0)
        return jnp.where((index < ends)[:, None], moved, alpha), None

    # Before the first step the walk stands at the first blank, from where it may stay or enter the first label.
    start = jnp.full((batch, 2 * length + 1), _NEVER, scores.dtype).at[:, 0].set(0.0)
    alpha, _ = lax.scan(step, start, (jnp.arange(steps, dtype=jnp.int32), emit))

    last = jnp.take_along_axis(alpha, 2 * sizes[:, None], axis=1)[:, 0]
    before = jnp.take_along_axis(alpha, jnp.maximum(2 * sizes - 1, 0)[:, None], axis=1)[:, 0]
    loss = -jnp.logaddexp(last, jnp.where(sizes > 0, before, _NEVER))
    return jnp.where(sizes + repeats <= ends, loss, 0.0)


@ctc_loss.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    for name, shape, names in (("data", s.data, "time, batch, classes"), ("label", s.label, "batch, length")):
        if shape is not None and len(shape) != len(names.split(",")):
            raise ValueError(f"the {name} has {len(shape)} dimensions, expected ({names})")
    vectors = [name for name in ("data_lengths", "label_lengths") if name in s]
    sizes: tuple[int | None, ...] | None = unify((None,), s.out[0])
    for each in (None if s.data is None else s.data[1:2], None if s.label is None else s.label[:1]):
        sizes = unify(sizes, each)
    for name in vectors:
        sizes = unify(sizes, s[name])
    data = unify(s.data, s.out[1]) or (None, None, None)
    batch = (sizes or (None,))[0]
    data = (data[0], batch, data[2])
    return {
        "data": data,
        "label": (batch, None if s.label is None else s.label[1]),
        **{name: (batch,) for name in vectors},
        "out": [(batch,), data],
    }


@ctc_loss.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    data = next((each for each in (s.data, *s.out) if each is not None), None)
    return {} if data is None else {"data": data, "out": [data, data]}


@ctc_loss.grad
def _(a: Any, heads: Any, *, inputs: Any, outputs: Any) -> tuple[Any, ...]:
    # The forward has computed the gradient: one sweep back over time, not two.
    gradient = outputs[1] * heads[0][:, None]
    return (gradient, *(None for _ in inputs[1:]))
