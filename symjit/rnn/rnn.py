"""Checkpoints of networks with recurrent cells. MXNet: ``mx.rnn.rnn``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjit.model import load_checkpoint, save_checkpoint
from symjit.ndarray import NDArray
from symjit.rnn.cell import BaseRNNCell
from symjit.symbol import Symbol

__all__ = ["do_rnn_checkpoint", "load_rnn_checkpoint", "rnn_unroll", "save_rnn_checkpoint"]

Cells = BaseRNNCell | Sequence[BaseRNNCell]


def rnn_unroll(
    cell: BaseRNNCell,
    length: int,
    inputs: Symbol | Sequence[Symbol] | None = None,
    begin_state: Sequence[Any] | None = None,
    input_prefix: str = "",
    layout: str = "NTC",
) -> tuple[Any, Any]:
    """Return ``cell.unroll(length, inputs, begin_state, layout)``, with a UserWarning: call that instead.

    MXNet 1.9.1 passes `input_prefix` on, which no cell takes, and always fails; here it is without effect.

    Raises:
        AssertionError: there are no inputs. Old releases made variables for them, named with `input_prefix`.
    """
    warnings.warn("rnn_unroll is deprecated: call cell.unroll", stacklevel=2)
    return cell.unroll(length, inputs, begin_state=begin_state, layout=layout)  # type: ignore[arg-type]


def _listed(cells: Cells) -> Sequence[BaseRNNCell]:
    return [cells] if isinstance(cells, BaseRNNCell) else cells


def save_rnn_checkpoint(
    cells: Cells,
    prefix: str | os.PathLike[str],
    epoch: int,
    symbol: Symbol | None,
    arg_params: Mapping[str, NDArray],
    aux_params: Mapping[str, NDArray] | None,
) -> None:
    """Save a checkpoint in which the cells' weights are unpacked; see `symjit.model.save_checkpoint`.

    Args:
        cells: a cell or several.
        prefix: path of the checkpoint without its endings.
        epoch: a number that becomes part of the file name.
        symbol: the network.
        arg_params: parameters by name, packed; not changed.
        aux_params: auxiliary states by name.
    """
    for cell in _listed(cells):
        arg_params = cell.unpack_weights(arg_params)
    save_checkpoint(prefix, epoch, symbol, arg_params, aux_params)


def load_rnn_checkpoint(
    cells: Cells, prefix: str | os.PathLike[str], epoch: int
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """Load a checkpoint in which the cells' weights are unpacked, and pack them.

    The cells may be other ones than those that saved it: what a FusedRNNCell saved its ``unfuse()`` loads.

    Returns:
        ``(symbol, arg_params, aux_params)``; the symbol is the one that was saved.

    Raises:
        MXNetError: a file can not be read or is damaged.
        KeyError: it has no array for one of the cells'.
    """
    symbol, args, aux = load_checkpoint(prefix, epoch)
    for cell in _listed(cells):
        args = cell.pack_weights(args)
    return symbol, args, aux


def do_rnn_checkpoint(cells: Cells, prefix: str | os.PathLike[str], period: int = 1) -> Callable[..., None]:
    """Return a callback for ``fit(epoch_end_callback=...)`` that saves with `save_rnn_checkpoint`.

    Args:
        cells: a cell or several.
        prefix: path of the checkpoints without their endings.
        period: every how many epochs one is saved; at least 1.
    """
    period = int(max(1, period))

    def save(iter_no: int, sym: Symbol | None = None, arg: Any = None, aux: Any = None) -> None:
        if (iter_no + 1) % period == 0:
            save_rnn_checkpoint(cells, prefix, iter_no + 1, sym, arg, aux)

    return save
