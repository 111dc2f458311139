"""The fused recurrent network (several layers, one or two directions) and the concatenation of its parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.ops.attrs import Fraction, PositiveInt
from symjit.ops.draws import in_a_row
from symjit.ops.registry import op
from symjit.ops.shapes import Known, PartialShape, agreed, known, normalize_axis, replace, unify

__all__ = ["GATES", "Cell", "Form", "add_biases", "cell_of", "form_of", "recur", "rnn", "stack"]

#: Blocks of rows in a weight matrix, by the names that they have in MXNet's ``mx.rnn``.
GATES = {"rnn_relu": ("",), "rnn_tanh": ("",), "lstm": ("_i", "_f", "_c", "_o"), "gru": ("_r", "_z", "_o")}


# Cells ---------------------------------------------------------------------------------------------------------------
# A cell maps the input's share of a step (a tuple of arrays, biases included), the state's share ``h W^T``, the state
# and whatever else it holds to the new state, whose first member is the output. It computes in the dtype of the input's
# share, which is at least float32.

Cell = Callable[[tuple[Any, ...], Any, tuple[Any, ...], Any], tuple[Any, ...]]


def _rnn_relu(x: tuple[Any, ...], r: Any, state: tuple[Any, ...], extra: Any) -> tuple[Any, ...]:
    return (jax.nn.relu(x[0] + r),)


def _rnn_tanh(x: tuple[Any, ...], r: Any, state: tuple[Any, ...], extra: Any) -> tuple[Any, ...]:
    return (jnp.tanh(x[0] + r),)


def _gru(x: tuple[Any, ...], r: Any, state: tuple[Any, ...], extra: Any) -> tuple[Any, ...]:
    # x[1] is the bias of the candidate's state share, which the reset gate scales with the share itself.
    gates, bias = x
    size = bias.shape[-1]
    reset, keep = jnp.split(_sigmoid(gates[..., : 2 * size] + r[..., : 2 * size]), 2, axis=-1)
    candidate = jnp.tanh(gates[..., 2 * size :] + reset * (r[..., 2 * size :] + bias))
    return ((1.0 - keep) * candidate + keep * state[0].astype(bias.dtype),)


def _lstm(
    x: tuple[Any, ...],
    r: Any,
    state: tuple[Any, ...],
    extra: Any,
    *,
    clip: tuple[float, float] | None,
    clip_nan: bool,
) -> tuple[Any, ...]:
    if clip is None:
        out, cell = _lstm_step(x[0] + r, state[1])
    else:
        enter, forget, candidate, leave = jnp.split(_gates(x[0] + r), 4, axis=-1)
        cell = forget * state[1] + enter * candidate
        bounded = jnp.clip(cell, *clip)
        cell = bounded if clip_nan else jnp.where(jnp.isnan(cell), clip[0], bounded)
        out = leave * jnp.tanh(cell)
    return (out if extra is None else _dot(out, extra), cell)


def _sigmoid(x: Any) -> Any:
    # One function that XLA vectorises; a division costs more. The error is 1e-7 of 1, not of the result.
    return jnp.tanh(x * 0.5) * 0.5 + 0.5


def _gates(x: Any) -> Any:
    """Return sigmoid, sigmoid, tanh and sigmoid of the four blocks, by one tanh over all of them."""
    scale, shift = (
        np.repeat(np.asarray(v, x.dtype), x.shape[-1] // 4) for v in ((0.5, 0.5, 1, 0.5), (0.5, 0.5, 0, 0.5))
    )
    return jnp.tanh(x * scale) * scale + shift


@jax.custom_vjp
def _lstm_step(x: Any, cell: Any) -> tuple[Any, Any]:
    """Return the new output and cell state from the gates' shares; kept are the derivatives, six numbers per cell.

    They take as much room as the gates would, and are computed where these are at hand: the reverse loop, in which
    every array comes from memory anew, only multiplies.
    """
    return _lstm_step_forward(x, cell)[0]


def _lstm_step_forward(x: Any, cell: Any) -> tuple[Any, Any]:
    enter, forget, candidate, leave = jnp.split(_gates(x), 4, axis=-1)
    new = forget * cell + enter * candidate
    bent = jnp.tanh(new)
    of_new = (
        candidate * enter * (1 - enter),
        cell * forget * (1 - forget),
        enter * ((1 - candidate) * (1 + candidate)),
    )
    of_out = bent * leave * (1 - leave)
    return (leave * bent, new), (of_new, of_out, leave * ((1 - bent) * (1 + bent)), forget)


def _lstm_step_backward(kept: Any, heads: Any) -> tuple[Any, Any]:
    (of_new, of_out, out_of_new, forget), (head, towards_new) = kept, heads
    towards_new = towards_new + head * out_of_new
    return jnp.concatenate([*(towards_new * each for each in of_new), head * of_out], axis=-1), towards_new * forget


_lstm_step.defvjp(_lstm_step_forward, _lstm_step_backward)


def _dot(x: Any, weight: Any) -> Any:
    """Return ``x W^T`` over the last axis."""
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())), precision=lax.Precision.HIGHEST)


@jax.custom_vjp
def _state_share(state: Any, transposed: Any, weight: Any) -> Any:
    """Return ``state @ transposed``, whose gradient is a product with `weight`, the same matrix the other way round.

    XLA lays out the second factor anew in every step of a loop unless it stands as the product reads it.
    """
    return _product(state, transposed)


def _state_share_forward(state: Any, transposed: Any, weight: Any) -> tuple[Any, Any]:
    return _product(state, transposed), (state, weight)


def _state_share_backward(kept: Any, head: Any) -> tuple[Any, None, Any]:
    state, weight = kept
    towards_weight = lax.dot_general(head, state, (((0,), (0,)), ((), ())), precision=lax.Precision.HIGHEST)
    return _product(head, weight), None, towards_weight


_state_share.defvjp(_state_share_forward, _state_share_backward)


def _product(x: Any, y: Any) -> Any:
    return lax.dot_general(x, y, (((1,), (0,)), ((), ())), precision=lax.Precision.HIGHEST)


# The recurrence ------------------------------------------------------------------------------------------------------
# Its gradient is written out for one reason: what a plain scan sums up inside the loop, the gradient of the recurrent
# weight, is one matrix product after it. For every cell the gradient of ``h W^T`` is that of the input's share (of its
# first two thirds and of the bias for the GRU), so the reverse scan provides both factors.


def _scan(cell: Cell, reverse: bool, weight: Any, extra: Any, xs: Any, valid: Any, state: Any) -> Any:
    """Return the final state and the output of every step; steps that are not `valid` leave the state alone."""
    transposed = lax.stop_gradient(weight.T)
    return recur(cell, reverse, lambda output: _state_share(output, transposed, weight), extra, xs, valid, state)


def recur(
    cell: Cell, reverse: bool, share: Callable[[Any], Any], extra: Any, xs: Any, valid: Any, state: Any
) -> tuple[Any, Any]:
    """Run a cell over time: ``share`` maps an output to the next step's ``h W^T``; see `_scan`."""

    def step(state: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        x, live = now
        x = tuple(each.astype(_accumulator(each.dtype)) for each in x)
        new = cell(x, share(state[0]).astype(x[0].dtype), state, extra)
        new = tuple(n.astype(old.dtype) for n, old in zip(new, state, strict=True))
        if live is not None:
            new = tuple(jnp.where(live[:, None], n, old) for n, old in zip(new, state, strict=True))
        return new, new[0]

    return lax.scan(step, state, (xs, valid), reverse=reverse)


def _recur_forward(cell: Cell, reverse: bool, weight: Any, extra: Any, xs: Any, valid: Any, state: Any) -> Any:
    def varying(extra: Any, xs: Any, state: Any) -> Any:
        return _scan(cell, reverse, weight, extra, xs, valid, state)

    (final, ys), pull = jax.vjp(varying, extra, xs, state)
    first = state[0][None]
    before = jnp.concatenate([ys[1:], first] if reverse else [first, ys[:-1]])
    return (final, ys), (pull, before)


def _recur_backward(cell: Cell, reverse: bool, residuals: Any, heads: Any) -> Any:
    pull, before = residuals
    d_extra, d_xs, d_state = pull(heads)
    # For the GRU: the reset and update gates from the first array, the candidate's state share from the second.
    share = d_xs[0] if len(d_xs) == 1 else jnp.concatenate([d_xs[0][..., : 2 * d_xs[1].shape[-1]], d_xs[1]], axis=-1)
    d_weight = lax.dot_general(share, before, (((0, 1), (0, 1)), ((), ())), precision=lax.Precision.HIGHEST)
    return d_weight, d_extra, d_xs, None, d_state


_recur: Any = jax.custom_vjp(_scan, nondiff_argnums=(0, 1))
_recur.defvjp(_recur_forward, _recur_backward)


def _accumulator(dtype: Any) -> Any:
    return jnp.float32 if dtype.itemsize < 4 else dtype


# Parameters ----------------------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """The shapes of one layer's arrays in one direction."""

    i2h: tuple[int, int]
    h2h: tuple[int, int]
    h2r: tuple[int, int] | None

    def size(self) -> int:
        """Return the number of weights and biases."""
        return sum(rows * columns for rows, columns in filter(None, self)) + 2 * self.i2h[0]


class Form(NamedTuple):
    """What the layout of the parameter vector follows from."""

    mode: str
    state_size: int
    num_layers: int
    bidirectional: bool
    projection_size: int | None

    def out(self) -> int:
        """Return the width of one direction's output, which is that of its state."""
        return self.state_size if self.projection_size is None else self.projection_size

    def parts(self, width: int) -> list[_Part]:
        """Return the parts in the order of the vector, for data of `width` features."""
        rows, out, directions = len(GATES[self.mode]) * self.state_size, self.out(), 1 + self.bidirectional
        project = None if self.projection_size is None else (self.projection_size, self.state_size)
        widths = [width] + [out * directions] * (self.num_layers - 1)
        return [_Part((rows, w), (rows, out), project) for w in widths for _ in range(directions)]

    def size(self, width: int) -> int:
        """Return the vector's length."""
        return sum(part.size() for part in self.parts(width))

    def width(self, size: int) -> int:
        """Return the number of features of the data that belongs to a vector of this length.

        Raises:
            ValueError: no data does.
        """
        fixed = self.size(0)
        found, rest = divmod(size - fixed, self.size(1) - fixed)
        if rest or found < 0:
            raise ValueError(f"{size} parameters fit no input width of {self}")
        return found

    def unpack(self, parameters: Any, width: int) -> list[tuple[Any, ...]]:
        """Return ``(W_i2h, W_h2h, W_h2r or None, b_i2h, b_h2h)`` of every part, NumPy arrays from a NumPy array."""
        if parameters.shape != (self.size(width),):
            raise ValueError(
                f"the parameters have shape {parameters.shape}, expected ({self.size(width)},) "
                f"for data of {width} features and {self}"
            )
        parts = self.parts(width)
        shapes = [shape for part in parts for shape in part if shape is not None]
        shapes += [(part.i2h[0],) for part in parts for _ in range(2)]
        cut = _pieces if isinstance(parameters, np.ndarray) else _cut
        arrays = iter(cut(parameters, tuple(shapes)))
        weights = [tuple(None if shape is None else next(arrays) for shape in part) for part in parts]
        biases = [(next(arrays), next(arrays)) for _ in parts]
        return [(*matrices, *pair) for matrices, pair in zip(weights, biases, strict=True)]

    def gates(self, parameters: np.ndarray, width: int) -> dict[str, np.ndarray]:
        """Return every gate's weights and biases by name, in the order of the vector; writing to them writes to it.

        The names are those of ``mx.rnn``, without the cell's prefix: ``l0_i2h_i_weight`` is what the gate i of the
        first layer, forward (``r`` is backward), takes from the input. The matrices of projections are left out.
        """
        cells = [f"{side}{layer}" for layer in range(self.num_layers) for side in "lr"[: 1 + self.bidirectional]]
        parts = list(zip(cells, self.unpack(parameters, width), strict=True))
        gates = GATES[self.mode]
        return {
            f"{cell}_{source}{gate}_{kind}": share
            for kind, sources in (("weight", {"i2h": 0, "h2h": 1}), ("bias", {"i2h": 3, "h2h": 4}))
            for cell, arrays in parts
            for source, place in sources.items()
            for gate, share in zip(gates, np.split(arrays[place], len(gates)), strict=True)
        }


def _pieces(vector: Any, shapes: tuple[tuple[int, ...], ...]) -> list[Any]:
    """Return the arrays of these shapes that stand one after the other in a vector."""
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    starts = [0, *ends[:-1]]
    return [vector[start:end].reshape(shape) for start, end, shape in zip(starts, ends, shapes, strict=True)]


_cut: Any = jax.custom_vjp(_pieces, nondiff_argnums=(1,))


def _cut_backward(shapes: tuple[tuple[int, ...], ...], kept: None, heads: list[Any]) -> tuple[Any]:
    # One copy; JAX would pad every piece to the whole length and add them up.
    return (jnp.concatenate([head.reshape(-1) for head in heads]),)


_cut.defvjp(lambda vector, shapes: (_pieces(vector, shapes), None), _cut_backward)


def form_of(a: Any) -> Form:
    """Return the form that the attributes of an RNN describe."""
    return Form(a.mode, a.state_size, a.num_layers, a.bidirectional, a.projection_size)


# RNN -----------------------------------------------------------------------------------------------------------------


def _absent(a: Any) -> tuple[str, ...]:
    absent = () if a.mode == "lstm" else ("state_cell",)
    return absent if a.use_sequence_length else (*absent, "sequence_length")


def _num_outputs(a: Any) -> int:
    return 1 if not a.state_outputs else 3 if a.mode == "lstm" else 2


@op(
    "RNN",
    params=("parameters",),
    role={"state": "state", "state_cell": "state"},
    absent=_absent,
    outputs=_num_outputs,
    output_names=lambda a: ("output", "state_output", "statecell_output")[: _num_outputs(a)],
    cast="low",
    draws=lambda a, train: train and a.p > 0.0,
)
def rnn(
    data: Any,
    parameters: Any,
    state: Any,
    state_cell: Any = None,
    sequence_length: Any = None,
    *,
    state_size: PositiveInt,
    num_layers: PositiveInt,
    bidirectional: bool = False,
    mode: Literal["rnn_relu", "rnn_tanh", "lstm", "gru"],
    p: Fraction = 0.0,
    state_outputs: bool = False,
    projection_size: PositiveInt | None = None,
    lstm_state_clip_min: float | None = None,
    lstm_state_clip_max: float | None = None,
    lstm_state_clip_nan: bool = False,
    use_sequence_length: bool = False,
    key: Any,
    train: bool,
) -> Any:
    """Run a recurrent network of several layers over time.

    data (T, N, I); state (layers * directions, N, H), forward before backward in each layer; for ``mode="lstm"``
    state_cell of the same shape -> output (T, N, directions * H) and, with ``state_outputs=True``, the final state and,
    for the LSTM, the final cell state. With ``a = W_i2h x + b_i2h`` and ``r = W_h2h h + b_h2h`` in blocks of H rows:

    - ``rnn_relu``, ``rnn_tanh``: ``h' = act(a + r)``;
    - ``lstm``, blocks i, f, g, o of a + r: ``c' = sigmoid(f) c + sigmoid(i) tanh(g)``, ``h' = sigmoid(o) tanh(c')``;
    - ``gru``, blocks r, z, n: ``n = tanh(a_n + sigmoid(a_r + r_r) r_n)``, ``z = sigmoid(a_z + r_z)``,
      ``h' = (1 - z) n + z h``.

    ``parameters`` is one vector: for each layer, forward then backward, W_i2h, W_h2h and, with a projection, W_h2r,
    row by row; after all weights, in the same order, b_i2h and b_h2h. Layers above the first read both directions.

    ``p`` drops elements between layers in training. ``projection_size`` P (LSTM only) makes the output and the state
    ``W_h2r h'`` (P wide; the cell state keeps H). ``use_sequence_length`` reads lengths (N,): the output is zero beyond
    them, the final state is that of the last valid step, and the backward direction starts there.
    ``lstm_state_clip_min`` and ``lstm_state_clip_max``, given together, bound c'; a nan becomes the minimum unless
    ``lstm_state_clip_nan=True``.

    Deviations: lengths and bounds are honoured, as in MXNet's cuDNN build; its CPU build accepts and ignores them. So
    is half precision, computed in float32 but for the matrix products, and the gradient of a projection, which the CPU
    build refuses. A projection outside of the LSTM is an error here.
    """
    form = Form(mode, state_size, num_layers, bidirectional, projection_size)
    _check(form, data.shape)
    parts = form.unpack(parameters, data.shape[2])

    def part(index: int, x: Any, cell: Cell, backward: bool, valid: Any, start: Any) -> tuple[Any, Any]:
        i2h, h2h, h2r, b_i2h, b_h2h = parts[index]
        return _recur(cell, backward, h2h, h2r, add_biases(mode, _dot(x, i2h), b_i2h, b_h2h), valid, start)

    def drop(x: Any, layer: int) -> Any:
        return _dropout(x, p, jax.random.fold_in(key, layer)) if train and p > 0.0 else x

    clip = (lstm_state_clip_min, lstm_state_clip_max, lstm_state_clip_nan)
    outputs = stack(form, cell_of(mode, *clip), part, data, state, state_cell, sequence_length, drop)
    return outputs if state_outputs else outputs[0]


def stack(
    form: Form,
    cell: Cell,
    part: Callable[..., tuple[Any, Any]],
    data: Any,
    state: Any,
    state_cell: Any,
    sequence_length: Any,
    drop: Callable[[Any, int], Any] = lambda x, layer: x,
) -> tuple[Any, ...]:
    """Run the layers and directions, and return the output and the final states.

    Args:
        form: the network.
        cell: its cell.
        part: ``(index, data, cell, backward, valid, state) -> (final state, outputs)`` of one layer in one direction.
        data: the input of the first layer.
        state: initial states of all parts.
        state_cell: initial cell states of all parts; None where there are none.
        sequence_length: valid lengths, or None.
        drop: ``(data, layer) -> data``, what happens to the input of a layer above the first.
    """
    valid = None
    if sequence_length is not None:
        valid = jnp.arange(data.shape[0], dtype=jnp.int32)[:, None] < sequence_length.astype(jnp.int32)
    directions = 1 + form.bidirectional
    x, finals = data, []
    for layer in range(form.num_layers):
        x = drop(x, layer) if layer else x
        outputs = []
        for backward in range(directions):
            index = layer * directions + backward
            start = (state[index],)
            if state_cell is not None:
                start = (*start, state_cell[index].astype(_accumulator(data.dtype)))
            final, ys = part(index, x, cell, bool(backward), valid, start)
            finals.append(final)
            outputs.append(ys if valid is None else jnp.where(valid[..., None], ys, 0.0))
        x = outputs[0] if directions == 1 else jnp.concatenate(outputs, axis=-1)
    return (x, *(jnp.stack(members).astype(data.dtype) for members in zip(*finals, strict=True)))


def _check(form: Form, data: Any) -> None:
    if form.projection_size is not None and form.mode != "lstm":
        raise ValueError(f"projection_size is {form.projection_size}: only mode='lstm' has one, this is {form.mode!r}")
    if data is not None and len(data) != 3:
        raise ValueError(f"the data has {len(data)} dimensions, expected 3: (time, batch, features)")


def cell_of(mode: str, low: float | None, high: float | None, clip_nan: bool) -> Cell:
    """Return the cell of a mode; the bounds are those of the LSTM's cell state."""
    if mode == "lstm":
        return partial(_lstm, clip=None if low is None or high is None else (low, high), clip_nan=clip_nan)
    return {"rnn_relu": _rnn_relu, "rnn_tanh": _rnn_tanh, "gru": _gru}[mode]


def add_biases(mode: str, share: Any, b_i2h: Any, b_h2h: Any) -> tuple[Any, ...]:
    """Return what the inputs of all steps contribute: `share`, one matrix product outside of the loop, and biases."""
    if mode != "gru":
        return (share + (b_i2h + b_h2h),)
    size = b_h2h.shape[0] // 3
    inner = b_h2h[2 * size :]
    outer = b_i2h + jnp.concatenate([b_h2h[: 2 * size], jnp.zeros_like(inner)])
    return share + outer, jnp.broadcast_to(inner, (*share.shape[:2], size))


def _dropout(x: Any, p: float, key: Any) -> Any:
    if p >= 1.0:
        return jnp.zeros_like(x)
    kept = in_a_row(jax.random.uniform, key, x.shape, jnp.float32) >= p
    return jnp.where(kept, x / (1.0 - p), 0.0)


@rnn.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    form = form_of(a)
    _check(form, s.data)
    directions = 1 + a.bidirectional
    stacked = a.num_layers * directions
    _, state_out, cell_out = [*s.out, None, None][:3]
    data = _merge("shape", (None, None, None), data=s.data)
    out = _merge("shape", (None, None, directions * form.out()), output=s.out[0])
    state = _merge("shape", (stacked, None, form.out()), state=s.state, state_output=state_out)
    cell = _merge("shape", (stacked, None, a.state_size), state_cell=s.get("state_cell"), state_cell_output=cell_out)
    batches = {"data": data, "output": out, "state": state, "state_cell": cell}
    (batch,) = _merge(
        "batch size", (None,), sequence_length=s.get("sequence_length"), **{k: x[1:2] for k, x in batches.items()}
    )
    (steps,) = _merge("number of steps", (None,), data=data[:1], output=out[:1])
    width = data[2]
    if width is None and known(s.parameters) and len(s.parameters) == 1:
        width = form.width(s.parameters[0])
    state, cell = replace(state, 1, batch), replace(cell, 1, batch)
    found: dict[str, Any] = {
        "data": (steps, batch, width),
        "parameters": (None if width is None else form.size(width),),
        "state": state,
        "state_cell": cell,
        "sequence_length": (batch,),
        "out": [(steps, batch, out[2]), state, cell][: len(s.out)],
    }
    return {name: shape for name, shape in found.items() if name in s or name == "out"}


def _merge(what: str, expected: tuple[int | None, ...], **given: PartialShape) -> tuple[int | None, ...]:
    """Return what partial shapes know together, beside what the attributes say of them."""
    merged = agreed(what, [("the attributes", expected), *given.items()])
    return expected if merged is None else merged


@rnn.dtype
def _(a: Any, s: Known) -> dict[str, Any]:
    names = [name for name in s if name != "sequence_length"]
    dtype = next((each for each in (*(s[name] for name in names), *s.out) if each is not None), None)
    if dtype is None:
        return {}
    found: dict[str, Any] = {**dict.fromkeys(names, dtype), "out": [dtype] * len(s.out)}
    if "sequence_length" in s and s.sequence_length is None:
        found["sequence_length"] = dtype  # as MXNet does; any other dtype is as good
    return found


# Concatenation of parameters -----------------------------------------------------------------------------------------


@op("_rnn_param_concat", cast="any", rows=lambda a: a.dim > 0)
def rnn_param_concat(*data: Any, num_args: PositiveInt, dim: int = 1) -> Any:
    """Concatenate arrays along ``dim``: what Gluon's recurrent layers join their flattened parameters with.

    It differs from ``Concat`` in inference only: where the length of the result is known, one unknown input gets what
    is left of it and two unknown inputs (the first layer's weights of both directions) get half each, as in MXNet.
    """
    return jnp.concatenate(data, axis=normalize_axis(dim, data[0].ndim))


@rnn_param_concat.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    out = s.out[0]
    ndim = next((len(shape) for shape in (out, *s.args) if shape is not None), None)
    if ndim is None:
        return {}
    axis = normalize_axis(a.dim, ndim)
    others: PartialShape = (None,) * ndim
    for shape in (out, *s.args):
        others = unify(others, None if shape is None else replace(shape, axis, None))
    lengths = [None if shape is None else shape[axis] for shape in s.args]
    total = None if out is None else out[axis]
    unknown = lengths.count(None)
    taken = sum(length for length in lengths if length is not None)
    if not unknown:
        total = taken
    elif total is not None and (unknown == 1 or unknown == 2 < len(lengths)):
        share, rest = divmod(total - taken, unknown)
        if share < 0 or rest:
            raise ValueError(f"{total} along axis {axis} leaves {total - taken} for {unknown} inputs of unknown length")
        lengths = [share if length is None else length for length in lengths]
    shapes = [replace(others or (), axis, length) for length in (*lengths, total)]
    return {"args": shapes[:-1], "out": shapes[-1]}
