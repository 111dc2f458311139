"""The cell whose layers, directions and steps are one operator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symjit import initializer, symbol
from symjit import ndarray as nd
from symjit.ndarray import NDArray
from symjit.ops.rnn import GATES, Form
from symjit.rnn.cell import BaseRNNCell, RNNParams, normalized, taken
from symjit.rnn.recurrent import GRUCell, LSTMCell, RNNCell
from symjit.rnn.stack import BidirectionalCell, DropoutCell, SequentialRNNCell
from symjit.symbol import Symbol

__all__ = ["FusedRNNCell"]


class FusedRNNCell(BaseRNNCell):
    """Layers of one kind as the operator ``RNN``, whose parameters are one vector.

    Source: MXNet ``mx.rnn.FusedRNNCell``. It can not be stepped, only unrolled; its own layout is ``TNC``.

    Args:
        num_hidden: width of a direction's output and states.
        num_layers: the number of layers.
        mode: ``rnn_relu``, ``rnn_tanh``, ``lstm`` or ``gru``.
        bidirectional: whether each layer reads in both directions; the output is then twice as wide.
        dropout: the share of elements dropped between layers in training.
        get_next_state: whether `unroll` returns the states after the last step; it returns no states otherwise.
        forget_bias: what the LSTM's forget gates' biases begin with, in the initializer (``FusedRNN``).
        prefix: what names begin with; the mode and ``_`` if None.
        params: variables shared with other cells; new ones if None.
    """

    def __init__(
        self,
        num_hidden: int,
        num_layers: int = 1,
        mode: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        get_next_state: bool = False,
        forget_bias: float = 1.0,
        prefix: str | None = None,
        params: RNNParams | None = None,
    ) -> None:
        super().__init__(prefix=f"{mode}_" if prefix is None else prefix, params=params)
        self._num_hidden = num_hidden
        self._num_layers = num_layers
        self._mode = mode
        self._bidirectional = bidirectional
        self._dropout = dropout
        self._get_next_state = get_next_state
        self._directions = ["l", "r"] if bidirectional else ["l"]
        first = initializer.FusedRNN(None, num_hidden, num_layers, mode, bidirectional, forget_bias)
        self._parameter = self.params.get("parameters", init=first)

    @property
    def state_info(self) -> list[Any]:
        """One state, two for the LSTM, of all layers and directions."""
        shape = (self._num_layers * len(self._directions), 0, self._num_hidden)
        return [{"shape": shape, "__layout__": "LNC"} for _ in range(2 if self._mode == "lstm" else 1)]

    @property
    def _gate_names(self) -> Sequence[str]:
        return GATES[self._mode]

    @property
    def _num_gates(self) -> int:
        return len(self._gate_names)

    def _form(self) -> Form:
        return Form(self._mode, self._num_hidden, self._num_layers, bool(self._bidirectional), None)

    def unpack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return `args` with the vector of parameters cut into the gates' weights and biases.

        They have the names of the cells that `unfuse` returns, unpacked: ``lstm_l0_i2h_i_weight`` ...

        Args:
            args: arrays by name; not changed.

        Raises:
            KeyError: there is no vector.
            AssertionError: no number of inputs gives a vector of this length.
        """
        args = dict(args)
        name = str(self._parameter.name)
        vector = taken(args, name)
        form = self._form()
        try:
            width = form.width(vector.size)
        except ValueError as error:
            raise AssertionError(f"{name}: shape {vector.shape}: {error}") from None
        for gate, share in form.gates(vector.asnumpy().reshape(-1), width).items():
            args[f"{self._prefix}{gate}"] = nd.array(share, ctx=vector.context, dtype=vector.dtype)
        return args

    def pack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return `args` with the gates' weights and biases in one vector: the reverse of `unpack_weights`.

        The vector has the device and the dtype of the first weight.

        Raises:
            KeyError: one of the gates' arrays is missing.
            ValueError: one has another shape.
        """
        args = dict(args)
        first = f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"
        sample = taken(dict(args), first)
        if len(sample.shape) != 2:
            raise ValueError(f"{first}: expected shape ({self._num_hidden}, inputs), got {sample.shape}")
        form = self._form()
        width = sample.shape[1]
        vector = np.zeros(form.size(width), sample.dtype)
        for gate, share in form.gates(vector, width).items():
            given = taken(args, f"{self._prefix}{gate}")
            if given.shape != share.shape:
                raise ValueError(f"{self._prefix}{gate}: expected shape {share.shape}, got {given.shape}")
            share[...] = given.asnumpy()
        args[str(self._parameter.name)] = nd.array(vector, ctx=sample.context, dtype=sample.dtype)
        return args

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Raise NotImplementedError: the operator runs whole sequences."""
        raise NotImplementedError("a FusedRNNCell can not be stepped: use unroll, or step the cells of unfuse()")

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: Sequence[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, Any]:
        """Add the operator; see `BaseRNNCell.unroll`.

        The outputs are one symbol unless ``merge_outputs=False``. The layout ``NTC`` costs two transpositions, of which
        a UserWarning tells.

        Raises:
            AssertionError: the layout has time neither first nor second.
        """
        self.reset()
        sequence, axis = normalized(length, inputs, layout, True)
        if axis == 1:
            warnings.warn(
                "FusedRNNCell: inputs of layout NTC are transposed to TNC and back; TNC saves that", stacklevel=2
            )
            sequence = symbol.swapaxes(sequence, dim1=0, dim2=1)
        elif axis != 0:
            raise AssertionError(f"FusedRNNCell: expected the layout TNC or NTC, got {layout!r}")
        states = self.begin_state() if begin_state is None else begin_state
        names = ("state", "state_cell") if self._mode == "lstm" else ("state",)
        rnn = symbol.RNN(
            data=sequence,
            parameters=self._parameter,
            state_size=self._num_hidden,
            num_layers=self._num_layers,
            bidirectional=self._bidirectional,
            p=self._dropout,
            state_outputs=self._get_next_state,
            mode=self._mode,
            name=f"{self._prefix}rnn",
            **{name: states[place] for place, name in enumerate(names)},
        )
        outputs, new = rnn, []
        if self._get_next_state:
            outputs, *new = rnn
            for state in new:
                state._set_attr(__layout__="LNC")
        if axis == 1:
            outputs = symbol.swapaxes(outputs, dim1=0, dim2=1)
        return normalized(length, outputs, layout, merge_outputs)[0], new

    def unfuse(self) -> SequentialRNNCell:
        """Return the same layers as a stack of cells, which can be stepped.

        `unpack_weights` here and `pack_weights` there turn the parameters of one into those of the other. As in MXNet
        the stack's LSTMCells have ``forget_bias=1.0`` whatever this cell's is; it matters to new parameters only.
        """
        make: Callable[[str], BaseRNNCell] = {
            "rnn_relu": lambda prefix: RNNCell(self._num_hidden, activation="relu", prefix=prefix),
            "rnn_tanh": lambda prefix: RNNCell(self._num_hidden, activation="tanh", prefix=prefix),
            "lstm": lambda prefix: LSTMCell(self._num_hidden, prefix=prefix),
            "gru": lambda prefix: GRUCell(self._num_hidden, prefix=prefix),
        }[self._mode]
        stack = SequentialRNNCell()
        for layer in range(self._num_layers):
            cells = [make(f"{self._prefix}{side}{layer}_") for side in self._directions]
            if self._bidirectional:
                stack.add(BidirectionalCell(cells[0], cells[1], output_prefix=f"{self._prefix}bi_l{layer}_"))
            else:
                stack.add(cells[0])
            if self._dropout > 0 and layer != self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f"{self._prefix}_dropout{layer}_"))
        return stack
