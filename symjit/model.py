"""Checkpoints in MXNet's two files. MXNet: ``mx.model``."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from symjit import ndarray as nd
from symjit import symbol as sym
from symjit.base import MXNetError
from symjit.ndarray import NDArray
from symjit.ndarray.serialize import split_names
from symjit.predictor import checkpoint_files
from symjit.symbol import Symbol

if TYPE_CHECKING:
    from symjit.module.feed_forward import FeedForward as FeedForward

__all__ = ["BatchEndParam", "FeedForward", "load_checkpoint", "load_params", "save_checkpoint"]


class BatchEndParam(NamedTuple):
    """What callbacks get at the end of a batch. Source: MXNet ``mx.model.BatchEndParam``.

    Attributes:
        epoch: number of the epoch, from 0.
        nbatch: number of the batch in it.
        eval_metric: the metric that is measured, or None.
        locals: the variables of the loop.
    """

    epoch: int
    nbatch: int
    eval_metric: Any
    locals: Any


def load_params(
    prefix: str | os.PathLike[str], epoch: int, symbol: Symbol | None = None
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Load ``prefix-EPOCH.params``.

    Args:
        prefix: path of the checkpoint without its endings.
        epoch: the epoch that was saved.
        symbol: tells which of the names without ``arg:`` and ``aux:`` (Gluon's files) are auxiliary states; without it
            those of BatchNorm are recognized by their endings.

    Returns:
        ``(arg_params, aux_params)``, arrays by name.

    Raises:
        MXNetError: the file can not be read, is damaged, or is a list without names.
    """
    file = checkpoint_files(prefix, epoch)[1]
    loaded = nd.load(file)
    if not loaded:
        logging.warning("Params file '%s' is empty", file)
        return {}, {}  # a list and a dict of no arrays are the same file
    if not isinstance(loaded, dict):
        raise MXNetError(f"{file}: the arrays have no names; a checkpoint needs them")
    keys = list(loaded)
    names = split_names(keys)
    args = {name: loaded[keys[position]] for name, position in names.args.items()}
    aux = {name: loaded[keys[position]] for name, position in names.aux.items()}
    states = None if symbol is None else set(symbol.list_auxiliary_states())
    for name, position in names.bare.items():
        is_state = name.endswith(("moving_mean", "moving_var", "running_mean", "running_var"))
        is_state = is_state if states is None else name in states
        (aux if is_state else args)[name] = loaded[keys[position]]
    return args, aux


def load_checkpoint(
    prefix: str | os.PathLike[str], epoch: int
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """Load ``prefix-symbol.json`` and ``prefix-EPOCH.params``.

    Returns:
        ``(symbol, arg_params, aux_params)``.

    Raises:
        MXNetError: a file can not be read or is damaged.
    """
    symbol = sym.load(checkpoint_files(prefix, epoch)[0])
    args, aux = load_params(prefix, epoch, symbol)
    return symbol, args, aux


def save_checkpoint(
    prefix: str | os.PathLike[str],
    epoch: int,
    symbol: Symbol | None,
    arg_params: Mapping[str, NDArray],
    aux_params: Mapping[str, NDArray] | None,
    remove_amp_cast: bool = True,
) -> None:
    """Save a checkpoint that MXNet 1.9.1 and symjit load.

    Args:
        prefix: path of the checkpoint without its endings.
        epoch: a number that becomes part of the file name.
        symbol: the network; None leaves ``prefix-symbol.json`` as it is.
        arg_params: parameters by name.
        aux_params: auxiliary states by name.
        remove_amp_cast: leave out the casts of mixed precision.

    Each file is replaced in one step, so a save that fails leaves the old one whole.
    """
    symbol_file, params_file = checkpoint_files(prefix, epoch)
    if symbol is not None:
        symbol.save(symbol_file, remove_amp_cast=remove_amp_cast)
    data: dict[str, Any] = {f"arg:{name}": value for name, value in arg_params.items()}
    data.update({f"aux:{name}": value for name, value in (aux_params or {}).items()})
    nd.save(params_file, data)
    logging.info('Saved checkpoint to "%s"', params_file)


def __getattr__(name: str) -> Any:
    # FeedForward trains in a Module, which stands above this module: it is looked up when it is asked for.
    if name == "FeedForward":
        from symjit.module.feed_forward import FeedForward

        return FeedForward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
