"""The recurrent network at inference: its parameter vector is cut into matrices once, not with every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jax import lax

from symjit.ops.derived import strategy
from symjit.ops.rnn import Cell, add_biases, cell_of, form_of, recur, rnn, stack

__all__: list[str] = []

#: Arrays of one layer in one direction: the weights of its data and of its state, and the bias of each.
_ARRAYS = 4


def _unpack(a: Any, parameters: Any, *, turned: bool) -> list[Any]:
    """Return the arrays of all parts; the state's weight is `turned` to (H, gates * H)."""
    form = form_of(a)
    found: list[Any] = []
    for i2h, h2h, _, b_i2h, b_h2h in form.unpack(parameters, form.width(parameters.shape[0])):
        found += [i2h.T, h2h.T if turned else h2h, b_i2h, b_h2h]
    return found


def _run(a: Any, data: Any, *rest: Any, turned: bool) -> Any:
    """Run all layers on unpacked parameters."""
    form = form_of(a)
    count = _count(a)
    states = dict(zip(rnn.input_names(a)[2:], rest[count:], strict=True))

    def part(index: int, x: Any, cell: Cell, backward: bool, valid: Any, start: Any) -> tuple[Any, Any]:
        i2h, h2h, b_i2h, b_h2h = rest[_ARRAYS * index : _ARRAYS * (index + 1)]

        def share(output: Any) -> Any:
            return _product(output, h2h, 0 if turned else 1)

        xs = add_biases(a.mode, _product(x, i2h, 0), b_i2h, b_h2h)
        return recur(cell, backward, share, None, xs, valid, start)

    cell = cell_of(a.mode, a.lstm_state_clip_min, a.lstm_state_clip_max, a.lstm_state_clip_nan)
    outputs = stack(form, cell, part, data, states["state"], states.get("state_cell"), states.get("sequence_length"))
    return outputs if a.state_outputs else outputs[0]


def _product(x: Any, weight: Any, axis: int) -> Any:
    return lax.dot_general(x, weight, (((x.ndim - 1,), (axis,)), ((), ())), precision=lax.Precision.HIGHEST)


def _count(a: Any) -> int:
    return _ARRAYS * a.num_layers * (1 + a.bidirectional)


def _rows(specs: Sequence[Any]) -> int:
    return specs[0].shape[1]


def _applies(a: Any, specs: Sequence[Any], platform: str) -> bool:
    # A projection inside of the loop would be a product with a transposed right side, which XLA's own are slow at.
    return a.projection_size is None and specs[0].shape[0] > 0 and _rows(specs) > 0


def _attach(name: str, when: Callable[[Any, Sequence[Any], str], bool], turned: bool) -> None:
    def prepare(a: Any, parameters: Any) -> list[Any]:
        return _unpack(a, parameters, turned=turned)

    @strategy(rnn, name, when, prepare=prepare, arrays=_count, trains=False)
    def run(a: Any, data: Any, *rest: Any) -> Any:
        """Run all layers on unpacked parameters."""
        return _run(a, data, *rest, turned=turned)


_attach("unpacked", _applies, True)
# A matrix times a vector wants the matrix as it is.
_attach("unpacked_vector", lambda a, specs, platform: _applies(a, specs, platform) and _rows(specs) == 1, False)


def _choose(a: Any, specs: Sequence[Any], platform: str, train: bool) -> str | None:
    if train:
        return None
    return "unpacked_vector" if platform == "cpu" and _rows(specs) == 1 else "unpacked"


rnn.choose = _choose
