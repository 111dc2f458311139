"""Cells that change what another cell does: zoneout and residual connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from symjit import symbol
from symjit.ndarray import NDArray
from symjit.rnn.cell import BaseRNNCell, RNNParams, normalized
from symjit.rnn.fused import FusedRNNCell
from symjit.rnn.stack import BidirectionalCell
from symjit.symbol import Symbol

__all__ = ["ModifierCell", "ResidualCell", "ZoneoutCell"]


class ModifierCell(BaseRNNCell):
    """The base of cells that work on another one, which is then no longer called by itself.

    Source: MXNet ``mx.rnn.ModifierCell``. Names, states and parameters are the other cell's.

    Args:
        base_cell: the other cell.
    """

    def __init__(self, base_cell: BaseRNNCell) -> None:
        super().__init__()
        base_cell._modified = True
        self.base_cell = base_cell

    @contextmanager
    def _base_freed(self) -> Iterator[BaseRNNCell]:
        """Allow the other cell to be called."""
        self.base_cell._modified = False
        try:
            yield self.base_cell
        finally:
            self.base_cell._modified = True

    @property
    def params(self) -> RNNParams:
        """The other cell's variables."""
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self) -> list[Any]:
        """The other cell's states."""
        return self.base_cell.state_info

    def begin_state(self, init_sym: Callable[..., Symbol] = symbol.zeros, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        """Return the other cell's begin states; see `BaseRNNCell.begin_state`.

        Args:
            init_sym: makes a state. Its name elsewhere, ``func``, is understood too, unlike in MXNet.
            **kwargs: further arguments of `init_sym`.
        """
        self._check_free()
        with self._base_freed() as cell:
            return cell.begin_state(**{"func": init_sym, **kwargs})

    def unpack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return what the other cell does of `args`; see `BaseRNNCell.unpack_weights`."""
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return what the other cell does of `args`; see `BaseRNNCell.pack_weights`."""
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Keep, in training, random elements of the step before in the outputs and the states.

    Source: Krueger et al., https://arxiv.org/abs/1606.01305; MXNet ``mx.rnn.ZoneoutCell``. As in MXNet the masks are
    Dropouts of ones, which are all kept in prediction, and unrolling twice goes on counting the other cell's steps.
    Unlike MXNet, which fails on every SequentialRNNCell, it takes one without a BidirectionalCell.

    Args:
        base_cell: the other cell.
        zoneout_outputs: the share of elements of the output that stay; those of the first step become 0.
        zoneout_states: the share of elements of the states that stay.

    Raises:
        AssertionError: the other cell can not be stepped.
    """

    def __init__(self, base_cell: BaseRNNCell, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0) -> None:
        if isinstance(base_cell, FusedRNNCell):
            raise AssertionError("ZoneoutCell: a FusedRNNCell can not be stepped; take its unfuse()")
        if any(isinstance(cell, BidirectionalCell) for cell in (base_cell, *getattr(base_cell, "_cells", ()))):
            raise AssertionError(
                "ZoneoutCell: a BidirectionalCell can not be stepped; put a ZoneoutCell around the cells inside of it"
            )
        super().__init__(base_cell)
        self.zoneout_outputs = zoneout_outputs
        self.zoneout_states = zoneout_states
        self.prev_output: Symbol | None = None

    def reset(self) -> None:
        """Forget the output of the last step."""
        super().reset()
        self.prev_output = None

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step of the other cell and what stays; see `BaseRNNCell`."""
        output, new = self.base_cell(inputs, states)
        before = symbol.zeros((0, 0)) if self.prev_output is None else self.prev_output
        if self.zoneout_outputs != 0.0:
            output = _kept(self.zoneout_outputs, output, before)
        if self.zoneout_states != 0.0:
            new = [_kept(self.zoneout_states, after, old) for after, old in zip(new, states, strict=False)]
        self.prev_output = output
        return output, new


def _kept(p: float, new: Symbol, old: Symbol) -> Symbol:
    """Return `new`, with `old` in a share `p` of the elements in training."""
    return symbol.where(symbol.Dropout(symbol.ones_like(new), p=p), new, old)


class ResidualCell(ModifierCell):
    """Add the input to the other cell's output.

    Source: Wu et al., https://arxiv.org/abs/1609.08144; MXNet ``mx.rnn.ResidualCell``.

    Args:
        base_cell: the other cell, whose output is as wide as its input.
    """

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step of the other cell and the sum; see `BaseRNNCell`."""
        output, new = self.base_cell(inputs, states)
        return _sum(output, inputs), new

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: Sequence[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, Any]:
        """Unroll the other cell and add the sums, one if the outputs are merged; see `BaseRNNCell.unroll`."""
        self.reset()
        with self._base_freed() as cell:
            outputs, states = cell.unroll(
                length, inputs=inputs, begin_state=begin_state, layout=layout, merge_outputs=merge_outputs
            )
        merged = isinstance(outputs, Symbol) if merge_outputs is None else merge_outputs
        given, _ = normalized(length, inputs, layout, merged)
        # An empty SequentialRNNCell returns its inputs as they came.
        outputs, _ = normalized(length, outputs, layout, merged)
        if merged:
            return _sum(outputs, given), states
        return [_sum(output, each) for output, each in zip(outputs, given, strict=True)], states


def _sum(output: Symbol, inputs: Symbol) -> Symbol:
    return symbol.elemwise_add(output, inputs, name=f"{output.name}_plus_residual")
