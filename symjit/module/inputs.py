"""What a module is told about its inputs: their names and shapes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from symjit.io import DataDesc
from symjit.symbol import Symbol

__all__ = ["check_input_names", "parse_data_desc"]

_PARAMETER_ENDINGS = ("_weight", "_bias", "_gamma", "_beta")


def check_input_names(symbol: Symbol, names: Sequence[str], typename: str, throw: bool) -> None:
    """Check that every name is an argument of a symbol.

    Args:
        symbol: the network.
        names: the names.
        typename: what they are names of, for the message: ``"data"``, ``"label"``, ``"state"`` or ``"fixed_param"``.
        throw: raise, instead of a warning.

    Raises:
        ValueError: a name is not among the arguments.
    """
    arguments = symbol.list_arguments()
    for name in names:
        if name in arguments:
            continue
        likely = [argument for argument in arguments if not argument.endswith(_PARAMETER_ENDINGS)]
        message = (
            f"Module(..., {typename}_names={list(names)}): the symbol has no argument named {name!r}."
            f" Its arguments that are no parameters are {likely}; pass {typename}_names= with the right ones"
        )
        if throw:
            raise ValueError(message)
        warnings.warn(message, stacklevel=4)


def parse_data_desc(
    data_names: Sequence[str],
    label_names: Sequence[str],
    data_shapes: Sequence[Any],
    label_shapes: Sequence[Any] | None,
) -> tuple[list[DataDesc], list[DataDesc] | None]:
    """Return descriptions of data and labels, checked against the names that a module expects.

    Labels that do not match are a warning: a network may be run without them.

    Raises:
        ValueError: the names of data differ.
    """
    data = [_described(x) for x in data_shapes]
    _check_names(data_names, data, "data", throw=True)
    labels = None if label_shapes is None else [_described(x) for x in label_shapes]
    _check_names(label_names, labels or [], "label", throw=False)
    return data, labels


def _described(shape: Any) -> DataDesc:
    return shape if isinstance(shape, DataDesc) else DataDesc(*shape)


def _check_names(names: Sequence[str], shapes: Sequence[DataDesc], kind: str, *, throw: bool) -> None:
    given = [x.name for x in shapes]
    if sorted(names) == sorted(given):
        return
    message = (
        f"Data provided by {kind}_shapes don't match names specified by {kind}_names: got {given}, expected"
        f" {list(names)}. Name the arrays of the iterator so, or pass {kind}_names= to the module"
    )
    if throw:
        raise ValueError(message)
    warnings.warn(message, stacklevel=4)
