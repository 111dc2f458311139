"""What a module starts from: its parameters, its optimizer, and how its contexts share gradients."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjit import ndarray as nd
from symjit import optimizer as opt
from symjit.context import cpu
from symjit.initializer import InitDesc
from symjit.ndarray import NDArray

__all__ = ["blank", "fill", "known_kvstore", "made_optimizer", "states_file"]


def blank(names: Sequence[str], blocks: Sequence[Sequence[NDArray]]) -> dict[str, NDArray]:
    """Return zeros on the CPU by name, like the first array of each block."""
    return {name: nd.zeros(block[0].shape, cpu(), block[0].dtype) for name, block in zip(names, blocks, strict=True)}


def fill(
    held: Mapping[str, NDArray],
    given: Mapping[str, NDArray] | None,
    initializer: Callable[[InitDesc, NDArray], Any] | None,
    attributes: Mapping[str, dict[str, str]],
    allow_missing: bool,
) -> None:
    """Write into parameters, in the order of their names, what is given, or what an initializer makes.

    Args:
        held: the parameters.
        given: values by name; None leaves all to the initializer.
        initializer: called with a name and an array that it fills; None leaves the others as they are.
        attributes: attributes of the network's variables.
        allow_missing: leave what is not given to the initializer.

    Raises:
        RuntimeError: a parameter is missing.
    """
    for name, array in sorted(held.items()):
        if given is not None and name in given:
            if given[name] is not array:
                given[name].copyto(array)
            continue
        if given is not None and not allow_missing:
            raise RuntimeError(
                f"{name} is not presented: the parameters given have no such array. They hold"
                f" {sorted(given)[:8]}; allow_missing=True leaves it to the initializer"
            )
        if initializer is not None:
            try:
                initializer(InitDesc(name, attributes.get(name)), array)
            except Exception as error:
                error.add_note(f"raised by the initializer of {name}, an array of shape {array.shape}")
                raise


def made_optimizer(
    optimizer: str | opt.Optimizer, params: Any, symbol: Any, names: Mapping[int, str], rescale: float
) -> opt.Optimizer:
    """Return the optimizer of a name, or one that is made already and knows the parameters' names from now on.

    Args:
        optimizer: a name or an object.
        params: arguments of the constructor, for a name.
        symbol: the network, whose attributes hold multipliers.
        names: names of the parameters by index.
        rescale: one by the batch size.

    Raises:
        ValueError: there is no optimizer of that name.
        AssertionError: `optimizer` is neither.
    """
    if isinstance(optimizer, str):
        given = dict(params)
        given.setdefault("rescale_grad", rescale)
        return opt.create(optimizer, sym=symbol, param_idx2name=names, **given)
    if not isinstance(optimizer, opt.Optimizer):
        raise AssertionError(f"init_optimizer: expected a name or an Optimizer, got {type(optimizer).__name__}")
    if optimizer.rescale_grad != rescale:
        warnings.warn(
            "Optimizer created manually outside Module but rescale_grad is not normalized to"
            f" 1.0/batch_size/num_workers ({optimizer.rescale_grad} vs. {rescale}). Is this intended?",
            stacklevel=3,
        )
    if not optimizer.idx2name:
        optimizer.idx2name = dict(names)
    return optimizer


def known_kvstore(kvstore: Any) -> Any:
    """Return what `kvstore` stands for; between the contexts of one process all of them sum gradients."""
    known = ("local", "local_update_cpu", "local_allreduce_cpu", "local_allreduce_device", "device", "nccl")
    if kvstore is None:
        return None
    if not isinstance(kvstore, str):
        raise TypeError(f"kvstore must be the name of one or None, got {type(kvstore).__name__}")
    if kvstore not in known:
        raise ValueError(f"init_optimizer: unknown kvstore {kvstore!r}; within a process there are {', '.join(known)}")
    return kvstore


def states_file(prefix: str | os.PathLike[str], epoch: int) -> str:
    """Return the name of a checkpoint's file of optimizer states."""
    return f"{os.fspath(prefix)}-{epoch:04d}.states"
