"""What a module is told about its inputs: their names and shapes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from symjit.base import shown
from symjit.io import DataDesc
from symjit.symbol import Symbol

__all__ = ["check_input_names", "check_iterator", "other_shapes", "parse_data_desc", "warn_of_rows"]

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
        fixed = typename == "fixed_param"
        likely = [argument for argument in arguments if argument.endswith(_PARAMETER_ENDINGS) == fixed]
        message = (
            f"Module(..., {typename}_names={list(names)}): the symbol has no argument named {name!r}."
            f" Its {'parameters' if fixed else 'arguments that are no parameters'} are {likely}; pass {typename}_names="
            " with the right ones"
        )
        if throw:
            raise ValueError(message)
        warnings.warn(message, stacklevel=4)


def check_iterator(argument: str, data: Any, need: str) -> None:
    """Check that data has what an iterator has.

    Raises:
        AttributeError: it lacks the attribute `need`; `argument` says in the message what it was given for.
    """
    if not hasattr(data, need):
        raise AttributeError(
            f"{argument} must be a DataIter, got {type(data).__name__}, which has no {need};"
            " mx.io.NDArrayIter makes an iterator of arrays"
        )


def warn_of_rows(function: Callable[[Any], Any], batch: Any, names: Sequence[str], kvstore: str | None) -> None:
    """Say that there are no sparse parameters whose rows could be fetched, in the cases in which MXNet does.

    Args:
        function: returns the rows of parameters that a batch needs, by name; MXNet asks it if there is a kvstore.
        batch: the batch.
        names: the parameters.
        kvstore: the kvstore of the contexts.

    Raises:
        AssertionError: `function` does not return a dict.
        ValueError: it names a parameter that there is not.
    """
    if kvstore is None:
        message = "Parameters are not updated in the KVStore. No need to call sparse_row_id_fn."
        warnings.warn(message, UserWarning, stacklevel=3)
        return
    rows = function(batch)
    if not isinstance(rows, dict):
        raise AssertionError(f"sparse_row_id_fn: expected a dict of rows by parameter, got {type(rows).__name__}")
    for name in rows:
        if name not in names:
            raise ValueError(f"sparse_row_id_fn: {name!r} is none of the parameters {list(names)}")
        warnings.warn(f"{name} is not row_sparse: its rows need not be named.", UserWarning, stacklevel=3)


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
        TypeError: they are no pairs of a name and a shape.
    """
    data = _described("data", data_shapes)
    _check_names(data_names, data, "data", throw=True)
    labels = None if label_shapes is None else _described("label", label_shapes)
    _check_names(label_names, labels or [], "label", throw=False)
    return data, labels


def _described(kind: str, shapes: Any) -> list[DataDesc]:
    if isinstance(shapes, (list, tuple)):
        if all(isinstance(x, (list, tuple)) and len(x) >= 2 for x in shapes):
            return [x if isinstance(x, DataDesc) else DataDesc(*x) for x in shapes]
    raise TypeError(f"{kind}_shapes is a list of names and shapes, such as [('{kind}', (32, 10))], got {shapes!r}")


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


def other_shapes(
    batch: Any, data: Sequence[DataDesc], labels: Sequence[DataDesc] | None
) -> tuple[list[Any], list[Any] | None] | None:
    """Return what a module has to be bound for to take a batch, None if it is as it is.

    Args:
        batch: anything with lists of arrays `data` and `label`, or a list of one for each context.
        data: what the module is bound for.
        labels: the same of its labels; a batch without labels changes their batch size alone.

    Raises:
        AssertionError: the batches of a list differ in shape.
        AttributeError: it is no batch, or its data are no arrays.
        ValueError: it has fewer arrays of data than the module takes; more are passed over.
    """
    parts = batch if isinstance(batch, list) else [batch]
    for part in parts:
        _check_batch(part, data)
    shapes = [tuple(x.shape) for x in parts[0].data[: len(data)]]
    if len(parts) > 1:
        if any([tuple(x.shape) for x in part.data[: len(data)]] != shapes for part in parts):
            raise AssertionError("All data batches in a list need to have the same shape")
        shapes = [(shape[0] * len(parts), *shape[1:]) for shape in shapes]
    if shapes == [tuple(x.shape) for x in data]:
        return None
    whole = parts[0] if len(parts) == 1 else None
    found = getattr(whole, "provide_data", None) or _with_shapes(data, shapes)
    wanted = getattr(whole, "provide_label", None)
    if not wanted and labels:
        given = getattr(parts[0], "label", None)
        if given and len(given) >= len(labels):
            sizes = [(len(parts) * y.shape[0], *y.shape[1:]) for y in given[: len(labels)]]
        else:
            sizes = _rebatched(labels, data, shapes)
        wanted = _with_shapes(labels, sizes)
    return found, wanted or None


def _check_batch(batch: Any, data: Sequence[DataDesc]) -> None:
    arrays = getattr(batch, "data", None)
    if not isinstance(arrays, (list, tuple)) or not all(hasattr(x, "shape") for x in arrays):
        raise AttributeError(
            f"forward takes a batch with lists of arrays, such as mx.io.DataBatch([data], [label]), got {shown(batch)}"
        )
    if len(arrays) < len(data):
        raise ValueError(f"the batch has {len(arrays)} arrays of data, the module takes {[x.name for x in data]}")


def _with_shapes(described: Sequence[DataDesc], shapes: Sequence[tuple[int, ...]]) -> list[DataDesc]:
    return [DataDesc(x.name, shape, x.dtype, x.layout) for x, shape in zip(described, shapes, strict=True)]


def _rebatched(
    labels: Sequence[DataDesc], data: Sequence[DataDesc], shapes: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Return the shapes of labels that go with data of given shapes."""
    axes = [(DataDesc.get_batch_axis(x.layout), shape) for x, shape in zip(data, shapes, strict=True)]
    rows = next((shape[axis] for axis, shape in axes if axis >= 0), None)
    found = []
    for label in labels:
        shape, axis = list(label.shape), DataDesc.get_batch_axis(label.layout)
        if axis >= 0 and rows is not None:
            shape[axis] = rows
        found.append(tuple(shape))
    return found
