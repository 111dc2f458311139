"""Cells made of cells: layers one above the other, dropout between them, and both directions of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symjit import symbol
from symjit.ndarray import NDArray
from symjit.rnn.cell import BaseRNNCell, RNNParams, normalized
from symjit.symbol import Symbol

__all__ = ["BidirectionalCell", "DropoutCell", "SequentialRNNCell"]


class _Composite(BaseRNNCell):
    """A cell whose states and parameters are those of its cells."""

    def __init__(self, params: RNNParams | None = None) -> None:
        super().__init__(prefix="", params=params)
        self._override_cell_params = params is not None
        self._cells: list[BaseRNNCell] = []

    def _adopt(self, cell: BaseRNNCell) -> None:
        if self._override_cell_params:
            if not cell._own_params:
                raise AssertionError(
                    f"{type(self).__name__} was given params, and so was the {type(cell).__name__} inside of it (or its"
                    " params were read): give them to one of the two"
                )
            cell.params._params.update(self.params._params)
        self._cells.append(cell)

    @property
    def state_info(self) -> list[Any]:
        """The states of all cells, one after the other."""
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        """Return the states of all cells before the first step; see `BaseRNNCell.begin_state`."""
        self._check_free()
        return [state for cell in self._cells for state in cell.begin_state(**kwargs)]

    def unpack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return `args` unpacked by every cell; see `BaseRNNCell.unpack_weights`."""
        args = dict(args)
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return args

    def pack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return `args` packed by every cell; see `BaseRNNCell.pack_weights`."""
        args = dict(args)
        for cell in self._cells:
            args = cell.pack_weights(args)
        return args


class SequentialRNNCell(_Composite):
    """Cells one above the other: each reads the output of the one below. Source: MXNet ``mx.rnn.SequentialRNNCell``.

    Args:
        params: variables that the cells use instead of their own; None lets them have their own.
    """

    def add(self, cell: BaseRNNCell) -> None:
        """Put a cell on top.

        Raises:
            AssertionError: both the stack and the cell were given params.
        """
        self._adopt(cell)
        self.params._params.update(cell.params._params)

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step of every cell; see `BaseRNNCell`.

        Raises:
            AssertionError: a BidirectionalCell is among them, which has no steps.
        """
        self._counter += 1
        new: list[Symbol] = []
        start = 0
        for cell in self._cells:
            if isinstance(cell, BidirectionalCell):
                raise AssertionError(
                    "a stack with a BidirectionalCell can not be stepped, it needs the sequence: unroll"
                )
            end = start + len(cell.state_info)
            inputs, after = cell(inputs, states[start:end])
            new.extend(after)
            start = end
        return inputs, new

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: Sequence[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, Any]:
        """Add the steps of a sequence, cell by cell; see `BaseRNNCell.unroll`."""
        self.reset()
        states = self.begin_state() if begin_state is None else begin_state
        new: list[Any] = []
        start = 0
        for place, cell in enumerate(self._cells, 1):
            end = start + len(cell.state_info)
            inputs, after = cell.unroll(
                length,
                inputs=inputs,
                begin_state=states[start:end],
                layout=layout,
                merge_outputs=merge_outputs if place == len(self._cells) else None,
            )
            new.extend(after)
            start = end
        return inputs, new


class DropoutCell(BaseRNNCell):
    """Dropout of what passes through; it has no states. Source: MXNet ``mx.rnn.DropoutCell``.

    Args:
        dropout: the share of elements that become zero in training.
        prefix: without effect on names, which are automatic.
        params: without effect.

    Raises:
        AssertionError: `dropout` is not a number.
    """

    def __init__(self, dropout: float, prefix: str = "dropout_", params: RNNParams | None = None) -> None:
        super().__init__(prefix, params)
        if not isinstance(dropout, (int, float, np.generic)):
            raise AssertionError(f"DropoutCell: expected a number, got dropout={dropout!r}")
        self.dropout = dropout

    @property
    def state_info(self) -> list[Any]:
        """None."""
        return []

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, Any]:
        """Add the dropout of one step, or of a whole sequence in one symbol."""
        if self.dropout > 0:
            inputs = symbol.Dropout(data=inputs, p=self.dropout)
        return inputs, states

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: Sequence[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, Any]:
        """Add one dropout of a merged sequence, or one for each step of a list; see `BaseRNNCell.unroll`."""
        self.reset()
        sequence, _ = normalized(length, inputs, layout, merge_outputs)
        if isinstance(sequence, Symbol):
            return self(sequence, [])
        return super().unroll(length, sequence, begin_state, layout, merge_outputs)


class BidirectionalCell(_Composite):
    """Two cells that read a sequence forward and backward; their outputs are joined along the features.

    Source: MXNet ``mx.rnn.BidirectionalCell``. The states after the last step are a list of the two cells' lists.

    Args:
        l_cell: reads forward.
        r_cell: reads backward.
        params: variables that both cells use instead of their own; None lets them have their own.
        output_prefix: what the names of the joined outputs begin with.

    Raises:
        AssertionError: params were given here and to one of the cells.
    """

    def __init__(
        self,
        l_cell: BaseRNNCell,
        r_cell: BaseRNNCell,
        params: RNNParams | None = None,
        output_prefix: str = "bi_",
    ) -> None:
        super().__init__(params)
        self._output_prefix = output_prefix
        for cell in (l_cell, r_cell):
            self._adopt(cell)
        for cell in self._cells:
            self.params._params.update(cell.params._params)

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Raise NotImplementedError: the backward cell needs the whole sequence."""
        raise NotImplementedError("a BidirectionalCell can not be stepped, it needs the whole sequence: use unroll")

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: Sequence[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, Any]:
        """Add the steps of a sequence in both directions; see `BaseRNNCell.unroll`."""
        self.reset()
        steps, axis = normalized(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        left, right = self._cells
        middle = len(left.state_info)
        forward, left_states = left.unroll(
            length, inputs=steps, begin_state=states[:middle], layout=layout, merge_outputs=merge_outputs
        )
        backward, right_states = right.unroll(
            length,
            inputs=list(reversed(steps)),
            begin_state=states[middle:],
            layout=layout,
            merge_outputs=merge_outputs,
        )
        if merge_outputs is None:
            merge_outputs = isinstance(forward, Symbol) and isinstance(backward, Symbol)
        if merge_outputs:
            backward = symbol.reverse(backward, axis=axis)
            joined = symbol.Concat(forward, backward, dim=2, name=f"{self._output_prefix}out")
        else:
            forward, backward = (
                list(symbol.SliceChannel(each, axis=axis, num_outputs=length, squeeze_axis=1))
                if isinstance(each, Symbol)
                else each
                for each in (forward, backward)
            )
            joined = [
                symbol.Concat(ahead, back, dim=1, name=f"{self._output_prefix}t{step}")
                for step, (ahead, back) in enumerate(zip(forward, reversed(backward), strict=True))
            ]
        return joined, [left_states, right_states]
