"""The plain, the LSTM and the GRU cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symjit import initializer, symbol
from symjit.ops.rnn import GATES
from symjit.rnn.cell import BaseRNNCell, RNNParams
from symjit.symbol import Symbol

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "gru_step", "lstm_step"]

Activation = str | Callable[..., Symbol]


class _Dense(BaseRNNCell):
    """A cell whose shares of input and state are affine maps, one block of rows for each gate."""

    def __init__(self, num_hidden: int, prefix: str, params: RNNParams | None, bias: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._num_hidden = num_hidden
        self._iW = self.params.get("i2h_weight")
        self._hW = self.params.get("h2h_weight")
        self._iB = self.params.get("i2h_bias", init=bias)
        self._hB = self.params.get("h2h_bias")

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """One state, the output of the step before."""
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"}]

    def _shares(self, inputs: Symbol, states: Sequence[Symbol], names: str) -> tuple[Symbol, Symbol]:
        """Return the shares of the input and of the state; `names` is what their names have before i2h and h2h."""
        rows = self._num_hidden * len(self._gate_names)
        i2h = symbol.FullyConnected(data=inputs, weight=self._iW, bias=self._iB, num_hidden=rows, name=f"{names}i2h")
        h2h = symbol.FullyConnected(data=states[0], weight=self._hW, bias=self._hB, num_hidden=rows, name=f"{names}h2h")
        return i2h, h2h


class RNNCell(_Dense):
    """``h' = act(W_i2h x + b_i2h + W_h2h h + b_h2h)``. Source: MXNet ``mx.rnn.RNNCell``.

    Args:
        num_hidden: width of the output and of the state.
        activation: name of an activation (``tanh``, ``relu`` ...) or a function of a symbol and ``name=``.
        prefix: what names begin with.
        params: variables shared with other cells; new ones if None.
    """

    def __init__(
        self,
        num_hidden: int,
        activation: Activation = "tanh",
        prefix: str = "rnn_",
        params: RNNParams | None = None,
    ) -> None:
        super().__init__(num_hidden, prefix, params)
        self._activation = activation

    @property
    def _gate_names(self) -> Sequence[str]:
        return GATES["rnn_tanh"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step; see `BaseRNNCell`."""
        step = self._next_step()
        i2h, h2h = self._shares(inputs, states, step)
        output = self._get_activation(i2h + h2h, self._activation, name=f"{step}out")
        return output, [output]


class LSTMCell(_Dense):
    """A long short-term memory. Source: MXNet ``mx.rnn.LSTMCell``.

    With the blocks i, f, c, o of ``W_i2h x + b_i2h + W_h2h h + b_h2h``: ``c' = sigmoid(f) c + sigmoid(i) tanh(c)`` and
    ``h' = sigmoid(o) tanh(c')``. The states are h and c.

    Args:
        num_hidden: width of the output and of the states.
        prefix: what names begin with.
        params: variables shared with other cells; new ones if None.
        forget_bias: what the bias of the gate f begins with. It is the initializer (``LSTMBias``) of ``i2h_bias`` and
            plays no part in computing: loaded parameters contain it already.
    """

    def __init__(
        self, num_hidden: int, prefix: str = "lstm_", params: RNNParams | None = None, forget_bias: float = 1.0
    ) -> None:
        super().__init__(num_hidden, prefix, params, initializer.LSTMBias(forget_bias=forget_bias))

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """Two states, the output of the step before and the cell."""
        return super().state_info * 2

    @property
    def _gate_names(self) -> Sequence[str]:
        return GATES["lstm"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step; see `BaseRNNCell`."""
        step = self._next_step()
        i2h, h2h = self._shares(inputs, states, step)
        return lstm_step(step, i2h, h2h, states, _tanh)


class GRUCell(_Dense):
    """A gated recurrent unit, as cuDNN computes it. Source: MXNet ``mx.rnn.GRUCell``.

    With the blocks r, z, o of ``a = W_i2h x + b_i2h`` and ``b = W_h2h h + b_h2h``: ``n = tanh(a_o + sigmoid(a_r + b_r)
    b_o)``, ``z = sigmoid(a_z + b_z)`` and ``h' = (1 - z) n + z h``.

    Args:
        num_hidden: width of the output and of the state.
        prefix: what names begin with.
        params: variables shared with other cells; new ones if None.
    """

    def __init__(self, num_hidden: int, prefix: str = "gru_", params: RNNParams | None = None) -> None:
        super().__init__(num_hidden, prefix, params)

    @property
    def _gate_names(self) -> Sequence[str]:
        return GATES["gru"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step; see `BaseRNNCell`."""
        step = self._next_step()
        i2h, h2h = self._shares(inputs, states, f"{step}_")
        return gru_step(step, i2h, h2h, states, _tanh)


def _tanh(x: Symbol, **kwargs: Any) -> Symbol:
    return symbol.Activation(x, act_type="tanh", **kwargs)


# The two functions below make nodes in MXNet's order, which is that of automatic names.


def lstm_step(
    step: str,
    i2h: Symbol,
    h2h: Symbol,
    states: Sequence[Symbol],
    activation: Callable[..., Symbol],
    **axis: int,
) -> tuple[Symbol, list[Symbol]]:
    """Return output and states of an LSTM from the shares of input and state.

    Args:
        step: what the names of nodes begin with.
        i2h: the input's share.
        h2h: the state's share.
        states: h and c of the step before.
        activation: what stands where the formula has tanh.
        **axis: ``axis``, where the gates lie; 1 if not given.
    """
    gates = symbol.SliceChannel(i2h + h2h, num_outputs=4, name=f"{step}slice", **axis)
    enter = symbol.Activation(gates[0], act_type="sigmoid", name=f"{step}i")
    forget = symbol.Activation(gates[1], act_type="sigmoid", name=f"{step}f")
    candidate = activation(gates[2], name=f"{step}c")
    leave = symbol.Activation(gates[3], act_type="sigmoid", name=f"{step}o")
    cell = symbol._internal._plus(forget * states[1], enter * candidate, name=f"{step}state")
    output = symbol._internal._mul(leave, activation(cell), name=f"{step}out")
    return output, [output, cell]


def gru_step(
    step: str, i2h: Symbol, h2h: Symbol, states: Sequence[Symbol], activation: Callable[..., Symbol]
) -> tuple[Symbol, list[Symbol]]:
    """Return output and state of a GRU from the shares of input and state; see `lstm_step`."""
    i2h_r, i2h_z, i2h_o = symbol.SliceChannel(i2h, num_outputs=3, name=f"{step}_i2h_slice")
    h2h_r, h2h_z, h2h_o = symbol.SliceChannel(h2h, num_outputs=3, name=f"{step}_h2h_slice")
    reset = symbol.Activation(i2h_r + h2h_r, act_type="sigmoid", name=f"{step}_r_act")
    keep = symbol.Activation(i2h_z + h2h_z, act_type="sigmoid", name=f"{step}_z_act")
    candidate = activation(i2h_o + reset * h2h_o, name=f"{step}_h_act")
    output = symbol._internal._plus((1.0 - keep) * candidate, keep * states[0], name=f"{step}out")
    return output, [output]
